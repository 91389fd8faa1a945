"""The groups that a job file of Distributed-CellProfiler lists, as a table has them."""

from collections.abc import Sequence
from pathlib import Path

from cpengine.dcp import jobfile
from cpengine.errors import InputError
from cpengine.group_names import Group
from cpengine.inputs.table_groups import spellings
from cpengine.planning.grouped_table import GroupedTable
from cpengine.wording import counted


def listed_groups(path: Path, sheet: GroupedTable, keys: Sequence[str]) -> list[Group]:
    """The groups of a job file, in its order; values may be spelled as in the table.

    Raises
    ------
    InputError
        The job file is wrong, groups by other columns than the step, or lists a group
        that the table does not have.
    """
    listed = [dict(job.group) for job in jobfile.read(path)]
    if listed[0].keys() != set(keys):
        raise InputError(
            f"{path}: groups by {', '.join(listed[0])}, the step by {', '.join(keys)}: "
            "set the step's `group`"
        )
    values = {key: spellings(sheet.table, key) for key in keys}
    found = [
        tuple((key, values[key].get(group[key], group[key])) for key in keys)
        for group in listed
    ]
    absent = [group for group in found if group not in sheet.groups]
    if absent:
        shown = ",".join(f"{key}={value}" for key, value in absent[0])
        more = f" and {counted(len(absent) - 1, 'group')} more" if absent[1:] else ""
        raise InputError(
            f"{path}: {shown}{more}: not in {sheet.table.path}: remove them, or add "
            "their rows"
        )
    return list(dict.fromkeys(found))
