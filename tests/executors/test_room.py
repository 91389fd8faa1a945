"""How many jobs an executor runs at a time, as the settings and memory say."""

from dataclasses import replace
from pathlib import Path

import pytest

from cpengine.errors import ConfigError, ExecutorError
from cpengine.executors import registry
from cpengine.executors.room import Room, RoomRequest
from cpengine.model import Outcome
from cpengine.wording import GB
from tests import build
from tests.results.estimate.build import ANY


def asked(folder: Path, on: str, toml: str = "", **more: object) -> RoomRequest:
    project = build.project(folder / "project", toml=toml).project()
    plain = RoomRequest(project, "analysis", 1000, on, None, "", [])
    return replace(plain, **more)  # type: ignore[arg-type]  # fields by name


def room(request: RoomRequest) -> Room:
    return registry.entry(request.on).room(request)


def peaks(*sizes_gb: float) -> list[Outcome]:
    job = replace(ANY, step="analysis")
    return [Outcome(job, peak_memory=int(size * GB)) for size in sizes_gb]


def test_local_slots_are_those_of_the_file_or_of_the_option(tmp_path: Path) -> None:
    toml = "[executors.local]\nworkers = 3\n"
    request = asked(tmp_path, "local", toml)
    assert room(request).slots == 3
    assert room(replace(request, workers=5)).slots == 5
    assert room(replace(request, workers=5)).where == "5 slots of this machine"


def test_jobs_that_fill_the_memory_run_one_at_a_time(tmp_path: Path) -> None:
    request = asked(tmp_path, "local", measured=peaks(100_000.0))
    found = room(request)
    assert (found.slots, found.fits) == (1, 1)


def test_small_jobs_run_on_all_cores(tmp_path: Path) -> None:
    found = room(asked(tmp_path, "local", measured=peaks(0.001)))
    assert found.slots == found.cores


SLURM = "[executors.slurm]\nworkers = 10\ncores = 8\nmemory_gb = 10.0\n"


def test_workers_of_a_cluster_are_bound_by_cores_and_memory(tmp_path: Path) -> None:
    request = asked(tmp_path, "slurm", SLURM, measured=peaks(0.5))
    assert room(request).slots == 80
    large = room(replace(request, measured=peaks(2.0, 2.0)))
    assert (large.slots, large.fits, large.cores) == (40, 4, 8)
    assert large.where == "10 workers of slurm, 4 jobs each"


def test_one_job_that_is_larger_than_others_keeps_room(tmp_path: Path) -> None:
    request = asked(tmp_path, "slurm", SLURM, measured=peaks(1.0, 1.0, 1.0, 5.0))
    assert room(request).fits == 2


def test_no_more_workers_start_than_jobs_keep_busy(tmp_path: Path) -> None:
    request = asked(tmp_path, "slurm", SLURM, measured=peaks(0.5), jobs=17)
    assert room(request).machines == 3
    assert room(replace(request, workers=9)).machines == 2


def test_an_executor_of_unknown_size_asks_for_workers(tmp_path: Path) -> None:
    request = asked(tmp_path, "dask")
    with pytest.raises(ConfigError, match=r"--on dask: .* is not known: add --workers"):
        room(request)
    assert room(replace(request, workers=12)).slots == 12


def test_what_is_no_executor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExecutorError, match="--on moon: is not an executor"):
        room(asked(tmp_path, "moon"))


def test_inline_runs_one_job_at_a_time(tmp_path: Path) -> None:
    assert room(asked(tmp_path, "inline")).slots == 1
