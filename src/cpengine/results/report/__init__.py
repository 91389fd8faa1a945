"""The report of a step: one HTML page, made from the ledger."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cpengine.ledger.run_record import now
from cpengine.ledger.standing import JobState, Verdict
from cpengine.planning.plan import EVERYTHING
from cpengine.planning.project import ResolvedProject
from cpengine.plates import PLATE, Part
from cpengine.results import overview
from cpengine.results.html.links import Links
from cpengine.results.overview.step_records import FailedJobs, JobsRecord, keep, utc
from cpengine.results.page_keys import report_key
from cpengine.results.report import facts, model, page
from cpengine.results.report.facts import Facts
from cpengine.run.session import Steps

__all__ = ["Report", "make", "write", "write_states"]


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of a step, for a page at one place."""

    project: ResolvedProject
    facts: Facts
    model: dict[str, Any]
    """What the page says, as plain data."""
    to: Path | str
    """A local file, or a key of the outputs."""

    @property
    def address(self) -> str:
        """Where the page is, or will be."""
        return self.project.places.outputs.url(str(self.to))

    def html(self) -> str:
        """The page."""
        label = f"{self.facts.step.name} report"
        pages = overview.links_from(self.project, self.to, label)
        return page.html(self.facts, self.model, pages)

    def write(self) -> str:
        """Write the page, over an earlier one; give its path or address.

        The project's page is made anew, too, where the report is of the whole step and
        in its usual place.

        Raises
        ------
        StorageError
            It cannot be written.
        """
        text, outputs = self.html().encode(), self.project.places.outputs
        if not isinstance(self.to, str):
            outputs.write(str(self.to.absolute()), text)
            return str(self.to)
        outputs.write(self.to, text)
        if not self.facts.part.wanted:
            self._keep()
        return outputs.url(self.to)

    def _keep(self) -> None:
        """Have the project's page say where the step stands."""
        plates = {plate["name"]: plate["states"] for plate in self.model["plates"]}
        record = JobsRecord(
            plates,
            ended=utc(self.model["summary"]["last"]),
            failures=[
                FailedJobs(cause.times, cause.first.failure.kind.value, cause.cure)
                for cause in self.facts.causes
                if cause.first.failure
            ],
            stale=_stale(self.facts.verdicts),
            under_way=self.model["summary"]["under_way"],
        )
        keep(self.project, self.facts.step.name, record)
        overview.write(self.project)


def write_states(project: ResolvedProject, step: str, cellprofiler: str = "") -> None:
    """Have the project's page say where a step stands that is too large for a report.

    No marker is opened. Parameters and errors are those of `make`.
    """
    todo = Steps(project, [step], EVERYTHING, cellprofiler, unchecked=True).plan(step)
    plates: dict[str, Counter[str]] = {}
    groups = todo.plan.jobs.groups
    for group, standing in zip(groups, todo.standings, strict=True):
        counts = plates.setdefault(dict(group).get(PLATE, ""), Counter())
        counts[standing.state.value] += 1
    stale = _stale(standing.verdict for standing in todo.standings)
    counted = {plate: dict(counts) for plate, counts in plates.items()}
    keep(project, step, JobsRecord(counted, now(), stale=stale, has_report=False))
    overview.write(project)


def _stale(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """How many jobs are stale, by what has changed."""
    whys = (verdict.why for verdict in verdicts if verdict.state is JobState.STALE)
    return dict(Counter(whys))


def make(
    project: ResolvedProject,
    step: str,
    *,
    part: Part = EVERYTHING,
    cellprofiler: str = "",
    to: Path | None = None,
) -> Report:
    """Make the report of a step, which may still be under way.

    Parameters
    ----------
    part
        Which plates, wells and sites to take.
    cellprofiler
        The version that would run the step: results of another are stale. Of none, if
        empty.
    to
        The local file that it is for. By default it is for a place of its own among the
        outputs: links lead from where the page is.

    Raises
    ------
    ConfigError, InputError
        There is no such step, no job of it has ended, or it cannot be planned.
    """
    found = facts.gather(project, step, part, cellprofiler)
    place = to or report_key(project, step)
    links = Links(project.places.outputs, place)
    return Report(project, found, model.of(found, links), place)


def write(
    project: ResolvedProject,
    step: str,
    *,
    part: Part = EVERYTHING,
    cellprofiler: str = "",
    to: Path | None = None,
) -> str:
    """Make the report of a step and write its page; give its path or address.

    Parameters and errors are those of `make` and `Report.write`.
    """
    return make(project, step, part=part, cellprofiler=cellprofiler, to=to).write()
