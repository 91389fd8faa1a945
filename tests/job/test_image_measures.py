"""What outcomes keep of a job's image table."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from cpengine.job import image_measures
from cpengine.job.run_job import run_job
from cpengine.ledger.ledger import Ledger
from cpengine.model import Outcome
from cpengine.project import Project
from cpengine.storage.store import Storage
from cpengine.testing import jobs, machine

SLOPE = "ImageQuality_PowerLogLogSlope_OrigDNA"


def table(folder: Path, *rows: Mapping[str, object], name: str = "Image.csv") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["ImageNumber", *rows[0]])
        writer.writeheader()
        for number, row in enumerate(rows, 1):
            writer.writerow({"ImageNumber": number, **row})


def of(folder: Path) -> dict[str, float]:
    names = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    return image_measures.of(folder, names)


def test_counts_are_summed_and_image_quality_is_averaged(tmp_path: Path) -> None:
    table(
        tmp_path,
        {"Count_Cells": "10.0", SLOPE: "-2.0", "Metadata_Well": "A01"},
        {"Count_Cells": "32.0", SLOPE: "-3.0", "Metadata_Well": "A01"},
    )
    assert of(tmp_path) == {"Count_Cells": 42, SLOPE: -2.5}


@pytest.mark.parametrize("name", ["MyExpt_Image.csv", "tables/Image.csv"])
def test_the_image_table_may_have_a_prefix_or_a_folder(
    tmp_path: Path, name: str
) -> None:
    table(tmp_path, {"Count_Cells": 1}, name=name)
    assert of(tmp_path) == {"Count_Cells": 1}


@pytest.mark.parametrize("value", ["nan", "inf", "", "None"])
def test_what_is_no_number_is_left_out(tmp_path: Path, value: str) -> None:
    table(tmp_path, {SLOPE: value, "Count_Cells": 1}, {SLOPE: "-2", "Count_Cells": 2})
    assert of(tmp_path) == {SLOPE: -2, "Count_Cells": 3}


def test_a_column_without_any_number_has_no_measure(tmp_path: Path) -> None:
    table(tmp_path, {SLOPE: "nan"})
    assert of(tmp_path) == {}


def test_image_sets_with_module_errors_are_counted(tmp_path: Path) -> None:
    table(
        tmp_path,
        {"ModuleError_01LoadData": 0, "ModuleError_02Crop": 0},
        {"ModuleError_01LoadData": 1, "ModuleError_02Crop": 1},
        {"ModuleError_01LoadData": 0, "ModuleError_02Crop": 1},
    )
    assert of(tmp_path) == {"ModuleErrors": 2}


def test_only_so_many_are_taken_and_counts_come_first(tmp_path: Path) -> None:
    slopes = {f"ImageQuality_FocusScore_{n}": n for n in range(80)}
    table(tmp_path, slopes | {"Count_Cells": 1})
    found = of(tmp_path)
    assert len(found) == 60
    assert next(iter(found)) == "Count_Cells"


def test_columns_that_nobody_asked_for_are_left_out(tmp_path: Path) -> None:
    table(tmp_path, {"Height_OrigDNA": 1, "ImageQuality_LocalFocusScore_OrigDNA_20": 1})
    assert of(tmp_path) == {}


def test_an_object_table_is_not_taken_for_the_images(tmp_path: Path) -> None:
    table(tmp_path, {"ObjectNumber": 1, "Count_Cells": 9}, name="NucleusImage.csv")
    assert of(tmp_path) == {}


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00\xff\xfe", b"Metadata\nP1\n", b'ImageNumber,Count_Cells\n"1', b"\n"],
)
def test_a_file_that_is_no_table_gives_no_measures(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "Image.csv").write_bytes(data)
    assert of(tmp_path) == {}


def test_a_cell_that_is_too_long_gives_no_measures(tmp_path: Path) -> None:
    table(tmp_path, {"Count_Cells": "9" * 200_000})
    assert of(tmp_path) == {}


def test_a_file_that_is_gone_gives_no_measures(tmp_path: Path) -> None:
    assert image_measures.of(tmp_path, ["Image.csv"]) == {}


def test_a_job_without_an_image_table_is_done(tmp_path: Path) -> None:
    (job,) = jobs("P1")
    outcome = run_job(job, machine(tmp_path, {}))
    assert outcome.done
    assert outcome.measures == {}


def test_an_outcome_of_before_has_no_measures(tmp_path: Path) -> None:
    (job,) = jobs("P1")
    ledger = Ledger(Storage(str(tmp_path)), "ledger")
    data = Outcome(job, versions={"cellprofiler": "4"}, measures={"a": 1}).to_json()
    assert Outcome.from_json(json.loads(json.dumps(data))).measures == {"a": 1}
    del data["measures"]
    ledger.storage.write("ledger/markers/P1~x~4.done", json.dumps(data).encode())
    (old,) = ledger.outcomes(["P1~x~4.done"])
    assert old.measures == {}


@pytest.mark.cellprofiler
def test_markers_of_a_real_plate_have_the_counts_of_their_image_tables(
    plate: Project,
) -> None:
    outcomes = _outcomes(plate)
    assert len(outcomes) == 4
    for outcome in outcomes:
        path = plate.places.outputs.path(f"{outcome.job.destination}/Image.csv")
        with path.open(newline="") as file:
            (row,) = csv.DictReader(file)
        assert outcome.measures["Count_Cells"] == float(row["Count_Cells"]) > 0
        assert outcome.measures["ModuleErrors"] == 0


def _outcomes(plate: Project) -> Sequence[Outcome]:
    ledger = plate.ledger(plate.step("analysis"))
    return ledger.outcomes(name for some in ledger.markers().values() for name in some)
