"""Ctrl-C in the first second: one line, as later, and never a traceback."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cpengine.cli.base import Commands

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
    "module", ["cpengine.cli", "typer", "pydantic", "cpengine.model", "numpy"]
)
def test_a_program_that_is_still_being_imported_ends_with_a_line(
    number: signal.Signals, module: str
) -> None:
    ended = _stopped(number, module, "--version")
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
