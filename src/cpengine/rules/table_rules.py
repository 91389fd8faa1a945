"""Rules on the LoadData CSVs."""

from cpengine.rules.finding import Severity
from cpengine.rules.finding import rule as _rule

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
TIMEPOINTS_MERGED = _rule(
    "timepoints-merged",
    _CSV,
    "A job has planes of several timepoints",
    "They are projected together, one on top of the other.",
    "Add Metadata_TimepointID to the step's group and to the pipeline's grouping.",
)
CSV_OUTDATED = _rule(
    "csv-outdated",
    _CSV,
    "load_data.csv has changed since your load_data_with_illum.csv was last used",
    "Sites that were added are not analysed; images, folders and metadata that were "
    "corrected are not taken.",
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
CSV_OTHER_VALUES = _rule(
    "csv-other-values",
    _CSV,
    "load_data_with_illum.csv has other files, folders or metadata than load_data.csv",
    "Illumination is of other images than the analysis, or its metadata are older.",
    "Remove load_data_with_illum.csv: it is made again. Or set this rule to off.",
    Severity.WARNING,
)
CSV_ILLUM_ELSEWHERE = _rule(
    "csv-illum-elsewhere",
    _CSV,
    "Your load_data_with_illum.csv names other functions than those of the illum step",
    "Images are corrected with functions of another batch, project or version.",
    "Remove load_data_with_illum.csv: it is made again. Or set this rule to off.",
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
