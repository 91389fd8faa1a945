"""Executors by name: ours, and those that other packages register.

Another package names a subclass of `ExecutorEntry` in its entry points of the group
`cpengine.executors`. Ours are listed here in the same form. An entry is imported when
it is asked for.
"""

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING

from cpengine.config import executor_entries
from cpengine.errors import ExecutorError
from cpengine.wording import did_you_mean

if TYPE_CHECKING:
    from cpengine.executors.entry import ExecutorEntry

_CLUSTER = "slurm.entry:ClusterEntry"
_OURS = {
    "local": "local:LocalEntry",
    "inline": "inline:InlineEntry",
    "dask": "dask.entry:DaskEntry",
    "slurm": "slurm.entry:SlurmEntry",
    **dict.fromkeys(("pbs", "lsf", "sge", "htcondor"), _CLUSTER),
    "aws": "aws.entry:AwsEntry",
}
BUILT_IN = {
    name: EntryPoint(name, f"cpengine.executors.{place}", executor_entries.GROUP)
    for name, place in _OURS.items()
}


def names() -> list[str]:
    """The names of all executors, ours first."""
    return list(BUILT_IN | executor_entries.installed())


def entry(name: str) -> "ExecutorEntry":
    """Give an executor's entry.

    Raises
    ------
    ExecutorError
        No executor has that name, or its package cannot be imported.
    """
    found = find(name)
    if found is None:
        known = names()
        hint = did_you_mean(name, known, form="{} ")
        raise ExecutorError(
            f"--on {name}: is not an executor: {hint}choose from {', '.join(known)}"
        )
    return found


def find(name: str) -> "ExecutorEntry | None":
    """Give an executor's entry; None if no executor has that name. Raises as `entry`.

    For names that somebody has written down elsewhere.
    """
    point = BUILT_IN.get(name) or executor_entries.installed().get(name)
    if point is None:
        return None
    from cpengine.executors.entry import ExecutorEntry  # to list names takes none

    kind = executor_entries.load(point, f"--on {name}")
    if not (isinstance(kind, type) and issubclass(kind, ExecutorEntry)):
        raise ExecutorError(
            f"--on {name}: {point.value} is no subclass of cpengine.backend."
            "ExecutorEntry: mend its package's entry point"
        )
    return kind(name)


def entries() -> "Iterator[ExecutorEntry]":
    """All executors' entries but those that cannot be imported."""
    for name in names():
        try:
            yield entry(name)
        except ExecutorError:
            continue
