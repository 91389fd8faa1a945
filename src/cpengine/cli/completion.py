"""What the shell completes: steps, plates, executors, jobs and rules.

All of it comes from local files: a key press neither waits for a network nor costs a
request. Nothing is offered that a shell could take for more than a word, and whatever
goes wrong, nothing is offered.
"""

import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer

VARIABLE = "_CPENGINE_COMPLETE"
"""By which the shell asks."""
_WORD = re.compile(r"[\w.+@-]+")
Complete = Callable[[typer.Context, str], list[str]]


def silence() -> None:
    """Say nothing on stderr from here on, if it is the shell that asks."""
    if os.environ.get(VARIABLE, "").startswith("complete"):
        with suppress(OSError), open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)


def _completing(find: Callable[[Any, Any], Iterable[str]]) -> Complete:
    """What completes a word by what a function finds in a project.

    Parameters
    ----------
    find
        Is given the project and what else stands on the command line.
    """

    def complete(context: typer.Context, incomplete: str) -> list[str]:
        from cpengine.cli import project_folder
        from cpengine.planning.project import ResolvedProject

        *before, begun = incomplete.split(",")
        with suppress(Exception):
            folder = context.params.get("folder")
            project = ResolvedProject.load(folder or project_folder.nearest(Path()))
            found = [word for word in find(project, context.params) if _fits(word)]
            return [
                ",".join((*before, word)) for word in found if word.startswith(begun)
            ]
        return []

    return complete


def _fits(word: str) -> bool:
    return bool(_WORD.fullmatch(word)) and not word.startswith("-")


def _steps(project: Any, given: Any) -> Iterator[str]:
    named = given.get("steps") or ()
    return (name for name in project.step_names if name not in named)


def _plates(project: Any, given: Any) -> Iterable[str]:
    """The plates of the project file, or the folders of those that are local."""
    named = project.file.project.plates
    if named != "all":
        return list(named)
    steps = given.get("steps") or [given.get("step") or "analysis"]
    storage = project.file.storage
    tables = posixpath.dirname(project.table_key(steps[0], ""))
    return sorted(_names(project, storage.workspace or storage.root, tables))


def _jobs(project: Any, given: Any) -> Iterable[str]:
    """Those of the step that have a log."""
    storage = project.file.storage
    logs = posixpath.join(project.layout.ledger(given["step"]), "logs")
    names = _names(project, storage.outputs or storage.root, logs)
    return sorted(name.removesuffix(".log") for name in names)


def _names(project: Any, root: str, key: str) -> list[str]:
    """What is in a folder below a root; nothing if that is not local."""
    return [] if "://" in root else os.listdir(project.beside(root) / key)


def executors(incomplete: str) -> list[str]:
    """Complete the name of an executor."""
    with suppress(Exception):
        from cpengine.executors import registry

        return [name for name in registry.names() if name.startswith(incomplete)]
    return []


def rules(incomplete: str) -> list[str]:
    """Complete the name of a rule of the check."""
    from cpengine.rules import RULES

    return [name for name in RULES if name.startswith(incomplete)]


steps, plates, jobs = map(_completing, (_steps, _plates, _jobs))
