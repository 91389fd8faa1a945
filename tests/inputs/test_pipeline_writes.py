"""How files will be named, as far as a pipeline's text shows it."""

import pytest

from cpengine.inputs.pipeline import parse
from cpengine.inputs.pipeline_writes import fixed_names, writes
from tests.build import SITE, module, pipeline_text

PLACE = {"Output file location": "Default Output Folder|"}
SINGLE = {
    "Select the type of image to save": "Image",
    "Select method for constructing file names": "Single name",
    "Enter single file name": r"\g<Well>",
    "Append a suffix to the image file name?": "Yes",
    "Text to append to the image name": "_end",
    "Saved file format": "png",
}
FROM_IMAGE = {"Select method for constructing file names": "From image filename"}
DATABASE = {
    "Database type": "SQLite",
    "Name the SQLite database file": "all.db",
    "Add a prefix to table names?": "Yes",
    "Table prefix": "My_",
    "Create a CellProfiler Analyst properties file?": "Yes",
    "Create a CellProfiler Analyst workspace file?": "Yes",
}
ALL = {
    "Select the column delimiter": 'Comma (",")',
    "Add a prefix to file names?": "Yes",
    "Filename prefix": "My_",
    "Export all measurement types?": "Yes",
}
CROPS = {
    "Objects": "Cells",
    "Prefix saved crop image name with input image name?": "No",
    "Saved file format": "8-bit tiff",
}


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("SaveImages", SINGLE, [r"\g<Well>.png"]),
        ("SaveImages", SINGLE | {"Saved file format": "tif"}, [r"\g<Well>.tiff"]),
        ("SaveImages", SINGLE | {"Saved file format": "jpg"}, [r"\g<Well>.jpeg"]),
        (
            "SaveImages",
            SINGLE | {"Select the type of image to save": "Movie/Stack"},
            [r"\g<Well>.tiff"],
        ),
        (
            "SaveImages",
            SINGLE
            | {"Output file location": r"Default Output Folder sub-folder|a/\g<Site>"},
            [r"a/\g<Site>/\g<Well>.png"],
        ),
        (
            "SaveImages",
            SINGLE | {"Output file location": "Default Output Folder|leftover"},
            [r"\g<Well>.png"],
        ),
        ("SaveImages", SINGLE | FROM_IMAGE, ["*_end.png"]),
        (
            "SaveImages",
            SINGLE | FROM_IMAGE | {"Create subfolders in the output folder?": "Yes"},
            ["*/*_end.png"],
        ),
        (
            "SaveImages",
            SINGLE
            | {"Select method for constructing file names": "Sequential numbers"},
            [r"\g<Well>*.png"],
        ),
        (
            "ExportToDatabase",
            DATABASE,
            ["all.db", "all_My.properties", "all_My.workspace"],
        ),
        (
            "ExportToDatabase",
            DATABASE
            | {
                "Add a prefix to table names?": "No",
                "Create one table per object, a single object table or a single object "
                "view?": "One table per object type",
            },
            ["all.db", "all_*.properties", "all.workspace"],
        ),
        (
            "ExportToDatabase",
            DATABASE | {"Database type": "MySQL"},
            ["*_My.properties", "*_My.workspace"],
        ),
        ("SaveCroppedObjects", CROPS, ["Cells_*.tiff"]),
        (
            "SaveCroppedObjects",
            CROPS
            | {
                "Directory": "Default Output Folder sub-folder|c",
                "Prefix saved crop image name with input image name?": "Yes",
                "Save output crops in nested folders?": "Yes",
            },
            ["c/*/*_Cells_*.tiff"],
        ),
    ],
)
def test_files_of_a_module(
    name: str, settings: dict[str, str], expected: list[str]
) -> None:
    text = pipeline_text(SITE, module(name, 4, settings))
    assert writes(parse(text, "p.cppipe")) == expected


def test_tables_that_are_joined_have_one_name() -> None:
    groups = [
        ("Image", "No", "DATA.csv", "Yes"),
        ("Nuclei", "No", "objects.csv", "No"),
        ("Cells", "Yes", "DATA.csv", "Yes"),
        ("Experiment", "Yes", "DATA.csv", "Yes"),
    ]
    texts = (
        "Data to export",
        "Combine these object measurements with those of the previous object?",
        "File name",
        "Use the object name for the file name?",
    )
    lines = [
        f"    {text}:{value}\n"
        for group in groups
        for text, value in zip(texts, group, strict=True)
    ]
    block = module("ExportToSpreadsheet", 4, PLACE) + "".join(lines)
    text = pipeline_text(SITE, block)
    assert writes(parse(text, "p.cppipe")) == [
        "Image.csv",
        "objects.csv",
        "Experiment.csv",
    ]


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("SaveImages", SINGLE | PLACE, [r"\g<Well>.png"]),
        ("SaveImages", SINGLE | PLACE | FROM_IMAGE, []),
        ("SaveImages", SINGLE | {"Output file location": "Elsewhere...|/d"}, []),
        ("ExportToSpreadsheet", PLACE | ALL, ["My_Image.csv"]),
        ("SaveCroppedObjects", CROPS | {"Directory": "Default Output Folder|"}, []),
    ],
)
def test_names_that_only_metadata_change(
    name: str, settings: dict[str, str], expected: list[str]
) -> None:
    text = pipeline_text(SITE, module(name, 4, settings))
    assert fixed_names(parse(text, "p.cppipe")) == expected
