"""Where results go: names replaced at once, as DCP does where no name is in another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpengine.errors import InputError
from cpengine.group_names import Group
from cpengine.output_structure import (
    can_be_one,
    check_places,
    dcp_place_of,
    fault_of,
    names_all,
    normal,
    place_of,
)
from cpengine.plates import SITE_KEYS

KEYS = st.lists(
    st.sampled_from([f"Metadata_{name}" for name in "PQRST"]), min_size=1, unique=True
)
VALUES = st.text("ab01- ", min_size=1, max_size=4)
GROUPS = KEYS.flatmap(
    lambda keys: st.tuples(*[st.tuples(st.just(key), VALUES) for key in keys])
)


@st.composite
def structures(draw: st.DrawFn, group: Group) -> str:
    keys = [key for key, _ in group]
    parts = st.sampled_from([*keys, "/", "//", "./", "-", "_", "x", "Metadata"])
    return "".join(draw(st.lists(parts, max_size=8)))


@given(st.data(), GROUPS)
def test_where_no_name_is_in_another_it_is_as_dcp_does(
    data: st.DataObject, group: Group
) -> None:
    structure = data.draw(structures(group))
    assert place_of(structure, group) == dcp_place_of(structure, group)


def group(*values: str) -> Group:
    return tuple(zip(SITE_KEYS, values, strict=False))


def test_a_plate_that_is_called_as_a_column_keeps_its_name() -> None:
    structure = "Metadata_Plate/Metadata_Well"
    plate = group("Metadata_Well", "A01")
    assert place_of(structure, plate) == "Metadata_Well/A01"
    assert dcp_place_of(structure, plate) == "A01/A01"


def test_a_column_whose_name_begins_anothers_is_another_one() -> None:
    pairs = (("Metadata_Site", "1"), ("Metadata_SiteName", "x"))
    structure = "Metadata_Site-Metadata_SiteName"
    for order in (pairs, pairs[::-1]):
        assert place_of(structure, order) == "1-x"
        assert names_all(structure, [key for key, _ in order])
    assert dcp_place_of(structure, pairs) == "1-1Name"
    assert not names_all("Metadata_SiteName", ["Metadata_Site", "Metadata_SiteName"])


@pytest.mark.parametrize(
    ("structure", "same"),
    [
        ("Metadata_Plate/", "Metadata_Plate"),
        ("Metadata_Plate//Metadata_Well", "Metadata_Plate/Metadata_Well"),
        ("./Metadata_Plate/./x/.", "Metadata_Plate/x"),
        ("", ""),
    ],
)
def test_slashes_and_points_that_mean_nothing_are_left_out(
    structure: str, same: str
) -> None:
    assert normal(structure) == same
    plate = group("P1", "A01", "1")
    assert place_of(structure, plate) == place_of(same, plate)


@pytest.mark.parametrize("structure", ["Metadata_PlateMetadata_Well", "a/b", ""])
def test_a_structure_that_stays_below_is_taken(structure: str) -> None:
    assert not fault_of(structure, SITE_KEYS)


@pytest.mark.parametrize(
    "structure", ["..", "a/../b", "/a", "Metadata_X", ".", "./", "a/Metadata_Plat"]
)
def test_one_that_leads_out_or_is_no_folder_is_not(structure: str) -> None:
    assert repr(structure) in fault_of(structure, SITE_KEYS)


@pytest.mark.parametrize(
    ("structure", "groups", "place"),
    [
        (
            "Metadata_Plate/Metadata_WellMetadata_Site",
            [("P", "A1", "11"), ("P", "A11", "1")],
            "P/A111",
        ),
        (
            "Metadata_Plate-Metadata_Site/Metadata_Well",
            [("P-1", "A1", "1"), ("P", "A1", "1-1")],
            "P-1-1/A1",
        ),
    ],
)
def test_two_groups_of_one_place_are_refused(
    structure: str, groups: list[tuple[str, ...]], place: str
) -> None:
    names = " and ".join("-".join(values) for values in groups)
    found = [group("P", "B", "1"), *(group(*values) for values in groups)]
    with pytest.raises(InputError) as caught:
        check_places(found, structure)
    assert str(caught.value) == (
        f"output_structure: '{structure}' gives {names} one folder, {place}: put / "
        "between the names of columns"
    )


@pytest.mark.parametrize(
    "structure", ["", "Metadata_Plate", "Metadata_Plate/Metadata_Well", "all"]
)
def test_places_may_be_shared_where_a_column_is_not_named(structure: str) -> None:
    check_places([group("P", "A1", "1"), group("P", "A1", "2")], structure)


PLATE, WELL = ("Metadata_Plate",), ("Metadata_Plate", "Metadata_Well")


@pytest.mark.parametrize(
    ("first", "second", "meet"),
    [
        (("/o/Metadata_Plate", PLATE), ("/o/Metadata_Plate", PLATE), True),
        (("/o/Metadata_Plate/x", PLATE), ("/o/P1/x", ()), True),
        (
            ("/o/P1/Metadata_Well", WELL),
            ("/o/Metadata_Plate/Metadata_Well", WELL),
            True,
        ),
        (("/o/Metadata_Plate_q", PLATE), ("/o/P1_q", ()), True),
        (("/o/Metadata_Plate_q", PLATE), ("/o/P1", ()), False),
        (("/o/Metadata_Plate", PLATE), ("/o/Metadata_Plate/x", PLATE), False),
        (("/o/Metadata_Plate/x", PLATE), ("/o/Metadata_Plate/y", PLATE), False),
        (
            ("/o/Metadata_Plate-Metadata_Well", WELL),
            ("/o/Metadata_Plate", PLATE),
            False,
        ),
        (("/o/a", ()), ("/o/b", ()), False),
    ],
)
def test_folders_that_may_be_the_same(
    first: tuple[str, tuple[str, ...]], second: tuple[str, tuple[str, ...]], meet: bool
) -> None:
    assert can_be_one(first, second) == can_be_one(second, first) == meet
