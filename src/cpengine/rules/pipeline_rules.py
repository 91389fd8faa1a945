"""Rules on pipelines and their modules."""

from cpengine.rules.finding import Severity
from cpengine.rules.finding import rule as _rule

_PIPELINE = "Pipelines"

PIPELINE_MISSING = _rule(
    "pipeline-missing",
    _PIPELINE,
    "The pipeline is not there",
    "DCP's worker says DOWNLOAD_PROBLEM for every job.",
    "Put it into the batch's pipelines folder, or set steps.NAME.pipeline.",
)
PIPELINE_UNREADABLE = _rule(
    "pipeline-unreadable",
    _PIPELINE,
    "The pipeline is no .cppipe or .json that CellProfiler 4 reads",
    "CellProfiler ends with an error about the pipeline.",
    "Export it from CellProfiler 4 with File > Export > Pipeline.",
)
PIPELINE_NEWER = _rule(
    "pipeline-newer",
    _PIPELINE,
    "The pipeline was saved by a newer CellProfiler",
    "Modules that have changed meanwhile are misread.",
    "Install the newer CellProfiler, or export the pipeline from the older.",
    Severity.WARNING,
)
MODULE_NEWER = _rule(
    "module-newer",
    _PIPELINE,
    "A module was saved by a newer CellProfiler, in which its settings are others",
    "Settings are misread, mostly without a word.",
    "Install the newer CellProfiler, or export the pipeline from the older.",
)
PIPELINE_DOES_NOT_LOAD = _rule(
    "pipeline-does-not-load",
    _PIPELINE,
    "CellProfiler itself cannot load the pipeline",
    "Every job fails in its first seconds.",
    "Open it in CellProfiler and export it again.",
)
MODULE_INVALID = _rule(
    "module-invalid",
    _PIPELINE,
    "CellProfiler itself objects to a setting of a module",
    "Without a window CellProfiler does not look at it, and fails in that module.",
    "Open the pipeline in CellProfiler and mend what is marked red.",
)
MODULE_DOUBTFUL = _rule(
    "module-doubtful",
    _PIPELINE,
    "CellProfiler's window objects to a setting, and a run goes on all the same",
    "Another value counts than is meant: a number's default, another method; columns "
    "that are not there are left out.",
    "Open the pipeline in CellProfiler and look at what is marked red.",
    Severity.WARNING,
)
MODULE_UNKNOWN = _rule(
    "module-unknown",
    _PIPELINE,
    "CellProfiler does not know a module",
    "The module is left out silently, or every job fails.",
    "Put the plugin into the step's plugins folder, and install what it needs.",
)
MODULE_BY_HAND = _rule(
    "module-by-hand",
    _PIPELINE,
    "A module wants a person at the screen",
    "The job hangs or fails, because there is no window.",
    "Replace it by one that works alone, or disable it.",
)
SAVES_NOTHING = _rule(
    "saves-nothing",
    _PIPELINE,
    "The pipeline saves nothing",
    "CellProfiler says success and there are no files.",
    "Add ExportToSpreadsheet or SaveImages.",
)
LOADDATA_MISSING = _rule(
    "loaddata-missing",
    _PIPELINE,
    "The pipeline has no LoadData",
    "CellProfiler processes no image set.",
    'Make a batch file of it by CreateBatchFiles (`groups = "batch"`), set `data_file` '
    "to a list of files (`.txt`), or put LoadData in place of Images, Metadata, "
    "NamesAndTypes and Groups.",
)
LOADDATA_FIRST = _rule(
    "loaddata-not-first",
    _PIPELINE,
    "LoadData comes after a module that exports",
    "CellProfiler fails before the first image set.",
    "Move it to the top.",
)
LOADDATA_NOT_ALONE = _rule(
    "loaddata-not-alone",
    _PIPELINE,
    "Other modules make image sets or groups beside LoadData",
    "CellProfiler fails before the first image set.",
    "Disable Images, Metadata, NamesAndTypes and Groups.",
)
LOADDATA_ROWS = _rule(
    "loaddata-range-of-rows",
    _PIPELINE,
    "LoadData processes just a range of rows",
    "Jobs outside that range find no image set.",
    "Set 'Process just a range of rows?' to No.",
)
LOADDATA_NO_IMAGES = _rule(
    "loaddata-loads-no-images",
    _PIPELINE,
    "LoadData loads metadata only",
    "Modules fail, because no image has the name they want.",
    "Set 'Load images based on this data?' to Yes.",
)
GROUPING_DIFFERS = _rule(
    "grouping-differs",
    _PIPELINE,
    "The pipeline groups by other metadata than the step",
    "-g is refused, or ignored so that every job processes the whole plate.",
    "Change the pipeline's metadata tags for grouping, or the step's group.",
)
NO_GROUPING = _rule(
    "pipeline-does-not-group",
    _PIPELINE,
    "The pipeline does not group its image sets",
    "One job runs all of a table, one image set after another.",
    "Choose metadata tags for grouping in LoadData, if that takes too long.",
    Severity.WARNING,
)
CREATE_BATCH_FILES = _rule(
    "create-batch-files",
    _PIPELINE,
    "CreateBatchFiles is enabled",
    "Jobs end after writing Batch_data.h5.",
    "Disable it.",
)
CHANNEL_MISSING = _rule(
    "channel-missing",
    _PIPELINE,
    "A module wants an image that the CSV does not provide",
    "Every job fails in that module.",
    "Add the image's columns (`cpengine loaddata` with --channel CHANNEL=NAME calls a "
    "channel so), or run the illum step first.",
)
EXPORT_ELSEWHERE = _rule(
    "export-elsewhere",
    _PIPELINE,
    "A module saves to another place than the Default Output Folder",
    "Results are left in a folder of the worker and are lost.",
    "Set its output location to 'Default Output Folder' or a sub-folder of it.",
)
SAVES_OVER_ITSELF = _rule(
    "saves-over-itself",
    _PIPELINE,
    "SaveImages gives each image set of a job the same file name",
    "The job ends when it would overwrite.",
    "Use metadata in the file's name, such as \\g<Well>_s\\g<Site>.",
)
MAY_SAVE_OVER = _rule(
    "may-save-over-itself",
    _PIPELINE,
    "SaveImages gives image sets of a job the same name, if FlagImage keeps several",
    "Only the last image is kept, or the job ends when it would overwrite.",
    "Use metadata in the file's name, such as \\g<Well>_s\\g<Site>.",
    Severity.WARNING,
)
ILLUM_SCOPE = _rule(
    "illum-of-a-part",
    _PIPELINE,
    "Illumination is calculated across all images of a job that is less than a plate",
    "Illumination functions made of a few images.",
    "Group the step by Metadata_Plate.",
    Severity.WARNING,
)
RULES_FILE = _rule(
    "rules-file-missing",
    _PIPELINE,
    "A module wants a rules or classifier file that is not there",
    "Every job fails in that module.",
    "Put the file into the step's input folder.",
)
DATABASE = _rule(
    "export-to-database",
    _PIPELINE,
    "ExportToDatabase writes to a server, or a database a job",
    "Jobs overwrite each other's tables, or each leaves a database of its own.",
    "Use ExportToSpreadsheet and `cpengine collect`.",
    Severity.WARNING,
)

DATABASE_LIBRARY = _rule(
    "mysqldb-missing",
    _PIPELINE,
    "ExportToDatabase is enabled, and CellProfiler has no MySQLdb",
    "Every job fails as it starts: name 'sqlite3' is not defined.",
    "Use ExportToSpreadsheet, or install mysqlclient for CellProfiler.",
)
