"""Pipelines of the demo broken in one way each, and what must be found then."""

from tests.run.breaks import (
    BATCH,
    PIPELINES,
    Case,
    _without,
    all_of,
    module,
    pipe,
    project,
    remove,
    renamed,
)

HDF5 = b"\x89HDF\r\n\x1a\n"
LOAD = "Select metadata tags for grouping:"
PIPELINE_CASES = {
    "no pipeline": Case(
        "pipeline-missing",
        remove(f"{PIPELINES}/analysis.cppipe"),
        "analysis.cppipe",
        "steps.analysis.pipeline",
    ),
    "a misspelt pipeline": Case(
        "pipeline-missing",
        project("steps.illum", 'pipeline = "ilum.cppipe"'),
        "ilum.cppipe",
        "put it there",
    ),
    "a project of CellProfiler instead": Case(
        "pipeline-unreadable",
        lambda root: (root / PIPELINES / "illum.cppipe").write_text("\x89HDF"),
        "illum.cppipe:1",
        "File > Export > Pipeline",
    ),
    "JSON by another name": Case(
        "pipeline-unreadable",
        lambda root: (root / PIPELINES / "illum.cppipe").write_text('{"modules": []}'),
        "illum.cppipe",
        "rename it, and set the step's `pipeline`",
    ),
    "a project of CellProfiler": Case(
        "pipeline-unreadable",
        lambda root: (root / PIPELINES / "illum.cppipe").write_bytes(HDF5),
        "illum.cppipe",
        "use File > Export > Pipeline",
    ),
    "a newer format": Case(
        "pipeline-unreadable",
        pipe("illum", "Version:5", "Version:6"),
        "illum.cppipe",
        "export it from CellProfiler 4",
    ),
    "a newer CellProfiler's": Case(
        "pipeline-newer",
        pipe("illum", "DateRevision:428", "DateRevision:500"),
        "illum.cppipe",
        "install the newer one",
    ),
    "LoadData disabled": Case(
        "loaddata-missing",
        pipe("illum", "enabled:True", "enabled:False"),
        "illum.cppipe",
        "module 1",
    ),
    "images by files and not by LoadData": Case(
        "loaddata-missing",
        pipe("illum", "LoadData:[", "Images:["),
        "illum.cppipe",
        "Image Set Listing",
    ),
    "LoadData after an export": Case(
        "loaddata-not-first",
        pipe(
            "analysis",
            "LoadData:[",
            "ExportToSpreadsheet:[module_num:0|enabled:True]\n"
            "    Output file location:Default Output Folder|\n\nLoadData:[",
        ),
        "analysis.cppipe",
        "move it to the top",
    ),
    "NamesAndTypes beside LoadData": Case(
        "loaddata-not-alone",
        module("analysis", "NamesAndTypes"),
        "analysis.cppipe",
        "disable Images, Metadata, NamesAndTypes",
    ),
    "a range of rows": Case(
        "loaddata-range-of-rows",
        all_of(
            pipe("analysis", "range of rows?:No", "range of rows?:Yes"),
            pipe("analysis", "Rows to process:1,", "Rows to process:2,"),
        ),
        "analysis.cppipe",
        "to No",
    ),
    "no images loaded": Case(
        "loaddata-loads-no-images",
        pipe("analysis", "based on this data?:Yes", "based on this data?:No"),
        "analysis.cppipe",
        "to Yes",
    ),
    "no grouping": Case(
        "pipeline-does-not-group",
        pipe("illum", "Group images by metadata?:Yes", "Group images by metadata?:No"),
        "illum.cppipe",
        "let LoadData, or Groups, group",
    ),
    "other grouping": Case(
        "grouping-differs",
        pipe("analysis", f"{LOAD}Plate,Well,Site", f"{LOAD}Plate,Well"),
        "analysis.cppipe",
        'set the step\'s group = ["Metadata_Plate", "Metadata_Well"]',
    ),
    "CreateBatchFiles": Case(
        "create-batch-files",
        module("analysis", "CreateBatchFiles"),
        "analysis.cppipe",
        "disable it",
    ),
    "a channel of another name": Case(
        "channel-missing",
        all_of(
            renamed("FileName_OrigER", "FileName_OrigErSyto"),
            renamed("PathName_OrigER", "PathName_OrigErSyto"),
        ),
        "load_data.csv",
        "add FileName_OrigER",
        steps=("illum",),
    ),
    "a function that illum does not make": Case(
        "channel-missing",
        pipe(
            "analysis", "illumination function:IllumDNA", "illumination function:IllumX"
        ),
        "load_data.csv",
        "run the illum step first",
    ),
    "a spreadsheet elsewhere": Case(
        "export-elsewhere",
        pipe(
            "analysis",
            "Output file location:Default Output Folder|\n    Create a GenePattern",
            "Output file location:Elsewhere...|/data/out\n    Create a GenePattern",
        ),
        "analysis.cppipe",
        "Default Output Folder",
    ),
    "images into the input": Case(
        "export-elsewhere",
        pipe(
            "illum",
            "Output file location:Default Output Folder|",
            "Output file location:Default Input Folder|",
        ),
        "illum.cppipe",
        "Default Output Folder",
    ),
    "one name for all sites": Case(
        "saves-over-itself",
        pipe("illum", "When to save:Last cycle", "When to save:Every cycle"),
        "illum.cppipe",
        "\\g<Site>",
    ),
    "one name for all sites that are not flagged": Case(
        "may-save-over-itself",
        all_of(
            pipe("illum", "When to save:Last cycle", "When to save:Every cycle"),
            pipe(
                "illum",
                "\nSaveImages:[",
                "\nFlagImage:[module_num:0|enabled:True]\n"
                "    Skip image set if flagged?:Yes\n\nSaveImages:[",
            ),
        ),
        "illum.cppipe",
        "\\g<Site>",
        steps=("illum",),
    ),
    "illumination of a well": Case(
        "illum-of-a-part",
        all_of(
            project("steps.illum", 'group = ["Metadata_Plate", "Metadata_Well"]'),
            pipe("illum", f"{LOAD}Plate", f"{LOAD}Plate,Well"),
        ),
        "illum.cppipe",
        "Metadata_Plate",
        steps=("illum",),
    ),
    "nothing is saved": Case(
        "saves-nothing",
        lambda root: _without(root / PIPELINES / "illum.cppipe", "SaveImages"),
        "illum.cppipe",
        "ExportToSpreadsheet",
    ),
    "a module by hand": Case(
        "module-by-hand",
        module("analysis", "EditObjectsManually"),
        "analysis.cppipe",
        "replace or disable",
    ),
    "a plugin that is not there": Case(
        "module-unknown",
        module("analysis", "RunCellpose"),
        "analysis.cppipe",
        "runcellpose.py",
    ),
    "a module of the name's next": Case(
        "module-unknown",
        pipe("analysis", "\nMeasureTexture:[", "\nMeasureTextures:["),
        "analysis.cppipe",
        "plugins folder",
    ),
    "a database": Case(
        "export-to-database",
        module("analysis", "ExportToDatabase"),
        "analysis.cppipe",
        "cpengine collect",
    ),
    "a rules file that is not there": Case(
        "rules-file-missing",
        module(
            "qc",
            "FlagImage",
            "    Flag is based on:Rules\n"
            "    Rules file location:Default Input Folder|\n"
            "    Rules file name:focus.txt\n",
        ),
        f"qc/{BATCH}/rules/focus.txt",
        "put it there",
        steps=("qc",),
    ),
}
