"""LoadData CSVs: read them as CellProfiler does, and find what is wrong with them.

CellProfiler numbers image sets over the whole CSV, so a plate keeps one CSV and a
group is picked from it with `-g`; rows are never cut out.

Source: `cellprofiler_core/modules/loaddata.py` 4.2.8.
"""

import csv
import io
import posixpath
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from urllib.parse import quote

from cpengine import rules
from cpengine.errors import InputError
from cpengine.group_names import UNFIT, Group
from cpengine.plates import SITE_KEYS
from cpengine.rules import Finding

FILE, PATH, URL = "FileName_", "PathName_", "URL_"
_PLACES = tuple(
    prefix + kind
    for kind in (FILE, PATH, URL)
    for prefix in ("", "Objects", "Image_", "Image_Objects")
)
_WELL_COLUMN = {"wellcol", "well_col", "wellcolumn", "well_column", "column", "col"}
_INT32 = range(-(2**31), 2**31)
PLANE = re.compile(r"Metadata_(z|z?_?(plane|slice|index|stack)(_?id)?)", re.IGNORECASE)
_REPEATED = re.compile(
    r"Metadata_.*(time|frame|cycle|round)(_?(point|index|number|id))*", re.IGNORECASE
)


@dataclass(frozen=True)
class Table:
    """The image sets of one plate, one row each."""

    path: str
    """The file as messages name it."""
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]
    """The line of each row in the file, from 1."""
    typed: bool = False
    """Whether values are already as CellProfiler reads them (batch files)."""

    @cached_property
    def index(self) -> Mapping[str, int]:
        """The position of each column, by name."""
        return {name: i for i, name in enumerate(self.header)}

    def column(self, name: str) -> list[str]:
        """One column's texts, top to bottom."""
        i = self.index[name]
        return [row[i] for row in self.rows]

    def where(self, row: int, column: str | None = None) -> str:
        """`file:line:column` for messages; `row` counts from 0."""
        place = f"{self.path}:{self.lines[row]}"
        return f"{place}:{column}" if column else place

    @property
    def images(self) -> Mapping[str, "ImageColumns"]:
        """The columns of each image that LoadData loads, by image name."""
        return _image_columns(self.header)

    def to_csv(self) -> str:
        """The table as a CSV that LoadData reads the same."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.header, *self.rows])
        return text.getvalue()


@dataclass(frozen=True, slots=True)
class ImageColumns:
    """The columns that say where one image is."""

    file: str | None
    path: str | None
    url: str | None


@lru_cache(maxsize=8)  # each job asks for those of its plate
def _image_columns(header: tuple[str, ...]) -> dict[str, ImageColumns]:
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for name in header:
        bare = name.removeprefix("Image_").removeprefix("Objects")
        for kind in (FILE, PATH, URL):
            if bare.startswith(kind):
                found[bare.removeprefix(kind)][kind] = name
    return {
        image: ImageColumns(c.get(FILE), c.get(PATH), c.get(URL))
        for image, c in found.items()
    }


def parse(text: str, path: str) -> Table:
    """Read a CSV's text and check its shape.

    Raises
    ------
    InputError
        It is empty, or rows or columns cannot be what LoadData needs.
    """
    if text.startswith("\ufeff"):
        raise InputError(
            rules.CSV_ENCODING.found(
                f"{path}:1", "starts with a byte order mark", "save it as plain UTF-8"
            )
        )
    numbered = _numbered_rows(text, path)
    if len(numbered) < 2:
        raise InputError(
            rules.CSV_EMPTY.found(
                path, "has no image sets", "write one row an image set"
            )
        )
    (header, _), *body = numbered
    table = Table(
        path, header, tuple(row for row, _ in body), tuple(line for _, line in body)
    )
    raise_any(_shape_errors(table))
    raise_any(_cell_errors(table))
    return table


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
    wrong = [i for i, row in enumerate(table.rows) if len(row) != width]
    if wrong:
        values = len(table.rows[wrong[0]])
        yield rules.CSV_ROW_LENGTH.found(
            table.where(wrong[0]),
            f"has {values} values for {width} columns{_more(wrong)}",
            "give each column one value",
        )


def _header_errors(table: Table) -> Iterator[Finding]:
    top = f"{table.path}:1"
    if len(table.header) == 1 and re.search(r"[;\t]", table.header[0]):
        yield rules.CSV_SEPARATOR.found(
            top, "has no commas", "put commas between columns"
        )
        return
    seen: set[str] = set()
    for number, name in enumerate(table.header, 1):
        place = f"{top}:column {number}"
        if not name.strip() or name.startswith("Unnamed:"):
            cure = "remove it (pandas: to_csv(index=False))"
            yield rules.CSV_UNNAMED.found(place, "has no name", cure)
        elif name != name.strip():
            cause = f"{name!r} has blanks around its name"
            yield rules.CSV_BLANKS.found(place, cause, "remove them")
        elif name in seen:
            yield rules.CSV_TWICE.found(place, f"{name} is there twice", "remove one")
        seen.add(name)
    for image, columns in table.images.items():
        if columns.url:
            continue
        if columns.file is None:
            cause = f"PathName_{image} without FileName_{image}"
            yield rules.CSV_NO_FILE_NAME.found(top, cause, "add it")
        elif columns.path is None:
            cause = f"FileName_{image} without PathName_{image} or URL_{image}"
            cure = "add the column with the image's folder"
            yield rules.CSV_NO_PATH_NAME.found(top, cause, cure)


def _cell_errors(table: Table) -> Iterator[Finding]:
    if not any("" in row for row in table.rows):  # nearly always, and this is fast
        return
    for name in table.header:
        if name.startswith(_PLACES):
            empty = [i for i, value in enumerate(table.column(name)) if not value]
            if empty:
                yield rules.CSV_EMPTY_CELL.found(
                    table.where(empty[0], name),
                    f"is empty{_more(empty)}",
                    "name the image, or remove the row",
                )


def _more(rows: Sequence[object]) -> str:
    return f" (and {len(rows) - 1} rows more)" if len(rows) > 1 else ""


def read_as_loaddata(name: str, values: Sequence[str]) -> list[str]:
    """Give a column's values as LoadData's measurements hold them, as text.

    LoadData types a column over the whole CSV: integers where all parse as 32-bit
    integers, else floats where all parse as numbers, else text. Columns that hold a
    well's column number stay text.
    """
    if name.startswith("Metadata_") and name.split("_")[1].lower() in _WELL_COLUMN:
        return list(values)
    kinds = {kind_of(value) for value in set(values)}
    if str in kinds:
        return list(values)
    kind = float if float in kinds else int
    return [str(kind(value)) for value in values]


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


def groups(table: Table, keys: Sequence[str]) -> dict[Group, list[int]]:
    """Give each group's rows (from 0), groups in the order of their first row.

    Raises
    ------
    InputError
        A grouping column is missing, or a value cannot name a group.
    """
    raise_any(missing_keys(table, keys))
    raise_any(e for key in keys for e in _value_errors(table, key))
    found: dict[Group, list[int]] = {}
    for row, group in enumerate(
        zip(*(_pairs(table, key) for key in keys), strict=True)
    ):
        found.setdefault(group, []).append(row)
    return found


def _pairs(table: Table, key: str) -> Iterator[tuple[str, str]]:
    """A column's values, each with its name; equal ones are one object.

    A plan keeps the groups of all plates, and wells and sites come again and again.
    """
    column = table.column(key)
    known = {value: (key, value) for value in column}
    return map(known.__getitem__, column)


def image_numbers(table: Table, found: Mapping[Group, Sequence[int]]) -> list[int]:
    """Give the ImageNumber that CellProfiler will give each row.

    It numbers groups in the order of their values as text, and rows within a group in
    the order of the file.

    Parameters
    ----------
    found
        What `groups` gave for the columns by which the pipeline groups, in its order.
    """
    if table.typed:
        return list(table.lines)
    numbers = [0] * len(table.rows)
    ordered = (row for group in sorted(found) for row in found[group])
    for number, row in enumerate(ordered, 1):
        numbers[row] = number
    return numbers


def missing_keys(table: Table, keys: Sequence[str]) -> Iterator[Finding]:
    """Say which columns that make groups are not there."""
    for key in keys:
        if key not in table.index:
            cause = f"has no column {key}, which makes groups"
            yield rules.GROUP_COLUMN.found(f"{table.path}:1", cause, "add it")


def _value_errors(table: Table, key: str) -> Iterator[Finding]:
    """Say which values of a grouping column cannot name a group, one line a kind."""
    values = table.column(key)
    distinct = list(dict.fromkeys(values))
    as_read = distinct if table.typed else read_as_loaddata(key, distinct)
    read_as = dict(zip(distinct, as_read, strict=True))
    empty = _rows_with({""} & set(distinct), values)
    unfit = _rows_with(set(filter(UNFIT.search, distinct)), values)
    changed = _rows_with({v for v in distinct if read_as[v] != v}, values)
    if empty:
        place = table.where(empty[0], key)
        yield rules.GROUP_EMPTY.found(place, f"is empty{_more(empty)}", "fill it in")
    elif unfit:
        yield rules.GROUP_UNFIT.found(
            table.where(unfit[0], key),
            f"{values[unfit[0]]!r}{_more(unfit)} cannot name a group or folder",
            "use no comma, equals sign, blank, slash or '..'",
        )
    elif changed:
        text, read = values[changed[0]], read_as[values[changed[0]]]
        yield rules.GROUP_TYPED.found(
            table.where(changed[0], key),
            f"CellProfiler reads {text!r} as {read!r}{_more(changed)}",
            _cure(text, read),
        )


def _rows_with(wrong: Collection[str], values: Sequence[str]) -> list[int]:
    """The rows (from 0) of a column that have one of these values."""
    return [i for i, value in enumerate(values) if value in wrong] if wrong else []


def _cure(text: str, read: str) -> str:
    if kind_of(read) is int:
        return f"write {read} (no leading zeros), or make the column text (s{text})"
    return f"make the column text, for example P{text}"


def site_errors(table: Table) -> Iterator[Finding]:
    """Say which (plate, well, site) stands in more than one row."""
    keys = [name for name in table.header if _tells_rows_apart(name)]
    if not set(SITE_KEYS) <= set(keys):
        return
    first: dict[tuple[str, ...], int] = {}
    again: list[int] = []
    for row, values in enumerate(zip(*map(table.column, keys), strict=True)):
        if first.setdefault(values, row) != row:
            again.append(row)
    if again:
        row = again[0]
        of = dict(zip(table.header, table.rows[row], strict=True))
        line = table.lines[first[tuple(of[key] for key in keys)]]
        site = "-".join(of[key] for key in SITE_KEYS)
        yield rules.CSV_SITE_TWICE.found(
            table.where(row),
            f"{site} is in line {line} already{_more(again)}",
            "keep one row a site",
        )


def sites(table: Table) -> list[tuple[str, ...]]:
    """The plate, well and site of each row, as far as the table names them."""
    keys = [key for key in SITE_KEYS if key in table.index]
    return list(zip(*map(table.column, keys), strict=True))


def _tells_rows_apart(name: str) -> bool:
    return (
        name in SITE_KEYS
        or PLANE.fullmatch(name) is not None
        or _REPEATED.fullmatch(name) is not None
    )


@dataclass(frozen=True, slots=True)
class ImageFile:
    """Where the CSV says that one image of a row is."""

    column: str
    """The column that says so."""
    folder: str
    name: str


def image_files(table: Table, row: int) -> Iterator[ImageFile]:
    """Give each image of a row, from where LoadData opens it: its URL if it has one."""
    values = table.rows[row]
    for image in table.images.values():
        if image.url:
            folder, name = posixpath.split(values[table.index[image.url]])
            yield ImageFile(image.url, folder, name)
        elif image.file and image.path:
            folder = values[table.index[image.path]]
            yield ImageFile(image.file, folder, values[table.index[image.file]])


def with_urls(table: Table, paths: Mapping[int, Sequence[str]]) -> Table:
    """Give the table with the local files that LoadData shall open for some rows.

    LoadData opens the `URL_` column and measures `PathName_` and `FileName_` as they
    stand, so results go on naming the place that the CSV names. Rows and their order
    stay, so image numbers do too.

    Parameters
    ----------
    paths
        By row, the local path of each image, in the order of `image_files`.
    """
    added = _columns_of_urls(table)
    urls = [
        image.url or (image.file or "").replace(FILE, URL, 1)
        for image in table.images.values()
    ]
    remaining = [i for i, name in enumerate(table.header) if name not in urls]
    return replace(
        table,
        header=(*(table.header[i] for i in remaining), *added, *urls),
        rows=tuple(
            (
                *(row[i] for i in remaining),
                *(values[number] for values in added.values()),
                *_urls(paths.get(number), len(urls)),
            )
            for number, row in enumerate(table.rows)
        ),
    )


def _columns_of_urls(table: Table) -> dict[str, list[str]]:
    """The columns that LoadData itself makes of a URL that stands alone."""
    found: dict[str, list[str]] = {}
    for image in table.images.values():
        if image.url and not image.file and not image.path:
            folders, names = zip(
                *map(posixpath.split, table.column(image.url)), strict=True
            )
            found[image.url.replace(URL, PATH, 1)] = list(folders)
            found[image.url.replace(URL, FILE, 1)] = list(names)
    return found


def _urls(paths: Sequence[str] | None, count: int) -> list[str]:
    """Addresses as LoadData writes them; of rows that it leaves out, none."""
    return [f"file:{quote(path)}" for path in paths] if paths else [""] * count
