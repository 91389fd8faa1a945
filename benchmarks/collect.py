"""`collect` against reading, joining and writing a plate with pandas, in one run.

The plate has 3,456 jobs of one site. pandas does the least that gives the same joined
table: it reads all CSVs, concatenates those of a kind, merges the three and writes one
Parquet file; `collect` writes five. Each side runs in a process of its own, whose peak
memory is what it grew by after its imports. Both sides must give the same values.

    .venv/bin/python -m benchmarks.collect
"""

import gc
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.common import Options, Report, scratch
from cpengine.model import Job
from cpengine.results.collect.collector import Collector
from cpengine.results.collect.names import files_of
from cpengine.results.collect.plate_csvs import JobCsvs, PlateCsvs
from cpengine.storage.store import Storage

JOBS, SHORT_JOBS, FEW = 3456, 400, 8
CELLS, FEATURES, TEMPLATES = 50, 150, 16
OBJECTS = ("Cells", "Nuclei", "Cytoplasm")
Side = Callable[[Path, int], Path]


def main() -> None:
    """Measure both sides in turn and print medians and their ratios."""
    options = Options.read(__doc__)
    report = Report(options)
    jobs = options.groups or (SHORT_JOBS if options.short else JOBS)
    with scratch() as folder:
        size = _make(folder / "csvs", jobs)
        report.say(
            f"{jobs} jobs of {CELLS} cells, {FEATURES} features in each of "
            f"{len(OBJECTS)} tables: {size / 1e6:.0f} MB of CSVs; "
            f"median of {options.rounds}"
        )
        found = {
            (side, count): [_run(side, folder, count) for _ in range(options.rounds)]
            for count in (jobs // FEW, jobs)
            for side in SIDES
        }
        _check(folder)
    for (side, count), rounds in found.items():
        seconds, peak = map(statistics.median, zip(*rounds, strict=True))
        report.say(f"{side:<9}{count:>6} jobs {seconds:>8.1f} s {peak:>8.0f} MB")
    for what, name in enumerate(("time", "memory")):
        ours, theirs = (
            statistics.median(result[what] for result in found[side, jobs])
            for side in SIDES
        )
        report.say(f"ratio {name}, pandas / cpengine: {theirs / ours:.2f}")
    report.end("collect")


def _make(folder: Path, jobs: int) -> int:
    """Write the CSVs of a plate; give their bytes."""
    random = np.random.default_rng(1)
    bodies = {
        name: [_lines(random.random((CELLS, FEATURES))) for _ in range(TEMPLATES)]
        for name in OBJECTS
    }
    features = ",".join(f"Intensity_Feature{number}" for number in range(FEATURES))
    for job in range(jobs):
        place = folder / _id(job)
        place.mkdir(parents=True)
        counts = ",".join(f"Count_{name}" for name in OBJECTS)
        image = f"ImageNumber,{counts}\n{job + 1},{CELLS},{CELLS},{CELLS}\n"
        (place / "Image.csv").write_text(image)
        for name in OBJECTS:
            parents = ",Parent_Cells,Parent_Nuclei" if name == "Cytoplasm" else ""
            lines = [f"ImageNumber,ObjectNumber,{features}{parents}"]
            for number, line in enumerate(bodies[name][job % TEMPLATES], 1):
                own = f",{number},{CELLS + 1 - number}" if parents else ""
                lines.append(f"{job + 1},{number},{line}{own}")
            (place / f"{name}.csv").write_text("\n".join([*lines, ""]))
    return sum(path.stat().st_size for path in folder.rglob("*.csv"))


def _lines(values: "np.ndarray[tuple[int, int], np.dtype[np.float64]]") -> list[str]:
    return [",".join(map(repr, row)) for row in values.tolist()]


def _id(job: int) -> str:
    return f"P-W{job // 9 + 1:03d}-{job % 9 + 1}"


def _run(side: str, folder: Path, jobs: int) -> tuple[float, float]:
    """Seconds and MB of one side."""
    command = [sys.executable, "-m", "benchmarks.collect", side, str(folder), str(jobs)]
    seconds, peak = json.loads(subprocess.check_output(command))
    return seconds, peak


def _cpengine(folder: Path, jobs: int) -> Path:
    storage = Storage(str(folder))
    found = []
    for number in range(jobs):
        values = zip(("PlateCsvs", "Well", "Site"), _id(number).split("-"), strict=True)
        group = tuple((f"Metadata_{key}", value) for key, value in values)
        place = f"csvs/{_id(number)}"
        sizes = storage.sizes(place)
        tables = {t: f"{place}/{name}" for t, name in files_of(sizes).tables.items()}
        job = Job("analysis", group, "", "", "", "")
        found.append(JobCsvs(job, tables, sum(sizes.values()), ""))
    plate = PlateCsvs("analysis", "P", "cpengine", tuple(found))
    Collector(storage, folder, force=True).collect(plate, lambda read: None)
    return folder / "cpengine" / "P.parquet"


def _pandas(folder: Path, jobs: int) -> Path:
    import pandas as pd

    tables = {
        name: pd.concat(
            [pd.read_csv(folder / "csvs" / _id(n) / f"{name}.csv") for n in range(jobs)]
        ).add_prefix(f"{name}_")
        for name in OBJECTS
    }
    joined = tables["Cytoplasm"]
    for name in ("Cells", "Nuclei"):
        joined = joined.merge(
            tables[name],
            how="left",
            left_on=["Cytoplasm_ImageNumber", f"Cytoplasm_Parent_{name}"],
            right_on=[f"{name}_ImageNumber", f"{name}_ObjectNumber"],
        )
    made = folder / "pandas.parquet"
    joined.to_parquet(made)
    return made


SIDES: dict[str, Side] = {"cpengine": _cpengine, "pandas": _pandas}


def _check(folder: Path) -> None:
    """End the benchmark if the sides' features differ."""
    from pyarrow import parquet

    ours, theirs = folder / "cpengine" / "P.parquet", folder / "pandas.parquet"
    for name in parquet.read_schema(ours).names:
        if "_Intensity_" in name:
            our_values, their_values = (
                parquet.read_table(file, columns=[name])[name].to_numpy()
                for file in (ours, theirs)
            )
            if not np.array_equal(our_values, their_values):
                sys.exit(f"{name}: differs")


def _measured(side: str, folder: Path, jobs: int) -> None:
    """Run one side in this process; print its seconds and MB as JSON."""
    import pandas as _  # noqa: F401 - both sides begin with the same imports

    gc.collect()
    before = _peak()
    begun = time.perf_counter()
    SIDES[side](folder, jobs)
    print(json.dumps([time.perf_counter() - begun, _peak() - before]))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1] in SIDES:
        _measured(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
