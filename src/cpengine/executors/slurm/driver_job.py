"""A run's driver as a job of SLURM, and lines of job scripts as SLURM reads them."""

import re
import shlex
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from cpengine.config import SlurmSection
from cpengine.errors import ConfigError, ExecutorError
from cpengine.executors.detach import program

JOB = """\
#!/bin/bash
{directives}

{prologue}cd {cwd}
exec {command}
"""
_MEMORY_MB = 2048
_OTHER_DRIVER = (
    "change driver_partition, driver_walltime, account or qos in [executors.slurm], or "
    'set driver = "process" there, which needs no job'
)
_PLAIN = re.compile(r"[\w./%:,=+@-]+")
_NO_FILE = frozenset("\n\r\\")
NUMBER = r"(?m)^(?:Submitted batch job )?(?P<job_id>\d+)(?:;\S+| on cluster \S+)?\s*$"
"""What sbatch says of a job that it took, among what a site adds."""


def job_script(arguments: Sequence[str], settings: SlurmSection, log: Path) -> str:
    """The job script of a driver that runs as a SLURM job."""
    given = directives(
        {
            "-J": "cpengine-driver",
            "-o": log_name(log),
            "-n": "1",
            "--cpus-per-task": "1",
            "--mem": f"{_MEMORY_MB}M",
            "-t": settings.driver_walltime,
            "--open-mode": "append",
            "-p": settings.driver_partition or settings.partition,
            "-A": settings.account,
            "--qos": None if settings.driver_partition else settings.qos,
        },
        settings.skip_directives,
    )
    return JOB.format(
        directives="\n".join(f"#SBATCH {line}" for line in given),
        prologue="".join(f"{line}\n" for line in settings.prologue),
        cwd=shlex.quote(str(Path.cwd())),
        command=shlex.join(program(arguments)),
    )


def directives(
    options: Mapping[str, str | None], skipped: Collection[str] = ()
) -> list[str]:
    """Options of sbatch as the lines of a job script have them, but for the word.

    Parameters
    ----------
    options
        Those that have a value are given.
    skipped
        Lines with one of these in them are left out.
    """
    lines = [
        f"{name}{'=' if name.startswith('--') else ' '}{_quoted(value)}"
        for name, value in options.items()
        if value
    ]
    return [
        line for line in lines if not any(skip in f"#SBATCH {line}" for skip in skipped)
    ]


def _quoted(value: str) -> str:
    """A value as sbatch reads it in a script: it is not the shell that does."""
    if _PLAIN.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def log_name(path: Path, ending: str = "") -> str:
    """A file for SLURM to write to; `ending` may have its signs, such as `%J`.

    Raises
    ------
    ConfigError
        SLURM cannot be told of it.
    """
    name = str(path)
    if set(name) & _NO_FILE:
        raise ConfigError(
            f"executors.slurm.folder: {name!r}: SLURM writes to no file with a line "
            "break or a backslash in its path: name another folder"
        )
    return name.replace("%", "%%") + ending


def expect_cluster(complaint: str) -> None:
    """Raise ExecutorError if SLURM's commands complain that there is no cluster."""
    if "configuration source" in complaint or "resolve_ctls" in complaint:
        raise ExecutorError(
            "executors.slurm: SLURM's commands find no cluster (no slurm.conf, no DNS "
            "entry): run on a machine of the cluster, or set SLURM_CONF"
        )


def as_job(script: str) -> str:
    """Submit a driver to SLURM; say what it is.

    Raises
    ------
    ExecutorError
        SLURM does not take it.
    """
    try:
        done = subprocess.run(
            ["sbatch", "--parsable"],
            input=script,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise ExecutorError(
            "--detach: sbatch is not on PATH: run it on a machine of the cluster, or "
            'set driver = "process" in [executors.slurm]'
        ) from error
    if done.returncode:
        expect_cluster(done.stderr)
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise ExecutorError(
            f"--detach: SLURM refuses the driver's job: {lines[-1]}: {_OTHER_DRIVER}"
        )
    found = re.search(NUMBER, done.stdout)
    if found is None:
        raise ExecutorError(
            "--detach: sbatch did not say the number of the driver's job, but "
            f"{done.stdout.strip()!r}: see squeue"
        )
    return f"SLURM job {found['job_id']}"
