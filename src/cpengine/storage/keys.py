"""Which keys stay where they belong, whoever wrote them. Pure; decided nowhere else.

Names of objects, what markers say of files, and values of tables become paths: of
folders that files are fetched into, read from, put in and removed from.
"""

import posixpath
import re

from cpengine.errors import InputError

_NO_TEXT = re.compile("[\ud800-\udfff]")
"""What Python makes of bytes of names that are no UTF-8."""


def is_below(name: str) -> bool:
    """Whether a name is that of a file below any folder that it is joined to."""
    return "\0" not in name and {"", ".", ".."}.isdisjoint(name.split("/"))


def is_text(name: str) -> bool:
    """Whether a name can be written down; one that is no UTF-8 cannot."""
    return name.isascii() or _NO_TEXT.search(name) is None


def below(folder: str, name: str) -> str:
    """The key of a file below a folder.

    Raises
    ------
    InputError
        The name leads out of the folder, or to none.
    """
    if not is_below(name):
        raise InputError(
            f"{folder}/{name!r}: names no file of that folder: nothing is done with it"
        )
    return f"{folder}/{name}" if folder else name


def check_in_root(root: str, key: str) -> str:
    """Refuse a key that leads out of its root; give it.

    Raises
    ------
    InputError
        It does.
    """
    if ".." in key and posixpath.normpath(key).split("/")[0] == "..":
        raise InputError(
            f"{key}: leads out of {root}: name a place below it, or the whole path"
        )
    return key


def normal(key: str) -> str:
    """A key without `..` and the like; an address keeps the slashes of its scheme."""
    scheme, separator, rest = key.rpartition("://")
    return scheme + separator + posixpath.normpath(rest)


def folder_name(text: str) -> str:
    """A text as the name of one folder or file; most texts are one as they stand."""
    name = text.replace("%", "%25") if "/" in text or "\0" in text else text
    name = name.replace("/", "%2F").replace("\0", "%00")
    return name if is_below(name) else name.replace(".", "%2E") or "%"
