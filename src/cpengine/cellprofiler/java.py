"""Where Java is, because CellProfiler reads images with it and is built against it."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

MAC_JAVA_HOME = Path("/usr/libexec/java_home")


def find_java_home(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The folder to run CellProfiler with as JAVA_HOME, or None."""
    return next((home for home in _homes(environ) if _has_java(home)), None)


def find_jdk(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The JAVA_HOME that has the headers CellProfiler is built with, or None."""
    return next((home for home in _homes(environ) if _has_headers(home)), None)


def _homes(environ: Mapping[str, str]) -> Iterator[Path]:
    for name in ("JAVA_HOME", "CP_JAVA_HOME"):  # CellProfiler knows both
        if environ.get(name):
            yield Path(environ[name])
    for program in ("javac", "java"):  # javac first: it comes with the headers
        if place := shutil.which(program, path=environ.get("PATH", "")):
            yield Path(place).resolve().parent.parent
    if MAC_JAVA_HOME.exists():  # /usr/bin/java is a stub on macOS
        answer = subprocess.run([MAC_JAVA_HOME], capture_output=True, text=True)
        yield Path(answer.stdout.strip())


def _has_java(home: Path) -> bool:
    return os.access(home / "bin" / "java", os.X_OK)


def _has_headers(home: Path) -> bool:
    return (home / "include" / "jni.h").is_file()
