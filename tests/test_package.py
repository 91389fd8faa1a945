"""The package as a whole: its public names, what it imports, how it is shaped."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import cpengine

ROOT = Path(__file__).parents[1]
SRC = Path(cpengine.__file__).parent
HEAVY = (
    "apprise",
    "boto3",
    "dask",
    "distributed",
    "dask_jobqueue",
    "matplotlib",
    "s3fs",
)


def test_public_names_are_sorted_and_there() -> None:
    assert cpengine.__all__ == sorted(cpengine.__all__)
    assert all(hasattr(cpengine, name) for name in cpengine.__all__)


def test_importing_cpengine_loads_no_executor_dependency() -> None:
    code = "import cpengine, sys; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not set(HEAVY) & set(ran.stdout.split())


def test_every_module_says_why_it_exists() -> None:
    for path in SRC.rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path


def test_the_version_is_written_once_and_cited_as_it_is() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert cpengine.__version__ == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
