"""Runs whole pipelines of CellProfiler plain and accelerated, and compares all results.

This runs in CellProfiler's own Python: `python pipelines.py EXACT_FOLDER`. Each line of
standard input is a case, each line of standard output an answer:

    {"modules": [{"module": "Resize", "settings": [["x_name", "A"]]}], "groups": [2, 1],
     "sites": [{"A": {"seed": 1, "kind": "noise", "shape": [40, 50]}}, ...],
     "accelerations": ["lazy_illumination"],
     "count": ["cellprofiler.modules.resize:Resize.apply_resize"]}

    {"different": [], "errors": [], "files": 3, "calls": [[6, 2]]}

Modules and images are as in `bench.py`; a first module provides each site's images,
and `{"spoil": "A"}` is a module that changes an image in place.
`groups` are the numbers of sites of the groups, in order; `$OUTPUT` in a setting is the
output folder. `errors` are those that modules raised in plain CellProfiler, `calls` how
often each function to count was called by plain CellProfiler and by ours.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import types

import numpy as np
from bench import load_exact, make_image, set_up
from replay import contents

TIMES = "ExecutionTime_", "Timestamp"
"""What has this in its name is no result."""


def given(sites, groups):
    """A module that provides each site's images, and groups the sites."""
    from cellprofiler_core.module import Module

    class Given(Module):
        module_name = "Given"
        category = "Test"
        variable_revision_number = 1

        def create_settings(self):
            pass

        def settings(self):
            return []

        def prepare_run(self, workspace):
            names = [f"s{number}" for number in range(len(sites))]
            workspace.measurements.add_all_measurements("Image", "Metadata_Site", names)
            return True

        def run(self, workspace):
            site = sites[workspace.measurements.image_set_number - 1]
            for name, described in site.items():
                workspace.image_set.add(name, make_image(described))

        def get_groupings(self, workspace):
            ends = np.cumsum(groups)
            return ["Group"], [
                ({"Group": str(end)}, list(range(end - count + 1, end + 1)))
                for end, count in zip(ends, groups)
            ]

        def get_measurement_columns(self, pipeline):
            return [("Image", "Metadata_Site", "varchar(20)")]

    return Given()


def spoiler(name):
    """A module that changes an image's pixels in place, as some do."""
    from cellprofiler_core.module import Module

    class Spoil(Module):
        module_name = "Spoil"
        category = "Test"
        variable_revision_number = 1

        def create_settings(self):
            pass

        def settings(self):
            return []

        def run(self, workspace):
            workspace.image_set.get_image(name).pixel_data[::2] *= 3

    return Spoil()


def make_module(described):
    return spoiler(described["spoil"]) if "spoil" in described else set_up(described)


def make_pipeline(case, output, errors):
    from cellprofiler_core.pipeline import Pipeline, event

    pipeline = Pipeline()
    text = json.dumps(case["modules"]).replace("$OUTPUT", output)
    modules = [
        given(case["sites"], case["groups"]),
        *map(make_module, json.loads(text)),
    ]
    for number, module in enumerate(modules, 1):
        module.set_module_num(number)
        pipeline.add_module(module)

    def note(pipeline, noted):
        if isinstance(noted, (event.RunException, event.PrepareRunException)):
            errors.append(f"{type(noted.error).__name__}: {noted.error}")

    pipeline.add_listener(note)
    return pipeline


def run(case, output):
    """All that a pipeline comes to, by name, and the errors of its modules."""
    from cellprofiler_core import preferences

    preferences.set_default_output_directory(output)
    errors = []
    measurements = make_pipeline(case, output, errors).run()
    found = {}
    try:
        for key in measurements.get_relationship_groups():
            objects = key.object_name1, key.object_name2
            names = (key.module_number, key.relationship, *objects)
            rows = measurements.get_relationships(*names)
            found[("relationship", *map(str, names))] = rows.tolist()
        found.update(contents(measurements.hdf5_dict.top_group))
    finally:
        measurements.close()
    for folder, _, files in os.walk(output):
        for name in files:
            path = os.path.join(folder, name)
            found["file", os.path.relpath(path, output)] = file_contents(path)
    return {k: v for k, v in found.items() if not is_time(k[1])}, errors


def is_time(text):
    return any(name in text for name in TIMES)


def file_contents(path):
    """What is in a file, without times."""
    if path.endswith(".db"):
        return list(tables(path))
    if path.endswith((".npy", ".tiff", ".png", ".h5")):
        with open(path, "rb") as file:
            return file.read()
    with open(path, encoding="utf-8") as file:
        rows = [line.rstrip("\n").split(",") for line in file]
    dropped = {i for i, name in enumerate(rows[0] if rows else ()) if is_time(name)}
    return [
        [cell for i, cell in enumerate(row) if i not in dropped]
        for row in rows
        if not any(map(is_time, row))
    ]


def tables(path):
    """The tables of a database, without times."""
    database = sqlite3.connect(path)
    names = database.execute("select name from sqlite_master where type = 'table'")
    for (name,) in sorted(names.fetchall()):
        rows = database.execute(f'select * from "{name}"')
        columns = [column[0] for column in rows.description]
        chosen = [i for i, c in enumerate(columns) if not is_time(c)]
        for row in rows.fetchall():
            if not any(is_time(str(value)) for value in row):
                yield name, [(columns[i], repr(row[i])) for i in chosen]
    database.close()


def counted(paths, calls):
    """Count the calls of functions; gives what puts them back."""
    acceleration = importlib.import_module("cpengine_exact.acceleration")
    undo = []
    for number, path in enumerate(paths):
        place, _, name = path.rpartition("." if "." in path.split(":")[1] else ":")
        owner = acceleration.find(place) if ":" in place else sys.modules[place]
        original = getattr(owner, name)

        def counting(*args, _original=original, _number=number, **options):
            calls[_number] += 1
            return _original(*args, **options)

        undo.append((owner, name, original))
        setattr(owner, name, counting)
    return undo


def way(case, output, accelerations=None):
    """Run a case one way: results, errors and calls; failures of ours are results."""
    os.mkdir(output)
    calls = [0] * len(case.get("count", ()))
    undo = counted(case.get("count", ()), calls)
    failures = []
    try:
        if accelerations is None:
            found, errors = run(case, output)
        else:
            names = case["accelerations"]
            with accelerations.applied(names, lambda *why: failures.append(why)):
                found, errors = run(case, output)
    finally:
        for owner, name, original in undo:
            setattr(owner, name, original)
        shutil.rmtree(output)
    if failures:
        found["failures"] = failures
    return found, errors, calls


def imitate_mysql():
    """Let ExportToDatabase write SQLite files: it cannot without a client of MySQL."""
    client, cursors = types.ModuleType("MySQLdb"), types.ModuleType("MySQLdb.cursors")
    client.Error = client.OperationalError = type("Error", (Exception,), {})
    client.escape_string = str.encode
    client.cursors, cursors.SSCursor = cursors, object
    sys.modules.update({"MySQLdb": client, "MySQLdb.cursors": cursors})


def answer(case, accelerations):
    with tempfile.TemporaryDirectory() as folder:
        output = os.path.join(folder, "output")  # files hold its name
        plain, errors, plain_calls = way(case, output)
        ours, our_errors, our_calls = way(case, output, accelerations)
    different = [
        [str(name), str(plain.get(name))[:2000], str(ours.get(name))[:2000]]
        for name in [*plain, *(set(ours) - set(plain))]
        if plain.get(name) != ours.get(name)
    ]
    if errors != our_errors:
        different.append(["errors", errors, our_errors])
    return dict(
        different=different,
        errors=errors,
        files=sum(name[0] == "file" for name in plain),
        calls=np.transpose([plain_calls, our_calls]).tolist(),
    )


def main():
    package = load_exact(sys.argv[1])
    np.seterr(all="ignore")
    from cellprofiler_core import preferences

    preferences.set_headless()
    imitate_mysql()
    selection = importlib.import_module(package.__name__ + ".selection")
    accelerations = selection.Accelerations()
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what CellProfiler prints is no answer
    print(json.dumps(accelerations.describe()["exact"]), file=out, flush=True)
    for line in sys.stdin:
        found = answer(json.loads(line), accelerations)
        print(json.dumps(found), file=out, flush=True)


if __name__ == "__main__":
    main()
    os._exit(0)
