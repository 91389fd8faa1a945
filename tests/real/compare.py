"""What CellProfiler wrote in two runs, without what differs from run to run."""

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import quote

TIMES, PLACES = ("ExecutionTime_",), ("PathName_", "URL_")
TIMESTAMP = "Run_Timestamp"
_FOLDERS = re.compile(
    r"^ +(Output folder path|Hidden- default input folder at time of save):.*\n",
    re.MULTILINE,
)
"""Settings of CreateBatchFiles that CellProfiler sets to the folders of a run."""


def image_rows(data: bytes) -> list[dict[str, str]]:
    """The rows of an Image.csv, one an image set."""
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def image_row(data: bytes) -> dict[str, str]:
    """The row of an Image.csv that has one image set."""
    (row,) = image_rows(data)
    return row


def without(row: Mapping[str, str], beginnings: tuple[str, ...]) -> dict[str, str]:
    """A row but for the columns that begin so."""
    return {key: text for key, text in row.items() if not key.startswith(beginnings)}


def experiment(data: bytes) -> dict[str, str]:
    """The keys and values of an Experiment.csv."""
    header, *rows = csv.reader(io.StringIO(data.decode(), newline=""))
    assert header == ["Key", "Value"]
    return dict(rows)


def moved(data: bytes, output: str, place: str) -> bytes:
    """A table as CellProfiler would have written it with its output in another place.

    Read and written again as CSV, since a path may need quotes that another does not.
    """
    scheme, _, path = place.rpartition("://")
    url = (f"{scheme}://" if scheme else "file:") + quote(path)
    rows = list(csv.reader(io.StringIO(data.decode(), newline="")))
    text = io.StringIO()
    csv.writer(text).writerows(
        [
            _moved(_moved(cell, f"file:{quote(output)}", url), output, place)
            for cell in row
        ]
        for row in rows
    )
    return text.getvalue().encode()


def _moved(cell: str, start: str, to: str) -> str:
    rest = cell.removeprefix(start)
    return to + rest if rest != cell and rest[:1] in ("", "/") else cell


def lasting(name: str, data: bytes) -> object:
    """What two runs have in common that differ in time and in where the images are.

    An Image.csv without execution times and addresses, its PathName_ columns included;
    an Experiment.csv without the time and folders of the run; every other file byte
    for byte.
    """
    match PurePosixPath(name).name:
        case "Image.csv":
            return [without(row, (*TIMES, "URL_")) for row in image_rows(data)]
        case "Experiment.csv":
            values = without(experiment(data), (TIMESTAMP,))
            return {key: _FOLDERS.sub("", text) for key, text in values.items()}
    return data


def differing(ours: Path, theirs: Path) -> list[str]:
    """Which files of two runs' folders differ in what lasts, or are in one alone.

    Where plain CellProfiler's Image.csv names its own output folder, it stands for the
    place of ours.
    """
    mine, plain_ones = _files(ours), _files(theirs)
    if table := plain_ones.get("Image.csv"):
        plain_ones["Image.csv"] = moved(table, str(theirs), str(ours))
    return [
        name
        for name in sorted({*mine, *plain_ones})
        if name not in mine
        or name not in plain_ones
        or lasting(name, mine[name]) != lasting(name, plain_ones[name])
    ]


def _files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}
