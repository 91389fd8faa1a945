"""What a format of index files is, for the table of formats."""

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass

from cpengine.inputs.image_index.index_folder import IndexFolder
from cpengine.inputs.image_index.indexed_image import PlateIndex


@dataclass(frozen=True)
class IndexFormat:
    """A kind of index file: how it is recognised, and what reads it."""

    name: str
    title: str
    """What users call it."""
    file: re.Pattern[str]
    """The whole name of its index file."""
    read: Callable[[IndexFolder], PlateIndex]
    root: Callable[[str], str] = posixpath.dirname
    """The folder of the plate, by the index file."""
    is_single: bool = False
    """Whether a second index in a folder says the same again."""

    def matches(self, place: str) -> bool:
        """Whether a file is such an index, by its name."""
        return self.file.fullmatch(posixpath.basename(place)) is not None
