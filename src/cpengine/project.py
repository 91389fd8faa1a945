"""A project: its file, its places, and the plans that can be made from them."""

import difflib
import os
import posixpath
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cpengine import batchfile, check, config, loaddata
from cpengine.cellprofiler.find import CellProfiler, find
from cpengine.config import ProjectFile, StepSection
from cpengine.derive import Deriver
from cpengine.errors import ConfigError, InputError
from cpengine.layout import Layout
from cpengine.ledger import Ledger
from cpengine.loaddata import Table
from cpengine.model import Job
from cpengine.plan import Part, Plan
from cpengine.planner import Planner
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
        return Planner(self, self.step(name), part, cellprofiler).plan()

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
