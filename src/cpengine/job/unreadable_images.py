"""Which image of a job CellProfiler could not read, and what to do about it."""

import ast
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from posixpath import join

from cpengine.inputs.cut_images import ends_early, is_tiff
from cpengine.inputs.missing_images import cure_of_damage
from cpengine.inputs.table_images import image_files
from cpengine.job.stage import Staged
from cpengine.model import AttemptError, FailureKind
from cpengine.storage.roots import Places

_NOT_LOADED = re.compile(r"Could not load the file as an image[^:]*: (b?(['\"]).*\2)$")
"""What python-bioformats says, with the path as Python writes bytes."""
_ARRAY = re.compile(
    r"pickled data|as a pickle|No data left in file|cannot reshape array|array header"
    r"|array data|parse header|magic string|not a zip file"
)
"""What numpy says of a file that is no array, or was cut short; it names none."""
_BLOCK = 2**20


@dataclass(frozen=True, slots=True)
class _Opened:
    """An image that CellProfiler has opened, or was to."""

    path: str
    url: str
    """Where it comes from."""
    column: str
    where: str


def explain(error: AttemptError, staged: Staged, places: Places) -> AttemptError:
    """Give the failure as one of an image, if it is, or else as it is.

    Raises
    ------
    OSError
        The image cannot be read from its disk; it may be sound.
    """
    if error.kind is not FailureKind.CELLPROFILER:
        return error
    image = _unreadable(str(error), _opened(staged, places))
    if image is None:
        return error
    with open(image.path, "rb") as file:
        while file.read(_BLOCK):
            pass
    what_to_do = cure_of_damage(image.column, image.url)
    message = f"{image.url} cannot be read as an image ({image.where}): {what_to_do}"
    return AttemptError(FailureKind.BAD_INPUT, message, error.module)


def expect_whole(staged: Staged, places: Places) -> None:
    """Refuse images that are cut off, of which CellProfiler would measure black.

    Raises
    ------
    AttemptError
        One is, of the kind `bad_input`.
    """
    by_path = {image.path: image for image in _opened(staged, places)}
    for image in by_path.values():  # a stack is one file, and many rows
        if is_tiff(image.path) and ends_early(image.path):
            what_to_do = cure_of_damage(image.column, image.url)
            message = f"{image.url} ends before its data ({image.where}): {what_to_do}"
            raise AttemptError(FailureKind.BAD_INPUT, message)


def _opened(staged: Staged, places: Places) -> Iterator[_Opened]:
    """Each image of the job's group."""
    for row in staged.rows:
        files = list(image_files(staged.table, row))
        paths = staged.images.get(row) or [join(f.folder, f.name) for f in files]
        for file, path in zip(files, paths, strict=True):
            if file.name:
                url = f"{places.locate(file.folder)}/{file.name}"
                where = staged.table.where(row, file.column)
                yield _Opened(path, url, file.column, where)


def _unreadable(message: str, images: Iterator[_Opened]) -> _Opened | None:
    """The image that a message names; of arrays, which it does not, a broken one."""
    if named := _NOT_LOADED.search(message):
        path = ast.literal_eval(named[1])
        text = path.decode() if isinstance(path, bytes) else path
        return next((image for image in images if image.path == text), None)
    if not _ARRAY.search(message):
        return None
    return next((image for image in images if _is_broken_array(image.path)), None)


def _is_broken_array(path: str) -> bool:
    if Path(path).suffix.lower() != ".npy":
        return False
    import numpy as np  # slow to import, and jobs that succeed need none

    with suppress(OSError):
        try:
            np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError):
            return True
    return False
