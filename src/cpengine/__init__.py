"""Run CellProfiler on whole plates: one plan, any machine."""

from importlib.metadata import version

from cpengine.errors import CpengineError
from cpengine.executors.base import Executor
from cpengine.executors.inline import InlineExecutor
from cpengine.executors.local import LocalExecutor
from cpengine.job.run_job import Machine, run_job
from cpengine.model import Failure, FailureKind, Job, Outcome
from cpengine.planning.plan import Plan
from cpengine.plates import Part
from cpengine.project import Project

__version__ = version("cpengine")

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
    "run_job",
]
