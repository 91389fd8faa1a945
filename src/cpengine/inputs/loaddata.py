"""LoadData tables: read them as CellProfiler does, and find what is wrong with them.

Source: `cellprofiler_core/modules/loaddata.py` 4.2.8.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import add
from typing import Self

from cpengine import rules
from cpengine.errors import InputError
from cpengine.inputs import table_formats
from cpengine.inputs.file_kind import expect_table
from cpengine.inputs.table_images import (
    FILE,
    IMAGE_PREFIXES,
    PATH,
    ImageColumns,
    image_columns,
)
from cpengine.plates import WELL
from cpengine.rules import Finding
from cpengine.storage.store import as_text

MARK = "\ufeff"
"""The byte order mark, which LoadData takes for a part of the first column's name."""
_IMAGE = "Image_"
_METADATA = "Metadata_"
_WELL_ROW = {"wellrow", "well_row", "row"}
_WELL_COLUMN = {"wellcol", "well_col", "wellcolumn", "well_column", "column", "col"}
_INT32 = range(-(2**31), 2**31)


@dataclass(frozen=True)
class Table:
    """The image sets of a plate, one row each."""

    path: str
    """The file as messages name it."""
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]
    """The line of each row in the file, from 1."""
    typed: bool = False
    """Whether values are already as CellProfiler reads them (batch files)."""
    base: str = ""
    """The folder below which images are whose own folder is relative or not given."""
    notes: tuple[Finding, ...] = ()
    """What LoadData passes over without a word."""

    @cached_property
    def index(self) -> Mapping[str, int]:
        """The position of each column, by name; of two of one name, the last."""
        return {name: i for i, name in enumerate(self.header)}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The columns, with the wells that LoadData makes of their rows and columns."""
        return (*self.index, WELL) if self.well_parts else tuple(self.index)

    @cached_property
    def well_parts(self) -> tuple[str, str] | None:
        """The columns that LoadData joins to a well, where none names it."""
        bare = [
            (name, name.removeprefix(_METADATA).lower())
            for name in self.index
            if name.startswith(_METADATA)
        ]
        rows = [name for name, token in bare if token in _WELL_ROW]
        columns = [name for name, token in bare if token in _WELL_COLUMN]
        has_well = any(token == "well" for _, token in bare)
        return (rows[-1], columns[-1]) if rows and columns and not has_well else None

    def column(self, name: str) -> list[str]:
        """One column's texts, top to bottom."""
        if name == WELL and self.well_parts:
            return list(map(add, *map(self.column, self.well_parts)))
        i = self.index[name]
        return [row[i] for row in self.rows]

    def values(self, name: str) -> list[str]:
        """One column as LoadData types it, top to bottom."""
        if name not in self._values:
            texts = self.column(name)
            as_they_are = self.typed or name not in self.index
            self._values[name] = texts if as_they_are else read_as_loaddata(name, texts)
        return self._values[name]

    @cached_property
    def _values(self) -> dict[str, list[str]]:
        return {}

    def where(self, row: int, column: str | None = None) -> str:
        """`file:line:column` for messages; `row` counts from 0."""
        place = f"{self.path}:{self.lines[row]}"
        return f"{place}:{column}" if column else place

    @property
    def text_size(self) -> int:
        """About how many characters its CSV has: rows are much alike."""
        return len(self.rows) * sum(map(len, self.rows[0])) if self.rows else 0

    @property
    def images(self) -> Mapping[str, ImageColumns]:
        """The columns of each image that LoadData loads, by image name."""
        return image_columns(self.header)[0]

    @property
    def image_columns(self) -> list[ImageColumns]:
        """Those of all that it opens: images, and images that it reads as objects."""
        images, objects = image_columns(self.header)
        return [*images.values(), *objects.values()]

    def interned(self) -> Self:
        """The table with equal texts held once: folders and plates are in every row."""
        known: dict[str, str] = {}
        intern = known.setdefault
        return replace(
            self, rows=tuple([tuple(map(intern, row, row)) for row in self.rows])
        )

    def to_csv(self) -> str:
        """The table as a CSV that LoadData reads the same."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.header, *self.rows])
        return text.getvalue()


def decode(data: bytes, path: str) -> str:
    """A CSV's text, also of one that is compressed, or Parquet by its name.

    Raises
    ------
    InputError
        It is another kind of file, or none that can be read so, or no UTF-8.
    """
    data = table_formats.to_csv(data, path)
    expect_table(data, path)
    return as_text(data, path)


def parse_bytes(data: bytes, path: str) -> Table:
    """Read a table's bytes. Raises as `decode` and `parse`."""
    return parse(decode(data, path), path)


def parse(text: str, path: str) -> Table:
    """Read a CSV's text and check its shape.

    Raises
    ------
    InputError
        It is empty, or rows or columns cannot be what LoadData needs.
    """
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        cause = "has a NUL byte"
        raise InputError(
            rules.CSV_ENCODING.found(f"{path}:{line}", cause, "write the file again")
        )
    if text[:1] in ("\r", "\n"):
        cure = "remove the line: the first one names the columns"
        raise InputError(rules.CSV_UNNAMED.found(f"{path}:1", "is blank", cure))
    numbered = _numbered_rows(text, path)
    if len(numbered) < 2:
        raise InputError(
            rules.CSV_EMPTY.found(
                path, "has no image sets", "write one row an image set"
            )
        )
    (names, _), *body = numbered
    header = tuple(map(_column_name, names))
    rows = tuple(row for row, _ in body)
    lines = tuple(line for _, line in body)
    if notes := tuple(_longer_rows(path, len(header), body)):
        rows = tuple(row[: len(header)] for row in rows)
    table = Table(path, header, rows, lines, notes=notes)
    raise_any(_shape_errors(table))
    raise_any(_image_column_errors(table))
    raise_any([*_well_errors(table), *_twice_errors(table)])
    raise_any(_cell_errors(table))
    return replace(table, notes=(*notes, *_passed_over(table)))


def _column_name(name: str) -> str:
    """A column as LoadData calls it: without the `Image_` of ExportToSpreadsheet."""
    bare = name.removeprefix(_IMAGE)
    return bare if bare.startswith(IMAGE_PREFIXES) else name


def _passed_over(table: Table) -> Iterator[Finding]:
    """What LoadData takes otherwise than it may be meant."""
    twice = [name for name, n in Counter(table.header).items() if n > 1]
    if twice:
        yield rules.CSV_TWICE.found(
            f"{table.path}:1",
            f"{twice[0]} is there twice; LoadData takes the last",
            "remove one",
        )
    blank = [i for i, row in enumerate(table.rows) if not any(row)]
    if blank:
        yield rules.CSV_BLANK_ROWS.found(
            table.where(blank[0]),
            f"has nothing but commas{more_rows(blank)}, and counts as an image set",
            "remove it",
        )


def _longer_rows(
    path: str, width: int, rows: Sequence[tuple[tuple[str, ...], int]]
) -> Iterator[Finding]:
    """Rows with more values than there are columns: LoadData drops the last ones."""
    longer = [(len(row), line) for row, line in rows if len(row) > width]
    if longer:
        values, line = longer[0]
        yield rules.CSV_ROW_LONGER.found(
            f"{path}:{line}",
            f"has {values} values for {width} columns{more_rows(longer)}; LoadData "
            "drops the last ones",
            "see whether a value has a comma and needs quotes",
        )


def _numbered_rows(text: str, path: str) -> list[tuple[tuple[str, ...], int]]:
    """Give each row that is not blank and its line; any line ends will do."""
    lines = text.split("\n")
    if _is_plain(text, lines):
        numbered = enumerate(lines, 1)
        return [(tuple(line.split(",")), number) for number, line in numbered if line]
    reader = csv.reader(io.StringIO(text, newline=None))
    try:
        return [(tuple(row), reader.line_num) for row in reader if row]
    except csv.Error as error:
        raise InputError(
            rules.CSV_QUOTES.found(
                f"{path}:{reader.line_num}", f"is no CSV ({error})", "close the quotes"
            )
        ) from error


def _is_plain(text: str, lines: Sequence[str]) -> bool:
    """Whether commas and line ends alone make the rows, as in most CSVs.

    Splitting them takes a third of the time of `csv.reader`, and reading CSVs is most
    of the time that a large plan takes.
    """
    marks = '"' in text or "\r" in text
    return not marks and max(map(len, lines)) < csv.field_size_limit()


def raise_any(errors: Iterable[Finding]) -> None:
    """Raise an InputError with a line for each error, if there are any."""
    found = list(errors)
    if found:
        raise InputError(*found)


def _shape_errors(table: Table) -> Iterator[Finding]:
    yield from _header_errors(table)
    width = len(table.header)
    wrong = [i for i, row in enumerate(table.rows) if len(row) < width]
    if wrong:
        values = len(table.rows[wrong[0]])
        yield rules.CSV_ROW_LENGTH.found(
            table.where(wrong[0]),
            f"has {values} values for {width} columns{more_rows(wrong)}",
            "give each column one value",
        )


def _header_errors(table: Table) -> Iterator[Finding]:
    top = f"{table.path}:1"
    if len(table.header) == 1 and re.search(r"[;\t]", table.header[0]):
        yield rules.CSV_SEPARATOR.found(
            top, "has no commas", "put commas between columns"
        )
        return
    for number, name in enumerate(table.header, 1):
        place = f"{top}:column {number}"
        bare = name.strip().removeprefix(MARK).strip()
        if not name:
            cure = "remove it (pandas: to_csv(index=False))"
            yield rules.CSV_UNNAMED.found(place, "has no name", cure)
        elif name != bare and bare.startswith(IMAGE_PREFIXES):
            cause = f"LoadData does not know {name!r}"
            yield rules.CSV_NAME_UNREAD.found(place, cause, unread_cure(name))
        elif "/" in name or name == ".":
            cause = f"CellProfiler cannot store a column named {name!r}"
            yield rules.CSV_COLUMN_UNFIT.found(place, cause, "rename it")


def _image_column_errors(table: Table) -> Iterator[Finding]:
    """Columns of images that LoadData takes only with others."""
    for image in table.image_columns:
        name = image.url or image.file or image.path or ""
        objects = name.startswith("Objects")
        file, path = (
            re.sub(r"URL_|FileName_|PathName_", kind, name, count=1)
            for kind in (FILE, PATH)
        )
        missing = None
        if not image.file and (not image.url or image.path or objects):
            missing = file
        elif image.file and not image.path and (image.url or objects):
            missing = path
        if missing:
            yield rules.CSV_NO_FILE_NAME.found(
                f"{table.path}:1", f"{name} without {missing}", "add it"
            )


def _well_errors(table: Table) -> Iterator[Finding]:
    """Rows or columns of wells that LoadData fails to join, as it reads numbers."""
    for name in table.well_parts or ():
        if all(kind_of(text) is not str for text in set(table.column(name))) and (
            not _is_well_column(name)
        ):
            yield rules.CSV_COLUMN_UNFIT.found(
                f"{table.path}:1:{name}",
                "has numbers alone, which LoadData fails to join to wells",
                "add a column Metadata_Well, or write rows as letters",
            )


def _twice_errors(table: Table) -> Iterator[Finding]:
    """Columns of one name of which LoadData reads all by the type of the last."""
    for name, times in Counter(table.header).items():
        if times == 1:
            continue
        places = [i for i, other in enumerate(table.header) if other == name]
        *others, last = ({row[i] for row in table.rows} for i in places)
        kinds = set(map(kind_of, last))
        if str in kinds or _is_well_column(name) or name.startswith(IMAGE_PREFIXES):
            continue
        kind = float if float in kinds else int
        if not all(_parses(kind, text) for texts in others for text in texts):
            yield rules.CSV_COLUMN_UNFIT.found(
                f"{table.path}:1:{name}",
                "is there twice, with texts and then with numbers, and LoadData reads "
                "both as numbers",
                "remove one",
            )


def _parses(kind: type[int] | type[float], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def unread_cure(name: str) -> str:
    """What to do for a column of which LoadData does not know the name."""
    if name.startswith(MARK):
        return "save the file as UTF-8 without a byte order mark"
    return f"write {name.strip()}, without blanks"


def _cell_errors(table: Table) -> Iterator[Finding]:
    if not any("" in row for row in table.rows):  # nearly always, and this is fast
        return
    for image in table.image_columns:
        name = image.url or image.file or ""
        texts = table.column(name)
        empty = [i for i, row in enumerate(table.rows) if not texts[i] and any(row)]
        if empty:
            yield rules.CSV_EMPTY_CELL.found(
                table.where(empty[0], name),
                f"is empty{more_rows(empty)}",
                "name the image, or remove the row",
            )


def more_rows(rows: Sequence[object]) -> str:
    """How many rows have the same wrong with them as the first, for messages."""
    return f" (and {len(rows) - 1} rows more)" if len(rows) > 1 else ""


def read_as_loaddata(name: str, texts: Sequence[str]) -> list[str]:
    """Give a column's values as LoadData's measurements hold them, as text.

    LoadData types a column over the whole CSV: integers where all parse as 32-bit
    integers, else floats where all parse as numbers, else text. Columns that hold a
    well's column number stay text.
    """
    if _is_well_column(name):
        return list(texts)
    distinct = set(texts)
    kinds = {kind_of(text) for text in distinct}
    if str in kinds:
        return list(texts)
    kind = float if float in kinds else int
    read = {text: str(kind(text)) for text in distinct}
    return list(map(read.__getitem__, texts))


def _is_well_column(name: str) -> bool:
    """Whether LoadData takes a column for the columns of wells, which stay text."""
    return name.startswith(_METADATA) and name.split("_")[1].lower() in _WELL_COLUMN


def kind_of(text: str) -> type:
    """The type that LoadData sees in one value: int, float or str."""
    try:
        return int if int(text) in _INT32 else str
    except ValueError:
        pass
    try:
        float(text)
    except ValueError:
        return str
    return float
