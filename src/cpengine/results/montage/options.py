"""What `cpengine montage` is asked for: read from its options and checked. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cpengine.errors import ConfigError

Rgb = tuple[int, int, int]
Limits = tuple[float, float]

COLOURS: Mapping[str, Rgb] = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "cyan": (0, 255, 255),
    "magenta": (255, 0, 255),
    "yellow": (255, 255, 0),
    "orange": (255, 128, 0),
    "gray": (255, 255, 255),
    "grey": (255, 255, 255),
    "white": (255, 255, 255),
}
_HEX = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")


@dataclass(frozen=True, slots=True)
class Options:
    """What to show of a plate, and how."""

    wells: frozenset[str] = frozenset()
    """All, if empty."""
    images: tuple[str, ...] = ()
    """Patterns of the published pictures' kinds or file names."""
    channels: tuple[str, ...] = ()
    overlays: tuple[Mapping[str, str], ...] = ()
    """The colour of each channel, by its name; a mapping for each picture."""
    sites: str = "first"
    """`first`, `all`, or the name of one."""
    site_grid: str = ""
    tile_size: int | None = None
    """Pixels along a site's longer side; as many as fit, if None."""
    contrast: Mapping[str, Limits] = field(default_factory=dict)
    """The values shown as black and as full colour, by channel or kind."""

    @property
    def published(self) -> bool:
        """Whether pictures that the step has published are wanted."""
        return bool(self.images) or not (self.channels or self.overlays)


def colour(text: str) -> Rgb:
    """A colour by its name, or `#rrggbb`.

    Raises
    ------
    ConfigError
        It is neither.
    """
    if found := _HEX.fullmatch(text):
        red, green, blue = (int(part, 16) for part in found.groups())
        return red, green, blue
    if text.lower() not in COLOURS:
        raise ConfigError(
            f"{text}: is no colour: choose from {', '.join(COLOURS)}, or write #rrggbb"
        )
    return COLOURS[text.lower()]


def overlay(text: str) -> dict[str, str]:
    """Read `--overlay OrigDNA=blue,OrigER=green`.

    Raises
    ------
    ConfigError
        It is something else, or names a channel twice.
    """
    found: dict[str, str] = {}
    for part in text.split(","):
        channel, equals, named = (word.strip() for word in part.partition("="))
        if not (channel and equals and named) or channel in found:
            raise ConfigError(
                f"--overlay {text}: is no list of channels with their colours: write "
                "it as OrigDNA=blue,OrigER=green"
            )
        colour(named)
        found[channel] = named
    return found


def contrast(texts: Iterable[str]) -> dict[str, Limits]:
    """Read `--contrast OrigDNA=100,4000`, several times.

    Raises
    ------
    ConfigError
        It is something else, or the first value is not below the second.
    """
    found: dict[str, Limits] = {}
    for text in texts:
        channel, _, values = text.rpartition("=")
        try:
            low, high = map(float, values.split(","))
        except ValueError:
            low = high = 0.0
        if not channel or not low < high:
            raise ConfigError(
                f"--contrast {text}: is no channel with its two limits: write it as "
                "OrigDNA=100,4000"
            )
        found[channel] = (low, high)
    return found
