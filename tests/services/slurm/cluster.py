"""A real SLURM cluster for tests, made in seconds and thrown away.

All nodes are this machine, each a slurmd with a port of its own; their processors and
memory are only claimed. All files are below one folder and all addresses are the
loopback's: it needs no systemd, no settings of the machine and no name service.
"""

import glob
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.services.slurm import settings_files

HOST = "127.0.0.1"
ACCOUNT = "acct1"
"""The one account that jobs can be charged to; it is the default."""
USER = pwd.getpwuid(os.getuid()).pw_name
"""Whose the daemons and all jobs are."""

_PATIENCE = 60.0
_KILL_WAIT = 5
_USABLE = {"idle", "mixed", "allocated", "completing", "planned"}
# A socket's path has at most 107 characters; SLURM adds up to 40 of its own.
_LONGEST = 60
# Daemons lie in folders that an ordinary user's PATH may lack.
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
_PROGRAMS = (
    *("munged", "munge", "slurmctld", "slurmd", "slurmdbd", "sbatch", "squeue"),
    *("sinfo", "scontrol", "scancel", "sacct", "sacctmgr"),
    *("mariadbd", "mariadb-admin", "mariadb-install-db"),
)
_PLUGIN = "/usr/lib/*/slurm-wlm/accounting_storage_mysql.so"


class ClientError(RuntimeError):
    """A client command failed."""


@dataclass(frozen=True, slots=True)
class Job:
    """What `squeue` says of a job, or of one element of a job array."""

    id: str
    name: str
    state: str
    node: str
    """Where it runs or ran last; empty for one that waits."""
    reason: str


def missing() -> list[str]:
    """What of SLURM is not installed here."""
    programs = [name for name in _PROGRAMS if not shutil.which(name, path=_PATH)]
    return programs if glob.glob(_PLUGIN) else [*programs, Path(_PLUGIN).name]


def wait_until(
    check: Callable[[], bool], what: str, seconds: float = _PATIENCE
) -> None:
    """Look often until it is so. A client that fails is asked again."""
    end = time.monotonic() + seconds
    while True:
        failed: ClientError | None = None
        try:
            if check():
                return
        except ClientError as error:
            failed = error
        if time.monotonic() >= end:
            why = f", but: {failed}" if failed else ""
            raise RuntimeError(f"not within {seconds:.0f} s: {what}{why}") from failed
        time.sleep(0.05)


def _job_ids(environ: dict[str, str]) -> set[str]:
    """The names that a job's processes know it by."""
    array = [environ.get(f"SLURM_ARRAY_{what}_ID", "") for what in ("JOB", "TASK")]
    return {environ.get("SLURM_JOB_ID", ""), "_".join(array)}


def _communication() -> str:
    """What SLURM needs where there is no network but the loopback's.

    It asks for addresses of IPv4 only, if there is a network of that kind; the loopback
    does not count as one. With IPv6, it asks for all.
    """
    try:
        socket.getaddrinfo(HOST, 0, socket.AF_INET, flags=socket.AI_ADDRCONFIG)
    except socket.gaierror:
        return "CommunicationParameters=EnableIPv6"
    return ""


class Daemon:
    """A program in a session of its own, which no Ctrl-C at a terminal reaches."""

    def __init__(
        self, name: str, command: Iterable[str], log: Path, environ: dict[str, str]
    ) -> None:
        self.name = name
        self._command = [*command]
        self._log = log
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, answers: Callable[[], bool]) -> None:
        """Start it, unless it runs, and wait until it answers."""
        if not self.alive:
            self._launch()

        def up() -> bool:
            if not self.alive:
                raise RuntimeError("it ended")
            return answers()

        try:
            wait_until(up, "an answer")
        except RuntimeError as error:
            message = f"{self.name} did not come up: {error}\n{self._last_lines()}"
            raise RuntimeError(message) from error

    def terminate(self) -> None:
        if self._process is not None:
            self._process.terminate()

    def wait(self, seconds: float) -> None:
        """Wait for its end so long, then kill it."""
        if self._process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self.kill()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _launch(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _last_lines(self, count: int = 20) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-count:])


class Cluster:
    """A SLURM cluster of one's own, to be used as a context manager.

    Its nodes are n1, n2 and so on. Partitions: `debug` (the default), `low`, whose jobs
    are preempted and requeued by those of the others, `high`, and `short` of a minute.

    Parameters
    ----------
    folder
        Where everything is kept. What is too long for the paths of sockets is replaced
        by a folder below /tmp for the time being, except for the logs.
    cpus, memory_mb
        What each node claims to have.
    """

    def __init__(
        self, folder: Path, nodes: int = 3, cpus: int = 2, memory_mb: int = 4000
    ) -> None:
        self.folder = folder
        self.nodes = [f"n{number}" for number in range(1, nodes + 1)]
        self.environ: dict[str, str] = {}
        """What clients need in their environment."""
        self._cpus = cpus
        self._memory = memory_mb
        self._name = f"cp{secrets.token_hex(4)}"
        self._daemons: dict[str, Daemon] = {}  # in the order of their first start

    def __enter__(self) -> "Cluster":
        self._lay()
        try:
            self._start()
        except BaseException:  # Ctrl-C, too: daemons that came up must not stay
            self._stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()

    def run(self, *command: str, check: bool = True, timeout: float = 60) -> str:
        """What a client command such as `squeue` prints."""
        program = shutil.which(command[0], path=_PATH) or command[0]
        try:
            done = subprocess.run(
                [program, *command[1:]],
                env=os.environ | self.environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ClientError(str(error)) from error
        if check and done.returncode != 0:
            raise ClientError(f"{' '.join(command)}: {done.stderr or done.stdout}")
        return done.stdout

    def jobs(self) -> list[Job]:
        """All jobs of the last ten minutes.

        One that has ended is COMPLETING for some seconds, and then what came of it.
        """
        options = ("--all", "--array", "--states=all", "--noheader")
        output = self._ask("squeue", *options, "--format=%i|%T|%N|%r|%j")
        fields = [line.split("|", 4) for line in output.splitlines()]
        return [
            Job(id, name, state, node, reason)
            for id, state, node, reason, name in fields
        ]

    def running(self, name_prefix: str = "") -> list[Job]:
        """The jobs that run, of those whose name begins so."""
        return [
            job
            for job in self.jobs()
            if job.state == "RUNNING" and job.name.startswith(name_prefix)
        ]

    def node_states(self) -> dict[str, str]:
        """A node's state as `sinfo` names it; with a * if the node does not answer."""
        output = self._ask(
            "sinfo", "--Node", "--partition=debug", "--noheader", "--format=%N %T"
        )
        return dict(line.split() for line in output.splitlines())

    def set_down(self, node: str) -> None:
        """Have SLURM hold a node for broken: it kills and requeues the node's jobs."""
        self._update(f"NodeName={node}", "State=DOWN", "Reason=test")
        wait_until(lambda: "down" in self.node_states()[node], f"{node} is down")

    def resume(self, node: str) -> None:
        """Let a node take jobs again; nothing for one that does."""

        def usable() -> bool:
            state = self.node_states()[node]
            if "down" in state or "drain" in state:
                self._update(f"NodeName={node}", "State=RESUME")
            return state in _USABLE

        wait_until(usable, f"{node} takes jobs")

    def kill_slurmd(self, node: str) -> None:
        """Kill a node's daemon. Its jobs run on; SLURM finds it down after 20 s."""
        self._daemons[f"slurmd.{node}"].kill()

    def start_slurmd(self, node: str) -> None:
        """Start a node's daemon (again) and wait until it answers.

        A node that was set down stays down.
        """
        daemon = self._daemon(f"slurmd.{node}", "slurmd", "-D", "-N", node)
        ask = ("env", f"SLURMD_NODENAME={node}", "scontrol", "show", "slurmd")
        # SLURM may not have noticed yet that it was away.
        daemon.start(
            lambda: bool(self._ask(*ask)) and "*" not in self.node_states()[node]
        )

    def stop_slurmctld(self) -> None:
        """Kill the controller. Jobs run on, but clients fail after some seconds.

        It saves its state only now and then: it forgets what happened in the last
        seconds, such as jobs that were submitted then. See `wait_saved`.
        """
        self._daemons["slurmctld"].kill()

    def start_slurmctld(self) -> None:
        """Start the controller (again) and wait until it answers."""
        daemon = self._daemon("slurmctld", "slurmctld", "-D")
        daemon.start(lambda: " UP" in self._ask("scontrol", "ping"))

    def wait_saved(self, job_id: str) -> None:
        """Wait until the controller, if killed, remembers what a job did so far."""
        mark = secrets.token_hex(16)
        self._update(f"JobId={job_id}", f"AdminComment={mark}")

        def saved() -> bool:
            with suppress(FileNotFoundError):  # SLURM puts another in its place
                return mark.encode() in (self._home / "state/job_state").read_bytes()
            return False

        wait_until(saved, f"job {job_id} is saved")

    def end_time(self, job_id: str, seconds: int) -> None:
        """Set a job's time limit so. SLURM looks for such jobs every 30 s."""
        self._update(f"JobId={job_id}", f"EndTime=now+{seconds}")

    def cancel(self, job_id: str) -> None:
        """Cancel a job, or all elements of a job array."""
        self.run("scancel", job_id)
        open_states = {"PENDING", "RUNNING", "SUSPENDED"}
        wait_until(
            lambda: not open_states & self._states(job_id), f"{job_id} is cancelled"
        )

    def suspend(self, job_id: str) -> None:
        """Stop a job's processes for a while."""
        self.run("scontrol", "suspend", job_id)
        wait_until(
            lambda: self._states(job_id) == {"SUSPENDED"}, f"{job_id} is suspended"
        )

    def unsuspend(self, job_id: str) -> None:
        """Let a suspended job go on."""
        self.run("scontrol", "resume", job_id)
        wait_until(lambda: self._states(job_id) == {"RUNNING"}, f"{job_id} goes on")

    def stop_job_processes(self, job_id: str) -> None:
        """Kill all processes of a job; SLURM has no part in it."""
        for process in self._job_processes():
            with suppress(psutil.Error):
                if job_id in _job_ids(process.environ()):
                    process.kill()

    def reset(self) -> None:
        """Cancel all jobs and mend all else, until the cluster is as at its start."""
        self.start_slurmctld()
        for node in self.nodes:
            self.start_slurmd(node)
        for node in self.nodes:
            self.resume(node)
        wait_until(self._no_job_left, "no job is left")
        wait_until(self._no_process_left, "no process of a job is left")
        wait_until(self._all_idle, "all nodes are idle")

    def _start(self) -> None:
        self._start_munged()
        self._start_mariadbd()
        self._start_slurmdbd()
        self.start_slurmctld()
        for node in self.nodes:
            self.start_slurmd(node)
        wait_until(self._all_idle, "all nodes are idle")

    def _stop(self) -> None:
        """End all jobs, then all daemons, the last one started first."""
        self._end_jobs()
        slurmds = [self._daemons.get(f"slurmd.{node}") for node in self.nodes]
        for slurmd in filter(None, slurmds):
            slurmd.terminate()  # all at once
        for daemon in reversed(self._daemons.values()):
            daemon.terminate()
            daemon.wait(10)
        wait_until(self._no_process_left, "no process of a job is left")
        # The database is as large as it is useless; the rest helps to understand.
        mine = self._home != self.folder
        shutil.rmtree(self._home if mine else self._home / "db")

    def _end_jobs(self) -> None:
        """Cancel all jobs and give them the time that SLURM gives them."""
        controller = self._daemons.get("slurmctld")
        if controller is None or not controller.alive:
            return
        with suppress(RuntimeError):
            self._cancel_all()
            wait_until(lambda: not self._job_processes(), "no process", _KILL_WAIT + 2)

    def _cancel_all(self) -> None:
        self._ask("scancel", "--quiet", f"--user={USER}")

    def _no_job_left(self) -> bool:
        """Whether none is left, not even one that was cancelled and still ends."""
        if left := self._ask("squeue", "--noheader"):
            self._cancel_all()
        return not left

    def _no_process_left(self) -> bool:
        """Whether none is left to be killed, as of a job that SLURM has forgotten."""
        left = self._job_processes()
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        return not left

    def _job_processes(self) -> set[psutil.Process]:
        """All processes of jobs, with the slurmstepds that start and watch them."""
        found = {process for process in psutil.process_iter() if self._has(process)}
        for process in [*found]:
            with suppress(psutil.Error):
                found.update(process.children(recursive=True))
        return found

    def _has(self, process: psutil.Process) -> bool:
        """Whether it is a process of a job of this cluster, not of another's."""
        with suppress(psutil.Error):
            # A slurmstepd overwrites its environment with its title.
            if process.name() == "slurmstepd":
                paths = [Path(file.path) for file in process.open_files()]
                return any(path.parent == self._log for path in paths)
            return process.environ().get("SLURM_CLUSTER_NAME") == self._name
        return False

    def _lay(self) -> None:
        """Make all folders and configuration files."""
        self._log = self.folder.resolve() / "log"
        self._log.mkdir(parents=True, exist_ok=True)
        self._home = self.folder
        if len(str(self._home)) > _LONGEST:
            self._home = Path(tempfile.mkdtemp(prefix="cpslurm-", dir="/tmp"))
        for name in ("etc", "run", "state", "db", *(f"spool/{n}" for n in self.nodes)):
            (self._home / name).mkdir(parents=True)
        self.environ = {"SLURM_CONF": str(self._home / "etc/slurm.conf")}
        self._ports = self._free_ports("slurmctld", "slurmdbd", "mariadbd", *self.nodes)
        self._facts = self._all_facts()
        self._write(
            "slurm.conf",
            settings_files.SLURM.format(nodes=self._node_lines(), **self._facts),
        )
        self._write("cgroup.conf", settings_files.CGROUP)
        self._write("slurmdbd.conf", settings_files.SLURMDBD.format(**self._facts))
        self._write("init.sql", settings_files.SQL.format(**self._facts))
        self._write("munge.key", secrets.token_hex(512))

    def _free_ports(self, *names: str) -> dict[str, int]:
        """Ports that nobody uses, below those that the system gives to clients."""
        found: list[int] = []
        with ExitStack() as held:
            while len(found) < len(names):
                sock = held.enter_context(socket.socket())
                with suppress(OSError):
                    sock.bind(("", 10_000 + secrets.randbelow(22_000)))
                    found.append(sock.getsockname()[1])
        return dict(zip(names, found, strict=True))

    def _all_facts(self) -> dict[str, object]:
        """What the configuration files and the command lines tell."""
        return {
            "home": self._home,
            "log": self._log,
            "cluster": self._name,
            "host": socket.gethostname().partition(".")[0],
            "address": HOST,
            "communication": _communication(),
            "user": USER,
            "password": secrets.token_hex(8),
            "cpus": self._cpus,
            "memory": self._memory,
            "kill_wait": _KILL_WAIT,
            **{f"{name}_port": port for name, port in self._ports.items()},
        }

    def _node_lines(self) -> str:
        return "".join(
            settings_files.NODE.format(node=node, port=self._ports[node], **self._facts)
            for node in self.nodes
        )

    def _write(self, name: str, text: str) -> None:
        """Write a file that only its owner may read, as SLURM demands of some."""
        path = self._home / "etc" / name
        path.touch(mode=0o600)
        path.write_text(text)

    def _start_munged(self) -> None:
        options = settings_files.MUNGED.format(**self._facts).split()
        socket = f"--socket={self._home}/run/munge.sock"
        self._daemon("munged", "munged", *options).start(
            lambda: bool(self._ask("munge", "--no-input", socket))
        )

    def _start_mariadbd(self) -> None:
        home = self._home
        self.run(
            *("mariadb-install-db", "--no-defaults", f"--user={USER}"),
            *(f"--datadir={home}/db", "--skip-test-db"),
        )
        options = settings_files.MARIADBD.format(**self._facts).split()
        ping = ("--no-defaults", f"--socket={home}/run/mariadbd.sock", "ping")
        self._daemon("mariadbd", "mariadbd", *options).start(
            lambda: "alive" in self._ask("mariadb-admin", *ping)
        )

    def _start_slurmdbd(self) -> None:
        """Start the accounting, with the account that jobs need."""
        ask = ("sacctmgr", "--noheader", "--immediate")
        self._daemon("slurmdbd", "slurmdbd", "-D").start(
            lambda: self._ask(*ask, "list", "cluster") == ""
        )
        self.run(*ask, "add", "cluster", self._name)
        self.run(*ask, "add", "account", ACCOUNT)
        self.run(*ask, "add", "user", USER, f"DefaultAccount={ACCOUNT}")

    def _daemon(self, name: str, *command: str) -> Daemon:
        """The daemon of a name, made at its first start."""
        if name not in self._daemons:
            program = shutil.which(command[0], path=_PATH) or command[0]
            self._daemons[name] = Daemon(
                name,
                [program, *command[1:]],
                self._log / f"{name}.log",
                os.environ | self.environ,
            )
        return self._daemons[name]

    def _ask(self, *command: str) -> str:
        """Run a client that is to answer soon, or else is asked again."""
        return self.run(*command, timeout=10)

    def _update(self, *what: str) -> None:
        self.run("scontrol", "update", *what)

    def _states(self, job_id: str) -> set[str]:
        """The states of a job, or of the elements of a job array."""
        return {
            job.state
            for job in self.jobs()
            if job.id == job_id or job.id.startswith(f"{job_id}_")
        }

    def _all_idle(self) -> bool:
        return set(self.node_states().values()) == {"idle"}
