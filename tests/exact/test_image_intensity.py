"""MeasureImageIntensity measures the same, to the byte."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exact.conftest import Bench
from tests.exact.drawn import examples, images, objects, shapes


def run(bench: Bench, image: dict[str, Any], percentiles: str = "10, 90") -> int:
    """Measure an image both ways; give how often ours answered."""
    answer = bench.check(
        module="MeasureImageIntensity",
        settings=[
            ("images_list", "A"),
            ("wants_objects", False),
            ("wants_percentiles", True),
            ("percentiles", percentiles),
        ],
        images={"A": image},
        accelerations=["image_intensity"],
    )
    calls: int = answer["calls"].get("image_intensity", 0)
    return calls


def entry(**changes: Any) -> dict[str, Any]:
    return {"seed": 1, "kind": "camera", "shape": [40, 31]} | changes


@pytest.mark.parametrize(
    ("changes", "calls"),
    [
        ({}, 1),
        ({"mask": "half"}, 1),
        ({"mask": "none"}, 0),
        ({"kind": "constant"}, 1),
        ({"kind": "zero"}, 1),
        ({"kind": "beyond"}, 1),
        ({"kind": "huge"}, 1),
        ({"kind": "binary", "dtype": "bool"}, 1),
        ({"kind": "nan"}, 0),
        ({"kind": "infinite"}, 0),
        ({"kind": "signed zeros"}, 0),
        ({"shape": [1, 1]}, 1),
        ({"shape": [1, 2], "dtype": "float64"}, 1),
        ({"shape": [4, 5, 6], "dimensions": 3}, 1),
        ({"shape": [20, 20, 3]}, 0),
    ],
)
def test_images(bench: Bench, changes: dict[str, Any], calls: int) -> None:
    assert run(bench, entry(**changes)) == calls


def test_percentiles(bench: Bench) -> None:
    assert run(bench, entry(), "") == 1
    assert run(bench, entry(), "0, 50, 100") == 1
    assert run(bench, entry(), "5.5") == 0


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """An intensity case: two images, perhaps in objects, some percentiles."""
    shape = draw(shapes)
    percentiles = draw(st.lists(st.integers(0, 100), max_size=4))
    return {
        "module": "MeasureImageIntensity",
        "settings": [
            ("images_list", "A, B"),
            ("wants_objects", draw(st.booleans())),
            ("objects_list", "Cells, Nuclei"),
            ("wants_percentiles", draw(st.booleans())),
            ("percentiles", ", ".join(map(str, percentiles))),
        ],
        "images": {"A": draw(images(shape)), "B": draw(images(shape))},
        "objects": {"Cells": draw(objects(shape)), "Nuclei": draw(objects(shape))},
        "accelerations": ["image_intensity"],
    }


@examples(100)
@given(cases())
def test_drawn_images(bench: Bench, case: dict[str, Any]) -> None:
    bench.check(**case)
