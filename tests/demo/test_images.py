"""The drawn fields are what the demo and its pipelines count on."""

import numpy as np
import pytest

from cpengine.demo.images import (
    CHANNELS,
    expected_cells,
    illumination,
    site_images,
)


def test_the_same_site_is_drawn_the_same_twice() -> None:
    first, second = (site_images("P1", "A01", 1, size=128) for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in CHANNELS)


@pytest.mark.parametrize(
    "other", [("P2", "A01", 1), ("P1", "A02", 1), ("P1", "A01", 2)]
)
def test_another_plate_well_or_site_is_another_field(
    other: tuple[str, str, int],
) -> None:
    field = site_images("P1", "A01", 1, size=128)["DNA"]
    assert not np.array_equal(field, site_images(*other, size=128)["DNA"])


@pytest.mark.parametrize("planes", [1, 3])
def test_every_channel_is_a_16_bit_stack(planes: int) -> None:
    images = site_images("P1", "A01", 1, size=128, planes=planes)
    assert tuple(images) == CHANNELS
    assert {image.shape for image in images.values()} == {(planes, 128, 128)}
    assert {image.dtype for image in images.values()} == {np.dtype(np.uint16)}


def test_no_pixel_is_saturated() -> None:
    images = site_images("P1", "A01", 1, size=256)
    assert max(int(image.max()) for image in images.values()) < 65535


def test_the_middle_plane_is_the_sharpest() -> None:
    stack = site_images("P1", "A01", 1, size=128, planes=3)["Mito"].astype(float)
    sharpness = [np.diff(plane, axis=0).std() for plane in stack]
    assert np.argmax(sharpness) == 1


@pytest.mark.parametrize("channel", CHANNELS)
def test_light_falls_off_across_the_field(channel: str) -> None:
    field = illumination(channel, 128)
    assert field.max() == pytest.approx(1)
    assert 0.4 < field.min() < 0.7


def test_the_background_of_images_follows_the_light() -> None:
    sites = [site_images("P1", "A01", s, size=256)["DNA"][0] for s in range(1, 9)]
    darkest = np.min(sites, axis=0)  # no cell covers a pixel in all of them
    blocks = darkest.reshape(8, 32, 8, 32).mean(axis=(1, 3))
    light = illumination("DNA", 256).reshape(8, 32, 8, 32).mean(axis=(1, 3))
    assert np.corrcoef(blocks.ravel(), light.ravel())[0, 1] > 0.8


def test_the_light_differs_between_channels() -> None:
    assert len({illumination(name, 128).tobytes() for name in CHANNELS}) == 5


def test_cell_counts_differ_between_wells_and_stay_in_range() -> None:
    counts = [expected_cells("P1", f"A{c:02d}", 1) for c in range(1, 13)]
    assert len(set(counts)) > 3
    assert all(20 <= count <= 45 for count in counts)


def test_cell_counts_scale_with_the_area() -> None:
    assert expected_cells("P1", "A01", 1, 1024) == pytest.approx(
        4 * expected_cells("P1", "A01", 1, 512), abs=2
    )


def test_a_size_too_small_for_a_cell_is_refused() -> None:
    with pytest.raises(ValueError, match="128"):
        site_images("P1", "A01", 1, size=32)
