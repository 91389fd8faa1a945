"""Where jobs run CellProfiler's own modules though accelerated ones are wanted."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from cpengine import rules
from cpengine.cellprofiler import build_kernels, exact
from cpengine.cellprofiler.find import CellProfiler
from cpengine.cellprofiler.host_accelerations import wanted
from cpengine.cellprofiler.pool import why_hidden
from cpengine.executors import registry
from cpengine.executors.entry import ExecutorEntry
from cpengine.planning.project import ResolvedProject
from cpengine.rules import Finding

_PLAIN = "set cellprofiler.exact to false if that is meant"


def are_accelerated(project: ResolvedProject, on: str) -> bool:
    """Whether jobs there are to use accelerated modules."""
    names = wanted(project.file.cellprofiler.exact)
    return bool(names) and not any(_settings(project, registry.entry(on)))


def plain_modules(
    project: ResolvedProject, on: str, cellprofiler: CellProfiler | None
) -> Iterator[Finding]:
    """Where and why jobs run plain modules, as far as that is known before.

    Parameters
    ----------
    on
        The executor's name.
    cellprofiler
        This machine's, if there is one.
    """
    if not (names := wanted(project.file.cellprofiler.exact)):
        return
    executor = registry.entry(on)
    settings = list(_settings(project, executor))
    yield from settings
    if settings or cellprofiler is None or executor.own_cellprofiler:
        return
    if not cellprofiler.python:
        place = " ".join(cellprofiler.command[-1:])
        yield rules.PLAIN_MODULES.found(
            place, f"has no host: {why_hidden(cellprofiler)}", _PLAIN
        )
    elif executor.on_this_machine and (lost := _not_compiled(names)):
        yield rules.PLAIN_MODULES.found(
            "cpengine's kernels",
            f"are not compiled on this machine: not accelerated: {', '.join(lost)}",
            "run `cpengine cellprofiler install`",
        )


def _settings(project: ResolvedProject, executor: ExecutorEntry) -> Iterator[Finding]:
    """The settings for which no job has a host."""
    if project.file.cellprofiler.jobs_per_process <= 1:
        yield rules.PLAIN_MODULES.found(
            "cellprofiler.jobs_per_process",
            "is 1: each job starts a CellProfiler of its own, with plain modules",
            f"raise it, or {_PLAIN}",
        )
    yield from executor.plain_modules(project)


def _not_compiled(names: Sequence[str]) -> list[str]:
    """Those that need kernels, as their files say, where this machine has none."""
    if build_kernels.built() is not None:
        return []
    folder = Path(exact.__file__).parent
    return [
        name
        for name in names
        if "needs_kernels=True" in (folder / f"{name}.py").read_text(encoding="utf-8")
    ]
