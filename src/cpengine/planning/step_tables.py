"""The image sets of a step's files, and the files that are made for it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from cpengine.config.steps import Step
from cpengine.inputs import image_checks, loaddata
from cpengine.inputs.loaddata import Table
from cpengine.inputs.table_groups import groups
from cpengine.model import Job
from cpengine.planning.current_tables import Deriver
from cpengine.planning.plan import Plan
from cpengine.planning.project import ResolvedProject
from cpengine.planning.step_pipeline import read_batch_file, read_file_list
from cpengine.rules import Severity


def read_table(
    project: ResolvedProject, step: Step, data_file: str, image_base: str | None = ""
) -> Table:
    """The image sets that a job's data file lists; derived if it is missing.

    Parameters
    ----------
    image_base
        The job's.

    Raises
    ------
    InputError
        The file is missing and cannot be derived, or it is wrong.
    """
    table = table_reader(project, step, Deriver.of(project))(data_file)
    return replace(table, base=image_base or "")


def table_reader(
    project: ResolvedProject, step: Step, deriver: Deriver
) -> Callable[[str], Table]:
    """What gives the image sets of a step's data file. It raises as `read_table`."""
    match step.source:
        case "batch":
            return lambda key: read_batch_file(project, key).table
        case "list":
            return partial(read_file_list, project)
    return deriver.table


def image_sets(plan: Plan, jobs: Sequence[Job]) -> Iterator[tuple[Table, list[int]]]:
    """Give each data file's table, with the rows of these jobs, from 0."""
    wanted = {job.group for job in jobs}
    whole = {job.data_file for job in jobs if job.whole_table}
    for data_file, base in dict.fromkeys((j.data_file, j.image_base) for j in jobs):
        table = replace(plan.read_table(data_file), base=base or "")
        if data_file in whole or plan.step.source == "list":
            yield table, list(range(len(table.rows)))
            continue
        found = groups(table, plan.step.group)
        yield (
            table,
            sorted(row for group in wanted & set(found) for row in found[group]),
        )


def check_images(project: ResolvedProject, plan: Plan, jobs: Sequence[Job]) -> None:
    """Refuse jobs whose images are missing or empty.

    Raises
    ------
    InputError
        Some are; each with the first place.
    """
    loaddata.raise_any(
        finding
        for table, rows in image_sets(plan, jobs)
        for finding in project.softened(
            image_checks.findings(project.places, table, rows)
        )
        if finding.severity is Severity.ERROR
    )


def write_derived(project: ResolvedProject, plan: Plan) -> list[str]:
    """Write the CSVs that can be made and are missing or outdated; give their keys."""
    keep_taken(project, plan)
    deriver = Deriver.of(project)
    return [key for key in plan.derived if deriver.write(key)]


def keep_taken(project: ResolvedProject, plan: Plan) -> None:
    """Remember which CSVs of the user's were used as they are, beside which others."""
    origins = Deriver.of(project).origins
    for origin, key in plan.taken.items():
        origins.keep(origin, key)
