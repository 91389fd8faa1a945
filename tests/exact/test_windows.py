"""Modules whose windows nobody sees compute the same without them."""

from typing import Any

import pytest

from tests.exact.conftest import Bench

A = {"A": {"seed": 1, "kind": "camera", "shape": [30, 26]}}


def test_a_window_nobody_sees_changes_nothing(bench: Bench) -> None:
    assert "windows" in bench.ready["on"]


@pytest.mark.parametrize(
    ("module", "settings", "error"),
    [
        ("MeasureImageIntensity", [["images_list", "A"]], ""),
        ("MeasureTexture", [["images_list", "A"], ["scale_groups[0].scale", 3]], ""),
        ("Resize", [["x_name", "A"], ["y_name", "B"]], ""),
        (
            "DisplayHistogram",
            [["object", "Image"], ["x_axis", "Metadata_Site"], ["wants_xbounds", True]],
            "Error: ",
        ),
    ],
)
def test_what_fails_in_a_window_fails(
    pipelines: Bench, module: str, settings: list[Any], error: str
) -> None:
    described = {"module": module, "settings": settings, "show_window": True}

    answer = pipelines.check(
        modules=[described], sites=[A, A], groups=[2], accelerations=["windows"]
    )

    assert [error in text for text in answer["errors"]] == [True] * bool(error)
