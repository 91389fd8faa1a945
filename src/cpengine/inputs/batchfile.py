"""Read a `Batch_data.h5`: the pipeline and the image sets that CreateBatchFiles kept.

The pipeline's own grouping may come from LoadData or from the Groups module; the
file names the columns it came to.

Source: `cellprofiler_core/utilities/hdf5_dict.py` 4.2.8, the layout of measurements.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from cpengine import rules
from cpengine.errors import InputError, StorageError
from cpengine.inputs import pipeline
from cpengine.inputs.file_kind import HEAD_BYTES, expect_batch_file
from cpengine.inputs.loaddata import Table
from cpengine.inputs.parsed_files import PARSED
from cpengine.inputs.table_images import FILE, IMAGE_PREFIXES, URL
from cpengine.storage import local_files
from cpengine.storage.entry import Entry

if TYPE_CHECKING:
    import h5py

_METADATA = "Metadata_"
_PREFIXES = (_METADATA, *IMAGE_PREFIXES)
_IMAGE_SETS = "ImageSet_ImageSet"
_NONE = "None"
"""What CellProfiler makes of a metadata value that an image set lacks."""
_DAMAGE = (
    OSError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    RuntimeError,
    MemoryError,
)
"""What h5py raises for damaged files, depending on where the damage is."""


@dataclass(frozen=True, slots=True)
class BatchFile:
    """What a batch file holds."""

    pipeline: str
    """The pipeline's text."""
    grouping_keys: tuple[str, ...]
    """The metadata columns that the pipeline groups by; none if it does not group."""
    by_plane: bool
    """Whether its images are opened from image sets of the Images module, which name
    them again in a form that cannot be changed."""
    table: Table
    """One row an image set, values as CellProfiler typed them; a row's line is its
    image number."""


def read(path: Path, shown: str = "") -> BatchFile:
    """Read a batch file; `shown` is how messages name it.

    Raises
    ------
    InputError
        The file is damaged, or was not written by CreateBatchFiles.
    """
    import h5py  # here, because it takes longer to import than all the rest

    shown = shown or str(path)
    try:
        with path.open("rb") as data:
            expect_batch_file(data.read(HEAD_BYTES), shown)
        with h5py.File(path) as file:
            return _read(file, shown)
    except FileNotFoundError as error:
        raise InputError(f"{shown}: is not there: put the batch file there") from error
    except InputError:
        raise
    except _DAMAGE as error:
        raise InputError(
            f"{shown}: is damaged or not a batch file ({_first_line(error)}): "
            "write it again with CreateBatchFiles"
        ) from error


def read_once(path: Path, shown: str, entry: Entry | None = None) -> BatchFile:
    """What `read` gives of a file, or gave before of one with the same content.

    Parameters
    ----------
    entry
        What a listing says of it now, if that is known.
    """
    content = PARSED.content(shown, entry)
    if not content:
        try:
            with local_files.opened(str(path)) as data:
                content = hashlib.file_digest(data, "sha256").hexdigest()
        except (OSError, StorageError):  # which `read` tells
            return read(path, shown)
        PARSED.note(shown, entry, content)
    size = path.stat().st_size
    return PARSED.once((read, content, shown), size, lambda: read(path, shown))


def _first_line(error: Exception) -> str:
    return str(error).strip("'\"").splitlines()[0] if str(error) else repr(error)


def _read(file: "h5py.File", shown: str) -> BatchFile:
    measurements = file["Measurements"]
    run = measurements[max(measurements)]
    (text,) = _values(run["Experiment"]["Pipeline_Pipeline"]).values()
    if not pipeline.parse(text or "", shown).in_batch_mode:
        raise InputError(
            rules.BATCH_FILE.found(
                shown,
                "is a project or measurements, no batch file",
                "write one with CreateBatchFiles",
            )
        )
    tags: str | None = None
    if "Metadata_GroupingTags" in run["Experiment"]:
        (tags,) = _values(run["Experiment"]["Metadata_GroupingTags"]).values()
    keys = json.loads(tags or "[]")
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError(f"groups by {tags}")
    images = run["Image"]
    numbers = sorted(_values(images["ImageNumber"]))
    if not numbers:
        raise InputError(f"{shown}: has no image sets: write it again")
    header = tuple(name for name in images if name.startswith(_PREFIXES))
    columns = [_column(name, images[name], numbers) for name in header]
    rows = tuple(zip(*columns, strict=True))
    table = Table(shown, header, rows, tuple(numbers), typed=True)
    return BatchFile(text or "", tuple(keys), _IMAGE_SETS in images, table)


def _column(name: str, feature: "h5py.Group", numbers: Sequence[int]) -> list[str]:
    """A feature of these image sets, as text; of some it may be missing."""
    values = _values(feature)
    missing = _NONE if name.startswith(_METADATA) else ""
    return [missing if (v := values.get(n)) is None else v for n in numbers]


def write_with_urls(
    source: Path, to: Path, table: Table, paths: Mapping[int, Sequence[str]]
) -> None:
    """Copy a batch file, with the local files that LoadData shall open for some rows.

    In batch mode LoadData opens what the `URL_` measurements name.

    Parameters
    ----------
    table
        What `read` gave of `source`.
    paths
        By row of the table, from 0, the local path of each image.
    """
    import h5py

    shutil.copyfile(source, to)
    with h5py.File(to, "r+") as file:
        measurements = file["Measurements"]
        images = measurements[max(measurements)]["Image"]
        for position, image in enumerate(table.image_columns):
            feature = images[image.url or (image.file or "").replace(FILE, URL, 1)]
            starts = {int(n): start for n, start, _ in feature["index"][()]}
            for row, local in paths.items():
                start = starts[table.lines[row]]
                feature["data"][start] = f"file:{quote(local[position])}"


def _values(feature: "h5py.Group") -> dict[int, str | None]:
    """One feature's values as text, by image number.

    `index` has a row (image, start, end) each; where both ends are equal, there is
    none.
    """
    data = feature["data"][()]
    return {
        int(image): _text(data[start]) if start < end else None
        for image, start, end in feature["index"][()]
    }


def _text(value: bytes | object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
