"""Jobs whose results are stale: told before they run again, or kept."""

from pathlib import Path

import pytest

from cpengine.ledger.ledger import step_ledger
from cpengine.model import Outcome
from cpengine.plates import Part
from cpengine.project import Project
from cpengine.run.session import Steps, Todo
from tests import build
from tests.build import Built, change

VERSION = "4.2.8.1"


@pytest.fixture
def built(tmp_path: Path) -> Built:
    """Four jobs, of which all but the last are done; then the pipeline is edited."""
    built = build.project(tmp_path)
    project = built.project()
    ledger = step_ledger(project, project.step("analysis"))
    for job in project.plan("analysis").jobs[:3]:
        ledger.record(Outcome(job, versions={"cellprofiler": VERSION}))
    change(built.pipeline, "Nuclei", "Cells")
    return built


def planned(project: Project, *, keep_stale: bool = False) -> Todo:
    steps = Steps(project, ["analysis"], Part(), VERSION, keep_stale=keep_stale)
    return steps.plan("analysis")


def test_jobs_that_are_run_again_are_counted_by_cause(built: Built) -> None:
    todo = planned(built.project())
    assert len(todo.jobs) == 4
    assert todo.again == {"the pipeline changed since it was done": 3}


def test_stale_results_stand_if_asked(built: Built) -> None:
    todo = planned(built.project(), keep_stale=True)
    assert [job.id for job in todo.jobs] == ["P1-A02-2"]
    assert todo.again == {}
