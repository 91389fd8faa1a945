"""Make the Parquet files of plates that are not there from the same results."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cpengine.errors import CpengineError, StorageError
from cpengine.ledger.ledger import Ledger
from cpengine.marker import MarkerState
from cpengine.results.collect import record
from cpengine.results.collect.names import IMAGE
from cpengine.results.collect.plate_csvs import Collected, CollectedFile, PlateCsvs
from cpengine.results.collect.record import CollectRecord
from cpengine.results.collect.work import Work
from cpengine.storage.store import Storage
from cpengine.system import scratch


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
            A CSV is damaged, or rows would be lost; nothing was published.
        StorageError
            A place cannot be read or written.
        """
        begun = time.monotonic()
        folder = scratch.fresh(self.scratch, "collect")
        try:
            sizes = self.storage.sizes(plate.folder)
            there = self._record(plate, sizes, folder)
            if there and not self.force and self._stands(plate, there, sizes):
                files, notes, made = _files(plate, there, sizes), there.notes, False
            else:
                plate = self._undamaged(plate)
                work = Work(plate, self.storage, folder, self.float32, there)
                files, notes = work.make(tell)
                made = True
        except CpengineError:
            raise
        except OSError as error:
            raise StorageError(
                f"{folder}: cannot be written ({error.strerror or error}): free space, "
                "or set executors.local.scratch"
            ) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        took = time.monotonic() - begun
        return Collected(plate, files, (*plate.notes, *notes), made, took)

    def _undamaged(self, plate: PlateCsvs) -> PlateCsvs:
        """The plate without the jobs whose markers cannot be read: who knows of what
        their files are.
        """
        jobs = [entry.job for entry in plate.jobs]
        ledger = Ledger(self.storage, jobs[0].ledger)
        done = f".{MarkerState.DONE}"
        names = [name for job in jobs for name in job.earlier if name.endswith(done)]
        return plate.without(ledger.damaged_markers(names))

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


def _files(
    plate: PlateCsvs, there: CollectRecord, sizes: dict[str, int]
) -> dict[str, CollectedFile]:
    return {
        plate.table(name): CollectedFile.of(made, sizes[name])
        for name, made in there.files.items()
    }
