"""The compiled kernels: from this machine, or from the wheel, or none."""

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cpengine.cellprofiler import build_kernels
from cpengine.cellprofiler.build_kernels import LIBRARY, NOTE, Kernels, build, built
from cpengine.cli import app, cellprofiler
from cpengine.errors import CellProfilerError
from tests.cellprofiler.test_find import program


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A machine without a compiler, and a wheel without kernels."""
    monkeypatch.setattr(build_kernels, "PREBUILT", tmp_path / "prebuilt")
    return {"CPENGINE_HOME": str(tmp_path / "home"), "PATH": str(tmp_path / "bin")}


def put_prebuilt() -> Kernels:
    folder = build_kernels.prebuilt_folder()
    folder.mkdir(parents=True)
    (folder / LIBRARY).write_bytes(b"prebuilt")
    sha256 = hashlib.sha256(b"prebuilt").hexdigest()
    (folder / NOTE).write_text(json.dumps({"sha256": sha256}))
    return Kernels(folder / LIBRARY, sha256)


def with_compiler(environ: dict[str, str]) -> dict[str, str]:
    return environ | {"PATH": os.environ["PATH"]}


def test_without_compiler_and_wheel_there_are_none(environ: dict[str, str]) -> None:
    assert built(environ) is None
    with pytest.raises(CellProfilerError, match="no C compiler was found"):
        build(environ)


def test_a_wheel_has_them_where_there_is_no_compiler(environ: dict[str, str]) -> None:
    kernels = put_prebuilt()
    assert built(environ) == kernels
    assert build(environ) == kernels


def test_those_of_another_kind_of_machine_are_not_taken(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_prebuilt()
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert built(environ) is None


def test_those_of_other_sources_are_not_taken(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_prebuilt()
    sources = shutil.copytree(build_kernels.SOURCES, tmp_path / "kernels")
    monkeypatch.setattr(build_kernels, "SOURCES", sources)
    assert built(environ) is not None
    with (sources / "self.c").open("a") as file:
        file.write("\n")
    assert built(environ) is None


def test_what_this_machine_compiled_goes_before(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = build(with_compiler(environ))
    prebuilt = put_prebuilt()
    assert built(environ) == own != prebuilt


def test_a_folder_that_others_may_write_is_not_taken(environ: dict[str, str]) -> None:
    own = build(with_compiler(environ))
    own.path.parent.chmod(0o777)
    assert built(environ) is None
    with pytest.raises(CellProfilerError, match="others can change it: remove it"):
        build(with_compiler(environ))
    assert put_prebuilt() == built(environ)


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b"\xff", b'{"sha": 1}'])
def test_a_damaged_note_is_that_of_none(environ: dict[str, str], note: bytes) -> None:
    kernels = put_prebuilt()
    (kernels.path.parent / NOTE).write_bytes(note)
    assert built(environ) is None


def _truncate(library: Path) -> None:
    library.write_bytes(library.read_bytes()[:100])


@pytest.mark.parametrize("damage", [_truncate, Path.unlink, lambda p: p.write_text("")])
def test_a_damaged_library_is_none_and_built_anew(
    environ: dict[str, str], damage: Callable[[Path], object]
) -> None:
    good = build(with_compiler(environ))
    damage(good.path)
    assert built(environ) is None
    assert build(with_compiler(environ)) == good
    assert hashlib.sha256(good.path.read_bytes()).hexdigest() == good.sha256


def test_a_compiler_that_fails_is_named(environ: dict[str, str]) -> None:
    with pytest.raises(CellProfilerError, match="compiled by /bin/false: no message"):
        build(environ | {"CC": "/bin/false"})
    with pytest.raises(CellProfilerError, match=r"no C compiler .* \(/nowhere/gcc\)"):
        build(with_compiler(environ) | {"CC": "/nowhere/gcc"})


def test_a_home_that_cannot_be_written(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(CellProfilerError, match=r"/kernels: cannot be written \("):
        build(with_compiler(environ))


def test_to_install_goes_on_without_kernels(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise CellProfilerError("no C compiler was found for cpengine's kernels")

    monkeypatch.setenv("CPENGINE_CELLPROFILER", str(program(tmp_path / "cellprofiler")))
    monkeypatch.setattr(cellprofiler.build_kernels, "build", refuse)
    result = CliRunner().invoke(app, ["cellprofiler", "install", "--if-missing"])
    assert result.exit_code == 0
    assert "warning: no C compiler was found" in result.stderr
    assert "CellProfiler 4.2.8.1" in result.stdout
