"""Groups of the plate layout, beside those that the tables list."""

from pathlib import Path

import pytest

from cpengine.errors import InputError
from cpengine.planning.plan import Plan
from tests import build
from tests.build import Built, change

LAYOUT = '[steps.analysis]\ngroups = "layout"\n'


@pytest.fixture
def built(tmp_path: Path) -> Built:
    """A project of two wells with two sites each."""
    return build.project(tmp_path)


def plan(built: Built) -> Plan:
    return built.project().plan("analysis", cellprofiler="4.2.8.1")


def ids(made: Plan) -> list[str]:
    return [job.id for job in made.jobs]


def set_layout(built: Built, text: str) -> None:
    build.write(built.toml, built.toml.read_text() + text)


def test_layout_of_all_that_is_there_has_no_notes(built: Built) -> None:
    set_layout(built, f'[plate]\nwells = ["A02", "A01"]\nsites = 2\n{LAYOUT}')
    made = plan(built)
    assert ids(made) == ["P1-A02-1", "P1-A02-2", "P1-A01-1", "P1-A01-2"]
    assert made.notes == ()


def test_layout_leaves_out_what_the_csv_lacks_and_says_so(built: Built) -> None:
    set_layout(built, f'[plate]\nwells = ["A01", "A03"]\nsites = 3\n{LAYOUT}')
    made = plan(built)
    assert ids(made) == ["P1-A01-1", "P1-A01-2"]
    assert made.notes == (
        f"plate P1: 4 of 6 groups of the layout are not in {built.csv} and are left "
        "out (first: Metadata_Plate=P1,Metadata_Well=A01,Metadata_Site=3): exclude "
        "their wells, or add their rows",
        f"{built.csv}: 2 of 4 image sets are in no job, since the plate layout lacks "
        "their groups (first: Metadata_Plate=P1,Metadata_Well=A02,Metadata_Site=1): "
        "correct [plate] (wells, rows, columns, sites), name their wells in "
        "plate.excluded_wells, or use groups = 'csv'",
    )


def left_out(built: Built) -> list[str]:
    findings = plan(built).findings
    return [f.cause for f in findings if f.rule.name == "layout-leaves-out"]


def test_image_sets_of_sites_that_the_layout_lacks_are_named(built: Built) -> None:
    set_layout(built, f'[plate]\nwells = ["A01", "A02"]\nsites = 1\n{LAYOUT}')
    (cause,) = left_out(built)
    assert cause.startswith("2 of 4 image sets are in no job")


def test_image_sets_of_a_job_that_the_layout_lacks_are_counted(built: Built) -> None:
    change(built.pipeline, build.SITE, "Plate,Well")
    group = 'group = ["Metadata_Plate", "Metadata_Well"]\noutput_structure = ""\n'
    set_layout(built, f'[plate]\nwells = ["A02"]\n{LAYOUT}{group}')
    (cause,) = left_out(built)
    assert cause.startswith("2 of 4 image sets are in no job")


@pytest.mark.parametrize("excluded", ["A01", "A2"])
def test_wells_that_are_excluded_by_name_are_no_matter(
    excluded: str, built: Built
) -> None:
    set_layout(
        built,
        f'[plate]\nexcluded_wells = ["{excluded}"]\nformat = 96\nsites = 2\n{LAYOUT}',
    )
    assert left_out(built) == []


@pytest.mark.parametrize("spelt", ["A01", "A1", "a01", "r01c01"])
def test_layout_leaves_out_excluded_wells(spelt: str, built: Built) -> None:
    set_layout(built, f'[plate]\nexcluded_wells = ["{spelt}"]\nformat = 96\n{LAYOUT}')
    assert ids(plan(built)) == ["P1-A02-1", "P1-A02-2"]


def test_layout_that_the_csv_has_nothing_of_is_refused(built: Built) -> None:
    set_layout(built, f"[plate]\npad_wells = false\n{LAYOUT}")
    with pytest.raises(InputError) as caught:
        plan(built)
    assert str(caught.value) == (
        f"{built.csv}: has none of the plate layout's groups, such as "
        "Metadata_Plate=P1,Metadata_Well=A1,Metadata_Site=1; it has "
        "Metadata_Plate=P1,Metadata_Well=A01,Metadata_Site=1: change [plate] or use "
        "groups = 'csv'"
    )


# Batch files
