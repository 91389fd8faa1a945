"""Steps whose data file is a list of files."""

import json
from pathlib import Path

import pytest

from cpengine.dcp import jobfile
from cpengine.errors import InputError
from cpengine.inputs import image_checks
from cpengine.job.stage import Staged, Stager
from cpengine.model import Job
from cpengine.planning.step_tables import check_images, image_sets
from cpengine.plates import Part
from cpengine.project import Project
from cpengine.storage.cache import Cache
from tests import build
from tests.door.old_pipelines import window
from tests.door.pipelines import written
from tests.planning.test_listed_groups import imported

STEP = """
[steps.focus]
pipeline = "focus.cppipe"
pipeline_path = "."
data_file = "files.txt"
data_path = "lists"
output = "results"
output_structure = ""
group = ["Metadata_Plate", "Metadata_Well"]
"""
LISTED = f'{STEP}job_file = "job.json"\n'
IN_LAYOUT = f'{STEP}groups = "layout"\n[plate]\nwells = ["A01", "A02"]\n'
NAMES = [f"{well}_s1_{c}.tif" for well in ("P1_A01", "P1_A02") for c in "de"]


def project_of(
    root: Path, toml: str = LISTED, *, plate: str = "", group: str = "Plate,Well"
) -> Project:
    """A project with a list that names images as DCP has them."""
    head = '[project]\nname = "p"\nbatch = "b"\n[storage]\nroot = "."\n'
    (root / "cpengine.toml").write_text(head + toml)
    (root / "focus.cppipe").write_text(written(window(group.split(","))))
    groups = [{"Metadata_Well": well, "Metadata_Plate": "P1"} for well in ("A02", "A1")]
    places = {"pipeline": "focus.cppipe", "data_file": "lists/files.txt"}
    places |= {"input": "in", "output": "results"}
    (root / "job.json").write_text(json.dumps(places | {"groups": groups}))
    lines = [f"{build.MOUNT}/images/P1/{name}" for name in NAMES]
    build.write(list_of(root, plate), "\n".join(lines))
    for name in NAMES:
        build.write(root / "images/P1" / name, "image")
    return Project.load(root)


def list_of(root: Path, plate: str = "") -> Path:
    return root / "lists" / plate / "files.txt"


def jobs(project: Project, part: Part | None = None) -> list[Job]:
    return list(project.plan("focus", part or Part()).jobs)


def stage(project: Project, job: Job, folder: Path) -> tuple[Staged, str]:
    """What a job gets, and the list that CellProfiler reads."""
    folder.mkdir()
    staged = Stager(job, project.places, Cache.below(folder, 1), folder / "in").stage()
    return staged, staged.localised(folder).read_text()


def test_groups_are_those_of_the_job_file(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    found = jobs(project)
    assert [(job.id, job.image_sets) for job in found] == [("P1-A02", 0), ("P1-A1", 0)]
    assert found[0].to_message() == {
        "Metadata": "Metadata_Plate=P1,Metadata_Well=A02",
        "pipeline": "focus.cppipe",
        "data_file": "lists/files.txt",
        "input": found[0].input,
        "output": "results",
    }
    part = Part(wells=frozenset({"A1"}))
    assert [job.id for job in jobs(project, part)] == ["P1-A1"]


def test_a_job_file_of_dcp_becomes_such_a_step(tmp_path: Path) -> None:
    project_of(tmp_path)
    listed = jobfile.read(tmp_path / "job.json")
    found = imported(tmp_path).plan("focus").jobs
    assert [job.to_message() for job in found] == [job.to_message() for job in listed]


def test_groups_are_those_of_the_layout_with_a_list_a_plate(tmp_path: Path) -> None:
    project = project_of(tmp_path, IN_LAYOUT, plate="P1")
    found = [(job.id, job.data_file) for job in jobs(project)]
    key = "lists/P1/files.txt"
    assert found == [("P1-A01", key), ("P1-A02", key)]


def test_what_the_list_names_is_in_fingerprints_and_blank_lines_are_not(
    tmp_path: Path,
) -> None:
    project = project_of(tmp_path)
    before = [job.fingerprint for job in jobs(project)]
    path = list_of(tmp_path)
    text = path.read_text()
    path.write_text(text.replace("\n", " \r\n\r\n"))
    assert [job.fingerprint for job in jobs(project)] == before
    path.write_text(f"{text}\n{build.MOUNT}/images/P1/P1_A03_s1_d.tif")
    after = [job.fingerprint for job in jobs(project)]
    assert not set(before) & set(after)


def test_places_are_mapped_in_a_copy_of_the_list(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    staged, text = stage(project, jobs(project)[0], tmp_path / "job")
    assert text.splitlines() == [f"{tmp_path}/images/P1/{name}" for name in NAMES]
    folder = f"{tmp_path}/images/P1"
    assert staged.origins == {folder: f"{build.MOUNT}/images/P1"}
    assert staged.listed


def test_a_message_of_dcp_is_staged_alike(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    sent = jobs(project)[0].to_message()
    staged, text = stage(project, Job.from_json(sent), tmp_path / "job")
    assert staged.listed
    assert text.splitlines()[0] == f"{tmp_path}/images/P1/{NAMES[0]}"


def test_a_list_of_local_files_stays_as_it_is(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    text = list_of(tmp_path).read_text().replace(build.MOUNT, str(tmp_path)) + " \r\n"
    list_of(tmp_path).write_bytes(text.encode())
    staged, read = stage(project, jobs(project)[0], tmp_path / "job")
    assert staged.origins == {}
    assert read.splitlines() == text.splitlines()


def test_a_missing_file_is_reported_and_stops_nothing(
    tmp_path: Path,
) -> None:
    project = project_of(tmp_path)
    plan = project.plan("focus")
    (tmp_path / "images/P1" / NAMES[2]).unlink()
    (table, rows), *_ = image_sets(plan, plan.jobs)
    (warning,) = image_checks.findings(project.places, table, rows)
    assert warning.place.endswith("files.txt:3")
    assert f"{NAMES[2]} is not there" in warning.cause
    check_images(project, plan, plan.jobs)
    staged, listed = stage(
        project, plan.jobs[0], tmp_path / "job"
    )  # others may not need it
    assert not any(str(path).endswith(NAMES[2]) for path in staged.files)
    assert not listed or NAMES[2] in listed


def test_a_list_that_changed_since_it_was_planned_is_refused(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    job = jobs(project)[0]
    path = list_of(tmp_path)
    path.write_text(path.read_text().replace(NAMES[3], NAMES[0]))
    with pytest.raises(InputError, match="its image sets changed while the step ran"):
        stage(project, job, tmp_path / "job")


@pytest.mark.parametrize(
    ("toml", "group", "expected"),
    [
        (STEP, "Plate,Well", "names no groups: set steps.focus.job_file, or groups"),
        (LISTED, "Plate", "groups by Metadata_Plate, the step by Metadata_Plate, Meta"),
        (IN_LAYOUT, "Plate,Well", "names no groups: set steps.focus.job_file"),
    ],
)
def test_groups_that_nobody_names_or_the_pipeline_has_not_are_refused(
    tmp_path: Path, toml: str, group: str, expected: str
) -> None:
    with pytest.raises(InputError) as caught:
        jobs(project_of(tmp_path, toml, group=group))
    assert expected in str(caught.value)


def test_loaddata_takes_a_table_of_any_name(tmp_path: Path) -> None:
    built = build.project(tmp_path, data_file="table.txt")
    built.toml.write_text(
        f'{built.toml.read_text()}[steps.analysis]\ndata_file = "table.txt"\n'
    )
    assert len(built.project().plan("analysis").jobs) == 4
