"""Jobs of whole plates, and terminals that tests can read."""

import io
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console

from cpengine.events import Event, JobEnded, JobStarted, ModuleDone
from cpengine.model import Failure, FailureKind, Job, Outcome
from cpengine.run.progress import View

WELLS_96 = [f"{row}{column:02d}" for row in "ABCDEFGH" for column in range(1, 13)]
WELLS_384 = [
    f"{row}{column:02d}" for row in "ABCDEFGHIJKLMNOP" for column in range(1, 25)
]


class Clock:
    """Time as a test has it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def plan(
    plates: Iterable[str],
    wells: Sequence[str] = WELLS_96,
    sites: int = 1,
) -> list[Job]:
    """The jobs of a step that groups by site."""
    return [
        of(Metadata_Plate=plate, Metadata_Well=well, Metadata_Site=str(site + 1))
        for plate in plates
        for well in wells
        for site in range(sites)
    ]


def of(image_sets: int = 1, **group: str) -> Job:
    """A job of that group."""
    return Job(
        "analysis", tuple(group.items()), "p", "d", "i", "o", image_sets=image_sets
    )


def terminal(width: int = 80, height: int = 24, encoding: str = "utf-8") -> Console:
    """A terminal of that size."""
    return Console(
        file=io.TextIOWrapper(io.BytesIO(), encoding),
        force_terminal=True,
        force_interactive=True,
        width=width,
        height=height,
        color_system=None,
    )


def shown(view: View) -> list[str]:
    """The lines that a view shows now."""
    console = view._console
    with console.capture() as capture:
        console.print(view._picture())
    return capture.get().splitlines()


def ended(job: Job, message: str = "", kind: FailureKind | None = None) -> JobEnded:
    """The end of a job, failed if there is a message."""
    failure = Failure(kind or FailureKind.BAD_INPUT, message) if message else None
    return JobEnded(Outcome(job, failure))


def done(*jobs: Job) -> Iterator[Event]:
    """All that happens to jobs of one image set, three modules each."""
    for job in jobs:
        yield JobStarted(job, 1)
        for number in (1, 2, 3):
            yield ModuleDone(job, 1, "Crop", number, 0.1)
        yield ended(job)


def follow(view: View, *events: Event | Iterator[Event]) -> View:
    """Let a view follow events."""
    for group in events:
        for event in group if isinstance(group, Iterator) else (group,):
            view.listen(event)
    return view
