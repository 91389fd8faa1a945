"""A failure that an image is the cause of names it, its row, and what to do."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cpengine.job.stage import Staged, Stager
from cpengine.job.unreadable_images import explain
from cpengine.model import AttemptError, FailureKind
from cpengine.project import Project
from cpengine.storage.cache import Cache
from tests import build

ROW = r"load_data_with_illum\.csv:2:FileName_OrigDNA"
ARRAY_ROW = r"load_data_with_illum\.csv:2:FileName_IllumDNA"
ARRAY_ERRORS = [
    (b"no array", "ValueError: Cannot load file containing pickled data when ..."),
    (b"", "EOFError: No data left in file"),
    (b"\x93NUMPY", "ValueError: EOF: reading magic string, expected 8 bytes got 6"),
]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.load(build.project(tmp_path / "größe 'x'").root)


@pytest.fixture
def staged(project: Project, tmp_path: Path) -> Staged:
    job = project.plan("analysis").jobs[0]
    cache = Cache(tmp_path / "cache", 2**30)
    return Stager(job, project.places, cache, tmp_path / "scratch").stage()


def image_of(project: Project, ending: str) -> Path:
    """The file of the first job's image or function."""
    found = sorted(project.folder.rglob(f"*{ending}"))
    return found[0]


def failed(error: str, kind: FailureKind = FailureKind.CELLPROFILER) -> AttemptError:
    return AttemptError(kind, error, "LoadData")


def not_loaded(path: Path) -> str:
    what = "Could not load the file as an image (see log for details)"
    return str(OSError(22, what, None)).replace("None", "") + f": {bytes(path)!r}"


def test_an_image_that_is_not_loaded_is_named_with_its_row(
    project: Project, staged: Staged
) -> None:
    image = image_of(project, ".tif")
    error = failed(f"OSError: {not_loaded(image)}")
    found = explain(error, staged, project.places)
    assert (found.kind, found.module) == (FailureKind.BAD_INPUT, "LoadData")
    url = re.escape(str(image))
    words = rf"{url} cannot be read as an image \(.*{ROW}\): copy it again, or drop its"
    assert re.match(words, str(found))


@pytest.mark.parametrize(("content", "error"), ARRAY_ERRORS)
def test_a_function_that_is_no_array_is_made_again(
    content: bytes, error: str, project: Project, staged: Staged
) -> None:
    array = image_of(project, ".npy")
    array.write_bytes(content)
    found = explain(failed(error), staged, project.places)
    assert found.kind is FailureKind.BAD_INPUT
    assert re.search(rf"{ARRAY_ROW}\): run the illum step again", str(found))


@pytest.mark.parametrize(
    "error",
    [
        lambda image: failed("ValueError: zero-size array"),
        lambda image: failed(not_loaded(image.with_name("another.tif"))),
        lambda image: failed(not_loaded(image), FailureKind.CRASH),
    ],
)
def test_what_no_image_is_the_cause_of_stays_as_it_is(
    error: Callable[[Path], AttemptError], project: Project, staged: Staged
) -> None:
    for array in project.folder.rglob("*.npy"):
        np.save(array, np.ones((2, 2)))
    made = error(image_of(project, ".tif"))
    assert explain(made, staged, project.places) is made


def test_a_broken_array_is_not_blamed_for_another_error(
    project: Project, staged: Staged
) -> None:
    image_of(project, ".npy").write_bytes(b"no array")
    made = failed("ValueError: no such thing")
    assert explain(made, staged, project.places) is made


def test_an_image_that_its_disk_does_not_give_is_not_called_corrupt(
    project: Project, staged: Staged
) -> None:
    image = image_of(project, ".tif")
    image.unlink()
    image.mkdir()  # whatever it is that open and read refuse
    with pytest.raises(IsADirectoryError):
        explain(failed(not_loaded(image)), staged, project.places)
