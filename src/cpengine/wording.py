"""How counts, times, sizes and names that are nearly right are worded. Pure."""

import difflib
import re
from collections.abc import Collection

GB, MB = 1024**3, 1024**2
"""Bytes, as in every `memory_gb`."""
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
    "\ud800-\udfff\ufeff]"
)
"""Signs by which a terminal does or shows something else, but for line break and tab;
and parts of names that are no Unicode, which it cannot show."""
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def visible(text: str) -> str:
    """A text from outside as a terminal may show it: it can do nothing but be read.

    File names, errors of modules and values may hold escape sequences, or marks that
    turn the order of letters. They become what Python writes for them, such as `\\x1b`.
    """
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)


def on_one_line(text: str) -> str:
    """A text whose line breaks can be seen, and make no line that looks like ours."""
    return text.replace("\n", "\\n")


def counted(number: int, noun: str, *, thousands: str = "") -> str:
    """`1 job`, `1234 jobs`; with "," for thousands `1,234 jobs`."""
    return f"{number:{thousands}} {noun}" + ("" if number == 1 else "s")


def gigabytes(size: float, digits: int = 1) -> str:
    """`1.5 GB`, of bytes."""
    return f"{size / GB:.{digits}f} GB"


def duration(seconds: float) -> str:
    """`8.2 s`, `42 s`, `3 min 20 s`, `2 h 05 min`, `3 d 4 h`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        minutes, rest = divmod(whole, _MINUTE)
        return f"{minutes} min {rest:02d} s" if rest else f"{minutes} min"
    minutes = round(seconds / _MINUTE)
    if minutes < 2 * _DAY // _MINUTE:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(seconds / _HOUR)
    return f"{hours // 24} d {hours % 24} h"


def did_you_mean(
    name: str, known: Collection[str], *, cutoff: float = 0.6, form: str = "{}"
) -> str:
    """`did you mean NAME?` for the nearest known name, in a form; empty if none is.

    Parameters
    ----------
    cutoff
        How alike names must be, from 0 to 1; see `difflib.get_close_matches`.
    """
    near = difflib.get_close_matches(name, known, n=1, cutoff=cutoff)
    return form.format(f"did you mean {near[0]}?") if near else ""
