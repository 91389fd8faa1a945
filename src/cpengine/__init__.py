"""Run CellProfiler on whole plates: one plan, any machine."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cpengine.errors import CpengineError
    from cpengine.executors.base import Executor
    from cpengine.executors.inline import InlineExecutor
    from cpengine.executors.local import LocalExecutor
    from cpengine.job.run_job import Machine, run_job
    from cpengine.model import Failure, FailureKind, Job, Outcome
    from cpengine.planning.plan import Plan
    from cpengine.plates import Part
    from cpengine.project import Project
    from cpengine.project.whole_run import Run
    from cpengine.run.session import StepResult

    __version__: str

__all__ = [
    "CpengineError",
    "Executor",
    "Failure",
    "FailureKind",
    "InlineExecutor",
    "Job",
    "LocalExecutor",
    "Machine",
    "Outcome",
    "Part",
    "Plan",
    "Project",
    "Run",
    "StepResult",
    "run_job",
]

_MODULES = {
    "CpengineError": "errors",
    "Executor": "executors.base",
    "Failure": "model",
    "FailureKind": "model",
    "InlineExecutor": "executors.inline",
    "Job": "model",
    "LocalExecutor": "executors.local",
    "Machine": "job.run_job",
    "Outcome": "model",
    "Part": "plates",
    "Plan": "planning.plan",
    "Project": "project",
    "Run": "project.whole_run",
    "StepResult": "run.session",
    "run_job": "job.run_job",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for: the program starts without them."""
    if name == "__version__":
        from importlib.metadata import version

        return version("cpengine")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
