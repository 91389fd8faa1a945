"""What is written beside a montage, so that a plate's page can show it later, too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cpengine.storage.own_files import OwnFile, has_form

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


FACTS = OwnFile(has_form(_MontageFacts), "make the montage again")
