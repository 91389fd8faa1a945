"""Run a few jobs first, to measure what the others will take."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cpengine.cellprofiler.find import CellProfiler
from cpengine.executors import registry
from cpengine.job.machine import make_machine
from cpengine.job.run_job import versions
from cpengine.ledger.ledger import step_ledger
from cpengine.marker import Marker, MarkerState
from cpengine.model import Job, Outcome
from cpengine.planning.step_inputs import NONE_BEFORE, Before
from cpengine.results.estimate.sample import representative
from cpengine.run.progress import MakeView
from cpengine.run.session import Backend, StepResult, Steps, Todo
from cpengine.system.scratch import sweep


@dataclass(frozen=True, slots=True)
class _Few(Steps):
    """Steps of which only some jobs run."""

    wanted: frozenset[str] = frozenset()
    """Their ids."""

    def plans(self) -> list[Todo]:
        return [self._narrowed(todo) for todo in Steps.plans(self)]

    def plan(self, name: str, before: Before = NONE_BEFORE) -> Todo:
        return self._narrowed(Steps.plan(self, name, before))

    def _narrowed(self, todo: Todo) -> Todo:
        return replace(todo, jobs=[job for job in todo.jobs if job.id in self.wanted])


@dataclass(frozen=True, slots=True)
class Piloted:
    """What a step's pilot came to."""

    result: StepResult
    outcomes: Sequence[Outcome]
    """Of the jobs that it did."""


def run(
    steps: Steps,
    todo: Todo,
    count: int,
    cellprofiler: CellProfiler,
    workers: int | None,
    watch: MakeView,
) -> Piloted:
    """Run so many of a step's jobs on this machine; their results count as done.

    Parameters
    ----------
    steps
        The steps that are estimated.
    todo
        The step's plan.
    workers
        Jobs at a time; as a run has it if None.

    Raises
    ------
    CpengineError
        Something is wrong before the first job starts.
    """
    jobs = representative(todo.jobs, count)
    project, name = steps.project, todo.plan.step.name
    machine = make_machine(project, cellprofiler)
    sweep(machine.scratch)
    local = registry.entry("local")
    backend = Backend(
        local.name,
        lambda: local.create(project, machine, workers),
        versions(cellprofiler),
    )
    few = _Few(
        project,
        [name],
        steps.part,
        cellprofiler.version,
        wanted=frozenset(job.id for job in jobs),
    )
    results: list[StepResult] = []
    with machine:
        deque(few.run(backend, watch, results.append), 0)
    (result,) = results
    ledger = step_ledger(project, todo.plan.step)
    names = [_marker(job, cellprofiler.version) for job in jobs]
    return Piloted(result, ledger.outcomes(names))


def _marker(job: Job, version: str) -> str:
    return str(Marker(job.id, job.fingerprint, version, MarkerState.DONE))
