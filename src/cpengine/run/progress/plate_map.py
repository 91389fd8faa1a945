"""What stands where on the plates of a step: numbers a well, and no job."""

from array import array
from collections.abc import Iterable, Iterator
from functools import lru_cache

from cpengine.group_names import Group
from cpengine.model import Job
from cpengine.plates import PLATE, SHAPES, WELL, place_of

_ROWS, _COLUMNS = SHAPES[1536]
_COUNTS = 4
_ALL, _RUNNING, _DONE, _FAILED = range(_COUNTS)

Spot = int
"""A well's row, times the columns of the largest plate, and its column; from 0."""


@lru_cache(maxsize=4096)
def spot_of(well: str) -> Spot | None:
    """Where a well is: `A01`, `A1`, `AF48`; None if its name does not tell."""
    place = place_of(well)
    if place is None or place[0] >= _ROWS or place[1] >= _COLUMNS:
        return None
    return place[0] * _COLUMNS + place[1]


class PlateMap:
    """How many jobs of a plate, and of each of its wells, stand how."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.jobs = self.running = self.done = self.failed = 0
        self.order = 0
        """How many were begun before it."""
        self._wells = array("I")

    def add(self, spot: Spot | None, *, done: bool) -> None:
        """Take in a job of the plan, or one that was done before."""
        self.jobs += 1
        self.done += done
        if spot is not None:
            at = _COUNTS * spot
            lacking = at + _COUNTS - len(self._wells)
            if lacking > 0:
                self._wells.extend([0] * lacking)
            self._wells[at + _ALL] += 1
            if done:
                self._wells[at + _DONE] += 1

    def run(self, spot: Spot | None, number: int) -> None:
        """So many jobs more are running; may be negative."""
        self.running += number
        if spot is not None:
            self._wells[_COUNTS * spot + _RUNNING] += number

    def end(self, spot: Spot | None, *, done: bool) -> None:
        """A job has come to its outcome."""
        self.done += done
        self.failed += not done
        if spot is not None:
            self._wells[_COUNTS * spot + (_DONE if done else _FAILED)] += 1

    def well(self, spot: Spot) -> tuple[int, int, int, int]:
        """How many jobs a well has, and how many run, are done and have failed."""
        at = _COUNTS * spot
        found = self._wells[at : at + _COUNTS]
        return (found[0], found[1], found[2], found[3]) if found else (0, 0, 0, 0)

    @property
    def over(self) -> bool:
        """Whether all its jobs have ended."""
        return self.done + self.failed >= self.jobs


class Box:
    """The rows and columns that wells of a step are in, from 0."""

    def __init__(self, spots: Iterable[Spot]) -> None:
        places = [divmod(spot, _COLUMNS) for spot in spots]
        rows, columns = ([place[axis] for place in places] for axis in (0, 1))
        self.rows = range(min(rows), max(rows) + 1)
        self.columns = range(min(columns), max(columns) + 1)

    def spots(self, row: int) -> range:
        """The wells of a row."""
        first = row * _COLUMNS
        return range(first + self.columns[0], first + self.columns[-1] + 1)


class Plates:
    """The plates of a step.

    They take as much memory as they have wells, however many jobs there are.
    """

    def __init__(self) -> None:
        self._plates: dict[str, PlateMap] = {}
        self._spots: set[Spot] = set()
        self._unmapped = False
        """Whether some group has no well, or one whose name does not tell where."""
        self._touched: dict[str, None] = {}
        """Plates on which something happened, the last one last."""
        self._active: dict[str, None] = {}
        """Plates with running jobs, in the order in which they were begun."""
        self.over = 0
        """Plates on which nothing is left to do."""

    def __len__(self) -> int:
        return len(self._plates)

    def plan(self, group: Group, *, done: bool = False) -> None:
        """Take in the group of a job.

        Parameters
        ----------
        done
            Whether it was done before.
        """
        name, spot = _place(group)
        plate = self._plates.get(name)
        if plate is None:
            plate = self._plates[name] = PlateMap(name)
        plate.add(spot, done=done)
        if spot is None:
            self._unmapped = True
        else:
            self._spots.add(spot)

    def settle(self) -> None:
        """All jobs are known: find the plates that are over already."""
        self.over = sum(plate.over for plate in self._plates.values())

    @property
    def box(self) -> Box | None:
        """The rows and columns to draw; None where groups have no wells."""
        return None if self._unmapped or not self._spots else Box(self._spots)

    @property
    def under_way(self) -> int:
        """Plates with running jobs."""
        return len(self._active)

    def started(self, job: Job) -> None:
        """An attempt has begun."""
        self._run(job, 1)

    def stopped(self, job: Job) -> None:
        """An attempt that had begun is over."""
        self._run(job, -1)

    def _run(self, job: Job, number: int) -> None:
        name, spot = _place(job.group)
        plate = self._plates.get(name)
        if plate is None:
            return
        plate.run(spot, number)
        if plate.running:
            self._active.setdefault(name)
        else:
            self._active.pop(name, None)
        self._touch(plate)

    def ended(self, job: Job, *, done: bool) -> None:
        """A job has come to its outcome."""
        name, spot = _place(job.group)
        plate = self._plates.get(name)
        if plate is not None:
            plate.end(spot, done=done)
            self.over += plate.over
            self._touch(plate)

    def _touch(self, plate: PlateMap) -> None:
        if plate.name not in self._touched:
            plate.order = len(self._touched)
        self._touched.pop(plate.name, None)
        self._touched[plate.name] = None

    def in_sight(self) -> Iterator[PlateMap]:
        """Plates on which something happens or has happened.

        First those with running jobs, as they were begun; then the others, the last
        one first.
        """
        yield from (self._plates[name] for name in self._active)
        for name in reversed(self._touched):
            if name not in self._active:
                yield self._plates[name]


def _place(group: Group) -> tuple[str, Spot | None]:
    """The plate and the well of a group; an empty name and None if it has none."""
    plate, spot = "", None
    for key, value in group:
        if key == PLATE:
            plate = value
        elif key == WELL:
            spot = spot_of(value)
    return plate, spot
