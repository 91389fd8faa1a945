"""Accelerations of CellProfiler that keep every byte of what it computes.

This package runs inside CellProfiler's own Python (3.8 or 3.9, with CellProfiler's
packages only) and imports nothing of cpengine: the host loads it from its folder. Each
file holds one acceleration: what it replaces, why that is slow, and why the result is
the same. `selection.py` puts them in place of CellProfiler's own functions, each
only where the sources and versions it was written against are those that are there.
"""

NAMES = (
    "windows",
    "plain_tiff",
    "measurement_store",
    "lazy_illumination",
    "texture",
    "granularity",
    "colocalization",
    "object_intensity",
    "intensity_distribution",
    "size_shape",
    "propagation",
    "image_quality",
    "image_intensity",
)
"""All there are, each a module in this folder that has an ACCELERATION."""
