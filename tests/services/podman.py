"""A real container image with CellProfiler, made on this machine for tests.

No registry is needed: the image is an empty root file system, and Podman's own settings
give its containers this machine's /usr and CellProfiler's environment, at a place where
this machine has nothing. User, processes, network, variables and all other files are
the container's own.
"""

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cpengine.cellprofiler.find import CellProfiler

IMAGE = "localhost/cellprofiler:test"
WRAPPED = "localhost/cellprofiler:wrapped"
"""One whose `cellprofiler` does not tell its Python."""
PLACE = "/opt/cellprofiler-in-image"

_FOLDERS = ("dev", "etc", "opt", "proc", "run", "sys", "tmp", "usr", "var/tmp")
_LINKS = {name: f"usr/{name}" for name in ("bin", "lib", "lib64", "sbin")}
# What of /etc the programs in /usr need; Debian's JDK keeps its settings there.
_SETTINGS = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/java-*-openjdk")
# runc, because crun refuses the cgroups of some machines; limits that every one allows.
_CONF = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
volumes = {volumes}
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
"""
_STORAGE = """\
[storage]
driver = "vfs"
graphroot = "{folder}/images"
runroot = "{folder}/run"
"""


def podman(*arguments: str, input: bytes | None = None) -> str:
    """What a podman command says."""
    done = subprocess.run(
        ["podman", *arguments], input=input, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@contextmanager
def images(cellprofiler: CellProfiler) -> Iterator[None]:
    """Both images, in an image store of their own.

    Its path is short: with a long one, as pytest's folders have after some runs,
    `podman run` did not return when its container had ended.
    """
    _install()
    temporary = tempfile.TemporaryDirectory("podman", ignore_cleanup_errors=True)
    with temporary as folder, _store(Path(folder), cellprofiler):
        yield


@contextmanager
def _store(folder: Path, cellprofiler: CellProfiler) -> Iterator[None]:
    conf, storage = folder / "containers.conf", folder / "storage.conf"
    conf.write_text(_CONF.format(volumes=_toml(_volumes(cellprofiler))))
    storage.write_text(_STORAGE.format(folder=folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINERS_CONF", str(conf))
        patch.setenv("CONTAINERS_STORAGE_CONF", str(storage))
        java, root = _java(cellprofiler), _root_file_system()
        for name, path in ((IMAGE, f"{PLACE}/bin"), (WRAPPED, "/opt")):
            changes = [f"ENV PATH={path}:/usr/bin:/bin", f"ENV JAVA_HOME={java}"]
            options = [f"--change={line}" for line in changes]
            podman("import", *options, "-", name, input=root)
        yield
        podman("rm", "--all", "--force", "--time=0")


def _install() -> None:
    if shutil.which("podman") and shutil.which("runc"):
        return
    if os.getuid() != 0 or not shutil.which("apt-get"):
        pytest.fail("install podman and runc: only root can do so from here")
    packages = ("podman", "runc")
    get = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"]
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run(
            [*get, *step], env=environ, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()


def _java(cellprofiler: CellProfiler) -> Path:
    return Path(cellprofiler.env.get("JAVA_HOME") or os.environ["JAVA_HOME"]).resolve()


def _volumes(cellprofiler: CellProfiler) -> list[str]:
    assert cellprofiler.python is not None
    base = cellprofiler.python.resolve().parent.parent
    settings = [path for pattern in _SETTINGS for path in Path("/").glob(pattern[1:])]
    same = [Path("/usr"), *settings, base, _java(cellprofiler)]
    outside = [p for p in same if p == Path("/usr") or not p.is_relative_to("/usr")]
    environment = cellprofiler.python.parent.parent
    return [f"{environment}:{PLACE}:ro", *(f"{p}:{p}:ro" for p in outside)]


def _toml(values: list[str]) -> str:
    return "[" + ", ".join(f'"{value}"' for value in values) + "]"


def _root_file_system() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name in _FOLDERS:
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.DIRTYPE
            entry.mode = 0o1777 if name.endswith("tmp") else 0o755
            tar.addfile(entry)
        for name, target in _LINKS.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
        wrapper = f'#!/bin/sh\nexec {PLACE}/bin/cellprofiler "$@"\n'.encode()
        entry = tarfile.TarInfo("opt/cellprofiler")
        entry.mode, entry.size = 0o755, len(wrapper)
        tar.addfile(entry, io.BytesIO(wrapper))
    return made.getvalue()
