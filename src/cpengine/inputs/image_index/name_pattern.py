"""What the names of files say of images: patterns with named parts. Pure."""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cpengine.errors import ConfigError
from cpengine.plates import place_of, well_name
from cpengine.wording import did_you_mean

_WELL = r"[A-Za-z]{1,2}[-_ ]?\d{1,2}|r\d{1,2}c\d{1,2}"
_NUMBER = r"\d{1,9}"
_TEXT = r"[^/]+?"
PARTS = {
    "plate": _TEXT,
    "well": _WELL,
    "row": r"[A-Za-z]{1,2}|\d{1,2}",
    "column": r"\d{1,2}",
    "site": _NUMBER,
    "channel": _TEXT,
    "plane": _NUMBER,
    "timepoint": _NUMBER,
}
"""The parts of a name that say where an image belongs, and how each is written."""
_ALIASES = {
    **{name: name for name in PARTS},
    "z": "plane",
    "zstep": "plane",
    "planeid": "plane",
    "slice": "plane",
    "t": "timepoint",
    "time": "timepoint",
    "timepointid": "timepoint",
    "col": "column",
    "wellcolumn": "column",
    "wellrow": "row",
    "field": "site",
    "channelnumber": "channel",
    "wavelength": "channel",
    "number": "number",
}
"""What else the parts are called, in CellProfiler's expressions too."""
_KNOWN = frozenset(_ALIASES.values())
_FIELD = re.compile(r"\{([A-Za-z_]\w*)\}|(\*)")
_STEPS = re.compile(r"(?:TimePoint_(\d{1,9})/)?(?:ZStep_(\d{1,9})/)?[^/]*\Z", re.I)
_GENERIC = re.compile(
    r"|images?|data|projections?|(timepoint|zstep)_\d+", re.IGNORECASE
)
"""Folders that instruments make in the folder of each plate."""


@dataclass(frozen=True)
class NamePattern:
    """A naming of image files: how it is called, and what names it reads."""

    title: str
    expression: re.Pattern[str]

    @property
    def fields(self) -> tuple[str, ...]:
        """The parts that become metadata as they stand."""
        return tuple(n for n in self.expression.groupindex if _part(n) not in _KNOWN)

    def parts(self, place: str) -> Mapping[str, str] | None:
        """The parts of a file's name, and of the folders that it names; or None."""
        found = self.expression.fullmatch(place)
        if found is None:
            return None
        return {_part(k): v for k, v in found.groupdict().items() if v is not None}

    def plate_folder(self, top: str, place: str) -> str:
        """The folder that a plate is called after: above what the naming reads."""
        found = self.expression.fullmatch(place)
        starts = [found.start(n) for n in self.expression.groupindex] if found else []
        first = min((start for start in starts if start >= 0), default=len(place))
        return plate_folder(top, place[: place.rfind("/", 0, first) + 1])


def _part(name: str) -> str:
    return _ALIASES.get(name.lower(), name)


def compiled(expression: str) -> re.Pattern[str]:
    """An expression for the end of a place, in whatever folder."""
    return re.compile(rf"(?:.*/)?(?:{expression})", re.IGNORECASE)


def user_pattern(text: str) -> NamePattern:
    """The pattern of `--pattern`: `{well}_s{site}.tif`, or a regular expression.

    Raises
    ------
    ConfigError
        It is none, or says not which well an image is of.
    """
    is_regular = "(?P<" in text
    try:
        found = compiled(text if is_regular else _as_expression(text))
    except re.error as error:
        raise ConfigError(f"--pattern: {text}: cannot be read ({error})") from error
    names = set(map(_part, found.groupindex))
    if "well" not in names and not {"row", "column"} <= names:
        wanted = "{well}, or {row} and {column}"
        raise ConfigError(f"--pattern: {text}: says no well: put in {wanted}")
    for name in sorted(names - _KNOWN):
        if not name[0].isupper():
            raise ConfigError(f"--pattern: {_unknown(name)}")
    return NamePattern(f"--pattern {text}", found)


def _unknown(name: str) -> str:
    hint = did_you_mean(name, PARTS, form="{} ")
    known = ", ".join(PARTS)
    return (
        f"{{{name}}}: is no part of a name: {hint}choose from {known}, or begin it "
        "with a capital to have it as metadata"
    )


def _as_expression(text: str) -> str:
    """A regular expression for a pattern with parts in braces."""
    expression, end = "", 0
    for found in _FIELD.finditer(text):
        expression += re.escape(text[end : found.start()])
        name, end = found[1], found.end()
        expression += (
            f"(?P<{name}>{PARTS.get(_part(name), _TEXT)})" if name else "[^/]*"
        )
    return expression + re.escape(text[end:])


def well_of(parts: Mapping[str, str]) -> str:
    """The usual name of the well that parts of a name say; empty if they say none."""
    text = parts.get("well", "")
    if not text and "row" in parts and "column" in parts:
        row, column = parts["row"], parts["column"]
        text = f"r{row}c{column}" if row.isdigit() else f"{row}{column}"
    place = place_of(text)
    return well_name(place) if place else ""


def steps_of(place: str) -> tuple[str | None, str | None]:
    """Which timepoint and which plane the folders of ImageXpress say; None if none."""
    found = _STEPS.search(place)
    return (found[1], found[2]) if found else (None, None)


def plate_folder(top: str, place: str) -> str:
    """The folder that a plate is called after: the nearest that is of it alone."""
    folder = posixpath.dirname(f"{top}/{place}")
    names = reversed(folder.split("/"))
    return next((name for name in names if not _GENERIC.fullmatch(name)), "plate")
