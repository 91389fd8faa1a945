"""Labels spread over images as centrosome spreads them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exact import drawn
from tests.exact.conftest import Bench


def case(
    image: dict[str, Any], seeds: dict[str, Any], factor: float, *more: list[Any]
) -> dict[str, Any]:
    return {
        "module": "IdentifySecondaryObjects",
        "settings": [
            ["x_name", "Seeds"],
            ["y_name", "Cells"],
            ["image_name", "X"],
            ["method", "Propagation"],
            ["regularization_factor", factor],
            ["threshold.threshold_scope", "Global"],
            ["threshold.global_operation", "Manual"],
            ["threshold.manual_threshold", 0.3],
            ["threshold.threshold_smoothing_scale", 0.0],
            *more,
        ],
        "images": {"X": image},
        "objects": {"Seeds": seeds},
        "accelerations": ["propagation"],
    }


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    shape = draw(drawn.shapes)
    factor = draw(st.sampled_from([0.0, 0.01, 0.05, 1.0, 1000.0]) | st.floats(0, 50))
    return case(draw(drawn.images(shape)), draw(drawn.objects(shape)), factor)


@given(cases())
@drawn.examples(60)
def test_all_kinds_of_images_and_seeds(
    bench: Bench, drawn_case: dict[str, Any]
) -> None:
    bench.check(**drawn_case)


def image(kind: str, **options: Any) -> dict[str, Any]:
    return {"seed": 8, "kind": kind, "shape": [60, 70], **options}


def seeds(kind: str = "blobs") -> dict[str, Any]:
    return {"seed": 3, "kind": kind, "shape": [60, 70]}


@pytest.mark.parametrize("kind", ["camera", "steps", "zero", "constant", "binary"])
@pytest.mark.parametrize("factor", [0.0, 0.05, 10.0])
def test_ours_answers(bench: Bench, kind: str, factor: float) -> None:
    answer = bench.check(**case(image(kind), seeds(), factor))
    assert answer["error"] is None
    assert answer["calls"] == {"propagation": 1}


@pytest.mark.parametrize("kind", ["nan", "infinite"])
def test_the_original_is_asked(bench: Bench, kind: str) -> None:
    answer = bench.check(**case(image(kind), seeds(), 0.05))
    assert not answer["calls"].get("propagation")


def test_centers_of_other_objects(bench: Bench) -> None:
    answer = bench.check(
        module="MeasureObjectIntensityDistribution",
        settings=[
            ["images_list", "X"],
            ["objects[0].object_name", "Cells"],
            ["objects[0].center_choice", "Edges of other objects"],
            ["objects[0].center_object_name", "Seeds"],
        ],
        images={"X": image("noise")},
        objects={"Seeds": seeds(), "Cells": seeds("large")},
        accelerations=["propagation"],
    )
    assert answer["calls"] == {"propagation": 1}
