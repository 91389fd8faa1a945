"""Installing CellProfiler, and what is said when a part is missing."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cpengine.cellprofiler.command import run_environment
from cpengine.cellprofiler.find import Wanted, candidates, find
from cpengine.cellprofiler.install import install, versions
from cpengine.cellprofiler.parts import find_compiler, find_python, meaning_of
from cpengine.errors import CellProfilerError

PYTHON = 'echo "cpython {version}"; echo True; echo "$0"'


def silent(_: str) -> None:
    """Progress that nobody reads."""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A machine with nothing on it and no network."""
    (tmp_path / "bin").mkdir()
    return {
        "CPENGINE_HOME": str(tmp_path / "home"),
        "HOME": str(tmp_path),
        "PATH": str(tmp_path / "bin"),
        "UV_OFFLINE": "1",
    }


def program(path: Path, text: str = "exit 0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def python(path: Path, version: str = "3.8") -> Path:
    return program(path, PYTHON.format(version=version))


def jdk(home: Path) -> Path:
    program(home / "include" / "jni.h")
    return home


def refusal(environ: dict[str, str], say: Callable[[str], None] = silent) -> str:
    with pytest.raises(CellProfilerError) as caught:
        install(environ=environ, say=say)
    return str(caught.value)


def test_lock_file_of_the_package_is_a_known_version() -> None:
    assert "4.2.8.1" in versions()


def test_unknown_version_names_the_known_ones(environ: dict[str, str]) -> None:
    with pytest.raises(CellProfilerError, match=r"3\.0; it knows: 4\.2\.8\.1"):
        install("3.0", environ=environ, say=silent)


def test_all_missing_parts_are_named_in_one_line(environ: dict[str, str]) -> None:
    text = refusal(environ)
    assert all(part in text for part in ("CPython 3.8", "a JDK", "a C compiler"))
    assert "\n" not in text


def test_parts_that_are_there_are_not_named(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    python(tmp_path / "bin" / "python3.8")
    program(tmp_path / "bin" / "gcc")
    text = refusal(environ)
    assert "a JDK" in text
    assert "CPython" not in text
    assert "compiler" not in text


def test_python_of_a_selected_version_is_taken_from_path(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    assert find_python(environ) is None
    expected = python(tmp_path / "bin" / "python3.9", "3.9")
    assert find_python(environ) == expected


def test_shim_that_does_not_run_hides_no_python_behind_it(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    program(tmp_path / "shims" / "python3.8", "exit 127")
    expected = python(tmp_path / "bin" / "python3.8")
    environ["PATH"] = f"{tmp_path}/shims:{tmp_path}/bin"
    assert find_python(environ) == expected


def test_pyenv_version_is_found_without_being_selected(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    expected = python(tmp_path / "root" / "versions/3.8.18/bin/python3.8")
    assert find_python(environ | {"PYENV_ROOT": str(tmp_path / "root")}) == expected


def test_python_that_lies_about_its_version_is_not_taken(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    python(tmp_path / "bin" / "python3.8", "3.11")
    assert find_python(environ) is None


def test_python_without_headers_is_not_taken(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    program(tmp_path / "bin" / "python3.8", "echo cpython 3.8; echo False; echo /p")
    assert find_python(environ) is None


def test_compiler_named_by_cc_is_the_only_one_tried(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    program(tmp_path / "bin" / "gcc")
    assert find_compiler(environ | {"CC": "icc -O2"}) is None


def test_failed_download_of_a_python_is_reported(environ: dict[str, str]) -> None:
    messages: list[str] = []
    refusal(environ, messages.append)
    assert "uv could not download it" in messages[-1]


def test_failed_step_is_quoted_with_its_log_and_leaves_nothing(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    python(tmp_path / "bin" / "python3.8")  # no real one, so that `uv venv` fails
    program(tmp_path / "bin" / "cc")
    text = refusal(environ | {"JAVA_HOME": str(jdk(tmp_path / "jdk"))})
    log = tmp_path / "home" / "cellprofiler" / "4.2.8.1.log"
    assert str(log) in text
    assert "uv venv" in log.read_text()
    assert not any(c.found for c in candidates(Wanted(), environ))


def test_home_that_cannot_be_written_is_named(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    (tmp_path / "home").touch()
    assert "set CPENGINE_HOME" in refusal(environ)


def test_hints_and_blank_lines_are_not_what_went_wrong() -> None:
    output = "error: failed\n  cause: no compiler\n\nhint: see the manual\n"
    assert meaning_of(output) == "no compiler"


def test_second_installation_returns_at_once(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    folder = tmp_path / "home" / "cellprofiler" / "4.2.8.1"
    program(folder / "bin" / "python")
    program(folder / "bin" / "cellprofiler")
    messages: list[str] = []
    install(environ=environ, say=messages.append)
    assert messages == [f"CellProfiler 4.2.8.1 is already installed in {folder}"]


def test_two_installations_wait_for_each_other(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    folder = tmp_path / "home" / "cellprofiler"
    folder.mkdir(parents=True)

    def finish(_: str) -> None:
        """What the other one does while we wait for it."""
        program(folder / "4.2.8.1" / "bin" / "python")
        program(folder / "4.2.8.1" / "bin" / "cellprofiler")
        fcntl.flock(other, fcntl.LOCK_UN)

    with (folder / ".4.2.8.1.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert install(environ=environ, say=finish).version == "4.2.8.1"


def test_an_installation_writes_through_no_link(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    folder = tmp_path / "home" / "cellprofiler"
    folder.mkdir(parents=True)
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (folder / ".4.2.8.1.lock").symlink_to(mine)
    assert "cannot write to" in refusal(environ)
    assert mine.read_text() == "mine"


@pytest.mark.cellprofiler
def test_installed_cellprofiler_starts(tmp_path: Path) -> None:
    environ = {**os.environ, "CPENGINE_HOME": str(tmp_path)}
    environ.pop("CPENGINE_CELLPROFILER", None)
    made = install(environ=environ, say=lambda text: print(text, file=sys.stderr))
    assert find(Wanted(), environ) == made
    ran = subprocess.run(
        [*made.command, "--version"],
        env=run_environment(made.env, tmp_path, environ),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split()[-1] == made.version == "4.2.8.1"
