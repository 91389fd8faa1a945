"""What is made of published files, as values: tables, montages, reports, quality."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.filesize import decimal

from cpengine.errors import ConfigError, InputError, StorageError
from cpengine.extras import extra
from cpengine.plates import Part
from cpengine.project.status import steps_that_ran
from cpengine.text_table import Tabular, TextTable

if TYPE_CHECKING:
    from cpengine.project import Project
    from cpengine.results.collect.collector import Collector
    from cpengine.results.collect.plate_csvs import Collected, PlateCsvs
    from cpengine.results.montage import Made, Options
    from cpengine.results.qc import Assessment, Written
    from cpengine.results.report import Report


@dataclass(frozen=True)
class Collection(Tabular):
    """The Parquet tables of plates."""

    plates: "Sequence[Collected]"
    errors: Sequence[str]
    """Why plates have none, a line each."""

    @property
    def whole(self) -> bool:
        """Whether all done jobs of all plates are in them."""
        return not (self.errors or any(each.plate.left_out for each in self.plates))

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        plates = [each.to_json() for each in self.plates]
        return {"plates": plates, "errors": list(self.errors)}

    def table(self) -> TextTable:
        """A row a plate."""
        columns = ("step", "plate", "jobs", "images", "cells", "columns", "size", "s")
        return TextTable(
            columns, list(map(_row, self.plates)), words=2, lines=self.errors
        )


def _row(collected: "Collected") -> Sequence[str]:
    images, joined = collected.files.get("Image"), collected.files.get("")
    return (
        collected.plate.step,
        collected.plate.name,
        str(len(collected.plate.jobs)),
        str(images.rows) if images else "-",
        str(joined.rows) if joined else "-",
        str(joined.columns) if joined else "-",
        decimal(collected.bytes),
        f"{collected.wall_s:.1f}" if collected.made else "-",
    )


Follow = Callable[["Collector", "PlateCsvs"], "Collected"]
"""Collects a plate and shows how far that is."""


def collect(
    project: "Project",
    steps: Sequence[str],
    part: Part,
    follow: Follow = lambda collector, plate: collector.collect(plate, lambda n: None),
    *,
    float32: bool = False,
    force: bool = False,
) -> Collection:
    """Turn the CSVs of done jobs into Parquet tables, a plate at a time.

    Parameters
    ----------
    float32
        Halve the files: 7 digits a number.
    force
        Make files again that are there.

    Raises
    ------
    InputError
        A step or plate is none, or nothing of it is done.
    ExecutorError
        The extra `collect` is not installed.
    """
    with extra("collect"):
        from cpengine.results.collect import done_jobs
        from cpengine.results.collect.collector import Collector
    version = project.cellprofiler_version()
    plates = [
        p for name in steps for p in done_jobs.plates(project, name, part, version)
    ]
    collector = Collector(project.places.outputs, project.scratch, float32, force)
    found, wrong = [], []
    for plate in plates:
        try:
            found.append(follow(collector, plate))
        except (InputError, StorageError) as error:
            wrong.append(f"{plate.step}: plate {plate.name}: {error}")
    wrong += _note_tables(project, found)
    return Collection(found, wrong)


def _note_tables(project: "Project", found: "Sequence[Collected]") -> Iterator[str]:
    """Have the project's page say which tables there are; a line where it cannot."""
    from cpengine.results import overview
    from cpengine.results.overview.step_records import CollectedJobs, keep_collected

    steps: dict[str, dict[str, CollectedJobs]] = {}
    for plate in (collected.plate for collected in found):
        jobs = CollectedJobs(len(plate.jobs), dict(plate.left_out))
        steps.setdefault(plate.step, {})[plate.name] = jobs
    try:
        for step, plates in steps.items():
            keep_collected(project, step, plates)
        overview.write(project)
    except StorageError as error:  # the tables are there all the same
        yield f"no page of the project: {error}"


@dataclass(frozen=True)
class QualityReport(Tabular):
    """What image quality a batch has, and where that was written to."""

    assessment: "Assessment"
    written: "Written"

    @property
    def plates(self) -> list[str]:
        """The plates that were judged now."""
        found = self.assessment
        return [plate for plate in found.plates if plate in found.judged]

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return self.assessment.to_json(self.plates) | {"written": asdict(self.written)}

    def table(self) -> TextTable:
        """A row a plate, with how its controls vary."""
        from cpengine.results.qc import summary

        return summary.table(self.assessment, self.plates)


def judge(project: "Project", step: str | None, part: Part) -> QualityReport:
    """Flag bad images, and write tables and a page.

    Raises
    ------
    InputError
        No such step has measured.
    """
    from cpengine.results import qc

    found = qc.judge(
        project,
        step or qc.default_step(project),
        part,
        cellprofiler=project.cellprofiler_version(),
    )
    return QualityReport(found, qc.write(project, found))


@dataclass(frozen=True)
class Montages(Tabular):
    """Stitched pictures of plates."""

    step: str
    plates: "Sequence[Made]"

    @property
    def unreadable(self) -> list[str]:
        """A line for each picture that could not be read."""
        kinds = (kind for made in self.plates for kind in made.kinds)
        return list(dict.fromkeys(why for kind in kinds for why in kind.unreadable))

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {"step": self.step, "plates": [asdict(made) for made in self.plates]}

    def table(self) -> TextTable:
        """A row a picture."""
        columns = ("plate", "image", "picture", "sites shown", "missing", "unreadable")
        rows = [
            (
                made.plate,
                kind.name,
                kind.picture,
                str(kind.shown),
                str(kind.missing),
                str(len(kind.unreadable)),
            )
            for made in self.plates
            for kind in made.kinds
        ]
        lines = [made.page for made in self.plates]
        return TextTable(columns, rows, words=3, lines=lines)


def montage(
    project: "Project",
    step: str,
    part: Part,
    options: "Options | None",
    to: Path | None,
    tell: Callable[[str], None],
) -> Montages:
    """Make the montages of a step; see `results.montage.make`."""
    with extra("montage"):
        from cpengine.results import montage as montages

    chosen = replace(options or montages.Options(), wells=part.wells)
    return Montages(
        step, list(montages.make(project, step, part.plates, chosen, to, tell))
    )


@dataclass(frozen=True)
class Reports(Tabular):
    """What the ledger knows of steps, for a page each."""

    steps: "Sequence[Report]"
    notes: Sequence[str] = ()
    """Why steps have no page, and what tells only of some jobs: a line each."""

    def write(self) -> list[str]:
        """Write the pages, over earlier ones; give their paths or addresses.

        Raises
        ------
        StorageError
            One cannot be written.
        """
        return [report.write() for report in self.steps]

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {"steps": [report.model for report in self.steps]}

    def table(self) -> TextTable:
        """A row a step."""
        rows = [(report.facts.step.name, report.address) for report in self.steps]
        return TextTable(("step", "page"), rows, words=2, lines=self.notes)


def report(
    project: "Project", steps: Sequence[str], part: Part, to: Path | None
) -> Reports:
    """Make the reports of steps; of several, those with no job that has ended are told.

    Raises
    ------
    ConfigError
        `to` is a folder, or for several steps.
    InputError
        No step has a job that has ended.
    """
    from cpengine.results import report as reports

    names, version = steps or steps_that_ran(project), project.cellprofiler_version()
    _check_place(names, to)
    made, notes = [], []
    for name in names:
        try:
            made.append(
                reports.make(project, name, part=part, cellprofiler=version, to=to)
            )
            notes += [f"{name}: {some}" for some in made[-1].facts.columns]
        except (InputError, StorageError) as error:
            if len(names) == 1:
                raise
            notes.append(f"no page: {error}")
    if not made:
        raise InputError("no step has a job that has ended: run one, or look later")
    return Reports(made, notes)


def _check_place(names: Sequence[str], to: Path | None) -> None:
    if to is not None and len(names) > 1:
        raise ConfigError(f"--to: takes one step, not {', '.join(names)}: name one")
    if to is not None and os.path.isdir(to):
        raise ConfigError(
            f"--to: {to} is a folder: name a file, such as {to}/page.html"
        )
