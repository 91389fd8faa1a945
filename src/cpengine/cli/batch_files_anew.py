"""`cpengine loaddata --pipeline`: batch files of changed pipelines, by CellProfiler."""

from collections.abc import Sequence

from cpengine.cli.base import print_out
from cpengine.cli.new_project import announce
from cpengine.errors import ConfigError
from cpengine.inputs.user_pipelines import UserPipeline, read_pipelines
from cpengine.planning.project import ResolvedProject
from cpengine.project.starting_files import ImageOptions, starting_files


def refuse_options(others: bool) -> None:
    """Refuse what tables alone take. Raises ConfigError."""
    if others:
        raise ConfigError(
            "--pipeline: its own rules say which image is which: give it with --force "
            "and --dry-run alone"
        )


def write(
    project: ResolvedProject,
    top: str,
    entries: Sequence[str],
    force: bool,
    dry_run: bool,
) -> None:
    """Write batch files of pipelines for the images below a folder.

    Raises
    ------
    CpengineError
        One takes its images from a table, CellProfiler makes no image sets of it, or
        another batch file is there, and it is not forced.
    """
    pipelines = read_pipelines(entries)
    for pipe in pipelines:
        _check_step(project, pipe)
    announce(pipelines)
    start = starting_files(project, ImageOptions(top), pipelines)
    for note in start.notes:
        print_out(f"note: {note}")
    workspace = project.places.workspace
    if not (force or dry_run):
        start.check_new(workspace, "give --force to replace it")
    for key in start.files:
        print_out(f"{'would write' if dry_run else 'wrote'} {workspace.url(key)}")
    if not dry_run:
        start.write(workspace)


def _check_step(project: ResolvedProject, pipe: UserPipeline) -> None:
    """Refuse a pipeline or step that has tables. Raises ConfigError."""
    step = project.step(pipe.step)
    if not pipe.finds_images:
        place = project.places.workspace.url(step.pipeline)
        raise ConfigError(
            f"--pipeline {pipe.path}: takes its images from a table: copy it to {place}"
        )
    if step.source != "batch":
        raise ConfigError(
            f"--pipeline {pipe.path}: steps.{pipe.step} has tables: write groups = "
            f'"batch" below [steps.{pipe.step}] in cpengine.toml'
        )
