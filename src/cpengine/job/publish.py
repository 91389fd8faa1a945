"""Put a job's files in their final place, in parallel, and nobody else's in danger."""

import contextlib
import logging
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from cpengine.errors import InputError
from cpengine.job.turns import Taken
from cpengine.ledger.claims import Claims
from cpengine.ledger.ledger import Ledger
from cpengine.ledger.past_claims import MADE_ALREADY
from cpengine.model import Job
from cpengine.output_structure import unnamed
from cpengine.storage import contents, keys
from cpengine.storage.parallel import each
from cpengine.storage.store import Storage
from cpengine.wording import counted

_LOG = logging.getLogger(__name__)
_TABLES = (".csv", ".txt", ".sql", ".db", ".properties")
"""How the names of files end that CellProfiler writes and no LoadData reads."""
_MOST = 500


def files_of(folder: Path) -> dict[str, int]:
    """The files below a folder with their sizes in bytes."""
    start = len(f"{folder}/")
    paths = (
        os.path.join(place, name)
        for place, _, names in os.walk(folder)
        for name in names
    )
    files = sorted(filter(os.path.isfile, paths))
    return {path[start:]: os.path.getsize(path) for path in files}


def digests_of(folder: Path, names: Collection[str]) -> dict[str, str]:
    """What tells the contents of those files below a folder that are no tables.

    Later steps may read them. Of very many files it is none, as markers stay small.
    """
    taken = [name for name in names if not name.lower().endswith(_TABLES)]
    if len(taken) > _MOST:
        return {}
    return {name: contents.digest_of(folder / name) for name in taken}


@contextlib.contextmanager
def laid_beside(
    job: Job, ledger: Ledger, output: Path, names: Iterable[str]
) -> Iterator[Mapping[str, Path]]:
    """Lay files beside their places, so that what is there stays if that fails.

    Whatever has not been published by the end is removed.

    Parameters
    ----------
    names
        The files, as `files_of` gave them for `output`.

    Raises
    ------
    StorageError
        There is no room for them, or no right to write there.
    """
    storage, parts = ledger.storage, dict[str, Path]()
    if ledger.done_markers(job) and not storage.is_local(job.destination):
        storage.check_writable(job.destination)  # before results are given up for it
    try:
        for name in names:
            parts[name] = storage.move_beside(output / name, _key(job, name))
        yield parts
    finally:
        for part in parts.values():
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def publish(taken: Taken, parts: Mapping[str, Path], log: Path) -> None:
    """Put files in place, over the job's own earlier ones but nobody else's.

    The markers of earlier runs are set aside first: from then on the old results are
    no longer whole. The done marker is for the caller to write, last; by then a power
    cut leaves all that it stands for.

    Parameters
    ----------
    parts
        The files, as `laid_beside` gives them.

    Raises
    ------
    InputError
        A file is another job's; nothing was published.
    StorageError
        A file cannot be put in place.
    """
    job, ledger = taken.job, taken.ledger
    storage = ledger.storage
    own = ledger.earlier_files(job) | set(filter(keys.is_below, taken.left_over))
    claims = Claims.of_job(ledger, job)
    if job.shares_place:
        _claim(claims, parts, own)
    storage.publish(log, ledger.log(job))
    taken.set_aside()
    at_once = storage.at_once(job.destination)

    def put(name: str) -> None:
        with taken.replacing():
            storage.publish(parts[name], _key(job, name))

    each(put, parts, at_once)
    stale = _in_place(job, storage, own - set(parts))
    gone = {name for name in stale if _is_own(claims, name)}
    each(lambda name: storage.remove(_key(job, name)), gone, at_once)
    if job.shares_place:
        each(claims.give_up, gone, at_once)
        claims.sync(parts)
    storage.sync(_key(job, name) for name in parts)


def _key(job: Job, name: str) -> str:
    return keys.below(job.destination, name)


def _in_place(job: Job, storage: Storage, names: Collection[str]) -> set[str]:
    """Those of earlier runs' files that lie in the job's folder itself.

    Whoever writes a marker names what is removed: behind a link that could be any file.
    """
    found = {n for n in names if not storage.is_behind_link(job.destination, n)}
    if left := len(names) - len(found):
        _LOG.warning(
            "%s: %s of earlier runs behind a link: not removed: remove by hand what is "
            "made no more",
            storage.url(job.destination),
            counted(left, "file"),
        )
    return found


def _claim(claims: Claims, names: Iterable[str], own: Collection[str]) -> None:
    """Make files of a shared place the job's own, before any is put there.

    A job that cannot have all of them takes none from others.
    """
    taken = []
    for name in names:
        owner = _owner(claims, name, own)
        if not owner and name not in own:
            taken.append(name)
        if owner and not claims.is_own(owner):
            each(claims.give_up, taken)
            key, cure = _key(claims.job, name), _cure_of_clash(claims.job)
            by = claims.shown(owner)
            raise InputError(f"{key} {MADE_ALREADY} {by} already: {cure}")


def _cure_of_clash(job: Job) -> str:
    """What to do where a job may not have the name of a file."""
    if job.shared:
        return "give this step another output, or its files other names"
    missing = unnamed(job.output_structure, [key for key, _ in job.group])
    return (
        f"name {' and '.join(missing)} in output_structure or in the pipeline's file "
        "names, or run again, if the table was corrected"
    )


def _owner(claims: Claims, name: str, own: Collection[str]) -> str:
    """Claim a file, and give its owner until now.

    Steps may have come to share a place after one of them had published there.
    """
    job, owner = claims.job, claims.claim(name)
    if not job.shared or owner or name in own:
        return owner
    there = claims.ledger.storage.exists(_key(job, name))
    if there and not claims.is_released(name):
        claims.give_up(name)
        return "another step"
    return owner


def _is_own(claims: Claims, name: str) -> bool:
    """Whether a file that the job has made is still its own."""
    if not claims.job.shares_place:
        return True
    owner = claims.claim(name)
    return not owner or claims.is_own(owner)
