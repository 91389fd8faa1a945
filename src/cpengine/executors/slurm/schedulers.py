"""The schedulers of clusters: what each calls things, and how it is asked.

dask-jobqueue writes the job script, submits and cancels. SLURM is also asked where its
jobs stand; of the others only what Dask sees of their workers is known.
"""

import asyncio
import math
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cpengine.config import ClusterSection, HTCondorSection, SlurmSection
from cpengine.errors import ConfigError, ExecutorError
from cpengine.executors.slurm.driver_job import (
    NUMBER,
    directives,
    expect_cluster,
    log_name,
)
from cpengine.executors.slurm.jobqueue import (
    HTCondorJob,
    LSFJob,
    PBSJob,
    QueueJob,
    SGEJob,
    SLURMJob,
)
from cpengine.wording import counted

_ASK_S = 60.0
"""A scheduler that is busy may take long to answer."""
_PASSING = re.compile(
    r"unable to contact|timed out|connection|temporarily|try again|communication"
    r"|not responding|backup controller|protocol authentication|munge",
    re.IGNORECASE,
)
ALIVE = frozenset({"PENDING", "RUNNING", "CONFIGURING", "SUSPENDED", "RESIZING"})
"""States of SLURM's jobs that are not over."""


_ON_THE_CLUSTER = "run it on a machine of the cluster, where its commands are"


class RefusedError(Exception):
    """A scheduler did not take a job; its text is what the scheduler said.

    Attributes
    ----------
    passing
        Whether it may take the same job later.
    cure
        What to do, where that is known; else empty.
    """

    def __init__(self, text: str, *, passing: bool, cure: str = "") -> None:
        super().__init__(text)
        self.passing = passing
        self.cure = cure


@dataclass(frozen=True, slots=True)
class SchedulerState:
    """What a scheduler says of one of its jobs."""

    state: str
    """In the scheduler's words: PENDING, RUNNING, TIMEOUT, ..."""
    reason: str = ""
    node: str = ""
    ending: str = ""
    """Its exit code or signal, where that is known."""


class MakeWorkerJob(Protocol):
    """What makes the job of one worker, as the cluster's settings have it."""

    def __call__(self, name: str, excluded: Sequence[str]) -> QueueJob: ...


Options = Callable[[ClusterSection, Sequence[str]], dict[str, Any]]
Poll = Callable[[str], Mapping[str, SchedulerState]]
Sizes = Callable[[str, str], str]


def _no_sizes(why: str, script: str) -> str:
    return ""


class WorkerCommand:
    """What dask-jobqueue puts into each command of a worker, given once.

    Mixed into its classes. Memory is watched by cpengine: what Dask sees is the worker
    without its CellProfilers.
    """

    worker_process_memory = 0
    worker_process_threads = 0

    def __init__(self, *, threads: int, **more: Any) -> None:
        self.worker_process_threads = threads
        super().__init__(**more)


@dataclass(frozen=True, slots=True)
class BatchScheduler:
    """One kind of scheduler."""

    name: str
    job: type[QueueJob]
    options: Options
    """What its class is told, besides what all are, for settings and bad nodes."""
    poll: Poll | None = None
    """Gives where all jobs of a name stand, by their number, with one call."""
    sizes: Sizes = _no_sizes
    """Gives, for a refusal and the script of the refused job, what that asks for beside
    what nodes have; empty where it is refused for something else."""
    restarts: str = "0"
    """What a job's shell makes the number of its restarts of: a worker that comes again
    is another one to Dask."""

    def skipped(self, settings: ClusterSection) -> list[str]:
        """Which directives to leave out."""
        if issubclass(
            self.job, HTCondorJob
        ):  # it refuses those that it would not write
            known = ("RequestCpus", "RequestMemory", "RequestDisk", "batch_name")
            return [name for name in settings.skip_directives if name in known]
        return list(settings.skip_directives)

    def job_of(
        self,
        settings: ClusterSection,
        excluded: Sequence[str] = (),
        **common: Any,
    ) -> QueueJob:
        """The job of a worker.

        Parameters
        ----------
        excluded
            Nodes that must not be used.
        common
            What every class of dask-jobqueue takes.
        """
        return self.job(**self.options(settings, excluded), **common)


def submit(job: QueueJob) -> str:
    """Submit a worker's job; give its number.

    Raises
    ------
    RefusedError
        The scheduler does not take it, or its command is missing.
    """
    program = shlex.split(job.submit_command)[0]
    text = f"{program} is not on PATH"
    missing = RefusedError(text, passing=False, cure=_ON_THE_CLUSTER)
    limited = shutil.which("timeout", path=os.defpath)
    if limited:  # a command that is only left alone might submit the job later
        within = f"{limited} -k 5 {_ASK_S} {job.submit_command}"
        vars(job)["submit_command"] = within
    try:
        asyncio.run(job.start())
    except FileNotFoundError as error:
        raise missing from error
    except (RuntimeError, ValueError) as error:
        expect_cluster(str(error))
        code = re.search(r"^Exit code: (\d+)$", str(error), re.MULTILINE)
        if code and code[1] == "124":
            raise RefusedError("it did not answer in time", passing=True) from error
        if code and code[1] == "127":
            raise missing from error
        text = _complaint(str(error))
        raise RefusedError(text, passing=bool(_PASSING.search(text))) from error
    return str(job.job_id)


def test_only(script: str) -> None:
    """Ask SLURM whether it would take a job; none is submitted.

    Raises
    ------
    ExecutorError
        It would not, or cannot be asked.
    """
    try:
        ran = subprocess.run(
            ["sbatch", "--test-only"],
            input=script,
            capture_output=True,
            text=True,
            timeout=_ASK_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise ExecutorError(
            f"executors.slurm: sbatch is not on PATH: {_ON_THE_CLUSTER}"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ExecutorError(
            "executors.slurm: SLURM did not answer in time: try again, or see sinfo"
        ) from error
    if ran.returncode:
        expect_cluster(ran.stderr)
        lines = ran.stderr.strip().splitlines() or ["no reason given"]
        raise ExecutorError(
            f"executors.slurm: SLURM would not take a worker's job ({lines[-1]}"
            f"{slurm_sizes(lines[-1], script)}): change its partition, account, cores, "
            "memory_gb or walltime"
        )


def cancel(jobs: Sequence[QueueJob]) -> None:
    """Cancel jobs; those that are gone do not matter."""

    async def all_of_them() -> None:
        await asyncio.gather(*(job.close() for job in jobs), return_exceptions=True)

    asyncio.run(all_of_them())


def _complaint(error: str) -> str:
    """What a command complained of, by an error of dask-jobqueue."""
    head, _, stderr = error.partition("stderr:\n")
    code, _, stdout = head.partition("stdout:\n")
    lines = [line.strip() for line in (stderr.strip() or stdout).splitlines()]
    lines = [line for line in lines if line]
    complaints = [line for line in lines if "error" in line.lower()] or lines[-1:]
    if not complaints:
        found = re.search(r"Exit code: (\d+)", code)
        return f"exit code {found[1]}" if found else code.strip()
    return "; ".join(line.removeprefix("sbatch: error: ") for line in complaints)


# --- SLURM ---------------------------------------------------------------------------


class _Slurm(WorkerCommand, SLURMJob):
    """A job whose number is found below a banner, too.

    dask-jobqueue quotes no value of a directive: those that may need it are ours.
    """

    submit_command = "sbatch --parsable"
    job_id_regexp = NUMBER
    config_name = "slurm"

    def __init__(
        self,
        *,
        log_directory: str,
        job_directives_skip: Sequence[str],
        job_extra_directives: Sequence[str],
        quoted: Mapping[str, str | None],
        **more: Any,
    ) -> None:
        log = Path(log_directory) / more["job_name"]
        own = directives(
            {"-e": log_name(log, "-%J.err"), "-o": log_name(log, "-%J.out"), **quoted},
            job_directives_skip,
        )
        super().__init__(
            job_directives_skip=job_directives_skip,
            job_extra_directives=[*own, *job_extra_directives],
            **more,
        )


def _slurm(settings: ClusterSection, excluded: Sequence[str]) -> dict[str, Any]:
    assert isinstance(settings, SlurmSection)
    _expect_once(settings)
    requeue = "--requeue" if settings.requeue else "--no-requeue"
    skipped = any(skip in requeue for skip in settings.skip_directives)
    return {
        "walltime": settings.walltime,
        "job_mem": f"{_megabytes(settings)}M",
        "job_extra_directives": [*([] if skipped else [requeue]), *settings.directives],
        "quoted": {
            "-p": settings.partition,
            "-A": settings.account,
            "--open-mode": "append",  # a job that is requeued keeps its log
            "--qos": settings.qos,
            "--exclude": ",".join(excluded),
        },
    }


_SET_BY = {
    **dict.fromkeys(("-t", "--time"), "walltime"),
    **dict.fromkeys(("-c", "--cpus-per-task"), "cores"),
    **dict.fromkeys(("-p", "--partition"), "partition"),
    **dict.fromkeys(("-A", "--account"), "account"),
    **dict.fromkeys(("-q", "--qos"), "qos"),
    "--mem": "memory_gb",
}
"""The settings that options of sbatch are written for."""


def _expect_once(settings: SlurmSection) -> None:
    """Refuse directives that say again, and otherwise, what settings say.

    Raises
    ------
    ConfigError
        There is one, or one that is no option.
    """
    for line in settings.directives:
        option = re.split(r"[=\s]", line, maxsplit=1)[0]
        key = _SET_BY.get(option)
        place = f"executors.slurm.directives: {line!r}"
        if not option.startswith("-"):
            raise ConfigError(f"{place}: is no option: write it as '--constraint=avx2'")
        same = [name for name, of in _SET_BY.items() if key and of == key]
        skipped = settings.skip_directives
        if same and not any(skip in name for skip in skipped for name in same):
            raise ConfigError(
                f"{place}: would be in the script twice: set {key}, or name {option} "
                "in skip_directives, too"
            )


def _megabytes(settings: ClusterSection) -> int:
    """A worker's memory; dask-jobqueue would ask for whole gigabytes."""
    return math.ceil(settings.memory_gb * 1024)


def poll_slurm(name: str) -> dict[str, SchedulerState]:
    """Where SLURM's jobs of a name stand, those that ended lately included.

    Raises
    ------
    OSError
        SLURM does not answer; the text is what it said.
    """
    fields = "%i|%T|%r|%N"
    command = ["squeue", "--noheader", "--states=all", f"--name={name}"]
    return dict(
        _standing(line)
        for line in _asked([*command, f"--format={fields}"]).splitlines()
        if line.count("|") == fields.count("|")
    )


def _standing(line: str) -> tuple[str, SchedulerState]:
    number, state, reason, node = (part.strip() for part in line.split("|"))
    return number, SchedulerState(state, "" if reason == "None" else reason, node)


def account_of(number: str) -> SchedulerState | None:
    """How a job ended the last time, by SLURM's accounting; None if that is not known.

    It may be in the queue again.
    """
    command = ["sacct", "--noheader", "--parsable2", "-X", "-D", f"--jobs={number}"]
    try:
        output = _asked([*command, "--format=State,Reason,NodeList,ExitCode"])
    except OSError:  # many sites have none
        return None
    lines = [line.split("|") for line in output.splitlines() if line.count("|") == 3]
    ended = [line for line in lines if line[0] not in ALIVE]
    if not ended:
        return None
    state, reason, node, ending = ended[-1]
    return SchedulerState(
        state.partition(" ")[0],
        "" if reason == "None" else reason,
        "" if node == "None assigned" else node,
        _ending(ending),
    )


_TOO_LARGE = re.compile(
    r"memory|cpu|node configuration|^PartitionConfig|^BadConstraints", re.IGNORECASE
)
"""Refusals and reasons to wait of a job that may be larger than its nodes."""


def slurm_sizes(why: str, script: str) -> str:
    """What a refused job asks for beside what the nodes of its partition have.

    Empty where it is refused for something else, or SLURM does not say.
    """
    if not _TOO_LARGE.search(why):
        return ""
    cores, memory, partition = (
        _last_directive(script, *names)
        for names in (("-c", "--cpus-per-task"), ("--mem",), ("-p", "--partition"))
    )
    nodes = " or ".join(_nodes(partition))
    asked = _size(cores or "1", memory)
    return f"; asked for {asked}, nodes have {nodes}" if nodes else ""


def _last_directive(script: str, *names: str) -> str:
    """The value of an option as the last line has it that gives it."""
    options = "|".join(map(re.escape, names))
    found = re.findall(rf"(?m)^#SBATCH (?:{options})[= ]\s*(.+?)\s*$", script)
    return "".join(shlex.split(found[-1])) if found else ""


def _nodes(partition: str) -> list[str]:
    """The sizes of the nodes of a partition, or of the default one: the largest."""
    chosen = [f"--partition={partition}"] if partition else []
    command = ["sinfo", "--noheader", "--exact", "--format=%P|%c|%m", *chosen]
    try:
        lines = [line.split("|") for line in _asked(command).splitlines()]
    except OSError:
        return []
    nodes = [line for line in lines if len(line) == 3 and line[2].strip().isdigit()]
    default = [line for line in nodes if line[0].endswith("*")]
    sizes = {(int(m), c.strip()) for _, c, m in (not partition and default) or nodes}
    return [_size(cores, f"{mb}M") for mb, cores in sorted(sizes, reverse=True)[:3]]


def _size(cores: str, memory: str) -> str:
    """`4 cores and 4096M of memory`."""
    words = counted(int(cores), "core") if cores.isdigit() else f"{cores} cores"
    return f"{words} and {memory} of memory" if memory else words


def _ending(text: str) -> str:
    """What SLURM writes as `127:0`, or `0:9` of a signal, in words."""
    code, _, signal = text.partition(":")
    if signal not in ("", "0"):
        return f"signal {signal}"
    return "" if code in ("", "0") else f"exit code {code}"


def _asked(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ASK_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{command[0]} did not answer in time") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise OSError(f"{command[0]}: {lines[-1]}")
    return done.stdout


# --- other schedulers ----------------------------------------------------------------


def _pbs(settings: ClusterSection, excluded: Sequence[str]) -> dict[str, Any]:
    size = f"select=1:ncpus={settings.cores}:mem={_megabytes(settings)}MB"
    return _plain(settings) | {"account": settings.account, "resource_spec": size}


def _lsf(settings: ClusterSection, excluded: Sequence[str]) -> dict[str, Any]:
    unwanted = [f'-R "select[hname!={node}]"' for node in excluded]
    return _plain(settings) | {
        "project": settings.account,
        "walltime": _clock(settings).rpartition(":")[0],  # LSF has no seconds
        "job_extra_directives": [*unwanted, *settings.directives],
        "lsf_units": "mb",
    }


def _sge(settings: ClusterSection, excluded: Sequence[str]) -> dict[str, Any]:
    unwanted = [f"-l h=!{node}" for node in excluded]
    return _plain(settings) | {
        "project": settings.account,
        "job_extra_directives": [*unwanted, *settings.directives],
    }


def _plain(settings: ClusterSection) -> dict[str, Any]:
    return {
        "queue": settings.partition,
        "walltime": _clock(settings),
        "job_extra_directives": list(settings.directives),
    }


def _clock(settings: ClusterSection) -> str:
    """The walltime as HH:MM:SS: only SLURM knows days."""
    minutes, rest = divmod(seconds(settings.walltime), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest:02}"


def seconds(walltime: str) -> int:
    """Seconds of a walltime, D-HH:MM:SS or HH:MM:SS."""
    *days, clock = walltime.split("-")
    hours, minutes, rest = map(int, clock.split(":"))
    return 86400 * sum(map(int, days)) + 3600 * hours + 60 * minutes + rest


def _htcondor(settings: ClusterSection, excluded: Sequence[str]) -> dict[str, Any]:
    assert isinstance(settings, HTCondorSection)
    pairs = (line.partition("=") for line in settings.directives)
    wanted = [f'Machine != "{node}"' for node in excluded]
    more = {"Requirements": " && ".join(wanted)} if wanted else {}
    return {
        "disk": f"{settings.disk_gb} GB",
        "job_extra_directives": more | {k.strip(): v.strip() for k, _, v in pairs},
    }


class _Pbs(WorkerCommand, PBSJob):
    pass


class _Lsf(WorkerCommand, LSFJob):
    pass


class _Sge(WorkerCommand, SGEJob):
    pass


class _HTCondor(WorkerCommand, HTCondorJob):
    pass


QUEUES: Mapping[str, BatchScheduler] = {
    "slurm": BatchScheduler(
        "SLURM", _Slurm, _slurm, poll_slurm, slurm_sizes, "${SLURM_RESTART_COUNT:-0}"
    ),
    "pbs": BatchScheduler("PBS", _Pbs, _pbs),
    "lsf": BatchScheduler("LSF", _Lsf, _lsf),
    "sge": BatchScheduler("SGE", _Sge, _sge),
    "htcondor": BatchScheduler("HTCondor", _HTCondor, _htcondor),
}


def last_lines(folder: Path, number: str) -> list[str]:
    """The lines of a worker's logs that the scheduler kept for a job.

    Its number is a part of their names: `-12.err`, `.o12`.
    """
    plain = number.partition(".")[0]
    name = re.compile(rf"(?:^|[^0-9A-Za-z]|\.[eo]){plain}(?:[^0-9A-Za-z]|$)")
    return [
        line.strip()
        for path in sorted(folder.glob("*"))
        if name.search(path.name)
        for line in path.read_text(errors="replace").splitlines()
        if line.strip()
    ]
