"""What jobs read of earlier steps: what makes them stale, and what does not."""

import os
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cpengine.errors import InputError
from cpengine.ledger.standing import JobState, Standing
from cpengine.model import Failure, FailureKind, Job, Outcome
from cpengine.planning.earlier_tables import EarlierTables
from cpengine.plates import Part
from cpengine.project import Project
from cpengine.results.estimate import Where, estimate
from cpengine.run.session import Steps
from tests import build
from tests.build import Built, change
from tests.publishing import set_aside
from tests.unreadable.damage import ANY, JSON

VERSION = "4.2.8.1"
OLD = {
    "P1-A01-1": "ba655fdd-9b249fc3-0-b4fc2b9f",
    "P1-A01-2": "ba655fdd-019a1b1a-0-b4fc2b9f",
    "P1-A02-1": "ba655fdd-aef33262-0-b4fc2b9f",
    "P1-A02-2": "ba655fdd-05238e07-0-b4fc2b9f",
}
"""Fingerprints in the first format, as the last version that wrote it made them."""


@pytest.fixture
def built(tmp_path: Path) -> Built:
    """Two plates, whose illumination functions the project's own step makes."""
    built = build.project(tmp_path, plates=["P1", "P2"], wells=["A01"])
    return with_illum(built)


def with_illum(built: Built) -> Built:
    text = build.pipeline_text("Plate").replace("IllumDNA", "OrigDNA")
    build.write(built.pipeline.with_name("illum.cppipe"), text)
    for csv in built.csv.parent.parent.glob("*/load_data_with_illum.csv"):
        shutil.copy(csv, csv.with_name("load_data.csv"))
    return built


def done(
    project: Project, job: Job, files: Mapping[str, int] | None = None, ago: float = 0
) -> None:
    """Record that a job was done; its marker is so many seconds old."""
    began = datetime.now(UTC) - timedelta(seconds=ago)
    ledger = project.ledger(project.step(job.step))
    set_aside(ledger, job)
    ledger.record(
        Outcome(
            job,
            started=began.isoformat(),
            files=files or {},
            versions={"cellprofiler": VERSION},
        )
    )
    folder = ledger.storage.path(f"{ledger.folder}/markers")
    for marker in folder.glob(f"{job.id}~{job.fingerprint}~*"):
        os.utime(marker, (began.timestamp(), began.timestamp()))


def illum_done(project: Project, ago: float = 60) -> None:
    """Say that the illumination functions which are there are those of the step."""
    for job in project.plan("illum").jobs:
        name = f"{job.id}_IllumDNA.npy"
        path = project.places.outputs.path(f"{job.destination}/{name}")
        done(project, job, {name: path.stat().st_size}, ago)
        os.utime(path, (time.time() - ago - 1,) * 2)


def analysis_done(project: Project, ago: float = 30) -> None:
    for standing in standings(project).values():
        done(project, standing.job, {"Image.csv": 5}, ago)


def standings(project: Project, step: str = "analysis") -> dict[str, Standing]:
    found = project.ledger(project.step(step)).standings(
        project.plan(step).jobs, VERSION
    )
    return {standing.job.id: standing for standing in found}


def stale(project: Project) -> set[str]:
    found = standings(project).items()
    assert {s.state for _, s in found} <= {JobState.DONE, JobState.STALE}
    return {job_id for job_id, s in found if s.state is JobState.STALE}


OF_P2 = {"P2-A01-1", "P2-A01-2"}


def test_functions_made_anew_make_the_jobs_of_their_plate_stale(built: Built) -> None:
    project = built.project()
    illum_done(project)
    analysis_done(project)
    assert stale(project) == set()
    (job,) = (job for job in project.plan("illum").jobs if job.id == "P2")
    (marker,) = project.ledger(project.step("illum")).markers()["P2"]
    changed = replace(job, fingerprint=f"{job.fingerprint}0", earlier=(marker,))
    done(project, changed)
    assert stale(project) == OF_P2
    why = standings(project)["P2-A01-1"].why
    assert why == "what it reads of earlier steps changed since it was done"


def relative(built: Built) -> str:
    return built.illum.parent.relative_to(built.root).as_posix()


def linked(built: Built) -> str:
    link = built.root.with_name(f"{built.root.name}-link")
    link.symlink_to(built.root)
    return f"{link}/{relative(built)}"


def linked_output(built: Built) -> str:
    """The folder that the step fills is a link to another disk."""
    disk = built.root / "disk"
    built.illum.parent.rename(disk)
    built.illum.parent.symlink_to(disk)
    return str(disk)


SPELLINGS = {
    "link": linked,
    "link of the output": linked_output,
    "relative": relative,
    "dots": lambda built: f"{built.root}/projects/../{relative(built)}",
    "relative with dots": lambda built: f"./projects/../{relative(built)}",
    "slashes": lambda built: f"{built.root}//{relative(built)}".replace(
        "/B1/", "//B1/"
    ),
    "file": lambda built: f"file://{built.root}/./{relative(built)}/",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_functions_are_known_however_a_table_names_their_folder(
    built: Built, spelling: str
) -> None:
    named = SPELLINGS[spelling](built)
    for csv in built.csv.parent.parent.glob("*/load_data_with_illum.csv"):
        text = csv.read_text().replace(f"{build.MOUNT}/{relative(built)}", named)
        csv.write_text(text)
    project = built.project()
    illum_done(project)
    analysis_done(project)
    assert stale(project) == set()
    for job in project.plan("illum").jobs:
        done(project, replace(job, fingerprint=f"{job.fingerprint}0"))
    assert len(stale(project)) == 4


def test_functions_are_known_where_the_project_file_ends_an_output_with_a_slash(
    built: Built,
) -> None:
    output = relative(built)
    built.toml.write_text(
        f'{built.toml.read_text()}[steps.illum]\noutput = "{output}/"\n'
    )
    project = built.project()
    illum_done(project)
    analysis_done(project)
    for job in project.plan("illum").jobs:
        done(project, replace(job, fingerprint=f"{job.fingerprint}0"))
    assert len(stale(project)) == 4


def test_functions_that_are_yet_to_be_made_are_not_missing_by_another_name(
    built: Built,
) -> None:
    named = linked(built)
    for csv in built.csv.parent.parent.glob("*/load_data_with_illum.csv"):
        text = csv.read_text().replace(f"{build.MOUNT}/{relative(built)}", named)
        csv.write_text(text)
    shutil.rmtree(built.illum.parent)
    assert "image-missing" in checked(built, "analysis")
    assert "image-missing" not in checked(built, "illum", "analysis")


def checked(built: Built, *steps: str) -> set[str]:
    """The rules of what is found of the last of some steps that run together."""
    found = Steps(built.project(), steps, Part(), VERSION).checked()
    return {finding.rule.name for finding in found[-1].findings}


def test_each_folder_of_a_table_is_resolved_once(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Counter[str]()
    real = os.path.realpath

    def counted(path: str, *, strict: bool = False) -> str:
        asked[str(path)] += 1
        return real(path, strict=strict)

    project = built.project()
    monkeypatch.setattr(os.path, "realpath", counted)
    project.plan("analysis")
    images = [str(path) for path in (built.images, built.illum)]
    assert {asked[image] for image in images} == {1}


def test_functions_of_another_cellprofiler_make_jobs_stale(built: Built) -> None:
    project = built.project()
    illum_done(project)
    analysis_done(project)
    folder = project.places.outputs.path(f"{project.step('illum').ledger}/markers")
    for marker in folder.glob("P2~*"):
        marker.rename(marker.with_name(marker.name.replace(VERSION, "4.2.8.2")))
    assert stale(project) == OF_P2


def test_functions_done_again_with_equal_input_make_nothing_stale(
    built: Built,
) -> None:
    project = built.project()
    illum_done(project)
    analysis_done(project)
    illum_done(project, ago=0)
    assert stale(project) == set()


def test_a_function_that_other_hands_replaced_is_found_and_jobs_run_once_more(
    built: Built,
) -> None:
    project = built.project()
    illum_done(project)
    analysis_done(project)
    function = built.illum.parent / "P2/P2_IllumDNA.npy"
    function.write_text("funktion")
    assert stale(project) == OF_P2
    (finding,) = project.plan("analysis").findings
    assert finding.rule.name == "input-replaced"
    assert finding.place == str(function)
    assert "is newer than the marker of illum" in finding.cause
    why = standings(project)["P2-A01-1"].why
    assert why == "what it reads of earlier steps changed since it was done"
    analysis_done(project)
    assert stale(project) == set()
    illum_done(project, ago=0)  # results are of the other function
    assert stale(project) == OF_P2


def test_a_function_of_another_size_is_found_though_it_is_older(built: Built) -> None:
    project = built.project()
    illum_done(project)
    analysis_done(project, ago=90)
    function = built.illum / "P1_IllumDNA.npy"
    function.write_text("a longer function")
    os.utime(function, (time.time() - 80,) * 2)
    assert stale(project) == {"P1-A01-1", "P1-A01-2"}
    (finding,) = project.plan("analysis").findings
    assert "has 17 of the 8 bytes that illum made" in finding.cause


@pytest.mark.parametrize("kind", sorted({*ANY, *JSON} - {"empty"}))
def test_a_damaged_marker_of_the_earlier_step_ends_no_plan(
    built: Built, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    project = built.project()
    illum_done(project)
    analysis_done(project)
    (marker,) = built.root.rglob("P1~*.done")
    time_s = marker.stat().st_mtime
    marker.write_bytes({**ANY, **JSON}[kind](marker.read_bytes()))
    os.utime(marker, (time_s,) * 2)
    assert stale(project) == set()
    assert project.plan("analysis").findings == ()
    (line,) = set(caplog.messages)
    assert line.startswith(f"{marker}: is damaged (")


def test_a_copied_project_stays_done_in_whatever_order_files_were_copied(
    built: Built, tmp_path: Path
) -> None:
    project = built.project()
    illum_done(project, ago=900)
    analysis_done(project, ago=800)
    copy = tmp_path / "copy"
    shutil.copytree(
        built.root, copy, copy_function=shutil.copyfile, ignore=lambda *_: {"copy"}
    )
    for number, function in enumerate(copy.rglob("*.npy"), 1):
        os.utime(function, (time.time() + number,) * 2)
    copied = Project.load(copy)
    assert copied.plan("analysis").findings == ()
    assert stale(copied) == set()


def test_a_function_without_a_marker_counts_by_its_size(built: Built) -> None:
    project = built.project()
    analysis_done(project)
    function = built.illum / "P1_IllumDNA.npy"
    function.write_text("funktion")
    assert stale(project) == set()
    assert project.plan("analysis").findings == ()
    function.write_text("a longer function")
    assert stale(project) == {"P1-A01-1", "P1-A01-2"}


def test_a_function_without_a_marker_is_noted_where_others_have_one(
    built: Built,
) -> None:
    project = built.project()
    (first, _) = project.plan("illum").jobs
    done(project, first, ago=-1)
    (finding,) = project.plan("analysis").findings
    assert finding.rule.name == "input-unmarked"
    assert finding.place.endswith("P2_IllumDNA.npy")


def test_functions_of_another_plate_count_by_their_own_marker(built: Built) -> None:
    for column in ("/illum/P2", "/illum/P2"):
        change(built.csv.parent.parent / "P2" / built.csv.name, column, "/illum/P1")
    text = (built.csv.parent.parent / "P2" / built.csv.name).read_text()
    build.write(
        built.csv.parent.parent / "P2" / built.csv.name,
        text.replace("P2_Illum", "P1_Illum"),
    )
    project = built.project()
    illum_done(project)
    analysis_done(project)
    (first, _) = project.plan("illum").jobs
    (marker,) = project.ledger(project.step("illum")).markers()["P1"]
    again = replace(first, fingerprint=f"{first.fingerprint}0", earlier=(marker,))
    done(project, again)
    assert stale(project) == {"P1-A01-1", "P1-A01-2", *OF_P2}


def test_a_site_projected_anew_makes_its_own_jobs_stale_alone(tmp_path: Path) -> None:
    """Projected images of a plate share a folder; each site is its own job."""
    built = build.project(tmp_path)
    projected = "projects/proj/B1/images_projected"
    text = built.csv.read_text().replace("B1/images/", "B1/images_projected/")
    built.csv.write_text(text)
    shutil.move(built.images, tmp_path / projected / "P1")
    unprojected = text.replace("Metadata_Site", "Metadata_Site,Metadata_PlaneID")
    rows = unprojected.splitlines()
    made = "\n".join([rows[0], *(f"{row},1" for row in rows[1:])])
    build.write(built.csv.with_name("load_data_unprojected.csv"), made + "\n")
    zproj = build.pipeline_text().replace("IllumDNA", "OrigDNA")
    build.write(built.pipeline.with_name("Zproj.cppipe"), zproj)
    project = built.project()
    sites = {job.id: job for job in project.plan("zproj").jobs}
    for job in sites.values():
        done(project, job, {f"{job.id[3:].replace('-', '_')}.tif": 5}, ago=-5)
    analysis_done(project)
    assert stale(project) == set()
    job = sites["P1-A02-1"]
    (marker,) = project.ledger(project.step("zproj")).markers()[job.id]
    done(project, replace(job, fingerprint=f"{job.fingerprint}0", earlier=(marker,)))
    assert stale(project) == {"P1-A02-1"}


# What an earlier step has not finished, or would make in another way by now


def of_plate(project: Project, plate: str) -> Job:
    """The job of a plate's functions, which knows the markers that stand for it."""
    standing = standings(project, "illum")[plate]
    return standing.job


def test_functions_of_a_run_that_was_ended_while_it_replaced_them_are_not_read(
    built: Built,
) -> None:
    project = built.project()
    illum_done(project)
    analysis_done(project)
    illum = project.ledger(project.step("illum"))
    set_aside(illum, of_plate(project, "P2"))
    with pytest.raises(InputError) as raised:
        project.plan("analysis")
    (finding,) = raised.value.findings
    assert finding.rule.name == "input-unfinished"
    assert finding.place.endswith("illum/P2/P2_IllumDNA.npy")
    assert finding.cure == "run illum first"
    assert checked(built, "analysis") == {"input-unfinished"}
    # of the other plate they are whole, and when both run these are made first
    assert project.plan("analysis", Part(plates=frozenset({"P1"}))).findings == ()
    assert checked(built, "illum", "analysis") == set()
    done(project, of_plate(project, "P2"))
    assert project.plan("analysis").findings == ()


def test_functions_whose_marker_a_power_cut_has_emptied_are_not_read(
    built: Built,
) -> None:
    project = built.project()
    illum_done(project)
    ledger = project.ledger(project.step("illum"))
    (name,) = ledger.markers()["P2"]
    ledger.storage.write(f"{ledger.folder}/markers/{name}", b"")
    assert checked(built, "analysis") == {"input-unfinished"}


def test_functions_of_a_job_that_failed_are_warned_of(built: Built) -> None:
    project = built.project()
    job = of_plate(project, "P2")
    failure = Failure(FailureKind.CRASH, "crashed")
    project.ledger(project.step("illum")).record(Outcome(job, failure=failure))
    (finding,) = project.plan("analysis").findings
    assert (finding.rule.name, finding.cure) == ("input-failed", "run illum first")
    assert finding.place.endswith("illum/P2/P2_IllumDNA.npy")
    assert checked(built, "illum", "analysis") == set()


@pytest.mark.parametrize("format_", ["v1", "v2"])
def test_functions_that_the_pipeline_of_now_did_not_make_are_warned_of(
    built: Built, format_: str
) -> None:
    project = built.project()
    for job in project.plan("illum").jobs:
        old = job.fingerprint_v1 if format_ == "v1" else job.fingerprint
        done(project, replace(job, fingerprint=old), ago=-5)
    assert project.plan("analysis").findings == ()
    pipeline = built.pipeline.with_name("illum.cppipe")
    change(pipeline, "HasImagePlaneDetails", "Note:1\nHasImagePlaneDetails")
    found = len(project.plan("analysis").findings)
    assert found == (format_ == "v1")  # the first format has all of the text
    change(pipeline, "Nuclei", "Kernels")
    (finding,) = project.plan("analysis").findings
    assert finding.rule.name == "input-stale"
    assert finding.place.endswith("illum/P1/P1_IllumDNA.npy")
    assert finding.cause == (
        "is stale: illum's pipeline changed since it made it (and 1 file more)"
    )
    assert finding.cure == "run both: cpengine run illum analysis"
    assert checked(built, "illum", "analysis") == set()


@pytest.mark.parametrize("format_", ["v1", "v2"])
def test_functions_of_rows_that_have_changed_since_are_warned_of(
    built: Built, format_: str
) -> None:
    project = built.project()
    for job in project.plan("illum").jobs:
        old = job.fingerprint_v1 if format_ == "v1" else job.fingerprint
        done(project, replace(job, fingerprint=old))
    table = built.csv.parent.parent / "P2/load_data.csv"
    table.touch()
    assert project.plan("analysis").findings == ()
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(lines[:-1]))
    found = {f.rule.name: f for f in project.plan("analysis").findings}
    assert found.keys() == {"csv-other-sites", "input-stale"}
    assert found["input-stale"].place.endswith("illum/P2/P2_IllumDNA.npy")
    assert found["input-stale"].cause == (
        "is stale: illum's image sets changed since it made it"
    )
    assert "input-stale" not in checked(built, "illum", "analysis")


def test_tables_of_an_earlier_step_are_read_only_if_younger_than_its_markers(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = built.project()
    illum_done(project, ago=-5)
    monkeypatch.setattr(EarlierTables, "_read", None)
    assert project.plan("analysis").findings == ()


def test_a_pipeline_of_an_earlier_step_that_cannot_be_read_says_nothing(
    built: Built,
) -> None:
    project = built.project()
    illum_done(project)
    pipeline = built.pipeline.with_name("illum.cppipe")
    pipeline.write_text("CellProfiler, of course")
    assert project.plan("analysis").findings == ()
    pipeline.unlink()
    assert project.plan("analysis").findings == ()


# Steps that run together


def together(built: Built, **how: bool) -> dict[str, int]:
    """How many jobs of each step would run, where both are run in one command."""
    steps = Steps(built.project(), ["illum", "analysis"], Part(), VERSION, **how)
    found = {todo.plan.step.name: len(todo.jobs) for todo in steps.plans()}
    forecast = estimate(steps, Where())
    assert {step.step: step.left for step in forecast.steps} == found
    return found


@pytest.fixture
def all_done(built: Built) -> Built:
    project = built.project()
    illum_done(project)
    analysis_done(project)
    for job in project.plan("analysis").jobs:
        path = project.places.outputs.path(f"{job.destination}/Image.csv")
        build.write(path, "done\n")
    return built


def test_jobs_that_read_what_is_made_anew_in_the_same_command_are_counted(
    all_done: Built,
) -> None:
    assert together(all_done) == {"illum": 0, "analysis": 0}
    change(all_done.pipeline.with_name("illum.cppipe"), "Nuclei", "Kernels")
    assert together(all_done) == {"illum": 2, "analysis": 4}
    assert together(all_done, keep_stale=True) == {"illum": 0, "analysis": 0}


def test_jobs_that_read_what_is_made_again_with_equal_input_are_not_counted(
    all_done: Built,
) -> None:
    project = all_done.project()
    job = of_plate(project, "P2")
    illum = project.ledger(project.step("illum"))
    set_aside(illum, job)  # a run was ended
    assert together(all_done) == {"illum": 1, "analysis": 0}
    (marker,) = project.ledger(project.step("illum")).markers()["P2"]
    other = replace(job, fingerprint=f"{job.fingerprint}0", earlier=(marker,))
    done(project, other)
    assert together(all_done) == {"illum": 1, "analysis": 0}


# Ledgers in the first format


@pytest.fixture
def old(tmp_path: Path) -> Built:
    """A project whose ledger an earlier version wrote."""
    built = with_illum(build.project(tmp_path))
    project = built.project()
    for job in project.plan("analysis").jobs:
        done(project, replace(job, fingerprint=OLD[job.id]), {"Image.csv": 5})
    return built


def test_results_of_a_ledger_in_the_first_format_count(old: Built) -> None:
    project = old.project()
    assert stale(project) == set()
    illum_done(project)
    assert stale(project) == set()


def test_what_changed_since_the_first_format_is_named(old: Built) -> None:
    change(old.csv, "A02_1.tif", "A02_9.tif")
    (old.images / "A02_9.tif").write_text("image")
    project = old.project()
    assert stale(project) == {"P1-A02-1"}
    why = standings(project)["P1-A02-1"].why
    assert why == "its image sets changed since it was done"
    change(old.pipeline, "Nuclei", "Kernels")
    assert len(stale(old.project())) == 4
