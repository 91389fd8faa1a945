"""Kinds of damage x files x commands: a line where it matters, and the rest goes on."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from typer.testing import Result

from cpengine.ledger import driver_sign, run_record
from cpengine.ledger.ledger import Ledger
from cpengine.storage.store import Storage
from tests.unreadable.damage import ANY, JSON, NEWER, Kind
from tests.unreadable.screen import STEP, WORKSPACE, Screen

LEDGER = f"{WORKSPACE}/cpengine/B1/{STEP}"
SOME = {"empty", "cut in half", "wrong types"}
CODES = {0, 1, 2}

Commands = Mapping[str, tuple[int, str]]
"""By command, its exit code and what it says, if the file is damaged."""


@dataclass(frozen=True, slots=True)
class OwnFile:
    """A file that cpengine wrote, and what follows from its damage."""

    pattern: str
    commands: Commands
    slow: Commands
    """Commands that are tried with a few kinds of damage alone."""
    kinds: Mapping[str, Kind]


def sane(result: Result) -> Result:
    """A result without a traceback, and with a line if it is not good."""
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code in CODES
    assert "Traceback" not in result.output
    assert result.exit_code != 2 or result.stderr.strip()
    return result


OTHERS: Commands = {
    f"plan {STEP}": (0, ""),
    f"collect {STEP} --force": (1, "1 of 3 jobs left out"),
    f"qc {STEP}": (0, ""),
}
"""What they do does not depend on runs, or on jobs that failed."""
OWN = {
    "done marker": OwnFile(
        f"{LEDGER}/markers/P1-A01~*.done",
        {
            f"status {STEP}": (0, ""),
            f"status {STEP} --failed": (0, "P1-A03  cellprofiler"),
            f"status {STEP} --verify": (1, "P1-A01  is done, but its marker"),
            f"plan {STEP} --explain": (0, "P1-A01  no, done"),
            f"estimate {STEP} --force": (0, "is damaged"),
            f"run {STEP} --dry-run": (0, "would run 1 of 3 jobs"),
        },
        {
            f"report {STEP}": (0, "is damaged"),
            f"collect {STEP} --force": (1, "is damaged"),
            f"qc {STEP}": (0, ""),
            f"montage {STEP}": (0, ""),
            "attach": (1, "2 done, 1 failed"),
            f"run {STEP} --force": (1, "2 of 3 jobs done, 1 failed"),
        },
        {kind: do for kind, do in (ANY | JSON).items() if kind != "empty"},
    ),
    "empty done marker": OwnFile(  # a listing tells
        f"{LEDGER}/markers/P1-A01~*.done",
        {
            f"status {STEP}": (0, "1 job left: its marker is damaged (0 bytes)"),
            f"status {STEP} --failed": (0, "P1-A03  cellprofiler"),
            f"status {STEP} --verify": (1, "P1-A01  is done, but its marker"),
            f"plan {STEP} --explain": (0, "P1-A01  runs, left: its marker is damaged"),
            f"estimate {STEP} --force": (0, ""),
            f"run {STEP} --dry-run": (0, "would run 2 of 3 jobs"),
        },
        {
            f"report {STEP}": (0, ""),
            f"collect {STEP} --force": (1, "2 of 3 jobs left out"),
            f"qc {STEP}": (0, ""),
            f"montage {STEP}": (0, ""),
            "attach": (1, "2 done, 1 failed"),  # as that run ended
            f"run {STEP}": (1, "1 of 2 jobs done, 1 failed"),
        },
        {"empty": ANY["empty"]},
    ),
    "failed marker": OwnFile(
        f"{LEDGER}/markers/P1-A03~*.failed-*",
        {
            f"status {STEP}": (0, "1 job failed: cellprofiler"),
            f"status {STEP} --failed": (0, "is damaged"),
            f"status {STEP} --verify": (0, ""),
        },
        {
            f"report {STEP}": (0, "is damaged"),
            **OTHERS,
            f"run {STEP}": (1, "0 of 1 job done, 1 failed"),
        },
        {**ANY, **JSON},
    ),
    "run record": OwnFile(
        f"{LEDGER}/runs/*.json",
        {
            f"status {STEP}": (0, "is damaged"),
            "attach": (2, "is damaged"),
            "cancel": (2, "is damaged"),
        },
        {
            f"report {STEP}": (0, "is damaged"),
            **OTHERS,
            f"run {STEP}": (1, "is damaged"),
        },
        {**ANY, **JSON},
    ),
}


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name, own in OWN.items() for kind in own.kinds]
)
def test_own_file_is_damaged(project: Screen, name: str, kind: str) -> None:
    own = OWN[name]
    path = project.find(own.pattern)
    path.write_bytes(own.kinds[kind](path.read_bytes()))
    slow = own.slow if kind in SOME else {}
    for command, (code, says) in {**own.commands, **slow}.items():
        result = sane(project.call(*command.split()))
        assert (command, result.exit_code) == (command, code), result.output
        assert says in result.output
        if says == "is damaged":
            (line,) = {line for line in result.stderr.splitlines() if says in line}
            assert str(path) in line
            assert line.count(": ") >= 3  # warning, what, why, what to do


@pytest.fixture
def under_way(project: Screen) -> Path:
    """The sign of a driver that has begun a run and lives elsewhere."""
    record = project.find(f"{LEDGER}/runs/*.json")
    data = json.loads(record.read_text())
    data |= {"id": "99990101T000000Z-0000", "ended": "", "result": "running"}
    run: str = data["id"]
    (record.parent / f"{run}.json").write_text(json.dumps(data))
    sign = driver_sign.Sign(run, run_record.now(), "half of it", namespace="")
    path = project.root / LEDGER / f"drivers/{run}.alive"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(asdict(sign)))
    return path


@pytest.mark.parametrize(
    "kind", sorted({**ANY, **JSON}.keys() - {"wrong types inside"})
)
@pytest.mark.parametrize("command", ["attach", "cancel", f"report {STEP}"])
def test_sign_of_a_driver_is_damaged(
    project: Screen, under_way: Path, command: str, kind: str
) -> None:
    under_way.write_bytes({**ANY, **JSON}[kind](under_way.read_bytes()))
    result = sane(project.call(*command.split()))
    assert result.exit_code == (2 if command == "attach" else 0), result.output
    (line,) = (line for line in result.stderr.splitlines() if "is damaged" in line)
    assert line.startswith(f"warning: {under_way}: ")


@pytest.mark.parametrize("kind", sorted(SOME))
def test_a_damaged_sign_of_a_driver_stops_no_other_command(
    project: Screen, under_way: Path, kind: str
) -> None:
    under_way.write_bytes({**ANY, **JSON}[kind](under_way.read_bytes()))
    codes = {f"status {STEP}": 0, **{c: code for c, (code, _) in OTHERS.items()}}
    for command, code in {**codes, f"run {STEP}": 1}.items():
        result = sane(project.call(*command.split()))
        assert (command, result.exit_code) == (command, code), result.output


@pytest.mark.parametrize("command", ["attach", f"status {STEP}", f"report {STEP}"])
def test_an_older_run_is_shown_where_the_newest_record_is_damaged(
    project: Screen, under_way: Path, command: str
) -> None:
    run = under_way.stem
    record = project.root / LEDGER / f"runs/{run}.json"
    record.write_bytes(record.read_bytes()[:-9])
    result = sane(project.call(*command.split()))
    assert f"warning: {record}: is damaged (" in result.stderr
    assert result.exit_code == (1 if command == "attach" else 0)
    if command == "attach":
        assert "2 done, 1 failed" in result.stdout


def test_a_driver_that_lives_is_not_taken_for_gone_by_a_damaged_sign(
    project: Screen, under_way: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes it anew within some seconds."""
    whole = under_way.read_bytes()
    under_way.write_bytes(b"")
    monkeypatch.setattr(time, "sleep", lambda s: under_way.write_bytes(whole))
    ledger = Ledger(Storage(str(project.root)), LEDGER)
    sign = driver_sign.watch(ledger, under_way.stem)
    assert sign is not None
    assert sign.progress == "half of it"


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name in OWN for kind in NEWER]
)
def test_own_file_of_a_newer_version_is_read(
    project: Screen, name: str, kind: str
) -> None:
    own = OWN[name]
    path = project.find(own.pattern)
    path.write_bytes(NEWER[kind](path.read_bytes()))
    for command in {**own.commands, **own.slow}:
        if " --force" not in command:
            assert "is damaged" not in sane(project.call(*command.split())).output
