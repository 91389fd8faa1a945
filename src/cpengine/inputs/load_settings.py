"""What the settings of LoadData say, whichever CellProfiler wrote them.

CellProfiler reads settings by their order, not by their texts, which have changed.

Source: `LoadData.settings` and `upgrade_settings` of `loaddata.py`, and
`standardize_default_folder_names` of `preferences` 4.2.8.
"""

from collections.abc import Sequence
from dataclasses import dataclass

Settings = Sequence[tuple[str, str]]

_ANSWERS = ("Yes", "No")
_TEXTS = (
    "Load images based on this data?",
    "Base image location",
    "Process just a range of rows?",
    "Rows to process",
    "Group images by metadata?",
    "Select metadata tags for grouping",
)
_FIRST = 2
"""Before these, revisions 4 to 6 have the CSV's folder and name."""
_FEWEST = 8
_OLD_FIRST = 3
"""Revisions 1 to 3 have its folder in two settings, and that of images, too."""


_OLDER_KINDS = {
    "Absolute path elsewhere": "Elsewhere...",
    "Default input directory sub-folder": "Default Input Folder sub-folder",
    "Default output directory sub-folder": "Default Output Folder sub-folder",
}


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """LoadData's settings, but for where its CSV is: the command says that."""

    loads_images: bool
    base: tuple[str, str]
    """The kind of the base image location, and a place in it."""
    rows: str | None
    """The range of rows that it is limited to, such as `1,10`; None for all."""
    tags: tuple[str, ...]
    """The tags that it groups by; none if it does not group."""


def load_settings(settings: Settings) -> LoadSettings:
    """Read a LoadData module's settings, by their order if all of them are there."""
    values = [value for _, value in settings]
    if len(values) > _FIRST + len(_TEXTS) - 1 and values[_FIRST] in _ANSWERS:
        images, base, limited, rows, groups, tags = values[_FIRST:][: len(_TEXTS)]
        kind, _, place = base.partition("|")
    elif len(values) > _OLD_FIRST + 4 and values[_OLD_FIRST] in _ANSWERS:
        old = [*values[_OLD_FIRST:], "No", ""]  # revision 1 does not group
        images, kind, place, limited, rows, groups, tags = old[: len(_TEXTS) + 1]
    else:
        by_text = dict(reversed(settings))
        images, base, limited, rows, groups, tags = (
            by_text.get(text, "") for text in _TEXTS
        )
        kind, _, place = base.partition("|")
    return LoadSettings(
        images in ("Yes", "") if len(values) < _FEWEST else images == "Yes",
        (_kind(kind), place),
        rows if limited == "Yes" else None,
        tuple(tags.split(",")) if groups == "Yes" and tags else (),
    )


def _kind(kind: str) -> str:
    """The kind of a folder as CellProfiler 4 calls it."""
    if kind in _OLDER_KINDS:
        return _OLDER_KINDS[kind]
    if kind.startswith(("Default Image", "Default image", "Default input")):
        return "Default Input Folder"
    if kind.startswith("Default output"):
        return "Default Output Folder"
    return kind or "None"
