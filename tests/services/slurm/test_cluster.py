"""The SLURM cluster that tests use does what they rely on."""

import os
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.services.slurm import cluster as module
from tests.services.slurm.cluster import ACCOUNT, ClientError, Cluster, Job, wait_until

DAEMONS = {"munged", "mariadbd", "slurmdbd", "slurmctld", "slurmd"}
CPUS = 2
"""Of each node."""


def submit(cluster: Cluster, script: str, *options: str, name: str = "test") -> str:
    """Submit a batch script; give the job's id."""
    quiet = ("--parsable", "--output=/dev/null", f"--job-name={name}")
    return cluster.run("sbatch", *quiet, *options, f"--wrap={script}").strip()


def job(cluster: Cluster, job_id: str) -> Job:
    return next(job for job in cluster.jobs() if job.id == job_id)


def wait_for_state(cluster: Cluster, job_id: str, state: str) -> Job:
    wait_until(lambda: job(cluster, job_id).state == state, f"{job_id} is {state}")
    return job(cluster, job_id)


def sacct(cluster: Cluster, job_id: str, field: str) -> str:
    options = ("--allocations", "--noheader", "--parsable2", f"--format={field}")
    return cluster.run("sacct", *options, f"--jobs={job_id}").strip()


def about(folder: Path) -> set[str]:
    """The names of the processes that have to do with anything in a folder."""
    found = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended
            texts = [*process.cmdline(), *process.environ().values()]
            texts += [file.path for file in process.open_files()]
            if any(str(folder) in text for text in texts):
                found.add(process.name())
    return found


def test_all_nodes_are_idle(slurm: Cluster) -> None:
    assert slurm.node_states() == {"n1": "idle", "n2": "idle", "n3": "idle"}
    assert slurm.running() == []


def test_a_job_completes_and_is_accounted(slurm: Cluster, tmp_path: Path) -> None:
    out = tmp_path / "out"
    job_id = submit(slurm, f"echo $SLURMD_NODENAME > {out}", "--nodelist=n2")
    ended = wait_for_state(slurm, job_id, "COMPLETED")
    assert (ended.name, ended.node) == ("test", "n2")
    assert out.read_text() == "n2\n"
    wait_until(lambda: sacct(slurm, job_id, "State") == "COMPLETED", "it is accounted")
    assert sacct(slurm, job_id, "Account") == ACCOUNT


def test_clients_of_the_test_find_the_cluster(slurm: Cluster) -> None:
    assert os.environ["SLURM_CONF"] == slurm.environ["SLURM_CONF"]


def test_an_unknown_account_is_refused(slurm: Cluster) -> None:
    with pytest.raises(ClientError, match="Invalid account"):
        submit(slurm, "true", "--account=nobody")


def test_a_job_of_too_long_a_time_waits(slurm: Cluster) -> None:
    job_id = submit(slurm, "true", "--partition=short", "--time=2")
    wait_until(
        lambda: job(slurm, job_id).reason == "PartitionTimeLimit", "it is held back"
    )
    slurm.cancel(job_id)
    assert job(slurm, job_id).state == "CANCELLED"


def test_running_jobs_are_found_by_name(slurm: Cluster) -> None:
    ids = {name: submit(slurm, "sleep 600", name=name) for name in ("a-1", "a|2", "b")}
    wait_until(lambda: len(slurm.running()) == 3, "all of them run")
    found = {job.id for job in slurm.running("a")}
    assert found == {ids["a-1"], ids["a|2"]}


def test_a_node_set_down_gives_its_job_to_another(slurm: Cluster) -> None:
    job_id = submit(slurm, "sleep 600", "--requeue")
    first = wait_for_state(slurm, job_id, "RUNNING").node
    slurm.set_down(first)
    assert job(slurm, job_id).state != "RUNNING"
    second = wait_for_state(slurm, job_id, "RUNNING").node
    assert second != first
    slurm.resume(first)
    assert slurm.node_states()[first] == "idle"


def test_a_job_of_high_priority_takes_the_place_of_a_low_one(slurm: Cluster) -> None:
    whole = ("--nodelist=n1", f"--cpus-per-task={CPUS}")
    low = submit(slurm, "sleep 600", "--partition=low", *whole)
    wait_for_state(slurm, low, "RUNNING")
    high = submit(slurm, "sleep 600", "--partition=high", *whole)
    wait_for_state(slurm, high, "RUNNING")
    assert job(slurm, low).state in {"PENDING", "COMPLETING"}


def test_a_job_of_too_much_memory_is_killed(slurm: Cluster) -> None:
    script = "(head -c 300M /dev/zero; sleep 600) | tail"  # one line, not ended
    wait_for_state(slurm, submit(slurm, script, "--mem=100M"), "FAILED")


def test_a_job_survives_its_slurmd(slurm: Cluster) -> None:
    job_id = submit(slurm, "sleep 600")
    node = wait_for_state(slurm, job_id, "RUNNING").node
    slurm.kill_slurmd(node)
    slurm.start_slurmd(node)
    assert job(slurm, job_id).state == "RUNNING"
    assert "Restarts=0" in slurm.run("scontrol", "show", "job", job_id)


def test_a_job_survives_the_controller(slurm: Cluster) -> None:
    job_id = submit(slurm, "sleep 600")
    node = wait_for_state(slurm, job_id, "RUNNING").node
    slurm.wait_saved(job_id)
    slurm.stop_slurmctld()
    with pytest.raises(ClientError):
        slurm.jobs()
    slurm.start_slurmctld()
    assert [(job.id, job.node) for job in slurm.running()] == [(job_id, node)]


def test_a_suspended_job_goes_on(slurm: Cluster) -> None:
    job_id = submit(slurm, "sleep 600")
    wait_for_state(slurm, job_id, "RUNNING")
    slurm.suspend(job_id)
    slurm.unsuspend(job_id)
    slurm.stop_job_processes(job_id)
    wait_for_state(slurm, job_id, "FAILED")


def test_nothing_is_left_running(tmp_path: Path) -> None:
    # It leaves the session and the group of its job, and does not mind SIGTERM.
    stray = "setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' & sleep 600"
    with Cluster(tmp_path / "other", nodes=1) as cluster:
        submit(cluster, stray)
        submit(cluster, "exec tail -f /dev/null")
        ours = {*DAEMONS, "slurmstepd", "sh", "sleep", "tail"}
        # Where it really is: a folder of a long name is not used.
        place = Path(cluster.environ["SLURM_CONF"]).parents[1]
        wait_until(
            lambda: about(place) | about(tmp_path) >= ours, "all processes are there"
        )
    assert about(place) | about(tmp_path) == set()


def test_a_daemon_that_does_not_come_up_tells_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin/slurmctld"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho out of luck\nexit 1\n")
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{module._PATH}"
    monkeypatch.setattr(module, "_PATH", path)
    why = "slurmctld did not come up: it ended\nout of luck"
    with pytest.raises(RuntimeError, match=why), Cluster(tmp_path / "other"):
        pass
    assert about(tmp_path) == set()


def test_a_long_folder_keeps_only_the_logs(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 20)
    with Cluster(folder, nodes=1) as cluster:
        conf = Path(cluster.environ["SLURM_CONF"])
        assert not conf.is_relative_to(folder)
    assert not conf.exists()
    assert "slurmctld" in (folder / "log/slurmctld.log").read_text()
