"""Files of several pages: nothing of them is left out in silence."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cpengine.errors import ConfigError
from cpengine.inputs.image_index import ImagesOfPlates, Pages, index_images
from cpengine.storage.store import Storage
from tests.inputs.image_index.acquisition import Acquisition, Shot
from tests.inputs.image_index.instruments import (
    write_imagexpress,
    write_imagexpress_names,
    write_ome,
)
from tests.inputs.image_index.test_formats import rows_of


def stack(shot: Shot, pages: int = 3, subifds: int = 0) -> bytes:
    """A TIFF of some pages, each of which may have smaller copies."""
    data = io.BytesIO()
    with tifffile.TiffWriter(data) as tiff:
        for number in range(pages):
            page = np.full((32, 32), number + shot.site, np.uint16)
            tiff.write(page, subifds=subifds, contiguous=False)
            for _ in range(subifds):
                tiff.write(page[::2, ::2], subfiletype=1)
    return data.getvalue()


def pyramid(shot: Shot) -> bytes:
    """A TIFF whose further pages are smaller copies of the first."""
    data = io.BytesIO()
    with tifffile.TiffWriter(data) as tiff:
        tiff.write(np.zeros((32, 32), np.uint16))
        tiff.write(np.zeros((16, 16), np.uint16), subfiletype=1)
    return data.getvalue()


def indexed(folder: Path, pages: Pages | None = None) -> ImagesOfPlates:
    return index_images(Storage("/"), str(folder), pages=pages)


@pytest.mark.parametrize("write", [write_imagexpress_names, write_imagexpress])
def test_several_pages_are_a_problem_of_each_plate_and_channel(
    tmp_path: Path, write: type[write_imagexpress]
) -> None:
    for plate in ("P1", "P2"):
        acquired = Acquisition(plate, ("A01",), 2, ("DAPI", "ER"), content=stack)
        write(tmp_path / plate, acquired)
    faults = indexed(tmp_path).faults
    assert [fault.kind for fault in faults] == ["several-pages"] * 4
    assert len({fault.place for fault in faults}) == 4
    assert "has 3 pages, and CellProfiler would read the first" in faults[0].cause
    assert "--pages (first, planes, timepoints, channels)" in faults[0].cause


@pytest.mark.parametrize("content", [pyramid, lambda shot: stack(shot, 1, 2)])
def test_smaller_copies_are_no_pages(tmp_path: Path, content: type[pyramid]) -> None:
    acquired = Acquisition(channels=("DAPI",), content=content)
    write_imagexpress_names(tmp_path / "P1", acquired)
    assert indexed(tmp_path).problems == []


@pytest.mark.parametrize(
    ("pages", "column", "values"),
    [
        (Pages.PLANES, "Metadata_PlaneID", ["1", "2", "3"]),
        (Pages.TIMEPOINTS, "Metadata_TimepointID", ["1", "2", "3"]),
    ],
)
def test_pages_become_planes_or_timepoints(
    tmp_path: Path, pages: Pages, column: str, values: list[str]
) -> None:
    write_imagexpress_names(
        tmp_path / "P1", Acquisition(wells=("A01",), channels=("a", "b"), content=stack)
    )
    found = indexed(tmp_path, pages)
    assert found.problems == []
    rows = rows_of(found.tables[0])
    assert [row[column] for row in rows] == values * 2
    assert [row["Frame_Ch2"] for row in rows] == ["0", "1", "2"] * 2
    assert {row["Series_Ch1"] for row in rows} == {"0"}


def test_pages_become_channels(tmp_path: Path) -> None:
    acquired = Acquisition(wells=("A01",), channels=("a",), content=stack)
    write_imagexpress_names(tmp_path / "P1", acquired)
    found = indexed(tmp_path, Pages.CHANNELS)
    assert found.plates[0].names == ["Ch1", "Ch2", "Ch3"]
    (first, second) = rows_of(found.tables[0])
    assert [first[f"Frame_Ch{n}"] for n in (1, 2, 3)] == ["0", "1", "2"]
    assert second["FileName_Ch3"] == "A01_s2_w1.tif"


def test_pages_are_no_channels_where_names_tell_of_some(tmp_path: Path) -> None:
    write_imagexpress_names(tmp_path / "P1", Acquisition(content=stack))
    with pytest.raises(ConfigError, match="names tell of channels already: 1, 2"):
        indexed(tmp_path, Pages.CHANNELS)


def test_the_first_page_may_be_all_that_is_wanted(tmp_path: Path) -> None:
    acquired = Acquisition(wells=("A01",), channels=("a",), content=stack)
    write_imagexpress_names(tmp_path / "P1", acquired)
    found = indexed(tmp_path, Pages.FIRST)
    assert found.problems == []
    assert "Frame_Ch1" not in found.tables[0].table.header


def test_a_file_with_fewer_pages_is_named(tmp_path: Path) -> None:
    acquired = Acquisition(
        wells=("A01",), channels=("a",), content=lambda shot: stack(shot, shot.site + 1)
    )
    write_imagexpress_names(tmp_path / "P1", acquired)
    (problem,) = indexed(tmp_path, Pages.PLANES).problems
    assert problem.kind == "missing-plane"
    assert problem.place == "P1 A01 site 1 plane 3"


def test_a_cut_stack_is_named(tmp_path: Path) -> None:
    acquired = Acquisition(wells=("A01",), channels=("a",), content=stack)
    write_imagexpress_names(tmp_path / "P1", acquired)
    path = tmp_path / "P1/A01_s1_w1.tif"
    path.write_bytes(path.read_bytes()[:3000])
    assert ("short-file", "P1/A01_s1_w1.tif") in {
        (str(p.kind), p.place) for p in indexed(tmp_path, Pages.PLANES).problems
    }


def test_pages_that_an_index_tells_of_are_no_question(tmp_path: Path) -> None:
    write_ome(tmp_path / "P1", Acquisition(planes=3, content=stack), stacks=True)
    assert not any(p.kind == "several-pages" for p in indexed(tmp_path).problems)


def test_no_page_of_a_bucket_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage("/")
    monkeypatch.setattr(Storage, "is_local", lambda *_: False)
    monkeypatch.setattr(Storage, "tree", lambda *_: {"P1/A01_s1_w1.tif": 10})
    found = index_images(storage, "s3://b/screen")
    assert found.problems == []
    with pytest.raises(ConfigError, match="all files are opened for it: s3://b/screen"):
        index_images(storage, "s3://b/screen", pages=Pages.PLANES)
