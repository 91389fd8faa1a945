"""Lists of files, as `--file-list` takes them: one path or address a line.

Which of them are images, and of which group, the pipeline's Images, Metadata,
NamesAndTypes and Groups say when CellProfiler runs.

Source: `Pipeline.read_file_list` of `cellprofiler_core/pipeline/_pipeline.py` 4.2.8.
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cpengine import rules
from cpengine.errors import InputError
from cpengine.inputs.file_kind import expect_file_list
from cpengine.inputs.loaddata import MARK, Table, raise_any
from cpengine.inputs.pipeline import Pipeline
from cpengine.inputs.table_images import URL, is_whole
from cpengine.rules import Finding
from cpengine.storage.store import as_text
from cpengine.wording import counted

ENDING = ".txt"
"""By which Distributed-CellProfiler tells a list from a CSV."""
_SHOWN = 80
_HOST = re.compile(r"file://[^/]", re.IGNORECASE)
_COLUMN = f"{URL}File"


@dataclass(frozen=True)
class FileList(Table):
    """The files of a list, a row each, with the address as its one column."""

    def where(self, row: int, column: str | None = None) -> str:
        """`file:line` for messages; `row` counts from 0."""
        return f"{self.path}:{self.lines[row]}"


def is_file_list(name: str, pipe: Pipeline) -> bool:
    """Whether a data file is one: LoadData reads tables, whatever their name."""
    return name.endswith(ENDING) and pipe.load_data is None


def parse(data: bytes, path: str) -> FileList:
    """Read a list: blanks around a line and blank lines do not count, as there.

    Parameters
    ----------
    path
        The file as messages name it.

    Raises
    ------
    InputError
        It is no UTF-8 text, lists nothing, or a line depends on the working directory.
    """
    expect_file_list(data, path)
    if (zero := data.find(0)) >= 0:
        cause = f"has a zero byte (byte {zero}), as UTF-16 and broken copies have"
        raise InputError(rules.FILE_LIST.found(path, cause, "save it as UTF-8"))
    lines = io.StringIO(as_text(data, path), newline=None)
    numbered = [(line.strip(), number) for number, line in enumerate(lines, 1)]
    named = [(place, number) for place, number in numbered if place]
    if not named:
        cure = "write the path or address of a file a line"
        raise InputError(rules.FILE_LIST.found(path, "lists no files", cure))
    raise_any(_relative(path, named))
    rows = tuple((place,) for place, _ in named)
    return FileList(path, (_COLUMN,), rows, tuple(number for _, number in named))


def _relative(path: str, named: Sequence[tuple[str, int]]) -> Iterator[Finding]:
    """The first line that CellProfiler would look for where it happens to run."""
    wrong = [line for line in named if not is_whole(line[0])]
    hosts = [line for line in named if _HOST.match(line[0])]
    if hosts and not wrong:
        place, number = hosts[0]
        cause = f"{place[:_SHOWN]!r} is of a host, where CellProfiler takes files alone"
        yield rules.FILE_LIST.found(f"{path}:{number}", cause, "write file:///...")
    if not wrong:
        return
    place, number = wrong[0]
    more = f" (and {counted(len(wrong) - 1, 'line')} more)" if wrong[1:] else ""
    cause = f"{place[:_SHOWN]!r} is a relative place{more}"
    cure = "write the whole path"
    if place.startswith(MARK):
        cause, cure = "starts with a byte order mark", "save it as UTF-8 without it"
    yield rules.FILE_LIST.found(f"{path}:{number}", cause, cure)


def to_text(places: Mapping[int, list[str]]) -> str:
    """A list of files that CellProfiler reads, by the row of each."""
    return "".join(f"{place}\n" for row in sorted(places) for place in places[row])
