"""What long-lived CellProfilers promise to the jobs that they run."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event as Flag
from typing import Any

import psutil
import pytest

from cpengine.cellprofiler.pool import Hosts, Recycling
from cpengine.events import Event, ModuleDone, ProcessEachJob
from cpengine.executors.contract import left_in
from cpengine.job.run_job import Machine, run_job
from cpengine.model import FailureKind, Job, Outcome
from cpengine.system import process
from cpengine.testing import jobs, machine


@pytest.fixture
def warm_machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine with hosts."""
    with machine(tmp_path, {}, warm=True) as made:
        yield made


def _job(name: str = "A") -> Job:
    (job,) = jobs(name)
    return job


def _pid(folder: Path, name: str) -> int:
    """The process in which a job's last attempt ran."""
    *_, last = sorted(folder.glob(f"{name}.attempt*"))
    return int(last.read_text())


def _failure(outcome: Outcome) -> FailureKind | None:
    return outcome.failure.kind if outcome.failure else None


def _recycled(warm_machine: Machine, recycling: Recycling) -> Machine:
    """The machine with hosts that are replaced at other times."""
    tool = warm_machine.cellprofiler
    hosts = Hosts(tool, warm_machine.scratch, recycling, Path(*tool.command))
    return replace(warm_machine, hosts=hosts)


def _hosting(warm_machine: Machine, program: str) -> Machine:
    """The machine with another program in its hosts."""
    path = warm_machine.scratch.parent / "program"
    path.write_text(textwrap.dedent(program))
    return replace(
        warm_machine,
        hosts=Hosts(warm_machine.cellprofiler, warm_machine.scratch, program=path),
    )


# Which process runs a job


def test_a_host_runs_one_job_after_another(
    warm_machine: Machine, tmp_path: Path
) -> None:
    assert all(run_job(job, warm_machine).done for job in jobs("A", "B", "C"))
    pids = {_pid(tmp_path, name) for name in "ABC"}
    assert len(pids) == 1
    assert pids != {os.getpid()}


def test_what_a_host_tells_of_modules_is_passed_on(warm_machine: Machine) -> None:
    events: list[Event] = []
    outcome = run_job(_job(), warm_machine, listen=events.append)
    assert ModuleDone(_job(), 1, "LoadData", 1, 0.02) in events
    assert outcome.module_s == {"1 LoadData": 0.02}
    assert outcome.peak_memory > 0


def test_a_host_has_the_variables_of_a_run_whatever_was_set(
    warm_machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "12345")
    assert run_job(_job(), warm_machine).done
    assert warm_machine.hosts is not None
    (host,) = warm_machine.hosts.idle
    assert psutil.Process(host.pid).environ()["PYTHONHASHSEED"] == "0"


@pytest.mark.parametrize(
    ("act", "limits", "kind"),
    [
        ("module_error", {}, FailureKind.CELLPROFILER),
        ("failure", {}, FailureKind.CELLPROFILER),
        ("crash", {}, FailureKind.CRASH),
        ("hang", {"timeout_s": 0.1}, FailureKind.TIMEOUT),
        ("hang", {"stall_s": 0.1}, FailureKind.STALLED),
        ("hang", {"memory_gb": 0.001}, FailureKind.OUT_OF_MEMORY),
    ],
)
def test_after_a_failure_the_next_job_gets_a_fresh_process(
    act: str, limits: dict[str, Any], kind: FailureKind, tmp_path: Path
) -> None:
    with machine(tmp_path, {"B": [act]}, warm=True) as warm_machine:
        before = run_job(_job("A"), warm_machine)
        failed = run_job(replace(_job("B"), **limits), warm_machine)
        after = run_job(_job("C"), warm_machine)
    assert [_failure(ran) for ran in (before, failed, after)] == [None, kind, None]
    first, same, other = (_pid(tmp_path, name) for name in "ABC")
    assert first == same != other
    assert not psutil.pid_exists(first)


def test_after_a_job_that_was_cancelled_the_next_one_gets_a_fresh_process(
    tmp_path: Path,
) -> None:
    cancelled = Flag()

    def listen(event: Event) -> None:
        if isinstance(event, ModuleDone):
            cancelled.set()

    with machine(tmp_path, {"A": ["hang"]}, warm=True) as warm_machine:
        ended = run_job(_job("A"), warm_machine, listen=listen, cancelled=cancelled)
        assert _failure(ended) is FailureKind.CANCELLED
        assert not psutil.pid_exists(_pid(tmp_path, "A"))
        assert run_job(_job("B"), warm_machine).done


def test_missing_output_alone_ends_no_host(tmp_path: Path) -> None:
    with machine(tmp_path, {"A": ["empty"]}, warm=True) as warm_machine:
        assert _failure(run_job(_job("A"), warm_machine)) is FailureKind.NO_OUTPUT
        assert run_job(_job("B"), warm_machine).done
    assert _pid(tmp_path, "A") == _pid(tmp_path, "B")


def test_a_host_is_replaced_after_so_many_jobs(
    warm_machine: Machine, tmp_path: Path
) -> None:
    with _recycled(warm_machine, Recycling(jobs=2)) as used:
        assert all(run_job(job, used).done for job in jobs("A", "B", "C"))
    first, second, third = (_pid(tmp_path, name) for name in "ABC")
    assert first == second != third


def test_a_host_that_holds_much_memory_is_replaced(
    warm_machine: Machine, tmp_path: Path
) -> None:
    with _recycled(warm_machine, Recycling(memory=1)) as used:
        assert all(run_job(job, used).done for job in jobs("A", "B"))
    assert _pid(tmp_path, "A") != _pid(tmp_path, "B")


def test_jobs_share_a_host_if_their_plugins_are_the_same(
    warm_machine: Machine, tmp_path: Path
) -> None:
    for folder, code in (("one", "x"), ("copy", "x"), ("other", "y")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "my.py").write_text(code)
    for job, plugins in zip(
        jobs("A", "B", "C", "D"), ("one", "copy", "other", None), strict=True
    ):
        assert run_job(replace(job, plugins=plugins), warm_machine).done
    first, same, other, without = (_pid(tmp_path, name) for name in "ABCD")
    assert first == same
    assert len({first, other, without}) == 3
    assert not psutil.pid_exists(first)


def test_a_host_has_the_plugins_as_they_are_when_a_job_comes(
    warm_machine: Machine, tmp_path: Path
) -> None:
    (tmp_path / "plugins").mkdir()
    for name in "AB":
        (tmp_path / "plugins" / "my.py").write_text(f"made_for = {name!r}")
        assert run_job(replace(_job(name), plugins="plugins"), warm_machine).done
    assert _pid(tmp_path, "A") != _pid(tmp_path, "B")


# Hosts that cannot be had, or do not do as they should


def test_where_no_host_starts_each_job_has_a_process_of_its_own(
    warm_machine: Machine, tmp_path: Path
) -> None:
    refusing = """
        import pathlib, sys
        with (pathlib.Path(__file__).parent / "starts").open("a") as starts:
            starts.write("x")
        sys.exit("no such module")
    """
    events: list[Event] = []
    with _hosting(warm_machine, refusing) as used:
        ended = [run_job(job, used, listen=events.append) for job in jobs("A", "B")]
    assert all(outcome.done for outcome in ended)
    assert _pid(tmp_path, "A") != _pid(tmp_path, "B")
    assert events.count(ProcessEachJob("no such module")) == 2
    assert (tmp_path / "starts").read_text() == "x"
    assert left_in(warm_machine.scratch) == []


def test_a_host_whose_start_is_disturbed_by_output_is_none(
    warm_machine: Machine,
) -> None:
    events: list[Event] = []
    with _hosting(warm_machine, "print('welcome', flush=True); input()") as used:
        assert run_job(_job(), used, listen=events.append).done
    (reason,) = (event.why for event in events if isinstance(event, ProcessEachJob))
    assert "welcome" in reason


def test_a_host_that_is_ended_while_it_starts_is_tried_again(
    warm_machine: Machine,
) -> None:
    killed = "import os; os.kill(os.getpid(), 9)"
    with _hosting(warm_machine, killed) as used:
        assert used.hosts
        assert _failure(run_job(_job(), used)) is FailureKind.CRASH
        assert not used.hosts.unavailable


def test_a_host_that_died_while_it_waited_harms_no_job(
    warm_machine: Machine, tmp_path: Path
) -> None:
    assert run_job(_job("A"), warm_machine).done
    first = _pid(tmp_path, "A")
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert run_job(_job("B"), warm_machine).done
    assert _pid(tmp_path, "B") != first


READY = """
    import os, sys, time
    print('{"event": "ready"}', flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize(
    "end",
    [
        "print('nonsense', flush=True)",
        "print('[1, 2]', flush=True)",
        'print(\'{"event": ["end"]}\', flush=True)',
        'print(\'{"event": "end"}\', flush=True)',
        'print(\'{"event": "module", "module": "Crop"}\', flush=True)',
        r"os.write(1, b'\xff\n')",
        "os.close(1)",
        "os._exit(0)",
        "os._exit(3)",
    ],
)
def test_a_host_that_breaks_off_is_a_crash(
    warm_machine: Machine, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_GRACE_S", 0.1)
    lingers = "" if "_exit" in end else "\ntime.sleep(600)\n"
    program = textwrap.dedent(READY) + end + lingers
    with _hosting(warm_machine, program) as used:
        assert _failure(run_job(_job(), used)) is FailureKind.CRASH
    assert left_in(warm_machine.scratch) == []


def test_what_is_printed_does_not_disturb_a_host(
    warm_machine: Machine, tmp_path: Path
) -> None:
    script = Path(*warm_machine.cellprofiler.command)
    noisy = script.read_text().replace(
        "    return 255", "    os.write(1, b'noise\\n'); print('noise')\n    return 255"
    )
    script.write_text(noisy)
    assert run_job(_job(), warm_machine).done
    log = (tmp_path / "ledger/logs/A.log").read_text()
    assert log.count("noise") == 2


# When hosts end


def test_a_host_that_waits_in_vain_is_ended(warm_machine: Machine) -> None:
    with _recycled(warm_machine, Recycling(idle_s=0)) as used:
        hosts = used.hosts
        assert hosts is not None
        with hosts.lend(None, Flag()) as busy:
            with hosts.lend(None, Flag()) as other:
                pass
            assert hosts.idle == (other,)
        assert hosts.idle == (busy,)
        assert not psutil.pid_exists(other.pid)


def test_closing_ends_idle_hosts_and_removes_their_folders(
    warm_machine: Machine, tmp_path: Path
) -> None:
    run_job(_job(), warm_machine)
    assert left_in(warm_machine.scratch) != []
    warm_machine.close()
    assert left_in(warm_machine.scratch) == []
    assert not psutil.pid_exists(_pid(tmp_path, "A"))


def test_hosts_end_with_a_machine_that_nobody_closes(tmp_path: Path) -> None:
    forgotten = machine(tmp_path, {}, warm=True)
    run_job(_job(), forgotten)
    del forgotten
    gc.collect()
    assert left_in(tmp_path / "scratch") == []
    assert not psutil.pid_exists(_pid(tmp_path, "A"))


ENGINE = """
import sys
from pathlib import Path
from cpengine.job.run_job import run_job
from cpengine.testing import jobs, machine

warm_machine = machine(Path(sys.argv[1]), {"B": ["hang"]}, warm=True)
run_job(jobs("A")[0], warm_machine)
print("waiting", flush=True)
if sys.argv[2] == "busy":
    run_job(jobs("B")[0], warm_machine, listen=lambda event: print(event, flush=True))
elif sys.argv[2] == "idle":
    sys.stdin.read()
"""


@pytest.mark.services
@pytest.mark.parametrize("host", ["idle", "busy"])
def test_hosts_end_with_an_engine_that_is_killed(host: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ENGINE, str(tmp_path), host],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as engine:
        assert engine.stdout
        until = "waiting" if host == "idle" else "ModuleDone"
        next(line for line in engine.stdout if line.startswith(until))
        running = psutil.Process(_pid(tmp_path, "A"))
        engine.kill()
    _, still = psutil.wait_procs([running], timeout=60)
    assert not still


def test_hosts_end_with_an_engine_that_forgets_to_close_them(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", ENGINE, str(tmp_path), ""], check=True)
    assert not psutil.pid_exists(_pid(tmp_path, "A"))
    assert left_in(tmp_path / "scratch") == []
