"""MeasureObjectIntensityDistribution computes every byte as CellProfiler's own."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exact import drawn
from tests.exact.conftest import Bench

SELF, CENTERS, EDGES = (
    "These objects",
    "Centers of other objects",
    "Edges of other objects",
)
ZERNIKES = ["None", "Magnitudes only", "Magnitudes and phase"]


def case(
    images: dict[str, Any],
    objects: dict[str, Any],
    centers: list[tuple[str, str]],
    bins: list[tuple[bool, int, int]],
    *more: list[Any],
) -> dict[str, Any]:
    """Centers are each object set's choice and other objects; bins whether they are
    scaled, their count and the maximum radius."""
    settings: list[list[Any]] = [["images_list", ", ".join(images)]]
    for i, (choice, center) in enumerate(centers):
        settings += [["add_object()", None]] * (i > 0)
        settings += [
            [f"objects[{i}].object_name", "AB"[i % 2]],
            [f"objects[{i}].center_choice", choice],
            [f"objects[{i}].center_object_name", center],
        ]
    for i, (is_scaled, count, radius) in enumerate(bins):
        settings += [["add_bin_count()", None]] * (i > 0)
        settings += [
            [f"bin_counts[{i}].wants_scaled", is_scaled],
            [f"bin_counts[{i}].bin_count", count],
            [f"bin_counts[{i}].maximum_radius", radius],
        ]
    return {
        "module": "MeasureObjectIntensityDistribution",
        "settings": [*settings, *more],
        "images": images,
        "objects": objects,
        "accelerations": ["intensity_distribution"],
    }


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    shape = draw(drawn.shapes)
    count = draw(st.integers(1, 3))
    images = {"XYZ"[i]: draw(drawn.images(shape)) for i in range(count)}
    objects = {name: draw(drawn.objects(shape)) for name in "AB"}
    choice = st.sampled_from([SELF, SELF, SELF, CENTERS, EDGES])
    centers = st.tuples(choice, st.sampled_from("AB"))
    bins = st.tuples(st.booleans(), st.integers(2, 6), st.integers(1, 30))
    return case(
        images,
        objects,
        draw(st.lists(centers, min_size=1, max_size=2)),
        draw(st.lists(bins, min_size=1, max_size=2)),
        ["wants_zernikes", draw(st.sampled_from(["None", *ZERNIKES]))],
        ["zernike_degree", draw(st.integers(1, 12))],
    ) | {"times": draw(st.sampled_from([1, 1, 2]))}


@given(cases())
@drawn.examples(60)
def test_all_kinds_of_images_and_objects(
    bench: Bench, drawn_case: dict[str, Any]
) -> None:
    bench.check(**drawn_case)


def image(kind: str = "camera", **options: Any) -> dict[str, Any]:
    return {"seed": 8, "kind": kind, "shape": [60, 70], **options}


def entry(kind: str = "large", **options: Any) -> dict[str, Any]:
    return {"seed": 3, "kind": kind, "shape": [60, 70], **options}


IMAGES = {"X": image(), "Y": image("noise", dtype="float64"), "Z": image("bytes")}


def test_ours_answers_for_each_image(bench: Bench) -> None:
    objects = {"A": entry(), "B": entry("blobs")}
    own = [(SELF, "A"), (SELF, "B")]
    bins = [(True, 4, 100), (False, 3, 8)]
    zernikes = ["wants_zernikes", ZERNIKES[2]]
    answer = bench.check(**case(IMAGES, objects, own, bins, zernikes))
    assert answer["calls"] == {"intensity_distribution": 3 * 2 * 2 + 1}
    assert answer["measurements"] == 3 * 2 * (3 * 4 + 3 * 4 + 2 * 30) + 6 + 2


@pytest.mark.parametrize("choice", [CENTERS, EDGES])
def test_the_first_image_with_other_centers_is_the_originals(
    bench: Bench, choice: str
) -> None:
    objects = {"A": entry(), "B": entry("blobs")}
    answer = bench.check(**case(IMAGES, objects, [(choice, "B")], [(True, 4, 100)]))
    assert answer["calls"] == {"intensity_distribution": 2}


@pytest.mark.parametrize(
    "kind",
    [
        "missing",  # the position of a label that is not there is another's
        "sparse",  # pieces that no way leads to
        "tiles",  # touching objects, of several colors
        "pixels",
        "random",
    ],
)
def test_objects_that_are_special(bench: Bench, kind: str) -> None:
    objects = {"A": entry(kind)}
    bins = [(True, 3, 100), (False, 4, 5)]
    answer = bench.check(**case(IMAGES, objects, [(SELF, "A")], bins))
    assert answer["calls"] == {"intensity_distribution": 6}


def test_an_image_the_original_measures_does_not_end_sharing(bench: Bench) -> None:
    """It begins with the first bins' distances, whoever computed them."""
    images = {"W": image(), "X": image("nan"), "Y": image("infinite"), "Z": image()}
    bins = [(True, 4, 100), (False, 3, 8)]
    answer = bench.check(**case(images, {"A": entry()}, [(SELF, "A")], bins))
    assert answer["calls"] == {"intensity_distribution": 4}


def test_an_image_of_another_size_is_the_originals(bench: Bench) -> None:
    images = {"X": image(shape=[50, 80]), "Y": image(shape=[50, 80])}
    bins = [(True, 4, 100)]
    answer = bench.check(**case(images, {"A": entry()}, [(SELF, "A")], bins))
    assert not answer["calls"].get("intensity_distribution")


def test_one_name_of_two_uses(bench: Bench) -> None:
    """CellProfiler keeps distances under the names of objects and of centers, so that
    the second choice for the same gets the first's."""
    objects = {"A": entry(), "B": entry("blobs")}
    centers = [(CENTERS, "B"), (SELF, ""), (EDGES, "B"), (CENTERS, "A")]
    bins = [(True, 4, 100), (False, 3, 8)]
    bench.check(**case(IMAGES, objects, centers, bins))


@pytest.mark.parametrize(
    "more",
    [
        [["add_heatmap()", None], ["heatmaps[0].image_name", "X"]],
        [["images_list", "X, Volume"]],
        [["objects[0].object_name", "Whole"]],
        [["objects[0].object_name", "None"]],
        [["images_list", "None"]],
    ],
    ids=["heatmap", "volume", "no edge", "no objects", "no image"],
)
def test_the_original_is_asked(bench: Bench, more: list[list[Any]]) -> None:
    images = {"X": image(), "Volume": image(shape=[3, 60, 70], dimensions=3)}
    objects = {"A": entry(), "Whole": entry("whole")}
    drawn_case = case(images, objects, [(SELF, "A")], [(True, 4, 100)], *more)
    answer = bench.check(**drawn_case)
    answered = answer["calls"].get("intensity_distribution", 0)
    assert answered == (1 if more[0][1] == "X, Volume" else 0)


def test_a_window_needs_what_the_original_gives(bench: Bench) -> None:
    drawn_case = case(IMAGES, {"A": entry()}, [(SELF, "A")], [(True, 4, 100)])
    answer = bench.check(**drawn_case, show_window=True)
    assert not answer["calls"].get("intensity_distribution")
