"""Make a step's plan from the files of a project: CSVs, pipeline or batch file."""

import posixpath
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from cpengine import rules
from cpengine.config.steps import Step
from cpengine.errors import InputError
from cpengine.group_names import Group, check_ids
from cpengine.inputs import loaddata, pipeline, pipeline_checks, plugins, table_checks
from cpengine.inputs.loaddata import Table
from cpengine.inputs.pipeline import Pipeline
from cpengine.model import Job
from cpengine.planning import fingerprint
from cpengine.planning.derive import Deriver
from cpengine.planning.grouped_table import GroupedTable
from cpengine.planning.job_list import FileJobs, JobList
from cpengine.planning.plan import (
    EVERYTHING,
    Derived,
    Plan,
    check_dcp_done,
    check_part,
    check_structure,
    chosen,
    layout_groups,
)
from cpengine.planning.project import ResolvedProject
from cpengine.planning.step_tables import read_batch_file, read_table
from cpengine.plates import PLATE, SITE_KEYS, Part
from cpengine.rules import Finding, Severity


def plan_step(
    project: ResolvedProject,
    name: str,
    part: Part = EVERYTHING,
    *,
    cellprofiler: str = "",
    unchecked: bool = False,
) -> Plan:
    """Make the jobs of a step.

    Parameters
    ----------
    part
        Which plates, wells and sites to take.
    cellprofiler
        The version that will run them; a pipeline must not be newer.
    unchecked
        Plan although jobs would fail, where jobs can be made at all; the findings
        tell why.

    Raises
    ------
    ConfigError, InputError
        The step, the part or an input file is wrong.
    """
    step = project.step(name)
    return Planner(project, step, part, cellprofiler, unchecked=unchecked).plan()


class Planner:
    """Makes one plan; keeps what is said along the way."""

    def __init__(
        self,
        project: ResolvedProject,
        step: Step,
        part: Part,
        cellprofiler: str,
        *,
        unchecked: bool = False,
    ) -> None:
        self.project = project
        self.step = step
        self.part = part
        self.cellprofiler = cellprofiler
        self.unchecked = unchecked
        self.found: dict[Finding, None] = {}
        """What was found on the way, in its order; each once."""
        self.derived: list[str] = []
        """The keys of CSVs that are missing and can be made."""
        self.groups: list[Group] = []
        """All groups of the files, those that are not in the part, too."""
        self.broken = False
        """Whether a file is such that no jobs can be made of it."""
        self.code: dict[str, bytes] | None = None
        """Files that the pipeline runs or reads, once they are read."""

    def plan(self) -> Plan:
        """The plan.

        Raises
        ------
        InputError
            The part is wrong, or files are: a line for each thing that is.
        """
        check_structure(self.step)
        by_source = self._batch if self.step.source == "batch" else self._plates
        files = [file for file in by_source() if file.groups]
        errors = [
            finding for finding in self.found if finding.severity is Severity.ERROR
        ]
        if self.broken or (errors and not self.unchecked):
            raise InputError(*errors)
        check_part(self.part, self.groups, self.step.group)
        if not files:
            raise InputError(
                f"{self.step.name}: no group is in that part: widen --plate, --well or "
                "--site, or the plate layout"
            )
        jobs = JobList(files)
        check_ids(list(jobs.groups), self.step.output_structure)
        check_dcp_done(self.step, jobs[0])
        data_files = {file[0].data_file for file in files}
        derived = Derived(
            [key for key in self.derived if key in data_files],
            partial(read_table, self.project, self.step),
        )
        return Plan(self.step, jobs, derived, tuple(self.found))

    def _take(self, findings: Iterable[Finding]) -> None:
        self.found |= dict.fromkeys(findings)

    def _plates(self) -> Iterator[FileJobs]:
        pipe, text = self._pipeline()
        plates = self.project.plates(self.step)
        self._check_plates(plates)
        for plate in plates:
            if not self.part.plates or plate in self.part.plates:
                try:
                    file = self._plate(plate, pipe, text)
                except InputError as error:  # the other plates may have some, too
                    self._take(error.findings)
                    self.broken = True
                else:
                    yield file

    def _plate(self, plate: str, pipe: Pipeline, text: str) -> FileJobs:
        table = self._table(plate)
        self._take(
            pipeline_checks.findings(
                pipe,
                self.step.group,
                list(table.images),
                table.path,
                self.cellprofiler,
            )
        )
        sheet = GroupedTable.of(table, self.step.group, pipe.grouping_keys)
        largest = max(map(len, sheet.groups.values()), default=0)
        self._take(pipeline_checks.for_groups(pipe, self.step.group, largest))
        groups = self._groups(plate, sheet)
        return self._jobs(self.step.data_key(plate), sheet, groups, pipe, text)

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
                rules.PIPELINE_MISSING.found(
                    workspace.url(key),
                    f"is not there (its folder has {there or 'no pipeline'})",
                    f"put it there, or set steps.{self.step.name}.pipeline",
                )
            )
        text = pipeline.decode(data, workspace.url(key))
        return pipeline.parse(text, workspace.url(key)), text

    def _table(self, plate: str) -> Table:
        deriver = Deriver(self.project.places, self.project.step)
        table, derived = deriver.table(self.step, plate)
        key = self.step.data_key(plate)
        if derived:
            self.derived.append(key)
        elif outdated := deriver.outdated(self.step, plate):
            self._take([outdated])
        self._take(loaddata.site_errors(table))
        self._take(table_checks.errors(table, plate))
        return table

    def _groups(self, plate: str, sheet: GroupedTable) -> list[Group]:
        found, table = list(sheet.groups), sheet.table
        if self.step.source == "csv":
            return found
        wanted = list(layout_groups(plate, self.project.file.plate, self.step.group))
        absent = [group for group in wanted if group not in sheet.groups]
        if len(absent) == len(wanted):
            raise InputError(
                rules.LAYOUT_NONE.found(
                    table.path,
                    f"has none of the plate layout's groups, such as "
                    f"{_shown(absent[0])}; it has {_shown(found[0])}",
                    "change [plate] or use groups = 'csv'",
                )
            )
        if absent:
            self._take(
                [
                    rules.LAYOUT_ABSENT.found(
                        f"plate {plate}",
                        f"{len(absent)} of {len(wanted)} groups of the layout are not "
                        f"in {table.path} and are left out (first: "
                        f"{_shown(absent[0])})",
                        "exclude their wells, or add their rows",
                    )
                ]
            )
        return [group for group in wanted if group in sheet.groups]

    def _batch(self) -> Iterator[FileJobs]:
        key = self.step.data_file
        file = read_batch_file(self.project, key)
        if set(file.grouping_keys) != set(self.step.group):
            raise InputError(
                rules.BATCH_FILE.found(
                    file.table.path,
                    f"groups by {', '.join(file.grouping_keys)}, the step by "
                    f"{', '.join(self.step.group)}",
                    "set the step's `group`",
                )
            )
        pipe = pipeline.parse(file.pipeline, file.table.path)
        self._take(pipeline_checks.newer(pipe, self.cellprofiler))
        sheet = GroupedTable.of(file.table, self.step.group, file.grouping_keys)
        groups = self._of_plates(list(sheet.groups))
        yield self._jobs(key, sheet, groups, pipe, file.pipeline)

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
                rules.BATCH_FILE.found(
                    path,
                    f"has no plate {', '.join(missing)} of project.plates; it has "
                    f"{', '.join(sorted(by_plate))}",
                    "change one of the two",
                )
            )
        return [group for group in groups if dict(group)[PLATE] in plates]

    def _jobs(
        self,
        key: str,
        sheet: GroupedTable,
        groups: Sequence[Group],
        pipe: Pipeline,
        text: str,
    ) -> FileJobs:
        """The jobs of those groups that are in the part."""
        self.groups += groups
        step = self.step
        remaining = self._without_flagged(sheet, chosen(groups, self.part))
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
            fingerprint.of_all(make(group=()), text, self._code(pipe)),
            remaining,
            [sheet.fingerprint(group) for group in remaining],
            array("L", (len(sheet.groups[group]) for group in remaining)),
        )

    def _without_flagged(
        self, sheet: GroupedTable, groups: Sequence[Group]
    ) -> Sequence[Group]:
        """The groups that have a site which is not flagged."""
        flagged, table = self.part.flagged, sheet.table
        if not flagged or not set(SITE_KEYS) <= set(table.index):
            return groups
        sites = list(zip(*map(table.column, SITE_KEYS), strict=True))
        bad = {
            group: sum(sites[row] in flagged for row in sheet.groups[group])
            for group in groups
        }
        remaining = [group for group in groups if bad[group] < len(sheet.groups[group])]
        mixed = sum(bad[group] > 0 for group in remaining)
        if len(remaining) < len(groups):
            cause = f"{len(groups) - len(remaining)} jobs of flagged sites are left out"
            self._take(
                [rules.FLAGGED_OUT.found(table.path, cause, "see `cpengine qc`")]
            )
        if mixed:
            self._take(
                [
                    rules.FLAGGED_INCLUDED.found(
                        table.path,
                        f"{mixed} jobs have flagged sites beside others and run whole",
                        "drop the rows of those sites if they must not count",
                    )
                ]
            )
        return remaining

    def _code(self, pipe: Pipeline) -> dict[str, bytes]:
        """The plugin files that the pipeline runs and the rules that it reads, once."""
        if self.code is None:
            self.code = self._rules(pipe) | self._plugins(pipe)
        return self.code

    def _rules(self, pipe: Pipeline) -> dict[str, bytes]:
        workspace, folder = self.project.places.workspace, self.step.input
        files = {file for _, file in pipe.rule_files()}
        return {
            f"rules/{file}": workspace.read_if_there(f"{folder}/{file}") or b""
            for file in sorted(files)
        }

    def _plugins(self, pipe: Pipeline) -> dict[str, bytes]:
        folder = self.step.plugins
        if not folder:
            return {}
        workspace = self.project.places.workspace
        names = workspace.tree(folder)
        if not names:
            raise InputError(
                rules.PLUGINS_MISSING.found(
                    workspace.url(folder),
                    "is not there or empty",
                    f"put the plugins there, or change steps.{self.step.name}.plugins",
                )
            )
        modules = [module.name for module in pipe.enabled]
        return plugins.used(
            modules, names, lambda name: workspace.read(f"{folder}/{name}")
        )


def _shown(group: Group) -> str:
    return ",".join(f"{key}={value}" for key, value in group)
