"""Runs of a step in lines: those that go on, and the last one."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from cpengine.ledger.driver_sign import Sign, ago
from cpengine.wording import duration, on_one_line


def describe_runs(run: dict[str, Any] | None, signs: Sequence[Sign]) -> Iterator[str]:
    """A line for each run that goes on, or may; then one for the last run.

    Parameters
    ----------
    run
        The record of the step's last run, if there is one.
    signs
        What the step's drivers say.
    """
    living = [sign for sign in signs if not sign.has_died]
    yield from map(_describe_driver, living)
    if run and (run["ended"] or run["id"] not in {sign.run for sign in living}):
        yield describe_run(run)


def driver_json(sign: Sign) -> dict[str, Any]:
    """A driver as `--json` prints it."""
    names = ("run", "user", "host", "pid", "started", "progress")
    state = "gone" if sign.has_died else "running" if sign.seems_alive else "silent"
    found = {name: getattr(sign, name) for name in names}
    return found | {"last_sign": sign.time, "state": state}


def _describe_driver(sign: Sign) -> str:
    if sign.seems_alive:
        return f"running: {sign}{sign.silence}"
    return f"{sign}: {_age(sign)}: `cpengine attach` sees whether it goes on"


def _age(sign: Sign) -> str:
    if not sign.time:
        return "its last sign cannot be read"
    if math.isinf(sign.silent_s):
        return "its last sign is of a clock that is ahead"
    return f"its last sign is {duration(sign.silent_s)} old"


def describe_run(run: dict[str, Any]) -> str:
    """A run's record in a line; one without an end is of a driver that is gone."""
    counts = ", ".join(map(_count, run["counts"].items()))
    begun = f"last run by {run['user']} on {run['host']} from {run['started']}"
    if not run["ended"]:
        killed = "was killed: `cpengine attach --go-on` goes on with it"
        return on_one_line(f"{begun} ({_ago(run['started'])}) {killed}")
    ended = f"until {run['ended']} ({_ago(run['ended'])}), {run['result']}"
    return on_one_line(f"{begun} {ended}" + (f": {counts}" if counts else ""))


def _count(counted: tuple[str, int]) -> str:
    name, number = counted
    noun = name.replace("_", " ")
    return f"{number} {noun.removesuffix('s') if number == 1 else noun}"


def _ago(time: object) -> str:
    try:
        return ago(str(time))
    except (ValueError, TypeError):  # a record may say anything
        return "at no time"
