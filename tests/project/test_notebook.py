"""A notebook shows how far a run is, and values as tables: with a real kernel."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.plain_runs import small_plate

pytestmark = pytest.mark.cellprofiler
CELLS = (
    "from cpengine import Project\nproject = Project.load('plate')",
    "run = project.run('qc')\nrun.wait()\nrun",
    "project.status()",
)


def test_a_run_in_a_notebook(tmp_path: Path) -> None:
    small_plate(tmp_path / "plate", wells=2, sites=1)
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, resources=resources).execute()
    _, ran, status = (cell["outputs"] for cell in notebook.cells)
    pages = [out["data"]["text/html"] for out in ran if "data" in out]
    live = [page for page in pages if "2 done" in page]
    assert len(live) == 1
    assert live[0].startswith("<pre")
    assert "<td" in pages[-1]
    assert "<th" in status[-1]["data"]["text/html"]
    assert '<td style="text-align: left">qc</td>' in status[-1]["data"]["text/html"]
