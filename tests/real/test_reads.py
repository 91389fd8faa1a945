"""`cpengine run illum analysis` with the real CellProfiler opens each input once."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.plain_runs import small_plate

pytestmark = pytest.mark.cellprofiler

COUNT = """
import atexit, json, sys
from collections import Counter
from cpengine.inputs import loaddata
from cpengine.cli import main

folder, place = sys.argv.pop(), sys.argv.pop()
opened, parsed = Counter(), Counter()

def seen(event, arguments):
    if event == "open" and str(arguments[0]).startswith(folder):
        opened[str(arguments[0]).rpartition("/")[2]] += 1

def counting(text, path, parse=loaddata.parse):
    parsed[path.rpartition("/")[2]] += 1
    return parse(text, path)

loaddata.parse = counting
sys.addaudithook(seen)
atexit.register(lambda: open(place, "w").write(json.dumps([opened, parsed])))
main()
"""
"""Runs the command line, and writes how often files were opened and tables parsed."""


def test_a_run_opens_each_input_once_and_once_for_the_jobs_copy(tmp_path: Path) -> None:
    project = small_plate(tmp_path / "plate", sites=1)
    time.sleep(2.5)  # until files are old enough for their times to tell of changes
    place, workspace = tmp_path / "counts.json", project.places.workspace
    folder = workspace.path("projects/demo/workspace")
    ran = subprocess.run(
        [
            *(sys.executable, "-c", COUNT, "run", "illum", "analysis"),
            *("--workers", "2", "-C", project.folder, place, folder),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    opened, parsed = json.loads(place.read_text())
    tables = {"load_data.csv", "load_data_with_illum.csv"}
    assert parsed == dict.fromkeys(tables, 1)
    inputs = {"load_data.csv", "illum.cppipe", "analysis.cppipe"}
    # What cpengine writes is opened to sync it, and for the copy that jobs get.
    assert {name: opened[name] for name in (*inputs, "load_data_with_illum.csv")} == {
        **dict.fromkeys(inputs, 2),
        "load_data_with_illum.csv": 2,
    }
