"""What is released: a wheel made from the sdist, complete, that runs by itself."""

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from uv import find_uv_bin

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.cellprofiler


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made from the sdist, as uv and pip do for users who have no wheel."""
    folder = tmp_path_factory.mktemp("dist")
    _run(find_uv_bin(), "build", "--quiet", "--out-dir", folder, ROOT)
    assert len(list(folder.glob("*.tar.gz"))) == 1
    (made,) = folder.glob("*.whl")
    return made


def _run(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    ran = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environ
    )
    assert ran.returncode == 0, ran.stderr[-2_000:]
    return ran


def test_the_wheel_has_every_file_of_the_package(wheel: Path) -> None:
    listed = _run("git", "-C", ROOT, "ls-files", "src/cpengine").stdout.splitlines()
    with ZipFile(wheel) as file:
        packed = {f"src/{name}" for name in file.namelist()}
    assert {Path(name).suffix for name in listed} > {".c", ".css", ".html", ".cppipe"}
    assert [name for name in listed if name not in packed] == []


def test_the_wheel_runs_the_demo_in_an_environment_of_its_own(
    wheel: Path, tmp_path: Path
) -> None:
    plate = tmp_path / "plate"
    _run(
        *(find_uv_bin(), "tool", "run", "--quiet"),
        *("--python", sys.executable, "--constraints", ROOT / "constraints.txt"),
        *("--from", wheel, "cpengine", "demo", plate),
        *("--wells", "1", "--sites", "1", "--size", "128", "--workers", "1"),
    )
    assert list(plate.rglob("analysis/**/Image.csv"))
    assert list(plate.rglob("report/**/analysis.html"))
