"""Our reading of a column is CellProfiler's own, asked of CellProfiler itself."""

import json
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpengine.cellprofiler.find import CellProfiler
from cpengine.inputs.loaddata import read_as_loaddata

pytestmark = pytest.mark.cellprofiler

ASK = """
import json, sys
from cellprofiler_core.utilities.core.modules.load_data import best_cast
columns = json.load(sys.stdin)
print(json.dumps([[str(v) for v in best_cast(column)] for column in columns]))
"""
CELLS = ["1", "01", "2147483647", "2147483648", "-7", "25E5", "1.0", "0.1", " 3", "1_0"]
CELLS += ["A01", "", "nan", "1e400", "-2147483649", "٣", "0x10", "+4", "1.", ".5", "P1"]


def test_columns_read_as_cellprofiler_reads_them(cellprofiler: CellProfiler) -> None:
    columns: list[list[str]] = []

    @settings(max_examples=300, database=None)
    @given(st.lists(st.sampled_from(CELLS), min_size=1, max_size=4))
    def collect(column: list[str]) -> None:
        columns.append(column)

    collect()
    assert cellprofiler.python is not None
    answer = subprocess.run(
        [str(cellprofiler.python), "-c", ASK],
        input=json.dumps(columns),
        capture_output=True,
        text=True,
        check=True,
    )
    theirs = json.loads(answer.stdout)
    assert [read_as_loaddata("Metadata_X", column) for column in columns] == theirs
