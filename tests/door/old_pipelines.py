"""Pipelines and batch files that plain CellProfiler runs."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tests.door.cases import HEAD, Built, Case, rows, two, wells
from tests.door.pipelines import (
    AS_IS,
    Module,
    Values,
    as_json,
    load_data,
    measure,
    module,
    written,
)
from tests.door.running import Plain, Ran

CHANNELS = two(
    HEAD + ",FileName_ER,PathName_ER,FileName_RNA,PathName_RNA",
    "P1,A0#,#.tif,IMAGES,#_ER.tif,IMAGES,#_RNA.tif,IMAGES",
)
"""Two wells of three channels."""
TWO_SITES = rows(
    HEAD.replace("Well", "Well,Metadata_Site"),
    *(f"P1,A0{n // 2},{1 + n % 2},{n - 1}.tif,IMAGES" for n in (2, 3, 4, 5)),
)
"""Two wells of two sites."""
EXPORT = module("ExportToSpreadsheet", 13)
NAMED = {"Enter single file name": r"\g<Plate>_\g<Well>"}
"""SaveImages: a name of metadata."""


def saving(
    revision: int, values: Values = AS_IS, *, also: Sequence[Module] = ()
) -> list[Module]:
    """A pipeline that saves its image."""
    return [load_data(), *also, module("SaveImages", revision, {**NAMED, **values})]


def exported(values: Values) -> list[Module]:
    """A pipeline of 4.2 that exports so."""
    measured = [load_data(), module("MeasureImageIntensity", 4)]
    return [*measured, module("ExportToSpreadsheet", 13, values)]


CHOSEN = (
    "Image|Intensity_MeanIntensity_DNA,Image|Metadata_Well,Image|Metadata_AbsPositionZ,"
    "Image|Count_Cells"
)
OLD = [
    Case(
        "2.2: objects in two channels",
        CHANNELS,
        written(
            [
                load_data(),
                module("IdentifyPrimaryObjects", 10),
                module("MeasureObjectIntensity", 3),
                module("MeasureCorrelation", 2),
                module("ExportToSpreadsheet", 11),
            ],
            "2.2",
        ),
    ),
    Case(
        "2.2: an illumination function and a name of metadata",
        wells(
            *[",IllumDNA.npy,IMAGES"] * 2, head=",FileName_IllumDNA,PathName_IllumDNA"
        ),
        written(
            saving(
                11,
                {"Select the image to save": "CorrDNA"},
                also=[module("CorrectIlluminationApply", 3)],
            ),
            "2.2",
        ),
    ),
    Case(
        "3.0: objects",
        pipeline=written(
            [
                load_data(),
                module("IdentifyPrimaryObjects", 13),
                module("MeasureImageIntensity", 2),
                module("ExportToSpreadsheet", 12),
            ],
            "3.0",
        ),
    ),
    Case(
        "3.1: objects in two channels",
        CHANNELS,
        written(
            [
                load_data(),
                module("IdentifyPrimaryObjects", 13),
                module("MeasureObjectIntensity", 3),
                module("ExportToSpreadsheet", 12),
            ],
            "3.1",
        ),
    ),
    Case("3.1: a name of metadata", pipeline=written(saving(13), "3.1")),
    Case(
        "3.1: colocalization of three channels, whose order is a set's",
        CHANNELS,
        written(
            [
                load_data(),
                module("MeasureColocalization", 3),
                module("ExportToSpreadsheet", 12),
            ],
            "3.1",
        ),
    ),
    Case(
        "3.1: quality of all images, with a name that is not in use, and a flag",
        pipeline=written(
            [
                load_data(),
                module("MeasureImageQuality", 5),
                module("MeasureImageIntensity", 2),
                module("FlagImage", 4),
                module("ExportToSpreadsheet", 12),
            ],
            "3.1",
        ),
    ),
    Case(
        "4.0: objects",
        pipeline=written(
            [
                load_data(),
                module("IdentifyPrimaryObjects", 14),
                module("MeasureImageIntensity", 3),
                EXPORT,
            ],
            "4.0",
        ),
    ),
    Case(
        "4.2: objects in two channels",
        CHANNELS,
        written(
            measure(
                module("IdentifyPrimaryObjects", 15),
                module(
                    "MeasureObjectIntensity", 4, {"Select images to measure": "DNA, ER"}
                ),
            )
        ),
    ),
    Case("a later date than CellProfiler's", pipeline=written(measure(), "5.0")),
    Case("a JSON file", pipeline=as_json(measure()), pipeline_name="measure.json"),
    Case("line ends of Windows", pipeline=written(measure()).replace("\n", "\r\n")),
    Case(
        "notes with bars and letters beyond ASCII",
        pipeline=written(
            [
                replace(
                    load_data(), notes="['first | second: Zelle \u00e4', \"it's\"]"
                ),
                *measure()[1:],
            ]
        ),
    ),
    Case(
        "notes that are Latin-1",
        pipeline=written(
            [replace(load_data(), notes="['Zelle \u00e4']"), *measure()[1:]]
        ).encode("latin-1"),
    ),
]

SETTINGS = [
    Case(
        "chosen measurements of which some are not there",
        pipeline=written(
            exported(
                {
                    "Select the measurements to export": "Yes",
                    "Press button to select measurements": CHOSEN,
                }
            )
        ),
    ),
    Case(
        "a place of the CSV that --data-file overrides",
        pipeline=written(
            [
                load_data(
                    values={
                        "Input data file location": "Elsewhere...|",
                        "Name of the file": "other.csv",
                    }
                ),
                *measure()[1:],
            ]
        ),
    ),
    Case(
        "one name for all sites, of which a flag leaves some out",
        TWO_SITES,
        written(
            saving(
                16,
                also=[
                    module("MeasureImageIntensity", 4),
                    module(
                        "FlagImage",
                        4,
                        {
                            "Which measurement?": "Metadata_Site",
                            "Maximum value": "1.5",
                            "Skip image set if flagged?": "Yes",
                        },
                    ),
                ],
            )
        ),
    ),
    Case(
        "saved images whose places are measured",
        pipeline=written(
            [
                *saving(
                    16,
                    {"Record the file and path information to the saved image?": "Yes"},
                ),
                EXPORT,
            ]
        ),
    ),
    Case(
        "a range of rows that takes all",
        pipeline=written(
            [
                load_data(
                    values={
                        "Process just a range of rows?": "Yes",
                        "Rows to process": "1,100000",
                    }
                ),
                *measure()[1:],
            ]
        ),
    ),
    Case(
        "CreateBatchFiles that is not enabled",
        pipeline=written(
            [*measure(), replace(module("CreateBatchFiles", 8), enabled=False)]
        ),
    ),
]


def of_folder(
    modules: Sequence[Module], folder: Path | None = None, *, listed: bool = False
) -> Callable[[Built, Plain], Path]:
    """Have CreateBatchFiles make a batch file of a folder of images, or a list.

    Parameters
    ----------
    folder
        By default the shared images that have metadata in their names.
    """

    def make(built: Built, plain: Plain) -> Path:
        named = folder or built.images / "named"
        built.write("create.cppipe", written([*modules, module("CreateBatchFiles", 8)]))
        files = "\n".join(path.as_uri() for path in sorted(named.iterdir()))
        built.write("files.txt", files + "\n")
        given = ["-p", str(built.folder / "create.cppipe")]
        given += ["--file-list", str(built.folder / "files.txt")] if listed else []
        return batch_file_of(plain.run(*given, input=None if listed else named))

    return make


def batch_file_of(ran: Ran) -> Path:
    """The batch file that a run has made."""
    assert ran.files == ["Batch_data.h5"], ran.log[-2000:]
    return ran.output / "Batch_data.h5"


def of_table(built: Built, plain: Plain) -> Path:
    """Have CreateBatchFiles make a batch file of the case's table.

    LoadData reads the table's header again at run time, from where the pipeline says.
    """
    folder = f"Elsewhere...|PROJECT/{Path(built.table_place).parent}"
    load = load_data(values={"Input data file location": folder})
    modules = [load, *measure()[1:], module("CreateBatchFiles", 8)]
    built.write("create.cppipe", written(modules))
    pipeline, table = built.folder / "create.cppipe", built.folder / built.table_place
    return batch_file_of(plain.run("-p", str(pipeline), f"--data-file={table}"))


GROUPS_OFF = {"Do you want to group your images?": "No"}
PARTLY = r"^(?P<Plate>P1)_(?P<Well>[A-P][0-9]{2})_s(?P<Site>1)"
"""Metadata that the file names of one plate have, and those of the other lack."""


def window(
    tags: Sequence[str] = ("Plate", "Well"), values: Values = AS_IS
) -> list[Module]:
    """A pipeline with the input modules of CellProfiler's window.

    Parameters
    ----------
    values
        Of the Metadata module.
    """
    metadata = module("Metadata", 6, values)
    groups = module("Groups", 2, {"grouping metadata count": str(len(tags) or 1)})
    groups = groups.with_values({"Metadata category": tags} if tags else GROUPS_OFF)
    if len(tags) < 2:
        groups = replace(groups, settings=groups.settings[:3])
    return [
        module("Images", 2),
        metadata,
        module("NamesAndTypes", 8),
        groups,
        module("IdentifyPrimaryObjects", 15),
        module("MeasureObjectIntensity", 4, {"Select images to measure": "DNA, ER"}),
        EXPORT,
    ]


BATCHES = [
    Case("a batch file of a folder of images", batch=of_folder(window()), group=None),
    Case(
        "a batch file of a list of images, sites as numbers",
        batch=of_folder(
            window(
                ("Plate", "Site"),
                {
                    "Metadata data type": "Choose for each",
                    "Metadata types": '{"Site":"integer"}',
                },
            ),
            listed=True,
        ),
        group="Plate,Site",
        g="Metadata_Plate=P2,Metadata_Site=1",
    ),
    Case(
        "a batch file of which some metadata are missing",
        batch=of_folder(
            window(("Well",), {"Regular expression to extract from file name": PARTLY})
        ),
        group="Well",
        g="Metadata_Well=A02",
    ),
    Case("a batch file of a CSV", batch=of_table),
    Case("a batch file without groups", batch=of_folder(window(())), g="", group=None),
]
PIPELINES = [*OLD, *SETTINGS, *BATCHES]
