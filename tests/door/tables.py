"""Tables that plain CellProfiler runs.

What it makes of a table: `prepare_run` and `get_measurement_columns` of LoadData 4.2.8.
"""

from collections.abc import Sequence

from tests.door.cases import HEAD, Case, rows, two, wells
from tests.door.pipelines import load_data, measure, module, written

FILES = "Metadata_Plate,Metadata_Well,FileName_DNA"
URLS = "Metadata_Plate,Metadata_Well,URL_DNA"
SITES = "Metadata_Plate,Metadata_Well,Metadata_Site,FileName_DNA,PathName_DNA"
SEVERAL = rows(
    SITES,
    "P2,A01,1,1.tif,IMAGES",
    "P2,A01,2,2.tif,IMAGES",
    "P1,A01,1,3.tif,IMAGES",
    "P1,A02,1,4.tif,IMAGES",
)
"""Two plates."""


def of_wells(name: str, wells: Sequence[str], well: str) -> Case:
    """A table of wells of these names, and how CellProfiler names one of them."""
    lines = (f"P1,{each},{n}.tif,IMAGES" for n, each in enumerate(wells, 1))
    return Case(name, rows(HEAD, *lines), g=f"Metadata_Plate=P1,Metadata_Well={well}")


def of_plate(plate: str, read: str) -> Case:
    """A table of a plate of this name, and how CellProfiler names it."""
    group = f"Metadata_Plate={read},Metadata_Well=A02"
    table = two(HEAD, f"{plate},A0#,#.tif,IMAGES")
    return Case(f"a plate {plate}, read as {read}", table, plate=plate, g=group)


def by(tags: str, name: str, table: str, g: str, plate: str = "P1") -> Case:
    """A table whose pipeline and step group by these tags."""
    pipeline = written(measure(tags=tags))
    return Case(name, table, pipeline, g, group=tags, plate=plate)


def based(place: str) -> str:
    """A pipeline with this base image location."""
    load = load_data(values={"Base image location": place})
    return written([load, *measure()[1:]])


COLUMNS = [
    Case("two wells"),
    Case(
        "wells from Row and Column",
        two(
            "Metadata_Plate,Metadata_Row,Metadata_Column,FileName_DNA,PathName_DNA",
            "P1,A,0#,#.tif,IMAGES",
        ),
    ),
    Case(
        "wells from WellRow and WellCol, without zeros",
        two(
            "Metadata_Plate,Metadata_WellRow,Metadata_WellCol,FileName_DNA,PathName_DNA",
            "P1,A,#,#.tif,IMAGES",
        ),
        g="Metadata_Plate=P1,Metadata_Well=A2",
    ),
    by(
        "Plate,Row,Column",
        "groups of row and column",
        two(
            "Metadata_Plate,Metadata_Row,Metadata_Column,FileName_DNA,PathName_DNA",
            "P1,A,0#,#.tif,IMAGES",
        ),
        "Metadata_Plate=P1,Metadata_Row=A,Metadata_Column=02",
    ),
    Case(
        "a byte order mark before a column that nobody uses",
        "\ufeff" + two(f"Metadata_Batch,{HEAD}", "B1,P1,A0#,#.tif,IMAGES"),
    ),
    Case("rows longer than the header", wells(",9", ",")),
    Case(
        "a column twice, with equal values", wells(",P1", ",P1", head=",Metadata_Plate")
    ),
    Case(
        "a column twice, with other values",
        wells(",a,c", ",b,d", head=",Metadata_Note,Metadata_Note"),
    ),
    Case(
        "a file's column twice, the last counts",
        wells(",3.tif", ",4.tif", head=",Image_FileName_DNA"),
    ),
    Case("pandas' Unnamed: 0", two(f"Unnamed: 0,{HEAD}", "#,P1,A0#,#.tif,IMAGES")),
    Case(
        "a blank after a name that nobody uses", wells(",7", ",8", head=",Metadata_N ")
    ),
    Case(
        "as a spreadsheet saves it: CRLF, quotes, an empty last line",
        rows(
            HEAD + ",Metadata_Note",
            'P1,"A01",1.tif,IMAGES,"a, b"',
            'P1,"A02",2.tif,IMAGES,"two\nlines, ""\u00e4"""',
            "",
        ).replace("\n", "\r\n"),
    ),
    Case("line ends of old Macs", wells().replace("\n", "\r")),
    Case(
        "empty cells in columns that make no groups",
        wells(",,", ",7,", head=",Metadata_Dose,Metadata_Compound"),
    ),
    Case(
        "Image_ before the names of columns",
        two(
            "Metadata_Plate,Metadata_Well,Image_FileName_DNA,Image_PathName_DNA",
            "P1,A0#,#.tif,IMAGES",
        ),
    ),
    Case(
        "columns of all kinds of values",
        wells(
            ",007,0.50,1e3,nan,",
            ",010,1,2,1e400,x",
            head=",Metadata_N,Dose,Metadata_T,Score,Note",
        ),
    ),
]

TYPED = [
    by(
        "Plate,Well,Position",
        "a site 002, read as 2",
        rows(
            "Metadata_Plate,Metadata_Well,Metadata_Position,FileName_DNA,PathName_DNA",
            "P1,A01,002,1.tif,IMAGES",
            "P1,A01,010,2.tif,IMAGES",
            "P1,A01,001,3.tif,IMAGES",
        ),
        "Metadata_Plate=P1,Metadata_Well=A01,Metadata_Position=2",
    ),
    of_plate("0041744", "41744"),
    of_plate("2024_01_15", "20240115"),
    by(
        "Plate,Dose",
        "doses 0, 0.50 and 10, read as 0.0, 0.5 and 10.0",
        rows(
            "Metadata_Plate,Metadata_Dose,FileName_DNA,PathName_DNA",
            "P1,0,1.tif,IMAGES",
            "P1,0.50,2.tif,IMAGES",
            "P1,10,3.tif,IMAGES",
        ),
        "Metadata_Plate=P1,Metadata_Dose=0.5",
    ),
    of_wells("1e3 beside 2, read as 1000.0", ("1e3", "2"), "1000.0"),
    of_wells("a number that 32 bits do not hold", ("2", "3000000000"), "3000000000"),
    of_wells("a number after a blank, read as 1", (" 1", "2"), "1"),
    of_wells("+5 beside -5, read as 5", ("-5", "+5"), "5"),
    of_wells("1e400, read as inf", ("1e400", "2"), "inf"),
    of_wells("blanks in values", ("A 1", "B 2"), "A 1"),
    of_wells("blanks before values", (" A01", " A02"), " A02"),
    of_wells("letters beyond ASCII", ("b", "\u00e4"), "\u00e4"),
    of_wells("groups in the order of texts", ("10", "9", "B1", "2"), "2"),
]

PLACES = [
    Case("a folder in FileName_", two(HEAD, "P1,A0#,TimePoint_1/#.tif,IMAGES")),
    Case("the folder above in FileName_", two(HEAD, "P1,A0#,../#.tif,IMAGES/named")),
    Case(
        "a whole path in FileName_, nothing in PathName_",
        two(HEAD, "P1,A0#,IMAGES/#.tif,"),
    ),
    Case("slashes too many", two(HEAD, "P1,A0#,#.tif,IMAGES//named/../")),
    Case("blanks in folder and file", two(HEAD, "P1,A0#,x #.tif,IMAGES/my day 1")),
    Case(
        "no PathName_, images in the input folder",
        two(FILES, "P1,A0#,#.tif"),
        based("Default Input Folder|"),
        input="IMAGES",
    ),
    Case(
        "PathName_ below the input folder",
        two(HEAD, "P1,A0#,#.tif,TimePoint_1"),
        based("Default Input Folder|"),
        input="IMAGES",
    ),
    Case(
        "no PathName_, images in a sub-folder of the input folder",
        two(FILES, "P1,A0#,#.tif"),
        based("Default Input Folder sub-folder|TimePoint_1"),
        input="IMAGES",
    ),
    Case(
        "no PathName_, a folder in FileName_, images elsewhere",
        two(FILES, "P1,A0#,TimePoint_1/#.tif"),
        based("Elsewhere...|IMAGES"),
    ),
    Case(
        "PathName_ below a folder elsewhere",
        two(HEAD, "P1,A0#,#.tif,TimePoint_1"),
        based("Elsewhere...|IMAGES"),
    ),
    Case("whole paths, no base location", wells(), based("Elsewhere...|/gone")),
    Case("URL_ alone", two(URLS, "P1,A0#,file://IMAGES/my%20day%201/x%20#.tif")),
    Case(
        "URL_ beside other names",
        two(
            URLS + ",FileName_DNA,PathName_DNA",
            "P1,A0#,file:IMAGES/#.tif,old#.tif,/old",
        ),
    ),
    Case("Frame_ of a stack", two(HEAD + ",Frame_DNA", "P1,A0#,stack.tif,IMAGES,#")),
    Case(
        "objects from a file",
        two(
            HEAD + ",ObjectsFileName_Nuclei,ObjectsPathName_Nuclei",
            "P1,A0#,#.tif,IMAGES,labels.tif,IMAGES",
        ),
        written(measure(module("MeasureObjectIntensity", 4))),
    ),
]

PLATES = [
    by(
        "Plate,Well,Site",
        "several plates in one table, by site",
        SEVERAL,
        "Metadata_Plate=P2,Metadata_Well=A01,Metadata_Site=2",
        plate="",
    ),
    by(
        "Plate",
        "several plates in one table, by plate",
        SEVERAL,
        "Metadata_Plate=P2",
        plate="",
    ),
    by(
        "Well",
        "several plates in one table, wells of both in a group",
        SEVERAL,
        "Metadata_Well=A01",
        plate="",
    ),
    Case("a table beside the plates' folders", plate=""),
    Case("a plate's folder with another name", plate="first plate"),
    by(
        "Well,Plate",
        "tags in another order",
        wells(),
        "Metadata_Plate=P1,Metadata_Well=A02",
    ),
    by("", "no groups", wells(), ""),
]
TABLES = [*COLUMNS, *TYPED, *PLACES, *PLATES]
