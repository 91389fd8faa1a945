"""What a plate's LoadData CSV tells beyond its shape."""

import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from cpengine import rules
from cpengine.inputs.loaddata import Table
from cpengine.inputs.table_groups import PLANE, sites, spellings
from cpengine.inputs.table_images import image_files, is_whole
from cpengine.plates import PLATE, SITE_KEYS
from cpengine.rules import Finding, Rule

_MOST_NAMED = 5


def other_plate(table: Table, folder: str) -> Iterator[Finding]:
    """Whether a plate's folder has the table of another plate."""
    plates = spellings(table, PLATE)
    if folder and plates and folder not in plates:
        plate = next(iter(plates))
        yield rules.CSV_OTHER_PLATE.found(
            table.where(0, PLATE),
            f"is {plate!r} in the folder of plate {folder}; jobs and results go by "
            f"{plates[plate]!r}",
            "give the folder the plate's name, if it is the right table",
        )


def without_folder(table: Table) -> Iterator[Finding]:
    """Images that LoadData would look for in a job's own output folder."""
    for image in table.image_columns:
        path = image.path and table.column(image.path)
        if image.file and not image.url and not (path and all(map(is_whole, path))):
            yield rules.CSV_NO_FOLDER.found(
                f"{table.path}:1:{image.file}",
                "has files without a folder, and LoadData's base image location is the "
                "Default Output Folder, which is empty when a job starts",
                "write their folders into PathName_ columns",
            )
            return


def unlike_named(
    table: Table, is_opened_as_named: Callable[[str], bool]
) -> Iterator[Finding]:
    """Images that must be fetched, of a batch file that cannot name them anew."""
    for row in range(len(table.rows)):
        for image in image_files(table, row):
            if image.name and not is_opened_as_named(image.folder):
                yield rules.BATCH_FILE.found(
                    table.where(row, image.column),
                    f"{image.folder} is not a folder that CellProfiler opens there, "
                    "and image sets of the Images module name it for good",
                    "mount the folder under that name, or use LoadData with File > "
                    "Export > Image Set Listing",
                )
                return


def doubts(table: Table) -> Iterator[Finding]:
    """What is mostly a mistake, though jobs can run."""
    if not table.images:
        yield rules.CSV_NO_IMAGES.found(
            f"{table.path}:1",
            "names no images",
            "add FileName_ and PathName_ columns for each channel",
        )
    yield from _uneven(table)
    yield from _same_files(table)
    yield from _other_illum(table)


def _uneven(table: Table) -> Iterator[Finding]:
    """Wells with fewer sites, and sites with fewer planes, than most."""
    planes = any(PLANE.fullmatch(name) for name in table.header)
    if set(SITE_KEYS) <= set(table.names):
        rows = sites(table)
        wells = Counter(site[:2] for site in dict.fromkeys(rows))
        yield from _fewer(table, wells, "site", rules.WELLS_UNEVEN)
        if planes:
            yield from _fewer(table, Counter(rows), "plane", rules.PLANES_UNEVEN)


def _fewer(
    table: Table, counts: Counter[tuple[str, ...]], what: str, rule: Rule
) -> Iterator[Finding]:
    usual = statistics.mode(counts.values())
    fewer = ["-".join(key) for key, count in counts.items() if count < usual]
    if fewer:
        named = ", ".join(fewer[:_MOST_NAMED]) + (
            f" and {len(fewer) - _MOST_NAMED} more" if len(fewer) > _MOST_NAMED else ""
        )
        yield rule.found(
            table.path,
            f"{named}: fewer {what}s than the {usual} of most",
            "see whether the microscope has finished and all its files are listed",
        )


def _same_files(table: Table) -> Iterator[Finding]:
    """Files that stand for two channels or two sites."""
    paths = list(_paths(table))
    own = [name for name in table.images if not name.startswith("Illum")]
    row = next(
        (i for i, files in enumerate(paths) if len(set(files)) < len(files)), None
    )
    if row is not None:
        again = next(path for path in paths[row] if paths[row].count(path) > 1)
        both = [n for n, path in zip(own, paths[row], strict=True) if path == again]
        yield rules.CSV_SAME_FILE.found(
            table.where(row),
            f"{' and '.join(both)} are the same file, {again}",
            "correct the column that was copied",
        )
    first: dict[tuple[str, ...], int] = {}
    for row, files in enumerate(paths):
        if files and first.setdefault(files, row) != row:
            yield rules.CSV_FILE_AGAIN.found(
                table.where(row),
                f"has the same files as line {table.lines[first[files]]}",
                "correct the row that was copied",
            )
            return


def _paths(table: Table) -> Iterator[tuple[str, ...]]:
    """The files of each row's own channels."""
    columns: list[Sequence[str]] = []
    for image, where in table.images.items():
        if image.startswith("Illum"):
            continue
        if where.url:
            columns.append(table.column(where.url))
        elif where.file and where.path:
            pairs = zip(table.column(where.path), table.column(where.file), strict=True)
            columns.append([f"{folder}/{name}" for folder, name in pairs])
    series = [
        table.column(name)
        for name in table.header
        if name.startswith(("Series_", "Frame_"))
    ]
    if series:  # one file holds many images
        return iter(())
    return zip(*columns, strict=True)


def _other_illum(table: Table) -> Iterator[Finding]:
    """Illumination functions that are named after another plate."""
    if PLATE not in table.names:
        return
    texts, values = table.column(PLATE), table.values(PLATE)
    for image, where in table.images.items():
        if not image.startswith("Illum") or not where.file:
            continue
        for row, name in enumerate(table.column(where.file)):
            named, found, _ = name.partition(f"_{image}")
            plates = texts[row], values[row]
            starts = tuple(f"{plate}_" for plate in plates)
            if found and named not in plates and not named.startswith(starts):
                yield rules.CSV_ILLUM_PLATE.found(
                    table.where(row, where.file),
                    f"{name} is not of plate {texts[row]}",
                    "remove the CSV to have it made again",
                )
                return
