"""Text from outside can do nothing on a terminal but be read."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from cpengine.config.forms import Name, Value
from cpengine.group_names import UNFIT
from cpengine.model import FailureKind
from cpengine.run.progress import View
from cpengine.system.terminal import Terminal
from cpengine.wording import visible
from tests import build
from tests.build import Built, change
from tests.cli.test_cli import built, call, faults
from tests.plain_runs import MODULE
from tests.run.progress.screen import ended, follow, of

__all__ = ["built"]

SRC = Path(__file__).parents[2] / "src/cpengine"
TITLE = "\x1b]0;taken\x9c"  # sets the window's
BIDI = [0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
CONTROLS = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *BIDI]
HARMFUL = re.compile(f"[{''.join(map(chr, set(CONTROLS) - {9, 10}))}\ud800-\udfff]")


def test_what_a_terminal_acts_upon_becomes_what_can_be_read() -> None:
    assert visible(TITLE) == r"\x1b]0;taken\x9c"
    assert visible("\x9b31m \u202egnp.exe \udcff \r") == (
        r"\x9b31m \u202egnp.exe \udcff \r"
    )
    for sign in map(chr, CONTROLS):
        assert sign in "\n\t" or visible(sign).isascii()


@pytest.mark.parametrize("text", ["P1 é 日本 µ\tx\n", "[bold]y", "שלום", "a\u0308"])
def test_text_of_any_language_stays(text: str) -> None:
    assert visible(text) == text


def test_markup_in_a_name_is_a_part_of_it(tmp_path: Path) -> None:
    built = build.project(tmp_path, plates=["[bold]y"])
    for command in ("plan", "check", "status"):
        shown = call(command, "analysis", "-C", built.root).stdout
        assert "[bold]y" in shown or command == "check"


@pytest.mark.parametrize("command", ["check", "plan", "run"])
def test_escape_sequences_in_file_names_do_not_reach_the_terminal(
    command: str, built: Built
) -> None:
    change(built.csv, "A01_1.tif", f"A01{TITLE}\u202e.tif")
    ran = call(command, "analysis", "-C", built.root)
    shown = ran.stdout + ran.stderr
    assert not HARMFUL.search(shown)
    assert r"A01\x1b]0;taken\x9c\u202e.tif" in shown or command == "plan"


@pytest.fixture
def failed(built: Built) -> Built:
    """A project with a failed job, whose message and log are hostile."""
    faults(built, {"P1-A01-2": ["module_error"] * 9})
    assert call("run", "analysis", "-C", built.root).exit_code == 1
    ledger = built.root / "projects/proj/workspace/cpengine/B1/analysis"
    (marker,) = ledger.glob("markers/P1-A01-2~*.failed-*")
    data = json.loads(marker.read_text())
    data["failure"]["message"] = f"Error {TITLE}\x9b2J [red]no\nP1-A02-1  done"
    marker.write_text(json.dumps(data))
    (ledger / "logs/P1-A01-2.log").write_bytes(b"Crop\x1b[2J\xff\n\tx\n")
    return built


MESSAGE = r"Error \x1b]0;taken\x9c\x9b2J [red]no\nP1-A02-1  done"


@pytest.mark.parametrize("command", ["status", "report", "estimate"])
def test_errors_of_modules_do_nothing_on_the_terminal(
    command: str, failed: Built
) -> None:
    more = ["--failed"] if command == "status" else []
    ran = call(command, "analysis", "-C", failed.root, *more)
    assert not HARMFUL.search(ran.stdout + ran.stderr)
    assert MESSAGE in ran.stdout or command != "status"


def test_json_has_texts_as_they_are(failed: Built) -> None:
    ran = call("status", "analysis", "-C", failed.root, "--failed", "--json")
    (failure,) = json.loads(ran.stdout)["steps"][0]["failures"]
    assert failure["failure"]["message"].startswith(f"Error {TITLE}\x9b2J [red]no\n")
    assert not HARMFUL.search(ran.stdout)


def test_logs_can_be_read_and_do_nothing(failed: Built) -> None:
    ran = call("logs", "analysis", "P1-A01-2", "-C", failed.root)
    assert ran.stdout == "Crop\\x1b[2J\ufffd\n\tx\n"


def test_a_driver_elsewhere_can_say_what_it_likes(built: Built) -> None:
    faults(built, {})
    assert call("run", "analysis", "-C", built.root).exit_code == 0
    (record,) = built.root.glob("projects/proj/workspace/cpengine/B1/analysis/runs/*")
    data = json.loads(record.read_text())
    record.write_text(json.dumps(data | {"user": TITLE, "host": "\u202e[b]x"}))
    for command in ("status", "attach", "cancel"):
        ran = call(command, "-C", built.root)
        assert not HARMFUL.search(ran.stdout + ran.stderr)
        assert r"by \x1b]0;taken\x9c on \u202e[b]x" in ran.stdout + ran.stderr


def test_the_live_view_does_not_lose_its_place() -> None:
    terminal = Terminal(
        force_terminal=True, width=80, height=24, color_system=None, file=None
    )
    job = of(Metadata_Plate=f"P{TITLE}[b]1", Metadata_Well="A01")
    view = View("analysis", [job], terminal)
    follow(view, ended(job, f"no {TITLE}\nnot\x9b2J", FailureKind.CELLPROFILER))
    with terminal.capture() as capture:
        terminal.print(view._picture())
    text = capture.get()
    assert not HARMFUL.search(text)
    assert r"no \x1b]0;taken\x9c\nn" in text
    assert r"P\x1b]0;taken\x9c[b]1  0/1" in text
    assert all(len(line) <= 80 for line in text.splitlines())


@pytest.mark.parametrize("code", CONTROLS, ids=hex)
def test_names_and_group_values_have_none_of_them(code: int) -> None:
    text = f"P{chr(code)}1"
    assert UNFIT.search(text)
    for kind in (Name, Value):
        with pytest.raises(ValidationError):
            TypeAdapter(kind).validate_python(text)


def test_a_plate_that_is_named_so_is_refused_with_what_it_has(tmp_path: Path) -> None:
    built = build.project(tmp_path)
    build.change(built.csv, ",P1,", ",P\u202e1,")
    ran = call("plan", "analysis", "-C", built.root)
    assert r"'P\u202e1' cannot name a group" in ran.stderr


def test_a_terminal_without_a_sign_shows_its_code(tmp_path: Path) -> None:
    built = build.project(tmp_path, plates=["Pé"])
    ran = subprocess.run(
        [*MODULE, "plan", "analysis", "-C", str(built.root)],
        capture_output=True,
        check=False,
        env={"PYTHONIOENCODING": "ascii", "PATH": "/usr/bin:/bin"},
    )
    assert ran.returncode == 0, ran.stderr
    assert rb"P\xe9-A01-1" in ran.stdout


def test_nothing_is_printed_past_the_two_consoles() -> None:
    printing = re.compile(r"(?<![.\w])(?:typer\.echo|print|Console)\(|\.from_markup\(")
    lines = {
        f"{path.relative_to(SRC)}: {line.strip()}"
        for room in ("cli", "run", "worker", "results", "ledger", "job")
        for path in (SRC / room).rglob("*.py")
        for line in path.read_text().splitlines()
        if printing.search(line) and "visible(" not in line
    }
    json_is_ascii = "typer.echo(json.dumps(data, indent=1, default=str))"
    assert lines == {f"cli/printing.py: {json_is_ascii}"}
