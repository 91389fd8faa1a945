"""The commands for a run that goes on elsewhere: `attach` and `cancel`."""

import os
import shlex
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from cpengine.cli.base import (
    OK,
    SOME_FAILED,
    Every,
    Folder,
    Yes,
    print_err,
    print_out,
)
from cpengine.cli.going_on import arguments_of
from cpengine.errors import ExecutorError, InputError
from cpengine.executors import detach, registry
from cpengine.executors.entry import ExecutorEntry
from cpengine.ledger import driver_sign, heartbeat, run_record
from cpengine.ledger.driver_sign import Sign
from cpengine.ledger.ledger import Ledger
from cpengine.project import Project
from cpengine.project.last_run import describe_run
from cpengine.project.status import steps_that_ran
from cpengine.wording import counted, on_one_line

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
    def goes_on_alone(self) -> bool:
        """Whether its driver was killed, and machines go on that need none."""
        is_killed = self.record["result"] == run_record.KILLED
        executor = self.executor if is_killed else None
        return executor is not None and executor.goes_on_alone(self.ledger)

    @property
    def executor(self) -> ExecutorEntry | None:
        """What ran it, if that is known here."""
        return registry.find(self.record["executor"])

    def watch(self) -> Sign | None:
        """The driver's sign; None if it is gone, or was silent for a minute."""
        return driver_sign.watch(self.ledger, self.id, _waits)


def _waits(sign: Sign) -> None:
    """Say that it takes time, if the last sign looks old."""
    if not sign.seems_alive:
        print_err(
            f"{sign}: its last sign looks old: watching for up to "
            f"{driver_sign.SILENT_S:.0f} s whether there is another"
        )


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

    def start(self, project: Project, run: _LastRun) -> NoReturn:
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
        if not run.has_ended():
            _clear(project, run)
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
        sign = run.watch()
        if sign is not None:
            print_err(f"{run.step}: {sign.progress or 'it goes on'}{sign.silence}")
        elif not _again(run).has_ended():  # else just now, in good order
            again.start(project, run)
        time.sleep(every)
        run = _again(run)
        if run.has_ended() and _well(run) and run.record.get("then"):
            run = _next(project, run, every)
    if go_on and run.record["result"] == run_record.KILLED:  # as was seen before
        again.start(project, run)
    print_out(f"{run.step}: {describe_run(run.record)}")
    raise typer.Exit(OK if _well(run) else SOME_FAILED)


def cancel(folder: Folder = Path()) -> None:
    """Stop a run, wherever it is: what is done is recorded, the rest is left."""
    project = Project.load(folder)
    run = _newest(project)
    if run.has_ended() and not run.goes_on_alone:
        raise InputError(f"{run.step}: no run is under way: {describe_run(run.record)}")
    sign = run.watch()
    if sign is not None:
        heartbeat.ask_to_stop(run.ledger, run.id)
        print_err(f"asked the driver on {sign.host} to stop{sign.silence}")
        _wait_for_end(run, sign)
    run = _again(run)  # a driver takes its sign away after it has ended
    if run.has_ended() and not run.goes_on_alone:
        print_out(f"{run.step}: {describe_run(run.record)}")
        return
    if not run.is_own:
        raise ExecutorError(f"{_gone(run)}; the run is not yours: nothing is removed")
    if (executor := run.executor) is not None:
        for line in executor.take_down(project, run.step):
            print_err(f"note: {line}")
    _clear(project, run)
    print_out(f"{run.step}: its driver was gone already: what it left is removed")


def _wait_for_end(run: _LastRun, sign: Sign) -> None:
    """Wait until a driver has ended its run, or is gone.

    Raises
    ------
    ExecutorError
        It does neither.
    """
    until = time.monotonic() + _STOP_S
    last: Sign | None = sign
    while last is not None and not run.has_ended():
        if time.monotonic() > until:
            raise ExecutorError(
                f"{run.step}: the driver, process {sign.pid} on {sign.host}, does not "
                "stop: end it there, and cancel again"
            )
        time.sleep(1)
        run = _again(run)
        last = None if run.has_ended() else run.watch()


def _well(run: _LastRun) -> bool:
    """Whether a run that has ended did all jobs."""
    return run.record["result"] == "ended" and not run.record["counts"].get("failed")


def _newest(project: Project) -> _LastRun:
    """The run that began last, of whatever step; of those that go on, if any does."""
    steps = steps_that_ran(project)
    runs = [run for name in steps if (run := _last(project, name))]
    going_on = [pair for name in steps for pair in _going_on(project, name)]
    near = [run for run, seems_alive in going_on if seems_alive]
    if not runs and not going_on:
        raise InputError("nothing has run yet: run a step first")
    if len(near) > 1:
        others = counted(len(near) - 1, "other run")
        go = "goes" if len(near) == 2 else "go"
        print_err(f"note: {others} of this project {go} on: see `cpengine status`")
    newest = _newest_of(near or runs or [run for run, _ in going_on])
    if near or not newest.has_ended():
        return newest
    # Those elsewhere whose clock or sign says nothing may go on all the same.
    silent = sorted((run for run, _ in going_on), key=lambda run: run.id, reverse=True)
    return next((run for run in silent if run.watch()), newest)


def _newest_of(runs: Iterable[_LastRun]) -> _LastRun:
    return max(runs, key=lambda run: run.id)


def _going_on(project: Project, step: str) -> Iterator[tuple[_LastRun, bool]]:
    """A step's runs that may go on, and whether they seem to."""
    ledger = project.ledger(project.step(step))
    for sign in driver_sign.read_all(ledger):
        record = None if sign.has_died else run_record.read(ledger, sign.run)
        if record and not record["ended"]:
            yield _LastRun(step, ledger, record), sign.seems_alive


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


def _gone(run: _LastRun) -> str:
    user, host = run.record["user"], run.record["host"]
    driver = on_one_line(f"{user}'s driver on {host}")
    return f"{run.step}: {driver} is gone, what is done is recorded"


def _clear(project: Project, run: _LastRun) -> None:
    """Remove what a driver left that is gone: its worker jobs, and its signs."""
    key = driver_sign.key_of(run.ledger, run.id)
    sign = driver_sign.SIGN.look_up(run.ledger.storage, key)
    if isinstance(sign, Sign) and heartbeat.is_own(run.ledger, run.id):
        executor = run.executor
        for line in executor.clean_up(project, sign.traces) if executor else ():
            print_err(f"note: {line}")
    heartbeat.replace_silent(run.ledger, run.id)
    run_record.close(run.ledger, run.id)
