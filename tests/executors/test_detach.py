"""Drivers that outlive the login session: a job of SLURM, or a process on its own."""

import gc
import os
import sys
from pathlib import Path

import pytest

from cpengine import __version__
from cpengine.config import SlurmSection
from cpengine.errors import ExecutorError, StorageError
from cpengine.executors.detach import as_process, log_in
from cpengine.executors.slurm.driver_job import as_job, job_script

GOLDEN = Path(__file__).parent / "golden"
ARGUMENTS = ["run", "illum", "analysis", "--on", "slurm", "--well", "A 01"]
LOG = Path("/shared/run/.cpengine/driver.log")

ALL_KEYS = SlurmSection(
    partition="short",
    account="lab",
    qos="high",
    prologue=["module load python", "export CPENGINE_HOME=/shared/cpengine"],
    directives=["--constraint=avx2"],
    driver_walltime="2-00:00:00",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where the command is given; its name has to be quoted."""
    folder = tmp_path / "my run"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "executable", "/env/bin/python")
    return folder


def _script(settings: SlurmSection, folder: Path) -> str:
    return job_script(ARGUMENTS, settings, LOG).replace(str(folder.parent), "FOLDER")


def _lines(folder: Path, **changed: object) -> list[str]:
    return _script(ALL_KEYS.model_copy(update=changed), folder).splitlines()


@pytest.mark.parametrize(
    ("golden", "settings"),
    [("driver-default.sh", SlurmSection()), ("driver-all-keys.sh", ALL_KEYS)],
)
def test_the_job_script_of_a_driver(
    golden: str, settings: SlurmSection, folder: Path
) -> None:
    assert _script(settings, folder) == (GOLDEN / golden).read_text()


def test_directives_are_left_out(folder: Path) -> None:
    left_out = {*_lines(folder)} - {*_lines(folder, skip_directives=["--mem", "-n 1"])}
    assert left_out == {"#SBATCH --mem=2048M", "#SBATCH -n 1"}


def test_only_directives_are_left_out(folder: Path) -> None:
    assert _lines(folder, skip_directives=["module", "exec"]) == _lines(folder)


def test_a_partition_for_drivers_goes_without_the_qos_of_workers(folder: Path) -> None:
    before, after = {*_lines(folder)}, {*_lines(folder, driver_partition="service")}
    assert before - after == {"#SBATCH -p short", "#SBATCH --qos=high"}
    assert after - before == {"#SBATCH -p service"}


def test_each_driver_has_a_log_of_its_own(tmp_path: Path) -> None:
    first, second = (log_in(tmp_path / ".cpengine") for _ in range(2))
    assert first != second
    assert first.parent == second.parent == tmp_path / ".cpengine"
    assert (tmp_path / ".cpengine").is_dir()


# As a job


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All that is on PATH."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


def _sbatch(folder: Path, script: str) -> None:
    path = folder / "sbatch"
    path.write_text(f"#!/bin/bash\nPATH=/usr/bin:/bin\n{script}\n")
    path.chmod(0o755)


def test_slurm_is_given_the_script(bin_folder: Path) -> None:
    _sbatch(
        bin_folder, f'echo "$@" > {bin_folder}/asked; cat > {bin_folder}/got; echo 1'
    )
    as_job("#!/bin/bash\ntrue\n")
    assert (bin_folder / "asked").read_text() == "--parsable\n"
    assert (bin_folder / "got").read_text() == "#!/bin/bash\ntrue\n"


@pytest.mark.parametrize(
    "output",
    [
        "12",
        "12;cluster",
        "Welcome to cluster 7\n12",
        "12\nHave a nice day",
        "Submitted batch job 12",
    ],
)
def test_the_number_of_a_drivers_job_is_reported(output: str, bin_folder: Path) -> None:
    _sbatch(bin_folder, f"cat > /dev/null; cat <<'END'\n{output}\nEND")
    assert as_job("script") == "SLURM job 12"


def test_an_answer_without_a_number_is_no_traceback(bin_folder: Path) -> None:
    _sbatch(bin_folder, "cat > /dev/null")
    with pytest.raises(ExecutorError):
        as_job("script")


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (
            "echo 'sbatch: error: x' >&2; echo 'sbatch: error: Invalid qos' >&2",
            "sbatch: error: Invalid qos",
        ),
        ("true", "no reason given"),
    ],
)
def test_a_refused_driver_is_reported_in_the_schedulers_own_words(
    script: str, why: str, bin_folder: Path
) -> None:
    _sbatch(bin_folder, f"cat > /dev/null; {script}; exit 1")
    words = f"SLURM refuses the driver's job: {why}: change driver_partition"
    with pytest.raises(ExecutorError, match=words) as refused:
        as_job("script")
    assert 'set driver = "process"' in str(refused.value)


def test_a_machine_without_slurm_is_reported(bin_folder: Path) -> None:
    with pytest.raises(ExecutorError, match="--detach: sbatch is not on PATH"):
        as_job("script")


# As a process


def test_a_driver_becomes_a_process_of_its_own(tmp_path: Path) -> None:
    log = tmp_path / "driver.log"
    kind, _, number = as_process(["--version"], log).partition(" ")
    assert kind == "process"
    gc.collect()  # nothing is complained of that is left open
    # It is still this process's child: cpengine itself ends at once, and leaves it.
    assert os.getsid(int(number)) == int(number)
    assert os.waitpid(int(number), 0)[1] == 0
    assert __version__ in log.read_text()


def test_a_log_that_somebody_else_put_there_is_not_written(tmp_path: Path) -> None:
    mine, log = tmp_path / "mine", tmp_path / "driver.log"
    mine.write_text("mine")
    log.symlink_to(mine)
    with pytest.raises(StorageError, match="cannot be written"):
        as_process(["--version"], log)
    assert mine.read_text() == "mine"


def test_what_a_driver_complains_of_is_in_its_log(tmp_path: Path) -> None:
    log = tmp_path / "driver.log"
    _, _, number = as_process(["--no-such-option"], log).partition(" ")
    assert os.waitpid(int(number), 0)[1] != 0
    assert "--no-such-option" in log.read_text()
