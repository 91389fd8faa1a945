"""What the program imports before it does something: nothing that it does not need."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from cpengine import config
from cpengine.cli import app

_CODE = """
import sys
from cpengine.cli import main

sys.argv = ["cpengine", *sys.argv[1:]]
try:
    main()
finally:
    print(*sys.modules)
"""
HEAVY = {
    *("boto3", "botocore", "dask", "distributed", "h5py", "jinja2", "numpy", "PIL"),
    *("polars", "pyarrow", "s3fs", "tifffile"),
}
"""What only some commands need."""
PROJECT = {"cpengine.config", "fsspec", "psutil", "pydantic"}
"""What only commands need that read a project."""


def imported(*argv: object, **environ: str) -> set[str]:
    """The modules that are there after a command."""
    ended = subprocess.run(
        [sys.executable, "-c", _CODE, *map(str, argv)],
        env=environ or None,
        capture_output=True,
        text=True,
        check=False,
    )
    return set(ended.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_to_list_commands_no_command_is_imported(option: str) -> None:
    found = imported(option)
    assert "typer" in found
    assert found & (HEAVY | PROJECT) == set()


@pytest.mark.parametrize(
    "command", ["init", "check", "plan", "run", "status", "logs", "attach", "cancel"]
)
def test_a_command_imports_nothing_that_only_others_need(command: str) -> None:
    found = imported(command, "--help")
    assert "cpengine.config" in found
    assert found & HEAVY == set()


def test_status_imports_nothing_that_only_others_need(tmp_path: Path) -> None:
    text = '[project]\nname = "a"\nbatch = "b"\n'
    (tmp_path / config.FILE_NAME).write_text(text)
    found = imported("status", "analysis", "-C", tmp_path)
    assert "cpengine.planning.planner" in found
    assert found & HEAVY == set()


def test_the_list_of_commands_says_what_each_says_of_itself() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for name, command in group.commands.items():
        itself = command.imported  # type: ignore[attr-defined]
        assert itself.name in (name, "")
        if command.hidden:
            continue
        assert command.help == inspect.cleandoc(itself.help).split("\n\n")[0]
