"""What a plate's LoadData CSV tells beyond its shape."""

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from cpengine import rules
from cpengine.inputs.loaddata import Table
from cpengine.inputs.table_groups import PLANE, TIMEPOINT, sites, spellings
from cpengine.inputs.table_images import PAGES, image_files, is_whole
from cpengine.plates import PLATE, SITE_KEYS
from cpengine.rules import Finding, Rule

_MOST_NAMED = 5
_Files = Mapping[str, Sequence[str]]


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
    files = _own_files(table)
    yield from _same_in_row(table, files)
    yield from _same_in_sites(table, files)
    yield from _other_illum(table)


def merged_timepoints(
    table: Table, rows: Iterable[int], group: Sequence[str]
) -> Iterator[Finding]:
    """The first job of a stack's table that has planes of several timepoints.

    Parameters
    ----------
    rows
        The rows (from 0) of the jobs.
    group
        The step's metadata columns.
    """
    has_planes = any(PLANE.fullmatch(name) for name in table.header)
    if TIMEPOINT not in table.names or TIMEPOINT in group or not has_planes:
        return
    groups = list(zip(*map(table.values, group), strict=True))
    first: dict[tuple[str, ...], str] = {}
    for row in rows:
        timepoint = table.values(TIMEPOINT)[row]
        before = first.setdefault(groups[row], timepoint)
        if timepoint != before:
            yield rules.TIMEPOINTS_MERGED.found(
                table.where(row, TIMEPOINT),
                f"is {timepoint}, and {before} in the same job, which projects them "
                "together",
                f"add {TIMEPOINT} to the step's group and to the pipeline's grouping",
            )
            return


def _uneven(table: Table) -> Iterator[Finding]:
    """Wells with fewer sites, and sites with fewer planes, than most."""
    planes = any(PLANE.fullmatch(name) for name in table.header)
    if set(SITE_KEYS) <= set(table.names):
        rows = [site for site in sites(table) if any(site)]  # not of blank rows
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


def _same_in_row(table: Table, files: _Files) -> Iterator[Finding]:
    """Files that stand for two channels of a site."""
    for row, paths in enumerate(zip(*files.values(), strict=True)):
        given = list(filter(None, paths))
        if len(set(given)) < len(given):
            again = next(path for path in given if given.count(path) > 1)
            both = [n for n, path in zip(files, paths, strict=True) if path == again]
            yield rules.CSV_SAME_FILE.found(
                table.where(row),
                f"{' and '.join(both)} are the same file, {again}",
                "correct the column that was copied",
            )
            return


def _same_in_sites(table: Table, files: _Files) -> Iterator[Finding]:
    """Files that stand for two sites: in all channels, else in one.

    A channel with a file for every two rows or more shares its files on purpose.
    """
    rows = list(zip(*files.values(), strict=True))
    own = {
        n: some
        for n, some in files.items()
        if len(some) / 2 < len(set(some)) < len(some)
    }
    of_site = sites(table) if own and set(SITE_KEYS) <= set(table.names) else None
    for name, named in {"": rows, **own}.items():
        pair = _first_again(named, of_site if name else None)
        if pair:
            row, before = pair
            what = f"{name} is the same file" if name else "has the same files"
            yield rules.CSV_FILE_AGAIN.found(
                table.where(row),
                f"{what} as in line {table.lines[before]}",
                "correct the row that was copied",
            )
            return


def _first_again(
    named: Sequence[Sequence[str]], of_site: Sequence[object] | None
) -> tuple[int, int] | None:
    """The first row that names what another site's row names, and that row."""
    first: dict[Sequence[str], int] = {}
    for row, value in enumerate(named):
        before = first.setdefault(value, row)
        other = of_site is None or of_site[before] != of_site[row]
        if before != row and other and any(value):
            return row, before
    return None


def _own_files(table: Table) -> _Files:
    """The file of each row by channel, empty where it has none.

    Without illumination functions; nothing where a file may hold many images.
    """
    found: dict[str, Sequence[str]] = {}
    if any(name.startswith(PAGES) for name in table.header):
        return found
    for image, where in table.images.items():
        if image.startswith("Illum"):
            continue
        if where.url:
            found[image] = table.column(where.url)
        elif where.file and where.path:
            pairs = zip(table.column(where.path), table.column(where.file), strict=True)
            found[image] = [name and f"{folder}/{name}" for folder, name in pairs]
    return found


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
