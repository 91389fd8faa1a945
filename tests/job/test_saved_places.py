"""Cells that name where an attempt wrote images come to name the published place."""

import csv
import io
from pathlib import Path
from urllib.parse import quote

import pytest

from cpengine.job import saved_places

PLACE = "/data/results/P1"
HEADER = "ImageNumber,FileName_Saved,PathName_Saved,URL_Saved"


def corrected(output: Path, text: str, place: str = PLACE, name: str = "t.csv") -> str:
    """What becomes of a table whose text has OUT and URL for the attempt's folder."""
    output.mkdir(parents=True, exist_ok=True)
    given = text.replace("OUT", str(output)).replace(
        "URL:", f"file:{quote(str(output))}"
    )
    (output / name).write_bytes(given.encode())
    changed = saved_places.correct(output, [name], {str(output): place})
    data = (output / name).read_bytes()
    assert changed == ({} if data == given.encode() else {name: len(data)})
    assert [path.name for path in output.iterdir()] == [name]
    return data.decode()


def test_folder_and_address_name_the_published_place(tmp_path: Path) -> None:
    row = "1,a.png,{0}/sub,{1}/sub/a%20b.png\r\n2,b.png,{0},{1}/b.png\r\n"
    made = corrected(tmp_path, f"{HEADER}\r\n" + row.format("OUT", "URL:"))
    assert made == f"{HEADER}\r\n" + row.format(PLACE, f"file:{PLACE}")


def test_an_address_on_s3_stands_for_both(tmp_path: Path) -> None:
    place = "s3://lab/a b"
    made = corrected(tmp_path, f"{HEADER}\n1,a.png,OUT/x,URL:/x/a.png\n", place)
    assert made == f"{HEADER}\n1,a.png,s3://lab/a b/x,s3://lab/a%20b/x/a.png\n"


def test_all_other_cells_and_bytes_stay(tmp_path: Path) -> None:
    text = (
        f"{HEADER}\r\n"
        '1,"OUT",see OUT,"x, OUT/a"\n'  # begins with another text
        '2,OUTER,OUT-2/a,"say ""OUT/a"""\r\n'  # or is another folder
        "3,file:OUTER,\u00e4,"
    )
    expected = text.replace('"OUT"', f'"{PLACE}"', 1)
    assert corrected(tmp_path, text) == expected.replace("OUT", str(tmp_path))


@pytest.mark.parametrize("folder", ["plain", "a, b", 'a "b"', "\u00e4 b"])
@pytest.mark.parametrize("place", [PLACE, "/data/c, d", '/data/c "d"'])
@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_cells_that_need_quotes_have_them(
    tmp_path: Path, folder: str, place: str, delimiter: str
) -> None:
    def table(start: str) -> str:
        text = io.StringIO()
        writer = csv.writer(text, delimiter=delimiter)
        writer.writerow(HEADER.split(","))
        writer.writerow([1, "a.png", f"{start}/sub, one", f"file:{quote(start)}/a"])
        writer.writerow([2, "b.png", start, f"file:{quote(start)}/b"])
        return text.getvalue()

    def cells(text: str) -> list[list[str]]:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))

    output = tmp_path / folder
    made = corrected(output, table(str(output)), place, "table.txt")
    assert cells(made) == cells(table(place))
    if '"' not in table(str(output)):  # else those that were quoted stay so
        assert made == table(place)


def test_columns_may_be_named_in_the_second_line(tmp_path: Path) -> None:
    text = "Image,Image,Nuclei\nImageNumber,PathName_Saved,Area\n1,OUT,3\n"
    assert corrected(tmp_path, text) == text.replace("OUT", PLACE)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Cells.csv", "ImageNumber,ObjectNumber,Metadata_Folder\n1,1,OUT\n"),
        ("picture.png", f"{HEADER}\n1,a.png,OUT,URL:/a.png\n"),
        ("Image.csv", f"{HEADER}\n1,a.png,/images,file:/images/a.png\n"),
        ("Image.csv", ""),
    ],
)
def test_other_files_are_not_touched(tmp_path: Path, name: str, text: str) -> None:
    made = corrected(tmp_path, text, name=name)
    assert made == text.replace("OUT", str(tmp_path)).replace(
        "URL:", f"file:{tmp_path}"
    )
