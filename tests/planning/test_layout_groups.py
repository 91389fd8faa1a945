"""Groups of a plate's layout, as `run_batch_general.py` makes them."""

from collections.abc import Sequence
from typing import Any

import pytest

from cpengine.config import PlateSection
from cpengine.config.steps import BY_PLATE, BY_WELL
from cpengine.errors import InputError
from cpengine.planning.layout_groups import layout_groups, wells
from cpengine.plates import SITE_KEYS


def ids(keys: Sequence[str], **layout: Any) -> list[str]:
    groups = layout_groups("P1", PlateSection(**layout), keys)
    return ["-".join(value for _, value in group) for group in groups]


@pytest.mark.parametrize(
    ("layout", "count", "first", "last"),
    [
        ({}, 384, "A01", "P24"),
        ({"format": 384}, 384, "A01", "P24"),
        ({"format": 96}, 96, "A01", "H12"),
        ({"format": 96, "rows": ["P"], "columns": [24]}, 96, "A01", "H12"),
        ({"rows": ["B", "AA"], "columns": [3, 11]}, 4, "B03", "AA11"),
        ({"format": 96, "pad_wells": False}, 96, "A1", "H12"),
        ({"wells": ["C07", "B3"], "format": 96}, 2, "C07", "B3"),
        ({"wells": ["B3"], "pad_wells": True}, 1, "B3", "B3"),
        ({"format": 96, "excluded_wells": ["A01", "H12"]}, 94, "A02", "H11"),
        ({"wells": ["C07", "B3"], "excluded_wells": ["B3"]}, 1, "C07", "C07"),
        ({"format": 96, "excluded_wells": ["Z99"]}, 96, "A01", "H12"),
    ],
)
def test_wells(layout: dict[str, Any], count: int, first: str, last: str) -> None:
    names = wells(PlateSection(**layout))
    assert (len(names), names[0], names[-1]) == (count, first, last)


def test_wells_go_row_by_row() -> None:
    layout = PlateSection(rows=["A", "B"], columns=[1, 10])
    assert wells(layout) == ["A01", "A10", "B01", "B10"]


def test_excluding_every_well_is_refused() -> None:
    layout = PlateSection(wells=["A01"], excluded_wells=["A01"])
    with pytest.raises(InputError, match=r"^plate\.excluded_wells: leaves no well"):
        wells(layout)


@pytest.mark.parametrize(
    ("sites", "expected"),
    [(1, ["1"]), (3, ["1", "2", "3"]), ([0, 4], ["0", "4"]), ([5], ["5"])],
)
def test_sites_are_a_number_or_a_list(
    sites: int | list[int], expected: list[str]
) -> None:
    assert ids(["Metadata_Site"], sites=sites) == expected


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (BY_PLATE, ["P1"]),
        (BY_WELL, ["P1-A01", "P1-A02"]),
        (SITE_KEYS, ["P1-A01-1", "P1-A01-2", "P1-A02-1", "P1-A02-2"]),
        (("Metadata_Site", "Metadata_Plate"), ["1-P1", "2-P1"]),
    ],
)
def test_groups_hold_the_steps_keys_in_order(
    keys: Sequence[str], expected: list[str]
) -> None:
    assert ids(keys, wells=["A01", "A02"], sites=2) == expected


def test_a_384_well_plate_of_nine_sites_has_as_many_groups_as_dcp_sends() -> None:
    assert len(ids(SITE_KEYS)) == 3456


def test_key_that_no_layout_knows_is_refused() -> None:
    with pytest.raises(InputError, match=r"no Metadata_Dose: use groups = 'csv'"):
        ids(["Metadata_Plate", "Metadata_Dose"])
