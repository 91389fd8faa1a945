"""`cpengine init`: a new project; of a folder of images, with all that it needs."""

import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from cpengine import config
from cpengine.cli.base import out, print_err
from cpengine.cli.importing import Imported, Sources
from cpengine.cli.loaddata import (
    AllowIncomplete,
    Channels,
    DryRun,
    FilePages,
    Pattern,
    PlateNames,
    Yes,
)
from cpengine.cli.new_project import (
    agree_to,
    announce,
    image_options,
    new_folder,
    prepare,
    say_how_to_change,
)
from cpengine.config import ProjectFile, template
from cpengine.config.layout import Style
from cpengine.errors import ConfigError, writing
from cpengine.inputs.user_pipelines import UserPipeline, read_pipelines
from cpengine.planning.project import ResolvedProject
from cpengine.project.starting_files import starting_files
from cpengine.system import scratch

_WITH_IMAGES = (
    *("pipeline", "example_pipelines", "pattern", "pages", "channel", "plate"),
    *("allow_incomplete", "dry_run", "yes"),
)
"""Options that say something of images."""

ToFolder = Annotated[Path, typer.Argument(help="Where to write it.")]
Name = Annotated[str, typer.Option(help="The project's folder name.")]
Batch = Annotated[str, typer.Option(help="The batch's name.")]
Root = Annotated[str, typer.Option(help="Stands for the bucket.")]
LayoutStyle = Annotated[Style, typer.Option(help="The path style.")]
Source = Annotated[str, typer.Option(help="For layout cpg: source_4.")]
FromDcp = Annotated[
    str, typer.Option(help="Distributed-CellProfiler's config.py to read.")
]
Fleet = Annotated[str, typer.Option(help="Its spot fleet file to use.")]
BatchScript = Annotated[
    str,
    typer.Option(
        help="Arguments of its run_batch_general.py, in quotes; or the path of one "
        "from before 2.2.0."
    ),
]
JobFile = Annotated[str, typer.Option(help="Its job file, whose groups become a step.")]
ImageFolder = Annotated[
    str,
    typer.Option(
        "--images",
        help="A folder of images, or s3://..., to make LoadData tables of.",
    ),
]
Pipelines = Annotated[
    list[str] | None,
    typer.Option(
        "--pipeline",
        help="With --images: copy this pipeline to its place. For the step that its "
        "name says (illum.cppipe), or STEP=PATH.",
    ),
]
ExamplePipelines = Annotated[
    bool,
    typer.Option(
        "--example-pipelines",
        help="With --images: start with the demo's pipelines, for these channels.",
    ),
]


_OPTIONS = (
    *("project.name", "project.batch"),
    *("storage.root", "storage.layout", "storage.source"),
)
"""Keys of the project file that are options, too."""


def init(
    context: typer.Context,
    folder: ToFolder = Path(),
    name: Name = "my_project",
    batch: Batch = "2026_01_01_Batch1",
    root: Root = ".",
    layout: LayoutStyle = "default",
    source: Source = "",
    from_dcp: FromDcp = "",
    fleet: Fleet = "",
    batch_script: BatchScript = "",
    job_file: JobFile = "",
    images: ImageFolder = "",
    pipeline: Pipelines = None,
    example_pipelines: ExamplePipelines = False,
    pattern: Pattern = None,
    pages: FilePages = None,
    channel: Channels = None,
    plate: PlateNames = None,
    allow_incomplete: AllowIncomplete = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Start a project: cpengine.toml, and all else that a folder of images needs."""
    path = folder / config.FILE_NAME
    _check_options(context, path)
    options = dict(zip(_OPTIONS, (name, batch, root, layout, source), strict=True))
    given = {key for key in options if _is_given(context, key.rpartition(".")[2])}
    imported = Sources(from_dcp, batch_script, fleet, job_file).read(
        folder, {key: options[key] for key in given}
    )
    pipelines = read_pipelines(pipeline or ())
    new = NewFile(path, _text(options, imported, pipelines), imported)
    if not images:
        new.write()
        prepare(folder)
        return
    announce(pipelines)
    named = image_options(images, pattern, pages, channel or (), plate or ())
    with new_folder(folder):
        project = ResolvedProject(new.parsed, folder)
        start = starting_files(project, named, pipelines, examples=example_pipelines)
        agree_to(start, project, allow_incomplete, dry_run, yes)
        start.write(project.places.workspace)
        new.write()  # last: a killed command is run again
    say_how_to_change(pipelines, images, folder)
    prepare(folder, complete=bool(pipelines or example_pipelines))


def _check_options(context: typer.Context, path: Path) -> None:
    """Refuse to write over a project, and options that do not go together."""
    if os.path.lexists(path):
        raise ConfigError(f"{path}: is there already: change it, or remove it first")
    if not _is_given(context, "images"):
        for name in _WITH_IMAGES:
            if _is_given(context, name):
                option = f"--{name.replace('_', '-')}"
                raise ConfigError(f"{option}: is for --images: give that, too")
    elif not context.params["images"]:
        raise ConfigError("--images: is empty: name the folder of images")
    elif _is_given(context, "job_file"):
        raise ConfigError(
            "--images: with --job-file the groups and the CSV are there: give one"
        )


def _is_given(context: typer.Context, name: str) -> bool:
    """Whether an option stands on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _text(
    options: Mapping[str, str], imported: Imported, pipelines: Iterable[UserPipeline]
) -> str:
    """The project file's text."""
    of_pipelines = {key: v for pipe in pipelines for key, v in pipe.settings.items()}
    values = {key.rpartition(".")[2]: value for key, value in options.items()}
    return template.project_file(**values, more={**imported.values, **of_pipelines})


@dataclass(frozen=True, slots=True)
class NewFile:
    """A project file that is not there yet."""

    path: Path
    text: str
    imported: Imported

    @property
    def parsed(self) -> ProjectFile:
        """What it says.

        Raises
        ------
        ConfigError
            Options make it a file that cannot be read.
        """
        with scratch.folder(Path(tempfile.gettempdir()), "init") as folder:
            path = folder / config.FILE_NAME
            path.write_text(self.text, encoding="utf-8")
            try:
                return config.load(path)
            except ConfigError as error:
                lines = str(error).replace(f"{path}: ", "").splitlines()
                explained = map(self.imported.with_source, lines)
                raise ConfigError("\n".join(explained)) from error

    def write(self) -> None:
        """Write it. Raises as `parsed`."""
        _ = self.parsed
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(self.text, encoding="utf-8")
        out.print(f"wrote {self.path}")
        for note in self.imported.notes:
            print_err(f"note: {note}")
