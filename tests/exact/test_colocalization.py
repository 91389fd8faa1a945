"""MeasureColocalization computes every byte as CellProfiler's own."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exact import drawn
from tests.exact.conftest import Bench

METRICS = ["corr_and_slope", "manders", "rwc", "overlap", "costes"]
WHERE = ["Across entire image", "Within objects", "Both"]
METHODS = ["Faster", "Fast", "Accurate"]


def case(
    images: dict[str, Any],
    objects: dict[str, Any],
    where: str = "Both",
    *,
    metrics: list[str] = METRICS,
    method: str = "Faster",
    threshold: float = 15.0,
    **options: Any,
) -> dict[str, Any]:
    return {
        "module": "MeasureColocalization",
        "settings": [
            ["images_list", ", ".join(images)],
            ["objects_list", ", ".join(objects)],
            ["images_or_objects", where],
            ["fast_costes", method],
            ["thr", threshold],
            *(["do_" + metric, metric in metrics] for metric in METRICS),
        ],
        "images": images,
        "objects": objects,
        "accelerations": ["colocalization"],
        **options,
    }


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    shape = draw(drawn.shapes)
    images = {name: draw(drawn.images(shape)) for name in "ABC"[: draw(counts)]}
    # The scale decides how many thresholds are tried; the real ones take long.
    for image in images.values():
        image["scale"] = draw(st.sampled_from([None, 2, 20, 255]))
    objects = {
        "Cells": draw(drawn.objects(shape)),
        "Nuclei": draw(drawn.objects(shape)),
    }
    # Others go from the brightest value down by a fixed step: for ever, if it is huge.
    huge = any(image["kind"] == "huge" for image in images.values())
    return case(
        images,
        objects,
        draw(st.sampled_from(WHERE)),
        metrics=draw(st.lists(st.sampled_from(METRICS), unique=True)),
        method="Faster" if huge else draw(st.sampled_from(METHODS)),
        threshold=draw(st.sampled_from([0, 15, 15, 33.3, 99])),
    )


counts = st.integers(2, 3)


@given(cases())
@drawn.examples(100)
def test_all_kinds_of_images_and_objects(
    bench: Bench, drawn_case: dict[str, Any]
) -> None:
    bench.check(**drawn_case)


def entry(kind: str, seed: int = 1, **options: Any) -> dict[str, Any]:
    return {"kind": kind, "seed": seed, "shape": [40, 50], **options}


TWO = {"A": entry("camera"), "B": entry("camera", 2)}
CELLS = {"Cells": entry("blobs")}


def test_ours_answers_for_each_pair_of_images(bench: Bench) -> None:
    images = {**TWO, "C": entry("noise", 3)}
    objects = {**CELLS, "Nuclei": entry("missing")}
    answer = bench.check(**case(images, objects))
    assert answer["calls"]["colocalization"] >= 3 + 3 * 2
    assert answer["measurements"] == 3 * (11 + 2 * 10) + 3 * 2 + 2


@pytest.mark.parametrize("metric", METRICS)
def test_each_metric_alone(bench: Bench, metric: str) -> None:
    assert bench.check(**case(TWO, CELLS, metrics=[metric]))["calls"]


@pytest.mark.parametrize("method", METHODS)
def test_thresholds_of_costes_are_found_once_a_pair(bench: Bench, method: str) -> None:
    objects = {**CELLS, "Nuclei": entry("large"), "Spots": entry("pixels")}
    images = {name: {**image, "scale": 50} for name, image in TWO.items()}
    answer = bench.check(**case(images, objects, method=method))
    # Of the images, of the objects, and of the thresholds.
    assert answer["calls"]["colocalization"] == 1 + 3 + 1


def test_thresholds_are_found_once_where_objects_are_of_another_size(
    bench: Bench,
) -> None:
    objects = {"A": entry("blobs", shape=[30, 50]), "B": entry("tiles", shape=[40, 40])}
    answer = bench.check(**case(TWO, objects))
    assert answer["calls"]["colocalization"] == 1 + 3  # an image pair, thresholds


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (entry("noise", dtype="float32"), entry("noise", 2, dtype="float64")),
        (entry("noise", dtype="float64"), entry("steps", 2, dtype="float64")),
        (entry("camera", mask="most"), entry("camera", 2)),
        (entry("camera", mask="most"), entry("camera", 2, mask="half")),
        (entry("camera", mask="all"), entry("bytes", 2)),
        (entry("constant"), entry("camera", 2)),  # no deviation: 0 / 0
        (entry("binary"), entry("saturated", 2)),
    ],
)
def test_images_that_are_special(
    bench: Bench, first: dict[str, Any], second: dict[str, Any]
) -> None:
    answer = bench.check(**case({"A": first, "B": second}, CELLS))
    assert answer["calls"]["colocalization"] == 3


def test_a_mask_of_each_pair(bench: Bench) -> None:
    masks = ["most", "half", None, "all", "most"]
    images = {
        name: entry("camera", seed, mask=mask)
        for seed, (name, mask) in enumerate(zip("ABCDE", masks, strict=True))
    }
    assert bench.check(**case(images, CELLS))["calls"]["colocalization"] >= 10


@pytest.mark.parametrize(
    ("images", "objects"),
    [
        ({"A": entry("nan"), "B": entry("noise")}, CELLS),
        ({"A": entry("noise"), "B": entry("infinite")}, CELLS),
        ({"A": entry("noise"), "B": entry("noise", shape=[30, 50])}, CELLS),
        (TWO, {"Cells": entry("overlapping")}),
        ({"A": entry("noise", mask="none"), "B": entry("noise")}, CELLS),
        (
            {
                n: entry("noise", i, shape=[3, 20, 20], dimensions=3)
                for i, n in enumerate("AB")
            },
            {"Cells": entry("blobs", shape=[3, 20, 20])},
        ),
    ],
    ids=["nan", "infinite", "sizes", "overlapping", "masked", "volume"],
)
def test_the_original_is_asked_within_objects(
    bench: Bench, images: dict[str, Any], objects: dict[str, Any]
) -> None:
    metrics = METRICS[:-1]
    answer = bench.check(**case(images, objects, "Within objects", metrics=metrics))
    assert not answer["calls"].get("colocalization")


@pytest.mark.parametrize(
    ("kind", "error"),
    [("empty", False), ("whole", False), ("one", False), ("sparse", False)],
)
def test_objects_that_are_special(bench: Bench, kind: str, error: bool) -> None:
    answer = bench.check(**case(TWO, {"Cells": entry(kind)}))
    assert (answer["error"] is not None) == error


def test_nothing_reaches_a_threshold_below_zero(bench: Bench) -> None:
    negative = {"A": entry("negative"), "B": entry("noise", 2)}
    answer = bench.check(**case(negative, CELLS, "Within objects"))
    assert "zero-size array" in answer["error"]


def test_with_a_window_the_original_is_asked(bench: Bench) -> None:
    answer = bench.check(**case(TWO, CELLS, show_window=True))
    assert not answer["calls"].get("colocalization")


def test_images_are_measured_anew_in_each_run(bench: Bench) -> None:
    answer = bench.check(**case(TWO, CELLS, times=2))
    assert answer["calls"]["colocalization"] == 6
