"""What `--help` says of options."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from cpengine.cli import app


def commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of each command and group, from the program on."""
    yield words
    command = getattr(command, "imported", command)
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*words, name))


EVERY = list(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_an_option_that_takes_no_value_has_no_type(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*words, "--help"])
    assert shown.exit_code == 0
    assert "--help" in shown.output
    assert "<bool>" not in shown.output
    options = shown.output.partition(" Options ")[2]
    assert "<list[" not in options
