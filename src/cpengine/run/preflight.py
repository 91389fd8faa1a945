"""All that is looked at before one step runs."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cpengine import rules
from cpengine.cellprofiler.objections import LoadedPipeline
from cpengine.cellprofiler.pipeline_load import LoadRequest, Prober
from cpengine.config.steps import UNPROJECTED
from cpengine.errors import CpengineError
from cpengine.inputs import image_checks, pipeline_checks, table_checks
from cpengine.inputs.loaddata import Table
from cpengine.inputs.pipeline_writes import fixed_names, writes
from cpengine.model import Job
from cpengine.planning.plan import Plan
from cpengine.planning.project import ResolvedProject
from cpengine.planning.shared_names import clashes
from cpengine.planning.step_tables import image_sets
from cpengine.rules import Finding
from cpengine.run.shared_output import others
from cpengine.run.writable import unwritable
from cpengine.wording import GB, gigabytes

Sheets = Sequence[tuple[Table, Sequence[int]]]
"""Tables, each with the rows of the jobs that would run."""
_ROOM = GB
"""What CellProfiler's results and temporary files of a job may take."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a step."""

    findings: tuple[Finding, ...]
    """Each once."""
    writes: tuple[str, ...]
    """The files of each job, as far as the pipeline's text tells. See `writes`."""


@dataclass(frozen=True, slots=True)
class Check:
    """Looks at one step.

    Parameters
    ----------
    prober
        Asks the CellProfiler that would run it.
    before
        Steps that will have run by then: what they make need not be there yet.
    """

    project: ResolvedProject
    prober: Prober
    before: tuple[str, ...] = ()

    def check(self, plan: Plan, jobs: Sequence[Job]) -> "Seen":
        """Look at all of it; nothing is raised for what is wrong.

        Parameters
        ----------
        jobs
            Those of the plan that would run: images of others may be gone by now.
        """
        found = dict.fromkeys(plan.findings)
        files: list[str] = []
        try:
            files = writes(plan.pipeline)
            beyond = self._beyond_the_plan(plan, jobs)
            for finding in self.project.softened(beyond):
                found[finding] = None
        except CpengineError as error:
            found |= dict.fromkeys(error.findings)
        return Seen(tuple(found), tuple(files))

    def _beyond_the_plan(self, plan: Plan, jobs: Sequence[Job]) -> Iterator[Finding]:
        """What was not looked at in making the plan."""
        yield from clashes(plan.step, plan.jobs.groups, fixed_names(plan.pipeline))
        has_tables = plan.step.source not in ("batch", "list")
        sheets = list(image_sets(plan, jobs))
        for table, rows in sheets:
            if has_tables:
                yield from table_checks.doubts(table)
                if plan.step.data_file == UNPROJECTED:
                    group = plan.step.group
                    yield from table_checks.merged_timepoints(table, rows, group)
            yield from self._images(table, rows)
        yield from self._modules(plan, sheets)
        yield from unwritable(self.project, plan, jobs)
        yield from others(self.project, plan, jobs)
        yield from self._room()

    def _images(self, table: Table, rows: Sequence[int]) -> Iterator[Finding]:
        """What is wrong with images, but for those that are yet to be made."""
        places = self.project.places
        outputs = (self.project.results_of(name)[1] for name in self.before)
        made = list(map(places.key, outputs))
        yield from image_checks.findings(places, table, rows, made)

    def _modules(self, plan: Plan, sheets: Sheets) -> Iterator[Finding]:
        """What is wrong with rules files, plugins and settings."""
        workspace, step, pipe = self.project.places.workspace, plan.step, plan.pipeline
        rules_there = workspace.tree(step.input) if any(pipe.rule_files()) else {}
        shown = workspace.url(step.input)
        yield from pipeline_checks.missing_rule_files(pipe, rules_there, shown)
        own = workspace.tree(step.plugins) if step.plugins else {}
        unknown = pipeline_checks.unknown(pipe, own)
        if sheets:
            table, _ = sheets[0]
            asked = LoadRequest(
                plan.pipeline_text,
                pipe.path,
                table,
                step.input,
                step.plugins,
                pipe.file_names,
            )
            if answer := self.prober.ask(asked):
                if step.source in ("batch", "list"):  # what its images are, it knows
                    answer = {**answer, "objections": ()}
                loaded = LoadedPipeline(pipe, table, rules_there, unknown)
                yield from loaded.findings(answer)
                return
        yield from unknown.values()

    def _room(self) -> Iterator[Finding]:
        """Whether the scratch folder takes what a job fetches and makes."""
        scratch = self.project.scratch
        free = shutil.disk_usage(scratch).free
        if free < _ROOM:
            yield rules.SCRATCH_SPACE.found(
                str(scratch),
                f"has {gigabytes(free)} free, each job under way may need "
                f"{gigabytes(_ROOM, 0)}",
                "free some, or set executors.local.scratch to a larger disk",
            )
