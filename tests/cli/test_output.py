"""What a command says where the machine ends: no memory, no room for its output."""

import pytest
import typer
from typer.testing import CliRunner

from cpengine.cli.base import Commands


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "memory: free some"),
        (MemoryError("no 5 GB"), "memory (no 5 GB): free some"),
    ],
)
def test_a_command_without_memory_ends_with_a_line(
    error: MemoryError, said: str
) -> None:
    app = typer.Typer(cls=Commands)

    @app.command()
    def large() -> None:
        raise error

    app.callback()(lambda: None)
    result = CliRunner().invoke(app, ["large"])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: there is not enough {said}")
    assert len(result.stderr.splitlines()) == 1
