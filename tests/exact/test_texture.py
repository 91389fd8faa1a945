"""MeasureTexture computes every byte as CellProfiler's own."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exact import drawn
from tests.exact.conftest import Bench

WHERE = ["Images", "Objects", "Both"]
LEVELS = [2, 3, 8, 16, 100, 255, 256, 256]
SCALES = [1, 2, 3, 5, 10, 30]


def case(
    images: dict[str, Any],
    objects: dict[str, Any],
    *,
    where: str = "Both",
    gray_levels: int = 256,
    scales: tuple[int, ...] = (3,),
    **options: Any,
) -> dict[str, Any]:
    return {
        "module": "MeasureTexture",
        "settings": [
            ["images_list", ", ".join(images)],
            ["objects_list", ", ".join(objects)],
            ["images_or_objects", where],
            ["gray_levels", gray_levels],
            *([["add_scale()", None]] * (len(scales) - 1)),
            *([f"scale_groups[{i}].scale", scale] for i, scale in enumerate(scales)),
        ],
        "images": images,
        "objects": objects,
        "accelerations": ["texture"],
        **options,
    }


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    shape = draw(drawn.shapes)
    return case(
        {"A": draw(drawn.images(shape))},
        {"Cells": draw(drawn.objects(shape)), "Nuclei": draw(drawn.objects(shape))},
        where=draw(st.sampled_from(WHERE)),
        gray_levels=draw(st.sampled_from(LEVELS)),
        scales=tuple(draw(st.lists(st.sampled_from(SCALES), min_size=1, max_size=2))),
    )


@given(cases())
@drawn.examples(80)
def test_all_kinds_of_images_and_objects(
    bench: Bench, drawn_case: dict[str, Any]
) -> None:
    bench.check(**drawn_case)


def entry(kind: str, seed: int = 1, **options: Any) -> dict[str, Any]:
    return {"kind": kind, "seed": seed, "shape": [60, 70], **options}


A = {"A": entry("camera")}
CELLS = {"Cells": entry("blobs")}


def calls(bench: Bench, **described: Any) -> int:
    """How many calls ours answered, of a case that must give the same."""
    answer = bench.check(**described)
    assert answer["error"] is None
    return int(answer["calls"].get("texture", 0))


@pytest.mark.parametrize("gray_levels", [2, 17, 256])
@pytest.mark.parametrize("kind", ["camera", "noise", "skewed", "binary", "zero"])
def test_ours_answers(bench: Bench, kind: str, gray_levels: int) -> None:
    shape = [40, 50]
    images = {
        "A": entry(kind, shape=shape),
        "B": entry(kind, 2, shape=shape, dtype="float64"),
    }
    objects = {"Cells": entry("blobs", shape=shape), "One": entry("one", shape=shape)}
    described = case(images, objects, gray_levels=gray_levels, scales=(1, 4))
    assert calls(bench, **described) == 2 * 2 * 3


def test_masked_pixels_are_zero_in_the_next_scale_too(bench: Bench) -> None:
    """Plain code makes them zero in place when it measures objects: the whole image's
    second scale, and whatever measures the image later, sees that."""
    for mask in ("half", "none"):
        images = {"A": entry("camera", mask=mask)}
        described = case(images, CELLS, scales=(2, 3), times=2)
        assert calls(bench, **described) == 8


def test_every_level_of_a_byte(bench: Bench) -> None:
    """With 256 levels matrices have their largest size."""
    images = {"A": entry("bytes", shape=[150, 150])}
    objects = {"Whole": entry("whole", shape=[150, 150])}
    assert calls(bench, **case(images, objects)) == 2


def test_objects_smaller_than_the_scale(bench: Bench) -> None:
    objects = {"Pixels": entry("pixels"), "Tiles": entry("tiles")}
    assert calls(bench, **case(A, objects, where="Objects", scales=(8, 90))) == 4


def test_a_scale_larger_than_the_image_has_mahotas_message(bench: Bench) -> None:
    answer = bench.check(**case(A, CELLS, scales=(61,)))
    assert "Cannot compute features" in answer["error"]


def test_pixels_beyond_one_have_the_original_error(bench: Bench) -> None:
    """Those of objects are first made zero where they are masked."""
    for mask in (None, "half"):
        images = {"A": entry("beyond", mask=mask)}
        answer = bench.check(**case(images, CELLS, where="Objects"))
        assert "between -1 and 1" in answer["error"]


@pytest.mark.parametrize(
    "described",
    [
        case(A, CELLS, show_window=True),
        case(A, CELLS, scales=(0,)),
        case(
            {"A": entry("camera", shape=[6, 20, 20], dimensions=3)},
            {"Cells": entry("random", shape=[6, 20, 20])},
            gray_levels=8,
            scales=(1,),
        ),
        case({"A": entry("binary", dtype="bool")}, CELLS),
    ],
    ids=["window", "scale 0", "volume", "binary"],
)
def test_the_original_measures(bench: Bench, described: dict[str, Any]) -> None:
    assert calls(bench, **described) == 0


@pytest.mark.parametrize("shape", [[60, 71], [50, 60], [80, 90], [50, 90]])
def test_objects_of_another_shape(bench: Bench, shape: list[int]) -> None:
    objects = {"Cells": entry("blobs", shape=shape)}
    for mask in (None, "half"):
        described = case({"A": entry("camera", mask=mask)}, objects, where="Objects")
        assert bench.check(**described)["calls"].get("texture", 0) == 0


def test_no_objects(bench: Bench) -> None:
    assert calls(bench, **case(A, {"Cells": entry("empty")}, where="Objects")) == 0


def test_an_image_that_is_not_there(bench: Bench) -> None:
    described = case(A, CELLS)
    described["settings"][0][1] = "B"
    assert bench.check(**described)["error"]
