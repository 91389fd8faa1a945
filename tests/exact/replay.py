"""Replays operations on CellProfiler's measurements, plain and held in memory.

This runs in CellProfiler's own Python: `python replay.py EXACT_FOLDER`. Each line of
standard input is a case, each line of standard output an answer:

    {"operations": [["set", "Cells", "Area", 1, ["array", "f8", [1, 2.5]]],
                    ["get", "Cells", "Area", 1]], "memory": 1000}

    {"different": [], "errors": 0, "held": 1}

`memory` is what a store holds at most. An operation is the name of a function of
`Operations` and its arguments. `different` names the operations that gave something
else, `errors` counts those that raised the same both ways, `held` is the number of
features that were in memory at the end.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile

import numpy as np
from bench import load_exact

NUMBERS = {"nan": np.nan, "inf": np.inf, "-0": -0.0}


def number(value):
    return NUMBERS.get(value, value)


def make(described):
    """A value, as an operation describes it."""
    kind, *rest = described
    if kind == "array":
        return np.array([number(n) for n in rest[1]], rest[0])
    if kind == "scalar":
        return np.dtype(rest[0]).type(number(rest[1]))
    if kind == "strided":
        return np.array([number(n) for n in rest[1] for _ in (0, 1)], rest[0])[::2]
    if kind == "list":
        return [make(item) for item in rest[0]]
    if kind == "python":
        return number(rest[0])
    if kind == "tuple":
        return tuple(number(n) for n in rest[0])
    return {
        "none": None,
        "matrix": np.ones((2, 3)),
        "point": np.array(4.5),
        "objects": np.array([1, None], object),
        "masked": np.ma.masked_array([1.0, 2.0], [True, False]),
    }[kind]


def plain_of(value):
    """Something that can be compared, types and bytes included."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "O":
            return ["O", value.shape, [plain_of(item) for item in value.ravel()]]
        return [value.dtype.str, value.shape, value.tobytes().hex()]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__] + [plain_of(item) for item in value]
    if isinstance(value, dict):
        return [[plain_of(k), plain_of(v)] for k, v in value.items()]
    if isinstance(value, np.generic):
        return [value.dtype.str, value.tobytes().hex()]
    return [type(value).__name__, repr(value)]


def contents(group):
    """What is in a file's group of measurements, without what nothing refers to."""
    found = {}
    for name, objects in group.items():
        for feature, pair in objects.items():
            if "index" not in pair or "data" not in pair:
                found[name, feature] = sorted(pair)
                continue
            index, data = pair["index"], pair["data"]
            rows = [(int(row[0]), data[row[1] : row[2]]) for row in index[:]]
            form = [
                (d.dtype.str, d.chunks, d.maxshape, d.compression, d.shuffle)
                for d in (index, data)
            ]
            found[name, feature] = [repr(form), plain_of(rows)]
    return found


class Operations:
    """What can be done with measurements; the store is what they keep theirs in."""

    def __init__(self, measurements):
        self.all = measurements
        self.store = measurements.hdf5_dict

    def set(self, objects, feature, number, value, *dtype):
        self.store[(objects, feature, number, *dtype)] = make(value)

    def get(self, objects, feature, number):
        return self.store[objects, feature, number]

    def get_array(self, objects, feature, numbers):
        return self.store[objects, feature, np.array(numbers, int)]

    def delete(self, *names):
        del self.store[names]

    def has(self, objects, feature, number):
        return [
            self.store.has_object(objects),
            self.store.has_feature(objects, feature),
            self.store.has_data(objects, feature, number),
        ]

    def dtype(self, objects, feature):
        return self.store.get_feature_dtype(objects, feature).str

    def numbers(self, objects, feature):
        return [int(key) for key in self.store.get_indices(objects, feature)]

    def names(self, objects):
        return self.store.top_level_names() + self.store.second_level_names(objects)

    def add_all(self, objects, feature, values, numbers):
        self.store.add_all(objects, feature, [make(v) for v in values], numbers)

    def add_object(self, objects):
        self.store.add_object(objects)

    def add_feature(self, objects, feature):
        self.store.add_feature(objects, feature)

    def dataset(self, objects, feature):
        return self.store.get_dataset(objects, feature).dtype.str

    def reorder(self, objects, feature):
        self.store.reorder(objects, feature, np.arange(20)[::-1])

    def clear(self):
        self.all.clear()

    def flush(self):
        self.all.flush()

    def contents(self):
        with tempfile.NamedTemporaryFile(suffix=".h5") as file:
            file.write(self.all.file_contents())
            file.flush()
            h5py = importlib.import_module("h5py")
            with h5py.File(file.name, "r") as opened:
                (group,) = opened["Measurements"].values()
                return contents(group)

    def raw(self):
        return contents(self.store.top_group)

    def copy(self, *numbers):
        copied = type(self.all)(copy=self.all, image_numbers=numbers or None)
        try:
            return contents(copied.hdf5_dict.top_group)
        finally:
            copied.close()

    # -------------------------------------------------- what modules call

    def add(self, objects, feature, value, *number):
        self.all.add_measurement(objects, feature, make(value), *number)

    def add_many(self, objects, feature, values, numbers):
        self.all.add_measurement(objects, feature, [make(v) for v in values], numbers)

    def add_every(self, objects, feature, values):
        self.all.add_all_measurements(objects, feature, [make(v) for v in values])

    def experiment(self, feature, value):
        self.all.add_experiment_measurement(feature, make(value))

    def read(self, objects, feature, *number):
        return self.all.get_measurement(objects, feature, *number)

    def every(self, objects, feature):
        return self.all[objects, feature, :]

    def next(self, number):
        self.all.next_image_set(number)

    def remove(self, *which):
        self.all.remove_measurement(*which)

    def columns(self):
        return self.all.get_measurement_columns()

    def aggregate(self, number):
        return self.all.compute_aggregate_measurements(number)

    def counts(self):
        return [self.all.image_set_count, self.all.get_image_numbers()]

    def features(self, objects):
        return [self.all.get_object_names(), self.all.get_feature_names(objects)]

    def groups(self):
        self.all.group_number = 1
        return [self.all.has_groups(), self.all.get_grouping_keys()]

    def relate(self, numbers):
        images = np.ones(len(numbers), int)
        args = (3, "Parent", "Cells", "Nuclei")
        self.all.add_relate_measurement(*args, images, numbers, images, numbers)
        return self.all.get_relationships(*args).tolist()

    def workspace(self):
        made = importlib.import_module("cellprofiler_core.workspace").Workspace
        return len(
            made(None, None, None, None, self.all, None).file_list.get_filelist()
        )


def replay(operations):
    """What each operation comes to, and how many features are held at the end."""
    made = importlib.import_module("cellprofiler_core.measurement").Measurements
    measurements = made()
    todo = Operations(measurements)
    found = []
    try:
        for name, *args in operations:
            try:
                found.append(plain_of(getattr(todo, name)(*args)))
            except Exception as error:
                found.append(["error", type(error).__name__, str(error)])
        held = len(getattr(todo.store, "_columns", ()))
        found.append(plain_of(todo.raw()))
        return found, held
    finally:
        measurements.close()


def answer(operations, accelerations):
    """What differs between plain CellProfiler and ours."""
    plain, _ = replay(operations)
    failures = []
    with accelerations.applied(
        ["measurement_store"], lambda *why: failures.append(why)
    ):
        ours, held = replay(operations)
    different = [
        dict(step=step, plain=str(plain[i])[:2000], ours=str(ours[i])[:2000])
        for i, step in enumerate([*operations, "the file"])
        if plain[i] != ours[i]
    ]
    errors = sum(found[:1] == ["error"] for found in plain)
    return dict(different=failures + different, errors=errors, held=held)


def main():
    package = load_exact(sys.argv[1])
    np.seterr(all="ignore")
    importlib.import_module("cellprofiler_core.preferences").set_headless()
    store = importlib.import_module(package.__name__ + ".measurement_store")
    selection = importlib.import_module(package.__name__ + ".selection")
    accelerations = selection.Accelerations(["measurement_store"])
    memory = store.MEMORY
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what CellProfiler prints is no answer
    print(json.dumps(accelerations.describe()["exact"]), file=out, flush=True)
    for line in sys.stdin:
        case = json.loads(line)
        store.MEMORY = case.get("memory", memory)
        print(
            json.dumps(answer(case["operations"], accelerations)), file=out, flush=True
        )


if __name__ == "__main__":
    main()
    os._exit(0)
