"""Numbers have limits: a slip of the keyboard asks no machine for the impossible."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cpengine import config
from cpengine.config import ProjectFile
from cpengine.errors import ConfigError

GOOD = '[project]\nname = "proj"\nbatch = "B1"\n'
THRESHOLDS = {"low_mad", "high_mad", "least_deviation", "min", "max"}
"""Values of measures are compared, never counted or waited for."""


def _numbers(schema: Any, name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each number that a schema allows, with the key that it stands for."""
    if isinstance(schema, list):
        for part in schema:
            yield from _numbers(part, name)
    if not isinstance(schema, dict):
        return
    if schema.get("type") in ("integer", "number") and "enum" not in schema:
        yield name, schema
    for key, part in schema.items():
        if key in ("properties", "$defs"):
            for own, inner in part.items():
                yield from _numbers(inner, own)
        else:
            yield from _numbers(part, name)


def test_every_number_of_the_project_file_has_both_ends() -> None:
    found = list(_numbers(ProjectFile.model_json_schema()))
    assert len(found) > 40
    assert [
        name
        for name, schema in found
        if name not in THRESHOLDS
        and not (
            {"maximum", "exclusiveMaximum"} & schema.keys()
            and {"minimum", "exclusiveMinimum"} & schema.keys()
        )
    ] == []


@pytest.mark.parametrize(
    ("section", "line", "shown"),
    [
        ("executors.local", "workers = 100000000", "100000000 is not allowed"),
        ("executors.slurm", "workers = 100000000", "100000000 is not allowed"),
        ("executors.local", "memory_gb = 1e308", "1e+308 is not allowed"),
        ("executors.local", "memory_gb = inf", "should be a finite number"),
        ("executors.slurm", "memory_gb = nan", "should be a finite number"),
        ("executors.aws", "poll_s = inf", "should be a finite number"),
        ("steps.qc", "timeout_min = 1e300", "1e+300 is not allowed"),
        ("run", "max_failures = 99999999999999999999", "99 is not allowed"),
        ("plate", "sites = 1000000000", "1000000000 is not allowed"),
        ("storage", "cache_gb = inf", "should be a finite number"),
        (
            "executors.slurm",
            'walltime = "99999999-00:00:00"',
            "write it as HH:MM:SS or D-HH:MM:SS",
        ),
    ],
)
def test_a_number_beyond_them_is_one_line(
    tmp_path: Path, section: str, line: str, shown: str
) -> None:
    path = tmp_path / "cpengine.toml"
    path.write_text(f"{GOOD}[{section}]\n{line}\n")
    with pytest.raises(ConfigError) as refused:
        config.load(path)
    (text,) = str(refused.value).splitlines()
    assert f"{section}.{line.partition(' ')[0]}" in text
    assert shown in text


def test_a_pipe_in_place_of_a_project_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "cpengine.toml")
    with pytest.raises(ConfigError, match="toml: is no regular file"):
        config.load(tmp_path / "cpengine.toml")
