"""Put a job's files in their final place, in parallel, and nobody else's in danger."""

from collections.abc import Iterable
from pathlib import Path

from cpengine.errors import InputError
from cpengine.ledger import Ledger
from cpengine.model import Job
from cpengine.parallel import each


def files_of(folder: Path) -> dict[str, int]:
    """The files below a folder with their sizes in bytes."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def publish(job: Job, ledger: Ledger, output: Path, log: Path) -> dict[str, int]:
    """Put the files in place, over the job's own earlier ones but nobody else's.

    The markers of earlier runs are set aside first: from then on the old results are
    no longer whole. The done marker is for the caller to write, last.

    Raises
    ------
    InputError
        A file is another job's; nothing was published.
    StorageError
        A file cannot be put in place.
    """
    storage = ledger.storage
    files = files_of(output)
    own = ledger.earlier_files(job)
    if job.shares_place:
        _claim(job, ledger, files)
    ledger.set_aside(job)
    storage.publish(log, ledger.log(job))
    each(lambda name: storage.publish(output / name, _key(job, name)), files)
    gone = own - set(files)
    each(lambda name: storage.remove(_key(job, name)), gone)
    if job.shares_place:
        each(lambda name: ledger.disclaim(job, name), gone)
    return files


def _key(job: Job, name: str) -> str:
    return f"{job.destination}/{name}"


def _claim(job: Job, ledger: Ledger, names: Iterable[str]) -> None:
    """Make files of a shared place the job's own, before any is put there."""
    for name in names:
        owner = ledger.claim(job, name)
        if owner != job.id:
            raise InputError(
                f"{_key(job, name)} was made by {owner} already: give the pipeline's "
                "file names the well and the site"
            )
