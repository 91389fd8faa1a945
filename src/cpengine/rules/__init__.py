"""The rules that a step must keep before it runs, and what is found against them.

This is the one source of what `cpengine check` says and of the troubleshooting page.
"""

from cpengine.rules.earlier_steps import INPUT_REPLACED, INPUT_UNMARKED
from cpengine.rules.finding import RULES, Finding, Rule, Severity
from cpengine.rules.finding import rule as _rule

__all__ = ["INPUT_REPLACED", "INPUT_UNMARKED", "RULES", "Finding", "Rule", "Severity"]

_CSV = "LoadData CSVs"

CSV_MISSING = _rule(
    "csv-missing",
    _CSV,
    "A plate has no LoadData CSV",
    "DCP's worker says DOWNLOAD_PROBLEM for every job.",
    "Put the CSV into the plate's folder, or correct project.plates.",
)
CSV_NO_PLATES = _rule(
    "csv-no-plates",
    _CSV,
    "The batch has no plate folders",
    "Nothing runs.",
    "Make one folder a plate with its CSV, or correct project.batch.",
)
CSV_BESIDE = _rule(
    "csv-beside-plates",
    _CSV,
    "A CSV lies beside the folders of plates",
    "It is not read, and what only it lists is not run.",
    "Give it a folder of its own, or remove it.",
    Severity.WARNING,
)
CSV_ENCODING = _rule(
    "csv-encoding",
    _CSV,
    "A file is not UTF-8 text",
    "LoadData fails with a UnicodeDecodeError.",
    "Save it as UTF-8.",
)
CSV_UNREADABLE = _rule(
    "csv-unreadable",
    _CSV,
    "A file is of another kind than a CSV",
    "LoadData fails at its first byte, or knows none of its columns.",
    "Do as the message says: save it as CSV, unpack it, or fetch the file itself.",
)
CSV_EMPTY = _rule(
    "csv-empty",
    _CSV,
    "A CSV has no rows",
    "CellProfiler ends at once with an IndexError, or with success and no files.",
    "Write one row an image set.",
)
CSV_QUOTES = _rule(
    "csv-quotes",
    _CSV,
    "A quote is opened and not closed",
    "Rows run into each other, images of one site appear in another.",
    "Close the quotes.",
)
CSV_SEPARATOR = _rule(
    "csv-separator",
    _CSV,
    "Columns are not separated by commas",
    "LoadData sees a single column.",
    "Save it with commas between columns.",
)
CSV_ROW_LENGTH = _rule(
    "csv-row-length",
    _CSV,
    "A row has fewer values than there are columns",
    "LoadData fails on it.",
    "Give each column one value.",
)
CSV_ROW_LONGER = _rule(
    "csv-row-longer",
    _CSV,
    "A row has more values than there are columns",
    "LoadData drops the last ones; after a comma without quotes, values are in other "
    "columns.",
    "Put quotes around values with commas, or name the columns.",
    Severity.WARNING,
)
CSV_UNNAMED = _rule(
    "csv-unnamed-column",
    _CSV,
    "A column has no name",
    "LoadData fails on the column that pandas wrote for its index.",
    "Remove it; with pandas write to_csv(index=False).",
)
CSV_NAME_UNREAD = _rule(
    "csv-name-unread",
    _CSV,
    "LoadData does not know a column of an image",
    "A blank or a byte order mark is part of the name, so that the channel is missing.",
    "Remove the blanks; save the file as UTF-8 without a byte order mark.",
)
CSV_TWICE = _rule(
    "csv-column-twice",
    _CSV,
    "A column is there twice",
    "LoadData takes the last of them.",
    "Remove one.",
    Severity.WARNING,
)
CSV_BLANK_ROWS = _rule(
    "csv-blank-rows",
    _CSV,
    "A row has nothing but commas",
    "It counts as an image set, so that image numbers move by one; it makes no job.",
    "Remove it: spreadsheets write such rows at the end.",
    Severity.WARNING,
)
CSV_NO_FILE_NAME = _rule(
    "csv-no-file-name",
    _CSV,
    "An image lacks a column that goes with another of its columns",
    "LoadData fails: PathName_ needs FileName_, URL_ beside one of them both.",
    "Add the column.",
)
CSV_COLUMN_UNFIT = _rule(
    "csv-column-unfit",
    _CSV,
    "LoadData or CellProfiler fails on a column",
    "Every job ends with a TypeError or a KeyError.",
    "Do as the message says.",
)
CSV_NO_FOLDER = _rule(
    "csv-no-folder",
    _CSV,
    "Images have no folder, and the pipeline takes them from its output folder",
    "A job's output folder is empty when it starts, so that no image is found.",
    "Write their folders into PathName_ columns, or change the base image location.",
)
CSV_NO_IMAGES = _rule(
    "csv-no-images",
    _CSV,
    "A CSV names no images",
    "Modules fail, because no image has the name they want.",
    "Add FileName_ and PathName_ columns for each channel.",
)
CSV_EMPTY_CELL = _rule(
    "csv-empty-cell",
    _CSV,
    "A row names no file or folder for an image",
    "That image set fails in the middle of its job.",
    "Name the image, or remove the row.",
)
CSV_OTHER_PLATE = _rule(
    "csv-other-plate",
    _CSV,
    "A plate's folder has the CSV of another plate",
    "Jobs and results go by the plate that the CSV names.",
    "Give the folder the plate's name, or correct Metadata_Plate.",
    Severity.WARNING,
)
CSV_SITE_TWICE = _rule(
    "csv-site-twice",
    _CSV,
    "A site is in two rows",
    "Its cells are counted twice.",
    "Keep one row a site.",
    Severity.WARNING,
)
CSV_PLANES = _rule(
    "csv-planes",
    _CSV,
    "The planes of a stack cannot be told",
    "The projected CSV cannot be made.",
    "Keep one column with the numbers of planes, such as Metadata_PlaneID.",
)
CSV_OUTDATED = _rule(
    "csv-outdated",
    _CSV,
    "load_data.csv has changed since your load_data_with_illum.csv was last used",
    "Sites that were added are not analysed, images that were corrected not taken.",
    "Remove it: it is made again. Or set this rule to off, to take it as it is.",
)
CSV_OTHER_SITES = _rule(
    "csv-other-sites",
    _CSV,
    "load_data_with_illum.csv lists other sites than load_data.csv",
    "Sites that were added later are not analysed.",
    "Remove load_data_with_illum.csv: it is made again.",
    Severity.WARNING,
)
CSV_SAME_FILE = _rule(
    "csv-same-file",
    _CSV,
    "Two channels of a site are the same file",
    "Two channels are measured that are one: correlations of 1.",
    "Correct the column that was copied.",
    Severity.WARNING,
)
CSV_FILE_AGAIN = _rule(
    "csv-file-again",
    _CSV,
    "Two sites name the same file",
    "The same cells are measured as two sites.",
    "Correct the row that was copied.",
    Severity.WARNING,
)
CSV_ILLUM_PLATE = _rule(
    "csv-illum-of-other-plate",
    _CSV,
    "A row names an illumination function of another plate",
    "Images are corrected with another plate's illumination.",
    "Remove load_data_with_illum.csv: it is made again.",
    Severity.WARNING,
)

ILLUM_NAME = _rule(
    "illum-name",
    _CSV,
    "Illumination functions are not named after the plate",
    "Their channels get no columns, and the pipeline fails on a missing image.",
    "Rename them as the message says: plates go by the value that LoadData reads.",
)

_GROUPS = "Groups"

GROUP_COLUMN = _rule(
    "group-column-missing",
    _GROUPS,
    "A CSV lacks a column that makes groups",
    "CellProfiler raises a KeyError for -g.",
    "Add the Metadata_ column.",
)
GROUP_EMPTY = _rule(
    "group-value-empty",
    _GROUPS,
    "A grouping column has an empty value",
    "The row belongs to no job and is never processed.",
    "Fill it in.",
)
GROUP_UNFIT = _rule(
    "group-value-unfit",
    _GROUPS,
    "A grouping value has a comma, an equals sign, a slash or a control character, or "
    "begins with a point",
    "-g is split at commas and equals signs: no image set matches, and CellProfiler "
    "says success. A slash or point leads into other folders, a control character "
    "changes what a terminal shows.",
    "Use other characters.",
)
GROUP_TYPED = _rule(
    "group-values-read-as-one",
    _GROUPS,
    "LoadData reads two grouping values as one",
    "01 and 1 are both read as 1, so that two groups become one.",
    "Write both the same, or make the column text.",
)
GROUP_NAMES = _rule(
    "group-names-clash",
    _GROUPS,
    "Two groups would have one name or one folder",
    "The results of one overwrite those of the other.",
    "Use values without '-' where they could be confused.",
)
GROUP_LONG = _rule(
    "group-name-long",
    _GROUPS,
    "A group's name is too long for a folder",
    "Results cannot be written.",
    "Shorten its metadata values.",
)
LAYOUT_NONE = _rule(
    "layout-matches-nothing",
    _GROUPS,
    "The plate layout has none of the CSV's groups",
    "Every job ends with an IndexError: wells named A1 here and A01 there are two.",
    "Change [plate] (rows, columns, pad_wells, sites), or use groups = 'csv'.",
)
LAYOUT_ABSENT = _rule(
    "layout-groups-absent",
    _GROUPS,
    "Groups of the plate layout are not in the CSV",
    "Their jobs would fail; here they are left out.",
    "Exclude the wells, or add their rows.",
    Severity.WARNING,
)
WELLS_UNEVEN = _rule(
    "sites-missing",
    _GROUPS,
    "Wells have fewer sites than most",
    "Wells with fewer cells for no biological reason.",
    "See whether the microscope has finished and the CSV is whole.",
    Severity.WARNING,
)
PLANES_UNEVEN = _rule(
    "planes-missing",
    _GROUPS,
    "Sites have fewer planes than most",
    "A projection of an incomplete stack.",
    "See whether the microscope has finished and the CSV is whole.",
    Severity.WARNING,
)
FLAGGED_OUT = _rule(
    "flagged-left-out",
    _GROUPS,
    "Jobs of flagged sites are left out, as --exclude-flagged says",
    "Blurred images are measured as if they were sharp.",
    "Look at them: `cpengine qc` says why each is flagged.",
    Severity.WARNING,
)
FLAGGED_INCLUDED = _rule(
    "flagged-kept",
    _GROUPS,
    "Jobs hold flagged sites beside others",
    "Blurred images go into what is made of a well or plate, such as illumination.",
    "Drop their rows from the CSV if they must not count; a job is never cut.",
    Severity.WARNING,
)
BATCH_FILE = _rule(
    "batch-file",
    _GROUPS,
    "A batch file does not fit the step",
    "No group matches.",
    "Set the step's group and project.plates as the file has them, or make it again.",
)

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
    'Make a batch file of it by CreateBatchFiles (`groups = "batch"`), or put LoadData '
    "in place of Images, Metadata, NamesAndTypes and Groups.",
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
    "Add the image's columns, or run the illum step first.",
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

_IMAGES = "Images"

IMAGE_MISSING = _rule(
    "image-missing",
    _IMAGES,
    "An image is not there",
    "Its job fails, after it has waited for its turn.",
    "Put it there, map its folder in [storage.map], or drop the row; run the step that "
    "makes it first.",
)
IMAGE_EMPTY = _rule(
    "image-empty",
    _IMAGES,
    "An image is empty (0 bytes)",
    "Its job fails: zero-size array.",
    "Copy it again, or drop the row.",
)
IMAGE_SMALL = _rule(
    "image-small",
    _IMAGES,
    "An image is much smaller than the others of its channel",
    "A truncated image fails, or is black below a line.",
    "Compare it with the microscope's and copy it again.",
    Severity.WARNING,
)

_PLACES = "Settings and machines"

SETTING = _rule(
    "setting",
    _PLACES,
    "A setting of the project file cannot be used",
    "Nothing runs.",
    "Do as the message says.",
)
OUTPUT_STRUCTURE = _rule(
    "output-structure",
    _PLACES,
    "output_structure leads out of the output, or names what is no group",
    "Results land in one folder, or elsewhere.",
    "Name only the step's Metadata_ columns, and stay below the output.",
)
PLUGINS_MISSING = _rule(
    "plugins-missing",
    _PLACES,
    "The plugins folder is not there or empty",
    "Modules of plugins are unknown.",
    "Put the plugins there, or change steps.NAME.plugins.",
)
STORAGE = _rule(
    "storage",
    _PLACES,
    "A place cannot be read or written",
    "Jobs fail when they fetch or publish.",
    "Do as the message says: credentials, rights, the bucket's name, the disk.",
)
CELLPROFILER = _rule(
    "cellprofiler",
    _PLACES,
    "There is no CellProfiler that can be used",
    "Nothing runs.",
    "cpengine cellprofiler install, or name one in [cellprofiler].",
)
SCRATCH_SPACE = _rule(
    "scratch-space",
    _PLACES,
    "The scratch folder has less room than the jobs under way need",
    "Jobs fail with a full disk.",
    "Free some, or set executors.local.scratch to a larger disk.",
)
EXECUTOR = _rule(
    "executor",
    _PLACES,
    "The place where jobs shall run cannot be used",
    "Nothing starts, or machines wait for what is not there.",
    "Do as the message says.",
)
OTHER = _rule(
    "input",
    _PLACES,
    "Something else about the input is wrong",
    "Jobs fail.",
    "Do as the message says.",
)
