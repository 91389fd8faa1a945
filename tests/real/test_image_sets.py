"""What a host keeps of a CSV is what CellProfiler reads from it, for each group."""

import csv
import json
import random
import subprocess
from pathlib import Path

import pytest

import cpengine
from cpengine.cellprofiler.command import run_environment
from cpengine.cellprofiler.find import CellProfiler
from cpengine.cellprofiler.pool import PROGRAM

pytestmark = pytest.mark.cellprofiler

INSIDE = Path(__file__).with_name("image_sets.py")
QC = Path(cpengine.__file__).parent / "demo/pipelines/qc.cppipe"
CHANNELS = ("DNA", "ER", "RNA", "AGP", "Mito")
ODD = {
    "Metadata_Whole": ["1", "-7", "30000000"],
    "Metadata_Part": ["1", "2.5", "1e3"],
    "Metadata_Large": ["1", "3000000000", "2"],
    "Metadata_Code": ["25E5", "x", "007"],
    "Metadata_Name": ["Zelle Ä", "it's, quoted", ""],
    "Metadata_Empty": ["", "", ""],
}
"""Columns that LoadData types by all of their values."""


def _write(path: Path, wells: int, sites: int) -> None:
    """A CSV whose rows are in no order, so that CellProfiler numbers them anew."""
    rows = []
    for well in range(wells):
        for site in range(sites):
            row = {"Metadata_Plate": "P1", "Metadata_Well": f"W{well}"}
            row["Metadata_Site"] = str(site + 1)
            for name in CHANNELS:
                row[f"FileName_Orig{name}"] = f"{well}_{site} {name}.tif"
                row[f"PathName_Orig{name}"] = "/images/day 1"
            row |= {name: values[site % 3] for name, values in ODD.items()}
            rows.append(row)
    random.Random(1).shuffle(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_a_reused_sheet_gives_the_image_sets_that_cellprofiler_reads(
    cellprofiler: CellProfiler, tmp_path: Path
) -> None:
    _write(tmp_path / "load_data.csv", wells=11, sites=3)
    command = [cellprofiler.python, INSIDE, PROGRAM, QC, tmp_path / "load_data.csv"]
    ran = subprocess.run(
        [*map(str, command), str(tmp_path)],
        env=run_environment(cellprofiler.env, tmp_path) | {"PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    found = json.loads(ran.stdout.splitlines()[-1])
    assert found["from_sheet"] == [True] * 11
    for alone, reused in zip(found["alone"], found["reused"], strict=True):
        assert reused == alone
    numbers = [number for numbers, *_ in found["reused"] for number in numbers]
    assert sorted(numbers) == list(range(1, 34))
    (_, features, *_) = found["reused"][0]
    assert {"Group_Number", "Group_Index", "URL_OrigDNA", *ODD} <= features.keys()
