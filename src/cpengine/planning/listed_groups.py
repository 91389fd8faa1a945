"""The groups that a job file of Distributed-CellProfiler lists, as a table has them.

Lists of files tell no groups: of those they are taken as the job file or the plate
layout has them.
"""

from collections.abc import Sequence
from pathlib import Path

from cpengine import rules
from cpengine.config import PlateSection
from cpengine.config.steps import Step
from cpengine.dcp import jobfile
from cpengine.errors import InputError
from cpengine.group_names import Group
from cpengine.inputs.loaddata import Table
from cpengine.inputs.table_groups import spellings
from cpengine.planning.grouped_table import GroupedTable
from cpengine.planning.layout_groups import layout_groups
from cpengine.wording import counted


def listed_groups(path: Path, sheet: GroupedTable, keys: Sequence[str]) -> list[Group]:
    """The groups of a job file, in its order; values may be spelled as in the table.

    Raises
    ------
    InputError
        The job file is wrong, groups by other columns than the step, or lists a group
        that the table does not have.
    """
    listed = _read(path, keys)
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


def _read(path: Path, keys: Sequence[str]) -> list[dict[str, str]]:
    """The groups of a job file, which must be of these columns."""
    listed = [dict(job.group) for job in jobfile.read(path)]
    if listed[0].keys() != set(keys):
        raise InputError(
            f"{path}: groups by {', '.join(listed[0])}, the step by {', '.join(keys)}: "
            "set the step's `group`"
        )
    return listed


def groups_of_list(
    table: Table, step: Step, plate: str, layout: PlateSection
) -> list[Group]:
    """The groups of a list of files, as the job file or the plate layout has them.

    Raises
    ------
    InputError
        Neither names them, or the job file is wrong.
    """
    if step.job_file:
        listed = _read(step.job_file, step.group)
        return [tuple((key, group[key]) for key in step.group) for group in listed]
    if step.source == "layout" and step.group and plate:
        return list(layout_groups(plate, layout, step.group))
    raise InputError(
        rules.FILE_LIST.found(
            table.path,
            "is a list of files, which names no groups",
            f"set steps.{step.name}.job_file, or groups = 'layout' with the list in a "
            "folder of the plate's name, and group",
        )
    )
