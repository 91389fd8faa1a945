"""Ctrl-C in the first second: one line, as later, and never a traceback."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from cpengine.cli import app as cpengine_app
from cpengine.cli.command_group import Commands
from cpengine.cli.stopped import FORCED, STOPPED

_CODE = """
import os, runpy, sys
from importlib.machinery import PathFinder

number, module, *argv = sys.argv[1:]


class Sender:
    \"\"\"Sends the signal when a module is about to be imported.\"\"\"

    def find_spec(self, name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), int(number))


sys.meta_path.insert(0, Sender())
sys.argv = ["cpengine", *argv]
runpy.run_module("cpengine", run_name="__main__")
"""


def _stopped(
    number: signal.Signals, module: str, *argv: str
) -> "subprocess.CompletedProcess[str]":
    """Run the program, and send it a signal while it imports a module."""
    return subprocess.run(
        [sys.executable, "-c", _CODE, str(int(number)), module, *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "module", ["cpengine.cli", "typer", "pydantic", "cpengine.model", "rich"]
)
def test_a_program_that_is_still_being_imported_ends_with_a_line(
    number: signal.Signals, module: str
) -> None:
    ended = _stopped(number, module, "status")
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr == "stopped: nothing was begun\n"


def test_a_command_that_imports_more_ends_with_a_line_too(tmp_path: Path) -> None:
    (tmp_path / "cpengine.toml").write_text('[project]\nname = "a"\nbatch = "b"\n')
    ended = _stopped(
        signal.SIGINT, "cpengine.results.montage.make", "montage", "qc", "-C", tmp_path
    )
    assert ended.returncode == 130
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith("stopped: ")


def test_a_signal_that_a_shell_ignores_stays_ignored() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _CODE, "2", "typer", "--version"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert ended.returncode == 0
    assert ended.stdout.startswith("cpengine ")


def test_an_interrupt_that_became_another_exception_is_one_still() -> None:
    app = typer.Typer(cls=Commands)

    @app.command()
    def stop() -> None:
        raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt()

    @app.command()
    def fail() -> None:
        raise RuntimeError("no interrupt")

    assert CliRunner().invoke(app, ["stop"]).exit_code == 130
    assert isinstance(CliRunner().invoke(app, ["fail"]).exception, RuntimeError)


def _commands(group: TyperGroup, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, child in group.commands.items():
        command = getattr(child, "imported", child)
        if isinstance(command, TyperGroup):
            yield from _commands(command, f"{before}{name} ")
        else:
            yield before + name, command


def test_each_command_says_what_is_true_when_it_is_stopped(
    capsys: pytest.CaptureFixture[str],
) -> None:
    group = typer.main.get_command(cpengine_app)
    assert isinstance(group, TyperGroup)
    commands = dict(_commands(group))
    assert commands.keys() == STOPPED.keys()

    def stop() -> None:
        raise KeyboardInterrupt

    for words, command in commands.items():
        command.callback, command.params = stop, []
        with pytest.raises(SystemExit) as ended:
            group(words.split())
        assert ended.value.code == 130
        assert capsys.readouterr().err == f"stopped: {STOPPED[words]}\n"


def test_a_check_that_is_ended_by_sigterm_does_not_speak_of_a_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from cpengine import cli
    from cpengine.cli import check

    def load(folder: Path) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(check, "load_project", load)
    before = signal.signal(signal.SIGTERM, cli._interrupt)
    try:
        ended = CliRunner().invoke(cpengine_app, ["check", "-C", str(tmp_path)])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (ended.exit_code, ended.stderr) == (130, "stopped: nothing was changed\n")


def test_these_tests_run_where_a_shell_ignores_ctrl_c() -> None:
    name = test_a_program_that_is_still_being_imported_ends_with_a_line.__name__
    test = f"{__file__}::{name}[typer-{int(signal.SIGINT)}]"
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run"], STOPPED["run"]),
        (["run", "--force"], FORCED["run --force"]),
        (["other", "--force"], "nothing was begun"),
    ],
)
def test_who_forced_a_run_goes_on_without(arguments: list[str], says: str) -> None:
    app = typer.Typer(cls=Commands)

    def stop(force: bool = False) -> None:
        raise KeyboardInterrupt

    app.command("run")(stop)
    app.command("other")(stop)
    ran = CliRunner().invoke(app, arguments)
    assert (ran.exit_code, ran.stderr) == (130, f"stopped: {says}\n")
