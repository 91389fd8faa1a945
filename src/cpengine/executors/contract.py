"""For those who write executors: a stand-in CellProfiler and the suite to pass.

Subclass `ExecutorContract`, name the executor in `on`, and pytest runs every promise of
the seam against what its entry makes. The stand-in misbehaves as told, by job and
attempt.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil

from cpengine import config
from cpengine.cellprofiler.find import CellProfiler
from cpengine.cellprofiler.pool import PROGRAM, Hosts
from cpengine.events import Event, JobRetried
from cpengine.executors import registry
from cpengine.executors.base import Executor
from cpengine.executors.machine_spec import memory_rule
from cpengine.job.admission import Slots
from cpengine.job.run_job import Machine, run_job
from cpengine.ledger.ledger import Ledger
from cpengine.ledger.standing import JobState, states
from cpengine.model import FailureKind, Job, Outcome
from cpengine.planning.project import ResolvedProject
from cpengine.storage.cache import PREFIX as CACHE
from cpengine.storage.cache import Cache
from cpengine.storage.roots import Places
from cpengine.storage.store import Storage

_STAND_IN = '''\
#!{python}
"""Does what faults.json says for this attempt: as the command, or in a host."""
import json, os, signal, sys, time
from pathlib import Path


HOME = Path(__file__).resolve().parent


def run(argv, tell, exact=(), active=None, **seen):
    """Run a job by CellProfiler's options; give the exit code."""
    option = dict(zip(argv, argv[1:]))
    group = dict(pair.split("=") for pair in option["-g"].split(","))
    job = "-".join(group.values())
    attempt = len(list(HOME.glob(job + ".attempt*"))) + 1
    (HOME / (job + ".attempt" + str(attempt))).write_text(str(os.getpid()))
    faults = json.loads((HOME / "faults.json").read_text()).get(job, [])
    act = faults[attempt - 1] if attempt <= len(faults) else "ok"
    if act.startswith("exact_"):
        act = act[6:] if exact else "ok"
        if active and exact:
            Path(active).write_text("" if act == "fault" else exact[0])
    if act == "raise":
        tell("exact_failed", name=exact[0], error="ValueError: no such thing")
        act = "module_error"
    out = Path(option["-o"])
    line = "now: Image # 1, module LoadData # 1: "
    line += "CPU_time = 0.01 secs, Wall_time = 0.02 secs"
    print(line, file=sys.stderr, flush=True)
    ended = dict(module="LoadData", module_num=1, cpu_s=0.01, wall_s=0.02)
    tell("module", image_number=1, **ended)
    if act == "garble":
        print(line.replace("0.02", "0.0.2"), file=sys.stderr, flush=True)
        tell("module", image_number=1, **dict(ended, wall_s="long"))
    if act == "hang":
        time.sleep(600)
    if act == "eat":
        held = [bytearray(2**24)]
        while True:
            held.append(bytearray(b"x") * 2**24)
            time.sleep(0.1)
    if act.startswith("slow"):
        time.sleep(float(act[4:]))
    if act in ("crash", "fault"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if act == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if act == "module_error":
        message = "Error detected during run of module Crop"
        error = "ValueError: no such thing"
        trace = "Traceback (most recent call last):\\n" + error
        print(message, trace, sep="\\n", file=sys.stderr)
        tell("error", message=message, module="Crop", error=error, traceback=trace)
    failed = act in ("module_error", "failure")
    if act == "zero":
        (out / "Image.csv").touch()
    elif act != "empty":
        data = next((a.partition("=")[2] for a in argv if a.startswith("--data-")), "")
        seen.update(argv=argv, environ=dict(os.environ))
        seen["inputs"] = os.listdir(option["-i"])
        seen["csv"] = Path(data).read_text() if data else ""
        other = "-other" if act == "bytes" else ""
        (out / "Image.csv").write_text("Metadata\\n" + option["-g"] + other + "\\n")
        (out / (job + ".json")).write_text(json.dumps(seen))
    Path(option["-d"]).write_text("Failure\\n" if failed else "Complete\\n")
    return 255 if failed else 0


class MainRun:
    """Stands for CellProfiler's `main` in the host."""

    status = ""

    def __init__(self, request, channel, sheets, accelerations):
        self.request, self.channel = request, channel
        off = accelerations.describe()["exact"]["off"]
        self.exact = [name for name in request["exact"] if name not in off]
        self.active = accelerations.active

    def __call__(self):
        os.chdir(self.request["folder"])
        os.environ.update(self.request["environ"])
        tell, columns = self.channel.tell, self.request["columns"]
        argv = self.request["argv"]
        return run(argv, tell, self.exact, self.active, columns=columns)


class Accelerations:
    """All can be used but those that host.json names; none is ever put in place."""

    def __init__(self, active):
        self.active = active

    def describe(self):
        text = HOME / "host.json"
        given = json.loads(text.read_text()) if text.exists() else {{}}
        processor = dict(cpu="stand-in", blas_kernel="Generic", blas_threads=1)
        processor.update(given.get("processor", {{}}))
        return dict(exact=dict(on=[], off=given.get("off", {{}})), processor=processor)


class State:
    """Nothing stays from one run to the next."""

    def reset(self):
        pass

    def tidy(self):
        return []


def serve():
    """Be the real host, but for CellProfiler."""
    sys.path.append({hosts!r})
    import host

    host.boot, host.MainRun, host.State = lambda plugins, temp: None, MainRun, State
    host.load_accelerations = lambda kernels, active: Accelerations(active)
    host.main()


if sys.argv[1:] == ["--version"]:
    print("{version}")
elif sys.argv[1] == "--log":
    serve()
else:
    sys.exit(run(sys.argv[1:], lambda event, **details: None))
'''


VERSION = "4.2.8.1"
"""What the stand-in says of itself."""
_PROJECT = """\
[project]
name = "contract"
batch = "B1"

[storage]
root = "."

[cellprofiler]
path = "{script}"
jobs_per_process = 1
"""
GROUPS = ("P1", "P2", "P3", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
"""The groups that the stand-in's data file has."""


def stand_in(folder: Path, faults: Mapping[str, Sequence[str]]) -> CellProfiler:
    """Write a stand-in CellProfiler, and the pipeline that its jobs name.

    What its command starts serves as the program of hosts, too.

    Parameters
    ----------
    faults
        By job id, what each attempt does: `ok`, `module_error`, `failure`, `crash`,
        `kill`, `hang`, `empty`, `zero`, `eat` (memory), `garble` (says what nobody
        expects) or `slow3` (3 s). Attempts not listed are `ok`. With `exact_` before
        them they are done only where accelerations are used, as are `exact_bytes`
        (another result), `exact_raise` (one of them fails) and `exact_fault` (a crash
        while none is at work). Each run of a job is an attempt.
    """
    script = _script(folder)
    hosts = str(PROGRAM.parent)
    script.write_text(
        _STAND_IN.format(python=sys.executable, hosts=hosts, version=VERSION)
    )
    script.chmod(0o755)
    (folder / "any.cppipe").write_text("CellProfiler Pipeline:\n")
    (folder / "faults.json").write_text(json.dumps(faults))
    (folder / "load_data.csv").write_text("\n".join(["Metadata_Plate", *GROUPS, ""]))
    return _cellprofiler(folder)


def _script(folder: Path) -> Path:
    return folder / "cellprofiler"


def _cellprofiler(folder: Path) -> CellProfiler:
    python = Path(sys.executable)
    return CellProfiler((str(_script(folder)),), VERSION, "stand-in", python=python)


def machine(
    folder: Path, faults: Mapping[str, Sequence[str]], *, warm: bool = False
) -> Machine:
    """A machine whose storage root, scratch and stand-in are in one folder.

    Parameters
    ----------
    warm
        Whether jobs run in long-lived hosts.
    """
    (folder / "scratch").mkdir()
    stand_in(folder, faults)
    return _machine(folder, warm)


def _machine(folder: Path, warm: bool) -> Machine:
    scratch, tool = folder / "scratch", _cellprofiler(folder)
    places = Places.single_root(Storage(str(folder)))
    hosts = Hosts(tool, scratch, program=Path(*tool.command)) if warm else None
    return Machine(places, tool, scratch, Cache.below(scratch, 1.0), hosts=hosts)


def left_in(scratch: Path) -> list[Path]:
    """What is in a scratch folder beside the cache, which stays."""
    return [p for p in scratch.iterdir() if not p.name.startswith(CACHE)]


MAKE = f"{__name__}:machine_again"
"""Names what makes the machine once more, in a worker elsewhere."""


def describe(machine: Machine, memory: int | None = None) -> str:
    """What that must be told, with how many bytes of memory it may use."""
    warm = machine.hosts is not None
    folder = str(machine.scratch.parent)
    return json.dumps({"folder": folder, "warm": warm, "memory": memory})


def machine_again(spec: str, slots: int) -> Machine:
    """Make a machine as `machine` did, of its folder, for so many slots."""
    data = json.loads(spec)
    made = _machine(Path(data["folder"]), data["warm"])
    memory = data["memory"]
    rule = memory_rule(memory, memory // 4) if memory else None
    return replace(made, slots=Slots(slots, rule))


def jobs(*names: str, timeout_s: float | None = None) -> list[Job]:
    """Jobs for the stand-in, one a name; names are among `GROUPS`."""
    return [
        Job(
            step="test",
            group=(("Metadata_Plate", name),),
            pipeline="any.cppipe",
            data_file="load_data.csv",
            input="rules",
            output="out",
            ledger="ledger",
            fingerprint="f",
            image_sets=1,
            timeout_s=timeout_s,
        )
        for name in names
    ]


class ExecutorContract:
    """What every executor promises. Give `on` or `make`, and pytest does the rest."""

    on = ""
    """The executor's name, of which `make` makes one as `cpengine run --on` does."""
    workers: int | None = 2
    """As `--workers`."""
    warm = False
    """Whether CellProfiler is kept running from job to job, so that all is promised of
    that, too."""
    ends_within_s = 10.0
    """So long it may take to end what is under way."""

    def section(self, folder: Path) -> str:
        """Lines of the executor's section of the project file.

        Parameters
        ----------
        folder
            The project's. Work in progress goes to `scratch` there: where that is not
            empty in the end, something was left.
        """
        return ""

    def make(self, machine: Machine) -> Executor:
        """The executor under test."""
        project = self.project(machine.scratch.parent)
        return registry.entry(self.on).create(project, machine, self.workers)

    def project(self, folder: Path) -> ResolvedProject:
        """A project whose CellProfiler is the stand-in in that folder."""
        text = _PROJECT.format(script=_script(folder))
        if section := self.section(folder):
            text += f"\n[executors.{self.on}]\n{section}"
        (folder / config.FILE_NAME).write_text(text)
        return ResolvedProject.load(folder)

    def machine(self, folder: Path, faults: Mapping[str, Sequence[str]]) -> Machine:
        """The machine that the executor is given."""
        return machine(folder, faults, warm=self.warm)

    def outcomes(
        self, machine: Machine, jobs: Sequence[Job], events: list[Event] | None = None
    ) -> dict[str, Outcome]:
        """Run jobs to their end; give outcomes by job id."""
        listen = events.append if events is not None else lambda event: None
        with machine, self.make(machine) as executor:
            found = list(executor.run(jobs, listen))
        assert len(found) == len(jobs)
        return {outcome.job.id: outcome for outcome in found}

    def test_every_job_ends_done_with_its_files_and_marker(
        self, tmp_path: Path
    ) -> None:
        machine = self.machine(tmp_path, {})
        todo = jobs("A", "B", "C")
        found = self.outcomes(machine, todo)
        assert all(outcome.done for outcome in found.values())
        assert (tmp_path / "out/B/Image.csv").read_text().endswith("Metadata_Plate=B\n")
        assert set(found["B"].files) == {"Image.csv", "B.json"}
        ledger = Ledger(machine.places.outputs, "ledger")
        states = {standing.state for standing in ledger.standings(todo)}
        assert states == {JobState.DONE}

    def test_a_failed_job_is_reported_with_module_error_and_log(
        self, tmp_path: Path
    ) -> None:
        machine = self.machine(tmp_path, {"B": ["module_error"] * 9})
        failure = self.outcomes(machine, jobs("A", "B"))["B"].failure
        assert failure is not None
        assert failure.kind is FailureKind.CELLPROFILER
        assert failure.module == "Crop"
        assert failure.message == "ValueError: no such thing"
        assert "ValueError" in Path(failure.log or "").read_text()

    def test_other_jobs_go_on_when_one_fails(self, tmp_path: Path) -> None:
        machine = self.machine(tmp_path, {"A": ["failure"] * 9})
        found = self.outcomes(machine, jobs("A", "B", "C"))
        assert [found[name].done for name in "ABC"] == [False, True, True]

    def test_what_nobody_foresaw_fails_its_job_alone_with_a_traceback(
        self, tmp_path: Path
    ) -> None:
        machine = self.machine(tmp_path, {"B": ["garble"] * 9})
        found = self.outcomes(machine, jobs("A", "B", "C"))
        assert [found[name].done for name in "ABC"] == [True, False, True]
        failure = found["B"].failure
        assert failure is not None
        assert (failure.kind, found["B"].attempt) == (FailureKind.INTERNAL, 1)
        log = Path(failure.log or "").read_text()
        assert "Traceback (most recent call last)" in log
        ledger = Ledger(machine.places.outputs, "ledger")
        assert states(ledger.standings(jobs("B"))) == {"B": JobState.FAILED}

    def test_a_listener_that_raises_loses_no_job(self, tmp_path: Path) -> None:
        def listen(event: Event) -> None:
            raise ValueError("a view that is broken")

        machine = self.machine(tmp_path, {})
        with machine, self.make(machine) as executor:
            found = list(executor.run(jobs("A", "B"), listen))
        assert [outcome.done for outcome in found] == [True, True]

    def test_a_failed_job_publishes_no_output(self, tmp_path: Path) -> None:
        self.outcomes(self.machine(tmp_path, {"A": ["failure"] * 9}), jobs("A"))
        assert not (tmp_path / "out").exists()

    def test_module_errors_and_crashes_are_tried_twice(self, tmp_path: Path) -> None:
        machine = self.machine(tmp_path, {"A": ["module_error"], "B": ["crash"]})
        events: list[Event] = []
        found = self.outcomes(machine, jobs("A", "B"), events)
        assert [found[name].attempt for name in "AB"] == [2, 2]
        assert sum(isinstance(event, JobRetried) for event in events) == 2

    def test_missing_or_empty_output_is_a_failure_and_not_tried_again(
        self, tmp_path: Path
    ) -> None:
        machine = self.machine(tmp_path, {"A": ["empty"], "B": ["zero"]})
        found = self.outcomes(machine, jobs("A", "B"))
        for name in "AB":
            failure = found[name].failure
            assert failure is not None
            assert failure.kind is FailureKind.NO_OUTPUT
            assert found[name].attempt == 1

    def test_a_job_past_its_time_is_ended(self, tmp_path: Path) -> None:
        machine = self.machine(tmp_path, {"A": ["hang"]})
        failure = self.outcomes(machine, jobs("A", timeout_s=1))["A"].failure
        assert failure is not None
        assert failure.kind is FailureKind.TIMEOUT

    def test_no_scratch_is_left(self, tmp_path: Path) -> None:
        machine = self.machine(tmp_path, {"A": ["failure"] * 9})
        self.outcomes(machine, jobs("A", "B"))
        assert left_in(machine.scratch) == []

    def test_stopping_early_leaves_nothing_half_done(self, tmp_path: Path) -> None:
        machine = self.machine(tmp_path, {"B": ["hang"]})
        todo = jobs("A", "B", "C")
        with machine, self.make(machine) as executor:
            run = executor.run(todo)
            first = next(run)
            run.close()
            again = list(executor.run(jobs("A", "C", "D")))
        assert first.done
        self.check_left(machine, todo)
        assert {o.job.id: o.failure for o in again} == dict.fromkeys("ACD")

    def test_cancelling_and_leaving_it_end_a_run_whose_generator_somebody_keeps(
        self, tmp_path: Path
    ) -> None:
        faults = {name: ["slow1"] for name in "CDEFGHIJ"} | {"B": ["hang"] * 9}
        machine, todo = self.machine(tmp_path, faults), jobs(*"ABCDEFGHIJ")
        with machine:
            with self.make(machine) as executor:
                outcomes = executor.run(todo)
                assert next(outcomes).done
                begun = time.monotonic()
                executor.cancel()
                assert time.monotonic() - begun < self.ends_within_s
                assert list(outcomes) == []
                outcomes = executor.run(todo)
                assert next(outcomes).done
                begun = time.monotonic()
            assert time.monotonic() - begun < self.ends_within_s
            assert list(outcomes) == []
        self.check_left(machine, todo)

    def check_left(self, machine: Machine, jobs: Sequence[Job]) -> None:
        """See that nothing is left of jobs that were ended, and not of B at least."""
        found = states(Ledger(machine.places.outputs, "ledger").standings(jobs))
        assert {found[job.id] for job in jobs} <= {JobState.LEFT, JobState.DONE}
        assert found["B"] is JobState.LEFT
        assert left_in(machine.scratch) == []
        for seen in machine.scratch.parent.glob("*.attempt*"):
            assert not psutil.pid_exists(int(seen.read_text()))

    def test_the_order_of_jobs_does_not_matter(self, tmp_path: Path) -> None:
        made = []
        for number, todo in enumerate((jobs(*"ABCD"), jobs(*"DBCA"))):
            folder = tmp_path / str(number)
            folder.mkdir()
            found = self.outcomes(self.machine(folder, {}), todo)
            made.append({name: dict(found[name].files) for name in sorted(found)})
        assert made[0].keys() == made[1].keys()
        names = [{job: set(files) for job, files in run.items()} for run in made]
        assert names[0] == names[1]

    def test_what_is_done_already_is_not_done_again(self, tmp_path: Path) -> None:
        machine = self.machine(tmp_path, {})
        self.outcomes(machine, jobs("A", "B"))
        again = self.machine_again(tmp_path)
        found = self.outcomes(again, jobs("A", "B", "C"))
        assert all(outcome.done for outcome in found.values())
        tried = sorted(path.name for path in tmp_path.glob("*.attempt*"))
        assert tried == ["A.attempt1", "B.attempt1", "C.attempt1"]

    def test_two_copies_of_a_job_come_to_one_result(self, tmp_path: Path) -> None:
        machine = self.machine(tmp_path, {"A": ["slow1", "slow1"]})
        other = self.machine_again(tmp_path)
        with ThreadPoolExecutor(1) as pool:
            copy = pool.submit(run_job, jobs("A")[0], other)
            found = self.outcomes(machine, jobs("A"))
            assert found["A"].done
            assert copy.result().done
        other.close()
        (standing,) = Ledger(machine.places.outputs, "ledger").standings(jobs("A"))
        assert standing.state is JobState.DONE
        published = (tmp_path / "out/A").iterdir()
        sizes = {path.name: path.stat().st_size for path in published}
        marker = Ledger(machine.places.outputs, "ledger").outcome(jobs("A")[0], VERSION)
        assert marker is not None
        assert sizes == marker.files

    def test_a_run_goes_on_after_its_driver_was_killed(self, tmp_path: Path) -> None:
        machine = self.machine(tmp_path, {"B": ["hang"]})
        driver = self.driver(tmp_path)
        try:
            _until(lambda: any(tmp_path.glob("ledger/markers/A~*.done")), driver)
            _until(lambda: (tmp_path / "B.attempt1").exists(), driver)
        finally:
            driver.kill()
            driver.wait()
        for seen in tmp_path.glob("*.attempt1"):  # in workers that live on, B hangs
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(seen.read_text()), signal.SIGKILL)
        found = self.outcomes(machine, jobs(*"ABCD"))
        assert all(outcome.done for outcome in found.values())
        assert not (tmp_path / "A.attempt2").exists()

    def machine_again(self, folder: Path) -> Machine:
        """The same machine once more, as another process would have it."""
        return _machine(folder, self.warm)

    def driver(self, folder: Path) -> "subprocess.Popen[bytes]":
        """A process that runs the jobs A to D with an executor of its own."""
        suite = type(self)
        code = (
            f"import sys\nsys.path[:0] = {sys.path!r}\n"  # where pytest has found it
            f"from {suite.__module__} import {suite.__qualname__} as Suite\n"
            f"suite = Suite()\nvars(suite).update({vars(self)!r})\n"
            f"suite.drive({str(folder)!r})"
        )
        return subprocess.Popen([sys.executable, "-c", code], start_new_session=True)

    def drive(self, folder: str) -> None:
        """What that process does."""
        with (
            self.machine_again(Path(folder)) as machine,
            self.make(machine) as executor,
        ):
            list(executor.run(jobs(*"ABCD")))


def _until(true: Callable[[], bool], driver: "subprocess.Popen[bytes]") -> None:
    """Wait for what a driver brings about."""
    give_up = time.monotonic() + 60
    while not true():
        assert driver.poll() is None, "the driver has ended"
        assert time.monotonic() < give_up, "the driver takes too long"
        time.sleep(0.05)
