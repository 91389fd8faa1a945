"""Where the pictures of a plate are: those that a step has published, or raw channels.

A source has one picture a well and site. Listings tell what is published, and the
step's CSV where the channels are; no picture is opened.
"""

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch

from cpengine.errors import ConfigError, InputError
from cpengine.inputs.loaddata import Table, raise_any
from cpengine.inputs.table_groups import missing_keys
from cpengine.inputs.table_images import image_files
from cpengine.ledger.ledger import Ledger, step_ledger
from cpengine.marker import MarkerState
from cpengine.model import Job
from cpengine.planning.plan import Plan, plate_of, suggestion
from cpengine.planning.project import ResolvedProject
from cpengine.planning.step_tables import read_table
from cpengine.plates import PLATE, SITE, WELL
from cpengine.results.montage import names
from cpengine.results.montage.grid import natural
from cpengine.results.montage.names import PlateSites, PublishedPicture, Shown
from cpengine.results.montage.options import Options, Rgb, colour
from cpengine.storage import published
from cpengine.storage.keys import folder_name
from cpengine.storage.store import Storage

_WHITE: Rgb = (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Source:
    """One picture for each well and site of a plate."""

    name: str
    storage: Storage
    keys: Mapping[Shown, str]
    raw: bool
    """Whether they are a microscope's, which are always scaled to be seen."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A source and the colour in which it is shown."""

    source: Source
    colour: Rgb = _WHITE
    colour_name: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """One montage to make: its layers add up."""

    name: str
    """Fit for a folder."""
    layers: tuple[Layer, ...]

    @property
    def title(self) -> str:
        """The name as people read it."""
        if not self.layers[0].colour_name:
            return self.layers[0].source.name
        named = (f"{layer.source.name} {layer.colour_name}" for layer in self.layers)
        return " + ".join(named)


@dataclass(frozen=True, slots=True)
class PlateImages:
    """The image sets of one plate."""

    sites: PlateSites
    table: Table
    rows: Mapping[Shown, int]
    """The row of each well and site; of a stack's planes, the middle one's."""
    jobs: Sequence[Job]


def plates(project: ResolvedProject, plan: Plan) -> Iterator[PlateImages]:
    """The plates of a plan, one after another.

    Raises
    ------
    InputError
        Its CSV has no plates or wells, or names a well that is no row and column.
    """
    by_plate: dict[str, list[Job]] = defaultdict(list)
    markers = step_ledger(project, plan.step).markers()
    for job in plan.jobs:
        marked = replace(job, earlier=markers.get(job.id, ()))
        by_plate[plate_of(job)].append(marked)
    for plate, jobs in by_plate.items():
        table = read_table(project, plan.step, jobs[0].data_file, jobs[0].image_base)
        raise_any(missing_keys(table, [PLATE, WELL]))
        known = dict.fromkeys(filter(None, table.values(PLATE)))
        for name in known if jobs[0].mixed else [plate]:
            yield _plate(name, table, jobs)


def _plate(plate: str, table: Table, jobs: Sequence[Job]) -> PlateImages:
    of_site: dict[Shown, list[int]] = defaultdict(list)
    wells = table.values(WELL)
    sites = table.values(SITE) if SITE in table.names else ["1"] * len(wells)
    for row, found in enumerate(table.values(PLATE)):
        if found == plate:
            of_site[wells[row], sites[row]].append(row)
    of_well: dict[str, list[str]] = defaultdict(list)
    for well, site in sorted(of_site, key=lambda shown: natural(shown[1])):
        of_well[well].append(site)
    rows = {shown: these[len(these) // 2] for shown, these in of_site.items()}
    return PlateImages(PlateSites(plate, of_well), table, rows, jobs)


def pictures(
    project: ResolvedProject, plate: PlateImages, options: Options
) -> tuple[Picture, ...]:
    """The montages that are asked for.

    Raises
    ------
    ConfigError, InputError
        A channel or kind is not there, or nothing is.
    """
    found: list[Picture] = []
    if options.published:
        found += _published(project, plate, options.images)
    channels: dict[str, Source] = {}
    asked = [{name: ""} for name in options.channels]
    for colours in (*asked, *options.overlays):
        layers = []
        for name, named in colours.items():
            if name not in channels:
                channels[name] = _channel(project, plate, name)
            layers.append(
                Layer(channels[name], colour(named) if named else _WHITE, named)
            )
        parts = (f"{n}-{c.lstrip('#')}" if c else n for n, c in colours.items())
        found.append(Picture(folder_name("_".join(parts)), tuple(layers)))
    return tuple({picture.name: picture for picture in found}.values())


def _published(
    project: ResolvedProject, plate: PlateImages, patterns: Sequence[str]
) -> list[Picture]:
    storage, step = project.places.outputs, project.step(plate.jobs[0].step)
    found = _files(step_ledger(project, step), plate.jobs)
    others = _other_plates(plate)
    files = [
        file
        for file in found
        if names.is_picture(file.key) and not any(p in file.name for p in others)
    ]
    known = names.kinds(files, plate.sites)
    where = f"{plate.jobs[0].step} {plate.sites.plate}"
    if not known:
        raise InputError(
            f"{where}: has published no pictures: run the step, or choose a channel "
            "with --channel"
        )
    taken = {
        name: keys
        for name, keys in known.items()
        if not patterns or any(_fits(p, name, keys.values()) for p in patterns)
    }
    if not taken:
        raise ConfigError(
            f"--image {' '.join(patterns)}: {where} has no such picture: choose from "
            f"{', '.join(known)}"
        )
    return [
        Picture(name, (Layer(Source(name, storage, keys, raw=False)),))
        for name, keys in taken.items()
    ]


def _other_plates(plate: PlateImages) -> set[str]:
    """Plates that share jobs with this one; names of pictures tell them apart."""
    if not plate.jobs[0].mixed:
        return set()
    return {*plate.table.values(PLATE)} - {plate.sites.plate, ""}


def _fits(pattern: str, kind: str, keys: Iterable[str]) -> bool:
    files = (posixpath.basename(key) for key in keys)
    return fnmatch(kind, pattern) or any(fnmatch(file, pattern) for file in files)


def _files(ledger: Ledger, jobs: Sequence[Job]) -> Iterator[PublishedPicture]:
    """What the jobs of a plate have published, from listings and markers.

    Where all jobs of a folder are done, it is what their markers name; other files are
    of earlier runs or of other steps.
    """
    sharing: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        sharing[job.destination].append(job)
    firsts = [those[0] for those in sharing.values()]
    owners = _owners(ledger, jobs)
    done = {job.id for job in owners.values()}
    trees = published.trees(ledger.storage, firsts)
    for first, tree in zip(firsts, trees, strict=True):
        those = sharing[first.destination]
        all_done = all(job.id in done for job in those)
        for name in tree:
            owner = owners.get(f"{first.destination}/{name}")
            if owner or not all_done:
                yield _picture(first, name, first if len(those) == 1 else owner)


def _picture(job: Job, name: str, owner: Job | None) -> PublishedPicture:
    """A picture in a job's folder, with what is known of it by its owner."""
    group = owner.shared_metadata if owner else {}
    key = f"{job.destination}/{name}"
    return PublishedPicture(key, name, group.get(WELL, ""), group.get(SITE, ""))


def _owners(ledger: Ledger, jobs: Sequence[Job]) -> dict[str, Job]:
    """By key, the job that published it, as far as markers tell."""
    markers = (name for job in jobs for name in job.earlier)
    done = [name for name in markers if name.endswith(f".{MarkerState.DONE}")]
    return {
        f"{outcome.job.destination}/{name}": outcome.job
        for outcome in ledger.outcomes(done)
        for name in outcome.files
    }


def _channel(project: ResolvedProject, plate: PlateImages, name: str) -> Source:
    table = plate.table
    if name not in table.images:
        known = list(table.images)
        raise ConfigError(
            f"channel {name}: is not in {table.path}{suggestion(name, known)}"
        )
    number = table.image_columns.index(table.images[name])
    places = project.places
    located: dict[str, str] = {}
    keys = {}
    for shown, row in plate.rows.items():
        file = list(image_files(table, row))[number]
        if file.folder not in located:
            located[file.folder] = places.locate(file.folder)
        keys[shown] = posixpath.join(located[file.folder], file.name)
    if any(key.endswith(".npy") for key in keys.values()):
        raise ConfigError(
            f"channel {name}: is an illumination function: choose an image's channel"
        )
    return Source(name, places.images, keys, raw=True)
