"""The report of a step: one HTML page, made from the ledger."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cpengine.planning.plan import EVERYTHING
from cpengine.planning.project import ResolvedProject
from cpengine.plates import Part
from cpengine.results.report import facts, model, page
from cpengine.results.report.facts import Facts
from cpengine.results.html.links import Links
from cpengine.storage.store import Storage

__all__ = ["Report", "key", "make", "write"]


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of a step, for a page at one place."""

    facts: Facts
    model: dict[str, Any]
    """What the page says, as plain data."""
    outputs: Storage
    to: Path | str
    """A local file, or a key of the outputs."""

    def html(self) -> str:
        """The page."""
        return page.html(self.facts, self.model)

    def write(self) -> str:
        """Write the page, over an earlier one; give its path or address.

        Raises
        ------
        StorageError
            It cannot be written.
        """
        text = self.html().encode()
        if isinstance(self.to, str):
            self.outputs.write(self.to, text)
            return self.outputs.url(self.to)
        path = self.to.absolute()
        self.outputs.write(str(path), text)
        return str(self.to)


def key(project: ResolvedProject, step: str) -> str:
    """Where a step's page is, among the outputs."""
    layout = project.layout
    return layout.workspace("report", layout.batch, f"{step}.html")


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
    outputs, place = project.places.outputs, to or key(project, step)
    return Report(found, model.of(found, Links(outputs, place)), outputs, place)


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
