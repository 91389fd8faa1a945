"""What the schedulers of clusters are told, and what is read from what they say.

Their commands are shell scripts here, the only ones on PATH.
"""

import gc
from pathlib import Path

import psutil
import pytest
from distributed.security import Security

from cpengine.config import ClusterSection, HTCondorSection, SlurmSection
from cpengine.errors import ConfigError, ExecutorError
from cpengine.executors.slurm import driver_job, schedulers
from cpengine.executors.slurm.schedulers import (
    QueueJob,
    RefusedError,
    SchedulerState,
    account_of,
    cancel,
    last_lines,
    poll_slurm,
    seconds,
    submit,
)
from tests.executors.slurm.site import PYTHON, Site, site, workers_of

__all__ = ["site"]

GOLDEN = Path(__file__).parents[1] / "golden"

ALL_KEYS = SlurmSection(
    partition="short",
    account="lab",
    qos="high",
    requeue=False,
    walltime="1-02:03:04",
    cores=8,
    memory_gb=30.5,
    job_memory_gb=3,
    workers=9,
    min_workers=2,
    scratch="$TMPDIR",
    prologue=["module load apptainer", "export OMP_NUM_THREADS=1"],
    directives=["--constraint=avx2", "--gres=tmp:20G"],
    skip_directives=["--mem"],
    interface="ib0",
    host="10.0.0.1",
    python=PYTHON,
    folder="/shared/runs",
    tls=True,
)
ALIKE = {
    "partition": "short",
    "account": "lab",
    "walltime": "1-02:03:04",
    "memory_gb": 30.5,
    "prologue": ["module load apptainer"],
    "python": PYTHON,
}


def _script(job: QueueJob, folder: Path) -> str:
    text: str = job.job_script()
    return text.replace(str(folder), "FOLDER")


# What is submitted. After a wanted change: write what pytest shows to the file.


def test_the_job_script_of_slurm(tmp_path: Path) -> None:
    script = _script(workers_of(tmp_path).job("cpengine-abc123-1"), tmp_path)
    assert script == (GOLDEN / "slurm-default.sh").read_text()


def test_the_job_script_of_slurm_with_all_keys(tmp_path: Path) -> None:
    keys = Security(
        tls_ca_file=f"{tmp_path}/ca_file.pem",
        tls_worker_cert=f"{tmp_path}/worker_cert.pem",
        tls_worker_key=f"{tmp_path}/worker_key.pem",
    )
    job = workers_of(tmp_path, ALL_KEYS).job(
        "cpengine-abc123-1",
        ["n1", "n2"],
        scheduler="tls://10.0.0.1:8786",
        security=keys,
    )
    assert _script(job, tmp_path) == (GOLDEN / "slurm-all-keys.sh").read_text()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("--mem=1G", "would be in the script twice: set memory_gb, or name --mem in"),
        ("-t 01:00:00", "would be in the script twice: set walltime"),
        ("--qos=high", "would be in the script twice: set qos"),
        ("#SBATCH --constraint=avx2", "is no option: write it as '--constraint=avx2'"),
    ],
)
def test_an_option_is_given_once(line: str, why: str, tmp_path: Path) -> None:
    settings = SlurmSection(directives=[line])
    with pytest.raises(ConfigError, match=f"executors.slurm.directives: .*{why}"):
        workers_of(tmp_path, settings).job("cpengine-abc123-1")


@pytest.mark.parametrize(
    ("golden", "settings"),
    [
        (
            "pbs.sh",
            ClusterSection(
                **ALIKE,
                directives=["-l place=pack"],
                skip_directives=["-e "],
            ),
        ),
        ("lsf.sh", ClusterSection(**ALIKE, directives=["-x"], skip_directives=["-M"])),
        (
            "sge.sh",
            ClusterSection(**ALIKE, directives=["-pe smp 4"], skip_directives=["-j y"]),
        ),
        (
            "htcondor.sub",
            HTCondorSection(
                **ALIKE,
                directives=["+ProjectName = lab", "Rank=kflops"],
                skip_directives=["batch_name", "--mem"],
            ),
        ),
    ],
)
def test_the_job_scripts_of_other_schedulers(
    golden: str, settings: ClusterSection, tmp_path: Path
) -> None:
    kind = golden.partition(".")[0]
    job = workers_of(tmp_path, settings, kind).job("cpengine-abc123-1")
    assert _script(job, tmp_path) == (GOLDEN / golden).read_text()


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("slurm", "#SBATCH --exclude=n1,n2"),
        ("lsf", '#BSUB -R "select[hname!=n2]"'),
        ("sge", "#$ -l h=!n2"),
        ("htcondor", 'Requirements = Machine != "n1" && Machine != "n2"'),
    ],
)
def test_nodes_that_are_not_used_any_more_are_excluded(
    kind: str, line: str, tmp_path: Path
) -> None:
    settings = {"slurm": SlurmSection(), "htcondor": HTCondorSection()}
    workers = workers_of(tmp_path, settings.get(kind, ClusterSection()), kind)
    assert "n1" not in workers.job("w-1").job_script()
    assert line in workers.job("w-1", ["n1", "n2"]).job_script().splitlines()


@pytest.mark.parametrize(
    ("skipped", "left_out"),
    [
        ("--mem", "--mem="),
        ("-t ", "-t "),
        # dask-jobqueue itself skips none of these: they are extra ones to it.
        ("--requeue", "--requeue"),
        ("--open-mode", "--open-mode"),
    ],
)
def test_directives_are_left_out(skipped: str, left_out: str, tmp_path: Path) -> None:
    whole = workers_of(tmp_path).job("w-1").job_script()
    assert left_out in whole
    settings = SlurmSection(python=PYTHON, skip_directives=[skipped])
    script = workers_of(tmp_path, settings).job("w-1").job_script()
    assert left_out not in script
    assert len(script.splitlines()) == len(whole.splitlines()) - 1


def test_a_directive_of_the_users_own_is_not_left_out(tmp_path: Path) -> None:
    settings = SlurmSection(directives=["--mem=3G"], skip_directives=["--mem"])
    script = workers_of(tmp_path, settings).job("w-1").job_script()
    assert [line for line in script.splitlines() if "SBATCH --mem" in line] == [
        "#SBATCH --mem=3G"
    ]


@pytest.mark.parametrize(
    ("walltime", "expected"),
    [
        ("00:00:30", 30),
        ("00:10:00", 600),
        ("100:00:00", 360_000),
        ("1-00:00:00", 86_400),
        ("2-03:04:05", 183_845),
    ],
)
def test_a_walltime_is_so_many_seconds(walltime: str, expected: int) -> None:
    assert seconds(walltime) == expected


@pytest.mark.parametrize(
    ("walltime", "clock"),
    [("04:00:00", "04:00"), ("1-02:03:04", "26:03"), ("5-00:00:00", "120:00")],
)
def test_lsf_is_given_hours_and_minutes(
    walltime: str, clock: str, tmp_path: Path
) -> None:
    settings = ClusterSection(walltime=walltime)
    script = workers_of(tmp_path, settings, "lsf").job("w-1").job_script()
    assert f"#BSUB -W {clock}" in script.splitlines()


# What is said


@pytest.fixture
def job(tmp_path: Path) -> QueueJob:
    return workers_of(tmp_path / "run").job("cpengine-abc123-1")


@pytest.mark.parametrize(
    "output",
    [
        "12",
        "12;cluster",
        "Submitted batch job 12",
        "Welcome to cluster 7, 3 nodes down\n12",
        "Welcome to cluster 7, 3 nodes down\nSubmitted batch job 12",
        "12\nHave a nice day",
        "12;cluster\n3 jobs of yours wait",
        # A wrapper that drops --parsable, where there are several clusters.
        "Submitted batch job 12 on cluster big",
    ],
)
def test_a_jobs_number_is_found(output: str, site: Site, job: QueueJob) -> None:
    site.says("sbatch", output)
    assert submit(job) == "12"


def test_what_is_submitted_is_the_job_script(
    site: Site, job: QueueJob, tmp_path: Path
) -> None:
    site.has(
        "sbatch", f'echo "$1" > {tmp_path}/asked; cat "$2" > {tmp_path}/got\necho 1'
    )
    submit(job)
    assert (tmp_path / "asked").read_text() == "--parsable\n"
    assert (tmp_path / "got").read_text() == job.job_script()


FAILED = "Batch job submission failed:"


@pytest.mark.parametrize(
    ("output", "why", "passing"),
    [
        (
            f"sbatch: error: {FAILED} Invalid account",
            f"{FAILED} Invalid account",
            False,
        ),
        (
            "sbatch: error: invalid partition specified: nowhere\n"
            f"sbatch: error: {FAILED} Invalid partition name specified",
            "invalid partition specified: nowhere; "
            f"{FAILED} Invalid partition name specified",
            False,
        ),
        (
            f"sbatch: error: {FAILED} Job violates accounting/QOS policy\n"
            "See https://site.org/limits",
            f"{FAILED} Job violates accounting/QOS policy",
            False,
        ),
        ("please log in first", "please log in first", False),
        (
            f"sbatch: error: {FAILED} Socket timed out on send/recv operation",
            f"{FAILED} Socket timed out on send/recv operation",
            True,
        ),
        (
            "sbatch: error: Unable to contact slurm controller (connect failure)",
            "Unable to contact slurm controller (connect failure)",
            True,
        ),
        (
            "sbatch: error: Slurm temporarily unable to accept job",
            "Slurm temporarily unable to accept job",
            True,
        ),
        (
            "sbatch: error: slurm_receive_msg: backup controller in standby mode",
            "slurm_receive_msg: backup controller in standby mode",
            True,
        ),
    ],
)
def test_a_refused_job_is_reported_in_the_schedulers_own_words(
    output: str, why: str, passing: bool, site: Site, job: QueueJob
) -> None:
    site.says("sbatch", output, code=1, stderr=True)
    assert _refusal(job) == (why, passing)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo please log in first; exit 1", "please log in first"),
        ("exit 3", "exit code 3"),
    ],
)
def test_a_refusal_without_complaint_is_reported_by_what_there_is(
    script: str, why: str, site: Site, job: QueueJob
) -> None:
    site.has("sbatch", script)
    with pytest.raises(RefusedError, match=f"(?i){why}"):
        submit(job)


def test_output_without_a_number_is_a_refusal(site: Site, job: QueueJob) -> None:
    site.says("sbatch", "Welcome to cluster 7")
    with pytest.raises(RefusedError, match="Welcome to cluster 7"):
        submit(job)


@pytest.mark.parametrize(
    ("kind", "program"),
    [
        ("slurm", "sbatch"),
        ("pbs", "qsub"),
        # dask-jobqueue asks a shell for this one, so no file is missing to Python.
        ("lsf", "bsub"),
        ("sge", "qsub"),
        ("htcondor", "condor_submit"),
    ],
)
def test_a_machine_without_the_scheduler_is_reported(
    kind: str, program: str, site: Site, tmp_path: Path
) -> None:
    settings = {"slurm": SlurmSection(), "htcondor": HTCondorSection()}
    workers = workers_of(tmp_path, settings.get(kind, ClusterSection()), kind)
    with pytest.raises(RefusedError, match=f"^{program} is not on PATH") as caught:
        submit(workers.job("w-1"))
    assert not caught.value.passing


def test_a_scheduler_that_does_not_answer_is_asked_again_later(
    site: Site, job: QueueJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedulers, "_ASK_S", 1.0)
    site.has("sbatch", f"echo $$ > {tmp_path}/pid; exec sleep 600")
    assert _refusal(job) == ("it did not answer in time", True)
    # It would submit the job later, when nobody knows of it any more.
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))
    gc.collect()  # pytest tells here of what was not closed, and not in other tests


def _refusal(job: QueueJob) -> tuple[str, bool]:
    """Why a job is refused, and whether that passes; nothing else is kept of it."""
    with pytest.raises(RefusedError) as caught:
        submit(job)
    return str(caught.value), caught.value.passing


# Where jobs stand


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("", {}),
        ("7|RUNNING|None|n1", {"7": SchedulerState("RUNNING", "", "n1")}),
        ("7|PENDING|Priority|", {"7": SchedulerState("PENDING", "Priority")}),
        (
            "7|NODE_FAIL|NodeDown|n[1-3,7]",
            {"7": SchedulerState("NODE_FAIL", "NodeDown", "n[1-3,7]")},
        ),
        (
            "Welcome to cluster 7, 3 nodes down\n*** news | news ***\n"
            "  7|RUNNING|None|n1  \n\n8|PENDING|ReqNodeNotAvail, UnavailableNodes:n2|",
            {
                "7": SchedulerState("RUNNING", "", "n1"),
                "8": SchedulerState("PENDING", "ReqNodeNotAvail, UnavailableNodes:n2"),
            },
        ),
    ],
)
def test_where_slurms_jobs_stand(
    output: str, expected: dict[str, SchedulerState], site: Site
) -> None:
    site.says("squeue", output)
    assert poll_slurm("cpengine-abc123") == expected


def test_only_jobs_of_the_run_are_asked_for_also_those_that_ended(
    site: Site, tmp_path: Path
) -> None:
    site.has("squeue", f'echo "$@" > {tmp_path}/asked')
    poll_slurm("cpengine-abc123")
    asked = (tmp_path / "asked").read_text().split()
    assert {"--name=cpengine-abc123", "--states=all"} <= {*asked}


def test_what_slurm_says_instead_of_an_answer_is_reported(site: Site) -> None:
    message = "slurm_load_jobs error: Unable to contact slurm controller"
    site.says("squeue", f"squeue: error: x\n{message}", code=1, stderr=True)
    with pytest.raises(OSError, match=f"^squeue: {message}$"):
        poll_slurm("w")


def test_a_poll_that_fails_without_a_word_tells_the_exit_code(site: Site) -> None:
    site.has("squeue", "exit 3")
    with pytest.raises(OSError, match=r"^squeue: exit code 3$"):
        poll_slurm("w")


def test_a_poll_that_takes_too_long_is_given_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedulers, "_ASK_S", 0.2)
    site.has("squeue", "exec sleep 600")
    with pytest.raises(OSError, match=r"^squeue did not answer in time$"):
        poll_slurm("w")


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("TIMEOUT|None|n1|0:0", SchedulerState("TIMEOUT", "", "n1")),
        ("CANCELLED by 0|None|n1|0:0", SchedulerState("CANCELLED", "", "n1")),
        ("FAILED|None|n1|127:0", SchedulerState("FAILED", "", "n1", "exit code 127")),
        ("FAILED|None|n1|0:9", SchedulerState("FAILED", "", "n1", "signal 9")),
        (
            "PREEMPTED|None|n1|0:0\nPENDING|BeginTime||0:0",
            SchedulerState("PREEMPTED", "", "n1"),
        ),
        (
            "NODE_FAIL|None|n1|0:0\nOUT_OF_MEMORY|OutOfMemory|n2|0:0\nRUNNING|None|n3|0:0",
            SchedulerState("OUT_OF_MEMORY", "OutOfMemory", "n2"),
        ),
        ("RUNNING|None|n1|0:0", None),
        ("PENDING|Priority|None assigned|0:0", None),
        ("", None),
        # This is what sacct calls no node. It must not be excluded in the end.
        ("CANCELLED by 0|None|None assigned|0:0", SchedulerState("CANCELLED")),
    ],
)
def test_how_a_job_ended_the_last_time(
    output: str, expected: SchedulerState | None, site: Site
) -> None:
    site.says("sacct", output)
    assert account_of("7") == expected


def test_a_site_without_accounting_knows_nothing(site: Site) -> None:
    assert account_of("7") is None  # there is no such command
    site.says("sacct", "Slurm accounting storage is disabled", code=1, stderr=True)
    assert account_of("7") is None


# Jobs are cancelled


def test_jobs_are_cancelled_by_number(site: Site, tmp_path: Path) -> None:
    site.has("scancel", f'echo "$@" >> {tmp_path}/gone')
    cancel([_submitted(tmp_path, "7"), _submitted(tmp_path, "8")])
    assert sorted((tmp_path / "gone").read_text().split()) == ["7", "8"]


def test_jobs_that_are_gone_are_no_matter(site: Site, tmp_path: Path) -> None:
    site.has(
        "scancel",
        f'[ "$1" = 8 ] && echo "$1" > {tmp_path}/gone && exit\n'
        'echo "scancel: error: Kill job error on job id $1" >&2; exit 1',
    )
    cancel([_submitted(tmp_path, "7"), _submitted(tmp_path, "8")])
    assert (tmp_path / "gone").read_text() == "8\n"


def test_cancelling_where_there_is_no_scheduler_is_no_matter(
    site: Site, tmp_path: Path
) -> None:
    cancel([_submitted(tmp_path, "7")])


def _submitted(folder: Path, number: str) -> QueueJob:
    job = workers_of(folder).job(f"cpengine-abc123-{number}")
    job.job_id = number
    return job


# What workers printed


@pytest.mark.parametrize(
    ("number", "names"),
    [
        ("12", ["cpengine-abc123-12.err", "cpengine-abc123-12.out"]),  # SLURM
        ("12", ["cpengine-abc123.e12", "cpengine-abc123.o12"]),  # PBS
        ("12", ["cpengine-abc123-1-0-12.err", "cpengine-abc123-1-0-12.out"]),  # LSF
        ("12", ["cpengine-abc123.o12"]),  # SGE
        ("12.0", ["worker-12.0.err", "worker-12.0.out"]),  # HTCondor
        ("12.0", ["worker-12.log"]),
    ],
)
def test_what_a_worker_printed_is_found(
    number: str, names: list[str], tmp_path: Path
) -> None:
    for name in names:
        (tmp_path / name).write_text(f"begin {name}\n\n  the end \n")
    found = [line for name in names for line in (f"begin {name}", "the end")]
    assert last_lines(tmp_path, number) == found


@pytest.mark.parametrize(
    "name",
    [
        "cpengine-13.err",
        # These have the digits somewhere in their names.
        "cpengine-abc123-112.err",
        "cpengine-a12c3f-7.err",
        "cpengine-abc123.o120",
    ],
)
def test_what_other_workers_printed_is_not_taken_for_it(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text("out of memory\n")
    assert last_lines(tmp_path, "12") == []


def test_a_log_that_is_no_text_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    (tmp_path / "w-12.err").write_bytes(b"caf\xe9 is closed\n")
    assert last_lines(tmp_path, "12") == ["caf\ufffd is closed"]


def test_a_machine_without_a_cluster_is_reported_as_one() -> None:
    complaint = "sbatch: error: resolve_ctls_from_dns_srv: res_nsearch error"
    with pytest.raises(ExecutorError, match=r"find no cluster .* or set SLURM_CONF"):
        driver_job.expect_cluster(complaint)
    driver_job.expect_cluster("sbatch: error: Batch job submission failed")
