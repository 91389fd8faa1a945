"""A project: its file, its places, and the plans that can be made from them."""

import difflib
import os
import posixpath
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from cpengine import batchfile, check, config, loaddata, pipeline
from cpengine.cellprofiler.find import CellProfiler, find
from cpengine.config import ProjectFile, StepSection
from cpengine.derive import Deriver
from cpengine.errors import ConfigError, InputError
from cpengine.layout import Layout
from cpengine.ledger import Ledger
from cpengine.loaddata import Group, Table
from cpengine.model import Job
from cpengine.pipeline import Pipeline
from cpengine.plan import (
    Part,
    Plan,
    check_ids,
    check_part,
    fingerprint,
    in_part,
    layout_groups,
)
from cpengine.runner import Machine
from cpengine.steps import STEPS, Step
from cpengine.storage import Storage

EVERYTHING = Part()


@dataclass(frozen=True)
class Project:
    """A project file and the folder it is in."""

    file: ProjectFile
    folder: Path

    @classmethod
    def load(cls, folder: Path | str = ".") -> "Project":
        """Read `cpengine.toml` in a folder, or the project file itself.

        Raises
        ------
        ConfigError
            The file is missing or wrong.
        """
        path = Path(folder)
        path = path if path.suffix == ".toml" else path / config.FILE_NAME
        return cls(config.load(path), path.parent)

    @cached_property
    def storage(self) -> Storage:
        """The project's storage root."""
        root = self.file.storage.root
        return Storage(root if "://" in root else str(self._beside(root).resolve()))

    def cellprofiler(self) -> CellProfiler:
        """The CellProfiler that the project uses.

        Raises
        ------
        CellProfilerError
            There is none, or the project file's is none.
        """
        return find(self.configured_cellprofiler)

    @property
    def configured_cellprofiler(self) -> str | None:
        """The CellProfiler that the project file names, if it does."""
        path = self.file.cellprofiler.path
        return str(self._beside(path)) if path else None

    def machine(self, cellprofiler: CellProfiler | None = None) -> Machine:
        """This machine, to run the project's jobs.

        Raises
        ------
        ConfigError
            The scratch folder cannot be written.
        """
        scratch = self.file.executors.local.scratch
        folder = self._beside(scratch) if scratch else Path(tempfile.gettempdir())
        if not os.access(folder, os.W_OK):
            raise ConfigError(
                f"executors.local.scratch: {folder} is no folder that can be written: "
                "name another"
            )
        return Machine(self.storage, cellprofiler or self.cellprofiler(), folder)

    def _beside(self, path: str) -> Path:
        """A path of the project file, which may be relative to it."""
        return (self.folder / Path(path).expanduser()).absolute()

    @cached_property
    def layout(self) -> Layout:
        """Where things are."""
        project, storage = self.file.project, self.file.storage
        return Layout(storage.layout, project.name, project.batch, storage.source)

    def step(self, name: str) -> Step:
        """A step with every name and place settled.

        Raises
        ------
        ConfigError
            There is no such step.
        """
        if name not in STEPS and name not in self.file.steps:
            known = list(dict.fromkeys([*STEPS, *self.file.steps]))
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ConfigError(
                f"{name}: is not a step: {hint}choose from {', '.join(known)}"
            )
        section = self.file.steps.get(name, StepSection())
        kind = STEPS.get(name)
        folder, data_file = self._data(section, name)
        batch = section.groups == "batch"
        default_output = self.layout.output(kind.output) if kind else ""
        default_structure = kind.output_structure if kind else ""
        return Step(
            name=name,
            group=tuple(section.group or (kind.group if kind else ())),
            source=section.groups,
            pipeline=data_file if batch else self._pipeline(section, name),
            data_folder=folder,
            data_file=data_file,
            input=section.input or self.layout.rules,
            output=section.output or default_output,
            output_structure=default_structure
            if section.output_structure is None
            else section.output_structure,
            ledger=self.layout.ledger(name),
            timeout_s=section.timeout_min and section.timeout_min * 60,
            plugins=section.plugins,
        )

    def _data(self, section: StepSection, name: str) -> tuple[str, str]:
        """Give the CSVs' folder and name; the batch file's key as the name for h5."""
        kind = STEPS.get(name)
        if section.groups == "batch":
            folder = section.batch_path or self.layout.batch_files
            default = kind.batch_file if kind else f"Batch_data_{name}.h5"
            return "", posixpath.join(folder, section.batch_file or default)
        default = kind.data_file if kind else "load_data.csv"
        return section.data_path or self.layout.load_data, section.data_file or default

    def _pipeline(self, section: StepSection, name: str) -> str:
        """The pipeline's key; the handbook's other name where only that is there."""
        folder = section.pipeline_path or self.layout.pipelines
        kind = STEPS.get(name)
        if section.pipeline or kind is None:
            return posixpath.join(folder, section.pipeline or "")
        plain = posixpath.join(folder, kind.pipeline)
        other = plain.replace(".cppipe", "_without_batchfile.cppipe")
        if not self.storage.exists(plain) and self.storage.exists(other):
            return other
        return plain

    def plates(self, step: Step) -> list[str]:
        """The plates of the batch.

        Raises
        ------
        InputError
            All plates are wanted and none has a folder of CSVs.
        """
        named = self.file.project.plates
        if named != "all":
            return list(named)
        found = self.storage.folders(step.data_folder or self.layout.load_data)
        if not found:
            folder = self.storage.path(step.data_folder or self.layout.load_data)
            raise InputError(
                f"{folder}: has no plates: put one folder with {step.data_file} a "
                "plate there, or list project.plates"
            )
        return found

    def ledger(self, step: Step) -> Ledger:
        """The step's ledger."""
        return Ledger(self.storage, step.ledger)

    def plan(
        self, name: str, part: Part = EVERYTHING, *, cellprofiler: str = ""
    ) -> Plan:
        """Make the jobs of a step.

        Parameters
        ----------
        part
            Which plates, wells and sites to take.
        cellprofiler
            The version that will run them; a pipeline must not be newer.

        Raises
        ------
        ConfigError, InputError
            The step, the part or an input file is wrong.
        """
        return _Planner(self, self.step(name), part, cellprofiler).plan()

    def table(self, step: Step, data_file: str) -> Table:
        """The image sets that a job's data file lists; derived if it is missing.

        Raises
        ------
        InputError
            The file is missing and cannot be derived, or it is wrong.
        """
        if step.source == "batch":
            return batchfile.read(self.storage.path(data_file)).table
        plate = posixpath.basename(posixpath.dirname(data_file))
        return Deriver(self.storage, self.step).table(step, plate)[0]

    def check_images(self, plan: Plan, jobs: Sequence[Job]) -> None:
        """Refuse jobs whose images are missing or empty. See `check.images`."""
        wanted = {job.group for job in jobs}
        for data_file in dict.fromkeys(job.data_file for job in jobs):
            table = self.table(plan.step, data_file)
            found = loaddata.groups(table, plan.step.group)
            rows = sorted(r for group in wanted & set(found) for r in found[group])
            check.images(self.storage, table, rows)

    def write_derived(self, plan: Plan) -> list[str]:
        """Write the CSVs that are missing and can be made; give their keys."""
        for key, table in plan.derived.items():
            self.storage.write(key, table.to_csv().encode())
        return list(plan.derived)


class _Planner:
    """Makes one plan; keeps what is said along the way."""

    def __init__(
        self, project: Project, step: Step, part: Part, cellprofiler: str
    ) -> None:
        self.project = project
        self.step = step
        self.part = part
        self.cellprofiler = cellprofiler
        self.notes: list[str] = []
        self.derived: dict[str, Table] = {}

    def plan(self) -> Plan:
        by_source = self._batch if self.step.source == "batch" else self._plates
        found = list(by_source())
        check_part(self.part, [job.group for job in found], self.step.group)
        jobs = [job for job in found if in_part(job.group, self.part)]
        if not jobs:
            raise InputError(
                f"{self.step.name}: no group is in that part: widen --plate, --well or "
                "--site, or the plate layout"
            )
        check_ids(jobs)
        kept = {job.data_file for job in jobs}
        derived = {key: table for key, table in self.derived.items() if key in kept}
        return Plan(self.step, tuple(jobs), derived, tuple(self.notes))

    def _plates(self) -> Iterator[Job]:
        pipe, text = self._pipeline()
        plates = self.project.plates(self.step)
        self._check_plates(plates)
        for plate in plates:
            if not self.part.plates or plate in self.part.plates:
                table = self._table(plate)
                self._check_pipeline(pipe, table)
                groups = self._groups(plate, table)
                numbers = loaddata.image_numbers(table, pipe.grouping_keys)
                key = self.step.data_key(plate)
                yield from self._jobs(key, table, groups, numbers, text)

    def _check_plates(self, plates: Sequence[str]) -> None:
        groups: list[Group] = [(("Metadata_Plate", plate),) for plate in plates]
        check_part(Part(plates=self.part.plates), groups, ["Metadata_Plate"])

    def _pipeline(self) -> tuple[Pipeline, str]:
        key = self.step.pipeline
        storage = self.project.storage
        if not storage.exists(key):
            beside = storage.sizes(posixpath.dirname(key))
            there = ", ".join(sorted(n for n in beside if n.endswith(".cppipe")))
            raise InputError(
                f"{storage.path(key)}: is not there (its folder has "
                f"{there or 'no pipeline'}): put it there, or set "
                f"steps.{self.step.name}.pipeline"
            )
        text = storage.read_text(key)
        return pipeline.parse(text, str(storage.path(key))), text

    def _table(self, plate: str) -> Table:
        deriver = Deriver(self.project.storage, self.project.step)
        table, derived = deriver.table(self.step, plate)
        key = self.step.data_key(plate)
        if derived:
            table = replace(table, path=str(self.project.storage.path(key)))
            self.derived[key] = table
        elif outdated := deriver.outdated(self.step, plate):
            self.notes.append(outdated)
        self._check_table(plate, table)
        return table

    def _check_table(self, plate: str, table: Table) -> None:
        errors = list(loaddata.site_errors(table))
        if "Metadata_Plate" in table.index:
            values = table.column("Metadata_Plate")
            other = [i for i, value in enumerate(values) if value != plate]
            if other and not errors:
                errors = [
                    f"{table.where(other[0], 'Metadata_Plate')}: is "
                    f"{values[other[0]]!r} in the CSV of plate {plate}: "
                    "keep one CSV a plate, in a folder of the plate's name"
                ]
        if errors:
            raise InputError("\n".join(errors))

    def _check_pipeline(self, pipe: Pipeline, table: Table) -> None:
        pipeline.check(
            pipe, self.step.group, list(table.images), table.path, self.cellprofiler
        )

    def _groups(self, plate: str, table: Table) -> dict[Group, list[int]]:
        found = loaddata.groups(table, self.step.group)
        if self.step.source == "csv":
            return found
        wanted = list(layout_groups(plate, self.project.file.plate, self.step.group))
        absent = [group for group in wanted if group not in found]
        if len(absent) == len(wanted):
            raise InputError(
                f"{table.path}: has none of the plate layout's groups, such as "
                f"{_shown(absent[0])}; it has {_shown(next(iter(found)))}: "
                "change [plate] or use groups = 'csv'"
            )
        if absent:
            self.notes.append(
                f"plate {plate}: {len(absent)} of {len(wanted)} groups of the layout "
                f"are not in {table.path} and are left out (first: {_shown(absent[0])})"
            )
        return {group: found[group] for group in wanted if group in found}

    def _batch(self) -> Iterator[Job]:
        key = self.step.data_file
        file = batchfile.read(self.project.storage.path(key))
        if set(file.grouping_keys) != set(self.step.group):
            raise InputError(
                f"{file.table.path}: groups by {', '.join(file.grouping_keys)}, the "
                f"step by {', '.join(self.step.group)}: set the step's `group`"
            )
        groups = self._of_plates(loaddata.groups(file.table, self.step.group))
        numbers = loaddata.image_numbers(file.table, file.grouping_keys)
        yield from self._jobs(key, file.table, groups, numbers, file.pipeline)

    def _of_plates(self, groups: dict[Group, list[int]]) -> dict[Group, list[int]]:
        plates = self.project.file.project.plates
        return {
            group: rows
            for group, rows in groups.items()
            if plates == "all" or dict(group).get("Metadata_Plate") in {None, *plates}
        }

    def _jobs(
        self,
        key: str,
        table: Table,
        groups: dict[Group, list[int]],
        numbers: Sequence[int],
        text: str,
    ) -> Iterator[Job]:
        step = self.step
        about = (text, step.plugins or "")
        for group, rows in groups.items():
            yield Job(
                step=step.name,
                group=group,
                pipeline=step.pipeline,
                data_file=key,
                input=step.input,
                output=step.output,
                output_structure=step.output_structure,
                ledger=step.ledger,
                fingerprint=fingerprint(table, rows, numbers, *about),
                image_sets=len(rows),
                timeout_s=step.timeout_s,
                plugins=step.plugins,
            )


def _shown(group: Group) -> str:
    return ",".join(f"{key}={value}" for key, value in group)
