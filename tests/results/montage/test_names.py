"""What the names of published pictures tell: kind, well and site."""

from collections.abc import Sequence

import pytest

from cpengine.results.montage.names import (
    PlateSites,
    PublishedPicture,
    Shown,
    is_picture,
    kinds,
)

SITES = PlateSites("P1", {"A01": ["1", "2"], "B10": ["1", "2"]})


def kinds_of(
    *names: str, sites: PlateSites = SITES, wells: Sequence[str] = ("A01", "B10")
) -> dict[str, dict[Shown, str]]:
    """The kinds of pictures of jobs of a well each, with names for both wells."""
    files = [
        PublishedPicture(f"{well}/{name}", name.replace("WELL", well), well)
        for well in wells
        for name in names
    ]
    return kinds(files, sites)


def both(name: str) -> dict[Shown, str]:
    """The picture of both sites of both wells, from a name with SITE in it."""
    return {
        (well, site): f"{well}/{name.replace('SITE', site)}"
        for well in ("A01", "B10")
        for site in ("1", "2")
    }


def test_the_demo_s_overlays_are_outlines() -> None:
    names = ("WELL_s1--outlines.png", "WELL_s2--outlines.png")
    assert kinds_of(*names) == {"outlines": both("WELL_sSITE--outlines.png")}


def test_kinds_are_distinguished_by_the_rest_of_the_name() -> None:
    names = [f"WELL_s{s}_{kind}.png" for s in "12" for kind in ("Cells", "Nuclei")]
    assert kinds_of(*names) == {
        "Cells": both("WELL_sSITE_Cells.png"),
        "Nuclei": both("WELL_sSITE_Nuclei.png"),
    }


def test_a_folder_is_part_of_the_kind() -> None:
    assert list(kinds_of("outlines/WELL_s1.png", "masks/WELL_s1.png")) == [
        "masks",
        "outlines",
    ]


def test_the_plate_s_name_is_no_part_of_the_kind() -> None:
    assert list(kinds_of("P1_WELL_s1_outlines.png")) == ["outlines"]


@pytest.mark.parametrize("plate", ["BR1", "BR00117035", "P1", "A", "2024_01_15"])
@pytest.mark.parametrize("job", ["of a well", "of the plate"])
@pytest.mark.parametrize("end", ["", "_Cells"])
def test_the_plate_s_name_may_stand_right_before_the_well_s(
    plate: str, job: str, end: str
) -> None:
    wells = ("A01", "A02", "B10")
    files = [
        PublishedPicture(w, f"{plate}{w}{end}.png", w if job == "of a well" else "")
        for w in wells
    ]
    sites = PlateSites(plate, {well: ["1", "2"] for well in wells})
    found = {(well, "1"): well for well in wells}
    assert kinds(files, sites) == {end.strip("_") or "picture": found}


def test_the_well_of_the_job_may_stand_right_before_the_site_s_number() -> None:
    names = ("P1WELL1.png", "P1WELL2.png")
    assert kinds_of(*names) == {"picture": both("P1WELLSITE.png")}


def test_a_number_of_the_well_is_no_site() -> None:
    files = [PublishedPicture(w, f"x{n}.png", w) for n, w in enumerate(SITES.wells, 1)]
    assert kinds(files, SITES) == {"x": {("A01", "1"): "A01", ("B10", "1"): "B10"}}


def test_a_number_that_is_the_same_for_all_is_part_of_the_kind() -> None:
    names = [f"WELL_s{s}_ch{c}.png" for s in "12" for c in "35"]
    assert kinds_of(*names) == {
        "ch3": both("WELL_sSITE_ch3.png"),
        "ch5": both("WELL_sSITE_ch5.png"),
    }


def test_a_number_that_goes_with_wells_is_no_part_of_the_kind() -> None:
    files = [
        PublishedPicture(f"{number}", f"{well}_s{site}_{number}_overlay.png", well)
        for number, (well, site) in enumerate(both(""), 17)
    ]
    assert kinds(files, SITES) == {
        "overlay": {shown: str(n) for n, shown in enumerate(both(""), 17)}
    }


def test_a_site_is_named_in_many_ways() -> None:
    for name in ("WELL_site{}", "WELLf0{}", "WELL-F{}", "s00{}_WELL", "r_WELL_fov_{}"):
        names = [name.format(site) + "_x.png" for site in "12"]
        (found,) = kinds_of(*names).values()
        assert found == both(name.format("SITE") + "_x.png"), name


def test_a_bare_number_is_a_site_if_each_is_one() -> None:
    names = ("WELL_1_x.png", "WELL_2_x.png")
    assert kinds_of(*names) == {"x": both("WELL_SITE_x.png")}


def test_sites_without_a_number_are_in_the_order_of_names() -> None:
    files = [
        PublishedPicture(key, f"overlay_{key}.png", well)
        for well, key in (
            ("A01", "0007"),
            ("A01", "0008"),
            ("B10", "0010"),
            ("B10", "0009"),
        )
    ]
    assert kinds(files, SITES) == {
        "overlay": {
            ("A01", "1"): "0007",
            ("A01", "2"): "0008",
            ("B10", "1"): "0009",
            ("B10", "2"): "0010",
        }
    }


def test_a_well_is_found_in_the_name_where_the_job_tells_none() -> None:
    files = [
        PublishedPicture(name, name)
        for name in ("P1_a1_s2_x.png", "r02c10f01_x.png", "overview_x.png")
    ]
    assert kinds(files, SITES) == {
        "x": {("A01", "2"): "P1_a1_s2_x.png", ("B10", "1"): "r02c10f01_x.png"}
    }


def test_a_job_of_a_site_tells_its_well_and_site() -> None:
    files = [
        PublishedPicture(f"{well}-{site}", "outlines/cells.png", well, site)
        for well, site in both("")
    ]
    assert kinds(files, SITES) == {
        "outlines-cells": {shown: "-".join(shown) for shown in both("")}
    }


def test_of_two_pictures_of_a_site_the_first_is_taken() -> None:
    names = ("WELL_s1_x.png", "WELL_s01_x.png")
    assert kinds_of(*names, wells=["A01"]) == {
        "x": {("A01", "1"): "A01/WELL_s01_x.png"}
    }


def test_endings_tell_kinds_apart_that_have_one_name() -> None:
    assert list(kinds_of("WELL_s1_x.png", "WELL_s1_x.tiff")) == ["x", "x-tiff"]


def test_a_name_of_nothing_else_is_a_picture() -> None:
    assert list(kinds_of("WELL_s1.png")) == ["picture"]


def test_a_kind_s_name_is_fit_for_a_folder() -> None:
    assert list(kinds_of("../WELL_s1 <b> & more.png")) == ["b-more"]


def test_tables_and_functions_are_no_pictures() -> None:
    names = ("a.PNG", "a.tif", "a.TIFF", "a.jpeg", "Image.csv", "P1_IllumDNA.npy")
    assert [is_picture(name) for name in names] == [True] * 4 + [False] * 2
