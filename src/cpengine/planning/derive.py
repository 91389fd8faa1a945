"""CSVs that lie between steps, made of those that lie beside them. Pure.

The handbook makes both by hand: the projected `load_data.csv` after zproj, and
`load_data_with_illum.csv` after illum.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from functools import cache

from cpengine import rules
from cpengine.errors import InputError
from cpengine.inputs import loaddata
from cpengine.inputs.loaddata import Table, raise_any
from cpengine.inputs.table_groups import PLANE, TIMEPOINT, missing_keys
from cpengine.inputs.table_images import FILE, PAGES, PATH
from cpengine.plates import PLATE, SITE_KEYS
from cpengine.rules import Finding

_TIF = re.compile(r"\.tif\Z", re.IGNORECASE)


def plates(table: Table) -> list[str]:
    """The plate of each row as LoadData types it, by which results are named.

    Raises
    ------
    InputError
        The table names no plates.
    """
    raise_any(missing_keys(table, [PLATE]))
    return table.values(PLATE)


def misnamed(
    table: Table,
    present: Mapping[str, Collection[str]],
    folder: Callable[[str], str],
) -> Iterator[Finding]:
    """Illumination functions that are there under another name than LoadData gives."""
    for plate, files in present.items():
        for channel in channels(table).values():
            name = illum_name(plate, channel)
            others = [file for file in files if file.endswith(f"_Illum{channel}.npy")]
            if name not in files and others:
                yield rules.ILLUM_NAME.found(
                    f"{folder(plate)}/{others[0]}",
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


def illum_name(plate: str, channel: str) -> str:
    """The file of a channel's illumination function."""
    return f"{plate}_Illum{channel}.npy"


def channels_with_functions(
    table: Table, present: Mapping[str, Collection[str]] | None
) -> list[str]:
    """The channels that get columns of functions; `present` as for `with_illum`."""
    files = set().union(*(present or {}).values())
    known = {*plates(table)}
    return [
        channel
        for channel in channels(table).values()
        if not files or files & {illum_name(plate, channel) for plate in known}
    ]


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
    of_row, folder = plates(table), cache(folder)
    added: dict[str, list[str]] = {}
    for channel in channels_with_functions(table, present):
        names = {plate: illum_name(plate, channel) for plate in set(of_row)}
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

    Keeps the row of the last plane of each site and timepoint, and points its images
    at the plate's folder; file names stay, as the handbook has it, but for `.tif`:
    SaveImages always writes `.tiff`. Projections have one page.

    Raises
    ------
    InputError
        No column numbers the planes, or one holds something else.
    """
    plane = _plane_column(table)
    of_row, folder = plates(table), cache(folder)
    keep = sorted(_last_planes(table, plane).values())
    images = table.image_columns
    paths, files = {i.path for i in images}, {i.file for i in images}
    gone = {image.url for image in images}
    names = [n for n in table.header if n not in gone and not n.startswith(PAGES)]
    return replace(
        table,
        header=tuple(names),
        rows=tuple(
            tuple(
                folder(of_row[row])
                if name in paths
                else _as_saved(table.rows[row][table.index[name]], name in files)
                for name in names
            )
            for row in keep
        ),
        lines=tuple(table.lines[row] for row in keep),
    )


def _plane_column(table: Table) -> str:
    """The column that numbers planes. Raises InputError where none can be projected."""
    raise_any(missing_keys(table, SITE_KEYS))
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
    if not all(image.file and image.path for image in table.image_columns):
        raise InputError(
            rules.CSV_NO_FILE_NAME.found(
                f"{table.path}:1",
                "has images with a URL_ column alone",
                "add FileName_ and PathName_, so that the projected ones can be named",
            )
        )
    return planes[0]


def _as_saved(value: str, is_file: bool) -> str:
    """A value of a projection; of its file the name that SaveImages gives it."""
    return _TIF.sub(".tiff", value) if is_file else value


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
    of_site = [*SITE_KEYS, *({TIMEPOINT} & set(table.names))]
    for row, site in enumerate(zip(*map(table.values, of_site), strict=True)):
        if not any(table.rows[row]):
            continue
        if site not in last or float(numbers[row]) >= float(numbers[last[site]]):
            last[site] = row
    return last
