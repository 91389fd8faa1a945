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
class Steps:
    """Steps to run, and how."""

    project: Project
    names: Sequence[str]
    part: Part
    cellprofiler: str
    """The version that will run them."""
    force: bool = False
    """Run jobs that are done, too."""

    def plans(self) -> list[tuple[Plan, list[tuple[Job, State]]]]:
        """Each step's plan and its jobs' states; raises before anything starts."""
        return [self.plan(name) for name in self.names]

    def plan(self, name: str) -> tuple[Plan, list[tuple[Job, State]]]:
        """One step's plan and its jobs' states."""
        plan = self.project.plan(name, self.part, cellprofiler=self.cellprofiler)
        return plan, self.project.ledger(plan.step).states(plan.jobs)

    def left(self, states: list[tuple[Job, State]]) -> list[Job]:
        """The jobs that would run."""
        return [job for job, state in states if self.force or state is not State.DONE]

    def run(self, make: Callable[[], Executor], watch: Watch) -> Iterator[StepResult]:
        """Run the steps in order; stop after a step with failed jobs.

        Raises
        ------
        CpengineError
            Something is wrong before a step starts; nothing of it was started.
        """
        self.plans()
        for name in self.names:
            result = self._run_one(name, make, watch)
            yield result
            if result.failed:
                return

    def _run_one(
        self, name: str, make: Callable[[], Executor], watch: Watch
    ) -> StepResult:
        plan, states = self.plan(name)
        jobs = self.left(states)
        result = StepResult(
            step=name,
            already=len(states) - len(jobs),
            done=0,
            failed=(),
            image_sets=sum(job.image_sets for job in jobs),
            wall_s=0.0,
            output=str(self.project.storage.path(plan.step.output)),
            notes=plan.notes,
        )
        if not jobs:
            return result
        self.project.check_images(plan, jobs)
        check.writable(self.project.storage, plan.step.output)
        check.writable(self.project.storage, plan.step.ledger)
        derived = self.project.write_derived(plan)
        result = replace(result, derived=tuple(derived))
        begun = time.monotonic()
        done, failed = 0, []
        with make() as executor, watch(name, len(jobs), result.image_sets) as view:
            for outcome in executor.run(jobs, view.listen):
                done += outcome.done
                if not outcome.done:
                    failed.append(outcome)
        return replace(
            result, done=done, failed=tuple(failed), wall_s=time.monotonic() - begun
        )
