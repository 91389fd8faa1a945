"""MeasureObjectIntensity computes every byte as CellProfiler's own."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exact import drawn
from tests.exact.conftest import Bench

FEATURES = 21


def case(
    images: dict[str, Any], objects: dict[str, Any], **options: Any
) -> dict[str, Any]:
    return {
        "module": "MeasureObjectIntensity",
        "settings": [
            ["images_list", ", ".join(images)],
            ["objects_list", ", ".join(objects)],
        ],
        "images": images,
        "objects": objects,
        "accelerations": ["object_intensity"],
        **options,
    }


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    shape = draw(drawn.shapes)
    images = {name: draw(drawn.images(shape)) for name in "AB"[: draw(counts)]}
    objects = {name: draw(drawn.objects(shape)) for name in "PQ"[: draw(counts)]}
    if draw(st.integers(0, 4)) == 0:
        objects["R"] = {**objects["P"], "kind": "layers"}
    return case(images, objects)


counts = st.integers(1, 2)


@given(cases())
@drawn.examples(100)
def test_all_kinds_of_images_and_objects(
    bench: Bench, drawn_case: dict[str, Any]
) -> None:
    bench.check(**drawn_case)


def entry(kind: str, seed: int = 1, **options: Any) -> dict[str, Any]:
    return {"kind": kind, "seed": seed, "shape": [40, 50], **options}


IMAGE, CELLS = {"A": entry("noise")}, {"Cells": entry("blobs")}


def test_ours_answers_for_all_images_and_object_sets(bench: Bench) -> None:
    images = {**IMAGE, "B": entry("camera", 2)}
    objects = {**CELLS, "Nuclei": entry("missing")}
    answer = bench.check(**case(images, objects))
    assert answer["calls"] == {"object_intensity": 1}
    assert answer["measurements"] == 2 * 2 * FEATURES + 2 * 2 + 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mask", [None, "most", "half", "none", "all"])
@pytest.mark.parametrize(
    "kind", ["steps", "binary", "constant", "zero", "saturated", "beyond", "negative"]
)
def test_equal_maxima_and_masked_objects(
    bench: Bench, kind: str, mask: str | None, dtype: str
) -> None:
    image = entry(kind, dtype=dtype, mask=mask)
    objects = {**CELLS, "Tiles": entry("tiles"), "Sparse": entry("sparse")}
    answer = bench.check(**case({"A": image}, objects))
    assert answer["calls"] == {"object_intensity": 1}


@pytest.mark.parametrize(
    "kind",
    ["empty", "whole", "one", "pixels", "missing", "overlapping", "layers", "random"],
)
@pytest.mark.parametrize("mask", [None, "most"])
def test_objects_that_are_special(bench: Bench, kind: str, mask: str | None) -> None:
    images = {"A": entry("noise", mask=mask), "B": entry("steps")}
    answer = bench.check(**case(images, {"Cells": entry(kind), **CELLS}))
    assert answer["calls"] == {"object_intensity": 1}


@pytest.mark.parametrize(
    ("image", "objects"),
    [
        (entry("nan"), entry("blobs")),
        (entry("infinite"), entry("blobs")),
        (entry("signed zeros"), entry("blobs")),
        (entry("noise"), entry("blobs", shape=[30, 50])),
        (entry("noise"), entry("blobs", shape=[60, 60])),
        (
            entry("noise", shape=[3, 20, 20], dimensions=3),
            entry("blobs", shape=[3, 20, 20]),
        ),
    ],
    ids=["nan", "infinite", "minus zero", "smaller", "larger", "volume"],
)
def test_the_original_is_asked(
    bench: Bench, image: dict[str, Any], objects: dict[str, Any]
) -> None:
    answer = bench.check(**case({"A": image}, {"Cells": objects}))
    assert answer["error"] is None
    assert not answer["calls"].get("object_intensity")


def test_objects_that_are_missing_raise_after_what_was_measured(bench: Bench) -> None:
    lacking = case(IMAGE, CELLS)
    lacking["settings"][1] = ["objects_list", "Cells, Missing"]
    answer = bench.check(**lacking)
    assert "Missing objects are missing" in answer["error"]


def test_with_a_window_the_original_is_asked(bench: Bench) -> None:
    answer = bench.check(**case(IMAGE, CELLS, show_window=True))
    assert not answer["calls"].get("object_intensity")
