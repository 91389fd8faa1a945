"""Inputs that make plain CellProfiler fail or give nothing."""

import gzip
import io
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import h5py

from tests.door.cases import HEAD, Built, Case, rows, two, wells
from tests.door.old_pipelines import TWO_SITES as SITES
from tests.door.old_pipelines import of_folder, of_table, window
from tests.door.pipelines import AS_IS, Values, load_data, measure, module, written
from tests.door.running import Plain
from tests.door.tables import FILES, URLS, based, of_wells

ROW = HEAD.replace("Metadata_Well", "Metadata_Well_Row,Metadata_Well_Col")
LOAD, MEASURE, EXPORT = measure()


def with_module(name: str, revision: int, values: Values = AS_IS) -> str:
    """A pipeline that loads, runs this module and exports."""
    return written(measure(module(name, revision, values)))


def hdf5() -> bytes:
    """An HDF5 file that is no measurements."""
    file = io.BytesIO()
    with h5py.File(file, "w") as inside:
        inside["images"] = [1, 2]
    return file.getvalue()


def no_measurements(built: Built, plain: Plain) -> Path:
    """The same, where a batch file should be."""
    built.write("other.h5", hdf5())
    return built.folder / "other.h5"


def excel() -> bytes:
    """The beginning of what a spreadsheet program saves."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as inside:
        inside.writestr("xl/workbook.xml", "<workbook/>")
    return file.getvalue()


TABLES = [
    Case("an empty table", ""),
    Case("a table without rows", rows(HEAD)),
    Case("a table that names no images", two("Metadata_Plate,Metadata_Well", "P1,A0#")),
    Case("a row that is too short", wells().replace("2.tif,IMAGES", "2.tif")),
    Case("a short row of another group", wells().replace("1.tif,IMAGES", "1.tif")),
    Case("a line of blanks", wells() + "  \n"),
    Case("a blank first line", "\n" + wells()),
    Case("semicolons", wells().replace(",", ";")),
    Case("a column without a name", wells(",0", ",1", head=",")),
    Case(
        "a pandas index without a name",
        two("," + HEAD, "#,P1,A0#,#.tif,IMAGES"),
    ),
    Case("a byte order mark before a column of groups", "\ufeff" + wells()),
    Case(
        "a byte order mark before FileName_",
        "\ufeff"
        + two(
            "FileName_DNA,PathName_DNA,Metadata_Plate,Metadata_Well",
            "#.tif,IMAGES,P1,A0#",
        ),
    ),
    Case(
        "a blank before the name of a column of groups",
        wells().replace(",Metadata_Well", ", Metadata_Well"),
    ),
    Case("a blank before FileName_", wells().replace(",FileName", ", FileName")),
    Case("a byte 0", wells(",a\0", ",b", head=",Metadata_Note")),
    Case("Latin-1", wells(",\u00e4", ",b", head=",Metadata_Note").encode("latin-1")),
    Case("UTF-16", wells().encode("utf-16")),
    Case("a table of Excel", excel()),
    Case("PathName_ without FileName_", wells(*[",IMAGES"] * 2, head=",PathName_ER")),
    Case(
        "URL_ and FileName_ without PathName_",
        two(URLS + ",FileName_DNA", "P1,A0#,file:IMAGES/#.tif,#.tif"),
    ),
    Case(
        "ObjectsFileName_ without ObjectsPathName_",
        wells(*[",labels.tif"] * 2, head=",ObjectsFileName_Nuclei"),
    ),
    Case("an empty URL_", wells(",,", ",,", head=",URL_DNA,Metadata_Note")),
    Case(
        "Image_Metadata_ where groups are made",
        wells().replace("Metadata_Well", "Image_Metadata_Well"),
    ),
    Case("Plate and Well where groups are made", wells().replace("Metadata_", "")),
    Case(
        "Well_Row and Well_Col that are numbers",
        two(ROW, "P1,A,0#,#.tif,IMAGES"),
    ),
    Case("a slash in a column's name", wells(",1", ",2", head=",Metadata_a/b")),
    of_wells("an equals sign in a group", ("a=b", "c"), "a=b"),
    of_wells("a comma in a group", ('"a,b"', "c"), "a,b"),
    Case(
        "a group that is not there",
        g="Metadata_Plate=P1,Metadata_Well=Z09",
        arguments=("--well", "Z09"),
    ),
    Case(
        "a tag that is no column",
        pipeline=written(measure(tags="Plate,Well,Site")),
        group="Plate,Well,Site",
        g="Metadata_Plate=P1,Metadata_Well=A02,Metadata_Site=1",
    ),
]

IMAGES = [
    Case("an image that is not there", wells().replace("2.tif", "9.tif")),
    Case(
        "an image that is not there, of a channel that nobody uses",
        wells(*[",9.tif,IMAGES"] * 2, head=",FileName_ER,PathName_ER"),
    ),
    Case("an empty FileName_", wells().replace("2.tif", "")),
    Case("a folder that is not there", wells().replace("IMAGES", "/not/there")),
    Case("a drive letter", wells().replace("IMAGES", r"C:\data")),
    Case(
        "a backslash in FileName_",
        wells()
        .replace("2.tif", r"TimePoint_1\2.tif")
        .replace("1.tif", r"TimePoint_1\1.tif"),
    ),
    Case(
        "an empty file",
        wells().replace("2.tif,IMAGES", "empty.tif,PROJECT"),
        files={"empty.tif": ""},
    ),
    Case(
        "no folder and no base location",
        two(FILES, "P1,A0#,#.tif"),
    ),
    Case("a folder below no base location", wells().replace("IMAGES", "named")),
    Case(
        "a base location that is not there",
        two(FILES, "P1,A0#,#.tif"),
        based("Elsewhere...|/not/there"),
    ),
    Case(
        "images that are not in the input folder",
        two(FILES, "P1,A0#,#.tif"),
        based("Default Input Folder|"),
        input="IMAGES/named",
    ),
    Case(
        "a channel that the table lacks",
        pipeline=written(
            measure(
                module(
                    "MeasureImageIntensity", 4, {"Select images to measure": "DNA, ER"}
                )
            )
        ),
    ),
]

PIPELINES = [
    Case(
        "an unknown module",
        pipeline=written(measure(replace(MEASURE, name="MeasureMagic"))),
    ),
    Case(
        "words for numbers",
        pipeline=with_module(
            "MeasureImageIntensity",
            4,
            {
                "Calculate custom percentiles": "Yes",
                "Specify percentiles to measure": "low,high",
            },
        ),
    ),
    Case(
        "a method that CellProfiler does not have",
        pipeline=with_module(
            "IdentifyPrimaryObjects", 15, {"Thresholding method": ("Magic", "Otsu")}
        ),
    ),
    Case(
        "a version of settings that is no number",
        pipeline=with_module(
            "IdentifyPrimaryObjects", 15, {"Threshold setting version": "new"}
        ),
    ),
    Case(
        "objects that nobody finds", pipeline=with_module("MeasureObjectIntensity", 4)
    ),
    Case(
        "objects of one name, found twice",
        pipeline=written(measure(*[module("IdentifyPrimaryObjects", 15)] * 2)),
    ),
    Case(
        "a flag by a measurement that is not there",
        pipeline=with_module("FlagImage", 4),
    ),
    Case("LoadData twice", pipeline=written([LOAD, LOAD, MEASURE, EXPORT])),
    Case(
        "one name for all sites",
        SITES,
        written([LOAD, module("SaveImages", 16)]),
    ),
    Case(
        "rules that are not there",
        pipeline=written(
            [
                LOAD,
                MEASURE,
                module(
                    "FlagImage", 4, {"Flag is based on": "Rules", "Class number": "1"}
                ),
                EXPORT,
            ]
        ),
    ),
    Case(
        "CreateBatchFiles",
        pipeline=written([*measure(), module("CreateBatchFiles", 8)]),
    ),
    Case("nothing that saves", pipeline=written([LOAD, MEASURE])),
    Case(
        "an export that is not enabled",
        pipeline=written([LOAD, MEASURE, replace(EXPORT, enabled=False)]),
    ),
    Case("no LoadData", pipeline=written([MEASURE, EXPORT])),
    Case(
        "LoadData that is not enabled",
        pipeline=written([replace(LOAD, enabled=False), MEASURE, EXPORT]),
    ),
    Case(
        "LoadData without images",
        pipeline=written(
            [
                load_data(values={"Load images based on this data?": "No"}),
                MEASURE,
                EXPORT,
            ]
        ),
    ),
    Case("blanks between tags", pipeline=written(measure(tags="Plate, Well"))),
    Case("other groups than the step's", pipeline=written(measure(tags="Plate"))),
    Case("no groups where the step has some", pipeline=written(measure(tags=""))),
    Case(
        "a base location that CellProfiler does not know",
        pipeline=based("Desktop|pictures"),
    ),
    Case(
        "a pipeline format of later",
        pipeline=written(measure()).replace("Version:5", "Version:6"),
    ),
    Case(
        "a module with settings too few",
        pipeline=written([LOAD, replace(EXPORT, settings=EXPORT.settings[:4])]),
    ),
    Case("an empty pipeline", pipeline=""),
    Case("a text that is no pipeline", pipeline="print('hello')\n"),
    Case("a pipeline that ends in its head", pipeline=written(measure())[:60]),
    Case("HDF5 where a pipeline should be", pipeline=hdf5()),
    Case("a pipeline in gzip", pipeline=gzip.compress(written(measure()).encode())),
    Case("a file of Excel where a pipeline should be", pipeline=excel()),
]


def cut(built: Built, plain: Plain) -> Path:
    """A batch file that was not written to its end."""
    path = of_table(built, plain)
    path.write_bytes(path.read_bytes()[:4000])
    return path


def without_images(built: Built, plain: Plain) -> Path:
    """A batch file of images that are gone."""
    named = built.folder / "named"
    shutil.copytree(built.images / "named", named)
    path = of_folder(window(), named)(built, plain)
    shutil.rmtree(named)
    return path


BATCHES = [
    Case("a batch file that ends too early", batch=cut, says=("damaged",)),
    Case("a batch file whose images are gone", batch=without_images, says=("/named/",)),
    Case(
        "a batch file of other groups",
        batch=of_folder(window(("Plate",))),
        says=("group",),
        g="Metadata_Plate=P1,Metadata_Well=A02",
    ),
    Case(
        "HDF5 where a batch file should be",
        batch=no_measurements,
        says=("not a batch file",),
    ),
]
FAILING = [*TABLES, *IMAGES, *PIPELINES, *BATCHES]
