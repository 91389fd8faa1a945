"""What `cpengine init` makes beside the project file, and what it says to do next."""

import contextlib
import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import typer

from cpengine.cli.base import SOME_FAILED, print_err, print_out
from cpengine.cli.loaddata import (
    is_agreed,
    place_of_images,
    plate_names,
    refusal,
    show_images,
)
from cpengine.config.steps import LOAD_DATA, STEPS
from cpengine.errors import writing
from cpengine.inputs.image_index import Pages
from cpengine.inputs.image_index.channel_names import parse_mapping
from cpengine.inputs.user_pipelines import UserPipeline
from cpengine.planning.project import ResolvedProject
from cpengine.project.starting_files import ImageOptions, StartingFiles


def image_options(
    images: str,
    pattern: str | None,
    pages: Pages | None,
    channels: Sequence[str],
    plates: Sequence[str],
) -> ImageOptions:
    """What the options say of images."""
    mapping = parse_mapping(channels, "--channel")
    top, names = place_of_images(images), plate_names(plates)
    return ImageOptions(top, pattern, pages, mapping, names)


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[None]:
    """Make a folder; what is made and stays empty is removed if something fails."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # it has something
            for path in missing:
                path.rmdir()
        raise


def announce(pipelines: Iterable[UserPipeline]) -> None:
    """Say what takes long: CellProfiler opens a window's pipeline and all files."""
    for pipe in pipelines:
        if pipe.finds_images:
            print_out(f"{pipe.path}: CellProfiler makes its image sets")


def say_how_to_change(
    pipelines: Iterable[UserPipeline], images: str, folder: Path
) -> None:
    """Say what a change of a pipeline takes that is in a batch file."""
    for pipe in pipelines:
        if pipe.finds_images:
            path = os.path.abspath(pipe.path)
            words = ["cpengine", "loaddata", place_of_images(images)]
            words += ["--pipeline", f"{pipe.step}={path}", "--force"]
            print_out(
                f"{path}: is in the batch file as it is now; after a change: "
                f"{shlex.join(words)}{_at(folder)}"
            )


def agree_to(
    start: StartingFiles,
    project: ResolvedProject,
    allow_incomplete: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Show what is found and would be written.

    Raises
    ------
    Exit
        Nothing is to be written.
    InputError
        Something else is where it would be.
    """
    if start.images:
        show_images(start.images)
    for note in start.notes:
        print_out(f"note: {note}")
    workspace = project.places.workspace
    if start.images and start.images.faults and not allow_incomplete:
        print_err(f"error: {refusal(start.images)}")
        raise typer.Exit(SOME_FAILED)
    start.check_new(workspace)
    for key in start.files:
        print_out(f"new file: {workspace.url(key)}")
    if dry_run or not (yes or is_agreed()):
        print_out("nothing is written")
        raise typer.Exit


def prepare(folder: Path, *, complete: bool = False) -> None:
    """Say what to do next in a new project.

    Parameters
    ----------
    complete
        Whether it has tables and pipelines. Else the folders for them are made that
        are local, and it is said what to put where.
    """
    if not complete:
        _make_folders(folder, ResolvedProject.load(folder))
    print_out(f"then: cpengine check{_at(folder)}")


def _at(folder: Path) -> str:
    """The option that names the project, where that is not this folder."""
    return "" if folder == Path() else f" -C {shlex.quote(str(folder))}"


def _make_folders(folder: Path, project: ResolvedProject) -> None:
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
    which = (
        f"a folder a plate, with {LOAD_DATA} in it (`cpengine loaddata IMAGES` writes "
        "them)"
    )
    yield "CSVs", project.layout.load_data, which


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print_err(f"note: {folder}: cannot be made ({error.strerror})")
