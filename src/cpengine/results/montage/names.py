"""Tell from the names of published pictures what each shows: kind, well and site. Pure.

A name is a kind's, once plate, well, site and the digits that vary with them are taken
out: `A01_s1--outlines.png` and `B07_s3--outlines.png` are both `outlines`. Which well a
picture is of is what its job's group says, if that has one; else its name.
"""

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cpengine.errors import InputError
from cpengine.plates import Place
from cpengine.results.montage.grid import natural, place

ENDINGS = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
_WELLS = re.compile(
    r"(?<![A-Za-z0-9])(r\d{1,2}c\d{1,2}|[A-Za-z]{1,2}\d{1,3})(?!\d)", re.IGNORECASE
)
_SITES = re.compile(r"(?<![A-Za-z])(?:site|field|fov|s|f)[-_]?(\d+)", re.IGNORECASE)
_SEPARATORS = r"[-_. ]"

Shown = tuple[str, str]
"""A well and a site."""


@dataclass(frozen=True, slots=True)
class PublishedPicture:
    """A published picture, and what its job's group tells of it."""

    key: str
    name: str
    """Its name below the job's folder."""
    well: str = ""
    site: str = ""


@dataclass(frozen=True, slots=True)
class PlateSites:
    """The wells of a plate and their sites, as its CSV names them."""

    plate: str
    wells: Mapping[str, Sequence[str]]
    _at: dict[Place, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._at.update((place(well), well) for well in self.wells)

    def well(self, text: str) -> str:
        """The well that a text names in any spelling; empty if it names none."""
        try:
            return self._at.get(place(text), "")
        except InputError:
            return ""

    def site(self, well: str, digits: str) -> str:
        """The site of a well that has that number; empty if there is none."""
        wanted = digits.lstrip("0")
        known = self.wells.get(well, ())
        return next((site for site in known if site.lstrip("0") == wanted), "")


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A name in parts."""

    key: str
    well: str
    site: str
    pattern: str
    """What is left of the name, with a # for each number."""
    numbers: tuple[str, ...]

    @property
    def of(self) -> Shown:
        return self.well, self.site


def is_picture(name: str) -> bool:
    """Whether a file's name is one of a picture that can be shown."""
    return name.lower().endswith(ENDINGS)


def kinds(
    files: Iterable[PublishedPicture], sites: PlateSites
) -> dict[str, dict[Shown, str]]:
    """The key of each well's and site's picture, by kind.

    Pictures that name no well are left out. Where a name tells no site, those of a
    well are taken in the order of their names.
    """
    alike: dict[tuple[str, str], list[_Parsed]] = defaultdict(list)
    for file in files:
        parsed = _parsed(file, sites)
        if parsed.well:
            ending = posixpath.splitext(file.name)[1].lower()
            alike[parsed.pattern, ending].append(parsed)
    found: dict[str, dict[Shown, str]] = {}
    for (_, ending), those in sorted(alike.items()):
        for name, pictures in _split_kinds(those, sites):
            unused = name if name not in found else f"{name}-{ending.lstrip('.')}"
            found.setdefault(unused, {}).update(pictures)
    return {name: found[name] for name in sorted(found, key=natural)}


def _parsed(file: PublishedPicture, sites: PlateSites) -> _Parsed:
    text = _without_plate(posixpath.splitext(file.name)[0], file.well, sites)
    well, text = _without_well(text, file.well, sites)
    site, text = _without_site(text, well, file.site, sites)
    text = _clean(text)
    numbers = tuple(re.findall(r"\d+", text))
    return _Parsed(file.key, well, site, re.sub(r"\d+", "#", text), numbers)


def _without_plate(text: str, well: str, sites: PlateSites) -> str:
    """A text without the plate's name, which may stand right before a well's."""

    def rest(found: re.Match[str]) -> str:
        after = text[found.end() :]
        next_well = _WELLS.match(after)
        ends = not after[:1].isalnum() or (well and after.startswith(well))
        return "" if ends or (next_well and sites.well(next_well[0])) else found[0]

    return re.sub(rf"(?<![A-Za-z0-9]){re.escape(sites.plate)}", rest, text)


def _without_well(text: str, well: str, sites: PlateSites) -> tuple[str, str]:
    """The well, by its job if that has one; and the text without its name."""
    for found in _WELLS.finditer(text):
        named = sites.well(found[0])
        if named and well in ("", named):
            return named, text[: found.start()] + text[found.end() :]
    if well:  # more digits may follow
        text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(well)}", "", text, count=1)
    return well, text


def _without_site(
    text: str, well: str, site: str, sites: PlateSites
) -> tuple[str, str]:
    """The site, and the text without its number."""
    for found in _SITES.finditer(text):
        named = sites.site(well, found[1])
        if named and site in ("", named):
            return named, text[: found.start()] + text[found.end() :]
    return site, text


def _split_kinds(
    those: Sequence[_Parsed], sites: PlateSites
) -> Iterable[tuple[str, dict[Shown, str]]]:
    """The kinds among pictures whose names differ in numbers alone."""
    places = range(len(those[0].numbers))
    values = [_values(those, number) for number in places]
    fixed = [n for n in places if not _varies(values[n])]
    site_at = None if those[0].site else _site_place(those, values, sites)
    kind_places = [n for n in fixed if n != site_at]
    by_kind: dict[tuple[str, ...], list[_Parsed]] = defaultdict(list)
    for parsed in those:
        by_kind[tuple(parsed.numbers[n] for n in kind_places)].append(parsed)
    for numbers, alike in sorted(by_kind.items()):
        given = dict(zip(kind_places, numbers, strict=True))
        yield _name(those[0].pattern, given), _with_sites(alike, site_at, sites)


def _values(those: Sequence[_Parsed], number: int) -> dict[Shown, set[str]]:
    """What stands in one place of the names, for each well and site."""
    values: dict[Shown, set[str]] = defaultdict(set)
    for parsed in those:
        values[parsed.of].add(parsed.numbers[number])
    return values


def _varies(values: Mapping[Shown, set[str]]) -> bool:
    """Whether numbers go with wells and sites, and so tell no kinds apart."""
    return len(set().union(*values.values())) > max(map(len, values.values()))


def _site_place(
    those: Sequence[_Parsed],
    values: Sequence[Mapping[Shown, set[str]]],
    sites: PlateSites,
) -> int | None:
    """The place in the names that has the number of a site, if one has.

    It differs between the pictures of a well; else it may as well be the well's.
    """
    for number, by_well in enumerate(values):
        several = any(len(some) > 1 for some in by_well.values())
        if several and all(sites.site(p.well, p.numbers[number]) for p in those):
            return number
    return None


def _with_sites(
    alike: Sequence[_Parsed], site_at: int | None, sites: PlateSites
) -> dict[Shown, str]:
    """The pictures of one kind; of two that show the same site, the first by name."""
    found: dict[Shown, str] = {}
    order: dict[str, int] = defaultdict(int)
    for parsed in sorted(alike, key=lambda p: (natural(p.key), p.key)):
        site = parsed.site
        if not site and site_at is not None:
            site = sites.site(parsed.well, parsed.numbers[site_at])
        elif not site:
            known = sites.wells.get(parsed.well, ())
            number = order[parsed.well]
            order[parsed.well] += 1
            site = known[number] if number < len(known) else ""
        if site:
            found.setdefault((parsed.well, site), parsed.key)
    return found


def _name(pattern: str, numbers: Mapping[int, str]) -> str:
    """A kind's name, fit for a folder."""
    parts = pattern.split("#")
    text = parts[0]
    for number, part in enumerate(parts[1:]):
        text += numbers.get(number, "") + part
    return _clean(re.sub(r"[^\w.-]+", "-", text)) or "picture"


def _clean(text: str) -> str:
    """A text without the separators that stood around what was taken out."""
    return re.sub(rf"{_SEPARATORS}{{2,}}", "-", text).strip("-_. /")
