"""Groups of image sets: their names, and what may stand in them."""

import re
from collections import Counter
from collections.abc import Collection, Iterable

from cpengine import rules
from cpengine.errors import InputError

Group = tuple[tuple[str, str], ...]
"""Metadata columns and the values that a group's image sets share."""

NAME, METADATA = r"^[^\s/\\,=.][^\s/\\,=]*$", r"^Metadata_\w+$"
"""How steps, batches and columns may be called in the project file."""
VALUE = r"^[^/\\,=.\x00-\x1f\x7f][^/\\,=\x00-\x1f\x7f]*$"
"""How plates and wells may be called there, which may have blanks."""
UNFIT = re.compile(r"[,=/\\\x00-\x1f\x7f]|^\.|^$")
"""What cannot be in a value that goes through `-g` and names a folder."""
_LONGEST_ID = 150
"""Bytes. Scratch folders add up to 91, file systems take 255 in a name."""


def id_of(group: Iterable[tuple[str, str]]) -> str:
    """The name of a group's job."""
    return "-".join([value for _, value in group])


def metadata_of(group: Iterable[tuple[str, str]]) -> str:
    """A group as CellProfiler's `-g` and DCP's messages have it: `K=V,K=V`."""
    return ",".join([f"{key}={value}" for key, value in group])


def check_ids(groups: Collection[Group]) -> None:
    """Refuse a plan in which two groups would have one name.

    Raises
    ------
    InputError
        Two jobs share an id, or an id is too long to name a folder.
    """
    times = Counter(map(id_of, groups))
    twice = [job_id for job_id, n in times.items() if n > 1]
    if twice:
        raise InputError(
            rules.GROUP_NAMES.found(
                "groups",
                f"two groups are both named {twice[0]}",
                "use values without '-' where they could be confused",
            )
        )
    long = [job_id for job_id in times if len(job_id.encode()) > _LONGEST_ID]
    if long:
        raise InputError(
            rules.GROUP_LONG.found(
                f"group {long[0][:20]}...",
                f"has a name longer than {_LONGEST_ID} bytes",
                "shorten its metadata values",
            )
        )
