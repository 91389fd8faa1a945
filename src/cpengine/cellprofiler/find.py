"""Which CellProfiler is used and why, so that no run picks one silently."""

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import platformdirs

from cpengine.cellprofiler import container
from cpengine.cellprofiler.command import (
    BLAS_KERNEL,
    container_environment,
    own_python,
    run_environment,
)
from cpengine.cellprofiler.container import Container, RunningContainer
from cpengine.cellprofiler.java import find_java_home
from cpengine.errors import CellProfilerError
from cpengine.system.process import Program

SETTING = "cellprofiler.path in cpengine.toml"
IMAGE_SETTING = "cellprofiler.image in cpengine.toml"
VARIABLE = "CPENGINE_CELLPROFILER"
IMAGE_VARIABLE = "CPENGINE_CELLPROFILER_IMAGE"
INSTALLED = "installed by cpengine"
ON_PATH = "cellprofiler on PATH"
JAVA_NOTE = "JAVA_HOME"  # file in an installed environment: the JDK it was built with

_ASK = (
    "import sys; sys.path.pop(0); from importlib.metadata import version;"
    "print(version('cellprofiler'))"
)
_VERSION = re.compile(r"\d+\.\d+\S*")
_START_S = 120  # a start takes 7 s; a cold network disk or container far more
_FETCH_S = 1800  # an image by its address is fetched and unpacked first


@dataclass(frozen=True, slots=True)
class CellProfiler:
    """A CellProfiler that answered; `python` is None when it is behind a wrapper."""

    command: tuple[str, ...]
    version: str
    origin: str
    env: Mapping[str, str] = field(default_factory=dict)
    python: Path | None = None
    container: Container | None = None
    """What command and Python are in, if they are not on this machine itself."""

    def with_blas_kernel(self, name: str | None) -> "CellProfiler":
        """The same one, computing with the kernel of that name; its own if None."""
        return replace(self, env={**self.env, BLAS_KERNEL: name}) if name else self

    def program(self, argv: Sequence[str], folder: Path, temp: Path) -> Program:
        """What is to be started for its command or Python to run.

        Parameters
        ----------
        folder, temp
            Where it runs, and where it puts temporary files.
        """
        if self.container is None:
            return Program(argv, run_environment(self.env, temp))
        running = RunningContainer(self.container)
        environ = {**container_environment(temp), **self.env}
        inside = self.container.command(
            argv, name=running.name, environ=environ, folder=folder
        )
        return Program(inside, os.environ, running)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a project file says of its CellProfiler."""

    path: str | None = None
    image: str | None = None
    runtime: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One place where CellProfiler may be and what was seen there."""

    origin: str
    place: str
    found: bool
    note: str
    container: Container | None = None


def find(
    wanted: Wanted = Wanted(), environ: Mapping[str, str] = os.environ
) -> CellProfiler:
    """The first CellProfiler of `candidates`, with its version.

    Raises CellProfilerError when there is none, when a place that was asked for by
    name has none, or when the one found does not start.
    """
    passed = []
    named = (SETTING, IMAGE_SETTING, VARIABLE, IMAGE_VARIABLE)
    for candidate in _search(wanted, environ):
        if candidate.container:
            return _contained(candidate, candidate.container, environ)
        if candidate.found:
            return _describe(candidate, environ)
        if candidate.place and candidate.origin in named:
            raise CellProfilerError(_refusal(candidate))
        passed.append(f"{candidate.origin} ({candidate.note})")
    raise CellProfilerError(
        f"CellProfiler not found; looked at: {', '.join(passed)}; "
        "get it with `cpengine cellprofiler install`"
    )


def candidates(
    wanted: Wanted = Wanted(), environ: Mapping[str, str] = os.environ
) -> list[Candidate]:
    """Every place looked at, in order; the first one found is used."""
    return list(_search(wanted, environ))


def home(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder that cpengine keeps for itself, CPENGINE_HOME if that is set."""
    chosen = environ.get("CPENGINE_HOME") or platformdirs.user_data_dir("cpengine")
    return Path(os.path.expanduser(chosen)).absolute()


def is_installed(folder: Path) -> bool:
    """Whether an environment made by cpengine is there and its Python still is."""
    programs = ("python", "cellprofiler")
    return all(os.access(folder / "bin" / name, os.X_OK) for name in programs)


def installed(folder: Path, environ: Mapping[str, str] = os.environ) -> CellProfiler:
    """The CellProfiler of an environment for which `is_installed` holds."""
    script = folder / "bin" / "cellprofiler"
    return _describe(Candidate(INSTALLED, str(script), True, "there"), environ)


def _search(wanted: Wanted, environ: Mapping[str, str]) -> Iterator[Candidate]:
    yield _named(SETTING, wanted.path)
    yield _image(IMAGE_SETTING, wanted.image, wanted.runtime, environ)
    yield _named(VARIABLE, environ.get(VARIABLE))
    image = environ.get(IMAGE_VARIABLE)
    yield _image(IMAGE_VARIABLE, image, wanted.runtime, environ)
    yield from _managed(environ)
    yield from _on_path(environ)


def _named(origin: str, text: str | None) -> Candidate:
    if not text:
        return Candidate(origin, "", False, "not set")
    place = Path(os.path.expanduser(text)).absolute()
    if not os.path.exists(place):  # unlike place.exists(), False without permission
        return Candidate(origin, str(place), False, "does not exist")
    script = place / "bin" / "cellprofiler" if os.path.isdir(place) else place
    if not os.path.exists(script):
        return Candidate(origin, str(place), False, "holds no bin/cellprofiler")
    if not os.access(script, os.X_OK):
        return Candidate(origin, str(script), False, "is not executable")
    return Candidate(origin, str(script), True, "there")


def _image(
    origin: str, image: str | None, named: str | None, environ: Mapping[str, str]
) -> Candidate:
    if not image:
        return Candidate(origin, "", False, "not set")
    if container.is_file(image):
        image = str(Path(os.path.expanduser(image)).absolute())
        if not os.path.exists(image):
            return Candidate(origin, image, False, "does not exist")
        if named not in (None, *container.FROM_FILES):
            return Candidate(origin, image, False, f"is a file, and {named} takes none")
    runtime = container.find_runtime(image, named, environ.get("PATH", ""))
    if runtime is None:
        missing = named or "a container runtime"
        return Candidate(origin, image, False, f"needs {missing} on PATH")
    used = Container(image, runtime)
    return Candidate(origin, image, True, f"by {runtime}", used)


def _managed(environ: Mapping[str, str]) -> Iterator[Candidate]:
    place = home(environ) / "cellprofiler"
    folders = [path for path in place.glob("[0-9]*") if os.path.isdir(path)]
    for folder in sorted(folders, key=_version_key, reverse=True):
        found = is_installed(folder)
        note = "there" if found else "its Python is gone"
        script = folder / "bin" / "cellprofiler"
        yield Candidate(INSTALLED, str(script), found, note)
    if not folders:
        yield Candidate(INSTALLED, str(place), False, f"none in {place}")


def _version_key(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", folder.name)]


def _on_path(environ: Mapping[str, str]) -> Iterator[Candidate]:
    nothing = True
    for folder in environ.get("PATH", "").split(os.pathsep):
        if folder and (place := shutil.which("cellprofiler", path=folder)):
            nothing = False
            yield _behind_shim(Path(place).absolute(), environ)
    if nothing:
        yield Candidate(ON_PATH, "", False, "none")


def _behind_shim(place: Path, environ: Mapping[str, str]) -> Candidate:
    """What pyenv's shim starts here and now: jobs run in folders of their own."""
    if place.parent.name != "shims":
        return Candidate(ON_PATH, str(place), True, "there")
    pyenv = shutil.which("pyenv", path=environ.get("PATH", ""))
    answer = _run([pyenv or "pyenv", "which", place.name], environ)
    if answer is None or answer.returncode != 0:
        return Candidate(ON_PATH, str(place), False, "pyenv shim, not selected")
    return Candidate(ON_PATH, answer.stdout.strip(), True, f"through {place}")


def _refusal(candidate: Candidate) -> str:
    if candidate.origin in (IMAGE_SETTING, IMAGE_VARIABLE):
        return (
            f"{candidate.origin} is {candidate.place}, which {candidate.note}; name "
            "an image and, with cellprofiler.runtime, what is to run it"
        )
    return (
        f"{candidate.origin} is {candidate.place}, which {candidate.note}; give the "
        "cellprofiler program or its environment, or leave it unset and run "
        "`cpengine cellprofiler install`"
    )


def _describe(candidate: Candidate, environ: Mapping[str, str]) -> CellProfiler:
    script = Path(candidate.place)
    version, python = _version_and_python(candidate, environ)
    return CellProfiler(
        command=(str(script),),
        version=version,
        origin=candidate.origin,
        env=_java_env(script, environ),
        python=python,
    )


def _contained(
    candidate: Candidate, image: Container, environ: Mapping[str, str]
) -> CellProfiler:
    """The CellProfiler of an image, as its script and that script's Python say."""
    answer = _run(image.probe_command(), environ, _FETCH_S)
    lines = answer.stdout.splitlines() if answer and answer.returncode == 0 else []
    if not lines:
        raise CellProfilerError(_no_start(candidate, image, answer))
    script, *text = lines
    python = _named_python(Path(script), text)
    asking = [python, "-c", _ASK] if python else [script, "--version"]
    answer = _run(image.command(asking), environ)
    version = _version_in(answer)
    if version is None and python:
        python, answer = None, _run(image.command([script, "--version"]), environ)
        version = _version_in(answer)
    if version is None:
        raise CellProfilerError(_no_start(candidate, image, answer))
    return CellProfiler(
        command=container.guarded(script),
        version=version,
        origin=candidate.origin,
        python=Path(python) if python else None,
        container=image,
    )


def _no_start(
    candidate: Candidate,
    image: Container,
    answer: subprocess.CompletedProcess[str] | None,
) -> str:
    lines = _answer_lines(answer)
    pull = "" if image.kind in container.FROM_FILES else f"`{image.kind} pull`, or "
    return (
        f"{candidate.origin}: {image.kind} ran no cellprofiler from {image.image} "
        f"({lines[-1] if lines else 'no answer'}); get the image with {pull}name "
        "another"
    )


def _version_and_python(
    candidate: Candidate, environ: Mapping[str, str]
) -> tuple[str, Path | None]:
    script = Path(candidate.place)
    if candidate.origin == INSTALLED:  # named by its version once it has started
        return script.parent.parent.name, script.parent / "python"
    python = _interpreter(script, environ)
    answer = _run([str(python), "-c", _ASK], environ) if python else None
    if answer is not None and answer.returncode == 0:
        return answer.stdout.strip(), python
    return _answered_version(candidate, environ), None


def _interpreter(script: Path, environ: Mapping[str, str]) -> Path | None:
    """The Python that a script's first lines name, or None."""
    if not os.access(script, os.R_OK):
        return None
    with script.open("rb") as stream:
        lines = [stream.readline(1024).decode(errors="replace") for _ in range(2)]
    python = _named_python(script.resolve(), lines)
    place = shutil.which(python, path=environ.get("PATH", "")) if python else None
    return Path(place) if place else None


def _named_python(script: Path, lines: Sequence[str]) -> str | None:
    """The Python that a script's first two lines name, or None."""
    first, second = (*lines, "", "")[:2]
    words = first.removeprefix("#!").split()
    if not first.startswith("#!") or not words:
        return None
    if second.startswith("'''exec'"):  # environments that can be moved
        words = [str(script.parent / "python")]
    elif Path(words[0]).name == "env":
        words = words[1:]
    if not words or not Path(words[0]).name.startswith("python"):
        return None
    return words[0]


def _answered_version(candidate: Candidate, environ: Mapping[str, str]) -> str:
    answer = _run([candidate.place, "--version"], environ)
    if version := _version_in(answer):
        return version
    lines = _answer_lines(answer)
    last = lines[-1] if lines else "no answer"
    raise CellProfilerError(
        f"{candidate.origin}: {candidate.place} --version gave no version ({last}); "
        "get one that starts with `cpengine cellprofiler install`"
    )


def _version_in(answer: subprocess.CompletedProcess[str] | None) -> str | None:
    """The last line of an answer that is a version, if it ended well."""
    versions = [line for line in _answer_lines(answer) if _VERSION.fullmatch(line)]
    good = answer is not None and answer.returncode == 0
    return versions[-1] if good and versions else None


def _answer_lines(answer: subprocess.CompletedProcess[str] | None) -> list[str]:
    """The lines of an answer that hold something."""
    lines = (answer.stdout + answer.stderr).split("\n") if answer else []
    return [line.strip() for line in lines if line.strip()]


def _java_env(script: Path, environ: Mapping[str, str]) -> dict[str, str]:
    if environ.get("JAVA_HOME"):
        return {}
    built_with = ""
    with contextlib.suppress(OSError, ValueError):  # damaged is as good as none
        built_with = (script.parent.parent / JAVA_NOTE).read_text().strip()
    if built_with and os.path.isdir(built_with):
        return {"JAVA_HOME": built_with}
    found = find_java_home(environ)
    return {"JAVA_HOME": str(found)} if found else {}


def _run(
    command: Sequence[str], environ: Mapping[str, str], within_s: float = _START_S
) -> subprocess.CompletedProcess[str] | None:
    """What a program answered, or None when it could not run or took too long."""
    try:
        return subprocess.run(
            command,
            env=own_python(environ),
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=within_s,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
