"""A corrected well in a shared folder: the files of the wrong one can be used again."""

import json
from pathlib import Path

import pytest

from cpengine.ledger.claims import Claims
from cpengine.ledger.heartbeat import Heartbeat
from cpengine.ledger.ledger import Ledger
from cpengine.ledger.run_record import now
from tests import build
from tests.build import Built, change
from tests.cli.test_cli import built as project
from tests.cli.test_cli import call, faults, tool

__all__ = ["project"]

SHARED = '[steps.analysis]\noutput_structure = "Metadata_Plate"\n'
REFUSED = "P1/Image.csv was made by P1-A02-1 already"


@pytest.fixture
def built(project: Built) -> Built:
    """Two plates with a job each, whose folder has the files of all its wells."""
    made = build.project(
        project.root.parent / "two",
        plates=("P1", "P2"),
        wells=("A02",),
        sites=("1",),
        toml=SHARED,
    )
    faults(made, {})
    assert call("run", "analysis", "-C", made.root).exit_code == 0
    return made


def corrected(built: Built) -> None:
    """Give the first plate's rows their true well; files are named after images."""
    change(built.csv, "P1,A02", "P1,A03")


def ledger(built: Built) -> Ledger:
    made = built.project()
    return made.ledger(made.step("analysis"))


def owners(built: Built) -> dict[str, str]:
    """Who owns the Image.csv of each plate."""
    folder = built.root / "projects/proj/workspace/cpengine/.claims"
    text = [path.read_text() for path in folder.glob("*/Image.csv")]
    ids = (owner.removeprefix("B1/analysis ") for owner in text)
    return {job_id.partition("-")[0]: job_id for job_id in ids}


def test_a_corrected_well_runs_at_once(built: Built) -> None:
    corrected(built)
    result = call("run", "analysis", "-C", built.root)
    assert result.exit_code == 0, result.stderr
    assert "2 file names of jobs of the past can be used again" in result.stderr
    assert owners(built) == {"P1": "P1-A03-1", "P2": "P2-A02-1"}
    assert set(ledger(built).markers()) == {"P1-A03-1", "P2-A02-1"}
    verified = call("status", "-C", built.root, "--verify")
    assert verified.exit_code == 0, verified.stdout


ONE_PLATE = ("[project]\n", '[project]\nplates = ["P1"]\n')
LAYOUT = (SHARED, f'{SHARED}groups = "layout"\n[plate]\nwells = ["A03"]\n')


@pytest.mark.parametrize(
    ("options", "settings"),
    [(("--plate", "P1"), ()), ((), (ONE_PLATE,)), ((), (ONE_PLATE, LAYOUT))],
)
def test_jobs_that_are_not_asked_for_exist_all_the_same(
    options: tuple[str, ...], settings: tuple[tuple[str, str], ...], built: Built
) -> None:
    corrected(built)
    for setting in settings:
        change(built.toml, *setting)
    result = call("run", "analysis", "-C", built.root, *options)
    assert result.exit_code == 0, result.stderr
    assert owners(built) == {"P1": "P1-A03-1", "P2": "P2-A02-1"}
    assert set(ledger(built).markers()) == {"P1-A03-1", "P2-A02-1"}


def test_nothing_gives_way_where_all_jobs_cannot_be_known(built: Built) -> None:
    corrected(built)
    other = built.csv.parent.parent / "P2" / built.csv.name
    other.write_text("no,table\n")
    result = call("run", "analysis", "-C", built.root, "--plate", "P1")
    assert result.exit_code == 1
    assert REFUSED in result.stderr
    assert owners(built)["P1"] == "P1-A02-1"


def on_aws(built: Built) -> None:
    """Workers of an earlier run may be at it, with no driver."""
    there = ledger(built)
    record = {"app": "proj_Analysis", "started": now()}
    there.storage.write(f"{there.folder}/aws.json", json.dumps(record).encode())


def test_while_others_may_be_at_it_nothing_gives_way(built: Built) -> None:
    corrected(built)
    on_aws(built)
    result = call("run", "analysis", "-C", built.root)
    assert result.exit_code == 1
    assert REFUSED in result.stderr
    assert owners(built)["P1"] == "P1-A02-1"


def test_once_the_other_run_has_ended_the_same_command_heals(built: Built) -> None:
    corrected(built)
    with Heartbeat(ledger(built), "20260101T000000Z-0000", [], lambda: "1/2 done"):
        assert call("run", "analysis", "-C", built.root).exit_code == 1
    assert call("run", "analysis", "-C", built.root).exit_code == 0
    assert owners(built)["P1"] == "P1-A03-1"


def test_steps_with_folders_a_job_are_not_read_for_it(
    project: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("run", "analysis", "-C", project.root).exit_code == 0
    change(project.csv, "A02,1", "A03,1")
    monkeypatch.setattr(Claims, "owners", None)
    assert call("run", "analysis", "-C", project.root).exit_code == 0


def test_nor_are_shared_folders_where_nothing_tells_of_such_jobs(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    (marker,) = ledger(built).markers()["P1-A02-1"]
    ledger(built).remove(marker)
    monkeypatch.setattr(Claims, "owners", None)
    assert call("run", "analysis", "-C", built.root).exit_code == 0


@pytest.fixture
def named(project: Built) -> Built:
    """A plate of two wells, whose files are named after images."""
    made = build.project(
        project.root.parent / "named", wells=("A02", "A03"), sites=("1",), toml=SHARED
    )
    name = '__import__("csv").DictReader(open(data))'
    name = f'[r["FileName_OrigDNA"] for r in {name} if group.items() <= r.items()][0]'
    stand_in = tool(made) / "cellprofiler"
    change(stand_in, '(out / "Image.csv").write_text', f"(out / {name}).write_text")
    faults(made, {})
    assert call("run", "analysis", "-C", made.root).exit_code == 0
    return made


def test_swapped_wells_are_right_once_the_command_is_run_again(named: Built) -> None:
    for old, new in [("A02", "X"), ("A03", "A02"), ("X", "A03")]:
        change(named.csv, f"P1,{old}", f"P1,{new}")
    first, *others = (call("run", "analysis", "-C", named.root) for _ in range(2))
    assert "or run again, if the table was corrected" in first.stderr
    if others[0].exit_code:  # one was just removing the file that the other wanted
        others = [call("run", "analysis", "-C", named.root)]
    assert (first.exit_code, others[0].exit_code) == (1, 0)
    verified = call("status", "-C", named.root, "--verify")
    assert verified.exit_code == 0, verified.stdout
    step = named.project().step("analysis")
    for image, well in {"A02_1.tif": "A03", "A03_1.tif": "A02"}.items():
        text = (named.root / step.output / "P1" / image).read_text()
        assert f"Metadata_Well={well}" in text
