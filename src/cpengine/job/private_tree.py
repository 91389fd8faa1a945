"""A folder of a job's own that stands for one of the user's."""

import os
from collections.abc import Collection, Set
from pathlib import Path

from cpengine.storage.cache import Cache

_NEVER = "__pycache__"


def private_tree(
    source: Path,
    to: Path,
    private: Collection[str],
    cache: Cache,
    wanted: Set[str] | None = None,
) -> Path:
    """Make a folder like another, with copies of some files and links to all others.

    What is copied is what the job is held to: an edit of the user's file does not
    reach it any more.

    Parameters
    ----------
    private
        The files to copy, by their place below `source`; they are there.
    wanted
        Link files of these names alone; all if None.
    """
    for name in private:
        copy = to / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        cache.copy(source / name, copy)
    _link(source, to, wanted)
    return to


def _link(source: Path, to: Path, wanted: Set[str] | None) -> None:
    for entry in os.scandir(source):
        link, is_folder = to / entry.name, entry.is_dir()
        fits = is_folder or wanted is None or entry.name in wanted
        if link.is_dir() and is_folder:
            _link(source / entry.name, link, wanted)
        elif fits and entry.name != _NEVER and not link.exists():
            link.symlink_to(entry.path, is_folder)
