"""How CellProfiler is asked about a pipeline, and when again."""

import json
import os
from pathlib import Path

import pytest

from cpengine.cellprofiler import pipeline_load
from cpengine.cellprofiler.find import CellProfiler
from cpengine.cellprofiler.pipeline_load import LoadRequest
from cpengine.storage.store import Storage
from tests import build

PYTHON = """#!/bin/sh
echo "$PYTHONHASHSEED" >> "$(dirname "$0")/asked"
echo '{answer}'
"""
"""Stands in for CellProfiler's Python, and keeps with which seed it was asked."""
ANSWER = {"modules": ["LoadData"], "error": None, "invalid": []}


def test_an_answer_counts_for_the_seed_with_which_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CPENGINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONHASHSEED", "12345")
    python = tmp_path / "python"
    build.write(python, PYTHON.format(answer=json.dumps(ANSWER)))
    os.chmod(python, 0o755)
    program = CellProfiler(("cellprofiler",), "4.2.8.1", "test", python=python)
    table = build.table(["Metadata_Plate"], ["P1"])
    asked = LoadRequest("LoadData", "x.cppipe", table, "", None)

    def ask() -> list[str]:
        storage = Storage(str(tmp_path))
        assert not list(pipeline_load.findings(program, asked, storage, tmp_path))
        return (tmp_path / "asked").read_text().split()

    assert ask() == ["0"]
    assert ask() == ["0"]  # it was kept
    seed = {"PYTHONHASHSEED": "another"}
    monkeypatch.setattr(pipeline_load, "HASH_SEED", seed)
    assert ask() == ["0", "0"]
