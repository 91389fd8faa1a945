"""A table that cpengine made names the places where its steps put results today."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cpengine.planning.plan import Plan
from tests import build
from tests.build import Built, change
from tests.planning.test_derive import PLAIN, RAW, rows

MOUNTED = f"{PLAIN}\na1.tif,{RAW},P1,A01,1\na2.tif,{RAW},P1,A02,1\n"
ABSOLUTE = MOUNTED.replace(RAW, "/images")
RELATIVE = MOUNTED.replace(RAW, "projects/proj/raw")


def ran(built: Built, step: str = "analysis") -> Plan:
    """The plan of a step whose tables were then written, as by a run."""
    project = built.project()
    plan = project.plan(step)
    project.write_derived(plan)
    return plan


def functions_in(plan: Plan) -> set[str]:
    """The folders of illumination functions in the tables that a plan would make."""
    tables = plan.derived.values()
    return {place for table in tables for place in table.column("PathName_IllumDNA")}


@pytest.fixture
def built(tmp_path: Path) -> Built:
    """A project with illumination functions and a load_data.csv without them."""
    made = build.project(tmp_path / "project")
    rows(made, MOUNTED)
    return made


def made_of(built: Built, text: str) -> Built:
    """The project after a run, which has written the table with functions."""
    rows(built, text)
    assert ran(built).derived
    assert built.project().plan("analysis").derived == {}
    return built


def copied(built: Built, folder: Path) -> Built:
    """A copy of the project."""
    shutil.copytree(built.root, folder)
    places = {
        name: folder / getattr(built, name).relative_to(built.root)
        for name in ("toml", "pipeline", "csv", "images", "illum", "batch_files")
    }
    return replace(built, root=folder, **places)


def settings(built: Built, text: str) -> None:
    build.write(built.toml, built.toml.read_text() + text)


def expect(built: Built, *folders: str) -> None:
    """Expect a table to be made again with these functions, once."""
    assert functions_in(ran(built)) == set(folders)
    assert built.project().plan("analysis").derived == {}


# Functions


@pytest.mark.parametrize(
    ("section", "folder"),
    [
        ('output = "new"', "new/P1"),
        ('output_structure = "of/Metadata_Plate"', "projects/proj/B1/illum/of/P1"),
        ('output = "new"\noutput_structure = "Metadata_Plate-x"', "new/P1-x"),
    ],
)
def test_functions_are_named_where_the_illum_step_puts_them_today(
    section: str, folder: str, built: Built
) -> None:
    made_of(built, MOUNTED)
    settings(built, f"[steps.illum]\n{section}\n")
    expect(built, f"{build.MOUNT}/{folder}")


def test_functions_of_a_structure_that_is_no_plates_are_named_in_its_folder(
    built: Built,
) -> None:
    structure = 'output_structure = "Metadata_Plate-Metadata_Well"'
    settings(built, f"[steps.illum]\n{structure}\n")
    assert functions_in(ran(built)) == {f"{build.MOUNT}/projects/proj/B1/illum/P1"}


def test_functions_are_found_where_the_structure_puts_them(built: Built) -> None:
    settings(built, '[steps.illum]\noutput_structure = "Metadata_Plate/f"\n')
    build.write(built.illum / "f/P1_IllumER.npy", "function")
    plan = built.project().plan("analysis", unchecked=True)
    (table,) = plan.derived.values()
    assert "PathName_IllumDNA" not in table.index  # only ER has a function


@pytest.mark.parametrize("text", [MOUNTED, RELATIVE])
def test_a_copied_project_stays_as_it_is_where_its_tables_name_no_root(
    text: str, built: Built, tmp_path: Path
) -> None:
    made_of(built, text)
    before = [job.fingerprint for job in built.project().plan("analysis").jobs]
    plan = copied(built, tmp_path / "copy").project().plan("analysis")
    assert (plan.derived, plan.findings) == ({}, ())
    assert [job.fingerprint for job in plan.jobs] == before


def test_a_copied_project_names_its_own_functions(built: Built, tmp_path: Path) -> None:
    made_of(built, ABSOLUTE)
    copy = copied(built, tmp_path / "copy")
    expect(copy, str(copy.illum))
    assert built.project().plan("analysis").derived == {}


def test_a_moved_project_names_its_own_functions(built: Built, tmp_path: Path) -> None:
    made_of(built, ABSOLUTE)
    there = copied(built, tmp_path / "copy")
    shutil.rmtree(built.root)
    expect(there, str(there.illum))


def test_places_that_are_mapped_to_the_steps_own_stay(
    built: Built, tmp_path: Path
) -> None:
    made_of(built, ABSOLUTE)
    copy = copied(built, tmp_path / "copy")
    settings(copy, f'[storage.map]\n"{built.root}" = "{copy.root}"\n')
    assert copy.project().plan("analysis").derived == {}


def test_a_mount_that_is_mapped_elsewhere_has_no_table_made_again_and_again(
    built: Built, tmp_path: Path
) -> None:
    made_of(built, MOUNTED)
    settings(built, f'[storage.map]\n"{build.MOUNT}" = "{tmp_path}/other"\n')
    assert built.project().plan("analysis").derived == {}


def test_functions_of_relative_images_are_named_below_the_mount(built: Built) -> None:
    rows(built, RELATIVE)
    assert functions_in(ran(built)) == {f"{build.MOUNT}/projects/proj/B1/illum/P1"}


# The next batch


@pytest.fixture
def next_batch(built: Built) -> Callable[[str], Built]:
    """Makes the next batch of pipelines and tables that are copied from this one."""

    def make(text: str) -> Built:
        made_of(built, text)
        workspace = built.root / "projects/proj/workspace"
        for name in ("pipelines", "load_data_csv"):
            shutil.copytree(workspace / name / "B1", workspace / name / "B2")
        change(built.toml, '"B1"', '"B2"')
        return replace(built, csv=workspace / "load_data_csv/B2/P1" / built.csv.name)

    return make


@pytest.mark.parametrize("text", [MOUNTED, ABSOLUTE])
def test_the_next_batch_names_its_own_functions(
    text: str, built: Built, next_batch: Callable[[str], Built]
) -> None:
    batch = next_batch(text)
    root = build.MOUNT if text == MOUNTED else built.root
    expect(batch, f"{root}/projects/proj/B2/illum/P1")


def test_a_table_that_was_changed_for_the_next_batch_is_the_users(
    next_batch: Callable[[str], Built],
) -> None:
    batch = next_batch(MOUNTED)
    change(batch.csv, "P1,A02", "P1,B02")
    assert batch.project().plan("analysis").derived == {}


def test_a_users_table_without_plates_names_what_it_does(built: Built) -> None:
    change(built.pipeline, build.SITE, "Well")
    settings(built, '[steps.analysis]\ngroup = ["Metadata_Well"]\n')
    settings(built, 'output_structure = "Metadata_Well"\n')
    text = MOUNTED.replace("Metadata_Plate", "Metadata_Other")
    head, *lines = text.splitlines()
    more = [f"{head},FileName_IllumDNA,PathName_IllumDNA"]
    build.write(built.csv, "\n".join(more + [f"{at},f.npy,/f" for at in lines]))
    assert built.project().plan("analysis").derived == {}


# Projected images


@pytest.fixture
def projected(built: Built) -> Built:
    """A project after a run that has written the table of projected images."""
    rows(built, f"{PLAIN},Metadata_PlaneID\np1.tif,{RAW},P1,A01,1,1\n")
    built.csv.with_name("load_data.csv").rename(
        built.csv.with_name("load_data_unprojected.csv")
    )
    pipe = built.pipeline.with_name("illum.cppipe")
    build.write(pipe, build.pipeline_text("Plate"))
    change(pipe, "IllumDNA", "OrigDNA")
    ran(built, "illum")
    ran(built)
    assert built.project().plan("analysis").derived == {}
    return built


@pytest.mark.parametrize(
    ("section", "folder"),
    [
        ('output = "new"', "new/P1"),
        (
            'output_structure = "Metadata_Plate/Images"',
            "projects/proj/B1/images_projected/P1/Images",
        ),
    ],
)
def test_projected_images_are_named_where_zproj_puts_them_today(
    section: str, folder: str, projected: Built
) -> None:
    settings(projected, f"[steps.zproj]\n{section}\n")
    for step in ("analysis", "illum"):  # the table of functions is made of it
        (table,) = ran(projected, step).derived.values()
        assert table.column("PathName_OrigDNA") == [f"{build.MOUNT}/{folder}"]
    for step in ("analysis", "illum"):
        assert projected.project().plan(step).derived == {}
