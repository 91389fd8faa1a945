"""Looking back: status, logs, why jobs would run, and the record of runs."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from cpengine.executors.retry import CURES
from cpengine.ledger.ledger import Ledger
from cpengine.model import FailureKind
from cpengine.project import Project
from tests.build import Built, change
from tests.cli.test_cli import built, call, faults

__all__ = ["built"]

BROKEN = ["module_error"] * 9


def status(built: Built, *more: str) -> dict[str, Any]:
    result = call("status", "-C", built.root, "--json", *more)
    assert result.exit_code == 0, result.stderr
    (step,) = json.loads(result.stdout)["steps"]
    found: dict[str, Any] = step
    return found


def counts(built: Built) -> dict[str, int]:
    step = status(built)
    return {name: step[name] for name in ("done", "failed", "stale", "left")}


@pytest.fixture
def ran(built: Built) -> Built:
    """The project after a run in which one job of four failed."""
    faults(built, {"P1-A01-2": BROKEN})
    assert call("run", "analysis", "-C", built.root).exit_code == 1
    return built


def explained(built: Built) -> dict[str, str]:
    lines = call("plan", "analysis", "-C", built.root, "--explain").stdout.splitlines()
    pairs = (line.split("  ", 1) for line in lines if line.startswith("P1-"))
    return {job: why for job, why in pairs}


# status


def test_nothing_has_run_yet(built: Built) -> None:
    result = call("status", "-C", built.root)
    assert result.exit_code == 2
    assert "nothing has run yet: run a step, or name one" in result.stderr


def test_a_step_that_has_not_run_is_all_left(built: Built) -> None:
    assert status(built, "analysis")["left"] == 4


def test_status_counts_each_state(ran: Built) -> None:
    assert counts(ran) == {"done": 3, "failed": 1, "stale": 0, "left": 0}
    shown = call("status", "-C", ran.root).stdout
    assert "analysis: 1 job failed: cellprofiler (see --failed)" in shown
    assert "analysis: last run by" in shown
    assert "3 done, 1 failed, 0 not run" in shown


def test_failed_jobs_come_with_class_module_error_log_and_cure(ran: Built) -> None:
    shown = call("status", "-C", ran.root, "--failed").stdout
    assert "P1-A01-2  cellprofiler in Crop: ValueError: no such thing (log: " in shown
    assert "1 job failed: cellprofiler in Crop: ValueError: no such thing\n" in shown
    assert f"what to do: {CURES[FailureKind.CELLPROFILER]}" in shown
    (failure,) = status(ran, "--failed")["failures"]
    assert failure["job"]["id"] == "P1-A01-2"
    assert failure["failure"]["module"] == "Crop"
    assert Path(failure["failure"]["log"]).is_file()


def test_a_done_job_that_fails_in_a_forced_run_is_failed(ran: Built) -> None:
    faults(ran, {"P1-A02-1": BROKEN})
    assert call("run", "analysis", "-C", ran.root, "--force").exit_code == 1
    assert counts(ran) == {"done": 3, "failed": 1, "stale": 0, "left": 0}
    assert "P1-A02-1" in call("status", "-C", ran.root, "--failed").stdout
    faults(ran, {})
    again = call("run", "analysis", "-C", ran.root)
    assert again.stdout.startswith("analysis: 1 of 1 job done, 3 done before")


def test_what_a_forced_run_has_not_done_is_left(ran: Built) -> None:
    assert counts(ran)["done"] == 3
    results = {path: path.read_bytes() for path in ran.root.rglob("Image.csv")}
    run = Project.load(ran.root).run("analysis", force=True, workers=1)
    with run:
        next(run)
    done, failed, _, left = counts(ran).values()
    assert done <= 2
    assert failed + left >= 2
    assert {path: path.read_bytes() for path in results} == results  # in place
    faults(ran, {})
    assert call("run", "analysis", "-C", ran.root).exit_code == 0
    assert counts(ran)["done"] == 4


def test_a_forced_run_that_is_ended_as_it_begins_leaves_all_jobs(
    ran: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_aside, called = Ledger.set_aside, []

    def interrupted(ledger: Ledger, name: str) -> bool:
        called.append(name)
        if len(called) == 2:
            raise KeyboardInterrupt
        return set_aside(ledger, name)

    monkeypatch.setattr(Ledger, "set_aside", interrupted)
    ended = call("run", "analysis", "-C", ran.root, "--force")
    assert ended.exit_code == 130
    assert counts(ran) == {"done": 0, "failed": 1, "stale": 0, "left": 3}


def test_a_failure_of_a_kind_that_only_another_version_knows_hides_nothing(
    ran: Built,
) -> None:
    (marker,) = ran.root.rglob("*.failed-cellprofiler")
    text = marker.read_text().replace('"kind": "cellprofiler"', '"kind": "meteorite"')
    assert '"kind": "meteorite"' in text
    marker.unlink()
    marker.with_suffix(".failed-meteorite").write_text(text)
    assert counts(ran) == {"done": 3, "failed": 1, "stale": 0, "left": 0}
    assert "1 job failed: meteorite (see" in call("status", "-C", ran.root).stdout
    shown = call("status", "-C", ran.root, "--failed").stdout
    assert "P1-A01-2  unknown in Crop: meteorite: ValueError: no such thing" in shown
    for command in (["report", "analysis"], ["plan", "analysis"], ["attach"]):
        assert call(*command, "-C", ran.root).exit_code in (0, 1)
    faults(ran, {})
    assert call("run", "analysis", "-C", ran.root, "--only", "failed").exit_code == 0
    assert counts(ran)["done"] == 4


def test_what_would_stop_a_run_does_not_hide_what_is_done(ran: Built) -> None:
    change(ran.csv, "A02_1.tif", "A01_1.tif")
    change(ran.pipeline, "Default Output Folder|", "Elsewhere...|/data")
    assert call("run", "analysis", "-C", ran.root).exit_code == 2
    assert counts(ran) == {"done": 0, "failed": 0, "stale": 3, "left": 1}


def test_a_part_can_be_asked_for(ran: Built) -> None:
    assert status(ran, "analysis", "--well", "A02")["jobs"] == 2


def test_a_changed_pipeline_makes_done_jobs_stale_and_says_so(ran: Built) -> None:
    change(ran.pipeline, "Nuclei", "Kernels")
    assert counts(ran) == {"done": 0, "failed": 0, "stale": 3, "left": 1}
    shown = call("status", "-C", ran.root).stdout
    assert "analysis: 3 jobs stale: the pipeline changed since it was done" in shown


OUTPUTS = "projects/proj/workspace/analysis/B1/P1/analysis"


def test_done_files_that_are_gone_are_found_by_verify(ran: Built) -> None:
    assert call("status", "-C", ran.root, "--verify").exit_code == 0
    (ran.root / OUTPUTS / "P1-A02-1/Image.csv").unlink()
    (ran.root / OUTPUTS / "P1-A02-2/Image.csv").write_text("cut")
    result = call("status", "-C", ran.root, "--verify")
    assert result.exit_code == 1
    assert "P1-A02-1  is done, but " in result.stdout
    assert "P1-A02-1/Image.csv is gone\n" in result.stdout
    assert "P1-A02-2/Image.csv has 3 of " in result.stdout


def test_the_cure_of_verify_runs_the_damaged_jobs_and_no_others(ran: Built) -> None:
    for job in ("P1-A02-1", "P1-A02-2"):
        (ran.root / OUTPUTS / job / "Image.csv").unlink()
    shown = call("status", "-C", ran.root, "--verify").stdout
    cure = "cpengine run analysis --plate P1 --well A02 --site 1,2 --force"
    assert f"analysis: 2 jobs without all files, what to do:\n  {cure}\n" in shown
    faults(ran, {})
    result = call(*cure.split()[1:], "-C", ran.root)
    assert "analysis: 2 of 2 jobs done" in result.stdout
    assert call("status", "-C", ran.root, "--verify").exit_code == 0


def test_done_jobs_whose_folders_are_gone_are_missing_and_run_again(
    ran: Built,
) -> None:
    shutil.rmtree(ran.root / OUTPUTS / "P1-A01-1")
    faults(ran, {})
    assert explained(ran)["P1-A01-1"] == (
        "runs, missing: it was done, but its folder is gone"
    )
    result = call("run", "analysis", "-C", ran.root)
    assert "analysis: 2 of 2 jobs done, 2 done before" in result.stdout
    assert (ran.root / OUTPUTS / "P1-A01-1/Image.csv").is_file()
    assert set(explained(ran).values()) == {"no, done: done, and nothing has changed"}


def test_only_missing_jobs_run_again(ran: Built) -> None:
    shutil.rmtree(ran.root / OUTPUTS / "P1-A01-1")
    faults(ran, {})
    result = call("run", "analysis", "-C", ran.root, "--only", "missing")
    assert "analysis: 1 of 1 job done, 2 done before" in result.stdout
    assert counts(ran) == {"done": 3, "failed": 1, "stale": 0, "left": 0}


def test_results_that_were_all_removed_are_all_missing(ran: Built) -> None:
    shutil.rmtree(ran.root / "projects/proj/workspace/analysis")
    result = call("status", "-C", ran.root, "--verify")
    assert result.exit_code == 1
    assert f"P1-A02-2  is done, but its folder {ran.root / OUTPUTS}" in result.stdout
    cure = "cpengine run analysis --only missing"
    assert f"analysis: 3 jobs missing, what to do:\n  {cure}\n" in result.stdout
    found = json.loads(call("status", "-C", ran.root, "--verify", "--json").stdout)
    (step,) = found["steps"]
    assert (step["done"], step["missing"], step["failed"]) == (0, 3, 1)
    assert [entry["job"] for entry in step["damaged"]] == [
        *("P1-A01-1", "P1-A02-1", "P1-A02-2")
    ]


def test_missing_jobs_are_not_counted_without_verify(ran: Built) -> None:
    shutil.rmtree(ran.root / OUTPUTS)
    table, _, _ = call("status", "-C", ran.root).stdout.partition("analysis: ")
    assert "missing" not in table
    step = status(ran)
    assert (step["done"], step["missing"]) == (3, None)


def test_watch_ends_when_nothing_is_left(ran: Built) -> None:
    result = call("status", "-C", ran.root, "--watch", "--every", "1")
    assert result.exit_code == 0
    assert "analysis: 4 jobs: 3 done, 1 failed, 0 stale, 0 left" in result.stderr


# plan --explain


def test_every_job_is_listed_with_why_it_would_run(ran: Built) -> None:
    assert explained(ran) == {
        "P1-A01-1": "no, done: done, and nothing has changed",
        "P1-A01-2": "runs, failed (cellprofiler): its last attempt failed",
        "P1-A02-1": "no, done: done, and nothing has changed",
        "P1-A02-2": "no, done: done, and nothing has changed",
    }


def test_a_changed_row_makes_its_job_alone_stale(ran: Built) -> None:
    change(ran.csv, "A02_1.tif", "A01_1.tif")
    whys = explained(ran)
    assert whys["P1-A02-1"] == "runs, stale: its image sets changed since it was done"
    assert sum("stale" in why for why in whys.values()) == 1


def test_a_changed_plugin_makes_its_jobs_stale(ran: Built) -> None:
    plugin = ran.root / "plugins/identifyprimaryobjects.py"
    plugin.parent.mkdir()
    plugin.write_text("# mine\n")
    text = f'[steps.analysis]\nplugins = "{plugin.parent}"\n'
    ran.toml.write_text(ran.toml.read_text() + text)
    faults(ran, {})
    call("run", "analysis", "-C", ran.root)
    assert counts(ran)["done"] == 4
    plugin.write_text("# mine, mended\n")
    why = "runs, stale: its plugins or rules changed since it was done"
    assert set(explained(ran).values()) == {why}


# run --only


def test_only_failed_jobs_run_again(ran: Built) -> None:
    faults(ran, {})
    change(ran.csv, "A02_1.tif", "A01_1.tif")
    result = call("run", "analysis", "-C", ran.root, "--only", "failed")
    assert "analysis: 1 of 1 job done, 2 done before" in result.stdout
    assert counts(ran) == {"done": 3, "failed": 0, "stale": 1, "left": 0}


def test_only_stale_jobs_run_again(ran: Built) -> None:
    change(ran.csv, "A02_1.tif", "A01_1.tif")
    result = call("run", "analysis", "-C", ran.root, "--only", "stale")
    assert result.exit_code == 0
    assert counts(ran) == {"done": 3, "failed": 1, "stale": 0, "left": 0}


def test_nothing_to_run_is_reported(ran: Built) -> None:
    result = call("run", "analysis", "-C", ran.root, "--only", "stale")
    assert result.exit_code == 0
    assert "no job stands so" in result.stdout


@pytest.mark.parametrize("option", ["--force", "--keep-stale"])
def test_only_goes_with_no_other_choice_of_jobs(ran: Built, option: str) -> None:
    result = call("run", "analysis", "-C", ran.root, "--only", "failed", option)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: --force, --keep-stale and --only")


# A hopeless run


def test_a_run_stops_at_its_limit_and_names_the_common_cause(built: Built) -> None:
    faults(built, {name: ["zero"] for name in ("P1-A01-1", "P1-A01-2")})
    result = call(
        *("run", "analysis", "-C", built.root, "--workers", "1", "--max-failures", "1")
    )
    assert result.exit_code == 1
    cause = "no_output: Image.csv is empty (0 bytes)"
    assert f"stopped: 1 job failed, 1 of them so: {cause}" in result.stderr
    assert "0 of 4 jobs done, 1 failed, 3 not run" in result.stdout
    run = status(built)["run"]
    assert run["result"].startswith("1 job failed")
    assert run["counts"]["not_run"] == 3


# logs


def test_logs_prints_the_log_of_the_last_attempt(ran: Built) -> None:
    result = call("logs", "analysis", "P1-A01-2", "-C", ran.root)
    assert result.stdout.endswith("ValueError: no such thing\n")


def test_a_log_that_is_not_there_is_reported_with_its_nearest(ran: Built) -> None:
    result = call("logs", "analysis", "P1-A01-3", "-C", ran.root)
    assert result.exit_code == 2
    assert "has no log of P1-A01-3: did you mean P1-A01-" in result.stderr


def test_logs_before_a_run_is_reported(built: Built) -> None:
    result = call("logs", "analysis", "P1-A01-1", "-C", built.root)
    assert "analysis: has no logs yet: run it first" in result.stderr


# Records


def test_each_run_leaves_a_record(ran: Built) -> None:
    run = status(ran)["run"]
    assert run["executor"] == "local"
    assert run["result"] == "ended"
    assert run["versions"]["cellprofiler"] == "4.2.8.1"
    assert len(run["pipeline_sha256"]) == 64
    assert run["counts"] == {
        "done": 3,
        "failed": 1,
        "not_run": 0,
        "image_sets": 3,
        "files": 6,
    }
    call("run", "analysis", "-C", ran.root)
    runs = ran.root / "projects/proj/workspace/cpengine/B1/analysis/runs"
    assert len(list(runs.iterdir())) == 2


def test_the_record_has_the_rules_that_were_set(built: Built) -> None:
    text = built.toml.read_text() + '[check]\nimage-missing = "warn"\n'
    built.toml.write_text(text)
    call("run", "analysis", "-C", built.root)
    assert status(built)["run"]["softened"] == {"image-missing": "warn"}


def test_a_marker_tells_what_the_job_took(ran: Built) -> None:
    folder = ran.root / "projects/proj/workspace/cpengine/B1/analysis/markers"
    (marker,) = folder.glob("P1-A01-1~*.done")
    record = json.loads(marker.read_text())
    assert set(record["phase_s"]) == {"fetching", "waiting", "running", "publishing"}
    assert record["cpu_s"] > 0
    assert record["module_s"] == {"1 LoadData": 0.02}
    assert record["job"]["image_sets"] == 1
    assert set(record["files"]) == {"Image.csv", "P1-A01-1.json"}


# Results of Distributed-CellProfiler

DCP_DONE = "[steps.analysis.dcp_done]\nexpected_number_files = 2\n"


def dcp_outputs(built: Built, job: str, **files: int) -> None:
    folder = built.root / "projects/proj/workspace/analysis/B1/P1/analysis" / job
    folder.mkdir(parents=True, exist_ok=True)
    for name, size in files.items():
        (folder / f"{name}.csv").write_bytes(bytes(size))


def test_results_of_dcp_are_recognised_by_its_rule(built: Built) -> None:
    rule = 'min_file_size_bytes = 5\nnecessary_string = "csv"\n'
    built.toml.write_text(built.toml.read_text() + DCP_DONE + rule)
    dcp_outputs(built, "P1-A01-1", Image=9, Cells=9)
    dcp_outputs(built, "P1-A01-2", Image=9, Cells=4)
    dcp_outputs(built, "P1-A02-1", Image=9)
    whys = explained(built)
    assert whys.pop("P1-A01-1") == (
        "no, done: made by Distributed-CellProfiler (2 files)"
    )
    assert set(whys.values()) == {"runs, left: it has not run yet"}
    result = call("run", "analysis", "-C", built.root)
    assert "3 of 3 jobs done, 1 done before" in result.stdout


def test_a_job_of_ours_is_never_taken_for_one_of_dcp(ran: Built) -> None:
    ran.toml.write_text(ran.toml.read_text() + DCP_DONE)
    dcp_outputs(ran, "P1-A01-2", Image=9, Cells=9)
    assert counts(ran)["failed"] == 1


def test_what_our_own_killed_run_left_is_not_taken_for_one_of_dcp(ran: Built) -> None:
    ran.toml.write_text(ran.toml.read_text() + DCP_DONE)
    project = Project.load(ran.toml.parent)
    ledger = project.ledger(project.step("analysis"))
    for names in ledger.markers().values():
        for name in names:
            ledger.remove(name)
    dcp_outputs(ran, "P1-A01-1", Image=9, Cells=9)
    dcp_outputs(ran, "P1-A01-2", Image=9, Cells=9)
    assert counts(ran)["done"] == 1  # of the failed one, which published nothing


def test_many_jobs_of_dcp_are_recognised_from_one_listing(tmp_path: Path) -> None:
    from dataclasses import replace

    from cpengine.config.steps import DoneRule
    from cpengine.ledger.dcp_done import counted_files
    from cpengine.storage.store import Storage
    from cpengine.testing import jobs

    storage = Storage(str(tmp_path))
    names = [*"ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    many = [replace(j, output_structure="x/Metadata_Plate") for j in jobs(*names)]
    for name in names[:9]:
        for file in ("Image.csv", "outlines/a.png"):
            storage.write(f"out/x/{name}/{file}", b"1")
    assert counted_files(DoneRule(2), storage, many) == dict.fromkeys(names[:9], 2)


def test_pipes_in_a_ledger_keep_nobody_waiting(ran: Built) -> None:
    """Each file of the run is one now: its record, its markers and logs."""
    ledger = ran.project().step("analysis").ledger
    ledgers = ran.project().places.outputs.path(ledger)
    files = [path for path in ledgers.rglob("*") if path.is_file()]
    assert {"runs", "markers", "logs"} <= {path.parent.name for path in files}
    for path in files:
        path.unlink()
        os.mkfifo(path)
    result = call("status", "-C", ran.root, "--verify")
    assert result.exit_code == 1
    assert "is no regular file" in result.output
    result = call("logs", "analysis", "P1-A01-1", "-C", ran.root)
    assert result.exit_code != 0
    assert "is no regular file" in result.output
