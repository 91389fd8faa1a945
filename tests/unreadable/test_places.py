"""Folders that cannot be written, or cannot be at all: a line, and nothing made."""

import io
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner, Result

from cpengine.cellprofiler import find
from cpengine.cli import app
from cpengine.demo.make import Size, cells_per_well, make
from cpengine.errors import ConfigError, InputError, StorageError
from cpengine.project import Project
from tests.unreadable.damage import ANY
from tests.unreadable.screen import STEP, Screen, program
from tests.unreadable.test_matrix import sane

NOBODY = 65534
SMALL = Size(plates=1, wells=1, sites=1, pixels=128, planes=1)


def call(*arguments: object) -> Result:
    return sane(CliRunner().invoke(app, list(map(str, arguments))))


def as_nobody(do: Callable[[], Any]) -> Any:
    """What something gives that another user does, who may write nothing of ours."""
    reading, writing = os.pipe()
    if not os.fork():
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        with os.fdopen(writing, "wb") as out:
            try:
                pickle.dump(do(), out)
            finally:
                out.flush()
                os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as found:
        given = pickle.load(found)
    os.wait()
    return given


IMPOSSIBLE = {
    "a file in the way": lambda root: root / "file/new",
    "a file": lambda root: root / "file",
    "a name that is too long": lambda root: root / ("a" * 300),
    "a path that is too long": lambda root: root / "/".join(["a" * 200] * 30),
    "a NUL": lambda root: f"{root}/a\0b",
    "no such disk": lambda root: "/proc/new",
    "a device": lambda root: "/dev/null/new",
    "a link to itself": lambda root: root / "link/new",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "link")
    return tmp_path


@pytest.mark.parametrize("kind", IMPOSSIBLE)
def test_init_says_where_it_cannot_write(root: Path, kind: str) -> None:
    place = IMPOSSIBLE[kind](root)
    result = call("init", place)
    assert result.exit_code == 2
    if kind != "a NUL":  # of which the option itself tells
        place = f"{place}/cpengine.toml"
        assert result.stderr.startswith(f"error: {place}: cannot be written (")
        assert "name another folder" in result.stderr
    assert sorted(path.name for path in root.iterdir()) == ["file", "link"]
    assert (root / "file").read_text() == "mine"


@pytest.mark.parametrize("kind", IMPOSSIBLE)
def test_a_demo_says_where_it_cannot_write(root: Path, kind: str) -> None:
    place = IMPOSSIBLE[kind](root)
    with pytest.raises((StorageError, ConfigError)) as raised:
        make(Path(place), SMALL, lambda done, total: None)
    assert str(raised.value).startswith(f"{place}: ")


@pytest.mark.parametrize("kind", IMPOSSIBLE)
def test_a_project_is_where_none_can_be(root: Path, kind: str) -> None:
    for option in (IMPOSSIBLE[kind](root), f"{IMPOSSIBLE[kind](root)}/cpengine.toml"):
        result = call("status", "-C", option)
        assert result.exit_code == 2
        assert str(option) in result.stderr or "\0" in str(option)


@pytest.mark.parametrize("root_", ["~nosuchuser/x", "/proc/1/root/../x", "a" * 300])
def test_init_with_a_root_that_cannot_be(tmp_path: Path, root_: str) -> None:
    call("init", tmp_path / "new", "--root", root_)
    result = call("check", "-C", tmp_path / "new")
    assert result.exit_code == 2
    assert "storage.root" in result.stderr


@pytest.fixture
def readable(ran: Screen, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a copy of the plate that others may read, but not change."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        shutil.copytree(ran.root, Path(folder) / "project")
        monkeypatch.setenv("CPENGINE_CELLPROFILER", str(program(Path(folder))))
        yield Path(folder)


def test_another_user_may_not_write(readable: Path) -> None:
    """Who may read looks; what cannot be written is said in a line."""
    if os.getuid() != 0:
        assert "CI" not in os.environ
        pytest.skip("only root may be somebody else")
    project = Screen(readable / "project")
    commands = {
        f"status {STEP} --verify": 0,
        f"plan {STEP}": 0,
        f"logs {STEP} P1-A01": 0,
        "attach": 1,
        f"report {STEP}": 2,
        f"qc {STEP}": 2,
        f"montage {STEP}": 2,
        f"run {STEP}": 2,
    }
    for command in commands:  # so that all that it imports is there
        sane(project.call(*command.split()))

    def results() -> list[tuple[str, int, str, str]]:
        called = {c: project.call(*c.split()) for c in commands}
        return [
            (command, result.exit_code, result.output, repr(result.exception))
            for command, result in called.items()
        ]

    for command, code, output, error in as_nobody(results):
        assert (command, code) == (command, commands[command]), (output, error)
        assert code != 2 or "ermission denied" in output


# What a demo left


@pytest.mark.parametrize("kind", ANY)
def test_a_damaged_image_of_a_demo_is_made_again(tmp_path: Path, kind: str) -> None:
    make(tmp_path, SMALL, lambda done, total: None)
    image = min(tmp_path.rglob("*.tiff"))
    whole = image.read_bytes()
    image.write_bytes(ANY[kind](whole))
    make(tmp_path, SMALL, lambda done, total: None)
    other_size = len(ANY[kind](whole)) != len(whole)
    assert (image.read_bytes() == whole) >= other_size


def test_a_demo_that_was_killed_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, replace(SMALL, sites=2), killed)
    make(tmp_path, replace(SMALL, sites=2), lambda done, total: None)
    assert len(Project.load(tmp_path).plan("analysis").jobs) == 2


@pytest.mark.parametrize(
    "text",
    ["", "a,b\n1,2\n", "Metadata_Plate,Metadata_Well,Count_Cells\nP1,A01\n"]
    + [f"Metadata_Plate,Metadata_Well,Count_Cells\nP1,A01,{n}\n" for n in ("x", "inf")],
)
def test_counts_of_a_demo_cannot_be_read(tmp_path: Path, text: str) -> None:
    make(tmp_path, SMALL, lambda done, total: None)
    project = Project.load(tmp_path)
    (job,) = project.plan("analysis").jobs
    project.places.outputs.write(f"{job.destination}/Image.csv", text.encode())
    if text:
        with pytest.raises(InputError, match=r"Image\.csv: is damaged: run analysis"):
            cells_per_well(project)
    else:
        assert cells_per_well(project) == {}


# Pictures


PICTURES = {
    "one value": np.uint16(3).reshape(1, 1),
    "complex numbers": np.ones((4, 4), np.complex64),
    "seven planes": np.ones((7, 4, 4), np.uint16),
}
WITHOUT = {
    "no pixels": (256, 257),
    "no pixels across": (256,),
    "no pixels down": (257,),
}
"""Pictures whose width, height or both are 0."""


def without_pixels(tags: Sequence[int]) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, np.ones((8, 8), np.uint16), metadata=None, software=False)
    file.seek(0)
    with tifffile.TiffFile(file) as made:
        offsets = [made.pages.first.tags[tag].valueoffset for tag in tags]
    data = bytearray(file.getvalue())
    for offset in offsets:
        data[offset : offset + 2] = b"\0\0"
    return bytes(data)


@pytest.mark.parametrize("kind", WITHOUT)
def test_a_picture_without_pixels_is_named(project: Screen, kind: str) -> None:
    image = project.find("projects/proj/B1/images/P1/A01_1.tif")
    image.write_bytes(without_pixels(WITHOUT[kind]))
    result = sane(project.call("montage", STEP, "--channel", "OrigDNA"))
    assert result.exit_code == 1
    assert f"{image}: cannot be read as a picture (" in result.stderr
    assert "OrigDNA: 2 pictures, 1 unreadable" in result.stdout


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_of_an_unusual_form_ends_no_montage(
    project: Screen, kind: str
) -> None:
    image = project.find("projects/proj/B1/images/P1/A01_1.tif")
    tifffile.imwrite(image, PICTURES[kind])
    result = sane(project.call("montage", STEP, "--channel", "OrigDNA"))
    assert result.exit_code in (0, 1)
    assert "P1 OrigDNA: " in result.stdout


# The record of an installed CellProfiler


@pytest.mark.parametrize("note", [b"", b"\xff\xfe", b"/no/such\n", b"a\0b", b"\n"])
def test_where_java_was_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, note: bytes
) -> None:
    script = tmp_path / "4.2.8.1/bin/cellprofiler"
    script.parent.mkdir(parents=True)
    (script.parent.parent / find.JAVA_NOTE).write_bytes(note)
    java = tmp_path / "java/bin/java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\n")
    java.chmod(0o755)
    environ = {"PATH": str(java.parent)}
    assert find._java_env(script, environ) == {"JAVA_HOME": str(tmp_path / "java")}
