"""What jobs are called and where they publish: each its own, or refused."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from cpengine.config.steps import BY_WELL
from cpengine.errors import InputError
from cpengine.group_names import check_ids
from cpengine.model import Job
from cpengine.planning.plan import Plan
from cpengine.plates import Part
from cpengine.storage.store import Storage
from tests import build
from tests.build import Built

JOB = Job(
    step="analysis",
    group=(("Metadata_Plate", "P1"), ("Metadata_Well", "A01"), ("Metadata_Site", "1")),
    pipeline="a.cppipe",
    data_file="f.csv",
    input="rules",
    output="out",
)


def plan(built: Built, wanted: Part | None = None) -> Plan:
    return built.project().plan("analysis", wanted or Part(), cellprofiler="4.2.8.1")


def wells(text: str) -> Part:
    return Part(wells=frozenset(text.split()))


# Names


def test_two_groups_of_one_name_are_refused() -> None:
    values = [("P", "1-A"), ("P-1", "A")]
    groups = [tuple(zip(BY_WELL, pair, strict=True)) for pair in values]
    with pytest.raises(InputError, match="two groups are both named P-1-A: use values"):
        check_ids(groups)


STRUCTURE = "Metadata_Plate/Metadata_WellMetadata_Site"
TWO_IN_ONE = re.escape(
    f"output_structure: '{STRUCTURE}' gives P1-A1-11 and P1-A11-1 one folder, P1/A111"
)


@pytest.mark.parametrize("wanted", [Part(), wells("A1"), wells("A11")])
def test_two_jobs_of_one_place_are_refused_also_where_a_run_has_but_one(
    tmp_path: Path, wanted: Part
) -> None:
    toml = f'[steps.analysis]\noutput_structure = "{STRUCTURE}"\n'
    built = build.project(tmp_path, wells=["A1", "A11"], sites=["1", "11"], toml=toml)
    with pytest.raises(InputError, match=TWO_IN_ONE):
        plan(built, wanted)


def test_two_jobs_of_one_name_are_refused_where_a_run_has_but_one(
    tmp_path: Path,
) -> None:
    built = build.project(tmp_path, wells=["A", "A-1"], sites=["1", "1-1"])
    with pytest.raises(InputError, match="two groups are both named P1-A-1-1"):
        plan(built, wells("A"))


def test_jobs_of_one_place_that_the_layout_leaves_out_are_no_matter(
    tmp_path: Path,
) -> None:
    toml = f'[steps.analysis]\ngroups = "layout"\noutput_structure = "{STRUCTURE}"\n'
    toml += '[plate]\nwells = ["A1"]\nsites = [1, 11]\n'
    built = build.project(tmp_path, wells=["A1", "A11"], sites=["1", "11"], toml=toml)
    assert [job.place for job in plan(built).jobs] == ["P1/A11", "P1/A111"]


def test_a_plate_that_is_called_as_a_column_has_a_folder_of_that_name(
    tmp_path: Path,
) -> None:
    built = build.project(tmp_path, plates=["Metadata_Well", "A01"], sites=["1"])
    places = [job.place for job in plan(built).jobs]
    assert places == [
        f"{plate}/analysis/{plate}-{well}-1"
        for plate in ("A01", "Metadata_Well")
        for well in ("A01", "A02")
    ]


@pytest.mark.parametrize("value", ["x" * 151, "é" * 76])
def test_name_too_long_for_a_folder_is_refused(value: str) -> None:
    with pytest.raises(InputError, match=r"has a name longer than 150 bytes: shorten"):
        check_ids([(("Metadata_Plate", value),)])


def test_longest_name_is_taken() -> None:
    check_ids([(("Metadata_Plate", "x" * 150),)])


def test_names_that_differ_in_case_are_one_where_the_file_system_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = build.project(tmp_path, wells=["A01", "a01"], sites=["1"])
    assert len(plan(built).jobs) == 2
    monkeypatch.setattr(Storage, "ignores_case", True)
    why = "groups: P1-A01-1 and P1-a01-1 are one name to the file system of the outputs"
    for wanted in (Part(), wells("A01")):
        with pytest.raises(InputError, match=why):
            plan(built, wanted)


def test_places_may_be_one_though_names_are_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Storage, "ignores_case", True)
    toml = "[steps.analysis]\noutput_structure = "
    toml += '"Metadata_PlateMetadata_Well/Metadata_Site"\n'
    built = build.project(tmp_path, plates=["P", "Pa"], wells=["A1", "1"], toml=toml)
    with pytest.raises(InputError, match=r"gives P-A1-1 and Pa-1-1 one folder, pa1/1"):
        plan(built)


# Places


@pytest.mark.parametrize(
    ("structure", "place"),
    [
        ("", "P1-A01-1"),
        ("Metadata_Plate", "P1"),
        ("Metadata_Plate/Metadata_Well-Metadata_Site", "P1/A01-1"),
        ("Metadata_Plate/analysis/Metadata_Plate-Metadata_Well", "P1/analysis/P1-A01"),
        ("fixed", "fixed"),
    ],
)
def test_place_is_the_structure_with_values_for_names(
    structure: str, place: str
) -> None:
    job = replace(JOB, output_structure=structure)
    assert (job.place, job.destination) == (place, f"out/{place}")


@pytest.mark.parametrize(
    ("structure", "shares"),
    [
        ("", False),
        ("Metadata_Plate", True),
        ("Metadata_Plate/Metadata_Well", True),
        ("Metadata_Plate-Metadata_Well-Metadata_Site", False),
    ],
)
def test_place_is_shared_where_the_structure_is_coarser(
    structure: str, shares: bool
) -> None:
    assert replace(JOB, output_structure=structure).shares_place is shares


@pytest.mark.parametrize(
    "structure", ["../Metadata_Plate", "/Metadata_Plate", "Metadata_Batch", "./"]
)
def test_structure_that_leads_out_or_names_no_key_is_refused(
    structure: str, tmp_path: Path
) -> None:
    toml = f'[steps.analysis]\noutput_structure = "{structure}"\n'
    built = build.project(tmp_path, toml=toml)
    with pytest.raises(InputError, match=r"steps.analysis.output_structure: .* must"):
        plan(built)
