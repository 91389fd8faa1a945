"""MeasureObjectSizeShape computes every byte as CellProfiler's own."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exact import drawn
from tests.exact.conftest import Bench


def case(objects: dict[str, Any], advanced: bool, zernikes: bool) -> dict[str, Any]:
    names = ", ".join(objects)
    return {
        "module": "MeasureObjectSizeShape",
        "settings": [
            ["objects_list", names],
            ["calculate_advanced", advanced],
            ["calculate_zernikes", zernikes],
        ],
        "objects": objects,
        "accelerations": ["size_shape"],
    }


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    shape = draw(drawn.shapes)
    objects = {"Cells": draw(drawn.objects(shape))}
    return case(objects, draw(st.booleans()), draw(st.booleans()))


@given(cases())
@drawn.examples(80)
def test_all_kinds_of_objects(bench: Bench, drawn_case: dict[str, Any]) -> None:
    bench.check(**drawn_case)


def entry(kind: str, shape: list[int], **options: Any) -> dict[str, Any]:
    return {"seed": 5, "kind": kind, "shape": shape, **options}


def test_ours_answers_for_each_object_set(bench: Bench) -> None:
    objects = {"A": entry("blobs", [70, 80]), "B": entry("large", [70, 80])}
    answer = bench.check(**case(objects, advanced=True, zernikes=True))
    assert answer["calls"] == {"size_shape": 2}
    assert answer["measurements"] == 2 * (25 + 53 + 30) + 2


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("whole", [2, 2]),
        ("whole", [2, 40]),
        ("whole", [40, 2]),
        ("whole", [150, 130]),  # moments beyond 2 ** 53
        ("missing", [60, 60]),  # fewer regions than labels
        ("sparse", [50, 50]),  # objects of many pieces
        ("tiles", [30, 40]),  # touching objects
    ],
)
def test_shapes_that_are_special(bench: Bench, kind: str, shape: list[int]) -> None:
    objects = {"Cells": entry(kind, shape)}
    answer = bench.check(**case(objects, advanced=True, zernikes=kind != "sparse"))
    assert answer["calls"] == {"size_shape": 1}


@pytest.mark.parametrize(
    "objects",
    [
        entry("blobs", [4, 20, 20]),
        entry("empty", [20, 20]),
        entry("whole", [1, 9]),  # CellProfiler itself cannot
    ],
    ids=["volume", "empty", "row"],
)
def test_the_original_is_asked(bench: Bench, objects: dict[str, Any]) -> None:
    answer = bench.check(**case({"Cells": objects}, advanced=True, zernikes=False))
    assert not answer["calls"].get("size_shape")


def test_overlapping_objects_are_taken_one_by_one(bench: Bench) -> None:
    objects = {"Cells": entry("overlapping", [30, 40])}
    answer = bench.check(**case(objects, advanced=True, zernikes=True))
    assert answer["calls"] == {"size_shape": 2}
