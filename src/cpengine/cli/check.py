"""The command that looks before a run: `check`."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.progress import TimeElapsedColumn as Elapsed
from rich.text import Text

from cpengine.cli import completion
from cpengine.cli.base import (
    BAD_INPUT,
    OK,
    Folder,
    Json,
    Plates,
    Sites,
    Wells,
    err,
    load_project,
    out,
    part_of,
    print_json,
)
from cpengine.cli.finding_lines import name_explain, show_findings
from cpengine.rules import Finding, Severity
from cpengine.wording import counted

if TYPE_CHECKING:
    from cpengine.run.session import Checked


def check(
    steps: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=completion.steps,
            help="Steps, in order. Default: those that have a pipeline.",
            show_default=False,
        ),
    ] = None,
    folder: Folder = Path(),
    on: Annotated[
        str,
        typer.Option(
            autocompletion=completion.executors,
            help="Executor: look whether it can be used, too.",
        ),
    ] = "local",
    plate: Plates = None,
    well: Wells = None,
    site: Sites = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Take warnings for errors.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Look for all that would fail jobs, or spoil results unseen; start nothing."""
    project = load_project(folder)
    shown = _Shown(on_terminal=not as_json and err.is_terminal, quiet=as_json)
    with shown.bar:
        report = project.check(
            *(steps or ()),
            on=on,
            part=part_of(plate, well, site),
            found=shown.found,
            begin=shown.begin,
        )
    if as_json:
        print_json(report.to_json())
    else:
        show_findings(report.place[shown.above :])
        name_explain(report.findings)
    bad = [*report.errors, *(report.warnings if strict else ())]
    raise typer.Exit(BAD_INPUT if bad else OK)


class _Shown:
    """Prints what is found of each step as it comes, and how far the check is."""

    def __init__(self, *, on_terminal: bool, quiet: bool) -> None:
        self.above = 0
        """How many findings of the place were printed before the steps."""
        self._quiet = quiet
        self._findings: list[tuple[Finding, ...]] = []
        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(24),
            MofNCompleteColumn(),
            Elapsed(),
            console=err,
            transient=True,
            redirect_stdout=False,
            disable=not on_terminal,
        )

    def begin(self, steps: Sequence[str], findings: Sequence[Finding]) -> None:
        if not self._quiet:
            show_findings(findings)
            self.above = len(findings)
        self.bar.add_task("looking", total=len(steps))

    def found(self, checked: "Checked") -> None:
        from cpengine.run.session import once  # there already, when one is found

        self._findings.append(checked.findings)
        if not self._quiet:
            self.bar.stop()  # else the two would be written into each other
            _show(checked, once(self._findings)[-1])
            self.bar.start()
        self.bar.advance(self.bar.task_ids[-1])


def _show(checked: "Checked", new: Sequence[Finding]) -> None:
    """Print what was found of a step, and in full what no step before it has."""
    from cpengine.project.check_report import describe_jobs

    counts = Counter(finding.severity for finding in checked.findings)
    summary = ", ".join(counted(counts[s], s) for s in Severity if counts[s])
    above = len(checked.findings) - len(new)
    summary += f", {above} of them above" if above else ""
    out.print(f"{checked.step}: {describe_jobs(checked)}: {summary or 'nothing found'}")
    if checked.writes:
        out.print(Text(f"  writes: {', '.join(checked.writes)}"))
    show_findings(new)
