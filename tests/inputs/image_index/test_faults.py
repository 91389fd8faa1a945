"""Files that are missing, doubled, cut off or misnamed: each is named."""

import io
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from cpengine.inputs.image_index import ImagesOfPlates
from tests.inputs.image_index.acquisition import Acquisition, Shot
from tests.inputs.image_index.harmony_writer import write_harmony
from tests.inputs.image_index.instruments import (
    write_cellvoyager,
    write_imagexpress,
    write_imagexpress_names,
    write_ome,
    write_opera_names,
    write_scanr,
)
from tests.inputs.image_index.test_formats import ALL, Write, indexed, rows_of

MANY = Acquisition(wells=("A01", "A02", "B01"), sites=9, channels=tuple("abcd"))


def images_of(folder: Path) -> list[Path]:
    """The images that are of image sets."""
    left_out = ("thumb", "SC_", "DC_")
    files = (
        p for p in sorted(folder.rglob("*")) if p.suffix.lower() in (".tif", ".tiff")
    )
    return [
        p
        for p in files
        if not any(mark in str(p.relative_to(folder)) for mark in left_out)
    ]


def shot_at(path: Path) -> Shot:
    well, *numbers = path.read_bytes().decode().split()
    return Shot(well, *map(int, numbers))


def lines_of(found: ImagesOfPlates) -> str:
    return "\n".join(map(str, found.problems))


def named_in_table(found: ImagesOfPlates) -> set[str]:
    return {
        row[name]
        for made in found.tables
        for row in rows_of(made)
        for name in row
        if name.startswith("FileName_")
    }


@pytest.mark.parametrize("name", ALL)
def test_files_that_are_removed_doubled_or_cut_off_are_each_named(
    tmp_path: Path, name: str
) -> None:
    ALL[name](tmp_path / "P1", MANY)
    draw = random.Random(name)
    chosen = draw.sample(images_of(tmp_path), 30)
    removed, doubled, cut = chosen[:20], chosen[20:25], chosen[25:]
    shots = {path: shot_at(path) for path in chosen}
    for path in removed:
        path.unlink()
    copies = [path.with_stem(f"{path.stem} - Copy") for path in doubled]
    for path, copy in zip(doubled, copies, strict=True):
        copy.write_bytes(path.read_bytes())
    for path in cut:
        path.write_bytes(path.read_bytes()[:-3])
    found = indexed(tmp_path)
    lines, table = lines_of(found), named_in_table(found)
    for path in removed:
        shot = shots[path]
        assert path.name in lines or f"{shot.well} site {shot.site}" in lines
    for path in (*cut, *copies):
        assert path.name in lines
        assert path.name not in table
    taken = {
        (row["Metadata_Well"], int(row["Metadata_Site"]))
        for made in found.tables
        for row in rows_of(made)
    }
    assert taken.isdisjoint({shots[path][:2] for path in (*removed, *cut)})
    untouched = {shot[:2] for shot in MANY} - {shot[:2] for shot in shots.values()}
    assert untouched <= taken


@pytest.mark.parametrize(
    ("write", "cause"),
    [
        (write_imagexpress_names, "P1 B11 site 2: has no image of Ch2"),
        (write_imagexpress, "P1 B11 site 2: has no image of Alexa_568"),
        (write_harmony, "is in the index (P1 B11 site 2, Alexa_568), but not there"),
        (
            write_cellvoyager,
            "is in the index (P1 B11 site 2, Alexa_568), but not there",
        ),
        (write_ome, "is in the index (P1 B11 site 2, Alexa_568), but not there"),
    ],
)
def test_a_set_without_an_image_is_left_out_and_named(
    tmp_path: Path, write: Write, cause: str
) -> None:
    write(tmp_path / "P1", Acquisition())
    (path,) = (p for p in images_of(tmp_path) if shot_at(p) == ("B11", 2, 1, 1, 2))
    path.unlink()
    found = indexed(tmp_path)
    (problem,) = found.faults
    assert problem.kind == "missing-image"
    assert cause in str(problem)
    assert len(found.tables[0].table.rows) == 3


def test_two_images_of_a_channel_are_both_named(tmp_path: Path) -> None:
    write_imagexpress_names(tmp_path / "P1", Acquisition())
    first = tmp_path / "P1/A01_s1_w1.tif"
    (tmp_path / "P1/x_A01_s1_w1.tif").write_bytes(first.read_bytes())
    found = indexed(tmp_path)
    assert [(p.kind, p.place) for p in found.faults] == [
        ("duplicate", "P1/A01_s1_w1.tif"),
        ("duplicate", "P1/x_A01_s1_w1.tif"),
    ]
    assert len(found.tables[0].table.rows) == 3


def test_a_site_that_a_well_lacks_is_named(tmp_path: Path) -> None:
    write_imagexpress_names(tmp_path / "P1", Acquisition())
    for path in (tmp_path / "P1").glob("A01_s2_*"):
        path.unlink()
    (problem,) = indexed(tmp_path).faults
    assert (
        str(problem)
        == "P1 A01 site 2: has no image, and other wells have (missing-site)"
    )


def test_a_plane_that_a_site_lacks_is_named(tmp_path: Path) -> None:
    write_opera_names(tmp_path / "P1", Acquisition(planes=3))
    for path in (tmp_path / "P1").rglob("r01c01f02p02-*"):
        path.unlink()
    (problem,) = indexed(tmp_path).faults
    assert str(problem).startswith(
        "P1 A01 site 2 plane 2: has no image, and other sites"
    )


def test_a_well_that_was_selected_and_has_no_image_is_named(tmp_path: Path) -> None:
    write_imagexpress(tmp_path / "P1", Acquisition(wells=("A01", "A02")))
    for path in (tmp_path / "P1").rglob("*_A02_*"):
        path.unlink()
    (problem,) = indexed(tmp_path).faults
    assert problem.kind == "missing-well"
    assert problem.place.endswith("P1.HTD: A02")


def test_channels_and_sites_that_an_index_tells_of_in_vain_are_noted(
    tmp_path: Path,
) -> None:
    write_imagexpress(tmp_path, MANY)
    for path in {*tmp_path.rglob("*_w3*"), *tmp_path.rglob("*_s9_*")}:
        path.unlink()
    found = indexed(tmp_path)
    index = tmp_path / "P1.HTD"
    assert list(map(str, found.problems)) == [
        f"{index}: channel 3 (c): has no image (no-images)",
        f"{index}: has 9 sites a well; there are images of 8 (no-images)",
    ]
    assert not found.faults


def test_sites_that_were_not_selected_are_not_noted(tmp_path: Path) -> None:
    write_imagexpress(tmp_path, Acquisition())
    index = tmp_path / "P1.HTD"
    chosen = '"XSites", 2\r\n"YSites", 2\r\n"SiteSelection1", TRUE, FALSE\r\n'
    chosen += '"SiteSelection2", FALSE, TRUE'
    text = index.read_bytes().decode("latin-1")
    index.write_bytes(
        text.replace('"XSites", 2\r\n"YSites", 1', chosen).encode("latin-1")
    )
    assert indexed(tmp_path).problems == []


def test_a_well_of_scanr_without_images_is_noted(tmp_path: Path) -> None:
    write_scanr(tmp_path, Acquisition())
    for path in (tmp_path / "data").glob("B11--*"):
        path.unlink()
    (problem,) = indexed(tmp_path).problems
    assert problem.kind == "no-images"
    assert problem.place.endswith("experiment_descriptor.xml: B11")


def test_columns_do_not_depend_on_folders_beside(tmp_path: Path) -> None:
    write_imagexpress(tmp_path / "P2", Acquisition("P2", channels=("b", "a")))
    alone = indexed(tmp_path).tables[0].table.header
    write_imagexpress(tmp_path / "P1", Acquisition("P1", channels=("a", "b")))
    assert indexed(tmp_path).tables[1].table.header == alone


def test_what_the_instrument_could_not_acquire_is_named(tmp_path: Path) -> None:
    write_cellvoyager(tmp_path, Acquisition())
    index = tmp_path / "MeasurementData.mlf"
    error = (
        '<bts:MeasurementRecord bts:Type="ERR" bts:Time="" bts:Column="3" bts:Row="2">'
        "Autofocus failed</bts:MeasurementRecord>\n</bts:MeasurementData>"
    )
    index.write_text(index.read_text().replace("</bts:MeasurementData>", error))
    (problem,) = indexed(tmp_path).faults
    assert problem.kind == "not-acquired"
    assert "B03: the instrument has noted 'Autofocus failed'" in str(problem)


def test_images_that_the_index_does_not_list_are_noted(tmp_path: Path) -> None:
    write_harmony(tmp_path, Acquisition())
    (tmp_path / "Images/overview.tiff").write_bytes(b"a picture")
    found = indexed(tmp_path)
    assert found.faults == []
    assert lines_of(found) == "Images/overview.tiff: is not in the index (not-in-index)"


def test_names_that_cannot_be_read_are_noted(tmp_path: Path) -> None:
    write_imagexpress_names(tmp_path, Acquisition())
    for name in ("overview.tif", "A01-s1-w1.tif", "notes.txt", ".hidden.tif"):
        (tmp_path / name).write_bytes(b"x")
    found = indexed(tmp_path)
    assert found.faults == []
    assert Counter(p.place for p in found.problems) == {
        "overview.tif": 1,
        "A01-s1-w1.tif": 1,
    }


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    write_opera_names(tmp_path, Acquisition())
    path = images_of(tmp_path)[0]
    path.write_bytes(b"")
    (problem,) = indexed(tmp_path).faults
    cause = "has 0 bytes, or is a link to a file that is gone"
    assert str(problem) == f"Images/{path.name}: {cause} (empty-file)"


def compressed(shot: Shot) -> bytes:
    """A TIFF whose size depends on what it shows."""
    draw = np.random.default_rng(abs(hash(shot)))
    pixels = draw.integers(0, 10 * shot.site, (60, 60), dtype=np.uint16)
    data = io.BytesIO()
    tifffile.imwrite(data, pixels, compression="zlib", rowsperstrip=16)
    return data.getvalue()


@pytest.mark.parametrize("share", [0.98, 0.6, 0.1])
def test_compressed_images_that_are_cut_off_are_each_named(
    tmp_path: Path, share: float
) -> None:
    acquired = Acquisition(sites=6, content=compressed)
    write_imagexpress_names(tmp_path / "P1", acquired)
    images = images_of(tmp_path)
    cut = random.Random(share).sample(images, 5)
    for path in cut:
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    found = indexed(tmp_path)
    assert {(p.kind, p.place) for p in found.faults} == {
        ("short-file", str(path.relative_to(tmp_path))) for path in cut
    }
    left = 2 * 6 - len({shot_of_name(path)[:2] for path in cut})
    assert len(found.tables[0].table.rows) == left


def shot_of_name(path: Path) -> tuple[str, str]:
    well, site, _ = path.stem.split("_")
    return well, site


@pytest.mark.parametrize("size", [2, 6, 40])
def test_a_compressed_image_that_ends_in_its_first_bytes_is_named(
    tmp_path: Path, size: int
) -> None:
    write_imagexpress_names(tmp_path / "P1", Acquisition(sites=6, content=compressed))
    path = tmp_path / "P1/A01_s3_w1.tif"
    path.write_bytes(path.read_bytes()[:size])
    (problem,) = indexed(tmp_path).faults
    assert (problem.kind, problem.place) == ("short-file", "P1/A01_s3_w1.tif")


def test_sound_compressed_images_have_no_problem(tmp_path: Path) -> None:
    write_imagexpress_names(tmp_path / "P1", Acquisition(sites=6, content=compressed))
    assert indexed(tmp_path).problems == []


def plain(shot: Shot) -> bytes:
    """A TIFF without compression."""
    data = io.BytesIO()
    tifffile.imwrite(data, np.full((60, 60), shot.site, np.uint16))
    return data.getvalue()


@pytest.mark.parametrize("sites", [1, 6])
def test_images_that_are_all_cut_off_are_each_named(tmp_path: Path, sites: int) -> None:
    acquired = Acquisition(wells=("A01",), sites=sites, content=plain)
    write_imagexpress_names(tmp_path / "P1", acquired)
    for path in (cut := sorted(tmp_path.rglob("*_w1.tif"))):
        path.write_bytes(path.read_bytes()[:4000])
    found = indexed(tmp_path)
    assert [(p.kind, p.place) for p in found.faults] == [
        ("short-file", str(path.relative_to(tmp_path))) for path in cut
    ]
    assert len(cut) == sites


@pytest.mark.parametrize("bytes_less", [1, 10, 50, 200])
def test_an_image_whose_tables_are_cut_off_is_named(
    tmp_path: Path, bytes_less: int
) -> None:
    """LibTIFF writes where the strips are behind them."""

    def lzw(shot: Shot) -> bytes:
        draw = np.random.default_rng(shot.site)
        pixels = draw.integers(0, 99, (300, 300), np.uint16)
        data = io.BytesIO()
        Image.fromarray(pixels).save(data, "TIFF", compression="tiff_lzw")
        return data.getvalue()

    acquired = Acquisition(wells=("A01",), sites=6, channels=("a",), content=lzw)
    write_imagexpress_names(tmp_path / "P1", acquired)
    path = tmp_path / "P1/A01_s3_w1.tif"
    path.write_bytes(path.read_bytes()[:-bytes_less])
    (problem,) = indexed(tmp_path).faults
    assert (problem.kind, problem.place) == ("short-file", "P1/A01_s3_w1.tif")
