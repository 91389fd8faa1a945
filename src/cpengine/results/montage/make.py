"""Make the montages of a step: read, draw, and write them with the page of a plate."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cpengine.errors import writing
from cpengine.planning.planner import plan_step
from cpengine.planning.project import ResolvedProject
from cpengine.plates import Part, Place, plate_shape
from cpengine.results import overview
from cpengine.results.html.links import PageLink
from cpengine.results.montage import choice, page, sources, stack
from cpengine.results.montage.draw import Ink, SiteState
from cpengine.results.montage.facts import FACTS, NAME
from cpengine.results.montage.grid import Grid, grid_of, natural, place
from cpengine.results.montage.names import Shown
from cpengine.results.montage.options import Options
from cpengine.results.montage.sources import Picture, PlateImages, Source
from cpengine.results.montage.stack import Stack
from cpengine.results.montage.writing import Montage, Writer
from cpengine.results.overview.step_records import MontageRecord, keep
from cpengine.results.page_keys import montage_folder
from cpengine.storage.keys import folder_name
from cpengine.storage.store import Storage
from cpengine.system import scratch

_ALL = Options()

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """One montage that was made."""

    name: str
    picture: str
    """Where its PNG is."""
    shown: int
    """Sites whose picture it shows."""
    missing: int
    """Sites that have no picture."""
    unreadable: tuple[str, ...]
    """A line for each picture that could not be read."""


@dataclass(frozen=True, slots=True)
class Made:
    """The montages of one plate."""

    plate: str
    page: str
    """Where the page is that shows them."""
    kinds: tuple[Kind, ...]


def folder_of(project: ResolvedProject, step: str, plate: str) -> str:
    """The key of the folder of a plate's montages, in the project's outputs."""
    return montage_folder(project, step, folder_name(plate))


def make(
    project: ResolvedProject,
    step: str,
    plates: frozenset[str] = frozenset(),
    options: Options = _ALL,
    to: Path | None = None,
    tell: Tell = lambda line: None,
) -> Iterator[Made]:
    """Make the montages of each plate of a step, one plate after another.

    Parameters
    ----------
    plates
        All, if empty.
    to
        A local folder to write to; `folder_of` in the project's outputs, if None.
    tell
        Is told, often, what is being done.

    Raises
    ------
    ConfigError, InputError
        Something asked for is not there, or an input file is wrong.
    StorageError
        The montages cannot be written.
    """
    plan = plan_step(project, step, Part(plates), unchecked=True)
    for plate in sources.plates(project, plan):
        name = plate.sites.plate
        if to is None:
            writer = Writer(project.places.outputs, folder_of(project, step, name))
        else:
            with writing(to):
                to.mkdir(parents=True, exist_ok=True)
            writer = Writer(
                Storage(str(to.resolve()), setting="--to"), folder_name(name)
            )
        writer.storage.check_writable(writer.folder)
        yield _PlateMontage(project, step, plate, options, writer, tell).make()
    if to is None:
        _keep(project, step)


def _keep(project: ResolvedProject, step: str) -> None:
    """Have the project's page lead to the montages that there are of a step."""
    outputs, folder = project.places.outputs, montage_folder(project, step, "")
    keep(project, step, MontageRecord(outputs.folders(folder.rstrip("/"))))
    overview.write(project)


@dataclass
class _PlateMontage:
    """The montages of one plate under way."""

    project: ResolvedProject
    step: str
    plate: PlateImages
    options: Options
    writer: Writer
    tell: Tell
    _stacks: dict[str, Stack] = field(default_factory=dict)
    """The channels that have been read, by name."""
    _raw: Grid | None = None
    """The grid of all channels, so that they can be added up."""

    def make(self) -> Made:
        """Make all, and the page."""
        on_plate = self.plate.sites.wells
        wells = choice.wells(on_plate, self.options.wells)
        sites, layout = choice.sites(wells, on_plate, self.options)
        pictures = sources.pictures(self.project, self.plate, self.options)
        layers = (layer for picture in pictures for layer in picture.layers)
        choice.check_contrast(self.options, {layer.source.name for layer in layers})
        grid = grid_of(wells, layout, None if self.options.wells else self._shape())
        places = {shown: (place(shown[0]), number) for shown, number in sites.items()}
        with scratch.folder(self.project.scratch, "montage") as folder:
            kinds = [self._kind(p, grid, places, folder) for p in pictures]
        return Made(self.plate.sites.plate, self._page(), tuple(kinds))

    def _shape(self) -> Place | None:
        places = list(map(place, self.plate.sites.wells))
        return plate_shape(places, self.project.file.plate.format)

    def _kind(
        self,
        picture: Picture,
        grid: Grid,
        places: Mapping[Shown, tuple[Place, int]],
        folder: Path,
    ) -> Kind:
        inks = []
        for layer in picture.layers:
            layer_stack, grid = self._stack(layer.source, list(places), grid, folder)
            limits = (
                self.options.contrast.get(layer.source.name) or layer_stack.limits()
            )
            inks.append(Ink(layer_stack, layer.colour, limits))
        plate, batch = self.plate.sites.plate, self.project.layout.batch
        self.tell(f"{plate} {picture.name}: drawing")
        montage = Montage(plate, self.step, batch, picture, grid, inks, places)
        with tempfile.TemporaryDirectory(dir=folder) as drawing:
            png = self.writer.write(montage, Path(drawing))
        states = list(montage.states.values())
        return Kind(
            picture.name,
            png,
            states.count(SiteState.SHOWN),
            states.count(SiteState.MISSING),
            tuple(why for ink in inks for why in ink.stack.unreadable.values()),
        )

    def _stack(
        self, source: Source, sites: Sequence[Shown], grid: Grid, folder: Path
    ) -> tuple[Stack, Grid]:
        """A source's tiles, read when they are first needed; and the grid for them."""

        def progress(done: int, total: int) -> None:
            self.tell(f"{self.plate.sites.plate} {source.name}: {done} of {total}")

        if not source.raw:
            return stack.load(
                source, sites, grid, self.options.tile_size, folder, progress
            )
        grid = self._raw or grid
        if source.name not in self._stacks:
            self._stacks[source.name], self._raw = stack.load(
                source, sites, grid, self.options.tile_size, folder, progress
            )
        return self._stacks[source.name], self._raw or grid

    def _page(self) -> str:
        """Write the page, with what earlier runs have made beside; give where it is."""
        storage, folder = self.writer.storage, self.writer.folder
        names = sorted(storage.folders(folder), key=natural)
        keys = [f"{folder}/{name}/{NAME}" for name in names]
        found = FACTS.read_each(storage, keys)
        found.sort(key=_is_raw)
        key = f"{folder}/index.html"
        storage.write(key, page.page(found, self._links(key)).encode())
        return storage.url(key)

    def _links(self, key: str) -> list[PageLink]:
        """Links to the project's pages; none from a folder elsewhere."""
        if self.writer.storage is not self.project.places.outputs:
            return []
        label = f"{self.plate.sites.plate} montage"
        return overview.links_from(self.project, key, label)


def _is_raw(facts: Mapping[str, Any]) -> bool:
    """Whether a montage shows a microscope's pictures, which come after a step's."""
    return bool(facts["channels"])
