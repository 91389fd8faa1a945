"""Judging a project's batch: from its jobs' Image.csv to tables, page and flags."""

import csv
import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from cpengine.cli.command_group import Commands
from cpengine.cli.qc import qc as command
from cpengine.config.qc import QcSection
from cpengine.errors import ConfigError, InputError
from cpengine.model import Outcome
from cpengine.plates import Part
from cpengine.project import Project
from cpengine.results import qc
from cpengine.results.qc import images
from cpengine.results.qc.assess import Assessment
from cpengine.results.qc.images import SiteKey
from tests.build import Built, change, write
from tests.results.qc import made
from tests.results.qc.made import MAXIMAL, MEAN, SLOPE
from tests.services.s3.bucket_server import S3Server

BAD = SiteKey("P1", "A02", "2")
WELLS = [f"{row}{column:02}" for row in "AB" for column in range(1, 7)]
PLATES = ("P1", "P2")
FOLDER = "projects/proj/workspace/qc/B1"


@pytest.fixture(autouse=True)
def _without_cellprofiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The tables are read wherever they are: no CellProfiler is needed."""
    monkeypatch.setenv("CPENGINE_HOME", str(tmp_path / "nothing"))
    monkeypatch.delenv("CPENGINE_CELLPROFILER", raising=False)
    monkeypatch.setenv("PATH", "")


def values(plates: Sequence[str] = ("P1",)) -> dict[SiteKey, dict[str, float | str]]:
    """Sound sites but for one that is blurred and one that is saturated."""
    found = made.plate(made.sound(24), plates=plates, wells=WELLS)
    found[BAD][SLOPE] = -2.5
    found[SiteKey("P1", "A01", "1")][MAXIMAL] = 7.5
    return found


@pytest.fixture
def built(tmp_path: Path) -> Built:
    """A project of one plate whose qc has run on twelve wells of two sites."""
    found = made.built(tmp_path / "project", wells=WELLS)
    made.ran(found.project(), values())
    return found


def call(*arguments: str | Path) -> Result:
    app = typer.Typer(cls=Commands)
    app.command()(command)
    app.callback()(lambda: None)
    return CliRunner().invoke(app, ["qc", *map(str, arguments)])


def judge(project: Project, step: str = "qc", **settings: object) -> Assessment:
    section = QcSection.model_validate(settings)
    return qc.judge(project, step, settings=section)


def table(project: Project, name: str) -> list[dict[str, str]]:
    text = project.places.outputs.read_text(f"{FOLDER}/{name}")
    return list(csv.DictReader(io.StringIO(text)))


def test_a_blurred_and_a_saturated_site_are_flagged(built: Built) -> None:
    found = judge(built.project())
    assert [("-".join(flag.key), flag.reason) for flag in found.flags] == [
        ("P1-A01-1", "saturated or blank"),
        ("P1-A02-2", "blurred"),
    ]
    assert found.count("P1") == 24


def test_tables_hold_all_sites_and_all_flags(built: Built) -> None:
    project = built.project()
    qc.write(project, judge(project))
    rows = table(project, "P1/P1_image_quality.csv")
    assert len(rows) == 24
    assert list(rows[0]) == [*made.NAMES, MEAN, MAXIMAL, SLOPE]
    assert [float(row[MEAN]) for row in rows] == [
        float(str(measures[MEAN])) for measures in values().values()
    ]
    flags = table(project, "flagged_sites.csv")
    assert [(r["Metadata_Well"], r["measure"], r["value"]) for r in flags] == [
        ("A01", MAXIMAL, "7.5"),
        ("A02", SLOPE, "-2.5"),
    ]
    assert float(flags[1]["score"]) < -4
    assert flags[1]["why"].startswith("OrigDNA blurred: ")
    assert (flags[0]["score"], flags[0]["median"]) == ("", "0.0015")


def test_flagged_sites_can_be_asked_for(built: Built) -> None:
    project = built.project()
    qc.write(project, judge(project))
    assert qc.flagged(project) == {BAD, SiteKey("P1", "A01", "1")}


def test_flags_before_the_command_has_run_are_an_error(built: Built) -> None:
    with pytest.raises(InputError, match=r"flagged_sites\.csv: .*run `cpengine qc`"):
        qc.flagged(built.project())


@pytest.mark.parametrize(
    ("content", "why"), [(None, "is gone"), ("ImageNumber\n", "has 12 of ")]
)
def test_an_image_csv_that_is_not_as_its_marker_says_is_left_out(
    content: str | None, why: str, built: Built, caplog: pytest.LogCaptureFixture
) -> None:
    project = built.project()
    job = project.plan("qc").jobs[0]
    path = project.places.outputs.path(f"{job.destination}/Image.csv")
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    found = judge(project)
    assert f"{path}: {why}" in caplog.text
    assert "1 done job with a damaged Image.csv: left out" in found.notes


def test_a_damaged_table_of_flags_is_reported(built: Built) -> None:
    write(built.root / FOLDER / "flagged_sites.csv", "Metadata_Plate,Well\nP1,A01\n")
    with pytest.raises(InputError, match="has no column Metadata_Well: run "):
        qc.flagged(built.project())


def test_nothing_flagged_is_an_empty_set(built: Built) -> None:
    project = built.project()
    thresholds = {SLOPE: {}, MAXIMAL: {}}
    qc.write(project, judge(project, thresholds=thresholds))
    assert qc.flagged(project) == frozenset()


def test_other_steps_have_their_own_tables_and_add_their_flags(built: Built) -> None:
    project = built.project()
    qc.write(project, judge(project))
    section = '[steps.focus]\npipeline = "qc.cppipe"\noutput = "focus"\n'
    group = 'group = ["Metadata_Plate", "Metadata_Well"]\n'
    built.toml.write_text(built.toml.read_text() + section + group)
    project = built.project()
    other = made.plate(made.sound(24), wells=WELLS)
    other[SiteKey("P1", "B06", "1")][MAXIMAL] = 1
    made.ran(project, other, step="focus")
    qc.write(project, judge(project, "focus"))
    assert len(table(project, "flagged_sites.csv")) == 2
    assert len(table(project, "focus/flagged_sites.csv")) == 1
    assert qc.flagged(project) == {
        BAD,
        SiteKey("P1", "A01", "1"),
        SiteKey("P1", "B06", "1"),
    }


def test_variation_of_controls_is_that_of_their_wells(built: Built) -> None:
    project = built.project()
    found = judge(project, controls={"negcon": ["A1", "A02"]})
    qc.write(project, found)
    rows = {(row["control"], row["measure"]): row for row in table(project, "cv.csv")}
    means = [0.105, 0.125]
    sd = abs(means[1] - means[0]) / 2**0.5
    assert rows["negcon", MEAN]["wells"] == "2"
    assert float(rows["negcon", MEAN]["mean"]) == pytest.approx(0.115)
    assert float(rows["negcon", MEAN]["sd"]) == pytest.approx(sd)
    percent = float(rows["negcon", MEAN]["cv_percent"])
    assert percent == pytest.approx(100 * sd / 0.115)
    assert rows["all wells", MEAN]["wells"] == "12"


def test_controls_come_from_platemaps_without_a_setting(built: Built) -> None:
    maps = built.root / "projects/proj/workspace/metadata/platemaps/B1"
    text = "Assay_Plate_Barcode,Plate_Map_Name\nP1,m\n"
    write(maps / "barcode_platemap.csv", text)
    text = "well_position\tcontrol_type\nA01\tdmso\nA02\tdmso\n"
    write(maps / "platemap/m.txt", text)
    controls = {cv.control for cv in judge(built.project()).cvs}
    assert controls == {"dmso", "all wells"}


def test_controls_that_no_plate_has_are_noted(built: Built) -> None:
    found = judge(built.project(), controls=["P24"])
    assert "control controls (P24, ...): no plate has results of its wells" in (
        found.notes
    )


def test_jobs_that_are_not_done_are_left_out_and_noted(tmp_path: Path) -> None:
    project = made.built(tmp_path / "project", wells=WELLS).project()
    made.ran(project, values(), left=["P1-A01", "P1-A03"])
    found = judge(project)
    assert found.count("P1") == 20
    note = "10 of 12 jobs done (0 failed, 0 stale, 0 missing, 2 left): the others"
    note = f"{note} are left out"
    assert note in found.notes


def test_results_of_an_older_pipeline_are_not_judged(built: Built) -> None:
    change(built.pipeline, "Nuclei", "Kernels")
    with pytest.raises(InputError, match=r"none of 12 jobs is done \(0 failed, 12 st"):
        judge(built.project())


def test_a_small_batch_is_noted(tmp_path: Path) -> None:
    project = made.built(tmp_path / "project", wells=WELLS[:5]).project()
    made.ran(project, made.plate(made.sound(10), wells=WELLS[:5]))
    assert judge(project).notes == [
        "1 plate with fewer than 20 sites, such as P1: compared with the whole batch "
        "of 10 sites"
    ]


@pytest.fixture
def few(tmp_path: Path) -> Project:
    """Two plates of four sites: one looks blurred, and one is blank."""
    built = made.built(tmp_path / "few", plates=PLATES, wells=WELLS[:2])
    found = made.plate(made.sound(5), plates=PLATES, wells=WELLS[:2])
    found[BAD][SLOPE] = -3.5
    found[SiteKey("P2", "A01", "1")][MAXIMAL] = 100
    project = built.project()
    made.ran(project, found)
    return project


def test_sites_of_a_plate_with_few_are_not_scored(few: Project) -> None:
    found = judge(few)
    assert ["-".join(flag.key) for flag in found.flags] == ["P2-A01-1"]
    why = "only 4 sites: not scored against each other"
    assert found.unscored == dict.fromkeys(PLATES, why)
    assert found.notes == [
        f"2 plates with fewer than 8 sites, such as P1 ({why}): fixed limits alone "
        "flag their sites"
    ]
    plates = found.to_json(found.plates)["plates"]
    assert [plate["unscored"] for plate in plates] == [why, why]


def test_why_there_is_no_score_is_given_for_each_plate(few: Project) -> None:
    result = call("-C", few.folder)
    lines = [line for line in result.stdout.splitlines() if "│ P" in line]
    text = " ".join(result.stdout.replace("│", " ").split())
    assert len(lines) == 2
    assert "not scored" in text
    assert "1 saturated or blank, only 4 sites" in text


def test_how_few_are_too_few_can_be_set(few: Project) -> None:
    found = judge(few, score_sites=4)
    assert not found.unscored
    assert {"-".join(flag.key) for flag in found.flags} == {"P1-A02-2", "P2-A01-1"}


def test_where_limits_are_fixed_no_score_is_missed(few: Project) -> None:
    found = judge(few, thresholds={SLOPE: {"min": -3}})
    assert not found.unscored
    assert len(found.flags) == 2


def test_sites_without_a_value_are_noted(tmp_path: Path) -> None:
    project = made.built(tmp_path / "project", wells=WELLS).project()
    rows = values()
    del rows[BAD][SLOPE]
    made.ran(project, rows)
    found = judge(project)
    assert BAD not in found.by_site
    assert f"{SLOPE}: 1 image set without a value: not judged" in found.notes


def test_a_measure_that_is_mostly_the_same_is_noted(tmp_path: Path) -> None:
    project = made.built(tmp_path / "project", wells=WELLS).project()
    made.ran(project, made.plate([-2.0], wells=WELLS))
    note = (
        f"{SLOPE}: half or more of its values are the same on 1 plate, such as P1: no "
        "scores there"
    )
    assert note in judge(project).notes


@pytest.mark.parametrize("plate", ["{outside}", "../../../../../../../outside"])
def test_a_plate_of_a_table_is_no_way_out(
    built: Built, plate: str, tmp_path: Path
) -> None:
    project, outside = built.project(), tmp_path / "outside"
    (job, *_) = project.plan("qc").jobs
    images_csv = project.places.outputs.path(f"{job.destination}/Image.csv")
    change(images_csv, ",P1,", f",{plate.format(outside=outside)},")
    ledger = project.ledger(project.step("qc"))
    sizes = {"Image.csv": images_csv.stat().st_size}
    ledger.record(Outcome(job, files=sizes, versions={"cellprofiler": made.VERSION}))
    written = qc.write(project, qc.judge(project, "qc"))
    assert len(written.tables) == 2
    for table in written.tables:
        assert Path(table).parents[1] == built.root / FOLDER
    assert not outside.exists()


def test_a_file_with_a_prefix_is_found(tmp_path: Path) -> None:
    project = made.built(tmp_path / "project", wells=WELLS).project()
    made.ran(project, values(), name="MyExpt_Image.csv")
    assert judge(project).count("P1") == 24


def test_a_step_without_image_csv_is_reported(tmp_path: Path) -> None:
    project = made.built(tmp_path / "project", wells=WELLS).project()
    made.ran(project, values(), name="Nuclei.csv")
    with pytest.raises(InputError, match="none of 12 done jobs has an Image"):
        judge(project)


def test_a_step_without_measures_is_reported(built: Built) -> None:
    with pytest.raises(InputError, match="have no column Count_\\*: add "):
        judge(built.project(), measures=["Count_*"])


def test_an_unknown_measure_of_the_settings_is_reported(built: Built) -> None:
    threshold = {"ImageQuality_PowerLogSlope_*": {"low_mad": 3}}
    with pytest.raises(ConfigError, match=f"did you mean {SLOPE}"):
        judge(built.project(), thresholds=threshold)


# Parts of a batch


@pytest.fixture
def two(tmp_path: Path) -> Built:
    """A project of two plates that were judged."""
    found = made.built(tmp_path / "project", plates=["P1", "P2"], wells=WELLS)
    project = found.project()
    made.ran(project, values(["P1", "P2"]))
    qc.write(project, judge(project))
    return found


def test_one_plate_can_be_read_again_and_the_others_stay(two: Built) -> None:
    project = two.project()
    rows = values(["P1", "P2"])
    rows[SiteKey("P2", "B01", "1")][MAXIMAL] = 1
    rows[BAD][SLOPE] = -2
    made.ran(project, rows)
    part = Part(plates=frozenset({"P2"}))
    qc.write(project, qc.judge(project, "qc", part))
    assert qc.flagged(project) == {
        SiteKey("P1", "A01", "1"),
        SiteKey("P1", "A02", "2"),
        SiteKey("P2", "B01", "1"),
    }
    assert len({row["Metadata_Plate"] for row in table(project, "cv.csv")}) == 2


def test_a_plate_of_the_command_line_is_shown_alone(two: Built) -> None:
    result = call("-C", two.root, "--plate", "P2", "--json")
    assert [plate["plate"] for plate in json.loads(result.stdout)["plates"]] == ["P2"]


# The command


def test_the_command_shows_each_plate_and_what_it_wrote(built: Built) -> None:
    result = call("-C", built.root)
    assert result.exit_code == 0, result.stderr
    assert "1 blurred" in result.stdout
    assert "1 saturated or blank" in result.stdout
    assert "P1-A02-2  OrigDNA blurred: PowerLogLogSlope -2.5 is " in result.stdout
    for name in ("flagged_sites.csv", "cv.csv", "quality.html"):
        assert (built.root / FOLDER / name).is_file()
        assert f"/{FOLDER}/{name}\n" in result.stdout


def test_the_command_gives_json(built: Built) -> None:
    result = call("-C", built.root, "--json")
    data = json.loads(result.stdout)
    (plate,) = data["plates"]
    assert (data["step"], plate["sites"], plate["flagged"]) == ("qc", 24, 2)
    assert plate["reasons"] == {"blurred": 1, "saturated or blank": 1}
    assert {flag["well"] for flag in plate["flags"]} == {"A01", "A02"}
    assert data["written"]["flagged"].endswith("flagged_sites.csv")


def test_the_persite_step_is_taken_if_it_is_the_one_that_ran(tmp_path: Path) -> None:
    built = made.built(tmp_path / "project", wells=WELLS)
    change(built.pipeline, "Plate,Well", "Plate,Well,Site")
    made.ran(built.project(), values(), step="qc_persite")
    assert json.loads(call("-C", built.root, "--json").stdout)["step"] == "qc_persite"


def test_nothing_has_run_is_reported(tmp_path: Path) -> None:
    built = made.built(tmp_path / "project")
    result = call("-C", built.root)
    assert result.exit_code == 2
    assert "neither qc nor qc_persite has run: run `cpengine run qc`" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_plate_that_is_not_there_is_reported(built: Built) -> None:
    result = call("-C", built.root, "--plate", "P7")
    assert result.exit_code == 2
    assert "--plate P7: is not in the plan: it has P1" in result.stderr


# Which files


def forget(project: Project) -> None:
    """Remove all markers."""
    folder = project.ledger(project.step("qc")).folder
    shutil.rmtree(project.places.outputs.path(f"{folder}/markers"))


def test_a_table_of_an_earlier_run_that_no_marker_names_is_not_judged(
    built: Built,
) -> None:
    project = built.project()
    forget(project)
    made.ran(project, made.plate(made.sound(24), wells=WELLS), name="My_Image.csv")
    assert not judge(project).flags


def test_a_table_of_an_earlier_run_stands_for_no_job_that_has_none(
    built: Built,
) -> None:
    project = built.project()
    forget(project)
    made.ran(project, values(), name="Cells.csv")
    with pytest.raises(InputError, match=r"none of 12 done jobs has an Image\.csv"):
        judge(project)


def test_of_jobs_that_distributed_cellprofiler_ran_the_folders_are_read(
    built: Built,
) -> None:
    rule = "[steps.qc.dcp_done]\nexpected_number_files = 1\n"
    built.toml.write_text(built.toml.read_text() + rule)
    forget(built.project())
    found = judge(built.project())
    assert (found.count("P1"), len(found.flags)) == (24, 2)


# S3


def test_a_batch_on_s3_takes_two_requests_a_job(
    s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    built = made.built(tmp_path / "project", wells=WELLS)
    s3.upload(bucket, built.root / "projects", "projects/")
    change(built.toml, "[storage]\n", f'[storage]\nroot = "s3://{bucket}"\n')
    text = built.toml.read_text() + f'[storage.s3]\nendpoint = "{s3.url}"\n'
    built.toml.write_text(text)
    project = built.project()
    made.ran(project, values())
    ledger = project.ledger(project.step("qc"))
    done = ledger.standings(project.plan("qc").jobs)
    s3.reset_counts()
    rows, left_out = images.of_jobs(ledger, done, ["ImageQuality_*"])
    assert (len(rows), *left_out) == (24, 0, 0)
    assert s3.counts()["get"] == 2 * len(done) == 24  # its marker, its Image.csv
    assert s3.counts()["list"] == 0
    qc.write(project, judge(project))
    assert qc.flagged(project) == {BAD, SiteKey("P1", "A01", "1")}
