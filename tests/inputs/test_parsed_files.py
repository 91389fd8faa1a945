"""What a process remembers of input files: never what they hold no more."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cpengine.errors import InputError
from cpengine.inputs import parsed_files
from cpengine.inputs.loaddata import Table, parse_bytes
from cpengine.inputs.parsed_files import ParsedFiles
from cpengine.storage.entry import Entry
from cpengine.storage.store import Storage

TEXT = b"Metadata_Plate,Metadata_Well\nP1,A01\nP1,A02\n"
OLD = Entry(len(TEXT), 1.0, f"1.0:{len(TEXT)}", 1.0)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    (tmp_path / "t.csv").write_bytes(TEXT)
    return Storage(str(tmp_path))


def opened(parsed: ParsedFiles, storage: Storage, entry: Entry | None = OLD) -> Table:
    file = parsed.file(storage, "t.csv", entry, parse_bytes)
    assert file is not None
    return file.parse()


def test_a_file_with_the_same_entry_is_not_read_again(storage: Storage) -> None:
    parsed = ParsedFiles()
    table = opened(parsed, storage)
    storage.path("t.csv").unlink()
    assert opened(parsed, storage) is opened(parsed, storage)
    assert opened(parsed, storage) == table == parse_bytes(TEXT, table.path)


@pytest.mark.parametrize(
    "entry",
    [
        None,
        OLD._replace(size=1),
        OLD._replace(time=2.0),
        OLD._replace(version="etag"),
        OLD._replace(placed=2.0),
    ],
)
def test_a_file_with_another_entry_is_read(
    storage: Storage, entry: Entry | None
) -> None:
    parsed = ParsedFiles()
    opened(parsed, storage)
    storage.path("t.csv").write_bytes(TEXT.replace(b"A02", b"B02"))
    assert opened(parsed, storage, entry).column("Metadata_Well") == ["A01", "B02"]


def test_a_file_that_is_not_there_is_none(storage: Storage) -> None:
    assert ParsedFiles().file(storage, "other.csv", None, parse_bytes) is None


@pytest.mark.parametrize(
    ("entry", "settled"),
    [
        (OLD, True),
        (OLD._replace(time=0.0, version=f"0.0:{OLD.size}"), False),
        (OLD._replace(placed=99.0), False),
        (OLD._replace(time=99.0, version=f"99.0:{OLD.size}"), False),
        (OLD._replace(time=99.0, version=f"etag:{OLD.size}", placed=0.0), True),
    ],
)
def test_what_a_change_would_leave_the_same_is_not_trusted(
    entry: Entry, *, settled: bool
) -> None:
    assert entry.is_settled(100.0) == settled


def test_a_file_that_changes_just_now_is_an_error(
    storage: Storage,
) -> None:
    """Its digest is known, what was parsed is not: both must be of the same bytes."""
    parsed = ParsedFiles(most=0)
    opened(parsed, storage)
    storage.path("t.csv").write_bytes(TEXT.replace(b"A02", b"B02"))
    with pytest.raises(InputError, match=r"t\.csv: has changed just now: run again"):
        opened(parsed, storage)


def test_what_was_written_is_not_read_back(storage: Storage) -> None:
    parsed = ParsedFiles()
    storage.write("made.csv", TEXT)
    parsed.written(storage, "made.csv", TEXT, parse_bytes)
    entry = storage.entry("made.csv")
    os.truncate(storage.path("made.csv"), 0)
    file = parsed.file(storage, "made.csv", entry, parse_bytes)
    assert file is not None
    assert file.parse().column("Metadata_Well") == ["A01", "A02"]


def make(size: int) -> Callable[[], list[int]]:
    return lambda: [size]


def test_only_so_much_is_remembered_and_what_is_idle_gives_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parsed = ParsedFiles(most=10)
    first, second = parsed.once("a", 6, make(1)), parsed.once("b", 6, make(2))
    assert parsed.once("a", 6, make(1)) is first
    assert parsed.once("b", 6, make(2)) is not second  # a was just used
    monkeypatch.setattr(parsed_files, "_IDLE_S", -1)
    second = parsed.once("b", 6, make(2))
    assert parsed.once("b", 6, make(2)) is second
    assert parsed.once("a", 6, make(1)) is not first
    large = parsed.once("large", 11, make(3))
    assert parsed.once("large", 11, make(3)) is not large


def test_what_cannot_be_parsed_is_not_remembered(storage: Storage) -> None:
    parsed = ParsedFiles()
    storage.path("t.csv").write_bytes(b"")
    for _ in range(2):
        with pytest.raises(InputError):
            opened(parsed, storage)
