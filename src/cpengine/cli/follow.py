"""The commands for a run that goes on elsewhere: `attach` and `cancel`."""

import os
import shlex
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from cpengine.cli.aws import Yes
from cpengine.cli.base import OK, SOME_FAILED, Every, Folder, print_err, print_out
from cpengine.cli.going_on import arguments_of
from cpengine.cli.status import describe_run, steps_that_ran
from cpengine.errors import ExecutorError, InputError
from cpengine.executors import detach, leftovers, registry
from cpengine.ledger import heartbeat, run_record
from cpengine.ledger.heartbeat import Sign
from cpengine.ledger.ledger import Ledger
from cpengine.project import Project
from cpengine.wording import on_one_line

_NEXT_S = 300.0
"""How long planning the next step of a run may take."""
_STOP_S = 300.0


@dataclass(frozen=True, slots=True)
class _LastRun:
    """The last run of one step."""

    step: str
    ledger: Ledger
    record: dict[str, Any]

    @property
    def id(self) -> str:
        text: str = self.record["id"]
        return text

    def has_ended(self) -> bool:
        """Whether its driver has written so."""
        return bool(self.record["ended"])

    @property
    def is_own(self) -> bool:
        """Whether it is this user's."""
        return run_record.is_own(self.ledger, self.id)

    @property
    def sign(self) -> Sign | None:
        """The driver's last sign."""
        return heartbeat.sign_of(self.ledger, self.id)


@dataclass(frozen=True, slots=True)
class _Again:
    """How a run would be started again."""

    folder: Path
    """The project's, as it was named."""
    wanted: bool
    yes: bool
    """Whether nobody is to be asked before it costs."""

    def arguments(self, run: _LastRun) -> list[str]:
        """What cpengine is given. Raises ExecutorError if that cannot be known."""
        try:
            name, *others = arguments_of(run.record["command"], self.folder)
        except InputError as error:
            raise ExecutorError(f"{_gone(run)}; {error}") from error
        return [name, *(["--yes"] if self.yes else []), *others]

    def start(self, run: _LastRun) -> NoReturn:
        """Become that command; what another user's record says is shown, not done.

        Raises
        ------
        ExecutorError
            It is not wanted, the run is not this user's, or it has no such command.
        """
        arguments = self.arguments(run)
        command = on_one_line(shlex.join(["cpengine", *arguments]))
        if not run.is_own:
            raise ExecutorError(
                f"{_gone(run)}; the run is not yours: to go on with it: {command}"
            )
        if not self.wanted:
            raise ExecutorError(
                f"{_gone(run)}: go on with `cpengine attach --go-on`, or run again: "
                f"{command}"
            )
        print_err(f"its driver is gone; going on with: {command}")
        words = detach.program(arguments)
        os.execv(words[0], words)


def attach(
    folder: Folder = Path(),
    every: Every = 10,
    go_on: Annotated[
        bool,
        typer.Option(
            "--go-on", help="Start the run again here if its driver was killed."
        ),
    ] = False,
    yes: Yes = False,
) -> None:
    """Follow a run until it ends, from anywhere that sees the outputs."""
    project, again = Project.load(folder), _Again(folder, go_on, yes)
    run = _newest(project)
    while not run.has_ended():
        sign = run.sign
        if sign is not None and sign.alive:
            print_err(f"{run.step}: {sign.progress}")
        else:
            _without_driver(project, run, sign, again)
        time.sleep(every)
        run = _again(run)
        if run.has_ended() and _well(run) and run.record.get("then"):
            run = _next(project, run, every)
    if go_on and run.record["result"] == run_record.KILLED:  # as was seen before
        again.start(run)
    print_out(f"{run.step}: {describe_run(run.record)}")
    raise typer.Exit(OK if _well(run) else SOME_FAILED)


def cancel(folder: Folder = Path()) -> None:
    """Stop a run, wherever it is: what is done is recorded, the rest is left."""
    project = Project.load(folder)
    run = _newest(project)
    if run.has_ended():
        raise InputError(f"{run.step}: no run is under way: {describe_run(run.record)}")
    sign = run.sign
    if sign is not None and sign.alive:
        heartbeat.ask_to_stop(run.ledger, run.id)
        print_err(f"asked the driver on {sign.host} to stop")
        sign = _stopping(run, sign)
    run = _again(run)  # a driver takes its sign away after it has ended
    if run.has_ended():
        print_out(f"{run.step}: {describe_run(run.record)}")
        return
    if not run.is_own:
        raise ExecutorError(f"{_gone(run)}; the run is not yours: nothing is removed")
    if run.record["executor"] == "aws":  # which goes on without a driver
        for line in registry.take_down(project, run.step):
            print_err(f"note: {line}")
    _clear(project, run, sign)
    print_out(f"{run.step}: its driver was gone already: what it left is removed")


def _stopping(run: _LastRun, sign: Sign) -> Sign:
    """Wait until a driver has ended its run, or is gone; give its last sign.

    Raises
    ------
    ExecutorError
        It does neither.
    """
    until = time.monotonic() + _STOP_S
    while sign.alive and not run.has_ended():
        if time.monotonic() > until:
            raise ExecutorError(
                f"{run.step}: the driver, process {sign.pid} on {sign.host}, does not "
                "stop: end it there, and cancel again"
            )
        time.sleep(1)
        run = _again(run)
        sign = run.sign or sign
    return sign


def _well(run: _LastRun) -> bool:
    """Whether a run that has ended did all jobs."""
    return run.record["result"] == "ended" and not run.record["counts"].get("failed")


def _newest(project: Project) -> _LastRun:
    """The run that began last, of whatever step."""
    runs = [run for name in steps_that_ran(project) if (run := _last(project, name))]
    if not runs:
        raise InputError("nothing has run yet: run a step first")
    return max(runs, key=lambda run: run.id)


def _last(project: Project, step: str) -> _LastRun | None:
    ledger = project.ledger(project.step(step))
    record = run_record.last_run(ledger)
    return _LastRun(step, ledger, record) if record else None


def _again(run: _LastRun) -> _LastRun:
    return replace(run, record=run_record.read(run.ledger, run.id) or run.record)


def _next(project: Project, run: _LastRun, every: float) -> _LastRun:
    """The run of the next step, which begins when that is planned."""
    until, then = time.monotonic() + _NEXT_S, run.record["then"]
    while then in project.step_names and time.monotonic() < until:
        found = _last(project, then)
        if found and found.id > run.id:
            return found
        time.sleep(every)
    return run


def _without_driver(
    project: Project, run: _LastRun, sign: Sign | None, again: _Again
) -> None:
    """Refuse to wait for a run whose driver is gone, or start it again."""
    if _again(run).has_ended():  # just now, in good order
        return
    if run.is_own:
        _clear(project, run, sign)
    again.start(run)


def _gone(run: _LastRun) -> str:
    user, host = run.record["user"], run.record["host"]
    driver = on_one_line(f"{user}'s driver on {host}")
    return f"{run.step}: {driver} is gone, what is done is recorded"


def _clear(project: Project, run: _LastRun, sign: Sign | None) -> None:
    """Remove what a killed driver left: its worker jobs, and its signs."""
    if sign is not None and heartbeat.is_own(run.ledger, run.id):
        for line in leftovers.clear(project, sign.traces):
            print_err(f"note: {line}")
    heartbeat.clean_up(run.ledger, run.id)
    run_record.close(run.ledger, run.id)
