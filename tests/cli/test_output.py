"""What a command says where the machine ends: no memory, no room for its output."""

import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import pytest
import typer
from typer.testing import CliRunner

from cpengine.cli.command_group import Commands
from tests import build
from tests.build import Built


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "memory: free some"),
        (MemoryError("no 5 GB"), "memory (no 5 GB): free some"),
    ],
)
def test_a_command_without_memory_ends_with_a_line(
    error: MemoryError, words: str
) -> None:
    app = typer.Typer(cls=Commands)

    @app.command()
    def large() -> None:
        raise error

    app.callback()(lambda: None)
    result = CliRunner().invoke(app, ["large"])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: there is not enough {words}")
    assert len(result.stderr.splitlines()) == 1


FULL = Path("/dev/full")
only_linux = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")


@pytest.fixture
def built(tmp_path: Path) -> Built:
    return build.project(tmp_path / "project", wells=("A01",))


def program(*argv: object, **streams: IO[Any] | int) -> "subprocess.Popen[str]":
    """Start the program with its streams elsewhere."""
    command = [sys.executable, "-m", "cpengine", *map(str, argv)]
    return subprocess.Popen(command, text=True, **streams)  # type: ignore[call-overload,no-any-return]  # of streams


COMMANDS = [
    ["--help"],
    ["--version"],
    ["status", "analysis"],
    ["status", "analysis", "--json"],
    ["plan", "analysis"],
    ["plan", "analysis", "--json"],
]


@only_linux
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_output_that_takes_nothing_is_one_line(
    built: Built, command: list[str], unbuffered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    folder = [] if command[0].startswith("-") else ["-C", built.root]
    with FULL.open("w") as full:
        ended = program(*command, *folder, stdout=full, stderr=subprocess.PIPE)
        words = ended.communicate()[1]
    assert (ended.returncode, words) == (
        2,
        "error: standard output: cannot be written (No space left on device): free "
        "space there\n",
    )


@only_linux
def test_a_word_to_the_user_that_cannot_be_written_is_no_traceback(
    built: Built,
) -> None:
    with FULL.open("w") as full:
        command = ["status", "analysis", "-C", built.root / "nowhere"]
        ended = program(*command, stdout=subprocess.PIPE, stderr=full)
        assert ended.communicate()[0].strip() == ""
    assert ended.returncode == 2


def test_a_pipe_that_nobody_reads_is_quiet(built: Built) -> None:
    command = ["plan", "analysis", "--json", "-C", built.root]
    ended = program(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert ended.stdout
    assert ended.stderr
    ended.stdout.close()
    assert ended.stderr.read() == ""
    assert ended.wait() == 1
    ended.stderr.close()
