"""How many requests it takes on S3 to know what is left of a large batch."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cpengine.inputs.parsed_files import ParsedFiles
from cpengine.ledger.standing import JobState, summary
from cpengine.marker import Marker, MarkerState
from cpengine.planning import current_tables
from cpengine.plates import Part
from cpengine.project import Project
from cpengine.run.session import Steps
from tests import build
from tests.services.s3.bucket_server import S3Server

PLATES, WELLS, SITES = 29, 384, 9
JOBS = PLATES * WELLS * SITES
VERSION = "4.2.8.1"
ROWS = "ABCDEFGHIJKLMNOP"


@pytest.fixture
def large(s3: S3Server, bucket: str, tmp_path: Path) -> Project:
    """29 plates of 384 wells with 9 sites: 100,224 jobs. The images are not there."""
    return screen(PLATES, s3, bucket, tmp_path)


def screen(
    plates: int,
    s3: S3Server,
    bucket: str,
    tmp_path: Path,
    data_file: str = "load_data_with_illum.csv",
) -> Project:
    wells = [f"{row}{column:02d}" for row in ROWS for column in range(1, 25)]
    sites = [str(site) for site in range(1, SITES + 1)]
    (tmp_path / "few").mkdir()
    built = build.project(tmp_path / "few", plates=["P0"], data_file=data_file)
    s3.upload(bucket, built.root / "projects", "projects/")
    base = built.csv.parent.parent.relative_to(built.root)
    for number in range(plates):
        rows = build.image_sets(f"P{number}", f"{build.MOUNT}/i", wells, sites)
        key = f"{base}/P{number}/{built.csv.name}"
        s3.put(bucket, key, build.csv_text(rows).encode())
    text = built.toml.read_text().replace(
        "[storage]\n", f'[storage]\nroot = "s3://{bucket}"\n'
    )
    place = tmp_path / "large/cpengine.toml"
    build.write(place, f'{text}[storage.s3]\nendpoint = "{s3.url}"\n')
    return Project.load(place)


def markers(steps: Steps) -> Iterator[str]:
    """The markers that a run would have left: one job in ten has none."""
    for number, job in enumerate(steps.project.plan("analysis").jobs):
        done = Marker(job.id, job.fingerprint, VERSION, JobState.DONE)
        stale = done._replace(fingerprint="0-0-0-0")
        failed = done._replace(state=JobState.FAILED, failure="crash")
        if number % 10:
            yield str({1: stale, 2: failed}.get(number % 10, done))


def test_what_is_left_of_100_000_jobs_takes_lists_alone(
    large: Project, s3: S3Server, bucket: str
) -> None:
    s3.reset_counts()
    plan = large.plan("analysis", cellprofiler=VERSION)
    planning = s3.counts()
    names = list(markers(Steps(large, ["analysis"], Part(), VERSION)))
    s3.fill(bucket, names, prefix=f"{plan.step.ledger}/markers/", text="{}")
    s3.reset_counts()
    standings = large.ledger(plan.step).standings(plan.jobs, VERSION)
    asking = s3.counts()

    assert len(plan.jobs) == JOBS == 100_224
    assert summary(standings) == {
        JobState.DONE: sum("0-0-0-0" not in n and n.endswith(".done") for n in names),
        JobState.FAILED: sum(n.endswith(".failed-crash") for n in names),
        JobState.STALE: sum("~0-0-0-0~" in n for n in names),
        JobState.MISSING: 0,
        JobState.LEFT: JOBS - len(names),
    }
    print(f"\nplanning {JOBS} jobs: {dict(planning)}; what is left: {dict(asking)}")
    assert dict(asking) == {"list": -(-len(names) // 1000)}
    # The plan itself reads its files, once each: 29 CSVs and the pipeline.
    assert planning["get"] == PLATES + 1
    assert planning["put"] == planning["delete"] == 0
    assert planning["list"] + planning["head"] <= 3 * (PLATES + 1)


def test_whether_results_are_there_takes_a_list_for_a_thousand_folders(
    s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    plates = 3
    project = screen(plates, s3, bucket, tmp_path)
    plan = project.plan("analysis", cellprofiler=VERSION)
    done = list(plan.jobs)
    names = [
        str(Marker(job.id, job.fingerprint, VERSION, JobState.DONE)) for job in done
    ]
    s3.fill(bucket, names, prefix=f"{plan.step.ledger}/markers/", text="{}")
    removed = {job.id for job in done[::1000]}
    there = [f"{job.destination}/Image.csv" for job in done if job.id not in removed]
    s3.fill(bucket, there)

    s3.reset_counts()
    standings = project.ledger(plan.step).standings(plan.jobs, VERSION, folders=True)
    asking = s3.counts()

    missing = {s.job.id for s in standings if s.state is JobState.MISSING}
    assert missing == removed
    print(f"\nwhether {len(done)} jobs have their folders: {dict(asking)}")
    a_plate = -(-WELLS * SITES // 1000)
    assert set(asking) == {"list"}
    assert asking["list"] <= -(-len(names) // 1000) + plates * a_plate


def test_tables_that_cpengine_made_take_their_sources_and_lists_besides(
    s3: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plates = 3
    project = screen(plates, s3, bucket, tmp_path, "load_data.csv")
    plan = project.plan("analysis")
    s3.reset_counts()
    assert len(project.write_derived(plan)) == plates
    writing = s3.counts()
    project = Project.load(project.folder)
    s3.reset_counts()
    again = project.plan("analysis")
    in_this_process = s3.counts()
    monkeypatch.setattr(current_tables, "PARSED", ParsedFiles())
    s3.reset_counts()
    assert project.plan("analysis").jobs == plan.jobs
    in_another = s3.counts()
    assert (again.derived, again.jobs) == ({}, plan.jobs)
    print(f"\n{plates} tables: writing {dict(writing)}, planning {dict(in_another)}")
    assert writing["put"] == 2 * plates  # each and what tells of it
    assert writing["get"] == 0  # what was planned is written
    assert in_this_process["get"] == 1  # the pipeline
    assert in_another["get"] == 2 * plates + 1  # each, its source and the pipeline
    for planning in (in_this_process, in_another):
        assert planning["list"] + planning["head"] <= 4 * (plates + 1)
        assert planning["put"] == planning["delete"] == 0


def test_whether_an_earlier_step_has_changed_takes_its_pipeline_and_no_list(
    s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    plates = ["P0", "P1", "P2"]
    built = build.project(tmp_path, plates=plates)
    text = build.pipeline_text("Plate")
    build.write(built.pipeline.with_name("illum.cppipe"), text)
    s3.upload(bucket, built.root / "projects", "projects/")
    build.change(built.toml, "[storage]\n", f'[storage]\nroot = "s3://{bucket}"\n')
    storage = f'[storage.s3]\nendpoint = "{s3.url}"\n'
    built.toml.write_text(built.toml.read_text() + storage)
    project = built.project()
    _planning(project, s3)  # tables are known from now on
    before = _planning(project, s3)
    done = Marker("", "v2-0-0-0-0-0", VERSION, MarkerState.DONE)
    names = [str(done._replace(job_id=plate)) for plate in plates]
    folder = f"{project.step('illum').ledger}/markers/"
    s3.fill(bucket, names, prefix=folder, text="{}")
    asking = _planning(project, s3)
    print(f"\n{len(plates)} plates: {before}, where functions are marked: {asking}")
    assert asking.pop("get") == before.pop("get") + 1 + len(plates)  # what markers hold
    assert asking.keys() == before.keys() == {"list"}
    assert asking["list"] <= before["list"]


def _planning(project: Project, s3: S3Server) -> dict[str, int]:
    s3.reset_counts()
    project.plan("analysis")
    return dict(s3.counts())


@pytest.fixture
def whole(s3: S3Server, bucket: str, tmp_path: Path) -> Project:
    """A plate of 384 wells with 9 sites, images and all: 3,456 jobs."""
    wells = [f"{row}{column:02d}" for row in ROWS for column in range(1, 25)]
    sites = [str(site) for site in range(1, SITES + 1)]
    (tmp_path / "few").mkdir()
    built = build.project(tmp_path / "few")
    s3.upload(bucket, built.root / "projects", "projects/")
    rows = build.image_sets("P1", f"{build.MOUNT}/projects/proj/B1", wells, sites)
    key = built.csv.relative_to(built.root).as_posix()
    s3.put(bucket, key, build.csv_text(rows).encode())
    images = built.images.relative_to(built.root).as_posix()
    names = [row["FileName_OrigDNA"] for row in rows]
    s3.fill(bucket, names, prefix=f"{images}/", text="image")
    text = built.toml.read_text().replace(
        "[storage]\n", f'[storage]\nroot = "s3://{bucket}"\n'
    )
    place = tmp_path / "whole/cpengine.toml"
    build.write(place, f'{text}[storage.s3]\nendpoint = "{s3.url}"\n')
    return Project.load(place)


def test_checking_a_plate_takes_listings_and_no_request_an_image(
    whole: Project, s3: S3Server, bucket: str
) -> None:
    steps = Steps(whole, ["analysis"], Part(), VERSION)
    s3.reset_counts()
    (found,) = steps.checked()
    counts = s3.counts()
    assert found.findings == ()
    assert found.todo is not None
    assert len(found.todo.plan.jobs) == WELLS * SITES
    print(f"\nchecking {WELLS * SITES} jobs: {dict(counts)}")
    assert counts["list"] <= WELLS * SITES / 1000 + 10
    assert counts["get"] == 2  # pipeline and CSV
    assert counts["head"] <= 5
    assert counts["put"] <= 2  # whether output and ledger can be written
    whole.places.images.remove("projects/proj/B1/images/P1/B07_3.tif")
    (found,) = steps.checked()
    (missing,) = found.findings
    assert missing.rule.name == "image-missing"
    assert "B07_3.tif is not there" in missing.cause
