"""A run reads and parses each input once, and sees what changes between its steps."""

import os
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cpengine.errors import InputError
from cpengine.executors.base import Executor
from cpengine.inputs import batchfile, loaddata, pipeline
from cpengine.model import Job, Outcome
from cpengine.planning import current_tables
from cpengine.plates import Part
from cpengine.project import Project
from cpengine.run.progress import views
from cpengine.run.session import Backend, StepResult, Steps
from cpengine.storage import entry, local_files
from cpengine.storage.cache import Cache
from tests import build
from tests.build import Built
from tests.job.test_stage import stage

VERSION = "4.2.8.1"
TABLE, WITH_ILLUM = "load_data.csv", "load_data_with_illum.csv"
INPUTS = {TABLE, WITH_ILLUM, "illum.cppipe", "analysis.cppipe", "Batch_data.h5"}


@pytest.fixture
def built(tmp_path: Path) -> Built:
    """A project with a load_data.csv, and the pipelines of illum and analysis."""
    made = build.project(tmp_path / "project", data_file=TABLE)
    illum = build.pipeline_text("Plate").replace("IllumDNA", "OrigDNA")
    build.write(made.pipeline.with_name("illum.cppipe"), illum)
    rows = build.image_sets(
        "P1", f"{build.MOUNT}/projects/proj/B1", ["A01", "A02"], ["1"]
    )
    plain = [{n: v for n, v in row.items() if "Illum" not in n} for row in rows]
    made.csv.write_text(build.csv_text(plain))
    (made.illum / "P1_IllumDNA.npy").unlink()
    return made


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> "Counter[tuple[str, str]]":
    """How often an input was read, parsed or made since, by what and name.

    Files count as old enough for their times to tell of changes.
    """
    counted: Counter[tuple[str, str]] = Counter()
    monkeypatch.setattr(entry, "_COARSE_S", -3600, raising=False)

    def count(module: Any, name: str, what: str, at: int) -> None:
        original = getattr(module, name)

        def counting(*arguments: Any, **options: Any) -> Any:
            place = os.path.basename(str(arguments[at] if arguments[at:] else ""))
            if place in INPUTS or at > len(arguments):
                counted[what, place] += 1
            return original(*arguments, **options)

        monkeypatch.setattr(module, name, counting)

    count(local_files, "opened", "read", 0)
    count(loaddata, "parse", "parsed", 1)
    count(batchfile, "_read", "parsed", 1)
    count(pipeline, "_modules", "parsed", 9)
    count(current_tables, "with_illum", "made", 9)
    return counted


class Staging(Executor):
    """Does of each job what reads inputs, and writes what illum would."""

    window = 2

    def __init__(self, project: Project, cache: Cache) -> None:
        super().__init__()
        self.project, self.cache = project, cache
        self.ended: list[Outcome] = []
        self.number = 0

    def submit(self, job: Job, attempt: int) -> None:
        self.number += 1
        stage(self.project, job, self.cache, f"job-{self.number}")
        if job.step == "illum":
            folder = self.project.places.outputs.path(job.destination)
            build.write(folder / "P1_IllumDNA.npy", "function")
        self.ended.append(Outcome(job, files={"file": 1}, host="here"))

    def wait(self, timeout_s: float | None) -> list[Outcome]:
        ended, self.ended = self.ended, []
        return ended

    def cancel(self) -> None: ...


def ran(project: Project, scratch: Path, *steps: str) -> list[int]:
    """How many jobs each step has done, one after another, as `cpengine run` does."""
    scratch.mkdir(exist_ok=True)
    cache = Cache.below(scratch, 1)
    backend = Backend("inline", lambda: Staging(project, cache), {})
    wanted, results = Steps(project, steps, Part(), VERSION), list[StepResult]()
    for _ in wanted.run(backend, views(Console(quiet=True)), ended=results.append):
        pass
    return [result.done for result in results]


def test_a_run_of_two_steps_reads_and_parses_each_input_once(
    built: Built, counts: "Counter[tuple[str, str]]", tmp_path: Path
) -> None:
    assert ran(built.project(), tmp_path / "scratch", "illum", "analysis") == [1, 2]
    built.project().plan("analysis")  # as the report at a run's end does
    pipelines = ("illum.cppipe", "analysis.cppipe")
    once = {
        ("parsed", TABLE): 1,
        ("parsed", WITH_ILLUM): 1,
        ("parsed", ""): len(pipelines),
        ("made", ""): 1,
        # And once for the private copy that jobs get; what was written is not read.
        **{("read", name): 2 for name in (TABLE, *pipelines)},
        ("read", WITH_ILLUM): 1,
    }
    assert dict(counts) == once


def test_a_batch_file_is_parsed_once(
    counts: "Counter[tuple[str, str]]", tmp_path: Path
) -> None:
    built = build.project(
        tmp_path / "project",
        toml="[steps.analysis]\ngroups = 'batch'\nbatch_file = 'Batch_data.h5'\n",
    )
    build.batch_of(built, "Batch_data.h5")
    counts.clear()
    assert ran(built.project(), tmp_path / "scratch", "analysis") == [4]
    assert counts["parsed", "Batch_data.h5"] == 1
    assert counts["read", "Batch_data.h5"] == 3  # the copy, and what it holds
    assert counts["parsed", ""] == 1


@pytest.mark.parametrize("same_time", [False, True])
def test_an_edit_is_seen_though_size_and_time_stay(
    built: Built, counts: "Counter[tuple[str, str]]", *, same_time: bool
) -> None:
    """Times that are set back show in the time of that."""
    project = built.project()
    before, seen = project.plan("illum"), built.csv.stat()
    text = built.csv.read_text()
    built.csv.write_text(text.replace("A02", "B02"))
    if same_time:
        os.utime(built.csv, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    counts.clear()
    after = project.plan("illum")
    assert built.csv.stat().st_size == seen.st_size
    assert before.jobs[0].fingerprint != after.jobs[0].fingerprint
    assert counts["read", TABLE] == counts["parsed", TABLE] == 1


def test_an_edit_while_a_step_runs_is_in_the_plan_of_the_next(
    built: Built, tmp_path: Path
) -> None:
    project = built.project()

    class Editing(Staging):
        def submit(self, job: Job, attempt: int) -> None:
            super().submit(job, attempt)
            if job.step == "illum":
                build.change(built.csv, "A02", "B02")
            wells.append(dict(job.group).get("Metadata_Well", ""))

    wells: list[str] = []
    (tmp_path / "scratch").mkdir()
    cache = Cache.below(tmp_path / "scratch", 1)
    backend = Backend("inline", lambda: Editing(project, cache), {})
    steps = Steps(project, ["illum", "analysis"], Part(), VERSION)
    # The image of B02 is not there; it is refused before a job starts.
    with pytest.raises(InputError, match="B02_1"):
        list(steps.run(backend, views(Console(quiet=True))))
    assert wells == [""]


def test_a_table_that_was_just_written_is_read_again(
    built: Built, counts: "Counter[tuple[str, str]]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system may give what comes next the same time."""
    monkeypatch.setattr(entry, "_COARSE_S", 3600, raising=False)
    project = built.project()
    project.plan("illum")
    counts.clear()
    project.plan("illum")
    assert counts["read", TABLE] == 1
    assert counts["parsed", TABLE] == 0  # it holds what it held


def test_jobs_that_begin_together_read_and_parse_once(
    built: Built, counts: "Counter[tuple[str, str]]", tmp_path: Path
) -> None:
    """As in a worker that has not made the plan itself."""
    project = built.project()
    job = project.plan("illum").jobs[0]
    build.change(built.csv, "A02", "A02")
    elsewhere = project.places.workspace.path(job.data_file)
    elsewhere.write_text(f"{elsewhere.read_text()}\n")  # the same rows in other bytes
    (tmp_path / "scratch").mkdir()
    cache = Cache.below(tmp_path / "scratch", 1)
    counts.clear()
    threads = [
        threading.Thread(target=stage, args=(project, job, cache, f"job-{number}"))
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts["read", TABLE] == counts["parsed", TABLE] == 1
    assert counts["read", "illum.cppipe"] == 1
