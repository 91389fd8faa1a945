"""Distributed-CellProfiler's job files, which `run.py submitJob` takes.

A job file has the keys of a message once, and `groups` with the metadata of each job.
"""

import json
import os
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cpengine.dcp.config import source_of
from cpengine.dcp.values import Found, Setting
from cpengine.errors import InputError, writing
from cpengine.group_names import METADATA, UNFIT, Group, check_ids
from cpengine.model import Job
from cpengine.output_structure import check_places, dcp_place_of, fault_of, normal

_PLACES = ("pipeline", "data_file", "input", "output")
_SHARED = (*_PLACES, "output_structure")
_DATA_FILES = (".csv", ".h5", ".txt")


@dataclass(frozen=True, slots=True)
class JobFile:
    """What a job file holds."""

    jobs: list[Job]
    notes: tuple[str, ...] = ()


def read(path: Path) -> list[Job]:
    """The jobs of a job file, in its order. See `parse`.

    Raises
    ------
    InputError
        It is missing, or as `parse`.
    """
    return load(path).jobs


def load(path: Path) -> JobFile:
    """The jobs of a job file, and what to say of it. Raises InputError as `parse`."""
    return parse(source_of(path), str(path))


def as_step(path: Path, step: str = "") -> Found:
    """A job file as a step of the project file; its groups stay in the file.

    Parameters
    ----------
    step
        The step's name; that of its pipeline if empty.

    Raises
    ------
    InputError
        As `load`.
    """
    read = load(path)
    job = read.jobs[0]
    step = step or as_name(job.data_file if job.batch_file else job.pipeline)
    folder, name = posixpath.split(job.data_file)
    values: dict[str, Any] = {
        "group": [key for key, _ in job.group],
        "groups": "batch" if job.batch_file else "csv",
        "input": job.input,
        "output": job.output,
        "output_structure": normal(job.output_structure),
    }
    if job.batch_file:
        values |= {"batch_file": name, "batch_path": folder or "."}
    else:
        values |= {"data_file": name, "data_path": folder or "."}
        folder, name = posixpath.split(job.pipeline)
        values |= {"pipeline": name, "pipeline_path": folder or "."}
    settings = {
        f"steps.{step}.{key}": Setting(value, f"{path}: {key}")
        for key, value in values.items()
    }
    return Found(settings, step, read.notes)


def as_name(place: str) -> str:
    """A file's name as steps and batches may be called, without its ending."""
    return re.sub(r"[^\w-]", "_", posixpath.splitext(posixpath.basename(place))[0])


def parse(source: str, path: str) -> JobFile:
    """The jobs of a job file: of no step, without ledger and fingerprint.

    A group is `{"Metadata": "K=V,K=V"}`, or a table of metadata, or what
    `cellprofiler --print-groups` prints, with image numbers. Other keys are left out.

    Parameters
    ----------
    path
        The file as messages name it.

    Raises
    ------
    InputError
        It is not JSON, misses a key, or holds a place or group that is wrong.
    """
    try:
        data = json.loads(source)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not JSON ({error}): mend it") from error
    shared = _shared(data, path)
    groups = data["groups"]
    if not isinstance(groups, list) or not groups:
        raise InputError(f"{path}: groups: is not a list of groups: write one")
    make = partial(Job, step="", **shared)
    jobs = []
    for number, entry in enumerate(groups, 1):
        group, image_sets = _group(entry, f"{path}: group {number}")
        jobs.append(make(group=group, image_sets=image_sets))
    _check_groups(jobs, path)
    printed = any(isinstance(entry, list) for entry in groups)
    note = f"{path}: groups: are as --print-groups prints them; DCP takes the tables"
    return JobFile(jobs, (f"{note} alone",) if printed else ())


def dump(jobs: Iterable[Job]) -> dict[str, str]:
    """Job files of jobs, by data file: a job file has but one.

    Raises
    ------
    InputError
        A place is not below the bucket, a value or place has what DCP cannot pass on,
        or jobs of one data file differ in other places.
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for job in jobs:
        shared = tuple(getattr(job, key) for key in _SHARED)
        if shared not in groups:
            _check_places(dict(zip(_SHARED, shared, strict=True)), f"job {job.id}")
        _check_group(job.group, f"job {job.id}")
        _check_place(job, f"job {job.id}")
        if job.whole_table:
            raise InputError(
                f"job {job.id}: takes a whole table, and DCP knows groups alone: let "
                "the pipeline group"
            )
        groups.setdefault(shared, []).append(job.metadata)
    files: dict[str, str] = {}
    for shared, metadata in groups.items():
        places = dict(zip(_SHARED, shared, strict=True))
        key = places["data_file"]
        if key in files:
            raise InputError(
                f"{key}: its jobs differ in pipeline, input or output: write them apart"
            )
        files[key] = _text(places, metadata)
    return files


def write(path: Path, jobs: Iterable[Job]) -> dict[Path, str]:
    """Write job files; several get the name of the data file's folder: its plate.

    Returns
    -------
    The data file of each.

    Raises
    ------
    InputError
        As `dump`; or a file is there already. Then nothing is written.
    StorageError
        A file cannot be written.
    """
    files = dump(jobs)
    paths = _paths(path, list(files))
    for target in paths.values():
        if os.path.lexists(target):
            raise InputError(f"{target}: is there already: name another, or remove it")
    for key, target in paths.items():
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(files[key], encoding="utf-8")
    return {target: key for key, target in paths.items()}


def _paths(path: Path, data_files: list[str]) -> dict[str, Path]:
    """The job file of each data file."""
    if len(data_files) == 1:
        return {data_files[0]: path}
    plates = {key: posixpath.basename(posixpath.dirname(key)) for key in data_files}
    for plate, times in Counter(plates.values()).items():
        if times > 1 or not plate:
            raise InputError(
                f"{path}: data files are not in folders of their plates' names: write "
                "one plate at a time, by --plate"
            )
    return {
        key: path.with_name(f"{path.stem}-{plate}{path.suffix}")
        for key, plate in plates.items()
    }


def _text(places: dict[str, str], metadata: Iterable[str]) -> str:
    places |= {"output_structure": normal(places["output_structure"])}
    head = {key: value for key, value in places.items() if value}
    lines = [f"  {json.dumps(key)}: {json.dumps(head[key])}," for key in head]
    groups = ",\n".join(f"    {json.dumps({'Metadata': text})}" for text in metadata)
    return "\n".join(["{", *lines, '  "groups": [', groups, "  ]", "}", ""])


def _shared(data: Any, path: str) -> dict[str, Any]:
    """What all jobs of a file have in common."""
    if not isinstance(data, dict):
        raise InputError(f"{path}: is not a job file: write a table in {{ }}")
    for key in (*_PLACES, "groups"):
        if key not in data:
            raise InputError(f"{path}: {key}: is missing: add it")
    shared = {key: data.get(key, "") for key in _SHARED}
    for key, value in shared.items():
        if not isinstance(value, str):
            raise InputError(f"{path}: {key}: {value!r} is not text: put it in quotes")
    # DCP's example has slashes at the end.
    shared |= {key: shared[key].rstrip("/") for key in ("input", "output")}
    _check_places(shared, path)
    return shared


def _check_places(places: Mapping[str, str], where: str) -> None:
    """Refuse what DCP cannot find, or cut out of its command line."""
    for key in _PLACES:
        place = places[key]
        if not place:
            raise InputError(f"{where}: {key}: is empty: name a place in the bucket")
        if place.startswith("/") or "://" in place:
            raise InputError(
                f"{where}: {key}: {place} is not a key of the bucket: write it without "
                "scheme and / before it"
            )
    for key in _SHARED:
        if re.search(r"[\s\x00-\x1f]", places[key]):
            raise InputError(
                f"{where}: {key}: {places[key]!r} has a blank, where DCP's command "
                "line breaks: rename it"
            )
    data = places["data_file"]
    if not data.endswith(_DATA_FILES):
        raise InputError(
            f"{where}: data_file: {data} is no .csv, .h5 or .txt: name one"
        )


def _group(entry: Any, where: str) -> tuple[Group, int]:
    """A group, and how many image sets it has, where that is said."""
    image_sets = 0
    match entry:
        case [{} as metadata, [*numbers]]:
            metadata, image_sets = dict(metadata), len(numbers)
        case {"Metadata": metadata}:
            pass
        case _:
            metadata = entry
    group = _pairs(metadata, where)
    _check_group(group, where)
    return group, image_sets


def _pairs(metadata: Any, where: str) -> Group:
    """A group from either form of Metadata."""
    if isinstance(metadata, str):
        split = [item.partition("=") for item in metadata.split(",")]
        if all(equals for _, equals, _ in split):
            return tuple((key, value) for key, _, value in split)
    elif isinstance(metadata, dict) and metadata:
        values = metadata.values()
        if all(type(value) in (str, int) for value in values):
            return tuple((key, str(value)) for key, value in metadata.items())
    raise InputError(
        f"{where}: {json.dumps(metadata)} is no metadata: write "
        '{"Metadata": "Metadata_Plate=P1,Metadata_Well=A01"}'
    )


def _check_group(group: Group, where: str) -> None:
    keys = [key for key, _ in group]
    for key, value in group:
        if not re.fullmatch(METADATA, key):
            raise InputError(
                f"{where}: {key!r} is no metadata: write Metadata_ and a name"
            )
        if keys.count(key) > 1:
            raise InputError(f"{where}: {key} is there twice: remove one")
        if UNFIT.search(value) or " " in value:
            raise InputError(
                f"{where}: {key}: {value!r} cannot name a group or folder: use no "
                "comma, equals sign, blank, slash or '..', and not nothing"
            )


def _check_place(job: Job, where: str) -> None:
    """Refuse a job whose results DCP would put elsewhere."""
    place = dcp_place_of(job.output_structure, job.group)
    if place != job.place:
        raise InputError(
            f"{where}: output_structure: DCP replaces name after name and comes to "
            f"{place}, not {job.place}: rename the column or value that has another's "
            "name in it"
        )


def _check_groups(jobs: list[Job], path: str) -> None:
    """Refuse groups that do not go together."""
    first = jobs[0]
    keys = {key for key, _ in first.group}
    seen: dict[frozenset[tuple[str, str]], int] = {}
    for number, job in enumerate(jobs, 1):
        if {key for key, _ in job.group} != keys:
            raise InputError(
                f"{path}: group {number}: has not the metadata of group 1, "
                f"{', '.join(sorted(keys))}: write the same in all"
            )
        same = seen.setdefault(frozenset(job.group), number)
        if same != number:
            raise InputError(
                f"{path}: group {number}: is group {same} again: remove it"
            )
    structure = first.output_structure
    if fault := fault_of(structure, keys):
        names = ", ".join(sorted(keys))
        raise InputError(f"{path}: output_structure: {fault}: name only {names}")
    groups = [job.group for job in jobs]
    try:
        check_ids(groups)
        check_places(groups, structure)
        for job in jobs:
            _check_place(job, f"job {job.id}")
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
