"""What a table's rows tell that is mostly a mistake: files that are named twice."""

import time
from collections.abc import Mapping

import pytest

from cpengine.inputs.loaddata import Table
from cpengine.inputs.table_checks import doubts, merged_timepoints
from tests import build

SITES = [(well, site) for well in ("A01", "A02", "A03") for site in "12"]
FILE = "FileName_"


def table(*rows: Mapping[str, str]) -> Table:
    """A table of channels' files, a row a site unless it tells another one."""
    channels = [name for name in rows[0] if not name.startswith("Metadata_")]
    full = []
    for (well, site), row in zip(SITES, rows, strict=False):
        own = {"Metadata_Plate": "P1", "Metadata_Well": well, "Metadata_Site": site}
        paths = {name.replace(FILE, "PathName_"): "/i" for name in channels}
        full.append(own | paths | row)
    return build.table(list(full[0]), *(list(row.values()) for row in full))


def channels(count: int = len(SITES), **odd: str) -> list[dict[str, str]]:
    """Files of two channels and their functions; `DNA_3` is that of the row 3."""
    return [
        {
            "FileName_DNA": odd.get(f"DNA_{n}", f"{n}_DNA.tif"),
            "FileName_ER": odd.get(f"ER_{n}", f"{n}_ER.tif"),
            "FileName_IllumDNA": "IllumDNA.npy",
        }
        for n in range(count)
    ]


def again(found: Table) -> list[str]:
    """The findings, as lines, of files that are named again."""
    files = ("csv-file-again", "csv-same-file")
    return [str(f) for f in doubts(found) if f.rule.name in files]


def test_files_that_each_site_has_alone_are_good() -> None:
    assert again(table(*channels())) == []


def test_a_file_of_one_channel_that_two_sites_name_is_found() -> None:
    (line,) = again(table(*channels(ER_3="1_ER.tif")))
    assert line.startswith("f.csv:5: ER is the same file as in line 3")


def test_the_same_files_in_all_channels_are_one_finding() -> None:
    (line,) = again(table(*channels(DNA_3="1_DNA.tif", ER_3="1_ER.tif")))
    assert line.startswith("f.csv:5: has the same files as in line 3")


def test_of_two_sites_alone_the_same_files_are_found() -> None:
    (line,) = again(table(*channels(2, DNA_1="0_DNA.tif", ER_1="0_ER.tif")))
    assert "has the same files" in line


@pytest.mark.parametrize("shared", [2, 3, 6])
def test_a_file_that_wells_or_the_plate_share_is_no_mistake(shared: int) -> None:
    masks = {f"ER_{n}": f"{n // shared}_mask.tif" for n in range(len(SITES))}
    assert again(table(*channels(**masks))) == []


def test_rows_without_a_file_name_no_file_twice() -> None:
    assert again(table(*channels(ER_1="", ER_2="", DNA_2=""))) == []


def test_planes_of_a_site_may_share_a_file() -> None:
    rows = channels(ER_1="0_ER.tif")
    planes = [row | {"Metadata_PlaneID": str(n)} for n, row in enumerate(rows)]
    planes[1] |= {"Metadata_Well": "A01", "Metadata_Site": "1"}
    assert again(table(*planes)) == []


def test_a_file_of_many_images_may_stand_in_many_rows() -> None:
    rows = channels(DNA_3="1_DNA.tif", ER_3="1_ER.tif")
    frames = [row | {"Frame_DNA": str(n)} for n, row in enumerate(rows)]
    assert again(table(*frames)) == []


def test_a_large_table_is_read_quickly() -> None:
    names = [f"FileName_{c}" for c in "ABCDE"] + [f"PathName_{c}" for c in "ABCDE"]
    keys = ["Metadata_Plate", "Metadata_Well", "Metadata_Site"]
    rows = [
        [*(f"{n}_{c}.tif" for c in "ABCDE"), *["/i"] * 5, "P1", f"A{n}", "1"]
        for n in range(100_000)
    ]
    large = build.table([*names, *keys], *rows)
    begun = time.perf_counter()
    assert again(large) == []
    assert time.perf_counter() - begun < 10  # 1 s on an idle machine


def stack(*timepoints: str) -> Table:
    """Two planes of each timepoint of a site."""
    rows = [("P1", "A01", "1", t, p) for t in timepoints for p in "12"]
    header = ["Plate", "Well", "Site", "TimepointID", "PlaneID"]
    return build.table([f"Metadata_{name}" for name in header], *map(list, rows))


GROUP = ("Metadata_Plate", "Metadata_Well", "Metadata_Site")


def test_timepoints_that_would_be_projected_together_are_found() -> None:
    (found,) = merged_timepoints(stack("1", "2"), range(4), GROUP)
    assert found.rule.name == "timepoints-merged"
    assert found.place == "f.csv:4:Metadata_TimepointID"
    assert found.cause.startswith("is 2, and 1 in the same job")


@pytest.mark.parametrize(
    ("table", "rows", "group"),
    [
        (stack("1"), range(2), GROUP),
        (stack("1", "2"), range(2), GROUP),
        (stack("1", "2"), range(4), (*GROUP, "Metadata_TimepointID")),
    ],
)
def test_timepoints_of_different_jobs_are_not(
    table: Table, rows: range, group: tuple[str, ...]
) -> None:
    assert list(merged_timepoints(table, rows, group)) == []
