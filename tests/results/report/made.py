"""Ledgers as runs leave them, made up: times, memory, counts, quality and failures."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cpengine.ledger import run_record
from cpengine.ledger.ledger import Ledger
from cpengine.model import Failure, FailureKind, Job, Outcome
from cpengine.project import Project
from cpengine.storage.parallel import each
from tests import build

VERSION = "4.2.8.1"
STEP = "analysis"
WELLS = [f"{row}{column:02d}" for row in "ABCDEFGHIJKLMNOP" for column in range(1, 25)]
SITES = [str(site) for site in range(1, 10)]
BEGIN = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
_CHANNELS = ("AGP", "DNA", "ER", "Mito", "RNA")
_MODULES = {
    "1 LoadData": 0.7,
    "2 CorrectIlluminationApply": 0.2,
    "3 IdentifyPrimaryObjects": 1.1,
    "4 IdentifySecondaryObjects": 1.6,
    "5 IdentifyTertiaryObjects": 0.2,
    "6 MeasureObjectSizeShape": 3.1,
    "7 MeasureObjectIntensity": 2.4,
    "8 MeasureObjectIntensityDistribution": 4.0,
    "9 MeasureTexture": 6.2,
    "10 MeasureColocalization": 2.2,
    "11 ExportToSpreadsheet": 0.3,
}


@dataclass(frozen=True, slots=True)
class Size:
    """How much a batch has of what."""

    plates: int = 1
    wells: int = len(WELLS)
    sites: int = len(SITES)
    quality: bool = True
    """Whether jobs have image quality besides counts."""
    hosts: int = 2
    slots: int = 8
    """Of each host."""
    names: Sequence[str] = ()
    """Of the plates, if they matter."""

    @property
    def jobs(self) -> int:
        return self.plates * self.wells * self.sites


def project(folder: Path, size: Size, *, left: float = 0.0) -> Project:
    """Write a project, with markers and folders of its jobs but for a part."""
    plates = size.names or [f"SQ{15167 + number:08d}" for number in range(size.plates)]
    built = build.project(
        folder, plates=plates, wells=WELLS[: size.wells], sites=SITES[: size.sites]
    )
    made = built.project()
    plan = made.plan(STEP)
    ledger = made.ledger(plan.step)
    jobs = list(plan.jobs)
    outcomes = list(_run(jobs[: round(len(jobs) * (1 - left))], size))
    each(ledger.record, outcomes)
    for outcome in outcomes:
        folder = ledger.storage.path(outcome.job.destination)
        folder.mkdir(parents=True, exist_ok=True)
        if outcome.failure:
            ledger.storage.write(ledger.log(outcome.job), _LOG.encode())
    _record(made, ledger, outcomes, ended=not left)
    return made


def _record(
    project: Project, ledger: Ledger, outcomes: list[Outcome], *, ended: bool
) -> None:
    versions = dict(outcomes[0].versions)
    record = run_record.begin(
        outcomes[0].job,
        len(outcomes),
        executor="local",
        versions=versions,
        workspace=project.places.workspace,
        softened={},
    )
    if ended:
        failed = sum(outcome.failure is not None for outcome in outcomes)
        counts = {"done": len(outcomes) - failed, "failed": failed, "not_run": 0}
        record = record.ended_with("ended", counts)
    record.write(ledger)


_LOG = "\n".join(
    [
        *(f"Image # 1, module {name}: Wall_time = 0.5 secs" for name in _MODULES),
        "Error detected during run of module IdentifyPrimaryObjects",
        "Traceback (most recent call last):",
        "ValueError: cannot find a threshold in an empty image",
    ]
)


def _run(jobs: list[Job], size: Size) -> Iterator[Outcome]:
    """What jobs would have come to, on slots that each take the next one."""
    chance = random.Random(7)
    slots = [
        (0.0, f"node{n // size.slots + 1:02d}") for n in range(size.hosts * size.slots)
    ]
    for job in jobs:
        slot = min(range(len(slots)), key=lambda n: slots[n])
        begun, host = slots[slot]
        outcome = _outcome(job, begun, host, chance, quality=size.quality)
        slots[slot] = begun + outcome.wall_s + 0.01, host
        yield outcome


def _outcome(
    job: Job, begun: float, host: str, chance: random.Random, *, quality: bool
) -> Outcome:
    well = dict(job.group)["Metadata_Well"]
    row, column = ord(well[0]) - ord("A"), int(well[1:]) - 1
    edge = 0.55 if row in (0, 15) or column in (0, 23) else 1.0
    dead = 0.15 if (row * 7 + column * 3) % 29 == 0 else 1.0
    cells = round(max(0.0, chance.gauss(180 - 3 * column, 14) * edge * dead))
    bulk = 0.5 + cells / 300
    module_s = {
        name: round(seconds * bulk * chance.uniform(0.9, 1.25), 2)
        for name, seconds in _MODULES.items()
    }
    fetching, waiting = chance.uniform(0.1, 0.8), chance.expovariate(2)
    running = sum(module_s.values()) + chance.uniform(0.2, 0.6)
    failed = chance.random() < (0.3 if dead < 1 else 0.002)
    phase_s = {"fetching": fetching, "waiting": waiting, "running": running}
    if not failed:
        phase_s["publishing"] = chance.uniform(0.02, 0.1)
    phase_s = {name: round(seconds, 3) for name, seconds in phase_s.items()}
    return Outcome(
        job=job,
        failure=_FAILURES[row % 2] if failed else None,
        attempt=2 if failed or chance.random() < 0.01 else 1,
        started=(BEGIN + timedelta(seconds=begun)).isoformat(timespec="milliseconds"),
        wall_s=round(sum(phase_s.values()), 3),
        phase_s=phase_s,
        module_s=module_s,
        cpu_s=round(0.93 * running, 2),
        peak_memory=round(chance.gauss(0.55, 0.05) * 2**30 + cells * 2**19),
        files={"Image.csv": 5000, "Cells.csv": 400 * cells},
        measures={} if failed else _measures(cells, row, column, chance, quality),
        host=host,
        versions={"cpengine": "0.1.0", "cellprofiler": VERSION, "python": "3.11.7"},
    )


_FAILURES = (
    Failure(
        FailureKind.CELLPROFILER,
        "ValueError: cannot find a threshold in an empty image",
        "IdentifyPrimaryObjects",
        "log",
    ),
    Failure(FailureKind.OUT_OF_MEMORY, "held 2.1 of 2.0 GB"),
)


def _measures(
    cells: int, row: int, column: int, chance: random.Random, quality: bool
) -> dict[str, float]:
    found: dict[str, float] = {
        "Count_Cells": cells,
        "Count_Cytoplasm": cells,
        "Count_Nuclei": cells + chance.randrange(4),
        "ModuleErrors": 0,
    }
    drift = math.hypot(row - 8, column - 12) / 20
    for channel in _CHANNELS if quality else ():
        for name, base in {
            "PowerLogLogSlope": -2.2,
            "FocusScore": 0.02,
            "PercentMaximal": 0.01,
            "MedianIntensity": 0.04,
            "MeanIntensity": 0.05,
        }.items():
            value = base * (1 + 0.3 * drift) * chance.uniform(0.95, 1.05)
            found[f"ImageQuality_{name}_Orig{channel}"] = float(f"{value:.6g}")
    return found
