"""Groups of image sets: their names, and what may stand in them."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

from cpengine import rules
from cpengine.errors import InputError
from cpengine.rules import Finding

Group = tuple[tuple[str, str], ...]
"""Metadata columns and the values that a group's image sets share."""

_UNSEEN = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
"""Signs that a terminal acts upon, and those that turn the order of letters."""
NAME = rf"^[^\s/\\,=.{_UNSEEN}][^\s/\\,={_UNSEEN}]*$"
METADATA = r"^Metadata_\w+$"
"""How steps, batches and columns may be called in the project file."""
VALUE = rf"^[^/\\,=.{_UNSEEN}][^/\\,={_UNSEEN}]*$"
"""How plates and wells may be called there, which may have blanks."""
UNFIT = re.compile(rf"[,=/\\{_UNSEEN}]|^\.|^$")
"""What cannot be in a value that goes through `-g` and names a folder."""
LONGEST_ID = 150
"""Bytes. Scratch folders add up to 91, file systems take 255 in a name."""


def id_of(group: Iterable[tuple[str, str]]) -> str:
    """The name of a group's job."""
    return "-".join([value for _, value in group])


def metadata_of(group: Iterable[tuple[str, str]]) -> str:
    """A group as CellProfiler's `-g` and DCP's messages have it: `K=V,K=V`."""
    return ",".join([f"{key}={value}" for key, value in group])


def as_written(name: str) -> str:
    """A name as file systems keep it that tell all names apart."""
    return name


def without_case(name: str) -> str:
    """What names have in common that some file systems take for one."""
    return unicodedata.normalize("NFC", name).casefold()


def check_ids(
    groups: Collection[Group], fold: Callable[[str], str] = as_written
) -> None:
    """Refuse a plan in which two groups would have one name.

    Parameters
    ----------
    fold
        Gives the same for names that are one where results go.

    Raises
    ------
    InputError
        Two jobs share an id, or an id is too long to name a folder.
    """
    times = Counter(fold(id_of(group)) for group in groups)
    twice = [name for name, n in times.items() if n > 1]
    if twice:
        same = (id_of(group) for group in groups)
        raise InputError(_of_one_name([i for i in same if fold(i) == twice[0]]))
    long = [job_id for job_id in times if len(job_id.encode()) > LONGEST_ID]
    if long:
        raise InputError(
            rules.GROUP_LONG.found(
                f"group {long[0][:20]}...",
                f"has a name longer than {LONGEST_ID} bytes",
                "shorten its metadata values",
            )
        )


def _of_one_name(ids: Sequence[str]) -> Finding:
    """What is wrong with ids of which file systems make one name."""
    first, second, *_ = ids
    if first == second:
        cause = f"two groups are both named {first}"
        cure = "use values without '-' where they could be confused"
    else:
        cause = f"{first} and {second} are one name to the file system of the outputs"
        cure = "use values that differ in more than case"
    return rules.GROUP_NAMES.found("groups", cause, cure)
