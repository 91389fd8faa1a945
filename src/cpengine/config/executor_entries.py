"""The entry points of other packages' executors, and the sections that they bring."""

from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from cpengine.config.forms import Section
from cpengine.errors import ExecutorError
from cpengine.wording import on_one_line

GROUP = "cpengine.executors"


def installed() -> dict[str, EntryPoint]:
    """Those of this environment, by name."""
    return {point.name: point for point in entry_points(group=GROUP)}


def load(point: EntryPoint, where: str) -> Any:
    """Import what an entry point names.

    Parameters
    ----------
    where
        What of the user's has named it.

    Raises
    ------
    ExecutorError
        That cannot be imported, whatever the reason.
    """
    try:
        return point.load()
    except Exception as error:  # another package's own code
        raise ExecutorError(
            f"{where}: {point.value} cannot be imported: {type(error).__name__}: "
            f"{on_one_line(str(error))}: mend or remove the package that has it"
        ) from error


def sections(named: Collection[str]) -> dict[str, type[Section]]:
    """The models of those sections below `[executors]` that other packages bring.

    Parameters
    ----------
    named
        Those of a project file.

    Raises
    ------
    ExecutorError
        See `load`.
    """
    points = installed() if named else {}
    found = {}
    for name in named:
        if name in points:
            kind = load(points[name], f"executors.{name}")
            found[name] = getattr(kind, "Settings", Section)
    return found
