"""Which files a batch file has no image set of, so that none is dropped unseen."""

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from posixpath import join

from cpengine.inputs import batchfile
from cpengine.inputs.image_index.index_folder import is_image
from cpengine.inputs.loaddata import Table
from cpengine.system import scratch as scratch_folders


def files_without_set(
    data: bytes, shown: str, files: Iterable[str], scratch: Path
) -> Sequence[str]:
    """The paths of the images among some files that a batch file does not name.

    Raises
    ------
    InputError
        It is no batch file, or has no image sets.
    """
    with scratch_folders.folder(scratch, "read") as folder:
        path = folder / "any.h5"
        path.write_bytes(data)
        table = batchfile.read(path, shown).table
    named = set(_places(table))
    return [file for file in files if is_image(file) and file not in named]


def _places(table: Table) -> Iterable[str]:
    """The path of each image of each set."""
    pairs = (
        map(join, table.values(image.path), table.values(image.file))
        for image in table.image_columns
        if image.path and image.file
    )
    return chain.from_iterable(pairs)
