"""Whatever an attempt is ended by is an outcome, of the kind that it deserves."""

import errno
import logging
import subprocess
from pathlib import Path
from typing import Any, NoReturn

import pytest

from cpengine.errors import (
    CellProfilerError,
    ConfigError,
    ExecutorError,
    InputError,
    StorageError,
)
from cpengine.events import Event
from cpengine.executors.retry import next_try
from cpengine.job import image_measures
from cpengine.job.failures import failure_of, trace_of
from cpengine.job.run_job import Machine, run_job
from cpengine.job.verify import verify
from cpengine.ledger.ledger import Ledger
from cpengine.ledger.standing import JobState
from cpengine.model import AttemptError, Failure, FailureKind, Job
from cpengine.system import process, scratch
from cpengine.testing import jobs, machine

(JOB,) = jobs("P1")


@pytest.fixture(params=[False, True], ids=["command", "host"])
def this_machine(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    with machine(tmp_path, {}, warm=request.param) as made:
        yield made


def _raising(error: BaseException) -> Any:
    def call(*arguments: object, **more: object) -> NoReturn:
        raise error

    return call


def _failure(this_machine: Machine, job: Job = JOB) -> Failure:
    """What a job fails with; its marker says the same, and nothing else is left."""
    failure = run_job(job, this_machine).failure
    assert failure is not None
    ledger = Ledger(this_machine.places.outputs, job.ledger)
    (standing,) = ledger.standings([job])
    assert (standing.state, standing.failure) == (JobState.FAILED, failure.kind)
    return failure


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("x"), FailureKind.INTERNAL),
        (RecursionError("x"), FailureKind.INTERNAL),
        (InputError("x"), FailureKind.BAD_INPUT),
        (ConfigError("x"), FailureKind.BAD_INPUT),
        (CellProfilerError("x"), FailureKind.BAD_INPUT),
        (ExecutorError("x"), FailureKind.BAD_INPUT),
        (StorageError("x"), FailureKind.STORAGE),
        (OSError(errno.ENOSPC, "No space left on device"), FailureKind.STORAGE),
        (PermissionError(errno.EACCES, "Permission denied"), FailureKind.STORAGE),
        (ConnectionResetError("x"), FailureKind.STORAGE),
        (BlockingIOError(errno.EAGAIN, "no more processes"), FailureKind.MACHINE),
        (OSError(errno.EMFILE, "Too many open files"), FailureKind.MACHINE),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), FailureKind.MACHINE),
        (MemoryError(), FailureKind.MACHINE),
        (RuntimeError("can't start new thread"), FailureKind.MACHINE),
        (
            _caused(StorageError("x"), OSError(errno.ENFILE, "x")),
            FailureKind.MACHINE,
        ),
        (AttemptError(FailureKind.STALLED, "x"), FailureKind.STALLED),
    ],
    ids=lambda value: repr(value) if isinstance(value, Exception) else str(value),
)
def test_each_exception_is_of_a_kind(error: Exception, kind: FailureKind) -> None:
    assert failure_of(error).kind is kind


def test_a_failure_is_one_line_however_its_exception_is_worded() -> None:
    message = failure_of(ValueError("a\nb" + "c" * 10_000)).message
    assert message.startswith("ValueError: a bc")
    assert len(message) == 300


def test_a_traceback_can_be_written_whatever_is_in_it() -> None:
    assert "ValueError: \\udcff" in trace_of(ValueError("\udcff"))


def test_what_nobody_foresaw_is_an_outcome_with_its_traceback_in_the_log(
    this_machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_measures, "of", _raising(KeyError("no such thing")))
    failure = _failure(this_machine)
    assert (failure.kind, failure.message) == (
        FailureKind.INTERNAL,
        "KeyError: 'no such thing'",
    )
    log = Path(failure.log or "").read_text()
    assert "module LoadData" in log
    assert log.endswith("KeyError: 'no such thing'\n")
    assert "Traceback (most recent call last)" in log
    assert next_try(run_job(JOB, this_machine), 0.0) is None
    assert list(this_machine.scratch.glob("*-P1-*")) == []


def test_it_is_one_also_before_there_is_a_folder_or_a_log(
    this_machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "fresh", _raising(ZeroDivisionError("x")))
    failure = _failure(this_machine)
    assert failure.kind is FailureKind.INTERNAL
    assert Path(failure.log or "").read_text().endswith("ZeroDivisionError: x\n")


@pytest.mark.parametrize("fails", ["write", "publish"])
def test_it_is_one_also_where_nothing_can_be_recorded(
    this_machine: Machine, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    monkeypatch.setattr(image_measures, "of", _raising(KeyError("x")))
    broken = _raising(TypeError("broken, too"))
    monkeypatch.setattr(type(this_machine.places.outputs), fails, broken)
    failure = run_job(JOB, this_machine).failure
    assert failure is not None
    assert failure.kind is FailureKind.INTERNAL


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_what_ends_the_program_is_no_outcome(
    this_machine: Machine, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.setattr(image_measures, "of", _raising(error))
    with pytest.raises(type(error)):
        run_job(JOB, this_machine)
    assert list(this_machine.scratch.glob("*-P1-*")) == []


def test_a_setting_that_is_wrong_is_bad_input_and_not_tried_again(
    this_machine: Machine, tmp_path: Path
) -> None:
    (tmp_path / "load_data.csv").write_text(
        "FileName_DNA,PathName_DNA,Metadata_Plate\na.tif,nosuch://images,P1\n"
    )
    failure = _failure(this_machine)
    assert failure.kind is FailureKind.BAD_INPUT
    assert "nosuch://" in failure.message
    assert next_try(run_job(JOB, this_machine), 0.0) is None


def test_no_place_to_work_in_leaves_its_marker(this_machine: Machine) -> None:
    this_machine.scratch.rmdir()
    assert _failure(this_machine).kind is FailureKind.STORAGE


@pytest.mark.parametrize("prefix", [(), None], ids=["plain", "setpriv"])
def test_a_missing_program_is_the_machines_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, prefix: tuple[str, ...] | None
) -> None:
    this_machine = machine(tmp_path, {})
    (tmp_path / "cellprofiler").unlink()
    if prefix is not None:
        monkeypatch.setattr(process, "_dies_with_parent", lambda: prefix)
    failure = _failure(this_machine)
    assert failure.kind is FailureKind.MACHINE
    assert "cellprofiler" in failure.message
    assert "No such file or directory" in failure.message


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE])
def test_a_machine_that_can_start_no_process_is_tried_again_later(
    this_machine: Machine, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    error = OSError(number, "fork failed")
    monkeypatch.setattr(subprocess, "Popen", _raising(error))
    assert _failure(this_machine).kind is FailureKind.MACHINE
    again = next_try(run_job(JOB, this_machine), 5.0)
    assert again is not None
    assert (again.attempt, again.after_s) == (2, 5.0)


def test_a_folder_that_is_gone_is_not_taken_for_a_program(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        process.Child.start(["true"], {}, tmp_path / "gone", error=subprocess.DEVNULL)


def test_a_listener_that_is_broken_harms_no_job_and_is_logged_once(
    this_machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    def listen(event: Event) -> None:
        raise ValueError("broken")

    with caplog.at_level(logging.ERROR):
        assert run_job(JOB, this_machine, listen=listen).done
    assert caplog.text.count("ValueError: broken") == 1


@pytest.mark.parametrize(
    ("done", "kind"),
    [
        ("", FailureKind.CRASH),
        ("Complete", FailureKind.CRASH),
        ("Failure", FailureKind.CELLPROFILER),
    ],
)
def test_a_process_that_a_signal_ends_when_it_is_complete_has_crashed(
    done: str, kind: FailureKind, tmp_path: Path
) -> None:
    (tmp_path / "done").write_text(done)
    with pytest.raises(AttemptError) as raised:
        verify(process.Ended(-9), tmp_path, JOB)
    assert raised.value.kind is kind
