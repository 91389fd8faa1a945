"""What the sections of the project file have in common: names, keys, places."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from cpengine.group_names import METADATA, NAME, VALUE

ROW = r"^[A-Z]{1,2}$"
AWS_NAME = r"^[A-Za-z0-9_-]{1,64}$"
LINE = r"^[^\r\n]+$"
WALLTIME = r"^(\d+-)?\d{1,3}:[0-5]\d:[0-5]\d$"
PATTERNS = {
    LINE: "write it on one line",
    WALLTIME: "write it as HH:MM:SS or D-HH:MM:SS",
    NAME: "use no blank, slash, comma or equals sign, and no dot at the start",
    VALUE: "use no slash, comma or equals sign, and no dot at the start",
    ROW: "use one or two capital letters",
    AWS_NAME: "use letters, digits, - and _, at most 64",
    METADATA: "write Metadata_ and a name",
}
Name = Annotated[str, Field(pattern=NAME)]
Value = Annotated[str, Field(pattern=VALUE)]
Line = Annotated[str, Field(pattern=LINE)]
"""A value of a job script's line."""
Key = Annotated[str, Field(min_length=1)]
Metadata = Annotated[str, Field(pattern=METADATA)]


class Section(BaseModel):
    """A table of the project file; keys that it does not know are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
