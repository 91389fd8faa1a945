"""Small projects for public pipelines: a table, images and functions as they ask for.

All projects share their images, so that hundreds of pipelines need few files.
"""

import csv
import json
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile

from cpengine.demo.images import CHANNELS, illumination, site_images

PLATE = "P1"
STEP = "public"
_STAINS = {
    "DNA": ("dna", "dapi", "hoechst", "nuc", "blue"),
    "ER": ("er", "calnexin"),
    "RNA": ("rna", "syto"),
    "AGP": ("agp", "actin", "pha", "wga", "pm"),
    "Mito": ("mito", "cox"),
}


class Site(NamedTuple):
    """A field of view."""

    well: str
    number: str
    size: int
    """Pixels along its side."""
    empty: bool
    """Whether there is no cell in it."""

    def __str__(self) -> str:
        return f"{self.well}_{self.number}{'_empty' if self.empty else ''}"


@dataclass(frozen=True, slots=True)
class Fields:
    """Which sites a project has."""

    size: int = 240  # a multiple of what illumination pipelines shrink images by
    wells: Sequence[str] = ("A01", "B02")
    sites: int = 2
    last_empty: bool = False
    """Whether the last site of all has no cells."""

    def __iter__(self) -> Iterator[Site]:
        last = len(self.wells) * self.sites - 1
        for number in range(last + 1):
            well, site = divmod(number, self.sites)
            empty = self.last_empty and number == last
            yield Site(self.wells[well], str(site + 1), self.size, empty)


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
    fields: Fields = Fields(),
) -> Made:
    """Make a project for a pipeline, in place of what an earlier run left there.

    Parameters
    ----------
    asks
        What the pipeline wants of a table, as `public_probe.py` says.
    images
        The folder that all projects with images of one size share.
    """
    shutil.rmtree(folder, ignore_errors=True)
    rows = [_row(number, site, asks, images) for number, site in enumerate(fields)]
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
    number: int, site: Site, asks: Mapping[str, Any], images: Path
) -> dict[str, str]:
    """The image set of that number, from 0."""
    row = {}
    for name, use in (asks["images"] or {"DNA": "image"}).items():
        path = _image(images, name, use, site)
        row |= {f"FileName_{name}": path.name, f"PathName_{name}": str(path.parent)}
    for name in asks["objects"]:
        path = _image(images, name, "objects", site)
        row[f"Objects_FileName_{name}"] = path.name
        row[f"Objects_PathName_{name}"] = str(path.parent)
    tags = dict.fromkeys([*asks["tags"], "Plate", "Well", "Site"])
    return row | {f"Metadata_{tag}": _tag(tag, site, number) for tag in tags}


def _tag(tag: str, site: Site, number: int) -> str:
    """A value for metadata by what its name says; else the image set's number."""
    name = tag.lower().replace("_", "")
    fits = {
        "plate": PLATE,
        "batch": "B1",
        "date": "2026-11-22",
        "researcher": "somebody",
        "row": site.well[0],
        "col": str(int(site.well[1:])),
        "well": site.well,
        "site": site.number,
        "field": site.number,
    }
    return next((text for key, text in fits.items() if key in name), str(number + 1))


# --- the images ----------------------------------------------------------------------


def _image(images: Path, name: str, use: str, site: Site) -> Path:
    """The file of an image of a site; it is drawn if it is not there."""
    draw, ending = _KINDS[use]
    place = "" if use == "function" else f"_{site}"
    path = images / f"{PLATE}{place}_{name}{ending}"
    if not path.exists():
        images.mkdir(parents=True, exist_ok=True)
        array = draw(name, site)
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


def _draw(name: str, site: Site) -> Any:
    """A field of cells, no two images alike."""
    noise = np.random.default_rng(
        zlib.crc32(f"{name}{site.well}{site.number}".encode())
    )
    field = _fields(site)[_stain(name)]
    return (
        field if site.empty else field + noise.integers(0, 40, field.shape, np.uint16)
    )


def _fields(site: Site) -> Mapping[str, Any]:
    """The stains of a site; black where it is empty, for noise is taken for cells."""
    if site.empty:
        return dict.fromkeys(CHANNELS, np.zeros((site.size, site.size), np.uint16))
    stacks = site_images(PLATE, site.well, int(site.number), size=site.size)
    return {stain: stack[0] for stain, stack in stacks.items()}


def _colour(name: str, site: Site) -> Any:
    fields = _fields(site)
    stack = np.stack([fields[stain] for stain in ("RNA", "AGP", "DNA")], axis=-1)
    return (stack >> 6).clip(0, 255).astype(np.uint8)


def _function(name: str, site: Site) -> Any:
    return 1 / illumination(_stain(name), site.size)


def _objects(name: str, site: Site) -> Any:
    """Squares, each with its number; none where the site is empty."""
    if site.empty:
        return np.zeros((site.size, site.size), np.uint16)
    squares = np.arange(1, 37, dtype=np.uint16).reshape(6, 6)
    labels = np.kron(squares, np.ones((site.size // 6, site.size // 6), np.uint16))
    labels[:: site.size // 6] = labels[:, :: site.size // 6] = 0
    return labels


_KINDS: Mapping[str, tuple[Callable[[str, Site], Any], str]] = {
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
