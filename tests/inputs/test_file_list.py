"""Lists of files are read as `--file-list` reads them."""

import pytest

from cpengine.errors import InputError
from cpengine.inputs import file_list
from cpengine.inputs.table_images import image_files


def places(data: bytes) -> list[tuple[str, str, str]]:
    """The folder and name of each listed file, and where it is listed."""
    table = file_list.parse(data, "files.txt")
    return [
        (file.folder, file.name, table.where(row, file.column))
        for row in range(len(table.rows))
        for file in image_files(table, row)
    ]


def test_blank_lines_blanks_and_line_ends_do_not_count() -> None:
    data = b"  /data/P1/a 1.tif \r\n\r\n\t\nfile:///data/a%20b/c.tif\rs3://lab/P1/d.tif"
    assert places(data) == [
        ("/data/P1", "a 1.tif", "files.txt:1"),
        ("/data/a b", "c.tif", "files.txt:4"),
        ("s3://lab/P1", "d.tif", "files.txt:5"),
    ]


def test_places_of_windows_are_whole() -> None:
    (found,) = places(b"D:\\screen\\P1\\a.tif\r\n")
    assert found == ("D:\\screen\\P1", "a.tif", "files.txt:1")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "files.txt: lists no files: write the path or address of a file a line"),
        (b" \r\n\n", "files.txt: lists no files"),
        (b"/a.tif\nP1/b.tif\nc.tif\n", "files.txt:2: 'P1/b.tif' is a relative place"),
        (b"b.tif\nc.tif\n", "(and 1 line more): write the whole path"),
        (b"\xef\xbb\xbf/a.tif\n", "files.txt:1: starts with a byte order mark"),
        (b"/a\xff.tif\n", "files.txt: is not UTF-8 text"),
        (b"/a.tif\n/b\0.tif", "files.txt: has a zero byte (byte 9), as UTF-16"),
        ("/a.tif\n".encode("utf-16-le"), "files.txt: has a zero byte (byte 1)"),
        (b"x" * 10**6, f"files.txt:1: {'x' * 80!r} is a relative place: write"),
        (b"file://nas/a.tif", "files.txt:1: 'file://nas/a.tif' is of a host, where"),
        (b"PK\3\4xl/workbook", "files.txt: is an Excel workbook"),
    ],
)
def test_what_cannot_be_run_is_one_line(data: bytes, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        file_list.parse(data, "files.txt")
    (line,) = str(caught.value).splitlines()
    assert expected in line
