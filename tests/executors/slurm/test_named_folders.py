"""Whatever folders are called: SLURM writes there, and reads no option out of it."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from cpengine.config import ProjectFile, SlurmSection
from cpengine.errors import ConfigError
from cpengine.executors.detach import log_in
from cpengine.executors.slurm.driver_job import as_job, job_script
from cpengine.testing import jobs
from tests.executors.slurm.watched import Watched
from tests.services.slurm.cluster import Cluster, wait_until

NAMES = ["my run", "100%jobs %x", 'it\'s "mine"', "#1 -p nowhere", "$HOME `id`"]
SMALL = SlurmSection(memory_gb=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_a_driver_says_what_it_does_where_the_project_is(
    name: str, slurm: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    log = log_in(tmp_path / name / ".cpengine")
    as_job(job_script(["--version"], SMALL, log))
    wait_until(lambda: log.exists() and "cpengine" in log.read_text(), "it says so")
    assert [*tmp_path.glob("*/.cpengine/*")] == [log]


def test_workers_find_their_folder_whatever_it_is_called(
    slurm: Cluster, tmp_path: Path
) -> None:
    folder = tmp_path / '100%jobs it\'s "mine" #1'
    folder.mkdir()
    with Watched(folder, jobs("A"), {}, workers=1) as run:
        run.until(lambda: [*folder.glob("run/logs/*.err")], "its log is there")
        assert run.end()["A"].done


@pytest.mark.parametrize("name", ["two\nlines", "back\\slash"])
def test_a_folder_that_slurm_cannot_write_to_is_refused(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="name another folder"):
        job_script(["--version"], SMALL, tmp_path / name / "driver.log")


@pytest.mark.parametrize(
    "key", ["partition", "account", "qos", "driver_partition", "interface", "host"]
)
def test_a_setting_of_two_lines_is_refused(key: str) -> None:
    file = {
        "project": {"name": "proj", "batch": "B1"},
        "executors": {"slurm": {key: "short\n#SBATCH --uid=0"}},
    }
    with pytest.raises(ValidationError, match=f"slurm.{key}"):
        ProjectFile.model_validate(file)


def test_a_setting_with_a_blank_is_one_value() -> None:
    script = job_script([], SlurmSection(account="the lab -p x"), Path("/x"))
    assert '#SBATCH -A "the lab -p x"' in script.splitlines()
