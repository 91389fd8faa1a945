"""What a report says, against the markers that it is made from."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from cpengine.errors import ConfigError, InputError
from cpengine.job import csv_columns
from cpengine.ledger import run_record
from cpengine.ledger.heartbeat import Heartbeat
from cpengine.ledger.ledger import Ledger
from cpengine.model import Failure, FailureKind, Outcome
from cpengine.plates import Part
from cpengine.project import Project
from cpengine.results import report
from cpengine.results.report import facts
from cpengine.results.report import model as models
from tests import build
from tests.build import change
from tests.results.report.made import STEP, VERSION, Size, project

SMALL = Size(wells=2, sites=2)


def model(project: Project, step: str = STEP, **more: Any) -> dict[str, Any]:
    made = report.make(project, step, cellprofiler=VERSION, **more).model
    read: dict[str, Any] = json.loads(json.dumps(made, allow_nan=False))
    return read


def outcomes(project: Project, step: str = STEP) -> list[Outcome]:
    ledger = ledger_of(project, step)
    names = (name for some in ledger.markers().values() for name in some)
    return ledger.outcomes(sorted(names))  # whatever the order of a listing


def ledger_of(project: Project, step: str = STEP) -> Ledger:
    return project.ledger(project.step(step))


def by_job(found: Mapping[str, Any], column: str) -> dict[str, Any]:
    jobs = found["jobs"]
    values = jobs["measures"].get(column) or jobs[column]
    return dict(zip(models.ids(dict(found)), values, strict=True))


# Of a real plate


@pytest.mark.cellprofiler
def test_numbers_of_a_real_plate_are_those_of_its_markers(plate: Project) -> None:
    found, ran = model(plate), outcomes(plate)
    summary = found["summary"]
    assert {state: n for state, n in summary["states"].items() if n} == {"done": 4}
    assert (summary["jobs"], summary["image_sets_done"]) == (4, 4)
    assert summary["slots"] in (2, 3)  # clocks are read a moment apart
    assert summary["cpu_s"] == pytest.approx(sum(outcome.cpu_s for outcome in ran))
    assert summary["peak_memory"] == max(outcome.peak_memory for outcome in ran)
    counts = {outcome.job.id: outcome.measures["Count_Cells"] for outcome in ran}
    assert by_job(found, "Count_Cells") == counts
    wall_s = {
        outcome.job.id: pytest.approx(outcome.wall_s, abs=0.06) for outcome in ran
    }
    assert by_job(found, "wall_s") == wall_s
    modules = {
        (m["exact"], f"{m['number']} {m['name']}"): m["seconds"]
        for m in found["modules"]
    }
    ways = {way: [o for o in ran if bool(o.exact) == way] for way in (False, True)}
    # The first two are compared, and another that was faster than both to begin.
    assert (len(ways[False]), len(ways[True])) in ((2, 2), (3, 1))
    assert modules == {
        (way, name): pytest.approx(sum(outcome.module_s[name] for outcome in some))
        for way, some in ways.items()
        for name in ran[0].module_s
    }
    assert found["accelerations"]["differences"] == []
    assert found["accelerations"]["checked"] == len(ways[False])
    assert found["versions"]["cellprofiler"] == [VERSION]


@pytest.mark.cellprofiler
def test_a_step_of_plates_has_a_job_a_plate_and_no_map(plate: Project) -> None:
    found = model(plate, "illum")
    (only,) = found["plates"]
    assert (only["rows"], only["wells"]) == (0, [""])
    page = report.make(plate, "illum").html()
    assert 'id="show"' not in page
    assert f'<th scope="row">{only["name"]}</th>' in page


# States


def test_wells_sum_counts_and_average_quality(tmp_path: Path) -> None:
    made = project(tmp_path, Size(wells=1, sites=3))
    found = model(made)
    ran = [outcome for outcome in outcomes(made) if outcome.done]
    wells = {measure["name"]: measure["wells"] for measure in found["measures"]}
    assert wells["Count_Cells"] == [
        sum(outcome.measures["Count_Cells"] for outcome in ran)
    ]
    slope = "ImageQuality_PowerLogLogSlope_OrigDNA"
    mean = sum(outcome.measures[slope] for outcome in ran) / len(ran)
    assert wells[slope] == [pytest.approx(mean, rel=1e-3)]
    assert wells["Peak memory"] == [
        pytest.approx(max(outcome.peak_memory for outcome in outcomes(made)), rel=1e-3)
    ]


def test_half_way_the_rest_is_left(tmp_path: Path) -> None:
    found = model(project(tmp_path, SMALL, left=0.5))
    assert found["summary"]["states"]["left"] == 2
    assert found["plates"][0]["states"]["left"] == 2
    assert sum(wall is None for wall in found["jobs"]["wall_s"]) == 2
    assert found["summary"]["under_way"] == ""


def test_a_run_that_is_under_way_says_how_far_it_is(tmp_path: Path) -> None:
    made = project(tmp_path, SMALL, left=0.5)
    record = run_record.last_run(ledger_of(made))
    assert record is not None
    with Heartbeat(ledger_of(made), record["id"], {}, lambda: "2/4 done"):
        assert model(made)["summary"]["under_way"] == "2/4 done"
        page = report.make(made, STEP).html()
    assert "A run is under way." in page
    assert "2/4 done" in page
    assert "left</b> to run" not in page


def test_stale_jobs_keep_the_numbers_of_their_run(tmp_path: Path) -> None:
    made = project(tmp_path, SMALL)
    before = model(made)
    change(made.places.workspace.path(made.step(STEP).pipeline), "Nuclei", "Kernels")
    found = model(made)
    assert found["summary"]["states"]["stale"] == 4
    assert by_job(found, "wall_s") == by_job(before, "wall_s")
    assert found["jobs"]["whys"] == ["the pipeline changed since it was done"]


def test_missing_jobs_keep_the_numbers_of_their_run(tmp_path: Path) -> None:
    made = project(tmp_path, SMALL)
    before = model(made)
    shutil.rmtree(made.places.outputs.path(made.step(STEP).output))
    found = model(made)
    assert found["summary"]["states"]["missing"] == 4
    assert by_job(found, "wall_s") == by_job(before, "wall_s")
    assert found["jobs"]["whys"] == ["it was done, but its folder is gone"]
    page = report.make(made, STEP).html()
    assert "4 jobs missing</b>: done, but the folder of the results is gone." in page
    assert "cpengine run analysis --only missing" in page


def test_a_job_that_failed_after_it_was_done_shows_its_failure(tmp_path: Path) -> None:
    made = project(tmp_path, SMALL)
    first = outcomes(made)[0]
    change(made.places.workspace.path(made.step(STEP).pipeline), "Nuclei", "Kernels")
    job = next(j for j in made.plan(STEP).jobs if j.id == first.job.id)
    failure = Failure(FailureKind.TIMEOUT, "took too long")
    ledger_of(made).record(replace(first, job=job, failure=failure, wall_s=99.0))
    found = model(made)
    assert found["summary"]["states"]["failed"] == 1
    assert by_job(found, "wall_s")[job.id] == 99
    assert found["failures"][0]["jobs"] == [job.id]


def test_results_of_dcp_are_done_and_have_no_numbers(tmp_path: Path) -> None:
    built = build.project(
        tmp_path, toml="[steps.analysis.dcp_done]\nexpected_number_files = 1\n"
    )
    outputs = tmp_path / "projects/proj/workspace/analysis/B1/P1/analysis"
    build.write(outputs / "P1-A01-1" / "Image.csv", "x")
    made = built.project()
    found = model(made)
    states = found["summary"]["states"]
    assert {state for state, number in states.items() if number} == {"done", "left"}
    assert (states["done"], states["left"]) == (1, 3)
    assert found["summary"]["first"] is None
    assert "Timeline" not in report.make(made, STEP).html()


def test_a_job_whose_machine_was_lost_failed_at_no_known_time(tmp_path: Path) -> None:
    made = project(tmp_path, SMALL, left=0.25)
    begun = model(made)["summary"]["first"]
    (left,) = (j for j in made.plan(STEP).jobs if j.id not in ledger_of(made).markers())
    failure = Failure(FailureKind.NODE_LOST, "its worker is gone")
    ledger_of(made).record(Outcome(left, failure, versions={"cellprofiler": VERSION}))
    found = model(made)
    assert found["failures"][-1]["jobs"] == [left.id]
    assert found["summary"]["first"] == begun
    assert by_job(found, "host")[left.id] == -1
    assert "1970" not in report.make(made, STEP).html()


def test_columns_that_only_some_jobs_have_are_named(tmp_path: Path) -> None:
    made = project(tmp_path, SMALL)
    headers = ("A,B", "B,A", "A,C", "B,A")
    for outcome, header in zip(outcomes(made), headers, strict=True):
        place = tmp_path / "csvs" / outcome.job.id
        build.write(place / "My_Image.csv", f"ImageNumber,{header}\r\n1,2,3\r\n")
        build.write(place / "My_Cells.csv", "ImageNumber,ObjectNumber\r\n")
        build.write(place / "My_Experiment.csv", f"Key,{header}\r\n")
        files = {path.name: path.stat().st_size for path in place.iterdir()}
        columns = csv_columns.digests(place, files)
        assert columns.keys() == {"My_Image.csv", "My_Cells.csv"}
        for name in files:
            key = f"{outcome.job.destination}/{name}"
            made.places.outputs.publish(place / name, key)
        done = replace(outcome, failure=None, files=files, columns=columns)
        ledger_of(made).record(done)
    odd = outcomes(made)[2].job.id
    (some,) = model(made)["columns"]
    assert some == {
        "table": "Image",
        "columns": ["B", "C"],
        "jobs": 3,
        "without": 1,
        "lacking": odd,
        "note": "2 columns of Image.csv that only some jobs have: B, C; B is in 3 and "
        f"not in 1, such as {odd}",
    }
    assert some["note"] in report.make(made, STEP).html()


@pytest.mark.parametrize(
    "place", [{"output": "outside"}, {"output_structure": "../../../../../../outside"}]
)
def test_of_what_markers_name_only_files_of_the_step_are_read(
    place: dict[str, str], tmp_path: Path
) -> None:
    made = project(tmp_path / "project", SMALL)
    if "output" in place:
        place = {"output": f"{tmp_path}/outside"}
    for outcome, header in zip(outcomes(made), ("A", "A", "A", "Secret"), strict=True):
        job = replace(outcome.job, **place) if header == "Secret" else outcome.job
        file = Path(os.path.normpath(made.places.outputs.join(job.destination)))
        build.write(file / "Image.csv", f"ImageNumber,{header}\r\n1,2\r\n")
        done = replace(outcome, job=job, failure=None, files={"Image.csv": 1})
        ledger_of(made).record(replace(done, columns={"Image.csv": header}))
    assert model(made)["columns"] == []


def test_a_part_can_be_taken(tmp_path: Path) -> None:
    made = project(tmp_path, Size(plates=2, wells=2, sites=1))
    found = model(made, part=Part(plates=frozenset({"SQ00015168"})))
    assert [plate["name"] for plate in found["plates"]] == ["SQ00015168"]
    assert found["part"] == {"Metadata_Plate": ["SQ00015168"]}


def test_a_step_without_any_marker_is_reported_in_a_line(tmp_path: Path) -> None:
    made = build.project(tmp_path).project()
    with pytest.raises(InputError, match=r"^analysis: no job has ended yet: run it, "):
        report.make(made, STEP)


def test_an_unknown_step_is_reported_in_a_line(tmp_path: Path) -> None:
    made = build.project(tmp_path).project()
    with pytest.raises(ConfigError, match="analyse: is not a step: did you mean"):
        report.make(made, "analyse")


def test_more_jobs_than_a_page_can_show_are_reported_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = project(tmp_path, SMALL)
    monkeypatch.setattr(facts, "MOST_JOBS", 3)
    with pytest.raises(InputError, match=r"has 4 jobs, a page shows 3: take some"):
        report.make(made, STEP)


# Failures


def test_failures_are_grouped_by_cause_with_log_cure_and_commands(
    tmp_path: Path,
) -> None:
    made = project(tmp_path, Size(wells=3, sites=2))
    ledger = ledger_of(made)
    found = sorted(outcomes(made), key=lambda outcome: outcome.job.id)
    for number, outcome in enumerate(found[:5]):
        message = f"cannot read image {number}.tif" if number < 4 else "it is odd"
        failure = Failure(FailureKind.CELLPROFILER, message, "LoadData", log="there")
        ledger.record(
            replace(outcome, job=replace(outcome.job, earlier=()), failure=failure)
        )
        ledger.remove(_name(ledger, outcome.job.id, "done"))
        ledger.storage.write(ledger.log(outcome.job), b"line\n" * 50 + b"the end\n")
    first, second = model(made)["failures"]
    assert first["jobs"] == [outcome.job.id for outcome in found[:4]]
    assert (first["kind"], first["module"]) == ("cellprofiler", "LoadData")
    assert first["log"].splitlines() == ["line"] * 19 + ["the end"]
    assert first["cure"].startswith("read the log")
    well, site = (dict(found[0].job.group)[f"Metadata_{k}"] for k in ("Well", "Site"))
    again = f"cpengine run analysis --plate SQ00015167 --well {well} --site {site}"
    assert first["commands"]["this group again"] == again
    assert second["jobs"] == [found[4].job.id]


def _name(ledger: Ledger, job: str, state: str) -> str:
    (name,) = (n for n in ledger.markers()[job] if n.endswith(state))
    return name


def test_time_lost_counts_failed_and_earlier_attempts(tmp_path: Path) -> None:
    made = project(tmp_path, Size(wells=2, sites=1))
    ledger = ledger_of(made)
    ends = (
        (2, None),  # its first attempt took as long, as far as we know
        (2, Failure(FailureKind.CRASH, "it crashed")),
    )
    for outcome, (attempt, failure) in zip(outcomes(made), ends, strict=True):
        ledger.remove(_name(ledger, outcome.job.id, ""))
        ledger.record(replace(outcome, attempt=attempt, failure=failure, wall_s=10.0))
    summary = model(made)["summary"]
    assert summary["lost_s"] == 30
    assert summary["lost_part"] == 0.75
    assert summary["retried"] == 2


# Plates


def test_each_well_has_its_place_on_the_smallest_plate_that_fits(
    tmp_path: Path,
) -> None:
    built = build.project(tmp_path, wells=("B02", "A01", "H12"), sites=("1",))
    found = _with_one_done(built.project())["plates"][0]
    assert (found["rows"], found["columns"]) == (8, 12)
    assert found["wells"] == ["A01", "B02", "H12"]
    assert found["at"] == [0, 13, 95]


@pytest.mark.parametrize("wells", [("A1", "A01"), ("one", "A01"), ("A99",)])
def test_wells_without_a_place_of_their_own_are_listed(
    tmp_path: Path, wells: tuple[str, ...]
) -> None:
    made = build.project(tmp_path, wells=wells, sites=("1",)).project()
    assert _with_one_done(made)["plates"][0]["rows"] == 0
    page = report.make(made, STEP).html()
    assert all(f'<th scope="row">P1-{well}-1</th>' in page for well in wells)


def _with_one_done(made: Project) -> dict[str, Any]:
    job = made.plan(STEP).jobs[0]
    versions = {"cellprofiler": VERSION}
    ledger_of(made).record(
        Outcome(job, started="2026-11-22T10:00:00+00:00", wall_s=1, versions=versions)
    )
    return model(made)


def test_the_state_of_a_well_is_its_worst_jobs(tmp_path: Path) -> None:
    made = project(tmp_path, Size(wells=2, sites=2), left=0.25)
    states = model(made)["jobs"]["states"]
    (only,) = model(made)["plates"]
    assert [states[state] for state in only["state"]] == ["done", "left"]


def test_values_of_single_jobs_are_left_out_where_they_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = project(tmp_path, SMALL)
    monkeypatch.setattr(models, "_MOST_VALUES", 10)
    found = model(made)
    assert found["jobs"]["measures"] == {}
    assert any(measure["name"] == "Count_Cells" for measure in found["measures"])


# Memory


def test_every_job_is_in_the_histogram_of_memory(tmp_path: Path) -> None:
    found = model(project(tmp_path, Size(wells=12, sites=2)))["memory"]
    assert sum(found["bars"]) == 24
    assert found["bar"] * (len(found["bars"]) - 1) <= found["spread"]["most"]
    assert found["bar"] * len(found["bars"]) > found["spread"]["most"]
    assert len(found["bars"]) <= 25


def test_memory_is_shown_up_to_what_a_job_is_allowed(tmp_path: Path) -> None:
    made = project(tmp_path, SMALL)
    toml = made.folder / "cpengine.toml"
    toml.write_text(toml.read_text() + "[steps.analysis]\nmemory_gb = 8\n")
    found = model(Project.load(made.folder))["memory"]
    assert found["limit"] == 8 * 1024**3
    assert found["bar"] * len(found["bars"]) > found["limit"]


# Places


def test_the_page_is_beside_the_outputs_and_its_links_lead_there(
    tmp_path: Path,
) -> None:
    made = project(tmp_path, SMALL)
    page = Path(report.write(made, STEP))
    assert page == tmp_path / "projects/proj/workspace/report/B1/analysis.html"
    links = model(made)["links"]
    logs = (page.parent / links["logs"]).resolve()
    assert logs == tmp_path / made.step(STEP).ledger / "logs"
    assert links["output"] == "../../analysis/B1"


def test_links_of_a_page_elsewhere_lead_to_the_same_places(tmp_path: Path) -> None:
    made = project(tmp_path / "a b", SMALL)
    page = tmp_path / "x" / "page.html"
    assert report.write(made, STEP, to=page) == str(page)
    assert page.read_text().startswith("<!doctype html>")
    links = model(made, to=page)["links"]
    assert links["markers"].startswith("../a%20b/projects/")


def test_a_page_on_s3_has_relative_links_and_one_elsewhere_whole_ones(
    bucket: str, s3: Any, tmp_path: Path
) -> None:
    local = project(tmp_path, SMALL)
    made = _moved(local, f"s3://{bucket}", s3.url)
    url = report.write(made, STEP, cellprofiler=VERSION)
    assert url == f"s3://{bucket}/projects/proj/workspace/report/B1/analysis.html"
    client = boto3.client("s3", endpoint_url=s3.url)
    key = url.removeprefix(f"s3://{bucket}/")
    shown = client.head_object(Bucket=bucket, Key=key)["ContentType"]
    assert shown == "text/html; charset=utf-8"
    assert made.places.outputs.read(url).startswith(b"<!doctype html>")
    assert model(made)["links"]["output"] == "../../analysis/B1"
    page = report.make(made, STEP, to=tmp_path / "page.html")
    place = f"s3://{bucket}/projects/proj/workspace/analysis/B1"
    assert page.model["links"]["output"] == place


def _moved(local: Project, root: str, endpoint: str) -> Project:
    """The project with its ledger on S3."""
    toml = local.folder / "cpengine.toml"
    settings = f'[storage]\nworkspace = "."\noutputs = "{root}"\n'
    settings += f'[storage.s3]\nendpoint = "{endpoint}"\n'
    text = toml.read_text().replace('[storage]\nlayout = "default"\n', settings)
    toml.write_text(text)
    made = Project.load(local.folder)
    ledger, there = ledger_of(local), ledger_of(made)
    for outcome in outcomes(local):
        there.record(outcome)
    for name in ledger.storage.sizes(f"{ledger.folder}/runs"):
        key = f"{ledger.folder}/runs/{name}"
        there.storage.write(key, ledger.storage.read(key))
    return made
