"""Make a step's plan from the files of a project: CSVs, pipeline or batch file."""

import posixpath
from array import array
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from cpengine import fingerprint, loaddata, pipeline, plugins
from cpengine.derive import Deriver
from cpengine.errors import InputError
from cpengine.jobs import FileJobs, Jobs
from cpengine.loaddata import Group, Table
from cpengine.model import Job
from cpengine.pipeline import Pipeline
from cpengine.plan import (
    Derived,
    Part,
    Plan,
    check_dcp_done,
    check_ids,
    check_part,
    check_structure,
    chosen,
    layout_groups,
)
from cpengine.sheet import Sheet
from cpengine.steps import Step
from cpengine.storage import as_text

PLATE = "Metadata_Plate"

if TYPE_CHECKING:
    from cpengine.project import Project


class Planner:
    """Makes one plan; keeps what is said along the way."""

    def __init__(
        self, project: "Project", step: Step, part: Part, cellprofiler: str
    ) -> None:
        self.project = project
        self.step = step
        self.part = part
        self.cellprofiler = cellprofiler
        self.notes: list[str] = []
        self.derived: list[str] = []
        """The keys of CSVs that are missing and can be made."""
        self.groups: list[Group] = []
        """All groups of the files, those that are not in the part, too."""

    def plan(self) -> Plan:
        """The plan. Raises InputError where a file or the part is wrong."""
        check_structure(self.step)
        by_source = self._batch if self.step.source == "batch" else self._plates
        files = [file for file in by_source() if file.groups]
        check_part(self.part, self.groups, self.step.group)
        if not files:
            raise InputError(
                f"{self.step.name}: no group is in that part: widen --plate, --well or "
                "--site, or the plate layout"
            )
        jobs = Jobs(files)
        check_ids(list(jobs.groups), self.step.output_structure)
        check_dcp_done(self.step, jobs[0])
        kept = {file[0].data_file for file in files}
        derived = Derived(
            [key for key in self.derived if key in kept],
            partial(self.project.table, self.step),
        )
        return Plan(self.step, jobs, derived, tuple(self.notes))

    def _plates(self) -> Iterator[FileJobs]:
        pipe, text = self._pipeline()
        plates = self.project.plates(self.step)
        self._check_plates(plates)
        for plate in plates:
            if not self.part.plates or plate in self.part.plates:
                yield self._plate(plate, pipe, text)

    def _plate(self, plate: str, pipe: Pipeline, text: str) -> FileJobs:
        table = self._table(plate)
        self._check_pipeline(pipe, table)
        sheet = Sheet.of(table, self.step.group, pipe.grouping_keys)
        groups = self._groups(plate, sheet)
        return self._jobs(self.step.data_key(plate), sheet, groups, text)

    def _check_plates(self, plates: Sequence[str]) -> None:
        groups: list[Group] = [((PLATE, plate),) for plate in plates]
        check_part(Part(plates=self.part.plates), groups, [PLATE])

    def _pipeline(self) -> tuple[Pipeline, str]:
        key = self.step.pipeline
        workspace = self.project.places.workspace
        data = workspace.read_if_there(key)
        if data is None:
            beside = workspace.sizes(posixpath.dirname(key))
            there = ", ".join(sorted(n for n in beside if n.endswith(".cppipe")))
            raise InputError(
                f"{workspace.url(key)}: is not there (its folder has "
                f"{there or 'no pipeline'}): put it there, or set "
                f"steps.{self.step.name}.pipeline"
            )
        text = as_text(data, workspace.url(key))
        return pipeline.parse(text, workspace.url(key)), text

    def _table(self, plate: str) -> Table:
        deriver = Deriver(self.project.places, self.project.step)
        table, derived = deriver.table(self.step, plate)
        key = self.step.data_key(plate)
        if derived:
            self.derived.append(key)
        elif outdated := deriver.outdated(self.step, plate):
            self.notes.append(outdated)
        self._check_table(plate, table)
        return table

    def _check_table(self, plate: str, table: Table) -> None:
        errors = list(loaddata.site_errors(table))
        if PLATE in table.index:
            values = table.column(PLATE)
            other = [i for i, value in enumerate(values) if value != plate]
            if other and not errors:
                errors = [
                    f"{table.where(other[0], PLATE)}: is "
                    f"{values[other[0]]!r} in the CSV of plate {plate}: "
                    "keep one CSV a plate, in a folder of the plate's name"
                ]
        if errors:
            raise InputError("\n".join(errors))

    def _check_pipeline(self, pipe: Pipeline, table: Table) -> None:
        pipeline.check(
            pipe, self.step.group, list(table.images), table.path, self.cellprofiler
        )

    def _groups(self, plate: str, sheet: Sheet) -> list[Group]:
        found, table = list(sheet.groups), sheet.table
        if self.step.source == "csv":
            return found
        wanted = list(layout_groups(plate, self.project.file.plate, self.step.group))
        absent = [group for group in wanted if group not in sheet.groups]
        if len(absent) == len(wanted):
            raise InputError(
                f"{table.path}: has none of the plate layout's groups, such as "
                f"{_shown(absent[0])}; it has {_shown(found[0])}: "
                "change [plate] or use groups = 'csv'"
            )
        if absent:
            self.notes.append(
                f"plate {plate}: {len(absent)} of {len(wanted)} groups of the layout "
                f"are not in {table.path} and are left out (first: {_shown(absent[0])})"
            )
        return [group for group in wanted if group in sheet.groups]

    def _batch(self) -> Iterator[FileJobs]:
        key = self.step.data_file
        file = self.project.batch_file(key)
        if set(file.grouping_keys) != set(self.step.group):
            raise InputError(
                f"{file.table.path}: groups by {', '.join(file.grouping_keys)}, the "
                f"step by {', '.join(self.step.group)}: set the step's `group`"
            )
        pipeline.check_revision(
            pipeline.parse(file.pipeline, file.table.path), self.cellprofiler
        )
        sheet = Sheet.of(file.table, self.step.group, file.grouping_keys)
        groups = self._of_plates(list(sheet.groups))
        yield self._jobs(key, sheet, groups, file.pipeline)

    def _of_plates(self, groups: list[Group]) -> list[Group]:
        """The groups of the project's plates; all, where groups know no plates."""
        plates = self.project.file.project.plates
        if plates == "all" or PLATE not in self.step.group:
            return groups
        by_plate = {dict(group)[PLATE] for group in groups}
        missing = [plate for plate in plates if plate not in by_plate]
        if missing:
            path = self.project.places.workspace.url(self.step.data_file)
            raise InputError(
                f"{path}: has no plate {', '.join(missing)} of project.plates; it has "
                f"{', '.join(sorted(by_plate))}: change one of the two"
            )
        return [group for group in groups if dict(group)[PLATE] in plates]

    def _jobs(
        self, key: str, sheet: Sheet, groups: Sequence[Group], text: str
    ) -> FileJobs:
        """The jobs of those groups that are in the part."""
        self.groups += groups
        step, kept = self.step, chosen(groups, self.part)
        make = partial(
            Job,
            step=step.name,
            pipeline=step.pipeline,
            data_file=key,
            input=step.input,
            output=step.output,
            output_structure=step.output_structure,
            ledger=step.ledger,
            timeout_s=step.timeout_s,
            stall_s=step.stall_s,
            memory_gb=step.memory_gb,
            plugins=step.plugins,
        )
        return FileJobs(
            make,
            fingerprint.of_all(make(group=()), text, self._code(text)),
            kept,
            [sheet.fingerprint(group) for group in kept],
            array("L", (len(sheet.groups[group]) for group in kept)),
        )

    def _code(self, text: str) -> dict[str, bytes]:
        """The plugin files that the pipeline runs."""
        folder = self.step.plugins
        if not folder:
            return {}
        workspace = self.project.places.workspace
        names = workspace.tree(folder)
        if not names:
            raise InputError(
                f"{workspace.url(folder)}: is not there or empty: put the plugins "
                f"there, or change steps.{self.step.name}.plugins"
            )
        modules = [module.name for module in pipeline.parse(text, "").enabled]
        return plugins.used(
            modules, names, lambda name: workspace.read(f"{folder}/{name}")
        )


def _shown(group: Group) -> str:
    return ",".join(f"{key}={value}" for key, value in group)
