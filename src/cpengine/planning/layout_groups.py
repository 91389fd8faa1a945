"""The groups of a plate's layout, and how they differ from those of a table. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from cpengine import rules
from cpengine.config import PlateSection
from cpengine.errors import InputError
from cpengine.group_names import Group, metadata_of
from cpengine.inputs.table_groups import read_as, spellings
from cpengine.planning.grouped_table import GroupedTable
from cpengine.plates import PLATE, SHAPES, SITE, WELL, Place, place_of, row_name
from cpengine.rules import Finding
from cpengine.wording import counted


def groups_in_layout(
    layout: PlateSection, sheet: GroupedTable, keys: Sequence[str]
) -> tuple[list[Group], list[Finding]]:
    """Give a table's groups that are in the layout, in its order, and what differs.

    Raises
    ------
    InputError
        The table has none of them, or the step groups by something that a layout does
        not know.
    """
    plates = list(dict.fromkeys(dict(group).get(PLATE, "") for group in sheet.groups))
    known = {key: spellings(sheet.table, key) for key in keys}
    wanted = [
        tuple((key, read_as(known[key], value)) for key, value in group)
        for plate in plates
        for group in layout_groups(plate, layout, keys)
    ]
    absent = [group for group in wanted if group not in sheet.groups]
    if len(absent) == len(wanted):
        raise InputError(_none(sheet, absent[0]))
    excluded = set(map(_spelt_alike, layout.excluded_wells))
    in_layout = set(wanted)
    lacking = (group for group in sheet.groups if group not in in_layout)
    left = [g for g in lacking if _spelt_alike(dict(g).get(WELL, "")) not in excluded]
    findings = [*_absent(sheet, plates, absent, len(wanted)), *_left_out(sheet, left)]
    return [group for group in wanted if group in sheet.groups], findings


def _none(sheet: GroupedTable, absent: Group) -> Finding:
    return rules.LAYOUT_NONE.found(
        sheet.table.path,
        f"has none of the plate layout's groups, such as {metadata_of(absent)}; it has "
        f"{metadata_of(next(iter(sheet.groups)))}",
        "change [plate] or use groups = 'csv'",
    )


def _absent(
    sheet: GroupedTable, plates: Sequence[str], absent: Sequence[Group], wanted: int
) -> Iterator[Finding]:
    """Groups of the layout that the table does not have."""
    if absent:
        yield rules.LAYOUT_ABSENT.found(
            f"plate {', '.join(plates)}",
            f"{len(absent)} of {wanted} groups of the layout are not in "
            f"{sheet.table.path} and are left out (first: {metadata_of(absent[0])})",
            "exclude their wells, or add their rows",
        )


def _left_out(sheet: GroupedTable, left: Sequence[Group]) -> Iterator[Finding]:
    """Groups of the table that the layout does not have, nor leaves out by name."""
    if left:
        rows = sum(len(sheet.groups[group]) for group in left)
        of_all = counted(sum(map(len, sheet.groups.values())), "image set")
        yield rules.LAYOUT_LEAVES_OUT.found(
            sheet.table.path,
            f"{rows} of {of_all} are in no job, since the plate layout lacks their "
            f"groups (first: {metadata_of(left[0])})",
            "correct [plate] (wells, rows, columns, sites), name their wells in "
            "plate.excluded_wells, or use groups = 'csv'",
        )


def layout_groups(
    plate: str, layout: PlateSection, keys: Sequence[str]
) -> Iterator[Group]:
    """Give the groups of a plate's layout, as `run_batch_general.py` orders them.

    Raises
    ------
    InputError
        The step groups by something that a layout does not know.
    """
    values = {
        PLATE: [plate],
        WELL: wells(layout),
        SITE: [str(site) for site in _sites(layout)],
    }
    unknown = [key for key in keys if key not in values]
    if unknown:
        raise InputError(
            f"the plate layout has no {', '.join(unknown)}: use groups = 'csv'"
        )
    yield from product(*([(key, value) for value in values[key]] for key in keys))


def wells(layout: PlateSection) -> list[str]:
    """The wells of a plate, row by row, without the excluded ones.

    Excluded wells are found by their place, whatever their spelling: A1 is A01.
    """
    excluded = set(map(_spelt_alike, layout.excluded_wells))
    names = layout.wells or [
        f"{row}{column:02d}" if layout.pad_wells else f"{row}{column}"
        for row in _rows(layout)
        for column in _columns(layout)
    ]
    left = [name for name in names if _spelt_alike(name) not in excluded]
    if not left:
        raise InputError("plate.excluded_wells: leaves no well: exclude fewer")
    return left


def _spelt_alike(well: str) -> Place | str:
    """What all spellings of a well have in common."""
    place = place_of(well)
    return well if place is None else place


def _rows(layout: PlateSection) -> Sequence[str]:
    if layout.format is None:
        return layout.rows
    return [row_name(row) for row in range(SHAPES[layout.format][0])]


def _columns(layout: PlateSection) -> Sequence[int]:
    if layout.format is None:
        return layout.columns
    return range(1, SHAPES[layout.format][1] + 1)


def _sites(layout: PlateSection) -> Iterable[int]:
    return range(1, layout.sites + 1) if isinstance(layout.sites, int) else layout.sites
