"""MeasureImageQuality measures the same, to the byte."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exact.conftest import Bench
from tests.exact.drawn import examples, images, shapes, sides

METHODS = [
    *("Otsu", "Otsu", "Otsu", "Background", "RobustBackground", "RidlerCalvard"),
    *("Kapur", "MCT", "MoG"),
]


def settings(names: str, scales: list[int], *more: tuple[str, Any]) -> list[Any]:
    """Blur at some scales, and nothing else but what more settings ask for."""
    group = "image_groups[0]."
    chosen: list[Any] = [
        ("images_choice", "Select..."),
        (group + "image_names", names),
        (group + "check_intensity", False),
        (group + "check_saturation", False),
        (group + "calculate_threshold", False),
        (group + "scale_groups[0].scale", scales[0]),
    ]
    for number, scale in enumerate(scales[1:], 1):
        chosen.append((group + "add_scale_button.on_event_fired()", None))
        chosen.append((f"{group}scale_groups[{number}].scale", scale))
    return chosen + [(group + name, value) for name, value in more]


def run(bench: Bench, image: dict[str, Any], scales: list[int], *more: Any) -> int:
    """Measure an image both ways; give how often ours answered."""
    answer = bench.check(
        module="MeasureImageQuality",
        settings=settings("A", scales, *more),
        images={"A": image},
        accelerations=["image_quality"],
    )
    calls: int = answer["calls"].get("image_quality", 0)
    return calls


def entry(**changes: Any) -> dict[str, Any]:
    return {"seed": 1, "kind": "camera", "shape": [60, 70]} | changes


def test_ours_measures_the_usual(bench: Bench) -> None:
    assert run(bench, entry(), [2, 20, 50]) == 4


@pytest.mark.parametrize("two", ["Two classes", "Three classes"])
@pytest.mark.parametrize("how", ["Weighted variance", "Entropy"])
def test_otsu(bench: Bench, two: str, how: str) -> None:
    otsu = "threshold_groups[0]."
    more = [
        ("check_blur", False),
        ("calculate_threshold", True),
        (otsu + "two_class_otsu", two),
        (otsu + "use_weighted_variance", how),
    ]
    for kind in ("camera", "bytes", "beyond", "constant"):
        image = entry(kind=kind, shape=[200, 300])
        assert run(bench, image, [5], *more) >= 2


@pytest.mark.parametrize(
    ("changes", "calls"),
    [
        ({"mask": "most"}, 1),  # the power spectrum's inner function answers
        ({"kind": "nan"}, 1),
        ({"kind": "infinite"}, 1),
        ({"shape": [60, 20]}, 2),  # a scale is as large as the image; no spectrum
        ({"shape": [20, 60]}, 3),
        ({"shape": [1, 1]}, 2),
        ({"shape": [60, 70, 3]}, 0),
        ({"shape": [30, 60, 70], "dimensions": 3}, 0),
        ({"kind": "constant"}, 4),
        ({"kind": "zero"}, 4),
        ({"kind": "binary", "dtype": "bool"}, 4),
        ({"dtype": "float64"}, 4),
        ({"kind": "huge"}, 3),  # its range is infinite
    ],
)
def test_what_is_left_to_cellprofiler(
    bench: Bench, changes: dict[str, Any], calls: int
) -> None:
    assert run(bench, entry(**changes), [5, 20]) == calls


def test_intensity(bench: Bench) -> None:
    more = [("check_blur", False), ("check_intensity", True)]
    for kind, calls in {"camera": 1, "beyond": 1, "nan": 0, "signed zeros": 0}.items():
        assert run(bench, entry(kind=kind), [5], *more) == calls


def test_one_masked_image_of_a_group(bench: Bench) -> None:
    answer = bench.check(
        module="MeasureImageQuality",
        settings=settings("A, B", [3]),
        images={"A": entry(), "B": entry(mask="half")},
        accelerations=["image_quality"],
    )
    assert answer["calls"] == {"image_quality": 2}


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """An image quality case: any two images, blur, saturation, thresholds."""
    size = st.one_of(sides, st.integers(24, 150))
    shape = draw(st.one_of(shapes, st.tuples(size, size).map(list)))
    scales = draw(st.lists(st.integers(1, 70), min_size=1, max_size=3))
    threshold = "threshold_groups[0]."
    two = st.sampled_from(["Two classes", "Three classes"])
    how = st.sampled_from(["Weighted variance", "Entropy"])
    middle = st.sampled_from(["Foreground", "Background"])
    more = [
        ("check_blur", draw(st.booleans())),
        ("check_saturation", draw(st.booleans())),
        ("check_intensity", draw(st.booleans())),
        ("calculate_threshold", draw(st.booleans())),
        (threshold + "threshold_method", draw(st.sampled_from(METHODS))),
        (threshold + "two_class_otsu", draw(two)),
        (threshold + "use_weighted_variance", draw(how)),
        (threshold + "assign_middle_to_foreground", draw(middle)),
    ]
    return {
        "module": "MeasureImageQuality",
        "settings": settings("A, B", scales, *more),
        "images": {"A": draw(images(shape)), "B": draw(images(shape))},
        "accelerations": ["image_quality"],
    }


@examples(80)
@given(cases())
def test_drawn_images(bench: Bench, case: dict[str, Any]) -> None:
    bench.check(**case)
