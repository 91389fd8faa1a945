"""Illumination functions that are enlarged when somebody takes them are the same."""

import json
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.exact.conftest import Bench

EXAMPLES = int(os.environ.get("CPENGINE_EXACT_EXAMPLES", "0"))
PROVIDER = (
    "cellprofiler.modules.correctilluminationcalculate:"
    "CorrectIlluminationImageProvider.calculate_image"
)
ACROSS = "All: Across cycles"
FACTOR = "Resize by a fraction or multiple of the original size"
TO_ANOTHER_IMAGE = ["use_manual_or_image", "Image"], ["specific_image", "A"]
FINAL = "Resize by specifying desired final dimensions"

Module = dict[str, Any]


def resize(source: str, made: str, factor: float, *more: list[Any]) -> Module:
    return {
        "module": "Resize",
        "settings": [
            *(["x_name", source], ["y_name", made], ["size_method", FACTOR]),
            *(["resizing_factor_x", factor], ["resizing_factor_y", factor]),
            *more,
        ],
    }


def illumination(*more: list[Any], method: str = "Median Filter") -> Module:
    return {
        "module": "CorrectIlluminationCalculate",
        "settings": [
            *(["image_name", "Small"], ["illumination_image_name", "Illum"]),
            *(["each_or_all", ACROSS], ["smoothing_method", method]),
            *(["automatic_object_width", "Manually"], ["size_of_smoothing_filter", 5]),
            *more,
        ],
    }


def save(image: str, when: str) -> Module:
    name = f"{image}_{when.split()[0]}_\\g<Site>"
    return {
        "module": "SaveImages",
        "settings": [
            *(["image_name", image], ["file_name_method", "Single name"]),
            *(["single_file_name", name], ["file_format", "npy"]),
            ["when_to_save", when],
        ],
    }


def measure(image: str) -> Module:
    return {"module": "MeasureImageIntensity", "settings": [["images_list", image]]}


def plain_pipeline(*between: Module, **options: Any) -> list[Module]:
    return [
        *(resize("A", "Small", 0.5), illumination(**options)),
        *(resize("Illum", "Big", 2), *between, save("Big", "Last cycle")),
    ]


def site(seed: int, kind: str = "camera", **options: Any) -> dict[str, Any]:
    return {"A": {"seed": seed, "kind": kind, "shape": [30, 26], **options}}


def check(
    pipelines: Bench, modules: list[Module], *sites: dict[str, Any], **case: Any
) -> dict[str, Any]:
    return pipelines.check(
        modules=modules,
        sites=sites or (site(1, mask="half"), site(2), site(3)),
        groups=case.pop("groups", [len(sites) or 3]),
        accelerations=["lazy_illumination"],
        count=[PROVIDER],
        **case,
    )


# ---------------------------------------------------------------- what is put off


def test_a_function_is_computed_once_where_its_last_cycle_is_saved(
    pipelines: Bench,
) -> None:
    answer = check(pipelines, plain_pipeline(), groups=[2, 1])

    assert "lazy_illumination" in pipelines.ready["on"]
    assert answer == {"different": [], "errors": [], "files": 2, "calls": [[3, 2]]}


@pytest.mark.parametrize(
    ("between", "computed"),
    [
        ([save("Big", "Every cycle")], 3),  # a file a cycle
        ([measure("Big")], 3),
        ([measure("Illum")], 3),
        ([{"spoil": "Illum"}], 3),  # in place, after Resize had it
        ([resize("Illum", "Big2", 3), save("Big2", "Last cycle")], 1),
        ([resize("Big", "Huge", 2), save("Huge", "Last cycle")], 3),
        ([resize("A", "Big", 1)], 0),  # an image of the same name replaces it
    ],
)
def test_whoever_takes_an_image_of_a_cycle_gets_that_cycle_s(
    pipelines: Bench, between: list[Module], computed: int
) -> None:
    answer = check(pipelines, plain_pipeline(*between))

    assert (answer["errors"], answer["calls"]) == ([], [[3, computed]])


def test_the_last_cycle_s_function_is_missing_where_the_cycle_is_skipped(
    pipelines: Bench,
) -> None:
    flag = "flags[0].measurement_settings[0]."
    skip = {
        "module": "FlagImage",
        "settings": [
            ["flags[0].wants_skip", True],
            [flag + "measurement", "Intensity_MaxIntensity_A"],
            *([flag + "wants_minimum", True], [flag + "minimum_value", 0.1]),
        ],
    }
    modules = [measure("A"), skip, *plain_pipeline()]

    answer = check(pipelines, modules, site(1), site(2), site(3, "zero"))

    assert "failed FlagImages" in answer["errors"][0]


# ---------------------------------------------------------------- what is not


@pytest.mark.parametrize("method", ["Splines", "Convex Hull", "Fit Polynomial"])
def test_smoothing_that_might_fail_is_done_at_once(
    pipelines: Bench, method: str
) -> None:
    answer = check(pipelines, plain_pipeline(method=method))

    assert answer["calls"] == [[3, 3]]


@pytest.mark.parametrize(
    "modules",
    [
        [illumination(), resize("Illum", "Illum", 2), save("Illum", "Last cycle")],
        [illumination(["dilate_objects", True]), resize("Illum", "Big", 2)],
        [illumination(["save_average_image", True]), resize("Illum", "Big", 2)],
        [illumination(), resize("Illum", "Big", 0.05)],
        [illumination(["size_of_smoothing_filter", 101]), resize("Illum", "Big", 2)],
        [
            illumination(),
            resize("Illum", "Big", 2, ["size_method", FINAL], *TO_ANOTHER_IMAGE),
        ],
    ],
)
def test_what_is_not_sure_to_succeed_is_done_at_once(
    pipelines: Bench, modules: list[Module]
) -> None:
    answer = check(pipelines, [resize("A", "Small", 0.5), *modules])

    assert answer["calls"] == [[3, 3]]


@pytest.mark.parametrize(("method", "computed"), [("Median Filter", 1), ("Splines", 3)])
def test_a_window_nobody_sees_asks_for_no_function_that_is_sure(
    pipelines: Bench, method: str, computed: int
) -> None:
    small, averaging, *rest = plain_pipeline(method=method)
    modules = [small, averaging | {"show_window": True}, *rest]

    assert check(pipelines, modules)["calls"] == [[3, computed]]


def test_a_function_of_nothing_fails_in_its_cycle(pipelines: Bench) -> None:
    averaging = illumination(method="Splines") | {"show_window": True}
    modules = [resize("A", "Small", 0.5), averaging]

    answer = check(pipelines, modules, site(1, mask="none"), site(2))

    assert answer["errors"][0].startswith("ValueError: zero-size array")


# ---------------------------------------------------------------- anything


KINDS = ["noise", "camera", "zero", "constant", "skewed", "beyond", "nan", "infinite"]


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """Sites of one size, a way of averaging and enlarging, and who takes what."""
    shape = [draw(st.integers(1, 30)), draw(st.integers(1, 30))]
    described = st.builds(
        lambda seed, kind, mask: {
            "seed": seed,
            "kind": kind,
            "shape": shape,
            "mask": mask,
        },
        st.integers(0, 99),
        st.sampled_from(KINDS),
        st.sampled_from([None, None, "most", "half", "none"]),
    )
    averaging = illumination(
        ["intensity_choice", draw(st.sampled_from(["Regular", "Background"]))],
        ["block_size", draw(st.integers(1, 9))],
        ["rescale_option", draw(st.sampled_from(["Yes", "No", "Median"]))],
        ["size_of_smoothing_filter", draw(st.integers(1, 40))],
        ["image_name", "A"],
        method=draw(
            st.sampled_from(["Median Filter", "Gaussian Filter", "No smoothing"])
        ),
    )
    enlarging = resize(
        *("Illum", "Big", draw(st.sampled_from([0.3, 1, 1.7, 2, 5]))),
        [
            "interpolation",
            draw(st.sampled_from(["Bilinear", "Bicubic", "Nearest Neighbor"])),
        ],
        ["size_method", draw(st.sampled_from([FACTOR, FACTOR, FINAL]))],
        *(["specific_width", draw(st.integers(1, 40))], ["specific_height", 7]),
    )
    taken = [
        *({"spoil": "Illum"}, {"spoil": "Big"}, measure("Illum"), measure("Big")),
        *(save("Big", "Last cycle"), save("Illum", "Last cycle")),
        *(save("Big", "Every cycle"), resize("Illum", "Big2", 2)),
    ]
    after = draw(st.lists(st.sampled_from(taken), max_size=3, unique_by=json.dumps))
    groups = draw(st.sampled_from([[1], [2], [3], [2, 1]]))
    return {
        "modules": [averaging, enlarging, *after],
        "groups": groups,
        "sites": [{"A": draw(described)} for _ in range(sum(groups))],
    }


@settings(
    max_examples=EXAMPLES or 25,
    deadline=None,
    derandomize=not EXAMPLES,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(case=cases())
def test_all_that_a_pipeline_comes_to_is_the_same(
    pipelines: Bench, case: dict[str, Any]
) -> None:
    pipelines.check(accelerations=["lazy_illumination"], **case)
