"""What `cpengine init` makes beside the project file, and what it says to do next."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from cpengine.cli.base import print_err, print_out
from cpengine.config.steps import LOAD_DATA, STEPS
from cpengine.planning.project import ResolvedProject


def prepare(folder: Path) -> None:
    """Make the folders of a new project that are local; say what to put where."""
    project = ResolvedProject.load(folder)
    storage = project.file.storage
    root = storage.workspace or storage.root
    local = None if "://" in root else folder / Path(os.path.expanduser(root))
    if local and not os.path.isdir(local):
        print_err(f"note: storage.root: {local} is not there: make it, or mount it")
    for what, key, names in _wanted(project):
        place = local / key if local else f"{root.rstrip('/')}/{key}"
        if local and os.path.isdir(local):
            _make(local / key)
        print_out(f"{what} go to {place}: {names}")
    at = "" if folder == Path() else f" -C {shlex.quote(str(folder))}"
    print_out(f"then: cpengine check{at}")


def _wanted(project: ResolvedProject) -> Iterator[tuple[str, str, str]]:
    """What the project needs, the key of the folder that it goes to, its names."""
    for section in project.file.steps.values():
        if section.job_file:
            for what, key, name in (
                ("pipelines", section.pipeline_path, section.pipeline),
                ("CSVs", section.data_path, section.data_file),
                ("batch files", section.batch_path, section.batch_file),
            ):
                if key and name:
                    yield what, key, name
            return
    names = dict.fromkeys(kind.pipeline for kind in STEPS.values())
    which = f"those that you need of {', '.join(names)}"
    yield "pipelines", project.layout.pipelines, which
    which = f"a folder a plate, with {LOAD_DATA} in it"
    yield "CSVs", project.layout.load_data, which


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print_err(f"note: {folder}: cannot be made ({error.strerror})")
