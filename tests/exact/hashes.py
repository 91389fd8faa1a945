"""Prints what each acceleration's `sources` are in this CellProfiler.

This runs in CellProfiler's own Python: `python hashes.py EXACT_FOLDER [NAME ...]`.
"""

from __future__ import annotations

import importlib
import sys

from bench import load_exact


def main():
    package = load_exact(sys.argv[1])
    tools = importlib.import_module(package.__name__ + ".acceleration")
    names = package.NAMES
    for name in sys.argv[2:] or names:
        found = importlib.import_module(package.__name__ + "." + name).ACCELERATION
        for path in sorted(set(found.sources) | set(found.replaces)):
            there = tools.source_hash(path)
            mark = " " if found.sources.get(path) == there else "*"
            print(mark, name, f'"{path}": "{there}",')


if __name__ == "__main__":
    main()
