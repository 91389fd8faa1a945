"""Looking at a plate on S3 before it runs, against a request an image.

One side is what `cpengine check` does with one step of 384 wells, 9 sites and 5
channels: plan, CSV, pipeline and 17,280 images, from listings. The other only asks S3
for each image, 16 at a time, as scripts do that look whether files exist. The S3 server
is that of the tests, in a process of its own on this machine, so a request takes a
millisecond where S3 takes tens: what requests cost is counted, too.

    .venv/bin/python -m benchmarks.check [--short] [--save] [--rounds N]
"""

import os
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.common import Options, Report, scratch
from cpengine.plates import Part
from cpengine.project import Project
from cpengine.run.session import Steps
from cpengine.storage.roots import BUCKET
from tests import build
from tests.services.s3.bucket_server import S3Server

CHANNELS = ("DNA", "ER", "RNA", "AGP", "Mito")
ROWS = "ABCDEFGHIJKLMNOP"
SITES = range(1, 10)
PLACE = "projects/proj/B1"
ROOT = "plate"


def main() -> None:
    """Measure both and print their ratio."""
    options = Options.read(__doc__, rounds=3)
    report = Report(options)
    columns = range(1, 4 if options.short else 25)
    wells = [f"{row}{column:02d}" for row in ROWS for column in columns]
    with scratch() as folder, S3Server() as server:
        os.environ.update(server.environ)
        project, keys = _plate(server, folder, wells)
        report.say()
        report.say(f"{len(wells)} wells, {len(SITES)} sites, {len(keys)} images on S3")
        sides: dict[str, Callable[[], None]] = {
            "cpengine check": lambda: _ours(project),
            "a request an image": lambda: _theirs(server, keys),
        }
        times: dict[str, list[float]] = {name: [] for name in sides}
        counts: dict[str, Counter[str]] = {}
        for _ in range(options.rounds):
            for name, side in sides.items():
                server.reset_counts()
                begun = time.monotonic()
                side()
                times[name].append(time.monotonic() - begun)
                counts[name] = server.counts()
    for name in sides:
        asked = ", ".join(f"{n} {what}" for what, n in sorted(counts[name].items()))
        report.say(
            f"{name:20s} {min(times[name]):6.2f} to {max(times[name]):6.2f} s: {asked}"
        )
    ours, theirs = (sorted(times[name])[len(times[name]) // 2] for name in sides)
    report.say(f"ratio a request an image / cpengine check: {theirs / ours:.1f}")
    report.end("check")


def _plate(
    server: S3Server, folder: Path, wells: list[str]
) -> tuple[Project, list[str]]:
    """A sound plate in a bucket; give its project, and the keys of its images."""
    built = build.project(folder / "few")
    server.make(ROOT)
    server.upload(ROOT, built.root / "projects", "projects/")
    rows = []
    for well in wells:
        for site in SITES:
            row = {"Metadata_Plate": "P1", "Metadata_Well": well}
            row["Metadata_Site"] = str(site)
            row["FileName_IllumDNA"] = "P1_IllumDNA.npy"
            row["PathName_IllumDNA"] = f"{BUCKET}/{PLACE}/illum/P1"
            for channel in CHANNELS:
                row[f"FileName_Orig{channel}"] = f"{well}_s{site}_{channel}.tif"
                row[f"PathName_Orig{channel}"] = f"{BUCKET}/{PLACE}/images/P1"
            rows.append(row)
    key = built.csv.relative_to(built.root).as_posix()
    server.put(ROOT, key, build.csv_text(rows).encode())
    names = [row[f"FileName_Orig{channel}"] for row in rows for channel in CHANNELS]
    server.fill(ROOT, names, prefix=f"{PLACE}/images/P1/", text="image")
    storage = (
        f'[storage]\nroot = "s3://{ROOT}"\n[storage.s3]\nendpoint = "{server.url}"\n'
    )
    text = built.toml.read_text().replace('[storage]\nlayout = "default"\n', storage)
    place = folder / "project/cpengine.toml"
    build.write(place, text)
    return Project.load(place), [f"{PLACE}/images/P1/{name}" for name in names]


def _ours(project: Project) -> None:
    (found,) = Steps(project, ["analysis"], Part(), "4.2.8.1").checked()
    assert found.findings == (), found.findings


def _theirs(server: S3Server, keys: list[str]) -> None:
    import boto3

    s3 = boto3.client("s3", endpoint_url=server.url)
    with ThreadPoolExecutor(16) as pool:
        for head in pool.map(lambda key: s3.head_object(Bucket=ROOT, Key=key), keys):
            assert head["ContentLength"]


if __name__ == "__main__":
    main()
