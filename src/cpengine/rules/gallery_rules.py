"""Rules on a project in the structure of the Cell Painting Gallery.

Source: its documentation, "Cell Painting Gallery folder structure" and "Contributing",
as of its commit b55c652.
"""

from cpengine.rules.finding import Severity
from cpengine.rules.finding import rule as _rule

GALLERY = "Cell Painting Gallery"
_REFUSED = "Its maintainers, who look at what was staged, send the data set back."
_NOT_FOUND = "Who goes by the Gallery's structure does not find the files."

GALLERY_PROJECT_NAME = _rule(
    "gallery-project-name",
    GALLERY,
    "A project is not named cpg, four digits and a short tag in small letters",
    "Its place is given by the maintainers, and the tag is what everybody writes.",
    "Name it as the maintainers say, such as cpg0016-jump.",
    Severity.WARNING,
)
GALLERY_NAME = _rule(
    "gallery-name",
    GALLERY,
    "The name of a folder has a blank or another sign than letters, digits, _ and -",
    "Commands and addresses break at it.",
    "Rename the folder, and what names it in tables.",
    Severity.WARNING,
)
GALLERY_NO_SOURCE = _rule(
    "gallery-no-source",
    GALLERY,
    "images or workspace lie directly in the project",
    _NOT_FOUND,
    "Put them into a folder named after the institution, also if there is just one.",
)
GALLERY_FOLDER_MISSING = _rule(
    "gallery-folder-missing",
    GALLERY,
    "images, workspace/load_data_csv or workspace/metadata is missing",
    _REFUSED,
    "Add it: these three are what every data set must have.",
)
GALLERY_RESULTS_MISSING = _rule(
    "gallery-results-missing",
    GALLERY,
    "workspace has no analysis, backend or profiles",
    "Nobody can take up the data set where its authors left it.",
    "Add the results, unless images and metadata are all that is given.",
    Severity.NOTE,
)
GALLERY_UNKNOWN_FOLDER = _rule(
    "gallery-unknown-folder",
    GALLERY,
    "A folder is none of the structure, or nearly one by its name",
    _NOT_FOUND,
    "Rename it, or move it into workspace.",
    Severity.WARNING,
)
GALLERY_STRAY_FILE = _rule(
    "gallery-stray-file",
    GALLERY,
    "A file lies where the structure has folders alone",
    "It comes with whatever is downloaded.",
    "Remove it, or move it to where it belongs.",
    Severity.WARNING,
)
GALLERY_EMPTY_FILE = _rule(
    "gallery-empty-file",
    GALLERY,
    "A file is empty (0 bytes)",
    "Whoever reads it fails.",
    "Upload it again.",
)
GALLERY_BATCH_NAME = _rule(
    "gallery-batch-name",
    GALLERY,
    "A batch does not begin with the date on which imaging began, YYYY_MM_DD_",
    "Batches are not in the order in which they were imaged.",
    "Rename it in images and workspace, unless it has no date.",
    Severity.NOTE,
)
GALLERY_BATCH_IMAGES = _rule(
    "gallery-batch-images",
    GALLERY,
    "A batch has no folder images with a folder a plate",
    _REFUSED,
    "Put the plates as they came off the microscope into images/BATCH/images.",
)
GALLERY_BATCH_UNKNOWN = _rule(
    "gallery-batch-unknown",
    GALLERY,
    "A batch is in workspace and not in images",
    _NOT_FOUND,
    "Give it the same name everywhere.",
)
GALLERY_BATCH_TABLES = _rule(
    "gallery-batch-tables",
    GALLERY,
    "A batch of images has no folder in workspace/load_data_csv",
    _REFUSED,
    "Add the LoadData tables of its plates.",
)
GALLERY_PLATE_TABLES = _rule(
    "gallery-plate-tables",
    GALLERY,
    "A plate of images has no LoadData table",
    "Nobody can run it, or tell which image is which well.",
    "Add workspace/load_data_csv/BATCH/PLATE/load_data.csv.",
)
GALLERY_PLATE_UNKNOWN = _rule(
    "gallery-plate-unknown",
    GALLERY,
    "A plate of workspace or illum has no folder of images",
    "Nobody can tell which images it is about.",
    "Name it as its folder of images, or as what that begins with.",
)
GALLERY_PLATE_AMBIGUOUS = _rule(
    "gallery-plate-ambiguous",
    GALLERY,
    "The short name of a plate fits several folders of images",
    "Nobody can tell which images it is about.",
    "Name it by more of the folder's name.",
)
GALLERY_ILLUM_MISSING = _rule(
    "gallery-illum-missing",
    GALLERY,
    "A plate has no illumination functions, or none for a channel of its table",
    "Its analysis cannot be repeated.",
    "Upload what the illum step has made: PLATE_IllumCHANNEL.npy.",
    Severity.WARNING,
)
GALLERY_ILLUM_NAME = _rule(
    "gallery-illum-name",
    GALLERY,
    "A file of illumination functions has another name than PLATE_IllumCHANNEL.npy",
    "Tables and tools do not find it.",
    "Rename it; of barcoding cycles it is PLATE_CycleN_IllumCHANNEL.npy.",
)
GALLERY_TABLE_MISSING = _rule(
    "gallery-table-missing",
    GALLERY,
    "A plate's folder has no load_data.csv (or .csv.gz, .parquet)",
    "Nobody can run it, or tell which image is which well.",
    "Add it.",
)
GALLERY_TABLE_ILLUM = _rule(
    "gallery-table-illum",
    GALLERY,
    "load_data_with_illum is missing, or names no illumination functions",
    "Its analysis cannot be repeated from the tables.",
    "Run the illum step, or add URL_Illum columns.",
    Severity.WARNING,
)
GALLERY_TABLE_OTHER = _rule(
    "gallery-table-other-file",
    GALLERY,
    "A plate's folder of tables has another file than tables",
    "It comes with whatever is downloaded.",
    "Remove it, or move it to where it belongs.",
    Severity.WARNING,
)
GALLERY_TABLE_UNREADABLE = _rule(
    "gallery-table-unreadable",
    GALLERY,
    "A LoadData table cannot be read",
    "Nobody can run the plate.",
    "Do as the message says.",
)
GALLERY_TABLE_URL = _rule(
    "gallery-table-url",
    GALLERY,
    "A table names images by files and folders, not in URL_ columns",
    "Its folders are of the machine on which it was made.",
    "Write URL_CHANNEL columns with the addresses in the Gallery.",
)
GALLERY_TABLE_ADDRESS = _rule(
    "gallery-table-address",
    GALLERY,
    "An address does not begin with s3://cellpainting-gallery/",
    "Nobody but you can open it.",
    "Write the address that the file will have in the Gallery.",
)
GALLERY_TABLE_ELSEWHERE = _rule(
    "gallery-table-elsewhere",
    GALLERY,
    "An address leads to another project, source, batch or plate",
    "The image is not there, or is another plate's.",
    "Correct the address.",
)
GALLERY_TABLE_WELL = _rule(
    "gallery-table-well",
    GALLERY,
    "A table has no column Metadata_Well",
    "Images cannot be joined to the platemap.",
    "Add it: all tables of the Gallery must have it.",
)
GALLERY_TABLE_METADATA = _rule(
    "gallery-table-metadata",
    GALLERY,
    "A table has no column Metadata_Plate or Metadata_Site",
    "Sites cannot be told apart, nor plates when tables are put together.",
    "Add it.",
    Severity.WARNING,
)
GALLERY_TABLE_PLATE = _rule(
    "gallery-table-plate",
    GALLERY,
    "A table lists another plate than its folder's",
    "Results are joined to the platemap of another plate.",
    "Correct Metadata_Plate or the folder's name.",
)
GALLERY_ANALYSIS_NESTING = _rule(
    "gallery-analysis-nesting",
    GALLERY,
    "A plate of analysis has not just the one folder analysis in it",
    _NOT_FOUND,
    "Put the folders of sites into analysis/BATCH/PLATE/analysis.",
)
GALLERY_ANALYSIS_SITE = _rule(
    "gallery-analysis-site",
    GALLERY,
    "A folder of results is not named PLATE-WELL-SITE or PLATE-WELL",
    "Tools that gather tables leave it out, or fail.",
    "Rename it.",
)
GALLERY_ANALYSIS_TABLES = _rule(
    "gallery-analysis-tables",
    GALLERY,
    "A site lacks Image.csv, or a table that others of its plate have",
    "Tools that gather tables fail, or leave out its cells.",
    "Run the site again, and upload its folder.",
)
GALLERY_BACKEND_FILES = _rule(
    "gallery-backend-files",
    GALLERY,
    "A plate of backend lacks PLATE.sqlite or PLATE.csv",
    "Profiles cannot be made again.",
    "Add what collating has made.",
    Severity.WARNING,
)
GALLERY_PROFILES_FILES = _rule(
    "gallery-profiles-files",
    GALLERY,
    "A plate of profiles lacks PLATE.csv.gz or PLATE.parquet, or has CSVs as they are",
    "Tools do not find them; they take several times the room.",
    "Compress them with gzip, and name them after the plate.",
    Severity.WARNING,
)
GALLERY_PLATEMAP_MISSING = _rule(
    "gallery-platemap-missing",
    GALLERY,
    "A batch has no barcode_platemap.csv, or lacks a platemap that this names",
    "Nobody knows what is in the wells.",
    "Add metadata/platemaps/BATCH/barcode_platemap.csv and platemap/MAP.txt; for a "
    "pooled experiment metadata/BATCH/Barcodes.csv.",
)
GALLERY_PLATEMAP_PLATES = _rule(
    "gallery-platemap-plates",
    GALLERY,
    "A plate is not in barcode_platemap.csv",
    "Nobody knows what is in its wells.",
    "Add a row for it, with the name that its tables have.",
)
GALLERY_PLATEMAP_COLUMNS = _rule(
    "gallery-platemap-columns",
    GALLERY,
    "barcode_platemap.csv or a platemap lacks a column",
    "pycytominer cannot annotate profiles.",
    "Name the columns Assay_Plate_Barcode and Plate_Map_Name; in the platemap, with "
    "tabs between, plate_map_name and well_position.",
)
GALLERY_PLATEMAP_NAME = _rule(
    "gallery-platemap-name",
    GALLERY,
    "A platemap has another plate_map_name than its file",
    "pycytominer joins no well to it.",
    "Write the file's name into plate_map_name.",
)
GALLERY_SEGMENTATION = _rule(
    "gallery-segmentation",
    GALLERY,
    "Segmentations have no model/README.md",
    "Nobody knows which model has made them.",
    "Describe the model there, and where to get it.",
    Severity.WARNING,
)
