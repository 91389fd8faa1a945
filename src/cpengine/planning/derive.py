"""CSVs that lie between steps and are made when missing.

The handbook makes both by hand: the projected `load_data.csv` after zproj, and
`load_data_with_illum.csv` after illum.
"""

import posixpath
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from cpengine import rules
from cpengine.config.steps import LOAD_DATA, UNPROJECTED, WITH_ILLUM, Step
from cpengine.errors import InputError
from cpengine.inputs import loaddata
from cpengine.inputs.loaddata import Table, raise_any
from cpengine.inputs.table_groups import PLANE, missing_keys, sites
from cpengine.inputs.table_images import FILE, PATH
from cpengine.plates import PLATE, SITE_KEYS
from cpengine.rules import Finding
from cpengine.storage.roots import BUCKET, Places


@dataclass(frozen=True, slots=True)
class Deriver:
    """Reads a plate's CSVs, or derives them from those that are there."""

    places: Places
    step: Callable[[str], Step]
    """Gives a step by name, for the places where steps put their results."""

    def table(self, key: str) -> tuple[Table, bool]:
        """Give the image sets of a CSV, and whether they were derived.

        Derived ones go by the path and lines of what they were made from.

        Raises
        ------
        InputError
            The CSV is missing and so is what it could be made from, or it is wrong.
        """
        folder, name = posixpath.split(key)
        workspace = self.places.workspace
        if (data := workspace.read_if_there(key)) is not None:
            shown = workspace.url(key)
            return loaddata.parse(loaddata.decode(data, shown), shown), False
        if name == WITH_ILLUM:
            base, _ = self.table(f"{folder}/{LOAD_DATA}")
            return self._with_illum(base), True
        source = f"{folder}/{UNPROJECTED}"
        if name == LOAD_DATA and workspace.exists(source):
            base, _ = self.table(source)
            output = self.step("zproj").output
            return projected(base, lambda plate: self._as_in(base, output, plate)), True
        beside = sorted(n for n in workspace.sizes(folder) if n.endswith(".csv"))
        found = f" (its folder has {', '.join(beside)})" if beside else ""
        raise InputError(
            rules.CSV_MISSING.found(
                workspace.url(key),
                f"is not there{found}",
                "put the plate's CSV there, or set the step's data_file",
            )
        )

    def outdated(self, key: str) -> Finding | None:
        """Say if a CSV that could be derived anew lists other sites than its source."""
        folder, name = posixpath.split(key)
        source = f"{folder}/{LOAD_DATA}"
        if name != WITH_ILLUM or not self.places.workspace.exists(source):
            return None
        base, table = (self.table(place)[0] for place in (source, key))
        if set(sites(base)) == set(sites(table)):
            return None
        return rules.CSV_OUTDATED.found(
            table.path,
            f"lists other sites than {LOAD_DATA} beside it",
            "remove it to have it made again",
        )

    def _with_illum(self, base: Table) -> Table:
        output = self.step("illum").output
        present = {
            plate: self.places.outputs.sizes(posixpath.join(output, plate))
            for plate in set(plates(base)) - {""}
        }
        raise_any(_misnamed(base, present, self.places.outputs.url(output)))
        return with_illum(base, lambda plate: self._as_in(base, output, plate), present)

    def _as_in(self, table: Table, output: str, plate: str) -> str:
        """Write a place as the table writes its own: under DCP's mount, or locally."""
        paths = (image.path for image in table.image_columns if image.path)
        key = posixpath.join(output, plate)
        if any(table.rows[0][table.index[path]].startswith(BUCKET) for path in paths):
            return f"{BUCKET}/{key}"
        return self.places.outputs.url(key)


def plates(table: Table) -> list[str]:
    """The plate of each row as LoadData types it, by which results are named.

    Raises
    ------
    InputError
        The table names no plates.
    """
    raise_any(missing_keys(table, [PLATE]))
    return table.values(PLATE)


def _misnamed(
    table: Table, present: Mapping[str, Collection[str]], place: str
) -> Iterator[Finding]:
    """Illumination functions that are there under another name than LoadData gives."""
    for plate, files in present.items():
        for channel in channels(table).values():
            name = f"{plate}_Illum{channel}.npy"
            others = [file for file in files if file.endswith(f"_Illum{channel}.npy")]
            if name not in files and others:
                yield rules.ILLUM_NAME.found(
                    f"{place}/{plate}/{others[0]}",
                    f"is not named after plate {plate}, as LoadData reads it",
                    f"rename it to {name}, or run the illum step",
                )


def channels(table: Table) -> dict[str, str]:
    """The channels that get an illumination function: image name to channel."""
    return {
        image: image.removeprefix("Orig")
        for image in table.images
        if not image.startswith("Illum")
    }


def with_illum(
    table: Table,
    folder: Callable[[str], str],
    present: Mapping[str, Collection[str]] | None = None,
) -> Table:
    """Derive `load_data_with_illum.csv` from `load_data.csv`.

    For each `Orig<Channel>` it adds the columns of `Illum<Channel>`, the file
    `<plate>_Illum<Channel>.npy` in the plate's folder, as pe2loaddata does.

    Parameters
    ----------
    folder
        Where the functions of a plate are.
    present
        By plate the files that exist; channels of which no plate has one get no
        columns. Without any file or if None, all get them.
    """
    of_row = plates(table)
    files = set().union(*(present or {}).values())
    added: dict[str, list[str]] = {}
    for channel in channels(table).values():
        names = {plate: f"{plate}_Illum{channel}.npy" for plate in set(of_row)}
        if not files or files & set(names.values()):
            added[f"{FILE}Illum{channel}"] = [p and names[p] for p in of_row]
            added[f"{PATH}Illum{channel}"] = [p and folder(p) for p in of_row]
    columns = added.values()
    return replace(
        table,
        header=(*table.header, *added),
        rows=tuple(
            (*row, *(column[number] for column in columns))
            for number, row in enumerate(table.rows)
        ),
    )


def projected(table: Table, folder: Callable[[str], str]) -> Table:
    """Derive the projected `load_data.csv` from `load_data_unprojected.csv`.

    Keeps the row of the last plane of each site and points its images at the plate's
    folder; file names stay, as the handbook has it.

    Raises
    ------
    InputError
        No column numbers the planes, or one holds something else.
    """
    raise_any(missing_keys(table, SITE_KEYS))
    of_row = plates(table)
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
    images = table.image_columns
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
                folder(of_row[row])
                if name in paths
                else table.rows[row][table.index[name]]
                for name in names
            )
            for row in keep
        ),
        lines=tuple(table.lines[row] for row in keep),
    )


def _last_planes(table: Table, plane: str) -> dict[tuple[str, ...], int]:
    numbers = table.column(plane)
    unfit = [
        i
        for i, text in enumerate(numbers)
        if loaddata.kind_of(text) is str and any(table.rows[i])
    ]
    if unfit:
        raise InputError(
            rules.CSV_PLANES.found(
                table.where(unfit[0], plane),
                f"{numbers[unfit[0]]!r} is not a number",
                "number the planes of each site",
            )
        )
    last: dict[tuple[str, ...], int] = {}
    for row, site in enumerate(zip(*map(table.values, SITE_KEYS), strict=True)):
        if not any(table.rows[row]):
            continue
        if site not in last or float(numbers[row]) >= float(numbers[last[site]]):
            last[site] = row
    return last
