"""What is written beside a montage, so that a plate's page can show it later, too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cpengine.storage.own_files import OwnFile, of_form

NAME = "montage.json"


@dataclass(frozen=True, slots=True)
class _ShownSite:
    well: str
    site: str
    row: int
    column: int
    at: tuple[int, int]
    state: str
    files: Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class _ShownChannel:
    name: str
    colour: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class _MontageFacts:
    """What the page takes for granted."""

    kind: str
    title: str
    plate: str
    step: str
    batch: str
    side: int
    levels: Sequence[tuple[int, int]]
    rows: Sequence[str]
    columns: Sequence[int]
    gap: int
    well: tuple[int, int]
    tile: tuple[int, int]
    channels: Sequence[_ShownChannel]
    sites: Sequence[_ShownSite]


_FORM = of_form(_MontageFacts)


def _checked(data: Any) -> dict[str, Any]:
    _FORM(data)
    found: dict[str, Any] = data
    return found


FACTS = OwnFile(_checked, "make the montage again")
