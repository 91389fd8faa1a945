"""Where wells lie on plates, and what rows and plates are called."""

import pytest

from cpengine.plates import Part, place_of, plate_shape, row_name, well_name


@pytest.mark.parametrize(
    ("well", "place", "name"),
    [
        ("A01", (0, 0), "A01"),
        ("a1", (0, 0), "A01"),
        ("A001", (0, 0), "A01"),
        ("P-24", (15, 23), "P24"),
        ("Z3", (25, 2), "Z03"),
        ("AA01", (26, 0), "AA01"),
        ("AF48", (31, 47), "AF48"),
        ("r01c12", (0, 11), "A12"),
        ("R2C3", (1, 2), "B03"),
    ],
)
def test_a_well_s_name_tells_its_row_and_column(
    well: str, place: tuple[int, int], name: str
) -> None:
    assert place_of(well) == place
    assert well_name(place) == name


@pytest.mark.parametrize("well", ["", "1", "A", "A0", "A00", "well3", "A01b", "r0c1"])
def test_other_names_tell_none(well: str) -> None:
    assert place_of(well) is None


def test_rows_beyond_z_have_two_letters() -> None:
    assert [row_name(row) for row in (0, 15, 25, 26, 31)] == ["A", "P", "Z", "AA", "AF"]


def test_a_plate_is_the_smallest_standard_one_that_has_all_wells() -> None:
    assert plate_shape([(0, 0), (1, 2)]) == (2, 3)
    assert plate_shape([(2, 0)]) == (3, 4)
    assert plate_shape([(5, 7)]) == (6, 8)
    assert plate_shape([(8, 0)]) == (16, 24)
    assert plate_shape([(32, 0)]) is None


def test_a_plate_of_a_known_format_has_all_of_its_rows_and_columns() -> None:
    assert plate_shape([(0, 0)], 384) == (16, 24)
    assert plate_shape([(8, 0)], 96) == (16, 24)


def test_a_part_takes_any_iterable_or_a_name() -> None:
    part = Part(plates=[1, "P2"], wells="A01", sites=(n for n in range(2)))
    assert part == Part(frozenset({"1", "P2"}), frozenset({"A01"}), frozenset("01"))
    assert Part(flagged=[("P1", "A01", "1")]).flagged == {("P1", "A01", "1")}
