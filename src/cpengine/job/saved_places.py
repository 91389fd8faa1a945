"""Let tables name images where they are for all, not where they were for one attempt.

SaveImages records folder and address of a file as it writes it: in the attempt's own
folder, which is gone after it. Those of images of a list of files are recorded, too,
and they may have been fetched into that folder.

Source: `cellprofiler/modules/saveimages.py` and `exporttospreadsheet.py` 4.2.8, which
uses Python's `csv.writer`.
"""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

_ENDINGS = (".csv", ".txt")
_COLUMNS = (b"PathName_", b"URL_")
_HEADER_LINES = 2
"""A table of several objects names its columns in the second line."""


def correct(
    output: Path, names: Iterable[str], places: Mapping[str, str]
) -> dict[str, int]:
    """Put the lasting place for the folder that cells with places begin with.

    All other bytes stay. Gives the new sizes in bytes of the tables that were changed.
    Tables are read with tabs or commas between their columns.

    Parameters
    ----------
    output
        The folder that CellProfiler wrote to.
    names
        The files below it.
    places
        The paths of such folders, and the path or address that stands for each.
    """
    paths = {os.fsencode(folder): os.fsencode(to) for folder, to in places.items()}
    both = paths | {_url(folder): _url(to) for folder, to in places.items()}
    changed = {}
    for name in names:
        path = output / name
        if name.lower().endswith(_ENDINGS) and _corrected(path, both):
            changed[name] = path.stat().st_size
    return changed


def _url(place: str) -> bytes:
    """A place as CellProfiler writes it into a URL_ column."""
    scheme, _, rest = place.rpartition("://")
    return (f"{scheme}://{quote(rest)}" if scheme else f"file:{quote(rest)}").encode()


def _corrected(path: Path, places: Mapping[bytes, bytes]) -> bool:
    """Correct one table, a line at a time; whether there was anything to correct."""
    with path.open("rb") as table:
        header = b"".join(table.readline() for _ in range(_HEADER_LINES))
        if not any(name in header for name in _COLUMNS):
            return False
        cells = _Cells(places, b"\t" if b"\t" in header else b",")
        table.seek(0)
        if not any(map(cells.begin.search, table)):
            return False
        table.seek(0)
        part = path.with_name(f".{path.name}.part")
        with part.open("wb") as new:
            new.writelines(map(cells.corrected, table))
    part.replace(path)
    return True


class _Cells:
    """The cells of a table that begin with one of several folders."""

    def __init__(self, places: Mapping[bytes, bytes], delimiter: bytes) -> None:
        self._places = places
        self._special = re.compile(b'["\r\n' + delimiter + b"]")
        folders = b"|".join(map(re.escape, places))
        quoted = b"|".join(re.escape(_doubled(folder)) for folder in places)
        end = b"[" + delimiter + b"\r\n]|$"
        rest = b"(?P<rest>(?:/[^" + delimiter + b"\r\n]*)?)"
        self.begin = re.compile(
            b"(?:^|(?<=" + delimiter + b'))(?:"(?P<quoted>' + quoted + b')(?=[/"])|'
            b"(?P<plain>" + folders + b")" + rest + b"(?=" + end + b"))"
        )

    def corrected(self, line: bytes) -> bytes:
        """A line of the table with the places that stand for the folders."""
        return self.begin.sub(self._replaced, line)

    def _replaced(self, found: re.Match[bytes]) -> bytes:
        if found["quoted"]:
            folder = found["quoted"].replace(b'""', b'"')
            return b'"' + _doubled(self._places[folder])
        text = self._places[found["plain"]] + found["rest"]
        return b'"' + _doubled(text) + b'"' if self._special.search(text) else text


def _doubled(text: bytes) -> bytes:
    """A text as it is in a quoted cell."""
    return text.replace(b'"', b'""')
