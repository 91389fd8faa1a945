"""Measurements that are held in memory are read, written and listed as from a file."""

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cpengine.cellprofiler.find import CellProfiler
from tests.exact.conftest import Bench, opened_bench

EXAMPLES = int(os.environ.get("CPENGINE_EXACT_EXAMPLES", "0"))

OBJECTS = st.sampled_from(["Image", "Cells", "Nuclei", "Experiment"])
FEATURES = st.sampled_from(["A", "B", "C_é", "D/E", "ImageNumber", "ObjectNumber"])
NUMBERS = st.integers(1, 4)
ODD_NAMES = st.sampled_from(["", ".", "Relationship"])
DTYPES = st.sampled_from(["f8", "f8", "f8", "f4", "i8", "i4", "u1", "u8", ">f8", "?"])
ITEMS = st.sampled_from([0, 1, -1, 2.5, 300, 1e300, 2**40, "nan", "inf", "-0"])
INTEGERS = st.sampled_from([0, 1, 2, 3, 200])

Value = list[Any]


@pytest.fixture(scope="module")
def replay(
    cellprofiler: CellProfiler, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("replay")
    with opened_bench(cellprofiler, folder, "replay.py") as opened:
        assert opened.ready == {"on": ["measurement_store"], "off": {}}
        yield opened


@st.composite
def vectors(draw: st.DrawFn) -> Value:
    """An array of a few numbers, most often of the kinds that modules measure."""
    dtype = draw(DTYPES)
    items = ITEMS if "f" in dtype else INTEGERS
    kind = draw(st.sampled_from(["array", "array", "array", "strided"]))
    return [kind, dtype, draw(st.lists(items, max_size=4))]


SCALARS = st.one_of(
    st.builds(lambda n: ["python", n], st.one_of(ITEMS, st.booleans())),
    st.builds(lambda n: ["scalar", "f8", n], ITEMS),
    st.builds(lambda d, n: ["scalar", d, n], st.sampled_from(["f4", "i4"]), INTEGERS),
    st.sampled_from([["none"], ["python", "text"], ["python", ""], ["point"]]),
)
ODD = st.one_of(
    st.builds(lambda v: ["list", v], st.lists(SCALARS, max_size=3)),
    st.builds(lambda v: ["tuple", v], st.lists(INTEGERS, max_size=3)),
    st.sampled_from([["matrix"], ["objects"], ["masked"]]),
)
VALUES = st.one_of(vectors(), vectors(), vectors(), SCALARS, ODD)

PLACES = OBJECTS, FEATURES
MANY = st.lists(NUMBERS, min_size=1, max_size=4)


def operation(name: str, *arguments: Any) -> st.SearchStrategy[list[Any]]:
    return st.tuples(st.just(name), *arguments).map(list)


WRITES = st.one_of(
    operation("set", *PLACES, NUMBERS, VALUES),
    operation("set", *PLACES, NUMBERS, vectors()),
    operation("add", *PLACES, vectors(), NUMBERS),
    operation("add", *PLACES, SCALARS, NUMBERS),
    operation("add", *PLACES, VALUES),
)
READS = st.one_of(
    operation("get", *PLACES, NUMBERS),
    operation("get", *PLACES, MANY),
    operation("get_array", *PLACES, MANY),
    operation("read", *PLACES),
    operation("read", *PLACES, MANY),
    operation("every", *PLACES),
    operation("has", *PLACES, NUMBERS),
    operation("dtype", *PLACES),
    operation("numbers", *PLACES),
    operation("names", OBJECTS),
    operation("features", OBJECTS),
    operation("aggregate", NUMBERS),
    operation("columns"),
    operation("counts"),
)
RARE = st.one_of(
    operation("set", *PLACES, st.sampled_from([-1, 0, True, "x", 1.0]), VALUES),
    operation("set", *PLACES, NUMBERS, vectors(), st.sampled_from(["f4", "i8"])),
    operation(
        "set", st.sampled_from(["", ".", "Relationship"]), *(FEATURES, NUMBERS), VALUES
    ),
    operation("set", *PLACES, MANY, st.builds(lambda v: ["list", v], st.lists(VALUES))),
    operation("add_many", *PLACES, st.lists(vectors(), max_size=3), MANY),
    operation("add_all", *PLACES, st.lists(VALUES, max_size=3), MANY),
    operation("add_every", *PLACES, st.lists(vectors(), max_size=4)),
    operation("experiment", FEATURES, SCALARS),
    operation("delete", *PLACES),
    operation("delete", *PLACES, NUMBERS),
    operation("remove", *PLACES, NUMBERS),
    operation("reorder", *PLACES),
    operation("add_object", OBJECTS),
    operation("add_feature", *PLACES),
    operation("dataset", *PLACES),
    operation("next", NUMBERS),
    operation("groups"),
    operation("relate", st.lists(NUMBERS, max_size=3)),
    operation("workspace"),
    operation("flush"),
)
READ_THE_FILE = st.one_of(
    operation("contents"),
    operation("raw"),
    operation("copy"),
    operation("copy", NUMBERS, NUMBERS),
    operation("clear"),
)
OPERATIONS = st.lists(
    st.one_of(*[WRITES] * 6, *[READS] * 3, RARE, RARE, READ_THE_FILE),
    min_size=5,
    max_size=40,
)


@settings(
    max_examples=EXAMPLES or 120,
    deadline=None,
    derandomize=not EXAMPLES,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(operations=OPERATIONS, memory=st.sampled_from([2**28, 2**28, 2**28, 2000]))
def test_every_read_and_the_file_are_the_same(
    replay: Bench, operations: list[list[Any]], memory: int
) -> None:
    replay.check(operations=operations, memory=memory)


def numbers(*items: Any, dtype: str = "f8") -> Value:
    return ["array", dtype, list(items)]


def test_measurements_of_a_site_are_held_through_what_modules_read(
    replay: Bench,
) -> None:
    answer = replay.check(
        operations=[
            *(["next", 1], ["workspace"], ["add", "Cells", "Area", numbers(3, 4)]),
            *(["relate", [1, 2]], ["flush"], ["add", "Image", "Count", ["python", 2]]),
            *(["read", "Cells", "Area"], ["columns"], ["features", "Cells"]),
            *(["aggregate", 1], ["every", "Image", "Count"], ["workspace"]),
        ]
    )

    # Cells: Area, ImageNumber, ObjectNumber; Image: Count, ImageNumber.
    assert (answer["held"], answer["errors"]) == (5, 0)


def test_measurements_are_held_after_an_empty_site(replay: Bench) -> None:
    sites = [numbers(), numbers(1.5, 2), numbers(), numbers(3, dtype="f4")]
    answer = replay.check(
        operations=[
            step
            for number, cells in enumerate(sites, 1)
            for step in (
                ["add", "Cells", "Area", cells, number],
                ["get", "Cells", "Area", 1],
            )
        ]
    )

    assert answer["held"] == 4


# ---------------------------------------------------------------- whole pipelines


def module(name: str, **settings: Any) -> dict[str, Any]:
    """A module; `a__b` stands for the setting `a.b`, `a_0__b` for `a[0].b`."""
    named = [[re.sub(r"_(\d)__", r"[\1].", k), v] for k, v in settings.items()]
    return {"module": name, "settings": named}


IDENTIFY = (
    module(
        "IdentifyPrimaryObjects",
        x_name="DNA",
        y_name="Nuclei",
        use_advanced=True,
        size_range="(3, 40)",
        exclude_size=False,
    ),
    module(
        "IdentifySecondaryObjects",
        x_name="Nuclei",
        y_name="Cells",
        image_name="DNA",
        method="Distance - N",
        distance_to_dilate=2,
    ),
    module("MeasureObjectIntensity", images_list="DNA", objects_list="Nuclei, Cells"),
    module("MeasureObjectNeighbors", object_name="Cells", neighbors_name="Cells"),
    module("MeasureImageIntensity", images_list="DNA"),
)
READERS = (
    module(
        "RelateObjects",
        x_name="Cells",
        y_name="Nuclei",
        wants_per_parent_means=True,
        find_parent_child_distances="Both",
    ),
    module(
        "FilterObjects",
        x_name="Cells",
        y_name="Bright",
        measurements_0__measurement="Intensity_MeanIntensity_DNA",
        measurements_0__min_limit=0.5,
    ),
    module(
        "CalculateMath",
        output_feature_name="Ratio",
        operation="Divide",
        operands_0__operand_choice="Object",
        operands_0__operand_objects="Cells",
        operands_0__operand_measurement="Intensity_MeanIntensity_DNA",
        operands_1__operand_choice="Image",
        operands_1__operand_measurement="Count_Nuclei",
    ),
    module(
        "ClassifyObjects",
        single_measurements_0__object_name="Cells",
        single_measurements_0__measurement="Intensity_MeanIntensity_DNA",
        single_measurements_0__bin_count=2,
    ),
    module(
        "DisplayDataOnImage",
        objects_name="Cells",
        measurement="Math_Ratio",
        image_name="DNA",
        display_image="Shown",
    ),
    module(
        "FlagImage",
        flags_0__measurement_settings_0__measurement="Intensity_MaxIntensity_DNA",
        flags_0__measurement_settings_0__wants_minimum=True,
        flags_0__measurement_settings_0__minimum_value=1.5,
        flags_0__wants_skip=False,
    ),
)
EXPORT = (
    module(
        "ExportToSpreadsheet",
        wants_aggregate_means=True,
        wants_aggregate_medians=True,
        wants_aggregate_std=True,
        add_metadata=True,
    ),
    module(
        "ExportToDatabase",
        db_type="SQLite",
        experiment_name="E",
        wants_agg_mean=True,
        save_cpa_properties=False,
    ),
)


def site(seed: int, kind: str) -> dict[str, Any]:
    return {"DNA": {"seed": seed, "kind": kind, "shape": [60, 70]}}


def test_modules_that_read_measurements_and_exports_find_the_same(
    pipelines: Bench,
) -> None:
    answer = pipelines.check(
        modules=[*IDENTIFY, *READERS, *EXPORT],
        sites=[site(1, "zero"), site(2, "camera"), site(3, "camera")],
        groups=[2, 1],
        accelerations=["measurement_store"],
        count=["cellprofiler_core.utilities.hdf5_dict:HDF5Dict.__setitem__"],
    )

    ((plain, ours),) = answer["calls"]  # the comparison has the file written once
    assert (answer["errors"], answer["files"]) == ([], 6)
    assert ours < plain / 3
