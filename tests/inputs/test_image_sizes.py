"""Images that are smaller than sound ones of their channel can be."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from cpengine.inputs import image_checks
from cpengine.rules import IMAGE_CUT, IMAGE_SMALL, Finding, Severity
from cpengine.storage.roots import Places
from cpengine.storage.store import Storage
from tests.build import table

COMPRESSED = [900_000, 910_000, 830_000, 990_000, 870_000, 1_200_000, 640_000, 420_000]


def findings(root: Path, *sizes: int) -> list[Finding]:
    """What is said of a channel whose files have so many bytes."""
    places = Places.single_root(Storage(str(root)))
    rows = [(f"A{n}.tif", str(root)) for n in range(len(sizes))]
    for (name, _), size in zip(rows, sizes, strict=True):
        with (root / name).open("wb") as file:
            file.truncate(size)
    images = table(("FileName_OrigDNA", "PathName_OrigDNA"), *rows)
    return list(image_checks.findings(places, images, range(len(rows))))


@pytest.mark.parametrize(
    "sizes",
    [
        [34, *[131_248] * 7],  # a text among eight images
        [34, 131_248],
        [34, *COMPRESSED[1:]],
        [60_000, *[131_248] * 7],  # truncated
        [60_000, 131_248, 131_248],
        [60_000, *[131_248] * 18, 150_000],
        [34, *[131_248] * 5, *[60_000] * 3],  # many
        [20_000, *COMPRESSED],
    ],
)
def test_an_image_that_is_too_small_is_named_with_its_row(
    sizes: list[int], tmp_path: Path
) -> None:
    (found,) = findings(tmp_path, *sizes)
    assert found.rule is IMAGE_SMALL
    assert found.place == "f.csv:2:FileName_OrigDNA"
    assert f"A0.tif has {sizes[0]} bytes, most of its channel " in found.cause
    assert found.cure == "copy it again, or drop its row"


@pytest.mark.parametrize(
    "sizes",
    [[34], [131_248] * 8, COMPRESSED, COMPRESSED[:2], COMPRESSED[:3], [500, 500, 900]],
)
def test_sizes_that_sound_images_may_have_are_not_named(
    sizes: list[int], tmp_path: Path
) -> None:
    assert findings(tmp_path, *sizes) == []


def test_a_tiff_that_ends_before_its_data_is_refused(tmp_path: Path) -> None:
    places = Places.single_root(Storage(str(tmp_path)))
    rows = [(f"A{n}.tif", str(tmp_path)) for n in range(8)]
    for name, _ in rows:
        tifffile.imwrite(tmp_path / name, np.zeros((64, 64), np.uint16))
    whole = (tmp_path / "A1.tif").read_bytes()
    (tmp_path / "A1.tif").write_bytes(whole[:5000])
    tifffile.imwrite(tmp_path / "A2.tif", np.zeros((32, 32), np.uint16))
    images = table(("FileName_OrigDNA", "PathName_OrigDNA"), *rows)
    cut, small = image_checks.findings(places, images, range(len(rows)))
    assert (cut.rule, cut.place) == (IMAGE_CUT, "f.csv:3:FileName_OrigDNA")
    assert f"A1.tif has 5000 bytes, most of its channel {len(whole)}" in cut.cause
    assert cut.severity is Severity.ERROR
    assert (small.rule, small.place) == (IMAGE_SMALL, "f.csv:4:FileName_OrigDNA")


def test_a_function_that_is_too_small_is_made_again(tmp_path: Path) -> None:
    places = Places.single_root(Storage(str(tmp_path)))
    (tmp_path / "a.npy").write_bytes(b"x")
    (tmp_path / "b.npy").write_bytes(b"x" * 500)
    header = ("FileName_IllumDNA", "PathName_IllumDNA")
    rows = [(name, str(tmp_path)) for name in ("a.npy", "b.npy")]
    (found,) = image_checks.findings(places, table(header, *rows), [0, 1])
    assert found.cure == "run the illum step again with --force"
