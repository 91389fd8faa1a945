"""Publishing on a local disk so that it outlasts a power cut, against plain moves.

Both sides do what `run_job` does when CellProfiler has ended: the files of a job are
moved into place and its marker is written. One asks the disk for nothing, as cpengine
did before; the other is cpengine as it is. Files are as fresh as after a job. The sides
take turns, and which begins; between them the disk is left to finish.

    .venv/bin/python -m benchmarks.publish [--save]
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.common import RESULTS, header, scratch
from cpengine.job.publish import files_of, laid_beside, publish
from cpengine.job.turns import turn
from cpengine.ledger.ledger import Ledger
from cpengine.model import Job, Outcome
from cpengine.storage.store import Storage

JOBS, FILES, ROUNDS = 10, 20, 10
CONTENT = os.urandom(200_000)
SIDES = ("durable", "just moved")
JOB_S = 10.0
"""What CellProfiler takes for a usual job."""

Seconds = tuple[float, float]
"""Wall and CPU."""


def main() -> None:
    """Measure both sides in turn and print medians and their ratios."""
    lines = header()
    found: dict[str, list[Seconds]] = {side: [] for side in SIDES}
    for number in range(ROUNDS):
        for side in SIDES[:: -1 if number % 2 else 1]:
            os.sync()
            with scratch() as folder, _asked(durable=side == SIDES[0]):
                found[side] += [_job(folder, f"{number}-{n}") for n in range(JOBS)]
    lines += _report(found)
    print(*lines, sep="\n")
    if "--save" in sys.argv:
        (RESULTS / "publish.txt").write_text("\n".join([*lines, ""]), "utf-8")


def _report(found: dict[str, list[Seconds]]) -> Iterator[str]:
    size = len(CONTENT) / 1e3
    yield f"{FILES} files of {size:.0f} kB a job; median of {ROUNDS * JOBS} jobs a side"
    durable, moved = ([*zip(*found[side], strict=True)] for side in SIDES)
    for name, ours, theirs in zip(("wall", "CPU"), durable, moved, strict=True):
        with_, without = median(ours), median(theirs)
        yield (
            f"{name:<5} durable {1e3 * with_:6.1f} ms, just moved {1e3 * without:6.1f} "
            f"ms: {with_ / without:.2f} times; {(with_ - without) / JOB_S:.2%} of a "
            f"job of {JOB_S:.0f} s more"
        )


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


def _job(folder: Path, name: str) -> Seconds:
    """Publish a job's files; give the seconds that took."""
    group = (("Metadata_Site", name),)
    job = Job("s", group, "p", "f", "in", "out", ledger="ledger", run=1)
    output, log = folder / name / "output", folder / name / "log"
    output.mkdir(parents=True)
    for number in range(FILES):
        (output / f"{number}.csv").write_bytes(CONTENT)
    log.touch()
    ledger = Ledger(Storage(str(folder)), job.ledger)
    wall, cpu = time.perf_counter(), time.process_time()
    files = files_of(output)
    with (
        laid_beside(job, ledger, output, files) as parts,
        turn(ledger, job, "0", files) as taken,
    ):
        publish(taken, parts, log)
    ledger.record(Outcome(job, files=files, versions={"cellprofiler": "0"}))
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
