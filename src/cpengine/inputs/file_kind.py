"""What a file really is, by its first bytes: told before it is read as something else.

Sources: the formats' own signatures; for pipelines `Pipeline.load` of
`cellprofiler_core/pipeline/_pipeline.py` 4.2.8, which goes by the name for JSON alone.
"""

import re
from dataclasses import dataclass

from cpengine import rules
from cpengine.errors import InputError

PIPELINE_HEAD = "CellProfiler Pipeline:"
HEAD_BYTES = 512
"""Enough of a file to tell what it is, but for what is in a zip archive."""
_HDF5 = b"\x89HDF\r\n\x1a\n"
_MARK = b"\xef\xbb\xbf"
_JSON = ".json"
_EXPORT = "open it in CellProfiler and use File > Export > Pipeline"
_SAVE_AS_CSV = "save it as CSV (comma separated, UTF-8)"
_CREATE = "write one with CreateBatchFiles"
_UNPACK = "unpack it"
_WORKBOOK = b"xl/workbook"
"""The part that each .xlsx, .xlsm and .xlsb has; names in a zip are not compressed."""
_OPEN_DOCUMENT = b"opendocument.spreadsheet"


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file that is neither pipeline nor CSV."""

    name: str
    cure: str = ""
    """What to do, whatever was expected; none, if it depends on that."""


_EXCEL = FileKind("an Excel workbook")
_ZIP = FileKind("a zip archive", _UNPACK)
_WEB_PAGE = FileKind("a web page", "download the file itself (GitHub: Raw)")
FILE_LIST = FileKind(
    "a list of files, as --file-list takes it",
    "for a pipeline without LoadData, name it .txt and set the step's data_file",
)
_PLACE = re.compile(rb"[/\\]|[A-Za-z]:[/\\]|[a-z][a-z0-9]+:/")
"""What the places of images begin with, and no name of a column."""
_BEGINNINGS = (
    (_HDF5, FileKind("HDF5, as projects (.cpproj) and batch files are")),
    (b"\x1f\x8b", FileKind("compressed with gzip", _UNPACK)),
    (b"BZh", FileKind("compressed with bzip2", _UNPACK)),
    (b"\xfd7zXZ\0", FileKind("compressed with xz", _UNPACK)),
    (b"\x28\xb5\x2f\xfd", FileKind("compressed with zstd", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", FileKind("a 7z archive", _UNPACK)),
    (b"PK\3\4", _ZIP),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _EXCEL),
    (b"PAR1\x15", FileKind("Parquet")),
    (b"\xff\xfe", FileKind("UTF-16 text, as Excel's Unicode text is")),
    (b"\xfe\xff", FileKind("UTF-16 text")),
    (b"%PDF-", FileKind("a PDF")),
    (b"{\\rtf", FileKind("rich text, not plain")),
    (
        b"version https://git-lfs",
        FileKind("a Git LFS pointer", "fetch the file itself with git lfs pull"),
    ),
    (b"\x89PNG", FileKind("an image (PNG)")),
    (b"\xff\xd8\xff", FileKind("an image (JPEG)")),
    (b"II*\0", FileKind("an image (TIFF)")),
    (b"MM\0*", FileKind("an image (TIFF)")),
    (b"\0" * 8, FileKind("zero bytes, as a broken copy is", "copy it again")),
    (b"<!doctype html", _WEB_PAGE),
    (b"<html", _WEB_PAGE),
    (b"<", FileKind("XML or HTML", "get the file itself")),
)
"""What files begin with; texts after blanks and in lower case, too."""


def kind_of(data: bytes) -> FileKind | None:
    """What a file is by its first bytes, if no pipeline or CSV begins so."""
    text = data[:HEAD_BYTES].removeprefix(_MARK).lstrip().lower()
    for beginning, kind in _BEGINNINGS:
        if data.startswith(beginning) or text.startswith(beginning):
            spreadsheet = _WORKBOOK in data or _OPEN_DOCUMENT in data
            return _EXCEL if kind is _ZIP and spreadsheet else kind
    return None


def expect_pipeline(data: bytes, path: str) -> None:
    """Refuse bytes that are no pipeline, or one that its name keeps from being read.

    Raises
    ------
    InputError
        They are another kind of file, or JSON by another name than `.json`.
    """
    if found := _no_pipeline(data, path.endswith(_JSON)):
        raise InputError(rules.PIPELINE_UNREADABLE.found(path, *found))


def _no_pipeline(data: bytes, named_json: bool) -> tuple[str, str] | None:
    """Why bytes cannot be read as a pipeline, and what to do."""
    if not data:
        return "is empty (0 bytes)", "put it there again"
    if kind := kind_of(data):
        return f"is {kind.name}", kind.cure or _EXPORT
    if data.startswith(_MARK):
        return "starts with a byte order mark", "save it as UTF-8 without it"
    if data.lstrip().startswith(b"{") and not named_json:
        return (
            "is JSON, and CellProfiler reads JSON only by the name .json",
            "rename it, and set the step's `pipeline`",
        )
    if data.startswith(PIPELINE_HEAD.encode()) and named_json:
        cause = "is named .json, but holds no JSON"
        return cause, "rename it to .cppipe, and set the step's `pipeline`"
    return None


def expect_table(data: bytes, path: str) -> None:
    """Refuse bytes that are no CSV. Raises InputError for another kind of file."""
    kind = kind_of(data)
    if data.startswith(PIPELINE_HEAD.encode()):
        kind = FileKind("a pipeline", "put the plate's CSV there")
    elif not kind and _lists_files(data):
        kind = FILE_LIST
    if kind:
        cure = kind.cure or _SAVE_AS_CSV
        raise InputError(rules.CSV_UNREADABLE.found(path, f"is {kind.name}", cure))


def _lists_files(data: bytes) -> bool:
    """Whether a file begins with the place of an image, and not with columns."""
    return bool(_PLACE.match(data.removeprefix(_MARK)))


def expect_file_list(data: bytes, path: str) -> None:
    """Refuse bytes of another kind of file. Raises InputError."""
    if kind := kind_of(data):
        cure = kind.cure or "write the path or address of a file a line"
        raise InputError(rules.FILE_LIST.found(path, f"is {kind.name}", cure))


def expect_batch_file(data: bytes, path: str) -> None:
    """Refuse bytes that no HDF5 file begins with. Raises InputError."""
    if data.startswith(_HDF5):
        return
    kind = kind_of(data)
    cause, cure = (f"is {kind.name}", kind.cure) if kind else ("is no HDF5 file", "")
    if not data:
        cause, cure = "is empty (0 bytes)", ""
    elif data.startswith(PIPELINE_HEAD.encode()):
        cause, cure = "is a pipeline", "name it in `pipeline` and set groups = 'csv'"
    raise InputError(rules.BATCH_FILE.found(path, cause, cure or _CREATE))
