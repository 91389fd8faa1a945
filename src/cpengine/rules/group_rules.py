"""Rules on groups, and on the jobs that they make."""

from cpengine.rules.finding import Severity
from cpengine.rules.finding import rule as _rule

_GROUPS = "Groups"

GROUP_COLUMN = _rule(
    "group-column-missing",
    _GROUPS,
    "A CSV lacks a column that makes groups",
    "CellProfiler raises a KeyError for -g.",
    "Add the Metadata_ column.",
)
GROUP_EMPTY = _rule(
    "group-value-empty",
    _GROUPS,
    "A grouping column has an empty value",
    "The row belongs to no job and is never processed.",
    "Fill it in.",
)
GROUP_UNFIT = _rule(
    "group-value-unfit",
    _GROUPS,
    "A grouping value has a comma, an equals sign, a slash or a control character, or "
    "begins with a point",
    "-g is split at commas and equals signs: no image set matches, and CellProfiler "
    "says success. A slash or point leads into other folders, a control character "
    "changes what a terminal shows.",
    "Use other characters.",
)
GROUP_TYPED = _rule(
    "group-values-read-as-one",
    _GROUPS,
    "LoadData reads two grouping values as one",
    "01 and 1 are both read as 1, so that two groups become one.",
    "Write both the same, or make the column text.",
)
GROUP_NAMES = _rule(
    "group-names-clash",
    _GROUPS,
    "Two groups would have one name or one folder",
    "The results of one overwrite those of the other.",
    "Use values without '-' where they could be confused.",
)
FILES_CLASH = _rule(
    "file-names-clash",
    _GROUPS,
    "Jobs of one folder would write files of one name",
    "The first job is done, each of the others fails with bad_input.",
    "Name what tells the jobs apart in output_structure, or in the names of files.",
)
GROUP_LONG = _rule(
    "group-name-long",
    _GROUPS,
    "A group's name is too long for a folder",
    "Results cannot be written.",
    "Shorten its metadata values.",
)
LAYOUT_NONE = _rule(
    "layout-matches-nothing",
    _GROUPS,
    "The plate layout has none of the CSV's groups",
    "Every job ends with an IndexError: wells named A1 here and A01 there are two.",
    "Change [plate] (rows, columns, pad_wells, sites), or use groups = 'csv'.",
)
LAYOUT_ABSENT = _rule(
    "layout-groups-absent",
    _GROUPS,
    "Groups of the plate layout are not in the CSV",
    "Their jobs would fail; here they are left out.",
    "Exclude the wells, or add their rows.",
    Severity.WARNING,
)
LAYOUT_LEAVES_OUT = _rule(
    "layout-leaves-out",
    _GROUPS,
    "Image sets of the CSV are in no group of the plate layout",
    "They make no job: wells or sites are missing in the results.",
    "Correct [plate], name the wells in excluded_wells, or use groups = 'csv'.",
    Severity.WARNING,
)
WELLS_UNEVEN = _rule(
    "sites-missing",
    _GROUPS,
    "Wells have fewer sites than most",
    "Wells with fewer cells for no biological reason.",
    "See whether the microscope has finished and the CSV is whole.",
    Severity.WARNING,
)
PLANES_UNEVEN = _rule(
    "planes-missing",
    _GROUPS,
    "Sites have fewer planes than most",
    "A projection of an incomplete stack.",
    "See whether the microscope has finished and the CSV is whole.",
    Severity.WARNING,
)
FLAGGED_OUT = _rule(
    "flagged-left-out",
    _GROUPS,
    "Jobs of flagged sites are left out, as --exclude-flagged says",
    "Blurred images are measured as if they were sharp.",
    "Look at them: `cpengine qc` says why each is flagged.",
    Severity.WARNING,
)
FLAGGED_INCLUDED = _rule(
    "flagged-kept",
    _GROUPS,
    "Jobs hold flagged sites beside others",
    "Blurred images go into what is made of a well or plate, such as illumination.",
    "Drop their rows from the CSV if they must not count; a job is never cut.",
    Severity.WARNING,
)
BATCH_FILE = _rule(
    "batch-file",
    _GROUPS,
    "A batch file does not fit the step",
    "No group matches.",
    "Set the step's group and project.plates as the file has them, or make it again.",
)
FILE_LIST = _rule(
    "file-list",
    _GROUPS,
    "A list of files cannot be run",
    "CellProfiler finds no files, or others than are meant.",
    "Write whole paths or addresses, one a line, and name the groups by `job_file` or "
    '`groups = "layout"`.',
)
FILE_LISTED = _rule(
    "file-listed",
    _GROUPS,
    "A list of files has some that are not there",
    "Groups that need one of them fail; all others run.",
    "Put the files there, or take them off the list.",
    Severity.WARNING,
)
