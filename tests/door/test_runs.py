"""What plain CellProfiler runs, cpengine runs, with the same files."""

from pathlib import Path

import pytest

from cpengine.cellprofiler.find import CellProfiler
from cpengine.cellprofiler.pool import Hosts
from cpengine.model import Job
from cpengine.project import Project
from tests.door import running
from tests.door.cases import Case
from tests.door.old_pipelines import PIPELINES
from tests.door.running import Plain, Ran
from tests.door.tables import TABLES
from tests.real.compare import differing, image_rows, without

pytestmark = pytest.mark.cellprofiler
CASES = [*TABLES, *PIPELINES]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_plain_cellprofiler_runs_gives_the_same_files(
    case: Case,
    images: Path,
    plain: Plain,
    cellprofiler: CellProfiler,
    hosts: Hosts,
    tmp_path: Path,
) -> None:
    built = case.build(tmp_path, images, plain)
    theirs = plain.run_case(built)
    assert (theirs.code, theirs.done) == (0, "Complete"), theirs.log[-2000:]
    assert theirs.files

    code, found = running.check(tmp_path)
    assert running.errors(found) == []
    assert code == 0
    project = Project.load(tmp_path)
    jobs = running.run(project, cellprofiler, hosts)
    job = _of_group(jobs, case.g)
    assert differing(project.places.outputs.path(job.destination), theirs.output) == []


def _of_group(jobs: list[Job], g: str) -> Job:
    """The job that has the group of a plain run; without one there is but one job."""
    if not g:
        (job,) = jobs
        return job
    group = dict(pair.split("=", 1) for pair in g.split(",") if pair)
    found = [job for job in jobs if dict(job.group) == group]
    assert len(found) == 1, [job.group for job in jobs]
    return found[0]


def test_there_are_enough() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 42


def test_forked_runs_are_those_of_the_command(
    images: Path, plain: Plain, tmp_path: Path
) -> None:
    """The corpus' plain runs are forked, to save time: the command itself agrees."""
    for number, case in enumerate((CASES[0], PIPELINES[0])):
        built = case.build(tmp_path / str(number), images, plain)
        ran: list[Ran] = [plain.run_case(built), plain.run_case(built, forked=False)]
        assert [each.done for each in ran] == ["Complete"] * 2
        assert differing(ran[0].output, ran[1].output) == []


def test_a_whole_table_is_mapped_as_groups_are(
    images: Path,
    plain: Plain,
    cellprofiler: CellProfiler,
    hosts: Hosts,
    tmp_path: Path,
) -> None:
    case = next(case for case in CASES if case.name == "no groups")
    theirs = plain.run_case(case.build(tmp_path / "plain", images, plain))
    built = case.build(tmp_path / "mapped", images, plain)
    table = built.folder / built.table_place
    table.write_text(table.read_text().replace(str(images), "/gone"))
    toml = built.folder / "cpengine.toml"
    toml.write_text(f'{toml.read_text()}[storage.map]\n"/gone" = "{images}"\n')
    project = Project.load(built.folder)
    (job,) = running.run(project, cellprofiler, hosts)
    ours = project.places.outputs.path(job.destination)
    places = ("PathName_", "URL_", "ExecutionTime_")
    mine, yours = (
        [
            without(row, places)
            for row in image_rows((folder / "Image.csv").read_bytes())
        ]
        for folder in (ours, theirs.output)
    )
    assert mine == yours
