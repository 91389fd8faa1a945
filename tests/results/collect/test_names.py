"""Which CSV is which table, and how tables are joined."""

import pytest

from cpengine.results.collect.names import Link, columns_of, files_of, joining

USUAL = ("Image.csv", "Cells.csv", "Nuclei.csv", "Cytoplasm.csv", "Experiment.csv")
TABLES = ["Cells", "Cytoplasm", "Image", "Nuclei"]


@pytest.mark.parametrize("prefix", ["", "MyExpt_", "screen2", "csv/", "csv/P1."])
def test_a_prefix_of_all_csvs_is_no_part_of_a_tables_name(prefix: str) -> None:
    found = files_of(f"{prefix}{name}" for name in USUAL)
    assert sorted(found.tables) == TABLES
    assert found.tables["Cells"] == f"{prefix}Cells.csv"
    assert found.others == ()


def test_an_object_whose_name_ends_in_image_is_no_prefix() -> None:
    found = files_of(["CellImage.csv", "Image.csv", "Cells.csv"])
    assert sorted(found.tables) == ["CellImage", "Cells", "Image"]


def test_a_prefix_is_found_without_a_table_of_images() -> None:
    assert sorted(files_of(["x_Cells.csv", "x_Nuclei.csv"]).tables) == [
        "Cells",
        "Nuclei",
    ]
    assert sorted(files_of(["BigCells.csv", "Nuclei.csv"]).tables) == [
        "BigCells",
        "Nuclei",
    ]


def test_experiment_relationships_and_other_files_are_no_tables() -> None:
    names = [*USUAL, "Object relationships.csv", "outlines/a.png", "notes.txt"]
    assert sorted(files_of(names).tables) == TABLES


def test_csvs_of_other_folders_are_reported() -> None:
    found = files_of([*USUAL, "more/Cells.csv"])
    assert sorted(found.tables) == TABLES
    assert found.others == ("more/Cells.csv",)


def test_columns_get_the_names_that_pycytominer_takes() -> None:
    header = ["ImageNumber", "ObjectNumber", "Metadata_Well", "AreaShape_Area"]
    more = ["Number_Object_Number", "Parent_Nuclei", "Cells_X", "FileName_OrigDNA"]
    assert columns_of("Cells", [*header, *more]) == [
        "Metadata_ImageNumber",
        "Metadata_ObjectNumber",
        "Metadata_Well",
        "Cells_AreaShape_Area",
        "Metadata_Cells_Number_Object_Number",
        "Metadata_Cells_Parent_Nuclei",
        "Cells_X",
        "Image_FileName_OrigDNA",
    ]
    assert columns_of("Image", ["ImageNumber", "Count_Cells", "Image_X"]) == [
        "Metadata_ImageNumber",
        "Image_Count_Cells",
        "Image_X",
    ]


def test_what_has_no_numbers_is_no_table() -> None:
    assert columns_of("Cells", ["ImageNumber", "AreaShape_Area"]) is None
    assert columns_of("Cells", ["Image", "Cells", "Cells"]) is None
    assert columns_of("Image", ["ImageNumber", "ObjectNumber"]) is None


def parents(**names: str) -> dict[str, set[str]]:
    return {
        table: {f"Metadata_{table}_Parent_{name}" for name in of.split()}
        for table, of in names.items()
    }


def test_cytoplasm_drives_the_join() -> None:
    how = joining(parents(Cells="Nuclei", Cytoplasm="Cells Nuclei", Nuclei=""))
    assert how is not None
    assert how.driving == "Cytoplasm"
    assert how.links == (Link("Cytoplasm", "Cells"), Link("Cytoplasm", "Nuclei"))


def test_without_cytoplasm_cells_are_joined_to_their_nuclei() -> None:
    how = joining(parents(Cells="Nuclei", Nuclei="", Speckles="Cells Nuclei"))
    assert how is not None
    assert (how.driving, how.links) == ("Cells", (Link("Cells", "Nuclei"),))


def test_other_names_are_joined_by_the_table_with_most_parents() -> None:
    how = joining(parents(Soma="Core", Plasm="Soma Core", Core=""))
    assert how is not None
    assert how.driving == "Plasm"


def test_parents_of_parents_are_joined() -> None:
    how = joining(parents(Cytoplasm="Cells", Cells="Nuclei", Nuclei=""))
    assert how is not None
    assert how.links == (Link("Cytoplasm", "Cells"), Link("Cells", "Nuclei"))


def test_tables_without_parents_among_them_are_not_joined() -> None:
    assert joining(parents(Cells="PrimaryCells", Nuclei="")) is None
    assert joining({}) is None
