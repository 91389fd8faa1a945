"""What workers elsewhere are told: what they need to run jobs, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from cpengine.cellprofiler.command import container_environment, run_environment
from cpengine.config import ProjectFile
from cpengine.executors import machine_spec
from cpengine.planning.project import ResolvedProject

SECRET = "https://hooks.slack.com/services/T0/B0/secret"
FILE: dict[str, Any] = {
    "project": {"name": "proj", "batch": "B1", "app_name": "short"},
    "storage": {
        "root": "s3://lab",
        "map": {"/data": "s3://lab/data"},
        "s3": {"profile": "me", "region": "eu-west-1"},
        "buckets": {"lab": {"profile": "me", "endpoint": "https://s3.lab"}},
    },
    "plate": {"format": 384},
    "steps": {"analysis": {"output": "results", "timeout_min": 5}},
    "cellprofiler": {"path": "/cp", "jobs_per_process": 7, "blas_kernel": "Zen"},
    "check": {"channel-missing": "warn"},
    "run": {"notify": SECRET, "max_failures": 3},
    "qc": {},
    "executors": {"slurm": {"account": "lab"}, "aws": {"tags": {"cost": "x"}}},
}
STORAGE = FILE["storage"]


@pytest.fixture
def file() -> ProjectFile:
    return ProjectFile.model_validate(FILE)


def test_a_worker_of_the_site_gets_what_it_needs_and_nothing_else(
    file: ProjectFile, tmp_path: Path
) -> None:
    project = ResolvedProject(file, tmp_path)
    spec = machine_spec.site_spec(project, "4.2.8")
    assert SECRET not in spec
    assert json.loads(spec)["file"] == {
        "project": {"name": "proj", "batch": "B1"},
        "storage": STORAGE,
        "steps": {"analysis": {"output": "results"}},
        "cellprofiler": FILE["cellprofiler"],
    }


def test_a_worker_elsewhere_gets_nothing_of_this_machine(file: ProjectFile) -> None:
    spec = machine_spec.bucket_spec(file, "4.2.8")
    assert SECRET not in spec
    assert json.loads(spec)["file"] == {
        "project": {"name": "proj", "batch": "B1"},
        "storage": STORAGE
        | {
            "s3": {"region": "eu-west-1"},
            "buckets": {"lab": {"endpoint": "https://s3.lab"}},
        },
        "steps": {"analysis": {"output": "results"}},
        "cellprofiler": {"jobs_per_process": 7, "blas_kernel": "Zen"},
    }


def test_what_a_worker_gets_is_enough_for_its_places(file: ProjectFile) -> None:
    selected = json.loads(machine_spec.bucket_spec(file))["file"]
    driver, worker = (
        ResolvedProject(ProjectFile.model_validate(data), Path("/"))
        for data in (FILE, selected)
    )
    assert worker.layout == driver.layout
    assert worker.places.made == driver.places.made
    assert worker.places.map == driver.places.map
    assert worker.places.outputs.root == driver.places.outputs.root


def test_cellprofiler_does_not_get_the_webhook() -> None:
    given = {"CPENGINE_NOTIFY": SECRET, "PATH": "/bin"}
    assert SECRET not in run_environment({}, Path("t"), given).values()
    assert SECRET not in container_environment(Path("t"), given).values()
