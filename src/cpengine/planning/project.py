"""A project as its file settles it: places, layout, steps and plates."""

import contextlib
import os
import posixpath
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

from cpengine import config, rules
from cpengine.config import ProjectFile, StepSection
from cpengine.config.layout import Layout
from cpengine.config.steps import BATCH_FILE, MADE_OF, STEPS, DoneRule, Step
from cpengine.errors import ConfigError, InputError
from cpengine.inputs.table_formats import names_of
from cpengine.output_structure import can_be_one, normal
from cpengine.rules import Finding, Severity
from cpengine.storage.cache import Cache
from cpengine.storage.filesystems import Access, S3Options
from cpengine.storage.real_place import real_place
from cpengine.storage.roots import Places, without_file_scheme
from cpengine.storage.store import Storage
from cpengine.wording import did_you_mean


@dataclass(frozen=True)
class ResolvedProject:
    """A project file and its folder, with every name and place settled."""

    file: ProjectFile
    folder: Path

    @classmethod
    def load(cls, folder: Path | str = ".") -> Self:
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
        outputs = (*built_in, *map(self._output, self.file.steps))
        return tuple(dict.fromkeys(key.rstrip("/") for key in outputs if key))

    def _place(self, place: str) -> str:
        """A folder or address of the project file."""
        if "://" in place:
            return place
        folder = self.beside(place)
        with contextlib.suppress(OSError, RuntimeError):  # a link that leads nowhere
            folder = folder.resolve()
        return str(folder)

    @property
    def scratch(self) -> Path:
        """The folder for work in progress. Raises ConfigError if it is none."""
        scratch = self.file.executors.local.scratch
        folder = self.beside(scratch) if scratch else Path(tempfile.gettempdir())
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

    def beside(self, path: str) -> Path:
        """A path of the project file, which may be relative to it."""
        return (self.folder / Path(os.path.expanduser(path))).absolute()

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
            hint = did_you_mean(name, known, form="{} ")
            raise ConfigError(
                f"{name}: is not a step: {hint}choose from {', '.join(known)}"
            )
        section = self.file.steps.get(name, StepSection())
        folder, data_file = self._data(section, name)
        batch = section.groups == "batch"
        group, output, structure = self.results_of(name)
        return Step(
            name=name,
            group=group,
            source=section.groups,
            pipeline=data_file if batch else self._pipeline(name),
            data_folder=folder,
            data_file=data_file,
            input=section.input or self.layout.rules,
            images_in_input=section.input is not None,
            output=output,
            output_structure=structure,
            ledger=self.layout.ledger(name),
            timeout_s=section.timeout_min and section.timeout_min * 60,
            stall_s=section.stall_min * 60 or None,
            memory_gb=section.memory_gb,
            plugins=section.plugins,
            shared=self._shares_folders(name),
            job_file=self.beside(section.job_file) if section.job_file else None,
            dcp_done=DoneRule(**dict(dcp)) if (dcp := section.dcp_done) else None,
        )

    def results_of(self, name: str) -> tuple[tuple[str, ...], str, str]:
        """By what a step groups, its output, and how results are laid out there."""
        section, kind = self.file.steps.get(name, StepSection()), STEPS.get(name)
        by_file = section.groups == "batch"
        group = section.group or (kind.group if kind and not by_file else ())
        structure = section.output_structure
        if structure is None:
            structure = kind.output_structure if kind else ""
        return tuple(group), self._output(name), structure

    def _output(self, name: str) -> str:
        """The key, path or address of the folder that gets a step's results."""
        section, kind = self.file.steps.get(name, StepSection()), STEPS.get(name)
        if section.output:
            return without_file_scheme(section.output)
        return self.layout.output(kind.output) if kind else ""

    def _shares_folders(self, name: str) -> bool:
        """Whether another step puts results into the same folders, or may do so."""
        others = (other for other in self.step_names if other != name)
        mine = self._folders_of(name)
        return any(can_be_one(mine, self._folders_of(other)) for other in others)

    def _folders_of(self, name: str) -> tuple[str, tuple[str, ...]]:
        """Where a step's results really go, with names for values; and these names."""
        group, output, structure = self.results_of(name)
        group = group or (STEPS[name].group if name in STEPS else ())
        place = normal(structure) or "-".join(group)
        key = posixpath.join(output, place)
        return real_place(self.places.outputs, key), group

    def _data(self, section: StepSection, name: str) -> tuple[str, str]:
        """Give the CSVs' folder and name; the batch file's key as the name for h5."""
        kind = STEPS.get(name)
        if section.groups == "batch":
            folder = _folder(section.batch_path, self.layout.batch_files)
            default = kind.batch_file if kind else f"Batch_data_{name}.h5"
            file = section.batch_file or self._default_file(folder, default, BATCH_FILE)
            return "", posixpath.join(folder, file)
        default = kind.data_file if kind else "load_data.csv"
        folder = _folder(section.data_path, self.layout.load_data)
        return folder, section.data_file or default

    def table_key(self, name: str, folder: str) -> str:
        """The key of a step's table in the folder of a plate; empty with a batch file.

        Nothing is looked up.
        """
        section = self.file.steps.get(name, StepSection())
        if section.groups == "batch":
            return ""
        tables, file = self._data(section, name)
        return posixpath.join(tables, folder, file)

    def pipeline_keys(self, name: str) -> tuple[str, ...]:
        """The keys that a step's pipeline may have: the one that is there counts.

        It is the one that the project names, or else either of the handbook's.
        """
        section, kind = self.file.steps.get(name, StepSection()), STEPS.get(name)
        usual = kind.pipeline if kind else ""
        other = usual.replace(".cppipe", "_without_batchfile.cppipe")
        names = [section.pipeline] if section.pipeline or not kind else [usual, other]
        folder = _folder(section.pipeline_path, self.layout.pipelines)
        return tuple(posixpath.join(folder, file or "") for file in names)

    def _pipeline(self, name: str) -> str:
        keys = self.pipeline_keys(name)
        if len(keys) == 1:
            return keys[0]
        folder = posixpath.dirname(keys[0])
        file = self._default_file(folder, *map(posixpath.basename, keys))
        return posixpath.join(folder, file)

    def _default_file(self, folder: str, name: str, other: str) -> str:
        """The usual name of a file, or another one where only that is there."""
        there = self.places.workspace.sizes(folder)
        return other if name not in there and other in there else name

    def softened(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """Findings as `[check]` has them: some only warn, some are left out."""
        for finding in findings:
            match self.file.check.get(finding.rule.name):
                case "warn":
                    rule = replace(finding.rule, severity=Severity.WARNING)
                    yield replace(finding, rule=rule)
                case None:
                    yield finding

    def plates(self, step: Step) -> list[str]:
        """The plates of the batch, by the names of their folders."""
        return self.plate_folders(step)[0]

    def plate_folders(self, step: Step) -> tuple[list[str], set[str]]:
        """The plates by the names of their folders, and the files beside those.

        A plate without a name is the table that lies beside such folders, or that a
        job file names. Where plates are named nothing is looked up.

        Raises
        ------
        InputError
            All plates are wanted and there is no table.
        """
        named = self.file.project.plates
        if step.job_file:
            return [""], set()
        if named != "all":
            return list(named), set()
        folder = step.data_folder or self.layout.load_data
        workspace = self.places.workspace
        found, files = workspace.contents(folder)
        made_of = MADE_OF.get(step.data_file, ())
        tables = {n for name in (step.data_file, *made_of) for n in names_of(name)}
        if not found and tables.isdisjoint(files):
            raise InputError(
                rules.CSV_NO_PLATES.found(
                    workspace.url(folder),
                    "has no plates",
                    f"put one folder with {step.data_file} a plate there "
                    "(`cpengine loaddata` makes tables of images), or list "
                    "project.plates",
                )
            )
        return found or [""], files


def _folder(place: str | None, default: str) -> str:
    """The key of a folder of the project file, where `.` is the root."""
    return "" if place == "." else place or default
