"""Runs CellProfiler modules plain and accelerated, and compares what they compute.

This runs in CellProfiler's own Python: `python bench.py EXACT_FOLDER [KERNELS SHA256]`.
Each line of standard input is a case, each line of standard output an answer:

    {"module": "MeasureTexture", "package": "cellprofiler.modules",
     "settings": [["images_list", "A, B"], ["add_scale()", null],
                  ["scale_groups[1].scale", 5]],
     "images": {"A": {"seed": 1, "kind": "noise", "shape": [40, 50], "dtype": "float32",
                      "mask": "half"}},
     "objects": {"Cells": {"seed": 2, "kind": "blobs", "shape": [40, 50]}},
     "accelerations": ["texture"], "show_window": false, "image_set": 1}

    {"different": [], "error": null, "measurements": 123, "calls": {"texture": 2}}

`different` names what differs: measurements by object and feature, order, images,
objects, errors; `error` is what plain CellProfiler raised, if it did; `calls` counts
the calls of ours that did not ask the original. The kinds are the functions of
`IMAGES`, `MASKS` and `OBJECTS`; `inputs.py` beside this file draws cases.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import importlib
import importlib.util
import json
import os
import re
import sys
import traceback
import types

import numpy as np
from scipy import ndimage

FOLDER = sys.argv[1] if len(sys.argv) > 1 else ""


def load_exact(folder):
    """The package of accelerations, from its folder."""
    place = os.path.join(folder, "__init__.py")
    spec = importlib.util.spec_from_file_location(
        "cpengine_exact", place, submodule_search_locations=[folder]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules["cpengine_exact"] = package
    spec.loader.exec_module(package)
    return package


# ---------------------------------------------------------------- inputs


def _steps(noise, rng):
    return np.round(noise * rng.integers(1, 8)) / 7.0


def _camera(noise, rng):
    smooth = ndimage.gaussian_filter(noise, 2)
    spread = smooth - smooth.min()
    return np.round(spread / (spread.max() or 1) * 65535) / 65535


def _halves(noise, rng):
    dark = noise.copy()
    dark[: dark.shape[0] // 2] = 0
    return dark


IMAGES = {
    "noise": lambda noise, rng: noise,
    "steps": _steps,
    "constant": lambda noise, rng: np.full(noise.shape, rng.random()),
    "zero": lambda noise, rng: np.zeros(noise.shape),
    "saturated": lambda noise, rng: np.clip(noise * 3 - 1, 0, 1),
    "camera": _camera,
    "bytes": lambda noise, rng: np.round(noise * 255) / 255,
    "binary": lambda noise, rng: (noise > rng.random()).astype(float),
    "ramp": lambda noise, rng: (
        np.ones(noise.shape) * np.linspace(0, 1, noise.shape[-1])
    ),
    "dim": lambda noise, rng: noise * 1e-3,
    "skewed": lambda noise, rng: np.exp(-20 * noise),
    "halves": _halves,
    "beyond": lambda noise, rng: noise * 3 - 1,
    "nan": lambda noise, rng: np.where(noise > 0.98, np.nan, noise),
    "infinite": lambda noise, rng: np.where(noise > 0.98, np.inf, noise),
}

MASKS = {
    "most": lambda noise: noise > 0.1,
    "half": lambda noise: np.indices(noise.shape)[0] < noise.shape[0] // 2,
    "none": lambda noise: np.zeros(noise.shape, bool),
    "all": lambda noise: np.ones(noise.shape, bool),
}


def _blobs(noise, rng, threshold=0.5, sigma=1.5):
    smooth = ndimage.gaussian_filter(noise, sigma)
    return ndimage.label(smooth > threshold)[0]


def _missing(noise, rng):
    labels = _blobs(noise, rng, sigma=3)
    labels[labels == 1] = 0
    return labels


def _tiles(noise, rng):
    height, width = noise.shape[-2:]
    tiles = np.arange(height)[:, None] // 7 * 100 + np.arange(width) // 9
    labels = np.unique(tiles, return_inverse=True)[1].reshape(height, width) + 1
    return np.broadcast_to(labels, noise.shape).copy()


def _sparse(noise, rng):
    places = np.arange(noise.size).reshape(noise.shape) % int(rng.integers(2, 40))
    return places * (noise < 0.1)


OBJECTS = {
    "empty": lambda noise, rng: np.zeros(noise.shape, int),
    "random": lambda noise, rng: (noise * 6).astype(int),
    "blobs": _blobs,
    "large": lambda noise, rng: _blobs(noise, rng, sigma=4),
    "missing": _missing,
    "tiles": _tiles,
    "whole": lambda noise, rng: np.ones(noise.shape, int),
    "pixels": lambda noise, rng: ndimage.label(noise < 0.03)[0],
    "one": lambda noise, rng: (np.indices(noise.shape).sum(0) < 6).astype(int),
    "sparse": _sparse,
}


def _overlapping(shape):
    """Two rectangles that share pixels, as rows of row, column and label."""
    squares = [
        np.argwhere(np.ones([side * 2 // 3 for side in shape])) + label * 2
        for label in (0, 1)
    ]
    return np.concatenate(
        [np.column_stack([s, [i + 1] * len(s)]) for i, s in enumerate(squares)]
    )


def make_image(case):
    """An `Image` as a case's entry describes it."""
    from cellprofiler_core.image import Image

    rng = np.random.default_rng(case["seed"])
    noise = rng.random(case["shape"])
    pixels = IMAGES[case["kind"]](noise, rng).astype(case.get("dtype", "float32"))
    mask = case.get("mask") and MASKS[case["mask"]](rng.random(noise.shape))
    dimensions = case.get("dimensions", 2)
    if mask is None:
        return Image(pixels, dimensions=dimensions)
    return Image(pixels, mask=mask, dimensions=dimensions)


def make_objects(case):
    """`Objects` as a case's entry describes them."""
    from cellprofiler_core.object import Objects

    rng = np.random.default_rng(case["seed"])
    objects = Objects()
    if case["kind"] == "overlapping":
        objects.set_ijv(_overlapping(case["shape"]), case["shape"])
        return objects
    labels = OBJECTS[case["kind"]](rng.random(case["shape"]), rng)
    objects.segmented = labels.astype(case.get("dtype", "int32"))
    return objects


# ---------------------------------------------------------------- a module


class Recorder:
    """Takes in measurements and gives them back, as `Measurements` does in a run."""

    def __init__(self, image_set):
        self.image_set_number = self.image_number = image_set
        self.recorded = collections.OrderedDict()

    def add_measurement(self, object_name, feature_name, data, *rest, **options):
        value = data.copy() if isinstance(data, np.ndarray) else data
        self.recorded[object_name, feature_name] = value

    def add_image_measurement(self, feature_name, data, *rest, **options):
        self.add_measurement("Image", feature_name, data)

    def add_experiment_measurement(self, feature_name, data):
        self.add_measurement("Experiment", feature_name, data)

    def get_measurement(self, object_name, feature_name, *rest):
        return self.recorded[object_name, feature_name]

    get_current_measurement = get_measurement

    def get_current_image_measurement(self, feature_name):
        return self.recorded["Image", feature_name]

    def has_feature(self, object_name, feature_name):
        return (object_name, feature_name) in self.recorded

    has_current_measurements = has_feature

    def __setitem__(self, key, value):
        self.add_measurement(key[0], key[1], value)

    def __getitem__(self, key):
        return self.recorded[key[0], key[1]]

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **options: None


def set_up(case):
    """The case's module with its settings."""
    package = case.get("package", "cellprofiler.modules")
    module_file = importlib.import_module(package + "." + case["module"].lower())
    module = getattr(module_file, case["module"])()
    for path, value in case.get("settings", ()):
        *owners, last = re.findall(r"\w+(?:\(\))?|\[\d+\]", path)
        owner = module
        for part in owners:
            owner = owner[int(part[1:-1])] if part[0] == "[" else getattr(owner, part)
        if last.endswith("()"):
            getattr(owner, last[:-2])()
        else:
            getattr(owner, last).value = value
    module.show_window = bool(case.get("show_window"))
    return module


def make_workspace(case, module):
    """A workspace with the case's images and objects."""
    from cellprofiler_core.image import ImageSetList
    from cellprofiler_core.object import ObjectSet
    from cellprofiler_core.workspace import Workspace

    image_sets = ImageSetList()
    images = image_sets.get_image_set(0)
    for name, described in case.get("images", {}).items():
        images.add(name, make_image(described))
    objects = ObjectSet()
    for name, described in case.get("objects", {}).items():
        objects.add_objects(make_objects(described), name)
    pipeline = types.SimpleNamespace(volumetric=lambda: False)
    workspace = Workspace(pipeline, module, images, objects, None, image_sets)
    recorder = Recorder(case.get("image_set", 1))
    workspace._Workspace__measurements = recorder
    return workspace


def run(case, accelerations, names):
    """What a case comes to: everything that can be compared, by name."""
    module = set_up(case)
    workspace = make_workspace(case, module)
    error, failures = None, []
    with contextlib.ExitStack() as stack:
        if names:
            fail = lambda name, why: failures.append(name + ": " + why)  # noqa: E731
            stack.enter_context(accelerations.applied(names, fail))
        try:
            for _ in range(case.get("times", 1)):
                module.run(workspace)
        except Exception as raised:
            error = type(raised).__name__ + ": " + str(raised)
            if failures:
                traceback.print_exc()
    found = collections.OrderedDict(workspace.measurements.recorded)
    for name in workspace.image_set.names:
        with contextlib.suppress(Exception):
            image = workspace.image_set.get_image(name)
            found["image", name] = image.pixel_data
            found["mask", name] = image.mask
    for name in workspace.object_set.object_names:
        labels = workspace.object_set.get_objects(name).get_labels()
        for plane, (image, _) in enumerate(labels):
            found["objects", name, plane] = image
    return found, error, failures


def same(plain, ours):
    """Whether two values are the same byte for byte; one NaN is like another."""
    plain, ours = np.asarray(plain), np.asarray(ours)
    if plain.shape != ours.shape or plain.dtype != ours.dtype:
        return False
    if plain.dtype == object:
        return plain.tolist() == ours.tolist()
    if plain.dtype.kind == "f":
        plain, ours = [np.where(np.isnan(v), np.nan, v) for v in (plain, ours)]
    return plain.tobytes() == ours.tobytes()


def show(value):
    value = np.asarray(value)
    return f"{value.dtype} {value.shape} {value.ravel()[:4].tolist()!r}"


def differences(plain, ours):
    """What differs between two results, as text."""
    names = [key for key in plain if key in ours]
    for key in sorted(set(plain) ^ set(ours), key=str):
        side = "plain" if key in plain else "ours"
        yield f"only in {side}: {key}"
    for key in names:
        if not same(plain[key], ours[key]):
            a, b = np.asarray(plain[key]), np.asarray(ours[key])
            if a.shape == b.shape and a.dtype == b.dtype and a.dtype.kind == "f":
                where = np.flatnonzero(~((a == b) | (np.isnan(a) & np.isnan(b))))[:3]
                a, b = a.ravel()[where], b.ravel()[where]
            yield f"{key}: plain {show(a)}, ours {show(b)}"


def counting(accelerations, names):
    """How often ours answered by themselves: calls that asked the original are not."""
    calls = collections.Counter()
    for name in names:
        acceleration = accelerations._all[name]
        replaced = {
            path: _counted(ours, name, calls)
            for path, ours in acceleration.replaces.items()
        }
        accelerations._all[name] = dataclasses.replace(acceleration, replaces=replaced)
    return calls


def _counted(ours, name, calls):
    if isinstance(ours, type):
        return ours

    def counted(original, *args, **options):
        asked = []

        def noting(*args, **options):
            asked.append(1)
            return original(*args, **options)

        result = ours(noting, *args, **options)
        calls[name] += not asked
        return result

    return counted


def main():
    package = load_exact(FOLDER)
    np.seterr(all="ignore")
    from cellprofiler_core import preferences

    preferences.set_headless()
    module = importlib.import_module(package.__name__ + ".selection")
    accelerations = module.Accelerations(kernels=sys.argv[2:4])
    calls = counting(accelerations, accelerations.on)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what CellProfiler prints is no answer
    print(json.dumps({"on": accelerations.on, "off": accelerations.off}), file=out)
    out.flush()
    for line in sys.stdin:
        case = json.loads(line)
        calls.clear()
        plain, plain_error, _ = run(case, accelerations, ())
        ours, our_error, failures = run(case, accelerations, case["accelerations"])
        different = failures[:]
        if plain_error != our_error:
            different.append(f"error: plain {plain_error}, ours {our_error}")
        if plain_error is None:
            different += differences(plain, ours)
            if not different and list(plain) != list(ours):
                different.append("order")
        answer = dict(different=different, error=plain_error, calls=dict(calls))
        answer["measurements"] = len(plain)
        print(json.dumps(answer), file=out)
        out.flush()
        for name in failures:
            accelerations.off.pop(name.split(":")[0], None)


if __name__ == "__main__":
    main()
    os._exit(0)
