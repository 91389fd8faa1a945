"""Measures of whole images, one row an image set, from the jobs' Image.csv."""

import logging
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from itertools import compress
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cpengine.errors import InputError, StorageError
from cpengine.ledger.ledger import Ledger
from cpengine.ledger.standing import Standing
from cpengine.plates import SITE_KEYS
from cpengine.results.csv_rows import DamagedCsvError, rows_of
from cpengine.results.qc.wells import in_order
from cpengine.storage import published
from cpengine.storage.parallel import each
from cpengine.storage.store import Storage

Array = NDArray[np.float64]

_LOG = logging.getLogger(__name__)
IMAGE_CSV = "Image.csv"
_AGAIN = "run its job again with --force"


class SiteKey(NamedTuple):
    """Which site, in the words of Image.csv."""

    plate: str
    well: str
    site: str


class Row(NamedTuple):
    """One image set's measures."""

    key: SiteKey
    names: tuple[str, ...]
    """One object for all rows of a file, and mostly of a step: there may be 100,000."""
    numbers: Array
    """NaN where there is none."""


@dataclass(frozen=True)
class SiteMeasures:
    """The measures of many image sets."""

    keys: tuple[SiteKey, ...]
    values: Mapping[str, Array]
    """By measure, one number an image set; NaN where there is none."""

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "SiteMeasures":
        """Put rows into order: by plate, by well row by row, by site.

        Measures without a single number are left out.
        """
        ordered = sorted(rows, key=lambda row: _in_order(row.key))
        names = sorted({name for kind in {r.names for r in ordered} for name in kind})
        columns = {name: column for column, name in enumerate(names)}
        table = np.full((len(ordered), len(names)), np.nan)
        places: dict[tuple[str, ...], list[int]] = {}
        for line, row in zip(table, ordered, strict=True):
            if row.names not in places:
                places[row.names] = [columns[name] for name in row.names]
            line[places[row.names]] = row.numbers
        some = ~np.isnan(table).all(axis=0)
        values = {n: np.ascontiguousarray(table[:, columns[n]]) for n in names}
        filled = {name: values[name] for name in compress(names, some)}
        return cls(tuple(row.key for row in ordered), filled)

    @property
    def measures(self) -> list[str]:
        """The names of the measures, sorted."""
        return list(self.values)

    @cached_property
    def rows_of(self) -> Mapping[str, NDArray[np.intp]]:
        """The rows of each plate, from 0."""
        found: dict[str, list[int]] = {}
        for row, key in enumerate(self.keys):
            found.setdefault(key.plate, []).append(row)
        return {plate: np.array(rows) for plate, rows in found.items()}

    @cached_property
    def wells_of(self) -> Mapping[str, Mapping[str, NDArray[np.intp]]]:
        """The rows of each well of each plate, from 0."""
        found: dict[str, dict[str, list[int]]] = {}
        for row, key in enumerate(self.keys):
            found.setdefault(key.plate, {}).setdefault(key.well, []).append(row)
        return {
            plate: {well: np.array(rows) for well, rows in wells.items()}
            for plate, wells in found.items()
        }


def _in_order(key: SiteKey) -> tuple[object, ...]:
    return (key.plate, *in_order(key.well, key.site))


class LeftOut(NamedTuple):
    """How many jobs' measures are not there, by why."""

    without: int = 0
    """They published no Image.csv."""
    damaged: int = 0
    """It, or the marker that names it, is damaged or gone."""


def of_jobs(
    ledger: Ledger, done: Sequence[Standing], wanted: Sequence[str]
) -> tuple[list[Row], LeftOut]:
    """Read the Image.csv of each job; give the rows, and how many jobs are left out.

    What is damaged, or not as its marker says, is left out with a warning. It is the
    one that the job's marker names; where DCP made the results, the one in its folder.

    Parameters
    ----------
    done
        Done jobs of one step.
    wanted
        Patterns of the columns to take.

    Raises
    ------
    InputError
        A file is no table of image sets.
    """
    storage = ledger.storage
    unmarked = [standing.job for standing in done if not standing.marker]
    trees = published.trees(storage, unmarked)
    in_folder = {job.id: tree for job, tree in zip(unmarked, trees, strict=True)}

    def read(standing: Standing) -> list[Row] | None:
        job, marker = standing.job, standing.marker
        files = ledger.files(marker) if marker else in_folder[job.id]
        if files is None:
            return []
        name = _image_csv(files)
        if name is None:
            return None
        key, size = f"{job.destination}/{name}", files[name] if marker else None
        return undamaged(storage, key, wanted, job.shared_metadata, size=size)

    at_once = storage.at_once(done[0].job.output) if done else 1
    found = each(read, done, at_once)
    left_out = LeftOut(found.count(None), found.count([]))
    return [row for some in found for row in some or ()], left_out


def undamaged(
    storage: Storage,
    key: str,
    wanted: Sequence[str],
    group: Mapping[str, str] | None = None,
    cure: str = _AGAIN,
    size: int | None = None,
) -> list[Row]:
    """Read a table of image sets; none, and a warning, if it is damaged or gone.

    Parameters
    ----------
    size
        Its bytes, if they are known.
    """
    place = storage.url(key)
    try:
        data = storage.read_if_there(key)
    except StorageError as error:
        _LOG.warning("%s: left out", error)
        return []
    if data is None:
        if size is not None:
            _LOG.warning("%s: is gone: %s", place, cure)
        return []
    if size not in (None, len(data)):
        _LOG.warning("%s: has %d of %d bytes: %s", place, len(data), size, cure)
        return []
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        _LOG.warning("%s: is no text (%s): %s", place, error.reason, cure)
        return []
    try:
        return parse(text, place, wanted, group, cure)
    except DamagedCsvError as error:
        _LOG.warning("%s", error)
        return []


def _image_csv(tree: Iterable[str]) -> str | None:
    """The name of a job's Image.csv, whatever prefix ExportToSpreadsheet gave it."""
    names = [n for n in tree if posixpath.basename(n).endswith(IMAGE_CSV)]
    return min(names, key=lambda name: (name.count("/"), len(name)), default=None)


def parse(
    text: str,
    place: str,
    wanted: Sequence[str],
    group: Mapping[str, str] | None = None,
    cure: str = _AGAIN,
) -> list[Row]:
    """Read a table of image sets.

    Parameters
    ----------
    place
        The file as messages name it.
    group
        Metadata that hold for all rows, for columns that the file lacks.
    cure
        What to do where it is damaged.

    Raises
    ------
    DamagedCsvError
        It has no rows, or one of another length.
    InputError
        It does not name plate and well.
    """
    header, *body = rows_of(text, place, cure) or [[]]
    if not body:
        raise DamagedCsvError(f"{place}: has no image sets: {cure}")
    taken, names = _columns(tuple(header), tuple(wanted))
    keys = [(header.index(k) if k in header else None, k) for k in SITE_KEYS]
    known = group or {}
    for index, key in keys[:2]:
        if index is None and key not in known:
            raise InputError(
                f"{place}: has no column {key}: let ExportToSpreadsheet export "
                "metadata, or group by it"
            )
    rows = []
    for row in body:
        site = SiteKey(*(known.get(k, "") if i is None else row[i] for i, k in keys))
        rows.append(Row(site, names, _numbers(compress(row, taken))))
    return rows


@lru_cache(maxsize=8)  # nearly all jobs of a step have the same
def _columns(
    header: tuple[str, ...], wanted: tuple[str, ...]
) -> tuple[tuple[bool, ...], tuple[str, ...]]:
    """Which columns of a header are taken, and their names."""
    taken = tuple(
        any(fnmatchcase(name, pattern) for pattern in wanted) for name in header
    )
    return taken, tuple(compress(header, taken))


def _numbers(texts: Iterable[str]) -> Array:
    """The finite numbers among some texts; NaN for the others."""
    found = np.array([_number(text) for text in texts], float)
    found[~np.isfinite(found)] = np.nan
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
