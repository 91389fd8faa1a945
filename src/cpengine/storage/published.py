"""The files and folders that jobs have published, from listings alone."""

import posixpath
from array import array
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain

from cpengine.model import Job
from cpengine.storage import keys
from cpengine.storage.entry import Entry
from cpengine.storage.parallel import each
from cpengine.storage.store import Storage

_FEW = 20
"""Up to so many jobs their own folders are listed, else the whole output."""
_JOBS_A_LISTING = 20
"""Where a listing of a folder tells of fewer jobs, all files are listed instead: that
takes one request for a thousand of them."""


def trees(storage: Storage, jobs: Sequence[Job]) -> Iterable[dict[str, int]]:
    """Sizes in bytes of the files of each job's folder, by their name below it.

    Parameters
    ----------
    jobs
        Jobs of one step.
    """
    for files in files_of_jobs(storage, jobs):
        yield {name: entry.size for name, entry in files.items()}


def files_of_jobs(storage: Storage, jobs: Sequence[Job]) -> Iterable[dict[str, Entry]]:
    """The files of each job's folder, by their name below it, as `trees`."""
    if len(jobs) <= _FEW:
        return [storage.files(job.destination) for job in jobs]
    found: dict[str, dict[str, Entry]] = {job.place: {} for job in jobs}
    depths = {place.count("/") + 1 for place in found}
    for path, entry in storage.files(jobs[0].output).items():
        parts = path.split("/")
        for depth in depths:
            place = "/".join(parts[:depth])
            if place in found and len(parts) > depth:
                found[place]["/".join(parts[depth:])] = entry
    return [found[job.place] for job in jobs]


def without_folder(storage: Storage, jobs: Sequence[Job]) -> list[int]:
    """Which jobs have no folder, by number; folders are listed, and none is opened.

    Of a folder that jobs share, all of them have it or none.

    Parameters
    ----------
    jobs
        Jobs of one step.
    """
    if not jobs:
        return []
    inside: dict[str, array[int]] = {}
    for number, job in enumerate(jobs):
        folder, _ = _split(job)
        inside.setdefault(folder, array("L")).append(number)
    output = keys.normal(jobs[0].output)
    names = names_in(storage, output, list(inside), len(jobs))

    def absent(folder: str) -> list[int]:
        there = names(folder)
        return [
            number for number in inside[folder] if _split(jobs[number])[1] not in there
        ]

    return sorted(chain.from_iterable(each(absent, inside, storage.at_once(output))))


def _split(job: Job) -> tuple[str, str]:
    """The folder of the output that a job's lies in, and its name there."""
    return posixpath.split(posixpath.normpath(job.place))


def names_in(
    storage: Storage, output: str, folders: Sequence[str], jobs: int
) -> Callable[[str], Collection[str]]:
    """What tells the names in a folder: a listing of it, or one of all files.

    Parameters
    ----------
    output
        What the folders are below.
    jobs
        How many of them the folders tell of.
    """
    few = len(folders) <= max(_FEW, jobs // _JOBS_A_LISTING)
    if few or storage.is_local(output):
        return lambda folder: storage.names(posixpath.join(output, folder))
    above = posixpath.commonpath(folders)
    found: dict[str, set[str]] = {folder: set() for folder in folders}
    for path in storage.tree(posixpath.join(output, above)):
        *parts, _ = posixpath.join(above, path).split("/")
        for depth in range(len(parts)):
            folder = "/".join(parts[:depth])
            if folder in found:
                found[folder].add(parts[depth])
    return found.__getitem__
