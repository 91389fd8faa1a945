"""Make a step's plan from the files of a project: CSVs, pipeline or batch file."""

import posixpath
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from cpengine import rules
from cpengine.config.steps import LOAD_DATA, STEPS, WITH_ILLUM, Step
from cpengine.errors import InputError
from cpengine.group_names import Group, metadata_of
from cpengine.inputs import pipeline, pipeline_checks, plugins, table_checks
from cpengine.inputs.file_list import is_file_list
from cpengine.inputs.loaddata import Table, raise_any
from cpengine.inputs.named_files import read_named_files
from cpengine.inputs.pipeline import Pipeline
from cpengine.inputs.table_groups import sites, spellings
from cpengine.model import Job
from cpengine.planning import fingerprint
from cpengine.planning.current_tables import Deriver
from cpengine.planning.earlier_tables import EarlierTables
from cpengine.planning.grouped_table import GroupedTable, ungrouped
from cpengine.planning.job_list import FileJobs, JobList, read_by
from cpengine.planning.layout_groups import groups_in_layout
from cpengine.planning.listed_groups import groups_of_list, listed_groups
from cpengine.planning.plan import (
    EVERYTHING,
    Derived,
    Plan,
    check_dcp_done,
    check_names,
    check_part,
    check_structure,
    chosen,
)
from cpengine.planning.plate_tables import PlateTables
from cpengine.planning.project import ResolvedProject
from cpengine.planning.step_inputs import NONE_BEFORE, Before, StepInputReader
from cpengine.planning.step_pipeline import read_batch_file, read_file_list, read_text
from cpengine.planning.step_tables import table_reader
from cpengine.planning.table_origins import Origin
from cpengine.plates import PLATE, SITE_KEYS, Part
from cpengine.rules import Finding, Severity


def plan_step(
    project: ResolvedProject,
    name: str,
    part: Part = EVERYTHING,
    *,
    cellprofiler: str = "",
    unchecked: bool = False,
    before: Before = NONE_BEFORE,
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
    before
        Jobs of earlier steps that will have run by then: jobs that read what those
        make are planned with it.

    Raises
    ------
    ConfigError, InputError
        The step, the part or an input file is wrong.
    """
    step = project.step(name)
    planner = Planner(
        project, step, part, cellprofiler, unchecked=unchecked, before=before
    )
    return planner.plan()


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
        before: Before = NONE_BEFORE,
    ) -> None:
        self.project = project
        self.step = step
        self.part = part
        self.cellprofiler = cellprofiler
        self.unchecked = unchecked
        self.found: dict[Finding, None] = {}
        """What was found on the way, in its order; each once."""
        self.derived: list[str] = []
        """The keys of CSVs that are missing or outdated, and can be made."""
        self.taken: dict[Origin, str] = {}
        """The keys of CSVs of the user's that could be made, by origin."""
        self.broken = False
        """Whether a file is such that no jobs can be made of it."""
        self.pipeline: tuple[Pipeline, str] | None = None
        """The pipeline and its text, once it is read."""
        self.code: dict[str, bytes] | None = None
        """Files that the pipeline runs or reads, once they are read."""
        self.deriver = Deriver.of(project)
        tables = EarlierTables(project, self.deriver)
        self.step_inputs = StepInputReader(project, step, cellprofiler, before, tables)
        self.known: dict[str, dict[str, None]] = {}
        """The spellings of plates, wells and sites that the files have, by column."""

    def plan(self) -> Plan:
        """The plan.

        Raises
        ------
        InputError
            The part is wrong, or files are: a line for each thing that is.
        """
        if self.step.group:
            check_structure(self.step)
        by_source = self._batch if self.step.source == "batch" else self._plates
        files = list(by_source())
        self._take(self.step_inputs.findings(read_by(files)))
        errors = [
            finding for finding in self.found if finding.severity is Severity.ERROR
        ]
        if self.broken or (errors and not self.unchecked):
            raise InputError(*errors)
        files = [file for file in files if file.groups]
        jobs = JobList(files)
        check_part(self.part, jobs, self.known)
        if not files:
            raise InputError(
                f"{self.step.name}: no group is in that part: widen --plate, --well or "
                "--site, or the plate layout"
            )
        try:
            self._check_names(list(jobs.groups))
        except InputError:
            _check_listed_once(files)
            raise
        check_dcp_done(self.step, jobs[0])
        data_files = {file[0].data_file for file in files}
        assert self.pipeline is not None, "jobs were made of it"
        read = table_reader(self.project, self.step, self.deriver)
        derived = Derived([key for key in self.derived if key in data_files], read)
        found = tuple(self.found)
        return Plan(self.step, jobs, *self.pipeline, read, derived, found, self.taken)

    def _check_names(self, groups: Sequence[Group]) -> None:
        ignoring = self.project.places.outputs.ignores_case
        check_names(groups, self.step.output_structure, ignoring_case=ignoring)

    def _take(self, findings: Iterable[Finding]) -> None:
        self.found |= dict.fromkeys(self.project.softened(findings))

    def _plates(self) -> Iterator[FileJobs]:
        pipe, text = self._pipeline()
        if is_file_list(self.step.data_file, pipe):
            yield from self._lists(pipe, text)
            return
        if missing := list(pipeline_checks.without_load_data(pipe)):
            raise InputError(*missing)
        self.step = self._ungrouped(self._without_functions(pipe), pipe.grouping_keys)
        tables = PlateTables(
            project=self.project,
            step=self.step,
            pipe=pipe,
            deriver=self.deriver,
            derived=self.derived,
            taken=self.taken,
        )
        folders = tables.folders(self.part.plates)
        self._take(tables.beside(folders))
        for folder in folders:
            try:
                for key, read in tables.read(folder):
                    yield self._file(key, read(), pipe, text)
            except InputError as error:  # the other plates may have some, too
                self.found |= dict.fromkeys(error.findings)
                self.broken = True

    def _lists(self, pipe: Pipeline, text: str) -> Iterator[FileJobs]:
        """The jobs of lists of files, whose groups others name."""
        step, layout = self.step, self.project.file.plate
        self._take(pipeline_checks.for_lists(pipe, step.group, self.cellprofiler))
        for plate in self.project.plates(step):
            key = step.data_key(plate)
            table = read_file_list(self.project, key)
            groups = groups_of_list(table, step, plate, layout)
            sheet = GroupedTable.of_list(table, groups)
            self.step = replace(step, source="list")
            values = self._spellings(key, sheet)
            groups = self._of_plates(sheet, values)
            yield self._jobs(key, sheet, groups, values, pipe, text)

    def _without_functions(self, pipe: Pipeline) -> Step:
        """The step, without a table of illumination functions that nobody wants.

        Where that table is there, or the project names it, it is used all the same.
        """
        section = self.project.file.steps.get(self.step.name)
        named = section is not None and section.data_file is not None
        wanted = (image for _, _, image in pipe.images_wanted())
        if (
            self.step.data_file != WITH_ILLUM
            or named
            or any(image.startswith("Illum") for image in wanted)
        ):
            return self.step
        first = self.step.data_key(self.project.plates(self.step)[0])
        if self.project.places.workspace.exists(self.deriver.present(first)):
            return self.step
        return replace(self.step, data_file=LOAD_DATA)

    def _ungrouped(self, step: Step, pipeline_keys: Sequence[str]) -> Step:
        """The step with a job a table, where neither it nor the pipeline groups."""
        if pipeline_keys or self._names_group:
            return step
        structure = step.output_structure if self._names_structure else ""
        return replace(step, group=(PLATE,), output_structure=structure)

    def _sheet(
        self, key: str, table: Table, pipeline_keys: Sequence[str]
    ) -> GroupedTable:
        if pipeline_keys:
            return GroupedTable.of(table, self.step.group, pipeline_keys)
        keys = self.step.group if self._names_group else ()
        return ungrouped(table, keys, self.step.folder_of(key))

    @property
    def _names_group(self) -> bool:
        """Whether the project file says what makes a group."""
        section = self.project.file.steps.get(self.step.name)
        listed = self.step.job_file or self.step.source == "layout"
        return bool((section and section.group) or listed)

    def _file(self, key: str, table: Table, pipe: Pipeline, text: str) -> FileJobs:
        self._take(table.notes)
        sheet = self._sheet(key, table, pipe.grouping_keys)
        if sheet.whole:
            self._take([pipeline_checks.does_not_group(pipe, len(table.rows))])
        self._take(
            pipeline_checks.findings(
                pipe,
                () if sheet.whole else self.step.group,
                list(table.images),
                table.path,
                self.cellprofiler,
                rows=len(table.rows),
            )
        )
        largest = max(map(len, sheet.groups.values()), default=0)
        self._take(pipeline_checks.for_groups(pipe, self.step.group, largest))
        values = self._spellings(key, sheet)
        groups = self._of_plates(sheet, values)
        return self._jobs(key, sheet, groups, values, pipe, text)

    def _spellings(self, key: str, sheet: GroupedTable) -> dict[str, dict[str, str]]:
        """What the user may write for the values of the table's groups, by column.

        A folder's name stands for its plate, whatever the table calls it.
        """
        if sheet.mixed:
            (((_, name),),) = sheet.groups
            return {PLATE: {name: name}}
        keys = [key for key in SITE_KEYS if key in self.step.group]
        if sheet.listed:
            groups = list(map(dict, sheet.groups))
            return {key: {g[key]: g[key] for g in groups} for key in keys}
        values = {key: spellings(sheet.table, key) for key in keys}
        folder = self.step.folder_of(key)
        plates = set(values.get(PLATE, {"": ""}).values())
        if folder and len(plates) == 1:
            values.setdefault(PLATE, {}).setdefault(folder, *plates)
        return values

    def _pipeline(self) -> tuple[Pipeline, str]:
        key = self.step.pipeline
        workspace = self.project.places.workspace
        text = read_text(workspace, key)
        if text is None:
            beside = workspace.sizes(posixpath.dirname(key))
            names = (n for n in beside if n.endswith((".cppipe", ".json")))
            there = ", ".join(sorted(names))
            raise InputError(
                rules.PIPELINE_MISSING.found(
                    workspace.url(key),
                    f"is not there (its folder has {there or 'no pipeline'})",
                    f"put it there, or set steps.{self.step.name}.pipeline",
                )
            )
        self.pipeline = pipeline.parse(text, workspace.url(key)), text
        return self.pipeline

    def _groups(self, sheet: GroupedTable) -> list[Group]:
        if sheet.listed:
            return list(sheet.groups)
        if self.step.job_file:
            return listed_groups(self.step.job_file, sheet, self.step.group)
        if self.step.source != "layout":
            return list(sheet.groups)
        layout = self.project.file.plate
        groups, found = groups_in_layout(layout, sheet, self.step.group)
        self._take(found)
        return groups

    def _batch(self) -> Iterator[FileJobs]:
        key = self.step.data_file
        file = read_batch_file(self.project, key)
        step = _grouped(self.step, file.grouping_keys, self._names_structure)
        self.step = self._ungrouped(step, file.grouping_keys)
        if file.grouping_keys and set(file.grouping_keys) != set(self.step.group):
            raise InputError(
                rules.BATCH_FILE.found(
                    file.table.path,
                    f"groups by {', '.join(file.grouping_keys)}, the step by "
                    f"{', '.join(self.step.group)}",
                    "remove the step's `group`",
                )
            )
        check_structure(self.step)
        if file.by_plane:
            places = self.project.places
            raise_any(table_checks.unlike_named(file.table, places.is_opened_as_named))
        pipe = pipeline.parse(file.pipeline, file.table.path)
        self.pipeline = pipe, file.pipeline
        self._take(pipeline_checks.newer(pipe, self.cellprofiler))
        sheet = self._sheet(key, file.table, file.grouping_keys)
        if sheet.whole:
            self._take([pipeline_checks.does_not_group(pipe, len(file.table.rows))])
        values = self._spellings(key, sheet)
        groups = self._of_plates(sheet, values)
        yield self._jobs(key, sheet, groups, values, pipe, file.pipeline)

    @property
    def _names_structure(self) -> bool:
        """Whether the project file says how results are laid out."""
        section = self.project.file.steps.get(self.step.name)
        return section is not None and section.output_structure is not None

    def _of_plates(
        self, sheet: GroupedTable, values: Mapping[str, Mapping[str, str]]
    ) -> list[Group]:
        """The groups of the project's plates; all, where groups know no plates."""
        groups, table = self._groups(sheet), sheet.table
        plates = self.project.file.project.plates
        if plates == "all" or PLATE not in self.step.group:
            return groups
        if sheet.mixed:
            self._check_all_named(plates, table)
            return groups
        known = values[PLATE]
        named = {known[plate] for plate in plates if plate in known}
        missing = [plate for plate in plates if plate not in known]
        if missing and self.step.source == "batch":
            raise InputError(
                rules.BATCH_FILE.found(
                    table.path,
                    f"has no plate {', '.join(missing)} of project.plates; it has "
                    f"{', '.join(sorted(set(known.values())))}",
                    "change one of the two",
                )
            )
        if named:
            return [group for group in groups if dict(group)[PLATE] in named]
        return groups

    def _check_all_named(self, plates: Sequence[str], table: Table) -> None:
        """Refuse a job of a whole table that would run a plate that is not named."""
        known = spellings(table, PLATE)
        named = {known[plate] for plate in plates if plate in known}
        others = [p for p in dict.fromkeys(known.values()) if p and p not in named]
        if others:
            raise InputError(
                rules.GROUPING_DIFFERS.found(
                    table.path,
                    f"lists {', '.join(others)}, too, which project.plates leaves out, "
                    "and the pipeline does not group",
                    "let it group by metadata, or name all plates of the table",
                )
            )

    def _jobs(
        self,
        key: str,
        sheet: GroupedTable,
        groups: Sequence[Group],
        values: Mapping[str, Mapping[str, str]],
        pipe: Pipeline,
        text: str,
    ) -> FileJobs:
        """The jobs of those groups that are in the part."""
        step = self.step
        for column, known in values.items():
            self.known.setdefault(column, {}).update(dict.fromkeys(known))
        remaining = self._without_flagged(
            sheet, chosen(groups, self.part.read_as(values))
        )
        if len(remaining) < len(groups):  # those of other runs have names, too
            self._check_names(groups)
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
            image_base=sheet.table.base,
            whole_table=sheet.whole,
            mixed=sheet.mixed,
            shared=step.shared,
        )
        read = self.step_inputs.reader(sheet.table, step.folder_of(key))
        return FileJobs(
            make,
            fingerprint.of_all(make(group=()), pipe, text, self._code(pipe)),
            remaining,
            [sheet.fingerprint(group) for group in remaining],
            list(sheet.of_each(remaining, read)),
            array("L", map(sheet.image_sets, remaining)),
        )

    def _without_flagged(
        self, sheet: GroupedTable, groups: Sequence[Group]
    ) -> Sequence[Group]:
        """The groups that have a site which is not flagged."""
        flagged, table = self.part.flagged, sheet.table
        if not flagged or not set(SITE_KEYS) <= set(table.names):
            return groups
        of_row = sites(table)
        bad = {
            group: sum(of_row[row] in flagged for row in sheet.groups[group])
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
            in_folders = self._rules(pipe) | self._plugins(pipe)
            self.code = in_folders | read_named_files(pipe)
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


def _grouped(step: Step, keys: Sequence[str], names_structure: bool) -> Step:
    """A step that groups as its batch file does, where the project says nothing else.

    The order of the usual columns stays, so that jobs are called as those of CSVs.
    """
    if step.group:
        return step
    usual = STEPS[step.name].group if step.name in STEPS else ()
    group = usual if set(usual) == set(keys) else tuple(keys)
    fits = names_structure or set(usual) == set(keys)
    return replace(
        step, group=group, output_structure=step.output_structure if fits else ""
    )


def _check_listed_once(files: Sequence[FileJobs]) -> None:
    """Refuse a group that two tables list: its results would be of either."""
    listed: dict[Group, str] = {}
    for file in files:
        key = file[0].data_file
        for group in file.groups:
            if listed.setdefault(group, key) != key:
                raise InputError(
                    rules.GROUP_NAMES.found(
                        key,
                        f"lists {metadata_of(group)}, as {listed[group]} does",
                        "keep the rows of a group in one table",
                    )
                )
