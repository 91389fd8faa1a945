"""Batches whose quality step has run, made without CellProfiler, for tests."""

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from cpengine.model import Job, Outcome
from cpengine.project import Project
from cpengine.results.qc.images import Row, SiteKey, SiteMeasures, parse
from tests import build
from tests.build import Built

VERSION = "4.2.8.1"
SLOPE = "ImageQuality_PowerLogLogSlope_OrigDNA"
MAXIMAL = "ImageQuality_PercentMaximal_OrigDNA"
MEAN = "ImageQuality_MeanIntensity_OrigDNA"
NAMES = ("Metadata_Plate", "Metadata_Well", "Metadata_Site")

Measures = Mapping[str, float | str]


def sites_of(
    measure: str, *plates: Sequence[float | str], wells: Sequence[str] = ("A01",)
) -> SiteMeasures:
    """Values of one measure: plates P1, P2, ...; the wells' sites in turn."""
    rows: list[Row] = []
    for number, values in enumerate(plates, 1):
        named = {
            SiteKey(f"P{number}", wells[i % len(wells)], str(i // len(wells) + 1)): {
                measure: value
            }
            for i, value in enumerate(values)
        }
        rows += parse(image_csv(named), "Image.csv", ["*_*"])
    return SiteMeasures.of(rows)


def image_csv(rows: Mapping[SiteKey, Measures]) -> str:
    """An Image.csv with some of the columns that CellProfiler writes."""
    names = list(dict.fromkeys(name for values in rows.values() for name in values))
    header = ["ImageNumber", *NAMES, *names, "FileName_OrigDNA"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for number, (key, values) in enumerate(rows.items(), 1):
        texts = [str(values.get(name, "")) for name in names]
        writer.writerow([number, *key, *texts, "a,b.tif"])
    return text.getvalue()


def sound(count: int) -> list[float]:
    """Slopes of sound sites: their median is -2, their MAD 0.05."""
    return [-2 + 0.05 * ((i % 5) - 2) for i in range(count)]


def built(
    root: Path,
    *,
    plates: Sequence[str] = ("P1",),
    wells: Sequence[str] = ("A01", "A02", "A03"),
    sites: Sequence[str] = ("1", "2"),
    toml: str = "",
) -> Built:
    """A project whose qc groups by well; nothing has run."""
    return build.project(
        root,
        pipeline="qc.cppipe",
        data_file="load_data.csv",
        tags="Plate,Well",
        plates=plates,
        wells=wells,
        sites=sites,
        toml=toml,
    )


def ran(
    project: Project,
    values: Mapping[SiteKey, Measures],
    *,
    step: str = "qc",
    left: Collection[str] = (),
    name: str = "Image.csv",
) -> None:
    """Publish an Image.csv of each job and record the job as done, but for some."""
    plan = project.plan(step)
    ledger = project.ledger(plan.step)
    for job in plan.jobs:
        mine = {key: v for key, v in values.items() if _of(job, key)}
        if job.id not in left:
            text = image_csv(mine)
            project.places.outputs.write(f"{job.destination}/{name}", text.encode())
            versions = {"cellprofiler": VERSION}
            ledger.record(Outcome(job, files={name: len(text)}, versions=versions))


def _of(job: Job, key: SiteKey) -> bool:
    group = dict(job.group)
    return all(group.get(n, v) == v for n, v in zip(NAMES, key, strict=True))


def plate(
    values: Sequence[float],
    *,
    plates: Sequence[str] = ("P1",),
    wells: Sequence[str] = ("A01", "A02", "A03"),
    sites: Sequence[str] = ("1", "2"),
) -> dict[SiteKey, dict[str, float | str]]:
    """Measures of all sites; `values` are the slopes, again and again."""
    keys = [SiteKey(p, w, s) for p in plates for w in wells for s in sites]
    return {
        key: {SLOPE: values[i % len(values)], MAXIMAL: 0.0015, MEAN: 0.1 + 0.01 * i}
        for i, key in enumerate(keys)
    }
