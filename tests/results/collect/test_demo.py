"""Tables of the real CellProfiler: against a plain join, and in pycytominer."""

import csv
import importlib
import re
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cpengine.cellprofiler.find import CellProfiler
from cpengine.plates import Part
from cpengine.project import Project
from cpengine.results.collect import done_jobs
from cpengine.results.collect.collector import Collector
from cpengine.results.collect.plate_csvs import Collected
from cpengine.storage.store import Storage

pytestmark = pytest.mark.cellprofiler

PAGE = Path(__file__).parents[3] / "docs/how-to/collect.md"
PLATE = "DemoPlate1"


@pytest.fixture(scope="module")
def backend(
    plate: Project, cellprofiler: CellProfiler, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The plate's Parquet files, outside the project, which is only read."""
    (plate_csvs,) = done_jobs.plates(plate, "analysis", Part(), cellprofiler.version)
    made = Collector(
        _Elsewhere(plate, tmp_path_factory.mktemp("backend")), plate.scratch
    )
    collected: Collected = made.collect(plate_csvs, lambda read: None)
    assert collected.notes == ()
    return Path(made.storage.root) / plate_csvs.folder


@pytest.fixture(scope="module")
def pycytominer() -> Any:
    """The package, which on import sets an option that pandas says is no more."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module("pycytominer")


class _Elsewhere(Storage):
    """The project's outputs, but new files go to another folder."""

    def __init__(self, project: Project, folder: Path) -> None:
        super().__init__(str(folder))
        for name in map(project.layout.workspace, ("analysis", "cpengine")):
            shutil.copytree(project.places.outputs.path(name), folder / name)


def csvs(backend: Path) -> list[Path]:
    workspace = backend.parents[2]
    return sorted(workspace.glob("analysis/*/*/analysis/*/Image.csv"))


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def joined(folder: Path) -> Iterator[dict[str, str]]:
    """A job's cells, joined in the plainest way, with the names that are promised."""
    tables = {n: read(folder / f"{n}.csv") for n in ("Cells", "Nuclei", "Cytoplasm")}
    for plasma in tables["Cytoplasm"]:
        row = {f"Metadata_{n}": plasma[n] for n in ("ImageNumber", "ObjectNumber")}
        parts = {"Cytoplasm": plasma}
        for parent in ("Cells", "Nuclei"):
            (parts[parent],) = (
                candidate
                for candidate in tables[parent]
                if candidate["ImageNumber"] == plasma["ImageNumber"]
                and candidate["ObjectNumber"] == plasma[f"Parent_{parent}"]
            )
        for table, values in parts.items():
            for name, value in values.items():
                if name.startswith("Metadata_"):
                    row[name] = value
                elif name.startswith("Parent_") or name == "Number_Object_Number":
                    row[f"Metadata_{table}_{name}"] = value
                elif name not in ("ImageNumber", "ObjectNumber"):
                    row[f"{table}_{name}"] = value
        yield row


def same(value: Any, text: str) -> bool:
    if isinstance(value, str):
        return value == text
    return pd.isna(value) if text in ("", "nan") else value == float(text)


def test_every_value_is_that_of_a_plain_join(backend: Path) -> None:
    expected = [row for image in csvs(backend) for row in joined(image.parent)]
    found = pd.read_parquet(backend / f"{PLATE}.parquet").to_dict("records")
    assert len(found) == len(expected) > 20
    for row, wanted in zip(found, expected, strict=True):
        assert set(row) == set(wanted)
        wrong = [name for name in wanted if not same(row[name], wanted[name])]
        assert wrong == []


def test_the_image_table_has_every_value_of_the_csvs(backend: Path) -> None:
    expected = [row for image in csvs(backend) for row in read(image)]
    found = pd.read_parquet(backend / f"{PLATE}_Image.parquet").to_dict("records")
    for row, wanted in zip(found, expected, strict=True):
        for name, value in wanted.items():
            column = name if name.startswith("Metadata_") else f"Image_{name}"
            column = "Metadata_ImageNumber" if name == "ImageNumber" else column
            assert same(row[column], value), column


def test_pycytominer_takes_the_tables_as_they_are(
    backend: Path, pycytominer: Any
) -> None:
    cells = pd.read_parquet(backend / f"{PLATE}.parquet")
    wells = pycytominer.aggregate(cells, compute_object_count=True)
    assert list(wells["Metadata_Well"]) == ["A01", "A02"]
    assert wells["Metadata_Object_Count"].sum() == len(cells)
    area = cells.groupby("Metadata_Well")["Cells_AreaShape_Area"].median()
    assert list(wells["Cells_AreaShape_Area"]) == list(area)
    nuclei = pycytominer.aggregate(
        pd.read_parquet(backend / f"{PLATE}_Nuclei.parquet"),
        features=["Nuclei_AreaShape_Area"],
    )
    assert list(nuclei["Nuclei_AreaShape_Area"]) == list(wells["Nuclei_AreaShape_Area"])
    normalized = pycytominer.normalize(cells)
    assert len(normalized) == len(cells)
    assert abs(normalized["Cells_AreaShape_Area"].mean()) < 1e-9


@pytest.mark.usefixtures("pycytominer")
def test_the_pages_example_runs(
    backend: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (example,) = (block for block in blocks if "import pycytominer" in block)
    for file in backend.glob("*.parquet"):
        name = file.name.replace(PLATE, "SQ00015167")
        shutil.copy(file, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(compile(example, PAGE.name, "exec"), found)  # the page is of this repository
    assert len(found["profiles"]) == 2
    assert (tmp_path / "SQ00015167_normalized.parquet").is_file()
