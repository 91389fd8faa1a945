"""Run steps one after another, each gated on the one before."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cpengine import check
from cpengine.executors.base import Executor
from cpengine.ledger import State
from cpengine.model import Job, Outcome
from cpengine.plan import Part, Plan
from cpengine.progress import Watch
from cpengine.project import Project


@dataclass(frozen=True, slots=True)
class StepResult:
    """What running one step came to."""

    step: str
    already: int
    """Jobs that earlier runs had done."""
    done: int
    failed: tuple[Outcome, ...]
    image_sets: int
    """Image sets of the jobs that this run did."""
    files: int
    """Files that this run published."""
    wall_s: float
    output: str
    derived: tuple[str, ...] = ()
    """CSVs made because they were missing."""
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The result as `--json` prints it."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return data | {"failed": [outcome.to_json() for outcome in self.failed]}


@dataclass(frozen=True, slots=True)
class Todo:
    """A step's plan and what is left of it."""

    plan: Plan
    states: list[tuple[Job, State]]
    jobs: list[Job]
    """The jobs that would run."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps to run, and how."""

    project: Project
    names: Sequence[str]
    part: Part
    cellprofiler: str
    """The version that will run them; empty if that is not known."""
    force: bool = False
    """Run jobs that are done, too."""

    def plans(self) -> list[Todo]:
        """Plan every step; raises what is wrong before anything starts."""
        return [self.plan(name) for name in self.names]

    def plan(self, name: str) -> Todo:
        """Plan one step."""
        plan = self.project.plan(name, self.part, cellprofiler=self.cellprofiler)
        states = self.project.ledger(plan.step).states(plan.jobs, self.cellprofiler)
        jobs = [job for job, state in states if self.force or state is not State.DONE]
        return Todo(plan, states, jobs)

    def run(self, make: Callable[[], Executor], watch: Watch) -> Iterator[StepResult]:
        """Run the steps in order; stop after a step with failed jobs.

        Raises
        ------
        CpengineError
            Something is wrong before a step starts; nothing of it was started.
        """
        todo, *_ = self.plans()
        for number, name in enumerate(self.names):
            if number:
                todo = self.plan(name)  # again: the step before has made files
            result = self._run_one(todo, make, watch)
            yield result
            if result.failed:
                return

    def _run_one(
        self, todo: Todo, make: Callable[[], Executor], watch: Watch
    ) -> StepResult:
        plan, jobs = todo.plan, todo.jobs
        result = StepResult(
            step=plan.step.name,
            already=len(todo.states) - len(jobs),
            done=0,
            failed=(),
            image_sets=sum(job.image_sets for job in jobs),
            files=0,
            wall_s=0.0,
            output=str(self.project.storage.path(plan.step.output)),
            notes=plan.notes,
        )
        if not jobs:
            return result
        self._check(todo)
        derived = self.project.write_derived(plan)
        begun = time.monotonic()
        done, files, failed = 0, 0, []
        with (
            make() as executor,
            watch(result.step, len(jobs), result.image_sets) as view,
        ):
            for outcome in executor.run(jobs, view.listen):
                done += outcome.done
                files += len(outcome.files)
                if not outcome.done:
                    failed.append(outcome)
        return replace(
            result,
            derived=tuple(derived),
            done=done,
            failed=tuple(failed),
            files=files,
            wall_s=time.monotonic() - begun,
        )

    def _check(self, todo: Todo) -> None:
        """Refuse a step whose images or places cannot be used."""
        self.project.check_images(todo.plan, todo.jobs)
        check.writable(self.project.storage, todo.plan.step.output)
        check.writable(self.project.storage, todo.plan.step.ledger)
