"""Pipelines that CellProfiler saved as JSON run as in plain CellProfiler."""

import json
import subprocess
from pathlib import Path

import pytest

from cpengine.cellprofiler.find import CellProfiler
from cpengine.inputs.pipeline import decode, parse
from cpengine.project import Project
from tests.plain_runs import Cpengine, local_csv, plain
from tests.real.compare import lasting

pytestmark = pytest.mark.cellprofiler

SAVE = """
import sys
from cellprofiler_core import preferences
preferences.set_headless()
from cellprofiler_core.pipeline import Pipeline
from cellprofiler_core.pipeline.io import _v5, _v6
from cellprofiler_core.utilities.core.modules import get_module_names
import cellprofiler_core.modules
source, to = sys.argv[1:]
pipeline = Pipeline()
if source:
    pipeline.load(source)
else:
    modules = pipeline.modules(False)
    for name in get_module_names():
        modules.append(Pipeline.instantiate_module(name))
        modules[-1].set_module_num(len(modules))
for suffix, version in ((".cppipe", _v5), (".json", _v6)):
    with open(to + suffix, "w") as file:
        version.dump(pipeline, file, False)
"""


def save(cellprofiler: CellProfiler, to: Path, source: Path | str = "") -> Path:
    """Save a pipeline, or all modules, as `.cppipe` and as JSON; give the latter."""
    command = [str(cellprofiler.python), "-c", SAVE, str(source), str(to)]
    subprocess.run(command, check=True, capture_output=True)
    return to.with_suffix(".json")


def project_with(pipeline: Path, plate: Project) -> None:
    """Write a project file beside a pipeline, which analyses the plate with it."""
    (pipeline.parent / "cpengine.toml").write_text(
        '[project]\nname = "demo"\nbatch = "2026_01_01_Batch1"\n'
        f'[storage]\nroot = "{plate.folder}"\noutputs = "."\n'
        f'[steps.analysis]\npipeline = "{pipeline.name}"\n'
        f'pipeline_path = "{pipeline.parent}"\n'
    )


def test_all_modules_are_read_as_from_the_text(
    cellprofiler: CellProfiler, tmp_path: Path
) -> None:
    saved = save(cellprofiler, tmp_path / "all")
    read, other = (
        parse(decode(path.read_bytes(), path.name), "")
        for path in (saved, saved.with_suffix(".cppipe"))
    )
    assert len(read.modules) > 90
    assert read == other


def test_a_job_gives_what_plain_cellprofiler_gives(
    plate: Project, cellprofiler: CellProfiler, tmp_path: Path, cpengine: Cpengine
) -> None:
    (from_text, *_) = plate.plan("analysis").jobs
    text = plate.places.workspace.path(from_text.pipeline)
    saved = save(cellprofiler, tmp_path / "analysis", text)
    project_with(saved, plate)
    group = dict(from_text.group)
    names = ("--well", group["Metadata_Well"], "--site", group["Metadata_Site"])
    ran = cpengine("run", "analysis", "-C", tmp_path, *names)
    assert ran.returncode == 0, ran.stderr
    theirs = plain(
        cellprofiler,
        tmp_path / "plain",
        pipeline=saved,
        data_file=local_csv(plate, from_text, tmp_path),
        group=group,
    )
    ours = tmp_path / from_text.destination
    files = [p.relative_to(theirs) for p in theirs.rglob("*") if p.is_file()]
    assert len(files) > 4
    for file in files:
        mine, plain_one = ((place / file).read_bytes() for place in (ours, theirs))
        if file.name == "Image.csv":
            mine = mine.replace(b"/home/ubuntu/bucket", bytes(plate.folder))
        assert lasting(str(file), mine) == lasting(str(file), plain_one)


def test_what_cellprofiler_cannot_load_is_found(
    plate: Project, cellprofiler: CellProfiler, tmp_path: Path, cpengine: Cpengine
) -> None:
    (job, *_) = plate.plan("analysis").jobs
    text = plate.places.workspace.path(job.pipeline)
    saved = save(cellprofiler, tmp_path / "analysis", text)
    saved.write_text(saved.read_text().replace('"module_path"', '"module_place"', 1))
    project_with(saved, plate)
    ran = cpengine("check", "analysis", "-C", tmp_path, "--json")
    (step,) = json.loads(ran.stdout)["steps"]
    (finding,) = step["findings"]
    assert finding["rule"] == "pipeline-does-not-load"
    assert "module_path" in finding["cause"]
