"""Reading Image.csv: measures, sites, and files that are not as they should be."""

import numpy as np
import pytest

from cpengine.errors import InputError
from cpengine.results.qc.images import SiteKey, SiteMeasures, parse
from tests.results.qc.made import MEAN, SLOPE, image_csv

ALL = ["ImageQuality_*", "Count_*"]
GROUP = {"Metadata_Plate": "P1", "Metadata_Well": "A01"}
A = SiteKey("P1", "A01", "1")


def sites(*texts: str) -> SiteMeasures:
    return SiteMeasures.of(
        row for text in texts for row in parse(text, "Image.csv", ALL)
    )


def test_only_the_wanted_columns_are_taken() -> None:
    found = sites(image_csv({A: {SLOPE: -2, "Threshold_Final_Cells": 1}}))
    assert found.measures == [SLOPE]
    assert found.keys == (A,)


def test_rows_are_sorted_by_plate_well_and_site() -> None:
    names = ["P1-A02-1", "P1-A10-1", "P1-B01-2", "P1-B01-10", "P1-AA1-1", "P2-A1-1"]
    keys = [SiteKey(*name.split("-")) for name in names]
    text = image_csv({key: {SLOPE: i} for i, key in enumerate(keys)})
    back = image_csv({key: {SLOPE: i} for i, key in reversed([*enumerate(keys)])})
    assert sites(text).keys == sites(back).keys == tuple(keys)
    assert sites(back).values[SLOPE].tolist() == list(range(6))


def test_columns_that_some_files_lack_have_no_value_there() -> None:
    other = SiteKey("P1", "A01", "2")
    first = image_csv({A: {SLOPE: -2}})
    second = image_csv({other: {SLOPE: -1, MEAN: 3}})
    found = sites(first, second)
    assert found.values[SLOPE].tolist() == [-2, -1]
    assert np.isnan(found.values[MEAN]).tolist() == [True, False]


@pytest.mark.parametrize("text", ["", "nan", "NaN", "inf", "-inf", "None"])
def test_what_is_no_number_is_missing(text: str) -> None:
    found = sites(image_csv({A: {SLOPE: text, MEAN: 1}}))
    assert found.measures == [MEAN]


def test_metadata_that_the_file_lacks_comes_from_the_group() -> None:
    text = "Metadata_Site,Count_Cells\n1,5\n2,6\n"
    rows = parse(text, "Image.csv", ALL, GROUP)
    assert [row.key for row in rows] == [A, SiteKey("P1", "A01", "2")]


def test_a_plate_without_sites_has_one_site_a_well() -> None:
    (row,) = parse("Count_Cells\n5\n", "Image.csv", ALL, GROUP)
    assert row.key == SiteKey("P1", "A01", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "Image.csv: has no image sets: "),
        ("Count_Cells\n", "Image.csv: has no image sets: "),
        (
            "Metadata_Plate,Count_Cells\nP1,5\n",
            "Image.csv: has no column Metadata_Well",
        ),
        ("Metadata_Plate,Metadata_Well\nP1\n", "has a row of 1 values for 2 columns: "),
    ],
)
def test_files_that_cannot_be_used_are_reported(text: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text, "Image.csv", ALL)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
