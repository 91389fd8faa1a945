"""Writes pipelines from lists of modules, as CellProfiler itself saves them.

This runs in CellProfiler's own Python; each line of standard input is a pipeline, each
line of standard output is its path once it is written:

    {"path": "x.cppipe", "modules": [{"module": ..., "settings": [...]}, ...]}

Modules are those of `bench.py`'s cases.
"""

from __future__ import annotations

import json
import os
import sys

sys.argv[1:] = []
from bench import set_up  # noqa: E402


def write(path, modules):
    """Save one pipeline."""
    from cellprofiler_core.pipeline import Pipeline

    pipeline = Pipeline()
    for number, described in enumerate(modules, 1):
        module = set_up(described)
        module.set_module_num(number)
        pipeline.add_module(module)
    with open(path, "w") as file:
        pipeline.dump(file, save_image_plane_details=False)


def main():
    from cellprofiler_core import preferences

    preferences.set_headless()
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        asked = json.loads(line)
        write(asked["path"], asked["modules"])
        print(asked["path"], file=out, flush=True)


if __name__ == "__main__":
    main()
    os._exit(0)
