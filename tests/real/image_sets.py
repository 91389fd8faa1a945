"""Run inside CellProfiler's Python: the image sets of each group, read in two ways.

    python image_sets.py HOST PIPELINE CSV FOLDER

HOST is cpengine's `host.py`. Prints, as JSON, for each group of the CSV what
CellProfiler has stored when its first module would begin: `alone`, as a process of its
own has it, and `reused`, as a host has it that has read the CSV for another group
before.
"""

import contextlib
import csv
import importlib.util
import json
import os
import sys
import tempfile
import traceback
from collections import OrderedDict

KEYS = ("Metadata_Plate", "Metadata_Well")

program, pipeline, data_file, folder = sys.argv[1:]
spec = importlib.util.spec_from_file_location("host", program)
host = importlib.util.module_from_spec(spec)
spec.loader.exec_module(host)


class Listener:
    """Hears what a run tells."""

    def tell(self, event, **details):
        assert event != "error", details


def stored(pipeline, measurements):
    """Every feature of the image sets that are left, with its type."""
    numbers = measurements.get_image_numbers()
    held = measurements.hdf5_dict
    found = {
        name: (
            str(held.get_feature_dtype("Image", name)),
            [[str(v) for v in vs] for vs in held["Image", name, numbers]],
        )
        for name in measurements.get_feature_names("Image")
    }
    tags = measurements.get_experiment_measurement("Metadata_GroupingTags")
    columns = [list(column) for column in pipeline.get_measurement_columns()]
    return [[int(n) for n in numbers], found, tags, columns]


def prepared(group, sheets, state, accelerations):
    """What is stored for a group when its first module would begin."""
    seen = []

    def stop(pipeline, grouping, first, last, measurements, workspace):
        seen.append(stored(pipeline, measurements))
        return iter(())

    state.reset()
    output = tempfile.mkdtemp(dir=folder)
    named = ",".join("=".join(pair) for pair in group.items())
    argv = ["-c", "-r", "-p", pipeline, "-o", output, "-i", output, "-g", named]
    argv += ["--data-file", data_file, "-t", folder]
    request = {"folder": folder, "environ": {}, "argv": argv, "exact": []}
    run = host.MainRun(request, Listener(), sheets, accelerations)
    original, host.Pipeline.group = host.Pipeline.group, stop
    try:
        run()
    finally:
        host.Pipeline.group = original
    (found,) = seen
    return found, run.sheet is not None


def main():
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        host.boot(None, folder)
        plain = host.load_accelerations(None, None)
        state = host.State()
        with open(data_file, newline="", encoding="utf-8") as rows:
            found = {(r[KEYS[0]], r[KEYS[1]]) for r in csv.DictReader(rows)}
        groups = [{KEYS[0]: plate, KEYS[1]: well} for plate, well in sorted(found)]
        alone = [prepared(g, OrderedDict(), state, plain)[0] for g in groups]
        sheets = OrderedDict()
        prepared(groups[-1], sheets, state, plain)
        reused = [prepared(group, sheets, state, plain) for group in groups]
    print(
        json.dumps(
            {
                "alone": alone,
                "reused": [k for k, _ in reused],
                "from_sheet": [s for _, s in reused],
            }
        )
    )


try:
    main()
except BaseException:  # however it ends, Java's threads would keep it
    traceback.print_exc()
    sys.stderr.flush()
    os._exit(1)
sys.stdout.flush()
os._exit(0)
