"""A whole plate with everything on S3 against the same plate on the local disk.

Both sides are `cpengine run`. The server is the one of the tests, in a process of its
own on this machine: nothing is far away, but the server takes its share of the cores,
which S3 would not. What it took is printed.

    .venv/bin/python -m benchmarks.remote [--short] [--save] [--slots N]
"""

import os
import statistics
from functools import partial
from itertools import count
from pathlib import Path

import psutil

from benchmarks.common import Options, Ran, Report, in_turn, median, say_sides, scratch
from benchmarks.work import (
    HOME,
    LOGS,
    RESULTS,
    TEN,
    Plate,
    engine,
    run_engine,
    say_plate,
    write_project,
)
from tests.services.s3.bucket_server import S3Server

ROOT = "plate"
LOCAL, REMOTE = "local root", "S3 root"


class Bucket:
    """A server with the plate in one bucket; each run's results get another."""

    def __init__(self, server: S3Server, plate: Plate) -> None:
        self._server = server
        self._number = count()
        self.cpu_seconds: list[float] = []
        server.make(ROOT)
        server.upload(ROOT, plate.folder / HOME, f"{HOME}/")

    def run(self, folder: Path, slots: int) -> Ran:
        """`cpengine run` with images, CSV, pipeline and results on the server."""
        server, results = self._server, f"results-{next(self._number)}"
        server.make(results)
        endpoint = ("[storage.s3]", f'endpoint = "{server.url}"')
        write_project(folder, f"s3://{ROOT}", f"s3://{results}", *endpoint)
        before = self._cpu()
        seconds = run_engine(folder, slots, os.environ | server.environ)
        self.cpu_seconds.append(self._cpu() - before)
        for key, data in server.objects(results).items():
            path = folder / "outputs" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        server.delete(results)
        return Ran.read(
            seconds, folder / "outputs" / RESULTS, folder / "outputs" / LOGS
        )

    def _cpu(self) -> float:
        times = psutil.Process(self._server.pid).cpu_times()
        return times.user + times.system


def main() -> None:
    """Measure both roots and print their ratio."""
    options = Options.read(__doc__)
    report = Report(options)
    with scratch() as folder, S3Server() as server:
        plate = TEN.plate(folder, options)
        compare(report, plate, Bucket(server, plate), options)
    report.end("remote")


def compare(report: Report, plate: Plate, bucket: Bucket, options: Options) -> None:
    """Run one plate from both roots."""
    slots = options.slots
    say_plate(report, plate, options)
    sides = {
        LOCAL: partial(engine, plate, slots=slots),
        REMOTE: partial(bucket.run, slots=slots),
    }
    ran = in_turn(sides, options.rounds)
    say_sides(report, ran, len(plate.groups), LOCAL)
    took = statistics.median(bucket.cpu_seconds)
    share = took / (slots * median(ran[REMOTE]))
    report.say(f"the server took {took:.1f} s of the cores: {share:.1%} of the slots")


if __name__ == "__main__":
    main()
