"""Pipelines and image sets with all that the accelerations have to be exact on.

An image set is a row of one LoadData table; each is a group of its own. Pipelines are
lists of modules for `write_pipelines.py`.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage

from cpengine.demo.images import site_images

Pixels = NDArray[Any]
Module = dict[str, Any]
SIZE = 160


def _cells(seed: int = 1) -> tuple[Pixels, Pixels]:
    stains = site_images("P1", "A01", seed, size=SIZE)
    return stains["DNA"][0], stains["ER"][0]


def _noise(seed: int, high: int) -> Pixels:
    noise = np.random.default_rng(seed).integers(0, high, (SIZE, SIZE))
    return noise.astype(np.uint16)


def _spot() -> tuple[Pixels, Pixels]:
    spot = _noise(1, 40)
    spot[60:90, 50:80] += 9000
    return spot, spot + _noise(2, 400)


def _border() -> tuple[Pixels, Pixels]:
    dna, er = _cells(2)
    return np.roll(dna, SIZE // 3, axis=(0, 1)), np.roll(er, SIZE // 3, axis=(0, 1))


def _saturated() -> tuple[Pixels, Pixels]:
    dna, er = _cells(3)
    return np.where(dna > 1500, 65535, dna // 256 * 256), np.minimum(er, 1200)


def _in_bytes() -> tuple[Pixels, Pixels]:
    return tuple((stain >> 5).clip(0, 255).astype(np.uint8) for stain in _cells(4))


def _in_floats() -> tuple[Pixels, Pixels]:
    return tuple((stain / 20000).astype(np.float32) for stain in _cells(5))


def _constant() -> tuple[Pixels, Pixels]:
    return np.full((SIZE, SIZE), 700, np.uint16), np.zeros((SIZE, SIZE), np.uint16)


IMAGES: Mapping[str, Callable[[], tuple[Pixels, Pixels]]] = {
    "cells": _cells,
    "bytes": _in_bytes,
    "floats": _in_floats,
    "nothing": lambda: (_noise(5, 300), _noise(6, 300)),
    "spot": _spot,
    "border": _border,
    "saturated": _saturated,
    "constant": _constant,
}


def _labels(name: str, dna: Pixels) -> Pixels:
    """Objects that a table brings along: some of one pixel, some labels missing."""
    if name in ("nothing", "constant"):
        return np.zeros(dna.shape, np.uint16)
    labels, _ = ndimage.label(dna > np.percentile(dna, 80))
    labels[labels % 5 == 2] = 0
    return labels.astype(np.uint16)


def write_table(folder: Path) -> Path:
    """Write images, labels and the table that names them; give the table."""
    rows = []
    for name, make in IMAGES.items():
        dna, er = make()
        row = {"Metadata_Case": name}
        for column, pixels in (("FileName_DNA", dna), ("FileName_ER", er)):
            row |= _file(folder, column, f"{name}_{column[9:]}.tif", pixels)
        labels = _labels(name, dna)
        row |= _file(folder, "ObjectsFileName_Loaded", f"{name}_labels.tif", labels)
        rows.append(row)
    table = folder / "load_data.csv"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return table


def _file(folder: Path, column: str, name: str, pixels: Pixels) -> dict[str, str]:
    tifffile.imwrite(folder / name, pixels)
    return {column: name, column.replace("FileName", "PathName"): str(folder)}


# --- modules -------------------------------------------------------------------------


def module(name: str, *, core: bool = False, **settings: Any) -> Module:
    """A module, its settings by the path of each."""
    package = "cellprofiler_core.modules" if core else "cellprofiler.modules"
    found = [[path, value] for path, value in settings.items()]
    return {"module": name, "package": package, "settings": found}


def _with(made: Module, *settings: tuple[str, Any]) -> Module:
    return {**made, "settings": [*made["settings"], *map(list, settings)]}


LOAD = module(
    "LoadData",
    core=True,
    wants_images=True,
    wants_image_groupings=True,
    metadata_fields="Case",
)
OBJECTS = [
    module("IdentifyPrimaryObjects", x_name="DNA", y_name="Nuclei"),
    module(
        "IdentifySecondaryObjects", x_name="Nuclei", y_name="Cells", image_name="ER"
    ),
    module(
        "IdentifyTertiaryObjects",
        secondary_objects_name="Cells",
        primary_objects_name="Nuclei",
        subregion_objects_name="Cytoplasm",
    ),
]
NAMES, IMAGE_NAMES = "Nuclei, Cells, Cytoplasm, Loaded", "DNA, ER"


def measures(images: str = IMAGE_NAMES, objects: str = NAMES) -> Iterator[Module]:
    """Every measurement module that has an acceleration."""
    both = {"images_list": images, "objects_list": objects}
    yield module("MeasureObjectSizeShape", objects_list=objects)
    yield module("MeasureObjectIntensity", **both)
    yield _with(
        module("MeasureTexture", images_or_objects="Both", **both),
        ("add_scale()", None),
        ("scale_groups[1].scale", 7),
    )
    for levels in (8, 64):
        yield module("MeasureTexture", gray_levels=levels, **both)
    yield module("MeasureGranularity", wants_objects=True, **both)
    for costes in (True, False):
        yield module(
            "MeasureColocalization",
            images_or_objects="Both",
            do_all=costes,
            do_costes=costes,
            **both,
        )
    radial = module("MeasureObjectIntensityDistribution", images_list=images)
    names = objects.split(", ")
    for _ in names[1:]:
        radial = _with(radial, ("add_object()", None))
    for number, name in enumerate(names):
        radial = _with(radial, (f"objects[{number}].object_name", name))
    yield radial
    yield _with(radial, ("wants_zernikes", "Magnitudes and phase"))
    yield module("MeasureImageIntensity", images_list=images)
    yield module(
        "MeasureImageIntensity",
        images_list=images,
        wants_objects=True,
        objects_list=objects,
    )
    yield module("MeasureImageQuality")


NEIGHBORS = [
    module("MeasureObjectNeighbors", object_name="Nuclei", neighbors_name="Nuclei"),
    module("MeasureObjectNeighbors", object_name="Cells", neighbors_name="Nuclei"),
    module("RelateObjects", x_name="Cells", y_name="Loaded"),
]
EXPORT = module("ExportToSpreadsheet", wants_prefix=False)
MASKED = [
    module(
        "MaskImage", object_name="Cells", image_name="DNA", masked_image_name="Masked"
    ),
    module(
        "MaskImage", object_name="Nuclei", image_name="ER", masked_image_name="MaskedER"
    ),
    _with(
        module("MeasureTexture", images_list="Masked, MaskedER", objects_list="Nuclei"),
        ("images_or_objects", "Both"),
        ("add_scale()", None),
        ("scale_groups[1].scale", 5),
    ),
    module("Smooth", image_name="Masked", filtered_image_name="Smoothed"),
]


def _cropped(image: str, **settings: Any) -> Module:
    names = {"image_name": image, "cropped_image_name": f"Cropped{image}"}
    return module("Crop", **names, **settings)


CROPPED = [
    _cropped(
        "DNA",
        shape="Ellipse",
        ellipse_center="80, 70",
        ellipse_x_radius=60,
        ellipse_y_radius=45,
        remove_rows_and_columns="Edges",
    ),
    _cropped(
        "ER",
        shape="Previous cropping",
        cropping_mask_source="CroppedDNA",
        remove_rows_and_columns="Edges",
    ),
    module("IdentifyPrimaryObjects", x_name="CroppedDNA", y_name="Nuclei"),
    module("IdentifyPrimaryObjects", x_name="CroppedER", y_name="Cells"),
    *measures("CroppedDNA, CroppedER", "Nuclei, Cells"),
]
COLOUR = [
    module(
        "GrayToColor",
        red_image_name="DNA",
        green_image_name="ER",
        blue_image_name="Leave this black",
        rgb_image_name="Colour",
    ),
    module("ColorToGray", image_name="Colour", grayscale_name="Gray"),
    module("IdentifyPrimaryObjects", x_name="Gray", y_name="Nuclei"),
    *measures("Gray, ER", "Nuclei"),
    module("SaveImages", image_name="Colour", file_name_method="Single name"),
]
PIPELINES: Mapping[str, list[Module]] = {
    "everything": [LOAD, *OBJECTS, *measures(), *NEIGHBORS, EXPORT],
    "masked": [
        LOAD,
        *OBJECTS,
        *MASKED,
        *measures("Masked, MaskedER, Smoothed", "Nuclei, Cells"),
        EXPORT,
    ],
    "cropped": [LOAD, *CROPPED, EXPORT],
    "colour": [LOAD, *COLOUR, EXPORT],
}
FAILING = {("colour", "constant"): "ValueError: zero-size array to reduction"}
"""How plain CellProfiler's errors begin, and so must ours, by pipeline and images."""
