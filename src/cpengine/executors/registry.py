"""Executors by name: ours, and those that other packages register.

Other packages add theirs in the entry-point group `cpengine.executors`: a callable
that takes a `Project`, a `Machine` and how many jobs to run at a time (None for the
executor's own choice), and gives an `Executor`.
"""

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from cpengine.errors import ExecutorError
from cpengine.executors.base import Executor
from cpengine.executors.inline import InlineExecutor
from cpengine.executors.local import LocalExecutor
from cpengine.runner import Machine

if TYPE_CHECKING:
    from cpengine.project import Project

GROUP = "cpengine.executors"
Maker = Callable[["Project", Machine, int | None], Executor]


def _local(project: "Project", machine: Machine, workers: int | None) -> Executor:
    settings = project.file.executors.local
    return LocalExecutor(
        machine, workers or settings.workers, memory_gb=settings.memory_gb
    )


def _inline(project: "Project", machine: Machine, workers: int | None) -> Executor:
    return InlineExecutor(machine)


BUILT_IN: dict[str, Maker] = {"local": _local, "inline": _inline}


def maker(name: str) -> Maker:
    """Give what makes an executor, by name.

    Raises
    ------
    ExecutorError
        No executor has that name.
    """
    others = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name in BUILT_IN:
        return BUILT_IN[name]
    if name in others:
        found: Maker = others[name].load()
        return found
    known = ", ".join([*BUILT_IN, *others])
    raise ExecutorError(f"--on {name}: is not an executor: choose from {known}")
