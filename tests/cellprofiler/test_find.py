"""Which CellProfiler is used, and what is said when there is none."""

import os
import sys
from pathlib import Path

import pytest

from cpengine.cellprofiler.container import Container
from cpengine.cellprofiler.find import CellProfiler, Wanted, candidates, find
from cpengine.cellprofiler.java import find_java_home, find_jdk
from cpengine.errors import CellProfilerError

SYSTEM = "/usr/bin:/bin"  # for the fakes' own shell


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A machine with nothing on it but Java."""
    home, path = str(tmp_path / "home"), str(tmp_path / "bin")
    return {"CPENGINE_HOME": home, "PATH": path, "JAVA_HOME": "/jdk"}


def program(path: Path, text: str = 'echo "starting"; echo 4.2.8.1') -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def installed(environ: dict[str, str], version: str) -> Path:
    bin_folder = Path(environ["CPENGINE_HOME"], "cellprofiler", version, "bin")
    program(bin_folder / "python")
    return program(bin_folder / "cellprofiler")


def test_setting_comes_before_the_variable(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    first, second = program(tmp_path / "a"), program(tmp_path / "b")
    found = find(Wanted(str(first)), environ | {"CPENGINE_CELLPROFILER": str(second)})
    assert found.command == (str(first),)


def test_variable_comes_before_the_installed_one(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    installed(environ, "4.2.8.1")
    found = find(
        Wanted(), environ | {"CPENGINE_CELLPROFILER": str(program(tmp_path / "b"))}
    )
    assert found.origin == "CPENGINE_CELLPROFILER"


def test_installed_one_comes_before_path(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    program(tmp_path / "bin" / "cellprofiler")
    installed(environ, "4.2.8.1")
    assert find(Wanted(), environ).origin == "installed by cpengine"


def test_newest_installed_version_is_used(environ: dict[str, str]) -> None:
    installed(environ, "4.2.8.1")
    newest = installed(environ, "4.2.10")
    assert find(Wanted(), environ).command == (str(newest),)


def test_environment_whose_python_is_gone_is_passed_over(
    environ: dict[str, str],
) -> None:
    (installed(environ, "4.2.8.1").parent / "python").unlink()
    assert [c.note for c in candidates(Wanted(), environ)][4] == "its Python is gone"


def test_unfinished_installation_is_not_found(environ: dict[str, str]) -> None:
    installed(environ, ".4.2.8.1.building-7")
    with pytest.raises(CellProfilerError):
        find(Wanted(), environ)


def test_program_on_path_is_used_last(tmp_path: Path, environ: dict[str, str]) -> None:
    program(tmp_path / "bin" / "cellprofiler")
    assert find(Wanted(), environ).origin == "cellprofiler on PATH"


def test_folder_with_a_program_is_accepted(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    script = program(tmp_path / "env" / "bin" / "cellprofiler")
    assert find(Wanted(str(tmp_path / "env")), environ).command == (str(script),)


def test_missing_setting_is_refused_by_name(environ: dict[str, str]) -> None:
    with pytest.raises(CellProfilerError, match=r"cpengine\.toml is /no, which does"):
        find(Wanted("/no"), environ)


def test_missing_variable_is_refused_even_with_one_installed(
    environ: dict[str, str],
) -> None:
    installed(environ, "4.2.8.1")
    with pytest.raises(CellProfilerError, match="CPENGINE_CELLPROFILER is /no"):
        find(Wanted(), environ | {"CPENGINE_CELLPROFILER": "/no"})


def test_file_that_cannot_run_is_refused(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    (tmp_path / "plain").touch()
    with pytest.raises(CellProfilerError, match="is not executable"):
        find(Wanted(str(tmp_path / "plain")), environ)


def test_folder_without_a_program_is_refused(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    with pytest.raises(CellProfilerError, match="holds no bin/cellprofiler"):
        find(Wanted(str(tmp_path)), environ)


def test_nothing_found_says_where_and_how_in_one_line(environ: dict[str, str]) -> None:
    with pytest.raises(CellProfilerError) as caught:
        find(Wanted(), environ)
    text = str(caught.value)
    assert "\n" not in text
    assert environ["CPENGINE_HOME"] in text
    assert "`cpengine cellprofiler install`" in text


def test_pyenv_shim_that_is_not_selected_is_passed_over(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    program(tmp_path / "shims" / "cellprofiler", "exit 127")
    program(tmp_path / "bin" / "pyenv", "exit 127")
    real = program(tmp_path / "real" / "cellprofiler")
    path = f"{tmp_path}/shims:{tmp_path}/bin:{tmp_path}/real"
    assert find(Wanted(), environ | {"PATH": path}).command == (str(real),)


def test_selected_pyenv_shim_gives_the_program_behind_it(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    real = program(tmp_path / "versions" / "3.8" / "bin" / "cellprofiler")
    program(tmp_path / "shims" / "cellprofiler", "exit 1")
    program(
        tmp_path / "bin" / "pyenv", f'[ "$*" = "which cellprofiler" ] && echo {real}'
    )
    path = f"{tmp_path}/shims:{tmp_path}/bin:{SYSTEM}"
    assert find(Wanted(), environ | {"PATH": path}).command == (str(real),)


def test_version_is_asked_of_the_scripts_own_python(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    python = program(tmp_path / "env" / "bin" / "python", "echo 4.2.9")
    script = program(tmp_path / "env" / "bin" / "cellprofiler")
    script.write_text(f"#!{python}\nraise SystemExit('slow start')\n")
    found = find(Wanted(str(script)), environ)
    assert (found.version, found.python) == ("4.2.9", python)


def test_version_of_a_movable_environment_is_asked_of_the_python_beside(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    python = program(tmp_path / "env" / "bin" / "python", "echo 4.2.9")
    script = program(
        tmp_path / "env" / "bin" / "cellprofiler", "'''exec' python\nexit 1"
    )
    assert find(Wanted(str(script)), environ).python == python


def test_version_of_a_wrapper_is_its_last_line_that_is_a_version(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    script = program(tmp_path / "w", "echo 1 start; echo 4.2.8.1; echo bye")
    found = find(Wanted(str(script)), environ)
    assert (found.version, found.python) == ("4.2.8.1", None)


def test_wrapper_of_another_python_is_asked_itself(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    script = program(tmp_path / "wrapper")
    script.write_text(f"#!{sys.executable}\nprint('4.2.8.1')\n")
    found = find(Wanted(str(script)), environ)
    assert (found.version, found.python) == ("4.2.8.1", None)


def test_program_that_does_not_start_is_refused_with_its_last_words(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    script = program(tmp_path / "w", "echo 'no licence' >&2; exit 3")
    with pytest.raises(CellProfilerError, match="no licence"):
        find(Wanted(str(script)), environ)


def test_candidates_tell_what_was_passed_over(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    program(tmp_path / "bin" / "cellprofiler")
    entries = [(c.found, c.note) for c in candidates(Wanted(), environ)]
    assert [found for found, _ in entries] == [False] * 5 + [True]
    assert entries[0] == (False, "not set")


def java(home: Path, *, headers: bool) -> Path:
    program(home / "bin" / "java")
    if headers:
        program(home / "bin" / "javac")
        program(home / "include" / "jni.h")
    return home


def test_java_home_that_is_set_stays(environ: dict[str, str], tmp_path: Path) -> None:
    assert find(Wanted(str(program(tmp_path / "w"))), environ).env == {}


def test_java_home_is_found_behind_links_on_path(tmp_path: Path) -> None:
    home = java(tmp_path / "jvm" / "17", headers=False)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").symlink_to(home / "bin" / "java")
    assert find_java_home({"PATH": str(tmp_path / "bin")}) == home


def test_java_without_headers_is_no_jdk(tmp_path: Path) -> None:
    home = java(tmp_path / "jre", headers=False)
    assert find_jdk({"JAVA_HOME": str(home), "PATH": ""}) is None


def test_jdk_on_path_makes_up_for_a_java_home_without_headers(tmp_path: Path) -> None:
    runtime = java(tmp_path / "jre", headers=False)
    jdk = java(tmp_path / "jdk", headers=True)
    environ = {"JAVA_HOME": str(runtime), "PATH": str(jdk / "bin")}
    assert find_jdk(environ) == jdk


def test_installed_one_runs_with_the_java_it_was_built_with(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    folder = installed(environ, "4.2.8.1").parent.parent
    (folder / "JAVA_HOME").write_text(f"{tmp_path}\n")
    del environ["JAVA_HOME"]
    assert find(Wanted(), environ).env == {"JAVA_HOME": str(tmp_path)}


def test_finding_an_installed_one_starts_nothing(environ: dict[str, str]) -> None:
    script = installed(environ, "4.2.8.1")
    for name in ("python", "cellprofiler"):
        program(script.parent / name, "exit 1")
    assert find(Wanted(), environ).version == "4.2.8.1"
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize(
    "image", [None, Container("lab/cp", "podman"), Container("cp.sif", "apptainer")]
)
def test_a_named_blas_kernel_reaches_every_cellprofiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image: Container | None
) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Nehalem")
    found = CellProfiler(("cp",), "4.2.8.1", "here", container=image)
    for kernel in (None, "Haswell"):
        made = found.with_blas_kernel(kernel).program(["cp"], tmp_path, tmp_path)
        seen = [part for part in made.command if "OPENBLAS_CORETYPE" in part]
        if image is None:
            seen = [f"OPENBLAS_CORETYPE={made.environment['OPENBLAS_CORETYPE']}"]
        assert [part.removeprefix("--env=") for part in seen] == [
            f"OPENBLAS_CORETYPE={kernel or 'Nehalem'}"
        ]
