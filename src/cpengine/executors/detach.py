"""Start a run's driver so that it outlives the login session."""

import re
import secrets
import shlex
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cpengine.config import SlurmSection
from cpengine.errors import ExecutorError

FOLDER = ".cpengine"
"""Beside the project file: what drivers and workers say."""

JOB = """\
#!/bin/bash
#SBATCH -J cpengine-driver
#SBATCH -o {log}
#SBATCH -n 1
#SBATCH --cpus-per-task=1
#SBATCH --mem={memory_mb}M
#SBATCH -t {walltime}
#SBATCH --open-mode=append
{directives}{prologue}
cd {cwd}
exec {command}
"""
_MEMORY_MB = 2048
NUMBER = r"(?m)^(?:Submitted batch job )?(?P<job_id>\d+)(?:;\S+| on cluster \S+)?\s*$"
"""What sbatch says of a job that it took, among what a site adds."""


def log_in(folder: Path) -> Path:
    """A file for what a driver says, of a name that is not there yet."""
    name = f"driver-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}.log"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve() / name


def as_process(arguments: Sequence[str], log: Path) -> str:
    """Start cpengine in the background of this machine; say what it is.

    It goes on when the session that started it ends, where the site lets it.
    """
    with log.open("xb") as output:  # never one that somebody else put there
        process = subprocess.Popen(
            _command(arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    process.returncode = 0  # nobody waits for it: it is on its own
    return f"process {process.pid}"


def job_script(arguments: Sequence[str], settings: SlurmSection, log: Path) -> str:
    """The job script of a driver that runs as a SLURM job."""
    options = {
        "-p": settings.driver_partition or settings.partition,
        "-A": settings.account,
        "--qos": None if settings.driver_partition else settings.qos,
    }
    given = [
        f"#SBATCH {name}{'=' if name.startswith('--') else ' '}{value}\n"
        for name, value in options.items()
        if value
    ]
    script = JOB.format(
        log=log,
        memory_mb=_MEMORY_MB,
        walltime=settings.driver_walltime,
        directives="".join(given),
        prologue="".join(f"\n{line}" for line in settings.prologue),
        cwd=shlex.quote(str(Path.cwd())),
        command=shlex.join(_command(arguments)),
    )
    skipped = settings.skip_directives
    lines = [
        line
        for line in script.splitlines()
        if not (line.startswith("#SBATCH") and any(skip in line for skip in skipped))
    ]
    return "\n".join([*lines, ""])


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
            "--detach: sbatch is not on PATH: is this a machine of the cluster?"
        ) from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise ExecutorError(f"--detach: SLURM refuses the driver's job: {lines[-1]}")
    found = re.search(NUMBER, done.stdout)
    if found is None:
        raise ExecutorError(
            "--detach: sbatch did not say the number of the driver's job, but "
            f"{done.stdout.strip()!r}: see squeue"
        )
    return f"SLURM job {found['job_id']}"


def _command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "cpengine", *arguments]
