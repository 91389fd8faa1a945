"""Files of other kinds in the place of pipelines, CSVs and batch files."""

import gzip
import io
import zipfile

import pytest

from cpengine import rules
from cpengine.errors import InputError
from cpengine.inputs import loaddata, pipeline
from tests.build import pipeline_text

HDF5 = b"\x89HDF\r\n\x1a\n\0\0\0"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
PAGE = b"\n\n\n<!DOCTYPE html>\n<html lang=en>a,b</html>\n"


def zipped(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(name, "text")
    return file.getvalue()


OTHERS = [
    (HDF5, "is HDF5, as projects (.cpproj) and batch files are"),
    (gzip.compress(b"a,b\n"), "is compressed with gzip"),
    (b"BZh91AY&SY", "is compressed with bzip2"),
    (b"\xfd7zXZ\0", "is compressed with xz"),
    (zipped("a.csv"), "is a zip archive"),
    (zipped("xl/workbook.xml"), "is an Excel workbook"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an Excel workbook"),
    ("a\tb\n".encode("utf-16"), "is UTF-16 text"),
    ("a\tb\n".encode("utf-16-be").join((b"\xfe\xff", b"")), "is UTF-16 text"),
    (b"%PDF-1.7\n", "is a PDF"),
    (PAGE, "is a web page"),
    (b"\xef\xbb\xbf<HTML>", "is a web page"),
    (b'<?xml version="1.0"?><Error/>', "is XML or HTML"),
    (LFS, "is a Git LFS pointer"),
    (b"\x89PNG\r\n", "is an image (PNG)"),
    (b"II*\0\x08\0", "is an image (TIFF)"),
    (b"PAR1\x15\x04", "is Parquet"),
    (b"{\\rtf1\\ansi", "is rich text, not plain"),
    (b"\0" * 4096, "is zero bytes, as a broken copy is"),
]


def refusal(data: bytes, path: str) -> str:
    """What is said of a pipeline, or of a CSV."""
    csv = path.endswith(".csv")
    with pytest.raises(InputError) as caught:
        (loaddata if csv else pipeline).decode(data, path)
    (finding,) = caught.value.findings
    assert finding.rule is (rules.CSV_UNREADABLE if csv else rules.PIPELINE_UNREADABLE)
    assert finding.place == path
    return f"{finding.cause}: {finding.cure}"


@pytest.mark.parametrize(
    ("data", "expected"), [pytest.param(*other, id=other[1]) for other in OTHERS]
)
@pytest.mark.parametrize("path", ["p.cppipe", "p.json", "f.csv"])
def test_other_kind_is_named(data: bytes, expected: str, path: str) -> None:
    assert refusal(data, path).startswith(expected)


@pytest.mark.parametrize(
    ("data", "path", "cure"),
    [
        (HDF5, "p.cppipe", "open it in CellProfiler and use File > Export > Pipeline"),
        (HDF5, "f.csv", "save it as CSV (comma separated, UTF-8)"),
        (b"PAR1\x15", "f.csv", "save it as CSV (comma separated, UTF-8)"),
        (b"\x1f\x8b\x08", "f.csv", "unpack it"),
        (PAGE, "p.cppipe", "download the file itself (GitHub: Raw)"),
        (LFS, "p.cppipe", "fetch the file itself with git lfs pull"),
        (b"", "p.cppipe", "put it there again"),
        (
            pipeline_text().encode("utf-8-sig"),
            "p.cppipe",
            "save it as UTF-8 without it",
        ),
        (b"CellProfiler Pipeline: x\n", "f.csv", "put the plate's CSV there"),
    ],
)
def test_cure_is_of_what_was_expected(data: bytes, path: str, cure: str) -> None:
    assert refusal(data, path).endswith(f": {cure}")


def test_json_goes_by_its_name_as_in_cellprofiler() -> None:
    assert refusal(b'\n {"modules": []}', "p.cppipe").startswith(
        "is JSON, and CellProfiler reads JSON only by the name .json: rename it"
    )
    assert refusal(b"{}", "p.JSON").startswith("is JSON, and CellProfiler reads JSON")
    assert refusal(pipeline_text().encode(), "p.json").startswith(
        "is named .json, but holds no JSON: rename it to .cppipe"
    )
    assert pipeline.decode(b"{}", "p.json") == "{}"


@pytest.mark.parametrize(
    "data",
    [b"", b"BZ,a\n", b"PAR1,a\n", b"II,a\n", b"version,a\n", b"\xef\xbb\xbfa,b\n"],
)
def test_text_that_begins_nearly_so_is_text(data: bytes) -> None:
    assert loaddata.decode(data, "f.csv") == data.decode()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"/home/ubuntu/bucket/a.tif\n/home/ubuntu/bucket/b.tif\n", "list.csv"),
        (b"\xef\xbb\xbf/data/a,b.tif\n", "list.csv"),
        (b"file:///data/a.tif\ns3://lab/b.tif\n", "list.csv"),
        (b"s3://lab/a.tif\n", "list.csv"),
        (b"C:\\images\\a.tif\r\n", "list.csv"),
        (b"\\\\server\\images\\a.tif\n", "list.txt"),
    ],
)
def test_a_list_of_files_is_no_table_for_loaddata(data: bytes, name: str) -> None:
    with pytest.raises(InputError) as caught:
        loaddata.decode(data, name)
    (line,) = str(caught.value).splitlines()
    assert "is a list of files, as --file-list takes it: for a pipeline without" in line
    assert line.endswith("name it .txt and set the step's data_file")


def test_a_table_may_have_any_name() -> None:
    text = "FileName_DNA,PathName_DNA\na.tif,/data\n"
    assert loaddata.decode(text.encode(), "load_data.txt") == text
