"""What a new project starts with: tables of its images, pipelines, batch files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import join

from cpengine.cellprofiler.create_batch_file import create_batch_file
from cpengine.config.steps import STEPS
from cpengine.errors import ConfigError, InputError
from cpengine.inputs.image_index import ImagesOfPlates, Pages, index_images
from cpengine.inputs.image_sets_of_batch import files_without_set
from cpengine.inputs.pipeline_checks import channels_missing
from cpengine.inputs.user_pipelines import UserPipeline
from cpengine.job.machine import find_cellprofiler
from cpengine.planning import derive
from cpengine.planning.project import ResolvedProject
from cpengine.storage.filesystems import is_local
from cpengine.storage.store import Storage


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """Which images, and how they are called; as `index_images` takes them."""

    top: str
    pattern: str | None = None
    pages: Pages | None = None
    channels: Mapping[str, str] = field(default_factory=dict)
    plates: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StartingFiles:
    """Files for the workspace of a new project; nothing of it is written yet."""

    files: Mapping[str, bytes]
    images: ImagesOfPlates | None
    """What was found, unless no pipeline needs a table."""
    notes: Sequence[str]

    def check_new(
        self, storage: Storage, cure: str = "remove it, or name another --batch"
    ) -> None:
        """Refuse to write over files with other content.

        Raises
        ------
        InputError
            There are some.
        """
        others = [
            f"{storage.url(key)}: is there already, and differs: {cure}"
            for key, data in self.files.items()
            if storage.read_if_there(key) not in (None, data)
        ]
        if others:
            raise InputError(*others)

    def write(self, storage: Storage) -> None:
        """Write them all."""
        for key, data in self.files.items():
            storage.write(key, data)


def starting_files(
    project: ResolvedProject,
    options: ImageOptions,
    pipelines: Sequence[UserPipeline] = (),
    *,
    examples: bool = False,
) -> StartingFiles:
    """Make tables and pipelines of a folder of images; nothing is written.

    Pipelines that find their images themselves get a batch file, and no table.

    Parameters
    ----------
    examples
        Whether the demo's pipelines are taken for the steps that get none.

    Raises
    ------
    CpengineError
        The images, the options or a pipeline are wrong, or they do not go together.
    """
    with_table = [pipe for pipe in pipelines if not pipe.finds_images]
    themselves = [pipe for pipe in pipelines if pipe.finds_images]
    files: dict[str, bytes] = {}
    notes: list[str] = []
    found = None
    if with_table or examples or not themselves:
        found = _index(project, options)
        _check_channels(found, with_table)
        files |= _tables(project, found)
    files |= {project.step(pipe.step).pipeline: pipe.data for pipe in with_table}
    for key, data, note in _batch_files(project, options.top, themselves):
        files[key] = data
        notes += note
    if examples and found and found.tables:
        made, facts = _examples(project, found, {pipe.step for pipe in pipelines})
        files |= made
        notes += facts
    notes += _functions_missing(project, with_table, files)
    return StartingFiles(files, found, notes)


def _index(project: ResolvedProject, options: ImageOptions) -> ImagesOfPlates:
    return index_images(
        project.places.images,
        options.top,
        pattern=options.pattern,
        pages=options.pages,
        channels=options.channels,
        plates=options.plates,
    )


def _tables(project: ResolvedProject, found: ImagesOfPlates) -> Mapping[str, bytes]:
    folder = project.layout.load_data
    return {made.key(folder): made.table.to_csv().encode() for made in found.tables}


def _check_channels(found: ImagesOfPlates, pipelines: Iterable[UserPipeline]) -> None:
    """Refuse pipelines that want other images than the channels are called."""
    faults = [line for pipe in pipelines for line in _channel_faults(found, pipe)]
    if faults:
        raise InputError(*faults)


def _channel_faults(found: ImagesOfPlates, pipe: UserPipeline) -> Iterator[str]:
    for made in found.tables:
        channels = derive.channels(made.table)
        images = [*channels, *(f"Illum{name}" for name in channels.values())]
        wanted = ((str(m), text, i) for m, text, i in pipe.parsed.images_wanted())
        faults = list(channels_missing(wanted, str(pipe.path), images, made.plate))
        if faults:  # the other plates' are the same
            there = ", ".join(channels)
            for fault in faults:
                yield (
                    f"{fault.place}: {fault.cause}: name the channels by --channel; "
                    f"there are {there}"
                )
            return


def _batch_files(
    project: ResolvedProject, top: str, pipelines: Sequence[UserPipeline]
) -> Iterator[tuple[str, bytes, Sequence[str]]]:
    """The key and the bytes of each batch file, and what is in no image set of it."""
    if not pipelines:
        return
    if not is_local(top):
        raise ConfigError(
            f"{top}: {pipelines[0].path} finds its images itself, which must be on "
            "this machine: fetch them, or take a pipeline with LoadData"
        )
    cellprofiler, files = find_cellprofiler(project), _files(project, top)
    for pipe in pipelines:
        data = create_batch_file(
            cellprofiler, pipe.text, str(pipe.path), Path(top), files, project.scratch
        )
        left = files_without_set(data, str(pipe.path), files, project.scratch)
        notes = [f"{name}: is in no image set of {pipe.path}" for name in left]
        yield project.step(pipe.step).data_file, data, notes


def _files(project: ResolvedProject, top: str) -> Sequence[str]:
    """The paths of all files below a folder, without hidden ones."""
    tree = project.places.images.tree(top)
    shown = (place for place in tree if not f"/{place}".count("/."))
    if files := [join(top, place) for place in sorted(shown)]:
        return files
    raise InputError(f"{top}: has no files: name the folder of the images")


def _examples(
    project: ResolvedProject, found: ImagesOfPlates, given: set[str]
) -> tuple[Mapping[str, bytes], list[str]]:
    """The example pipelines by key, and what to know of their channels."""
    from cpengine.demo.example_pipelines import example_pipelines  # it wants NumPy

    everywhere, others = _shared_channels(found)
    timepoints, stacks = (any(p.steps[n] for p in found.plates) for n in (0, 1))
    if timepoints and stacks:
        raise InputError(
            f"{found.top}: has stacks of several timepoints, which the example zproj "
            "would project together: give pipelines of your own by --pipeline"
        )
    made = example_pipelines(everywhere, stacks=stacks, timepoints=timepoints)
    taken = {STEPS[step].pipeline for step in given}
    files = {
        join(project.layout.pipelines, name): text.encode()
        for name, text in made.texts.items()
        if name not in taken
    }
    notes = [
        f"the example pipelines find nuclei in {made.nuclei} and cells in {made.cells}"
        ": a start, to be adapted in CellProfiler"
    ]
    if others:
        notes.append(
            f"the example pipelines leave out {', '.join(others)}, which not all "
            "plates have: call the same channels the same by --channel"
        )
    return files, notes


def _shared_channels(found: ImagesOfPlates) -> tuple[list[str], list[str]]:
    """The channels that all plates have, and those that some have.

    Raises
    ------
    InputError
        No channel is in all plates.
    """
    of_plates = {made.plate: list(derive.channels(made.table)) for made in found.tables}
    known = dict.fromkeys(name for names in of_plates.values() for name in names)
    shared = [n for n in known if all(n in names for names in of_plates.values())]
    if not shared:
        plates = "; ".join(f"{p}: {', '.join(n)}" for p, n in of_plates.items())
        raise InputError(
            f"{found.top}: no channel is in all plates ({plates}): call the same "
            "channels the same by --channel, or make a project for each kind of plate"
        )
    return shared, [name for name in known if name not in shared]


def _functions_missing(
    project: ResolvedProject, pipelines: Iterable[UserPipeline], files: Iterable[str]
) -> Iterator[str]:
    """A note for pipelines that want illumination functions, where none makes them."""
    if project.step("illum").pipeline in files:
        return
    for pipe in pipelines:
        wanted = (image for _, _, image in pipe.parsed.images_wanted())
        if name := next((n for n in wanted if n.startswith("Illum")), ""):
            place = project.places.workspace.url(project.step("illum").pipeline)
            yield (
                f"{pipe.path} wants {name}, and no pipeline makes it: put an "
                f"illumination pipeline there, too: {place}"
            )
