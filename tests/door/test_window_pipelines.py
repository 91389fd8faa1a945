"""A pipeline of CellProfiler's window, taken into a new project by `init --images`."""

import shlex
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cpengine.project import Project
from tests.door.old_pipelines import window
from tests.door.pipelines import module, written
from tests.door.running import Plain
from tests.plain_runs import Cpengine
from tests.real.compare import differing

pytestmark = pytest.mark.cellprofiler
GROUPED = ("Plate", "Well")
TEXT = "Experiment.csv"
"""It has the text of the pipeline, to which CreateBatchFiles was added."""


def init(cpengine: Cpengine, folder: Path, images: Path, text: str) -> tuple[int, str]:
    (folder / "focus.cppipe").write_text(text)
    ran = cpengine(
        *("init", folder / "screen", "--name", "scr", "--batch", "B1"),
        *("--images", images / "named"),
        *("--pipeline", f"analysis={folder / 'focus.cppipe'}"),
    )
    return ran.returncode, ran.stdout + ran.stderr


@pytest.mark.parametrize("tags", [GROUPED, ()], ids=["grouped", "not grouped"])
def test_results_are_those_of_the_plain_command_on_the_list_of_files(
    images: Path,
    plain: Plain,
    cpengine: Cpengine,
    tmp_path: Path,
    tags: Sequence[str],
) -> None:
    code, output = init(cpengine, tmp_path, images, written(window(tags)))
    assert code == 0, output
    files = sorted((images / "named").iterdir())
    (tmp_path / "files.txt").write_text("".join(f"{path}\n" for path in files))
    project = tmp_path / "screen"
    ran = cpengine("run", "analysis", "-C", project, "--workers", "1")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    jobs = Project.load(project).plan("analysis").jobs
    assert len(jobs) == (4 if tags else 1)
    given = ["-p", str(tmp_path / "focus.cppipe")]
    given.append(f"--file-list={tmp_path / 'files.txt'}")
    for job in jobs:
        theirs = plain.run(*given, group=job.metadata if tags else "")
        assert theirs.done == "Complete", theirs.log
        assert "Image.csv" in theirs.files
        assert set(differing(project / job.destination, theirs.output)) <= {TEXT}


def test_a_changed_pipeline_is_taken_anew(
    images: Path, cpengine: Cpengine, tmp_path: Path
) -> None:
    code, output = init(cpengine, tmp_path, images, written(window(GROUPED)))
    assert code == 0, output
    pipeline, project = tmp_path / "focus.cppipe", tmp_path / "screen"
    (line,) = [x for x in output.splitlines() if "; after a change: " in x]
    words = shlex.split(line.partition("; after a change: ")[2])[1:]
    assert words[:2] == ["loaddata", str(images / "named")]
    before = {job.fingerprint for job in Project.load(project).plan("analysis").jobs}
    assert cpengine(*words).returncode == 0  # the same again
    pipeline.write_text(written([*window(GROUPED), *window(GROUPED)[-1:]]))
    refused = cpengine(*words[:-3], "-C", project)
    assert refused.returncode == 2
    assert "is there already, and differs: give --force" in refused.stderr
    ran = cpengine(*words)
    assert ran.returncode == 0, ran.stderr
    jobs = Project.load(project).plan("analysis").jobs
    assert len(jobs) == 4
    assert before.isdisjoint(job.fingerprint for job in jobs)
    options = cpengine(*words, "--channel", "a=b")
    assert "--pipeline: its own rules say which image is which" in options.stderr


def test_images_without_an_image_set_are_named(
    images: Path, cpengine: Cpengine, tmp_path: Path
) -> None:
    """The pipeline has its own CreateBatchFiles, which may be for another machine."""
    folder = tmp_path / "images"
    shutil.copytree(images / "named", folder / "named")
    other = folder / "named/strange.tif"
    shutil.copy(next(other.parent.iterdir()), other)
    text = written([*window(GROUPED), module("CreateBatchFiles", 8)])
    code, output = init(cpengine, tmp_path, folder, text)
    assert code == 0, output
    assert f"note: {other}: is in no image set of" in output
    assert len(Project.load(tmp_path / "screen").plan("analysis").jobs) == 4


def test_a_pipeline_that_makes_no_image_sets_is_refused_in_a_line(
    images: Path, cpengine: Cpengine, tmp_path: Path
) -> None:
    broken = [
        replace(m, name=f"No{m.name}") if m.name == "Groups" else m
        for m in window(GROUPED)
    ]
    code, output = init(cpengine, tmp_path, images, written(broken))
    assert code == 2
    announced, error = output.splitlines()
    assert announced.endswith("focus.cppipe: CellProfiler makes its image sets")
    assert "CellProfiler makes no image sets of these files" in error
    assert not (tmp_path / "screen").exists()
