"""Numbers that a run measures stay in memory until somebody reads their file.

CellProfiler keeps the measurements of a run in a temporary HDF5 file: one compressed
data set for each feature of each object set, which it opens, extends and reads back a
value at a time, and each feature of objects writes the numbers of the objects once
more. A JUMP analysis makes thousands of these a site.

`Store` stands for the file. It holds what is assigned in order and answers from there
what `HDF5Dict` would answer: a `Column` goes through the same states as a feature of
the file (type, length, places), so types, shapes and what is missing are the same. It
holds vectors of numbers alone; a feature that gets anything else (text, a float where
integers are, several image sets at once) is first written as it would have been, and
`HDF5Dict` goes on with it. Whoever asks for the file itself finds all written, and from
then on all is written at once. A value that is assigned again unchanged is no second
time in the file, where nothing refers to the first one. Files that the user named, or
that are opened for what they hold, are left to `HDF5Dict`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy
from cellprofiler_core.constants.measurement import RELATIONSHIP
from cellprofiler_core.utilities.hdf5_dict import DATA, INDEX, HDF5Dict

from .acceleration import Acceleration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Tuple

    Key = Tuple[str, str]
    """An object set's name and a feature's."""

MEMORY = 256 * 2**20
"""The bytes that a store holds before it writes them."""
OVERHEAD = 400
"""The bytes of memory that a value takes besides its items."""

_NUMBERS = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8")
_NOTHING = numpy.zeros(0, int)
_EMPTY = slice(0, 0)
_INNOCENT = frozenset(
    ("mode", "is_temporary", "top_level_group_name", "version", "chunksize")
)
"""What can be asked of the file without seeing measurements."""


class Column:
    """What a feature of the file would be, and the assignments that are not in there.

    Parameters
    ----------
    dtype
        Of the data set of the file.
    length
        The number of its items, with those that nothing refers to any more.
    rows
        The number of rows of the index, with those of deleted image sets.
    indices
        By image number, where its items are and which row says so.
    """

    def __init__(
        self,
        dtype: Any = _NOTHING.dtype,
        length: int = 0,
        rows: int = 0,
        indices: dict[int, tuple[slice, int]] | None = None,
    ) -> None:
        self.dtype = dtype
        self.length = length
        self.rows = rows
        self.indices = indices or {}
        self.values: dict[int, Any] = {}
        self.log: list[tuple[int, Any]] = []

    def takes(self, array: Any) -> bool:
        """Whether the data set would take in an array without being made anew.

        One that has no items is made anew with the type of the first ones, as we do.
        """
        if not (len(array) and self.length):
            return True
        return self.dtype.kind == "f" or (
            self.dtype.kind in "iu" and array.dtype.kind in "iu"
        )

    def assign(self, number: int, array: Any) -> bool:
        """Take in the array of an image set; give whether that is anything new."""
        place = _EMPTY
        if len(array):
            dtype = self.dtype if self.length else array.dtype
            array = array.astype(dtype, copy=False)
            if self._has(number, array):
                return False
            self.dtype = dtype
            place = slice(self.length, self.length + len(array))
        elif self.indices.get(number, (None, 0))[0] == place:
            return False
        self.length += len(array)
        row = self.indices[number][1] if number in self.indices else self.rows
        self.rows = max(self.rows, row + 1)
        self.indices[number] = (place, row)
        self.values[number] = array
        self.log.append((number, array))
        return True

    def _has(self, number: int, array: Any) -> bool:
        value = self.values.get(number)
        return value is not None and value.tobytes() == array.tobytes()

    def read(self, numbers: Iterable[Any]) -> list[Any] | None:
        """What `HDF5Dict` gives for image sets; None if some are in the file only."""
        if self.length == 0:
            return [numpy.array([]) for _ in numbers]
        found: list[Any] = []
        for number in numbers:
            place, _ = self.indices.get(number, (_EMPTY, 0))
            if place.start == place.stop:
                found.append(None)
            elif number in self.values:
                found.append(self.values[number].copy())
            else:
                return None
        return found

    def batches(self) -> Iterator[dict[int, Any]]:
        """The assignments in order, as many at a time as the file takes alike.

        That is of different image sets, and all or none of them with items.
        """
        batch: dict[int, Any] = {}
        had_items = False
        for number, array in self.log:
            has_items = len(array) > 0
            if batch and (number in batch or has_items != had_items):
                yield batch
                batch = {}
            batch[number], had_items = array, has_items
        if batch:
            yield batch


class Store(HDF5Dict):  # type: ignore[misc]  # CellProfiler has no types
    """An `HDF5Dict` that holds the numbers assigned to it back from its file.

    Parameters
    ----------
    file
        The `HDF5Dict` that writes them, which nobody else uses.
    """

    def __init__(self, file: HDF5Dict) -> None:
        self._file = file
        self._columns: dict[Key, Column] = {}
        self._listed: dict[str, set[str]] = {}
        self._memory = 0
        self._holds = True
        self._unread = False

    def __getattr__(self, name: str) -> Any:
        """What an `HDF5Dict` has and we do not: its file, and all that leads there."""
        if name == "_file" or name.startswith("__"):
            raise AttributeError(name)
        if name not in _INNOCENT and self._columns and not self._unread:
            self._write_all()
            self._holds = False
            self._listed.clear()
        return getattr(self._file, name)

    @property
    def lock(self) -> Any:
        """The lock of the file."""
        return self._file.lock

    @lock.setter
    def lock(self, lock: Any) -> None:
        self._file.lock = lock

    @contextlib.contextmanager
    def unread(self) -> Iterator[None]:
        """While the file is taken for something else than measurements."""
        with self.lock:
            before, self._unread = self._unread, True
            try:
                yield
            finally:
                self._unread = before

    def _write(self, key: Any) -> None:
        """Write what is held of a feature, and leave it to the file."""
        self._listed.pop(key[0], None)
        for batch in self._columns.pop(key, Column()).batches():
            self._file[key[0], key[1], list(batch)] = list(batch.values())

    def _write_all(self) -> None:
        with self.lock:
            for key in list(self._columns):
                self._write(key)
            self._memory = 0

    def _column(self, key: Key) -> Column | None:
        """The column that takes in a feature; None if there can be none."""
        column = self._columns.get(key)
        if column or not self._holds:
            return column
        if key[1] not in self._names(key[0]) and key not in self._file.indices:
            return Column()
        group = self._file.top_group[key[0]][key[1]]
        if DATA not in group or INDEX not in group:
            return None
        indices = dict(self._file.get_indices(*key))
        data = group[DATA]
        return Column(data.dtype, data.shape[0], group[INDEX].shape[0], indices)

    def _names(self, object_name: str) -> set[str]:
        """The names of the features of an object set that the file has."""
        names = self._listed.get(object_name)
        if names is None:
            self._file.add_object(object_name)
            names = set(self._file.second_level_names(object_name))
            self._listed[object_name] = names
        return names

    def _hold(self, key: Key, number: int, array: Any) -> bool:
        """Hold an assignment, if that can be done."""
        column = self._column(key)
        if column is None or not column.takes(array):
            return False
        if column.assign(number, array):
            self._columns[key] = column
            self._memory += array.nbytes + OVERHEAD
            if self._memory > MEMORY:
                self._write_all()
        return True

    def __setitem__(self, idxs: Any, vals: Any) -> None:
        """Assign the value of one feature and image set, or of several."""
        taken = _taken(idxs, vals)
        with self.lock:
            if not (taken and self._hold(*taken)):
                self._write_named(idxs)
                self._listed.clear()
                self._file[idxs] = vals

    def _write_named(self, idxs: Any) -> None:
        """Write what is held of the feature that indices name, if they do."""
        with contextlib.suppress(TypeError):
            if idxs[:2] in self._columns:
                self._write(idxs[:2])

    def __getitem__(self, idxs: Any) -> Any:
        """The values of a feature: one image set's, or a list of those of several."""
        with self.lock:
            found = self._read(idxs)
            if found is None:
                self._write_named(idxs)
                return self._file[idxs]
        return found if _is_sequence(idxs[2]) else found[0]

    def _read(self, idxs: Any) -> list[Any] | None:
        if not (type(idxs) is tuple and len(idxs) == 3):
            return None
        try:
            column = self._columns.get(idxs[:2])
        except TypeError:  # no names
            return None
        if column is None:
            return None
        if _is_sequence(idxs[2]):
            return column.read(idxs[2])
        return column.read([idxs[2]]) if numpy.isscalar(idxs[2]) else None

    def __delitem__(self, idxs: Any) -> None:
        """Delete a feature, or the value of one image set."""
        with self.lock:
            self._write_named(idxs)
            self._listed.clear()
            del self._file[idxs]

    def has_data(self, object_name: str, feature_name: str, num_idx: Any) -> bool:
        """Whether a feature has a value, an empty one included, for an image set."""
        return num_idx in self.get_indices(object_name, feature_name)

    def has_feature(self, object_name: str, feature_name: str) -> bool:
        """Whether there is a feature."""
        held = (object_name, feature_name) in self._columns
        return held or self._file.has_feature(object_name, feature_name)

    def get_feature_dtype(self, object_name: str, feature_name: str) -> Any:
        """The type that a feature has in the file."""
        column = self._columns.get((object_name, feature_name))
        if column:
            return column.dtype
        return self._file.get_feature_dtype(object_name, feature_name)

    def get_indices(self, object_name: str, feature_name: str) -> Any:
        """Where the values are, by image number."""
        column = self._columns.get((object_name, feature_name))
        if column:
            return column.indices
        return self._file.get_indices(object_name, feature_name)

    def second_level_names(self, object_name: str) -> list[str]:
        """The names of an object set's features, in the order of the file."""
        held = [feature for name, feature in self._columns if name == object_name]
        names = set(self._file.second_level_names(object_name)).union(held)
        return sorted(names, key=lambda name: name.encode("utf-8", "surrogateescape"))

    def clear(self) -> None:
        """Delete all."""
        with self.lock:
            self._columns.clear()
            self._listed.clear()
            self._file.clear()

    def file_contents(self) -> Any:
        """The bytes of the file."""
        self._write_all()
        return self._file.file_contents()

    def flush(self) -> None:
        """Do what HDF5 does then; nobody asked for the file, which is temporary."""
        self._file.flush()

    def close(self) -> None:
        """Delete the file; what it has not been given goes with it."""
        if "_file" in vars(self):
            self._columns.clear()
            self._file.close()


def _delegated(name: str, *, with_feature: bool) -> Callable[..., Any]:
    """A function of the file, which first gets what is held of the feature."""

    def call(self: Store, *args: Any, **options: Any) -> Any:
        with self.lock:
            if with_feature and len(args) > 1:
                self._write_named(args)
            elif with_feature:
                self._write_all()
            self._listed.clear()
            return getattr(self._file, name)(*args, **options)

    return call


for _name in ("add_all", "add_feature", "get_dataset", "reorder"):
    setattr(Store, _name, _delegated(_name, with_feature=True))
for _name in ("add_object", "has_object", "top_level_names", "erase"):
    setattr(Store, _name, _delegated(_name, with_feature=False))


def _taken(idxs: Any, vals: Any) -> tuple[Key, int, Any] | None:
    """The feature, image set and array of an assignment; None where we do not hold it.

    An image's feature comes as lists with one number and one value.
    """
    if type(idxs) is not tuple or not 3 <= len(idxs) <= 4:
        return None
    if len(idxs) == 4 and idxs[3] is not None:
        return None
    object_name, feature_name, number = idxs[:3]
    if not (_is_plain(object_name) and _is_plain(feature_name)):
        return None
    if type(number) is list and type(vals) is list and len(number) == len(vals) == 1:
        (number,), (vals,) = number, vals
    array = _array(vals)
    if array is None or not (_is_integer(number) and 0 <= number < 2**31):
        return None
    return (object_name, feature_name), int(number), array


def _is_plain(name: Any) -> bool:
    """Whether a name is one name for HDF5, too, and that of something we hold."""
    return (
        type(name) is str
        and name.isascii()
        and name.isprintable()
        and "/" not in name
        and name.strip(".") != ""
        and name != RELATIONSHIP
    )


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, numpy.integer)) and type(value) is not bool


def _is_number(value: Any) -> bool:
    return _is_integer(value) or isinstance(value, (float, numpy.floating))


def _is_sequence(numbers: Any) -> bool:
    return type(numbers) in (list, tuple) or (
        type(numbers) is numpy.ndarray and numbers.ndim == 1
    )


def _array(vals: Any) -> Any:
    """A copy of numbers as the file would have them; None if they are anything else."""
    if vals is None:
        return _NOTHING
    if _is_number(vals):
        vals = [vals]
    if type(vals) in (list, tuple):
        if not all(_is_number(value) for value in vals):
            return None
        vals = numpy.array(vals)
    if type(vals) is not numpy.ndarray or vals.ndim != 1:
        return None
    if not len(vals):
        return _NOTHING
    name = vals.dtype.str[1:] if vals.dtype.isnative else ""
    return vals.astype(name) if name in _NUMBERS else None


def open_store(original: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Make an `HDF5Dict`, or a store for one with a new temporary file."""
    file = original(*args, **options)
    is_new = type(file) is HDF5Dict and file.is_temporary and file.mode == "w"
    return Store(file) if is_new else file


def _file_unread(measurements: Any) -> Any:
    store = getattr(measurements, "hdf5_dict", None)
    return store.unread() if isinstance(store, Store) else contextlib.ExitStack()


def relationship_group(
    original: Callable[..., Any], measurements: Any, *args: Any, **options: Any
) -> Any:
    """Find the group of a relationship, which is never held."""
    with _file_unread(measurements):
        return original(measurements, *args, **options)


def make_workspace(
    original: Callable[..., Any], workspace: Any, *args: Any, **options: Any
) -> None:
    """Make a workspace, which takes a list of files out of the measurements' file."""
    measurements = args[4] if len(args) > 4 else options.get("measurements")
    with _file_unread(measurements):
        original(workspace, *args, **options)


def self_test() -> None:
    """Assign and read numbers of all kinds in memory-backed files."""
    plain, ours = HDF5Dict(None), Store(HDF5Dict(None))
    try:
        values: list[Any] = [
            [],
            1,
            numpy.array([2, numpy.nan], "f4"),
            None,
            3.5,
            [7, 8],
        ]
        for number, value in enumerate(values * 2, 1):
            for feature in ("A", "B"):
                for each in (plain, ours):
                    each["Cells", feature, number % 9] = value
        assert ours.second_level_names("Cells") == plain.second_level_names("Cells")
        for number in range(10):
            a, b = plain["Cells", "A", number], ours["Cells", "A", number]
            assert (a is None) == (b is None)
            assert a is None or (a.tobytes() == b.tobytes() and a.dtype == b.dtype)
    finally:
        plain.close()
        ours.close()


_DICT = "cellprofiler_core.measurement._measurements:HDF5Dict"
_STORED = "cellprofiler_core.measurement._measurements:Measurements"
_GROUP = _STORED + ".get_relationship_hdf5_group"
_WORKSPACE = "cellprofiler_core.workspace._workspace:Workspace.__init__"

ACCELERATION = Acceleration(
    name="measurement_store",
    replaces={
        _DICT: open_store,
        _GROUP: relationship_group,
        _WORKSPACE: make_workspace,
    },
    sources={
        _DICT: "525edee6e17496ebeecb89a0943536986a410c52c9b005a1828d19a725a79814",
        _STORED: "a93990845c487310e9abdaf4495f44568d6385f9a4d3b830a5859a7e49b83b82",
        _WORKSPACE: "9a26e0e2da66763722651630da77a2361550ddf3b439bc6ac9500c2a960cab5a",
    },
    versions={"h5py": "3.7.0", "numpy": "1.24.4"},
    self_test=self_test,
)
