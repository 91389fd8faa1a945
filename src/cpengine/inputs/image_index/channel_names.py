"""How channels are called in tables: as a mapping says, or after the index. Pure."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from cpengine.errors import ConfigError
from cpengine.inputs.image_index.indexed_image import ImageChannel

_VALID = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_PREFIXES = ("", "ch", "c", "w")

ChannelNames = Mapping[ImageChannel, str]
"""The image name of each channel that is taken."""


def channel_names(
    plates: Iterable[Iterable[ImageChannel]], mapping: Mapping[str, str]
) -> ChannelNames:
    """Name the channels of plates as CellProfiler may call images.

    Parameters
    ----------
    plates
        The channels of each plate.
    mapping
        Image names by number, as in file names (`ch1`, `w1`), or by the index's name.
        Channels that are not in it are not taken; if it is empty, all are.

    Raises
    ------
    ConfigError
        It names a channel that is not there, or gives two of a plate one name.
    """
    of_plates = [sorted(set(channels), key=channel_order) for channels in plates]
    known = sorted({c for channels in of_plates for c in channels}, key=channel_order)
    names = _mapped(known, mapping) if mapping else _default(known, of_plates)
    for channels in of_plates:
        _check_apart([channel for channel in channels if channel in names], names)
    return names


def parse_mapping(entries: Sequence[str], option: str) -> dict[str, str]:
    """The pairs of an option such as `--channel ch1=OrigDNA`.

    Raises
    ------
    ConfigError
        An entry is no pair.
    """
    found: dict[str, str] = {}
    for entry in entries:
        name, equals, new = entry.rpartition("=")
        if not (equals and name.strip() and new.strip()):
            raise ConfigError(f"{option}: {entry}: write it as OLD=NEW")
        if name.strip() in found:
            raise ConfigError(f"{option} {entry}: {name.strip()} is there twice")
        found[name.strip()] = new.strip()
    return found


def channel_order(channel: ImageChannel) -> tuple[int, str, str]:
    """By what to sort channels: numbers by their size, then names."""
    number = channel.number
    return (int(number) if number.isdigit() else 10**9, number, channel.name)


def _mapped(
    known: Sequence[ImageChannel], mapping: Mapping[str, str]
) -> dict[ImageChannel, str]:
    names: dict[ImageChannel, str] = {}
    for entry, name in mapping.items():
        channels = [channel for channel in known if _bare(entry) in _aliases(channel)]
        if not channels:
            labels = ", ".join(channel.label for channel in known)
            raise ConfigError(f"--channel {entry}: is not there: there are {labels}")
        if not _VALID.fullmatch(name):
            raise ConfigError(
                f"--channel {entry}={name}: CellProfiler takes letters, digits and _ "
                "in the name of an image, a letter first: choose another"
            )
        names |= dict.fromkeys(channels, name)
    return names


def _aliases(channel: ImageChannel) -> set[str]:
    """By what a mapping may call a channel."""
    numbered = {f"{prefix}{channel.number}" for prefix in _PREFIXES}
    return set(map(_bare, {*numbered, channel.name, _valid(channel)} - {""}))


def _bare(text: str) -> str:
    return text.replace(" ", "").casefold()


def _default(
    known: Sequence[ImageChannel], plates: Sequence[Sequence[ImageChannel]]
) -> dict[ImageChannel, str]:
    """Names after the index; with the number where a plate has two of one name."""
    names = {channel: _valid(channel) for channel in known}
    for channels in plates:
        for name, same in _by_name(channels, names).items():
            if len(same) > 1:
                alike = [channel for channel in known if names[channel] == name]
                names |= {c: f"{name}_{_valid_text(c.number)}" for c in alike}
    return names


def _valid(channel: ImageChannel) -> str:
    """The name of a channel, or its number, as CellProfiler takes it."""
    name = _valid_text(channel.name or channel.number)
    return name if _VALID.fullmatch(name) else f"Ch{name}"


def _valid_text(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")


def _by_name(
    channels: Iterable[ImageChannel], names: ChannelNames
) -> Mapping[str, list[ImageChannel]]:
    found: dict[str, list[ImageChannel]] = defaultdict(list)
    for channel in channels:
        found[names[channel]].append(channel)
    return found


def _check_apart(channels: Iterable[ImageChannel], names: ChannelNames) -> None:
    for name, same in _by_name(channels, names).items():
        if len(same) > 1:
            labels = " and ".join(channel.label for channel in same)
            raise ConfigError(
                f"--channel: {labels} are both called {name}: give each its own name"
            )
