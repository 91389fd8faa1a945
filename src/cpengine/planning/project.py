"""A project: its file, its places, and the plans that can be made from them."""

import difflib
import os
import posixpath
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from cpengine import config, rules
from cpengine.cellprofiler import container
from cpengine.cellprofiler.container import Mount
from cpengine.cellprofiler.find import CellProfiler, Wanted, find
from cpengine.cellprofiler.pool import Hosts, Recycling
from cpengine.config import ProjectFile, StepSection
from cpengine.config.layout import Layout
from cpengine.config.steps import STEPS, DoneRule, Step
from cpengine.errors import ConfigError, InputError
from cpengine.inputs import batchfile, image_checks, loaddata
from cpengine.inputs.batchfile import BatchFile
from cpengine.inputs.loaddata import Table
from cpengine.job.admission import Slots
from cpengine.job.run_job import Machine
from cpengine.ledger.ledger import Ledger
from cpengine.model import Job
from cpengine.planning.derive import Deriver
from cpengine.planning.plan import Plan
from cpengine.planning.planner import Planner
from cpengine.plates import Part
from cpengine.rules import Severity
from cpengine.storage import filesystems
from cpengine.storage.cache import Cache
from cpengine.storage.filesystems import Access, S3Options
from cpengine.storage.roots import Places
from cpengine.storage.store import Storage
from cpengine.system.usage import GB

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
    def places(self) -> Places:
        """The project's storage roots.

        Raises
        ------
        ConfigError
            A root is a folder that does not exist, or no package opens it.
        """
        section = self.file.storage
        access = Access(
            S3Options(**dict(section.s3)),
            {name: S3Options(**dict(b)) for name, b in section.buckets.items()},
        )
        named = ("root", "images", "workspace", "outputs")
        roots = {
            name: Storage(self._place(place), access, f"storage.{name}")
            for name in named
            if (place := getattr(section, name))
        }
        images, workspace, outputs = (
            roots.get(name, roots["root"]) for name in named[1:]
        )
        mapped = sorted(section.map.items(), key=lambda pair: -len(pair[0]))
        return Places(images, workspace, outputs, self._made(), tuple(mapped))

    def _made(self) -> tuple[str, ...]:
        """Where the steps put their results."""
        built_in = (self.layout.output(kind.output) for kind in STEPS.values())
        changed = (step.output for step in self.file.steps.values() if step.output)
        return tuple(dict.fromkeys([*built_in, *changed]))

    def _place(self, place: str) -> str:
        """A folder or address of the project file."""
        return place if "://" in place else str(self._beside(place).resolve())

    def cellprofiler(self) -> CellProfiler:
        """The CellProfiler that the project uses.

        Raises
        ------
        CellProfilerError
            There is none, or the project file's is none.
        """
        return find(self.wanted_cellprofiler)

    @property
    def wanted_cellprofiler(self) -> Wanted:
        """The CellProfiler that the project file names, if it does."""
        named = self.file.cellprofiler
        path = str(self._beside(named.path)) if named.path else None
        image = named.image
        if image and container.is_file(image):
            image = str(self._beside(image))
        return Wanted(path, image, named.runtime)

    def machine(
        self, cellprofiler: CellProfiler | None = None, slots: Slots | None = None
    ) -> Machine:
        """This machine, to run the project's jobs.

        Parameters
        ----------
        slots
            How many CellProfilers may run at a time. No limit if None.

        Raises
        ------
        ConfigError
            The scratch folder cannot be written.
        """
        used, scratch = cellprofiler or self.cellprofiler(), self.scratch
        if used.container:
            with_mounts = replace(used.container, mounts=self._mounts())
            used = replace(used, container=with_mounts)
        settings = self.file.cellprofiler
        hosts = None
        if settings.jobs_per_process > 1:
            memory = int(settings.process_memory_gb * GB)
            recycling = Recycling(settings.jobs_per_process, memory)
            hosts = Hosts(used, scratch, recycling)
        machine = Machine(self.places, used, scratch, self.cache, hosts=hosts)
        return replace(machine, slots=slots) if slots else machine

    def _mounts(self) -> tuple[Mount, ...]:
        """The folders that CellProfiler needs; only the scratch folder to write in."""
        places, named = self.places, self.file.cellprofiler.mounts
        roots = (places.images, places.workspace, places.outputs)
        folders = [Path(storage.root) for storage in roots if storage.is_local()]
        mapped = (Path(real) for _, real in places.map if filesystems.is_local(real))
        folders += [path for path in mapped if path.is_dir()]
        folders += [self._beside(path) for path in named]
        for path in folders:
            if not path.is_dir():
                raise ConfigError(
                    f"cellprofiler.mounts: {path} is no folder: name another"
                )
        read = [Mount(path) for path in folders]
        return (*read, Mount(self.scratch, writable=True))

    @property
    def scratch(self) -> Path:
        """The folder for work in progress. Raises ConfigError if it is none."""
        scratch = self.file.executors.local.scratch
        folder = self._beside(scratch) if scratch else Path(tempfile.gettempdir())
        if not os.access(folder, os.W_OK):
            raise ConfigError(
                f"executors.local.scratch: {folder} is no folder that can be written: "
                "name another"
            )
        return folder

    @property
    def cache(self) -> Cache:
        """Where fetched files that many jobs need are kept."""
        return Cache.below(self.scratch, self.file.storage.cache_gb)

    def _beside(self, path: str) -> Path:
        """A path of the project file, which may be relative to it."""
        return (self.folder / Path(path).expanduser()).absolute()

    @cached_property
    def layout(self) -> Layout:
        """Where things are."""
        project, storage = self.file.project, self.file.storage
        return Layout(storage.layout, project.name, project.batch, storage.source)

    @property
    def step_names(self) -> list[str]:
        """The steps that can be run: the built-in ones, and the project's own."""
        return list(dict.fromkeys([*STEPS, *self.file.steps]))

    def step(self, name: str) -> Step:
        """A step with every name and place settled.

        Raises
        ------
        ConfigError
            There is no such step.
        """
        if name not in self.step_names:
            known = self.step_names
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
            stall_s=section.stall_min * 60 or None,
            memory_gb=section.memory_gb,
            plugins=section.plugins,
            dcp_done=DoneRule(**dict(dcp)) if (dcp := section.dcp_done) else None,
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
        return posixpath.join(folder, self._default_pipeline(folder, kind.pipeline))

    def _default_pipeline(self, folder: str, plain: str) -> str:
        other = plain.replace(".cppipe", "_without_batchfile.cppipe")
        there = self.places.workspace.sizes(folder)
        return other if plain not in there and other in there else plain

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
        folder = step.data_folder or self.layout.load_data
        found = self.places.workspace.folders(folder)
        if not found:
            raise InputError(
                rules.CSV_NO_PLATES.found(
                    self.places.workspace.url(folder),
                    "has no plates",
                    f"put one folder with {step.data_file} a plate there, or list "
                    "project.plates",
                )
            )
        return found

    def ledger(self, step: Step) -> Ledger:
        """The step's ledger."""
        return Ledger(self.places.outputs, step.ledger)

    def plan(
        self,
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
        step = self.step(name)
        return Planner(self, step, part, cellprofiler, unchecked=unchecked).plan()

    def table(self, step: Step, data_file: str) -> Table:
        """The image sets that a job's data file lists; derived if it is missing.

        Raises
        ------
        InputError
            The file is missing and cannot be derived, or it is wrong.
        """
        if step.source == "batch":
            return self.batch_file(data_file).table
        plate = posixpath.basename(posixpath.dirname(data_file))
        return Deriver(self.places, self.step).table(step, plate)[0]

    def batch_file(self, key: str) -> BatchFile:
        """A `Batch_data.h5` of the workspace.

        Raises
        ------
        InputError
            It is missing or damaged.
        """
        workspace = self.places.workspace
        if workspace.is_local(key):
            return batchfile.read(workspace.path(key))
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            copy = Path(folder) / "Batch_data.h5"
            self.cache.fetch(workspace, key, copy)
            return batchfile.read(copy, workspace.url(key))

    def check_images(self, plan: Plan, jobs: Sequence[Job]) -> None:
        """Refuse jobs whose images are missing or empty.

        Raises
        ------
        InputError
            Some are; each with the first place.
        """
        loaddata.raise_any(
            finding
            for table, rows in self.image_sets(plan, jobs)
            for finding in image_checks.findings(self.places, table, rows)
            if finding.severity is Severity.ERROR
        )

    def image_sets(
        self, plan: Plan, jobs: Sequence[Job]
    ) -> Iterator[tuple[Table, list[int]]]:
        """Give each data file's table, with the rows of these jobs, from 0."""
        wanted = {job.group for job in jobs}
        for data_file in dict.fromkeys(job.data_file for job in jobs):
            table = self.table(plan.step, data_file)
            found = loaddata.groups(table, plan.step.group)
            yield (
                table,
                sorted(row for group in wanted & set(found) for row in found[group]),
            )

    def write_derived(self, plan: Plan) -> list[str]:
        """Write the CSVs that are missing and can be made; give their keys."""
        for key, table in plan.derived.items():
            self.places.workspace.write(key, table.to_csv().encode())
        return list(plan.derived)
