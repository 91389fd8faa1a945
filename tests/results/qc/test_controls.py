"""Control wells of the project file and of platemaps."""

from pathlib import Path

import pytest

from cpengine.config.qc import QcSection
from cpengine.results.qc.controls import of_platemaps, of_settings
from cpengine.results.qc.wells import normal
from cpengine.storage.store import Storage
from tests.build import write

INDEX = "Assay_Plate_Barcode,Plate_Map_Name\nP1,map1\nP2,map2\n"


@pytest.mark.parametrize(
    ("well", "name"),
    [("A01", "A01"), ("a1", "A01"), ("P-24", "P24"), ("r01c01", "A01"), ("A00", "A00")],
)
def test_wells_have_one_spelling(well: str, name: str) -> None:
    assert normal(well) == name


def test_a_list_of_wells_is_one_control_on_every_plate() -> None:
    found = of_settings(QcSection(controls=["A1", "B01"]), ["P1", "P2"])
    assert found["P2"] == {"controls": {"A01", "B01"}}
    assert list(found) == ["P1", "P2"]


def test_named_controls_keep_their_names() -> None:
    found = of_settings(QcSection(controls={"negcon": ["A01"]}), ["P1"])
    assert found == {"P1": {"negcon": {"A01"}}}


def test_no_controls_are_none() -> None:
    assert of_settings(QcSection(), ["P1"]) == {}


def platemaps(tmp_path: Path, index: str, **maps: str) -> Storage:
    write(tmp_path / "maps/barcode_platemap.csv", index)
    for name, text in maps.items():
        write(tmp_path / f"maps/platemap/{name}.txt", text)
    return Storage(str(tmp_path))


def test_platemaps_name_controls_by_control_type(tmp_path: Path) -> None:
    text = (
        "plate_map_name\twell_position\tcontrol_type\tpert_type\n"
        "map1\tA01\tnegcon\tcontrol\nmap1\tA02\t\ttrt\nmap1\tB1\tposcon_cp\tcontrol\n"
        "map1\tB02\t\t\n"
    )
    storage = platemaps(tmp_path, INDEX, map1=text)
    assert of_platemaps(storage, "maps", ["P1", "P2", "P3"]) == {
        "P1": {"negcon": {"A01"}, "poscon_cp": {"B01"}}
    }


def test_platemaps_name_controls_by_pert_type(tmp_path: Path) -> None:
    text = "plate_map_name\twell_position\tpert_type\nm\tA01\tcontrol\nm\tA02\ttrt\n"
    storage = platemaps(tmp_path, INDEX, map1=text)
    assert of_platemaps(storage, "maps", ["P1"]) == {"P1": {"control": {"A01"}}}


def test_platemaps_without_a_control_column_name_none(tmp_path: Path) -> None:
    text = "plate_map_name\twell_position\tbroad_sample\nm\tA01\tBRD\n"
    storage = platemaps(tmp_path, INDEX, map1=text)
    assert of_platemaps(storage, "maps", ["P1"]) == {}


def test_a_project_without_platemaps_has_none(tmp_path: Path) -> None:
    assert of_platemaps(Storage(str(tmp_path)), "maps", ["P1"]) == {}
