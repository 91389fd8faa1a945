"""Numbers on the command line have limits, too."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from cpengine.cli import app
from cpengine.config.forms import MOST_LOCAL
from cpengine.errors import ConfigError
from cpengine.executors import registry
from cpengine.job.machine import make_machine
from cpengine.testing import stand_in
from tests import build


def _options(command: Any, names: str) -> Iterator[tuple[str, Any]]:
    """Each option that takes a number, with its command."""
    command = getattr(command, "imported", command)
    for name, inner in getattr(command, "commands", {}).items():
        yield from _options(inner, f"{names} {name}")
    for option in command.params:
        if option.type_descriptor.annotation in (int, float):
            yield f"{names} --{option.name}", option


def test_every_number_has_both_ends() -> None:
    found = dict(_options(typer.main.get_command(app), "cpengine"))
    assert len(found) > 8
    ends = {name: (option.min, option.max) for name, option in found.items()}
    assert [name for name, both in ends.items() if None in both] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "analysis", "--workers", "100000000"],
        ["run", "analysis", "--on", "slurm", "--workers", "100000000"],
        ["run", "analysis", "--max-failures", "9" * 5000],
        ["estimate", "analysis", "--pilot", "100000000"],
        ["attach", "--every", "1e308"],
        ["attach", "--every", "nan"],
        ["aws", "start", "analysis", "--machines", "100000000"],
    ],
)
def test_a_number_beyond_them_is_refused_before_anything_is_read(
    arguments: list[str],
) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert f"Invalid value for '{arguments[-2]}'" in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_one_machine_has_a_lower_limit(tmp_path: Path) -> None:
    project = build.project(tmp_path).project()
    machine = make_machine(project, stand_in(tmp_path, {}))
    with pytest.raises(ConfigError, match=f"^--workers {MOST_LOCAL + 1}: one machine"):
        registry.entry("local").create(project, machine, MOST_LOCAL + 1)
