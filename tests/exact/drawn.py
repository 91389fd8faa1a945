"""Cases that hypothesis draws for the bench: images and objects of all its kinds."""

import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

MORE = os.environ.get("CPENGINE_EXACT_EXAMPLES")
"""How many examples of each module to run, new ones each time; for a day's work."""

IMAGES = [
    *("noise", "steps", "constant", "zero", "saturated", "camera", "bytes", "binary"),
    *("ramp", "dim", "skewed", "halves", "beyond", "nan", "infinite"),
]
OBJECTS = [
    *("empty", "random", "blobs", "large", "missing", "tiles", "whole", "pixels"),
    *("one", "sparse"),
]
TYPES = ["uint8", "uint16", "int32", "int64"]

seeds = st.integers(0, 2**31)
sides = st.one_of(st.integers(1, 6), st.integers(7, 60))
shapes = st.tuples(sides, sides).map(list)


def examples(count: int) -> settings:
    """The same so many examples each time; `MORE`, and others, if those are wanted."""
    return settings(
        max_examples=int(MORE or count),
        derandomize=not MORE,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@st.composite
def objects(draw: st.DrawFn, shape: list[int]) -> dict[str, Any]:
    """An entry of a case's objects."""
    return {
        "seed": draw(seeds),
        "kind": draw(st.sampled_from(OBJECTS)),
        "shape": shape,
        "dtype": draw(st.sampled_from(TYPES)),
    }


@st.composite
def images(draw: st.DrawFn, shape: list[int]) -> dict[str, Any]:
    """An entry of a case's images."""
    return {
        "seed": draw(seeds),
        "kind": draw(st.sampled_from(IMAGES)),
        "shape": shape,
        "dtype": draw(st.sampled_from(["float32", "float64"])),
        "mask": draw(st.sampled_from([None, None, "most", "half", "none", "all"])),
    }
