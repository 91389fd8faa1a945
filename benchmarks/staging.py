"""Staging from S3 against `aws s3 cp` of the same files, in one run.

The server is moto's, on this machine, so both sides share its speed and its cores; the
ratio says what cpengine costs more or less than the tool that people use by hand. Both
sides copy the same images; cpengine does so job by job, as a run does.

    .venv/bin/python -m benchmarks.staging
"""

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.common import header, scratch
from cpengine.job.stage import Stager
from cpengine.model import Job
from cpengine.storage.cache import Cache
from cpengine.storage.filesystems import Access, S3Options
from cpengine.storage.roots import BUCKET, Places
from cpengine.storage.store import Storage
from tests.services.s3.bucket_server import S3Server

JOBS, CHANNELS, SIDE = 40, 5, 1080
ROUNDS = 5
IMAGE = os.urandom(SIDE * SIDE * 2)
AWS = [".tools/uv/bin/uv", "tool", "run", "--quiet", "--from", "awscli", "aws"]


def main() -> None:
    """Measure both sides in turn and print medians and their ratio."""
    print(*header(), sep="\n")
    with S3Server() as server, scratch() as folder:
        os.environ.update(server.environ)
        _fill(server)
        _aws(server, "--version")  # installs it
        sides: dict[str, Callable[[Path], None]] = {
            "cpengine, a job after the other": lambda to: _stage(server, to),
            "aws s3 cp --recursive": lambda to: _copy(server, to),
        }
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(ROUNDS):
            for name, side in sides.items():
                seconds[name].append(_timed(side, folder))
    _report({name: statistics.median(times) for name, times in seconds.items()})


def _fill(server: S3Server) -> None:
    """Images, one folder a job, and the CSV that lists them."""
    server.make("bench")
    names = [f"Orig{number}" for number in range(CHANNELS)]
    columns = [f"{kind}_{name}" for name in names for kind in ("FileName", "PathName")]
    lines = [",".join([*columns, "Metadata_Plate"])]
    for job in range(JOBS):
        places = [f"{name}.tif,{BUCKET}/images/{job}" for name in names]
        lines.append(",".join([*places, f"P{job}"]))
        for name in names:
            server.put("bench", f"images/{job}/{name}.tif", IMAGE)
    server.put("bench", "load_data.csv", "\n".join(lines).encode())
    server.put("bench", "any.cppipe", b"CellProfiler Pipeline:\n")


def _stage(server: S3Server, to: Path) -> None:
    access = Access(S3Options(endpoint=server.url))
    places = Places.single_root(Storage("s3://bench", access))
    for number in range(JOBS):
        job = Job(
            step="bench",
            group=(("Metadata_Plate", f"P{number}"),),
            pipeline="any.cppipe",
            data_file="load_data.csv",
            input="rules",
            output="out",
        )
        Stager(job, places, Cache.below(to, 1), to / str(number)).stage()


def _copy(server: S3Server, to: Path) -> None:
    _aws(server, "s3", "cp", "--recursive", "s3://bench/images", str(to))


def _aws(server: S3Server, *arguments: str) -> None:
    command = [*AWS, "--endpoint-url", server.url, *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _timed(side: Callable[[Path], None], parent: Path) -> float:
    folder = parent / "to"
    folder.mkdir()
    begun = time.perf_counter()
    side(folder)
    took = time.perf_counter() - begun
    copied = sum(p.stat().st_size for p in folder.rglob("*.tif"))
    assert copied == JOBS * CHANNELS * len(IMAGE), copied
    shutil.rmtree(folder)
    return took


def _report(medians: dict[str, float]) -> None:
    size = JOBS * CHANNELS * len(IMAGE) / 1e6
    print(f"{JOBS} jobs of {CHANNELS} images, {size:.0f} MB; median of {ROUNDS} rounds")
    ours, *others = medians.values()
    for name, seconds in medians.items():
        print(f"{name:<32} {seconds:7.2f} s {size / seconds:7.0f} MB/s")
    for name, theirs in zip(list(medians)[1:], others, strict=True):
        print(f"cpengine is {theirs / ours:.2f} times as fast as {name}")


if __name__ == "__main__":
    main()
