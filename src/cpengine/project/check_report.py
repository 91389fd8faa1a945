"""What `check` finds: all that would fail jobs, or spoil results unseen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cpengine import rules
from cpengine.cellprofiler.find import CellProfiler
from cpengine.errors import CellProfilerError, CpengineError
from cpengine.executors import registry
from cpengine.job.machine import find_cellprofiler
from cpengine.planning.project import ResolvedProject
from cpengine.plates import Part
from cpengine.rules import Finding, Severity
from cpengine.run.plain_modules import plain_modules
from cpengine.run.session import Checked, Steps
from cpengine.text_table import Tabular, TextTable
from cpengine.wording import counted


@dataclass(frozen=True)
class CheckReport(Tabular):
    """What was found before a run."""

    steps: Sequence[Checked]
    place: Sequence[Finding]
    """Of CellProfiler, the project's places and the executor."""

    @property
    def findings(self) -> list[Finding]:
        """All of them, those of places first."""
        return [*self.place, *(f for checked in self.steps for f in checked.findings)]

    @property
    def errors(self) -> list[Finding]:
        """Those for which jobs would fail."""
        return [each for each in self.findings if each.severity is Severity.ERROR]

    @property
    def warnings(self) -> list[Finding]:
        """What is mostly a mistake, though jobs can run."""
        return [each for each in self.findings if each.severity is Severity.WARNING]

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "place": [finding.to_json() for finding in self.place],
            "steps": list(map(_to_json, self.steps)),
        }

    def table(self) -> TextTable:
        """A row a finding."""
        columns = ("step", "severity", "place", "what is wrong", "what to do", "rule")
        found = [("", finding) for finding in self.place]
        found += [(each.step, f) for each in self.steps for f in each.findings]
        rows = [
            (step, f.severity, f.place, f.cause, f.cure, f.rule.name)
            for step, f in found
        ]
        lines = [f"{each.step}: {describe_jobs(each)}" for each in self.steps]
        return TextTable(columns, rows, words=len(columns), lines=lines)


@dataclass(frozen=True)
class CheckRequest:
    """What to check, and for where."""

    project: ResolvedProject
    steps: Sequence[str]
    """Those that have a pipeline, if empty."""
    part: Part
    on: str

    def run(
        self,
        found: Callable[[Checked], None] = lambda checked: None,
        begin: Callable[[Sequence[str], Sequence[Finding]], None] = lambda s, f: None,
    ) -> CheckReport:
        """Check; nothing is raised for what is wrong.

        Parameters
        ----------
        found
            Gets what was found of each step.
        begin
            Gets the steps before, and what was found already.
        """
        cellprofiler, missing = _cellprofiler(self.project)
        version = cellprofiler.version if cellprofiler else ""
        names = self.steps or with_pipelines(self.project)
        missing += () if names else (_no_pipelines(self.project),)
        begin(names, missing)
        todo = Steps(self.project, names, self.part, version, program=cellprofiler)
        steps = []
        for checked in todo.check_each():
            steps.append(checked)
            found(checked)
        place = self._executor(steps, version)
        notes = plain_modules(self.project, self.on, cellprofiler)
        return CheckReport(steps, (*missing, *place, *self.project.softened(notes)))

    def _executor(self, found: Sequence[Checked], version: str) -> Sequence[Finding]:
        """What is wrong with the place where jobs would run."""
        jobs = {each.step: len(each.todo.jobs) for each in found if each.todo}
        try:
            registry.entry(self.on).check(self.project, jobs, version)
        except CpengineError as error:
            return error.findings
        return ()


def describe_jobs(checked: Checked) -> str:
    """How many jobs a step has, and how many are left."""
    if checked.todo is None:
        return "no jobs can be made"
    plan, left = checked.todo.plan, len(checked.todo.jobs)
    jobs = f"{counted(len(plan.jobs), 'job')}, {counted(plan.image_sets, 'image set')}"
    return jobs if left == len(plan.jobs) else f"{jobs}, {left} of them left"


def _cellprofiler(
    project: ResolvedProject,
) -> tuple[CellProfiler | None, tuple[Finding, ...]]:
    """The project's CellProfiler, or why there is none."""
    try:
        return find_cellprofiler(project), ()
    except CellProfilerError as error:
        return None, error.findings


def with_pipelines(project: ResolvedProject) -> list[str]:
    """The steps of the project whose pipelines are there."""
    workspace = project.places.workspace
    there = {
        name: project.step(name)
        for name in project.step_names
        if workspace.exists(project.step(name).pipeline)
    }
    return [
        name
        for name in there
        if name in project.file.steps or not name.endswith("_persite")
    ]


def _no_pipelines(project: ResolvedProject) -> Finding:
    """Where pipelines are expected, and how they are named."""
    workspace, folder = project.places.workspace, project.layout.pipelines
    keys = (project.step(name).pipeline for name in project.step_names)
    expected = dict.fromkeys(key.removeprefix(f"{folder}/") for key in keys)
    others = sorted(
        name
        for name in workspace.sizes(folder)
        if name.endswith((".cppipe", ".cpproj", ".cp", ".json"))
    )
    return rules.PIPELINE_MISSING.found(
        workspace.url(folder),
        f"has no pipeline of a step (it has {', '.join(others) or 'none at all'})",
        f"put those that you need there, named {', '.join(expected)}, or set "
        "steps.NAME.pipeline",
    )


def _to_json(checked: Checked) -> Mapping[str, object]:
    todo = checked.todo
    return {
        "step": checked.step,
        "jobs": len(todo.plan.jobs) if todo else None,
        "left": len(todo.jobs) if todo else None,
        "image_sets": todo.plan.image_sets if todo else None,
        "writes": checked.writes,
        "findings": [finding.to_json() for finding in checked.findings],
    }
