"""Read a `Batch_data.h5`: the pipeline and the image sets that CreateBatchFiles kept.

Source: `cellprofiler_core/utilities/hdf5_dict.py` 4.2.8, the layout of measurements.
"""

from pathlib import Path

import h5py

from cpengine.errors import InputError
from cpengine.loaddata import Table
from cpengine.pipeline import Pipeline, parse

_KEPT = ("Metadata_", "FileName_", "PathName_")


def read(path: Path, shown: str) -> tuple[Pipeline, Table]:
    """Give the pipeline and one row an image set, in the order of image numbers.

    Values are as CellProfiler typed them. `shown` names the file in messages; a
    row's line is its image number.

    Raises
    ------
    InputError
        The file is damaged, or was not written by CreateBatchFiles.
    """
    try:
        with h5py.File(path) as file:
            return _read(file, shown)
    except (OSError, KeyError, IndexError, UnicodeDecodeError) as error:
        raise InputError(
            f"{shown}: is damaged or not a batch file ({_first_line(error)}): "
            "write it again with CreateBatchFiles"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip("'\"").splitlines()[0] if str(error) else repr(error)


def _read(file: h5py.File, shown: str) -> tuple[Pipeline, Table]:
    measurements = file["Measurements"]
    run = measurements[max(measurements)]
    text = _values(run["Experiment"]["Pipeline_Pipeline"])[0]
    images = run["Image"]
    numbers = [int(number) for number in _values(images["ImageNumber"])]
    header = tuple(name for name in images if name.startswith(_KEPT))
    columns = [_values(images[name]) for name in header]
    rows = tuple(zip(*columns, strict=True)) if columns else ()
    if not rows or len(rows) != len(numbers):
        raise InputError(f"{shown}: has no image sets: write it again")
    table = Table(shown, header, rows, tuple(numbers), typed=True)
    return parse(text, shown), table


def _values(feature: h5py.Group) -> list[str]:
    """One feature's values as text: `index` has a row (image, start, end) each."""
    data = feature["data"][()]
    return [_text(data[start]) for _, start, _ in feature["index"][()]]


def _text(value: bytes | object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
