"""The arguments of `run_batch_general.py` as keys of the project file.

Source: `run_batch_general.py` 2.2.1. For its older form see `old_batch_script`.
"""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from cpengine.config import PlateSection
from cpengine.config.steps import STEPS
from cpengine.dcp import old_batch_script
from cpengine.dcp.values import Found, Setting, below_bucket
from cpengine.errors import ConfigError

OPTION = "--batch-script"
_OVERRIDES = {
    "--pipeline": "pipeline",
    "--pipeline-path": "pipeline_path",
    "--input-path": "input",
    "--output-structure": "output_structure",
    "--output-path": "output",
    "--datafile-name": "data_file",
    "--datafile-path": "data_path",
    "--batchfile-name": "batch_file",
    "--batchfile-path": "batch_path",
}
_STRUCTURED = ("zproj", "analysis")
"""The steps whose output structure the script lets one change."""


def read(line: str) -> Found:
    """What a line says: the script's arguments, or the path of an old script.

    Raises
    ------
    ConfigError, InputError
        An argument is unknown or wrong, or the old script is.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise ConfigError(f"{OPTION}: {line!r} is cut off ({error})") from error
    if words and words[0].startswith("python"):
        words = words[1:]
    if words and words[0].endswith(".py"):
        script, *words = words
        if not words:
            return old_batch_script.read(Path(script))
    return arguments(words)


def arguments(words: Sequence[str]) -> Found:
    """What the script's arguments say.

    Raises
    ------
    ConfigError
        An argument is unknown, missing or wrong.
    """
    given = vars(_parser().parse_args(words))
    notes: list[str] = []
    step = f"steps.{given['step']}"
    groups = "batch" if given["--use-batch"] else "layout"
    settings = {
        "project.name": Setting(given["identifier"], f"{OPTION}: identifier"),
        "project.batch": Setting(given["batch"], f"{OPTION}: batch"),
        "project.plates": Setting(_split(given["platelist"]), f"{OPTION}: platelist"),
        **_style(given, notes),
        **_plate(given, notes),
        f"{step}.groups": Setting(groups, f"{OPTION}: --use-batch"),
    }
    for option, key in _OVERRIDES.items():
        value = below_bucket(Setting(given[option], f"{OPTION}: {option}"))
        if option == "--output-structure" and given["step"] not in _STRUCTURED:
            if value:
                notes.append(f"{option}: left out, as DCP does for {given['step']}")
        elif value:
            settings[f"{step}.{key}"] = Setting(value, f"{OPTION}: {option}")
    return Found(settings, given["step"], tuple(notes))


class _Parser(argparse.ArgumentParser):
    """Raises where argparse would end the program."""

    def error(self, message: str) -> NoReturn:
        text = " ".join(message.split())
        raise ConfigError(f"{OPTION}: {text}: write what run_batch_general.py takes")


def _parser() -> _Parser:
    parser = _Parser(prog="", add_help=False)
    parser.add_argument("step", choices=list(STEPS))
    for name in ("identifier", "batch", "platelist"):
        parser.add_argument(name)
    options = ["--source", "--rows", "--columns", "--wells", "--sites", *_OVERRIDES]
    for option in options:
        parser.add_argument(option, dest=option, default="")
    choices = {"--path-style": ["default", "cpg"], "--plate-format": ["96", "384"]}
    for option, values in choices.items():
        parser.add_argument(option, dest=option, choices=values, default="")
    for option in ("--use-batch", "--no-well-digit-pad"):
        parser.add_argument(option, dest=option, action="store_true")
    return parser


def _split(values: str) -> list[str]:
    return values.split(",")


def _style(given: dict[str, Any], notes: list[str]) -> dict[str, Setting]:
    """The path style. Raises ConfigError where its source is missing."""
    source = given["--source"]
    if given["--path-style"] != "cpg":
        if source:
            notes.append("--source: left out, as it is for --path-style cpg alone")
        return {}
    if not source:
        raise ConfigError(f"{OPTION}: --path-style cpg needs --source: add it")
    return {
        "storage.layout": Setting("cpg", f"{OPTION}: --path-style"),
        "storage.source": Setting(source, f"{OPTION}: --source"),
    }


def _plate(given: dict[str, Any], notes: list[str]) -> dict[str, Setting]:
    """The plate's layout, as far as it is not cpengine's default."""
    found: dict[str, Any] = {}
    if given["--wells"]:
        found["--wells"] = "wells", _split(given["--wells"])
    elif given["--plate-format"]:
        found["--plate-format"] = "format", int(given["--plate-format"])
    else:
        if given["--rows"]:
            found["--rows"] = "rows", _split(given["--rows"])
        if given["--columns"]:
            found["--columns"] = "columns", _numbers("--columns", given["--columns"])
    if given["--sites"]:
        sites = _numbers("--sites", given["--sites"])
        found["--sites"] = "sites", old_batch_script.sites(sites)
        if len(sites) == 1 and sites != [1]:
            notes.append(
                f"--sites {sites[0]}: is the site of that number alone, as in DCP: for "
                f"all up to it, set plate.sites = {sites[0]}"
            )
    if given["--no-well-digit-pad"]:
        found["--no-well-digit-pad"] = "pad_wells", False
    defaults = PlateSection()
    return {
        f"plate.{key}": Setting(value, f"{OPTION}: {option}")
        for option, (key, value) in found.items()
        if value != getattr(defaults, key)
    }


def _numbers(option: str, values: str) -> list[int]:
    """Numbers, sites as LoadData reads them. Raises ConfigError for any other."""
    for value in _split(values):
        digits = value.isascii() and value.isdigit()
        if not digits or (option == "--sites" and str(int(value)) != value):
            raise ConfigError(
                f"{OPTION}: {option} {values}: {value!r} is not a number without "
                "zeros before it: write one"
            )
    return [int(value) for value in _split(values)]
