"""CSVs that lie between steps and are made when missing.

The handbook makes both by hand: the projected `load_data.csv` after zproj, and
`load_data_with_illum.csv` after illum.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from cpengine import rules
from cpengine.config.steps import LOAD_DATA, UNPROJECTED, WITH_ILLUM, Step
from cpengine.errors import InputError
from cpengine.inputs import loaddata
from cpengine.inputs.loaddata import FILE, PATH, PLANE, Table
from cpengine.plates import SITE_KEYS
from cpengine.rules import Finding
from cpengine.storage.roots import BUCKET, Places
from cpengine.storage.store import as_text


@dataclass(frozen=True, slots=True)
class Deriver:
    """Reads a plate's CSVs, or derives them from those that are there."""

    places: Places
    step: Callable[[str], Step]
    """Gives a step by name, for the places where steps put their results."""

    def table(self, step: Step, plate: str) -> tuple[Table, bool]:
        """Give a plate's image sets, and whether they were derived.

        Derived ones go by the path and lines of what they were made from.

        Raises
        ------
        InputError
            The CSV is missing and so is what it could be made from, or it is wrong.
        """
        return self._read(step.data_folder, plate, step.data_file)

    def outdated(self, step: Step, plate: str) -> Finding | None:
        """Say if a CSV that could be derived anew lists other sites than its source."""
        if step.data_file != WITH_ILLUM:
            return None
        source = f"{step.data_folder}/{plate}/{LOAD_DATA}"
        if not self.places.workspace.exists(source):
            return None
        base, table = (
            self._read(step.data_folder, plate, name)[0]
            for name in (LOAD_DATA, WITH_ILLUM)
        )
        if set(loaddata.sites(base)) == set(loaddata.sites(table)):
            return None
        return rules.CSV_OUTDATED.found(
            table.path,
            f"lists other sites than {LOAD_DATA} beside it",
            "remove it to have it made again",
        )

    def _read(self, folder: str, plate: str, name: str) -> tuple[Table, bool]:
        key = f"{folder}/{plate}/{name}"
        workspace = self.places.workspace
        if (data := workspace.read_if_there(key)) is not None:
            shown = workspace.url(key)
            return loaddata.parse(as_text(data, shown), shown), False
        if name == WITH_ILLUM:
            base, _ = self._read(folder, plate, LOAD_DATA)
            return self._with_illum(base, plate), True
        source = f"{folder}/{plate}/{UNPROJECTED}"
        if name == LOAD_DATA and workspace.exists(source):
            base, _ = self._read(folder, plate, UNPROJECTED)
            place = f"{self.step('zproj').output}/{plate}"
            return projected(base, self._as_in(base, place)), True
        raise InputError(
            rules.CSV_MISSING.found(
                workspace.url(key), "is not there", "put the plate's CSV there"
            )
        )

    def _with_illum(self, base: Table, plate: str) -> Table:
        place = f"{self.step('illum').output}/{plate}"
        present = self.places.outputs.sizes(place) or None
        return with_illum(base, self._as_in(base, place), plate, present)

    def _as_in(self, table: Table, key: str) -> str:
        """Write a place as the table writes its own: under DCP's mount, or locally."""
        paths = (image.path for image in table.images.values() if image.path)
        if any(table.rows[0][table.index[path]].startswith(BUCKET) for path in paths):
            return f"{BUCKET}/{key}"
        return self.places.outputs.url(key)


def channels(table: Table) -> dict[str, str]:
    """The channels that get an illumination function: image name to channel."""
    return {
        image: image.removeprefix("Orig")
        for image in table.images
        if not image.startswith("Illum")
    }


def with_illum(
    table: Table, folder: str, plate: str, present: Collection[str] | None = None
) -> Table:
    """Derive `load_data_with_illum.csv` from `load_data.csv`.

    For each `Orig<Channel>` it adds the columns of `Illum<Channel>`, the file
    `<plate>_Illum<Channel>.npy` in `folder`, as pe2loaddata does.

    Parameters
    ----------
    present
        The files that exist; channels without one get no columns. All, if None.
    """
    added: dict[str, str] = {}
    for channel in channels(table).values():
        name = f"{plate}_Illum{channel}.npy"
        if present is None or name in present:
            added |= {f"{FILE}Illum{channel}": name, f"{PATH}Illum{channel}": folder}
    values = tuple(added.values())
    return replace(
        table,
        header=(*table.header, *added),
        rows=tuple((*row, *values) for row in table.rows),
    )


def projected(table: Table, folder: str) -> Table:
    """Derive the projected `load_data.csv` from `load_data_unprojected.csv`.

    Keeps the row of the last plane of each site and points its images at `folder`;
    file names stay, as the handbook has it.

    Raises
    ------
    InputError
        No column numbers the planes, or one holds something else.
    """
    loaddata.raise_any(loaddata.missing_keys(table, SITE_KEYS))
    planes = [name for name in table.header if PLANE.fullmatch(name)]
    if len(planes) != 1:
        raise InputError(
            rules.CSV_PLANES.found(
                f"{table.path}:1",
                f"has {' and '.join(planes) or 'no column'} to number the planes of a "
                "site",
                "keep one, such as Metadata_PlaneID",
            )
        )
    images = table.images.values()
    if not all(image.file and image.path for image in images):
        raise InputError(
            rules.CSV_NO_FILE_NAME.found(
                f"{table.path}:1",
                "has images with a URL_ column alone",
                "add FileName_ and PathName_, so that the projected ones can be named",
            )
        )
    keep = sorted(_last_planes(table, planes[0]).values())
    paths = {image.path for image in images}
    names = [name for name in table.header if name not in {i.url for i in images}]
    return replace(
        table,
        header=tuple(names),
        rows=tuple(
            tuple(
                folder if name in paths else table.rows[row][table.index[name]]
                for name in names
            )
            for row in keep
        ),
        lines=tuple(table.lines[row] for row in keep),
    )


def _last_planes(table: Table, plane: str) -> dict[tuple[str, ...], int]:
    numbers = table.column(plane)
    unfit = [i for i, text in enumerate(numbers) if loaddata.kind_of(text) is str]
    if unfit:
        raise InputError(
            rules.CSV_PLANES.found(
                table.where(unfit[0], plane),
                f"{numbers[unfit[0]]!r} is not a number",
                "number the planes of each site",
            )
        )
    last: dict[tuple[str, ...], int] = {}
    for row, site in enumerate(zip(*map(table.column, SITE_KEYS), strict=True)):
        if site not in last or float(numbers[row]) >= float(numbers[last[site]]):
            last[site] = row
    return last
