"""What a run will take, before it starts: hours, memory, cost, from measured jobs."""

from cpengine.errors import CpengineError
from cpengine.results.estimate.forecast import Where, estimate, of_todo
from cpengine.results.estimate.step_estimate import Estimate, Known, StepEstimate
from cpengine.results.estimate.text import lines
from cpengine.run.session import Steps, Todo

__all__ = [
    "Estimate",
    "Known",
    "StepEstimate",
    "Where",
    "describe",
    "estimate",
    "of_todo",
]


def describe(
    steps: Steps, plans: list[Todo], on: str = "local", workers: int | None = None
) -> list[str]:
    """What steps that are planned already will take, in lines for `run --dry-run`.

    No pilot is run. A step of which nothing was measured, or that cannot run there, is
    left out: what is wrong is said when it is run.
    """
    where = Where(on, workers)
    found = []
    for todo in plans:
        try:
            found.append(of_todo(steps, todo, where))
        except CpengineError:
            return []
    return list(lines(Estimate(on, found)))
