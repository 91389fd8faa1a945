"""Publishing on a local disk so that it outlasts a power cut, against plain moves.

Both sides do what `run_job` does when CellProfiler has ended: the files of a job are
moved into place and its marker is written. One asks the disk for nothing, as cpengine
did before; the other is cpengine as it is. Files are as fresh as after a job.

    .venv/bin/python -m benchmarks.publish
"""

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.common import header, scratch
from cpengine.job.publish import files_of, publish
from cpengine.ledger.ledger import Ledger
from cpengine.model import Job, Outcome
from cpengine.storage.store import Storage

JOBS, FILES, ROUNDS = 40, 20, 5
CONTENT = os.urandom(200_000)
SIDES = ("durable", "just moved")
JOB_S = 10.0
"""What CellProfiler takes for a usual job."""


def main() -> None:
    """Measure both sides in turn and print medians and their ratio."""
    print(*header(), sep="\n")
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(ROUNDS):
        for side in SIDES:
            with scratch() as folder, _asked(durable=side == SIDES[0]):
                seconds[side] += [_job(folder, f"{number}-{n}") for n in range(JOBS)]
    durable, moved = (statistics.median(seconds[side]) for side in SIDES)
    size, share = len(CONTENT) / 1e3, (durable - moved) / JOB_S
    print(f"{FILES} files of {size:.0f} kB a job, {ROUNDS} rounds of {JOBS} jobs")
    print(f"durable {1e3 * durable:.1f} ms a job, just moved {1e3 * moved:.1f} ms")
    print(f"durable takes {durable / moved:.1f} times as long: {share:.2%} of a job of")
    print(f"{JOB_S:.0f} s more, outside its slot")


@contextmanager
def _asked(*, durable: bool) -> Iterator[None]:
    """Let the disk be asked, or not."""
    asked = os.fsync
    try:
        if not durable:
            os.fsync = lambda opened: None
        yield
    finally:
        os.fsync = asked


def _job(folder: Path, name: str) -> float:
    """Publish a job's files; give the seconds that took."""
    job = Job("s", (("Metadata_Site", name),), "p", "f", "in", "out", ledger="ledger")
    output, log = folder / name / "output", folder / name / "log"
    output.mkdir(parents=True)
    for number in range(FILES):
        (output / f"{number}.csv").write_bytes(CONTENT)
    log.touch()
    ledger = Ledger(Storage(str(folder)), job.ledger)
    begun = time.perf_counter()
    files = files_of(output)
    publish(job, ledger, output, files, log)
    ledger.record(Outcome(job, files=files, versions={"cellprofiler": "0"}))
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
