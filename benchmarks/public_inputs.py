"""Small projects for public pipelines: a table, images and functions as they ask for.

All projects share their images, so that hundreds of pipelines need few files.
"""

import csv
import json
import shutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from cpengine.demo.images import CHANNELS, illumination, site_images

SIZE = 240  # a multiple of what illumination pipelines shrink images by
WELLS, SITES = ("A01", "B02"), ("1", "2")
PLATE = "P1"
STEP = "public"
_STAINS = {
    "DNA": ("dna", "dapi", "hoechst", "nuc", "blue"),
    "ER": ("er", "calnexin"),
    "RNA": ("rna", "syto"),
    "AGP": ("agp", "actin", "pha", "wga", "pm"),
    "Mito": ("mito", "cox"),
}


@dataclass(frozen=True, slots=True)
class Made:
    """A project with one step, and what plain CellProfiler needs of it."""

    folder: Path
    pipeline: Path
    table: Path
    input: Path
    results: Path
    groups: tuple[dict[str, str], ...]
    """The groups of its table; empty ones if the pipeline does not group."""


def make(
    folder: Path,
    pipeline: Path,
    asks: Mapping[str, Any],
    images: Path,
    size: int = SIZE,
) -> Made:
    """Make a project for a pipeline, in place of what an earlier run left there.

    Parameters
    ----------
    asks
        What the pipeline wants of a table, as `public_probe.py` says.
    images
        The folder that all projects with images of one size share.
    size
        Pixels along an image's side.
    """
    shutil.rmtree(folder, ignore_errors=True)
    rows = [
        _row(number, asks, images, size) for number in range(len(WELLS) * len(SITES))
    ]
    made = Made(
        folder,
        folder / "pipelines" / pipeline.name,
        folder / "tables" / PLATE / "load_data.csv",
        folder / "input",
        folder / "results",
        _groups(rows, [f"Metadata_{tag}" for tag in asks["group"]]),
    )
    for path in (made.pipeline, made.table, made.input / "any"):
        path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(pipeline, made.pipeline)
    with made.table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for name, of in asks["rules"].items():
        _write_rules(made.input / name, of)
    group = list(made.groups[0]) or ["Metadata_Plate"]
    (folder / "cpengine.toml").write_text(_project_file(pipeline.name, group))
    return made


def _project_file(pipeline: str, group: Sequence[str]) -> str:
    return (
        f'[project]\nname = "public"\nbatch = "B1"\n\n[steps.{STEP}]\n'
        f'pipeline = {json.dumps(pipeline)}\npipeline_path = "pipelines"\n'
        'data_path = "tables"\ndata_file = "load_data.csv"\ninput = "input"\n'
        f'output = "results"\ngroup = {json.dumps(group)}\n'
    )


def _groups(
    rows: Sequence[Mapping[str, str]], keys: Sequence[str]
) -> tuple[dict[str, str], ...]:
    found = {tuple(row[key] for key in keys) for row in rows}
    return tuple(dict(zip(keys, values, strict=True)) for values in sorted(found))


# --- the table -----------------------------------------------------------------------


def _row(
    number: int, asks: Mapping[str, Any], images: Path, size: int
) -> dict[str, str]:
    """The image set of that number, from 0."""
    well, site = WELLS[number // len(SITES)], SITES[number % len(SITES)]
    row = {}
    for name, use in (asks["images"] or {"DNA": "image"}).items():
        path = _image(images, name, use, well, site, size)
        row |= {f"FileName_{name}": path.name, f"PathName_{name}": str(path.parent)}
    for name in asks["objects"]:
        path = _image(images, name, "objects", well, site, size)
        row[f"Objects_FileName_{name}"] = path.name
        row[f"Objects_PathName_{name}"] = str(path.parent)
    tags = dict.fromkeys([*asks["tags"], "Plate", "Well", "Site"])
    return row | {f"Metadata_{tag}": _tag(tag, well, site, number) for tag in tags}


def _tag(tag: str, well: str, site: str, number: int) -> str:
    """A value for metadata by what its name says; else the image set's number."""
    name = tag.lower().replace("_", "")
    fits = {
        "plate": PLATE,
        "batch": "B1",
        "date": "2026-11-22",
        "researcher": "somebody",
        "row": well[0],
        "col": str(int(well[1:])),
        "well": well,
        "site": site,
        "field": site,
    }
    return next((text for key, text in fits.items() if key in name), str(number + 1))


# --- the images ----------------------------------------------------------------------


def _image(images: Path, name: str, use: str, well: str, site: str, size: int) -> Path:
    """The file of an image of a site; it is drawn if it is not there."""
    draw, ending = _KINDS[use]
    place = "" if use == "function" else f"_{well}_{site}"
    path = images / f"{PLATE}{place}_{name}{ending}"
    if not path.exists():
        images.mkdir(parents=True, exist_ok=True)
        array = draw(name, well, site, size)
        if path.suffix == ".npy":
            np.save(path, array)
        else:
            tifffile.imwrite(path, array)
    return path


def _stain(name: str) -> str:
    """The stain that an image's name tells of, or any."""
    words = name.lower().removeprefix("orig").removeprefix("illum")
    for stain, beginnings in _STAINS.items():
        if any(word in words for word in beginnings):
            return stain
    return CHANNELS[zlib.crc32(name.encode()) % len(CHANNELS)]


def _draw(name: str, well: str, site: str, size: int) -> Any:
    """A field of cells, no two images alike."""
    noise = np.random.default_rng(zlib.crc32(f"{name}{well}{site}".encode()))
    field = site_images(PLATE, well, int(site), size=size)[_stain(name)][0]
    return field + noise.integers(0, 40, field.shape, np.uint16)


def _colour(name: str, well: str, site: str, size: int) -> Any:
    fields = site_images(PLATE, well, int(site), size=size)
    stack = np.stack([fields[stain][0] for stain in ("RNA", "AGP", "DNA")], axis=-1)
    return (stack >> 6).clip(0, 255).astype(np.uint8)


def _function(name: str, well: str, site: str, size: int) -> Any:
    return 1 / illumination(_stain(name), size)


def _objects(name: str, well: str, site: str, size: int) -> Any:
    """Squares, each with its number."""
    squares = np.arange(1, 37, dtype=np.uint16).reshape(6, 6)
    labels = np.kron(squares, np.ones((size // 6, size // 6), np.uint16))
    labels[:: size // 6] = labels[:, :: size // 6] = 0
    return labels


_KINDS: Mapping[str, tuple[Callable[[str, str, str, int], Any], str]] = {
    "image": (_draw, ".tif"),
    "colour": (_colour, ".tif"),
    "function": (_function, ".npy"),
    "objects": (_objects, ".tif"),
}


def _write_rules(path: Path, of: str) -> None:
    """A rule as CellProfiler Analyst writes it, of a measurement that always is."""
    feature = "Group_Number" if of == "Image" else "Number_Object_Number"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"IF ({of}_{feature} > 0.5, [1.0, -1.0], [-1.0, 1.0])\n")
