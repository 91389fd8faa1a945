"""Measured jobs as they would be, and the command line to ask about them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner, Result

from cpengine.cli.command_group import Commands
from cpengine.cli.estimate import estimate
from cpengine.model import Job
from cpengine.results.estimate.model import Measured
from cpengine.testing import jobs

(ANY,) = jobs("A")

app = typer.Typer(cls=Commands)
app.callback()(lambda: None)  # else the command would have no group to say errors
app.command()(estimate)


def call(*arguments: str | Path) -> Result:
    """Run `cpengine estimate`."""
    return CliRunner().invoke(app, ["estimate", *map(str, arguments)])


def asked(*arguments: str | Path, code: int = 0) -> dict[str, Any]:
    """What `--json` prints."""
    result = call(*arguments, "--json")
    assert result.exit_code == code, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def job(plate: str, well: str = "A01", site: str = "1", image_sets: int = 1) -> Job:
    """A job of a plan."""
    values = {"Plate": plate, "Well": well, "Site": site}
    group = tuple((f"Metadata_{key}", value) for key, value in values.items())
    return replace(ANY, group=group, image_sets=image_sets)


def measured(
    seconds: float,
    image_sets: int = 1,
    own_s: float = 0.5,
    waited_s: float = 0.0,
    peak_memory: int = 0,
) -> Measured:
    """What a job took; half of it was CPU time."""
    return Measured(image_sets, seconds, own_s, waited_s, seconds / 2, peak_memory)
