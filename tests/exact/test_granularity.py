"""MeasureGranularity computes every byte as CellProfiler's own."""

import math
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.exact import drawn
from tests.exact.conftest import Bench

CRASHING = ["nan", "infinite"]
"""CellProfiler's own reconstruction writes beyond its memory where there are NaN."""
factors = st.sampled_from([0.1, 0.25, 0.25, 0.3, 0.5, 0.5, 0.7, 0.75, 0.99, 1])
sides = st.one_of(st.integers(1, 6), st.integers(7, 30), st.integers(31, 120))


def case(
    images: dict[str, Any],
    objects: dict[str, Any],
    *,
    subsample: float = 0.5,
    image_sample: float = 0.5,
    radius: int = 3,
    length: int = 6,
    **options: Any,
) -> dict[str, Any]:
    return {
        "module": "MeasureGranularity",
        "settings": [
            ["images_list", ", ".join(images)],
            ["wants_objects", bool(objects)],
            ["objects_list", ", ".join(objects)],
            ["subsample_size", subsample],
            ["image_sample_size", image_sample],
            ["element_size", radius],
            ["granular_spectrum_length", length],
        ],
        "images": images,
        "objects": objects,
        "accelerations": ["granularity"],
        **options,
    }


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    shape = [draw(sides), draw(sides)]
    images = drawn.images(shape).filter(lambda image: image["kind"] not in CRASHING)
    names = draw(st.sampled_from([[], ["Cells"], ["Cells", "Nuclei"]]))
    subsample, image_sample = draw(st.tuples(factors, factors))
    radius = draw(st.sampled_from([1, 2, 3, 5, 10, 14]))
    smallest = math.ceil(min(shape) * subsample * image_sample)
    # scipy reads beyond an image where a disk is several times as large: any result
    assume(radius < 4 * smallest)
    return case(
        {name: draw(images) for name in draw(st.sampled_from(["A", "A", "AB"]))},
        {name: draw(drawn.objects(shape)) for name in names},
        subsample=subsample,
        image_sample=image_sample,
        radius=radius,
        length=draw(st.integers(1, 8)),
    )


@given(cases())
@drawn.examples(150)
def test_all_kinds_of_images_and_objects(
    bench: Bench, drawn_case: dict[str, Any]
) -> None:
    bench.check(**drawn_case)


def entry(kind: str, seed: int = 1, **options: Any) -> dict[str, Any]:
    return {"kind": kind, "seed": seed, "shape": [80, 90], **options}


A = {"A": entry("camera")}
CELLS = {"Cells": entry("blobs")}


def calls(bench: Bench, **described: Any) -> int:
    """How many images ours measured, of a case that must give the same."""
    answer = bench.check(**described)
    assert answer["error"] is None
    return int(answer["calls"].get("granularity", 0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["camera", "noise", "beyond", "halves", "zero"])
@pytest.mark.parametrize("factors", [(0.25, 0.5), (1, 1), (0.7, 1), (1, 0.3)])
def test_ours_answers(
    bench: Bench, kind: str, dtype: str, factors: tuple[float, float]
) -> None:
    images = {"A": entry(kind, dtype=dtype), "B": entry(kind, 2, dtype=dtype)}
    objects = {**CELLS, "Tiles": entry("tiles"), "Missing": entry("missing")}
    subsample, image_sample = factors
    described = case(images, objects, subsample=subsample, image_sample=image_sample)
    assert calls(bench, **described) == 2


@pytest.mark.parametrize("mask", ["most", "half", "none", "all"])
def test_masked_images(bench: Bench, mask: str) -> None:
    """Some objects have no pixel left; the mask has its own smaller copies."""
    images = {"A": entry("camera", mask=mask), "B": entry("noise", mask=mask)}
    assert calls(bench, **case(images, CELLS, subsample=0.7)) == 2


def test_masks_are_those_of_the_image(bench: Bench) -> None:
    """Objects, and what was made of an image's mask, are used again for the next."""
    masks = {"A": None, "B": "most", "C": "half", "D": "most"}
    images = {name: entry("camera", mask=mask) for name, mask in masks.items()}
    assert calls(bench, **case(images, CELLS, times=2)) == 8


@pytest.mark.parametrize("rows", [889, 896])
def test_as_many_objects_as_a_byte_has_numbers(bench: Bench, rows: int) -> None:
    """CellProfiler keeps up to 127 labels in bytes."""
    shape = [rows, 9]
    described = case({"A": entry("noise", shape=shape)}, {"Tiles": entry("tiles")})
    described["objects"]["Tiles"]["shape"] = shape
    assert calls(bench, **described) == 1


def test_no_objects(bench: Bench) -> None:
    assert calls(bench, **case(A, {})) == 1
    assert calls(bench, **case(A, {"Cells": entry("empty"), **CELLS})) == 1


def test_an_open_window(bench: Bench) -> None:
    assert calls(bench, **case(A, CELLS, show_window=True)) == 1


@pytest.mark.parametrize(
    "described",
    [
        case({"A": entry("binary", dtype="bool")}, CELLS),
        case({"A": entry("signed zeros")}, CELLS, subsample=1),
        case({"A": entry("signed zeros")}, CELLS, subsample=1, image_sample=1),
        case(A, CELLS, radius=24),
    ],
    ids=["binary", "-0.0 and a background", "-0.0", "a disk larger than the image"],
)
def test_the_original_measures(bench: Bench, described: dict[str, Any]) -> None:
    assert calls(bench, **described) == 0


def test_volumes(bench: Bench) -> None:
    shape = [6, 20, 20]
    described = case(
        {"A": entry("camera", shape=shape, dimensions=3)},
        {"Cells": entry("random", shape=shape)},
        radius=1,
        length=2,
    )
    assert bench.check(**described)["calls"].get("granularity", 0) == 0


@pytest.mark.parametrize("shape", [[80, 91], [40, 45]])
def test_objects_of_another_shape(bench: Bench, shape: list[int]) -> None:
    described = case(A, {"Cells": entry("blobs", shape=shape)})
    assert bench.check(**described)["error"]


def test_an_image_of_one_row(bench: Bench) -> None:
    described = case({"A": entry("noise", shape=[1, 50])}, {}, radius=1)
    assert "division by zero" in bench.check(**described)["error"]
