"""Accelerations run in CellProfiler's own Python, with what is there and no more."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cpengine.cellprofiler import exact

FILES = sorted(Path(exact.__file__).parent.glob("*.py"))
THERE = {
    *("cellprofiler", "cellprofiler_core", "bioformats", "javabridge", "centrosome"),
    *("mahotas", "numpy", "scipy", "skimage"),
}
"""CellProfiler's packages, and those that come with them."""


def _imported(tree: ast.AST) -> Iterator[str]:
    """Packages that a file imports, but for its own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level <= 1, "from outside of the folder"
            if node.level == 0:
                assert node.module
                yield node.module.partition(".")[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_of_python_3_8_and_imports_what_is_there(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    assert {*_imported(tree)} - THERE - {*sys.stdlib_module_names} == set()


def test_all_are_seen() -> None:
    assert {path.stem for path in FILES} > {*exact.NAMES}
