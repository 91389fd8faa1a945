"""Who may connect to a run on a cluster: those who have its key, and nobody else."""

import os
import socket
import ssl
from pathlib import Path

import psutil

from cpengine.testing import jobs
from tests.executors.slurm.watched import Watched
from tests.services.slurm.cluster import Cluster


def _ports(pid: int) -> set[tuple[str, int]]:
    """The addresses at which a process listens."""
    found = psutil.Process(pid).net_connections(kind="tcp")
    return {
        (each.laddr.ip, each.laddr.port)
        for each in found
        if each.status == psutil.CONN_LISTEN
    }


def _answer(address: tuple[str, int]) -> bytes:
    """What a port says to a browser."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address[0], address[0])
    with socket.create_connection((host, address[1]), timeout=5) as asked:
        asked.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        try:
            return asked.recv(100)
        except ConnectionError:
            return b""


def _takes_keyless(address: tuple[str, int]) -> bool:
    """Whether it speaks to who has no key of the run."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address[0], address[0])
    try:
        with (
            socket.create_connection((host, address[1]), timeout=5) as plain,
            context.wrap_socket(plain) as talking,
        ):
            return bool(talking.recv(1))
    except OSError:
        return False


def _workers(folder: Path) -> list[int]:
    """The Dask workers of a run."""
    return [
        process.pid
        for process in psutil.process_iter()
        if "distributed.cli.dask_worker" in (line := _command(process))
        and any(str(folder) in word for word in line)
    ]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_driver_and_workers_listen_to_those_alone_that_have_the_key(
    slurm: Cluster, tmp_path: Path
) -> None:
    before = _ports(os.getpid())
    with Watched(tmp_path, jobs("A"), {"A": ["slow4"]}, workers=1) as run:
        run.until_started("A")
        workers = _workers(tmp_path)
        assert len(workers) == 1
        drivers = _ports(os.getpid()) - before
        ports = drivers.union(*map(_ports, workers))
        answers = {address: _answer(address) for address in ports}
        assert len(drivers) == 1
        assert len(ports) == 2  # one for the scheduler, one for the worker
        assert not any(answer.startswith(b"HTTP") for answer in answers.values())
        assert not any(map(_takes_keyless, ports))
        assert run.end()["A"].done
