"""The kernels of a release's wheel, by the compiler that releases are made with."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cpengine.cellprofiler.build_kernels import LIBRARY, NOTE
from cpengine.cellprofiler.find import CellProfiler
from cpengine.cellprofiler.parts import uv_program
from cpengine.cellprofiler.prebuild_kernels import TARGETS
from tests.exact.conftest import Bench, opened_bench
from tests.exact.test_granularity import case as granularity
from tests.exact.test_texture import CELLS, A
from tests.exact.test_texture import case as texture

ROOT = Path(__file__).parents[2]
ELF_MACHINES = {"linux-x86_64": 62, "linux-aarch64": 183}
OLDEST_GLIBC = (2, 17)
PREBUILD = """
import sys
from pathlib import Path
from cpengine.cellprofiler import build_kernels, prebuild_kernels
build_kernels.PREBUILT = prebuild_kernels.PREBUILT = Path(sys.argv[1])
prebuild_kernels.prebuild()
"""


@pytest.fixture(scope="module")
def prebuilt(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A library by kind of machine."""
    folder = tmp_path_factory.mktemp("prebuilt")
    (zig,) = re.findall(r"^ZIG := (\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    target = ["--python", sys.executable, "--target", folder / "zig"]
    install = [uv_program(), "pip", "install", *target, f"ziglang=={zig}"]
    subprocess.run(install, check=True)
    subprocess.run(
        [sys.executable, "-c", PREBUILD, folder / "made"],
        env=os.environ | {"PYTHONPATH": str(folder / "zig")},
        check=True,
    )
    return {path.parts[-3]: path for path in folder.glob(f"made/*/*/{LIBRARY}")}


def test_there_are_those_of_each_kind_of_machine(prebuilt: dict[str, Path]) -> None:
    assert prebuilt.keys() == TARGETS.keys() == ELF_MACHINES.keys()
    for kind, path in prebuilt.items():
        library = path.read_bytes()
        assert library[:4] == b"\x7fELF"
        assert int.from_bytes(library[18:20], "little") == ELF_MACHINES[kind]


def test_they_load_where_glibc_is_old(prebuilt: dict[str, Path]) -> None:
    for path in prebuilt.values():
        needed = re.findall(rb"GLIBC_(\d+)\.(\d+)", path.read_bytes())
        assert needed
        assert max(tuple(map(int, pair)) for pair in needed) <= OLDEST_GLIBC


@pytest.fixture(scope="module")
def bench(
    prebuilt: dict[str, Path],
    cellprofiler: CellProfiler,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Bench]:
    path = prebuilt["linux-x86_64"]
    sha256 = json.loads((path.parent / NOTE).read_text())["sha256"]
    folder = tmp_path_factory.mktemp("bench")
    with opened_bench(cellprofiler, folder, "bench.py", str(path), sha256) as opened:
        yield opened


def test_they_pass_the_self_tests(bench: Bench) -> None:
    assert bench.ready["off"] == {}


def test_modules_compute_the_same_by_them(bench: Bench) -> None:
    for case in (texture(A, CELLS), granularity(A, CELLS)):
        assert sum(bench.check(**case)["calls"].values())
