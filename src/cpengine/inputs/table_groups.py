"""The groups of a LoadData table's rows, with values as LoadData types them.

CellProfiler numbers image sets over the whole table, so a plate keeps one table and a
group is picked from it with `-g`; rows are never cut out.

Source: `cellprofiler_core/modules/loaddata.py`, and `Measurements.get_groupings` in
`cellprofiler_core/measurement/_measurements.py` 4.2.8.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from cpengine import rules
from cpengine.group_names import UNFIT, Group
from cpengine.inputs.loaddata import MARK, Table, more_rows, raise_any, unread_cure
from cpengine.plates import SITE_KEYS
from cpengine.rules import Finding
from cpengine.wording import did_you_mean

TIMEPOINT = "Metadata_TimepointID"
"""The column that numbers timepoints, as Harmony and `cpengine loaddata` call it."""
PLANE = re.compile(r"Metadata_(z|z?_?(plane|slice|index|stack)(_?id)?)", re.IGNORECASE)
_REPEATED = re.compile(
    r"Metadata_.*(time|frame|cycle|round)(_?(point|index|number|id))*", re.IGNORECASE
)


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
    column = table.values(key)
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


def spellings(table: Table, key: str) -> dict[str, str]:
    """How each value of a column may be written: as LoadData types it, as the file has.

    Of each spelling, the value that LoadData makes of it; none without the column.
    """
    if key not in table.names:
        return {}
    values = table.values(key)
    return dict(zip(table.column(key), values, strict=True)) | {v: v for v in values}


def read_as(known: Mapping[str, str], value: str) -> str:
    """A value of the user's as a table has it: 01 and 1 for 1, or for 1.0.

    Parameters
    ----------
    known
        What `spellings` gave.
    """
    numbers = [value, *(str(kind(value)) for kind in (int, float) if _is(kind, value))]
    return next((known[text] for text in numbers if text in known), value)


def _is(kind: type[int] | type[float], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def missing_keys(table: Table, keys: Sequence[str]) -> Iterator[Finding]:
    """Say which columns that make groups are not there."""
    for key in keys:
        if key not in table.names:
            cause = f"has no column {key}, which makes groups"
            yield rules.GROUP_COLUMN.found(
                f"{table.path}:1", cause, _column_cure(table, key)
            )


def _column_cure(table: Table, key: str) -> str:
    """What to do for a column that is missing: it mostly has another name."""
    bare = key.removeprefix("Metadata_")
    for name in table.names:
        if name in (bare, f"Image_{key}"):
            return f"rename {name} to {key}"
        if name != key == name.strip().removeprefix(MARK).strip():
            return unread_cure(name)
    near = did_you_mean(key, [n for n in table.names if n.startswith("Metadata_")])
    return f"add it; {near}" if near else "add it"


def _value_errors(table: Table, key: str) -> Iterator[Finding]:
    """Say which values of a grouping column cannot name a group, one line a kind."""
    texts, values = table.column(key), table.values(key)
    unfit = {value for value in set(values) if UNFIT.search(value)}
    rows = [
        i for i, value in enumerate(values) if value in unfit and any(table.rows[i])
    ]
    if rows and not values[rows[0]]:
        cause = f"is empty{more_rows(rows)}"
        yield rules.GROUP_EMPTY.found(table.where(rows[0], key), cause, "fill it in")
    elif rows:
        yield rules.GROUP_UNFIT.found(
            table.where(rows[0], key),
            f"{texts[rows[0]]!r}{more_rows(rows)} cannot name a group or folder",
            "use no comma, equals sign, slash or control character, and no point at "
            "the start",
        )
    elif len(set(values)) < len(set(texts)):
        first, second = _made_equal(texts, values)
        yield rules.GROUP_TYPED.found(
            table.where(texts.index(second), key),
            f"LoadData reads {second!r} and {first!r} as one value, "
            f"{values[texts.index(first)]!r}",
            "write both the same, or make the column text, such as P01",
        )


def _made_equal(texts: Sequence[str], values: Sequence[str]) -> tuple[str, str]:
    """The first two texts of a column that LoadData reads as one value."""
    by_value: dict[str, dict[str, None]] = defaultdict(dict)
    for text, value in zip(texts, values, strict=True):
        by_value[value][text] = None
    first, second, *_ = next(texts for texts in by_value.values() if len(texts) > 1)
    return first, second


def repeated_sites(table: Table) -> Iterator[Finding]:
    """Say which (plate, well, site) stands in more than one row."""
    keys = [name for name in table.names if _tells_rows_apart(name)]
    if not set(SITE_KEYS) <= set(keys):
        return
    first: dict[tuple[str, ...], int] = {}
    again: list[int] = []
    for row, values in enumerate(zip(*map(table.values, keys), strict=True)):
        if first.setdefault(values, row) != row:
            again.append(row)
    if again:
        row = again[0]
        of = {key: table.values(key)[row] for key in keys}
        line = table.lines[first[tuple(of[key] for key in keys)]]
        site = "-".join(of[key] for key in SITE_KEYS)
        yield rules.CSV_SITE_TWICE.found(
            table.where(row),
            f"{site} is in line {line} already{more_rows(again)}",
            "keep one row a site",
        )


def sites(table: Table) -> list[tuple[str, ...]]:
    """The plate, well and site of each row, as far as the table names them."""
    keys = [key for key in SITE_KEYS if key in table.names]
    return list(zip(*map(table.values, keys), strict=True))


def _tells_rows_apart(name: str) -> bool:
    return (
        name in SITE_KEYS
        or PLANE.fullmatch(name) is not None
        or _REPEATED.fullmatch(name) is not None
    )
