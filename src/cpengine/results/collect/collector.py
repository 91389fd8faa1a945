"""Make the Parquet files of plates that are not there from the same results."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cpengine.errors import InputError
from cpengine.ledger.ledger import Ledger
from cpengine.marker import MarkerState
from cpengine.results.collect import record
from cpengine.results.collect.names import IMAGE
from cpengine.results.collect.plate_csvs import Collected, CollectedFile, PlateCsvs
from cpengine.results.collect.record import CollectRecord
from cpengine.results.collect.work import Work
from cpengine.storage.store import Storage
from cpengine.system import scratch
from cpengine.wording import counted


@dataclass(frozen=True, slots=True)
class Collector:
    """Makes the files of plates.

    Parameters
    ----------
    scratch
        The folder for work in progress; it must hold a plate's numbers twice.
    force
        Make files that are there, too.
    """

    storage: Storage
    scratch: Path
    float32: bool = False
    force: bool = False

    def collect(self, plate: PlateCsvs, tell: Callable[[int], None]) -> Collected:
        """Make a plate's files, unless they are there and from the same results.

        Parameters
        ----------
        tell
            Called with the number of jobs whose CSVs have been read since.

        Raises
        ------
        InputError
            A CSV is damaged, rows would be lost, or results were replaced meanwhile;
            nothing was published.
        StorageError
            A place cannot be read or written.
        """
        begun = time.monotonic()
        if not plate.jobs:
            raise InputError("no CSVs in the folders of its done jobs: run them again")
        with scratch.folder(self.scratch, "collect") as folder:
            sizes = self.storage.sizes(plate.folder)
            there = self._record(plate, sizes, folder)
            if there and not self.force and self._stands(plate, there, sizes):
                files, notes, made = _files(plate, there, sizes), there.notes, False
            else:
                work = self._made(plate, folder, tell)
                files, notes = work.publish(there), tuple(work.notes)
                plate, made = work.plate, True
        took = time.monotonic() - begun
        return Collected(plate, files, (*plate.notes, *notes), made, took)

    def _made(
        self, plate: PlateCsvs, folder: Path, tell: Callable[[int], None]
    ) -> Work:
        """The plate's files in a scratch folder, of results that all stand."""
        ledger = Ledger(self.storage, plate.jobs[0].job.ledger)
        found = ledger.contents(job.marker for job in plate.jobs if job.marker)
        if None in found.values():
            _refuse_changed(ledger, plate)
        try:
            recorded = plate.as_recorded(found)
            work = Work(recorded, self.storage, folder, self.float32)
            work.make(tell)
        except InputError:  # it may be because a run was replacing them
            _refuse_changed(ledger, plate)
            raise
        _refuse_changed(ledger, plate)
        return work

    def _record(
        self, plate: PlateCsvs, sizes: dict[str, int], folder: Path
    ) -> CollectRecord | None:
        """What the files that are there were made from; None if that is not known."""
        image, joined = plate.file(IMAGE), plate.file("")
        ours = [n for n in sizes if plate.is_file(n) and n != joined]
        if not ours:
            return None
        name = image if image in ours else min(ours, key=sizes.__getitem__)
        key = f"{plate.folder}/{name}"
        if self.storage.is_local(key):
            return record.read(self.storage.path(key))
        self.storage.fetch(key, folder / name)
        return record.read(folder / name)

    def _stands(
        self, plate: PlateCsvs, there: CollectRecord, sizes: dict[str, int]
    ) -> bool:
        same = there.same(plate.record(float32=self.float32))
        return same and all(name in sizes for name in there.files)


def _refuse_changed(ledger: Ledger, plate: PlateCsvs) -> None:
    """Refuse a plate of which results were replaced since its jobs were listed."""
    now = ledger.markers()
    changed = [
        job.id
        for job in (entry.job for entry in plate.jobs)
        if _done(job.earlier) != _done(now.get(job.id, ()))
    ]
    if changed:
        raise InputError(
            f"{counted(len(changed), 'job')} run again since they were listed (first: "
            f"{changed[0]}): collect it again when the run has ended"
        )


def _done(markers: Iterable[str]) -> set[str]:
    return {name for name in markers if name.endswith(f".{MarkerState.DONE}")}


def _files(
    plate: PlateCsvs, there: CollectRecord, sizes: dict[str, int]
) -> dict[str, CollectedFile]:
    return {
        plate.table(name): CollectedFile.of(made, sizes[name])
        for name, made in there.files.items()
    }
