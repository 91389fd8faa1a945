"""Images degraded by known amounts: which `cpengine qc` flags, and what else.

CellProfiler measures four plates of 384 synthetic sites, and six sites of each again
after their images were degraded in each way. Of these values batches are drawn, of four
plates with so many sites each, of which one is degraded; those of 384 are the plates
themselves. The built-in thresholds judge them. Counted are images of one channel.
Then come the same batches without the bounds: however few sites are scored, and
deviations count however small they are; and plates alone that are scored, however few
sites they have. Last come plates alone of which most sites are empty or dim; the second
column is without the bound on contrast.

    .venv/bin/python -m benchmarks.quality [--save]
"""

import argparse
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from unittest.mock import patch

from benchmarks.common import RESULTS, header, scratch
from cpengine.config.qc import QcSection, ThresholdSection
from cpengine.results.qc import flags, numbers
from tests.results.qc.degraded import (
    DEGRADATIONS,
    MIXTURES,
    Count,
    Images,
    Measured,
    Mixture,
)

PLATES, WELLS, DEGRADED = 4, 96, 6
SITES = (3, 4, 9, 16, 384)
FEW = (3, 4, 5, 6, 7, 8, 10, 12, 16)
"""What `score_sites` is chosen from."""
SHARP, MANY = "half as bright", 1000
"""A way that changes no slope, and how many plates are drawn of each few sites."""
BATCHES, WHOLE = 100, 6
"""Drawn of each size and way; of whole plates there are not more."""
UNBOUND = QcSection(
    score_sites=1,
    thresholds={"ImageQuality_PowerLogLogSlope_*": ThresholdSection(low_mad=4)},
)

Counts = Mapping[str, Mapping[int, Count]]
"""By way and sites a plate."""


def main() -> None:
    """Measure, judge and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", action="store_true", help="keep the output")
    parser.add_argument("--short", action="store_true", help="smaller plates")
    given = parser.parse_args()
    lines = list(header(cellprofiler=True))
    sizes = SITES[:-1] if given.short else SITES
    with scratch() as folder:
        images = Images(folder / "demo", PLATES, 12 if given.short else WELLS, DEGRADED)
        images.write()
        command = [sys.executable, "-m", "cpengine", "run", "qc", "-C", images.folder]
        workers = ["--workers", str(os.cpu_count() or 1)]
        subprocess.run([*command, *workers], check=True, stdout=subprocess.DEVNULL)
        measured = images.measured()
        lines += [*table(measured, sizes), *mixed(measured)]
    print(*lines, sep="\n")
    if given.save:
        (RESULTS / "quality.txt").write_text("\n".join([*lines, ""]), encoding="utf-8")


def table(measured: Measured, sizes: tuple[int, ...]) -> Iterator[str]:
    """What is caught of each kind, and what is falsely flagged."""
    yield ""
    yield _row("sites a plate", [str(size) for size in sizes])
    yield "caught, of images that are"
    counts = counted(measured, sizes, QcSection(), PLATES)
    for way, of_size in counts.items():
        yield _row(f"  {way}", [_percent(of_size[size]) for size in sizes])
    yield "falsely flagged, of sound images"
    yield _row(f"  {PLATES} plates", _falsely(counts, sizes))
    alone = counted(measured, sizes, QcSection(), 1)
    yield _row("  1 plate", _falsely(alone, sizes))
    with _unbound():
        for plates in (PLATES, 1):
            before = counted(measured, sizes, UNBOUND, plates)
            name = f"  without the bounds, {plates} plate{'s' if plates > 1 else ''}"
            yield _row(name, _falsely(before, sizes))
    yield ""
    yield _row("sites of one plate", [str(size) for size in FEW])
    yield "falsely flagged if it is scored"
    yield _row("  deviations as they count", _sharp(measured, QcSection(score_sites=1)))
    with _unbound():
        yield _row("  deviations of any size", _sharp(measured, UNBOUND))


def mixed(measured: Measured) -> Iterator[str]:
    """What is falsely flagged of plates of which most sites are empty or dim."""
    yield ""
    yield "falsely flagged, of the sharp images of a plate of which"
    for mixture in MIXTURES:
        shares = [_share(measured, mixture)]
        with patch.object(flags, "CONTRAST", math.inf):
            shares.append(_share(measured, mixture))
        yield _row(f"  {mixture}", shares)


def _share(measured: Measured, mixture: Mixture) -> str:
    count = Count()
    for batch in mixture.batches(measured, BATCHES):
        count.add(batch, QcSection())
    return f"{100 * count.falsely / count.sound:.1f} %" if count.falsely else "none"


@contextmanager
def _unbound() -> Iterator[None]:
    with patch.object(numbers, "LEAST", 0.0):
        yield


def counted(
    measured: Measured, sizes: tuple[int, ...], settings: QcSection, plates: int
) -> Counts:
    """Judge batches of each way and size."""
    found = {way: {size: Count() for size in sizes} for way in DEGRADATIONS}
    for way, of_size in found.items():
        for size, count in of_size.items():
            batches = WHOLE if size == SITES[-1] else BATCHES
            for batch in measured.batches(way, size, count=batches, plates=plates):
                count.add(batch, settings)
    return found


def _percent(count: Count) -> str:
    return f"{100 * count.caught / count.degraded:.0f} %"


def _falsely(counts: Counts, sizes: tuple[int, ...]) -> list[str]:
    texts = []
    for size in sizes:
        falsely = sum(of_size[size].falsely for of_size in counts.values())
        sound = sum(of_size[size].sound for of_size in counts.values())
        texts.append(f"{100 * falsely / sound:.3f} %" if falsely else "none")
    return texts


def _sharp(measured: Measured, settings: QcSection) -> list[str]:
    """The part that is flagged of plates whose images are all sharp."""
    texts = []
    for size in FEW:
        count = Count()
        for batch in measured.batches(SHARP, size, count=MANY, plates=1):
            count.add(batch, settings)
        flagged, images = count.caught + count.falsely, count.degraded + count.sound
        texts.append(f"{100 * flagged / images:.3f} %")
    return texts


def _row(name: str, cells: list[str]) -> str:
    return f"{name:<34}" + "".join(f"{cell:>10}" for cell in cells)


if __name__ == "__main__":
    main()
