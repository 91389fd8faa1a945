"""What the sections of the project file have in common: names, keys, places."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from cpengine.group_names import METADATA, NAME, VALUE

ROW = r"^[A-Z]{1,2}$"
AWS_NAME = r"^[A-Za-z0-9_-]{1,64}$"
LINE = r"^[^\r\n]+$"
KERNEL = r"^[A-Za-z][A-Za-z0-9_]{1,31}$"
WALLTIME = r"^(\d{1,4}-)?\d{1,3}:[0-5]\d:[0-5]\d$"
PATTERNS = {
    LINE: "write it on one line",
    WALLTIME: "write it as HH:MM:SS or D-HH:MM:SS",
    NAME: "use no blank, slash, comma, equals sign or control character, and no dot "
    "at the start",
    VALUE: "use no slash, comma, equals sign or control character, and no dot at the "
    "start",
    ROW: "use one or two capital letters",
    KERNEL: "name one of OpenBLAS's kernels, such as Haswell",
    AWS_NAME: "use letters, digits, - and _, at most 64",
    METADATA: "write Metadata_ and a name",
}
Name = Annotated[str, Field(pattern=NAME)]
Value = Annotated[str, Field(pattern=VALUE)]
Line = Annotated[str, Field(pattern=LINE)]
"""A value of a job script's line."""
Key = Annotated[str, Field(min_length=1)]
Metadata = Annotated[str, Field(pattern=METADATA)]

MOST_WORKERS = 10_000
"""Jobs at a time, and workers or machines: more than any site has is a slip."""
MOST_LOCAL = 1000
"""The same on one machine."""
MOST_FAILURES = 10**9
EXACT_CHECK = 2
"""Jobs of a step that are compared with plain modules, unless it is said."""
_MOST = 1_000_000
Gigabytes = Annotated[float, Field(gt=0, le=_MOST)]
Minutes = Annotated[float, Field(ge=0, le=_MOST)]
Seconds = Annotated[float, Field(gt=0, le=_MOST)]
Count = Annotated[int, Field(ge=1, le=_MOST)]
Workers = Annotated[int, Field(ge=1, le=MOST_WORKERS)]
PerMachine = Annotated[int, Field(ge=1, le=MOST_LOCAL)]


class Section(BaseModel):
    """A table of the project file; keys that it does not know are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
