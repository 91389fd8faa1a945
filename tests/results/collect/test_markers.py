"""Only what the markers of jobs name is collected, and from where they say."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cpengine.errors import InputError
from cpengine.results.collect import record
from cpengine.results.collect.collector import Collector
from cpengine.results.collect.plate_csvs import PlateCsvs
from tests import build
from tests.publishing import set_aside
from tests.results.collect.screen import Screen, cells, compartments, csv_of

JOBS = ("P1-A01-1", "P1-A01-2", "P1-A02-1", "P1-A02-2")
NEW_PLACE = "projects/proj/workspace/analysis_v2"


def all_done(screen: Screen, start: int = 0, *without: str) -> None:
    for n, job in enumerate(JOBS):
        files = compartments(start + 1000 * n, n + 1)
        screen.done(job, {k: v for k, v in files.items() if k not in without})


def forget(screen: Screen) -> None:
    """Remove all markers."""
    ledger = screen.project.step("analysis").ledger
    shutil.rmtree(screen.project.places.outputs.path(f"{ledger}/markers"))


def record_of(screen: Screen, table: str = "Cells") -> dict[str, Any]:
    metadata = screen.table(table).schema.metadata[record.KEY.encode()]
    return dict(json.loads(metadata))


def refused(screen: Screen, plate: PlateCsvs, tell: Any = lambda read: None) -> str:
    collector = Collector(screen.project.places.outputs, screen.scratch)
    with pytest.raises(InputError) as caught:
        collector.collect(plate, tell)
    (line,) = str(caught.value).splitlines()
    return line


# Which files


def test_a_table_of_an_earlier_run_that_no_marker_names_is_not_taken(
    screen: Screen,
) -> None:
    all_done(screen)
    forget(screen)
    all_done(screen, 5000, "Cytoplasm.csv")
    made = screen.collect()
    assert set(made.files) == {"Cells", "Nuclei", "Image"}
    assert not any("Cytoplasm.csv" in note for note in made.notes)
    assert "P1_Cytoplasm.parquet" not in screen.files()


def test_tables_of_another_prefix_that_no_marker_names_are_not_taken(
    screen: Screen,
) -> None:
    all_done(screen)
    forget(screen)
    for n, job in enumerate(JOBS):
        new = compartments(5000 + 1000 * n, n + 1)
        screen.done(job, {f"MyExpt_{name}": text for name, text in new.items()})
    made = screen.collect()
    assert made.notes == ()
    assert screen.rows()[0]["Cells_AreaShape_Area"] == 5001.0


def test_a_job_whose_marker_names_no_csv_is_left_out(screen: Screen) -> None:
    all_done(screen)
    forget(screen)
    for job in JOBS[:3]:
        screen.done(job, compartments(0))
    screen.done(JOBS[3], {"outlines/a.png": "picture"})
    made = screen.collect()
    assert made.plate.left_out == {"without CSVs": 1}
    assert "1 job left out: published no CSV of images or objects" in made.notes
    assert len(screen.rows("Image")) == 3


def test_a_plate_whose_markers_name_no_csv_is_refused(screen: Screen) -> None:
    all_done(screen)
    forget(screen)
    for job in JOBS:
        screen.done(job, {"outlines/a.png": "picture"})
    (plate,) = screen.plates()
    assert "published no CSV of images or objects" in refused(screen, plate)
    assert screen.files() == []


def test_of_jobs_that_distributed_cellprofiler_ran_all_csvs_are_taken(
    tmp_path: Path,
) -> None:
    toml = "[steps.analysis.dcp_done]\nexpected_number_files = 4\n"
    screen = Screen(build.project(tmp_path / "p", toml=toml).project(), tmp_path)
    all_done(screen)
    forget(screen)
    assert screen.collect().files[""].rows == 12
    assert record_of(screen)["jobs"][JOBS[0]].startswith("dcp~")


def test_tables_that_files_of_an_older_format_had_too_many_are_removed(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_done(screen)
    monkeypatch.setattr(record, "FORMAT", record.FORMAT - 1)
    monkeypatch.setattr(record.CollectRecord.__init__, "__defaults__", ((), 2))
    screen.collect()
    assert record_of(screen)["format"] == 2
    monkeypatch.undo()
    forget(screen)
    all_done(screen, 0, "Cytoplasm.csv")
    assert screen.collect().made
    assert record_of(screen)["format"] == record.FORMAT
    assert "P1_Cytoplasm.parquet" not in screen.files()


# From where


@pytest.fixture
def elsewhere(tmp_path: Path) -> Screen:
    """A screen that was run, run again to another place, and set back."""
    return moved(tmp_path, NEW_PLACE)


def moved(tmp_path: Path, place: str) -> Screen:
    built = build.project(tmp_path / "project")
    text = built.toml.read_text()
    screen = Screen(built.project(), tmp_path)
    all_done(screen)
    forget(screen)
    built.toml.write_text(f'{text}[steps.analysis]\noutput = "{place}"\n')
    all_done(Screen(built.project(), tmp_path), 5000)
    built.toml.write_text(text)
    return Screen(built.project(), tmp_path)


def test_results_are_read_from_where_their_marker_says(elsewhere: Screen) -> None:
    made = elsewhere.collect()
    assert elsewhere.rows()[0]["Cells_AreaShape_Area"] == 5001.0
    assert made.notes == (
        f"4 jobs stale, and taken from {NEW_PLACE}: its input or output place changed "
        "since it was done",
    )
    job = elsewhere.jobs[JOBS[0]]
    names = elsewhere.project.ledger(elsewhere.project.step("analysis")).markers()
    (name,) = names[job.id]
    made_of = name.removeprefix(f"{job.id}~").removesuffix(".done")
    assert record_of(elsewhere)["jobs"][job.id].startswith(f"{made_of}~")
    assert not elsewhere.collect().made


def test_jobs_of_several_places_are_taken_together(elsewhere: Screen) -> None:
    forget_one = elsewhere.project.ledger(elsewhere.project.step("analysis"))
    for name in forget_one.markers()[JOBS[3]]:
        forget_one.remove(name)
    elsewhere.done(JOBS[3], compartments(3000, 4))
    elsewhere.collect()
    areas = [row["Cells_AreaShape_Area"] for row in elsewhere.rows()]
    assert areas[::3] == [5001.0, 6001.0, 7001.0, 3001.0]


def test_results_that_are_gone_from_their_place_are_not_taken_from_another(
    elsewhere: Screen,
) -> None:
    shutil.rmtree(elsewhere.project.places.outputs.path(NEW_PLACE))
    with pytest.raises(InputError, match=f"done in {NEW_PLACE}, where no CSVs are"):
        elsewhere.plates()


def test_a_marker_that_leads_out_of_the_root_is_not_followed(tmp_path: Path) -> None:
    screen = moved(tmp_path, f"{tmp_path}/else")
    with pytest.raises(InputError, match="were done outside the outputs' root"):
        screen.plates()
    ledger = screen.project.ledger(screen.project.step("analysis"))
    for name in ledger.markers()[JOBS[0]]:
        ledger.remove(name)
    screen.done(JOBS[0], compartments(0))
    made = screen.collect()
    assert made.plate.left_out == {"with results outside the outputs' root": 3}
    assert len(screen.rows("Image")) == 1


# While a run goes on


def run_again(screen: Screen, job_id: str) -> None:
    """Replace a job's results by those of another pipeline, as a run would."""
    ledger = screen.project.ledger(screen.project.step("analysis"))
    (name,) = ledger.markers()[job_id]
    screen.done(job_id, compartments(90000, 1))
    key = f"{ledger.folder}/markers"
    data = ledger.storage.read(f"{key}/{name}")
    ledger.remove(name)
    ledger.storage.write(f"{key}/{name.replace('~v2-', '~v2-0')}", data)


def test_results_that_a_run_replaces_meanwhile_are_not_mixed(screen: Screen) -> None:
    all_done(screen)
    (plate,) = screen.plates()
    line = refused(screen, plate, lambda read: run_again(screen, JOBS[2]))
    assert line == (
        "1 job run again since they were listed (first: P1-A02-1): collect it again "
        "when the run has ended"
    )
    assert screen.files() == []
    assert list(screen.scratch.glob("cpengine-*")) == []
    assert screen.collect().made


def test_results_that_were_replaced_before_they_were_read_are_refused(
    screen: Screen,
) -> None:
    all_done(screen)
    (plate,) = screen.plates()
    run_again(screen, JOBS[1])
    assert "(first: P1-A01-2)" in refused(screen, plate)


def test_results_that_a_run_is_replacing_are_no_damage(screen: Screen) -> None:
    all_done(screen)
    (plate,) = screen.plates()
    screen.done(JOBS[0], {"Cells.csv": csv_of(cells(1, 0))})  # and not yet the others
    ledger = screen.project.ledger(screen.project.step("analysis"))
    read = ledger.storage.read

    def replaced(key: str) -> bytes:
        set_aside(ledger, plate.jobs[0].job)
        return read(key)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(ledger.storage), "read", lambda self, key: replaced(key))
        assert "1 job run again since they were listed" in refused(screen, plate)


def test_an_attempt_that_fails_meanwhile_changes_no_results(screen: Screen) -> None:
    all_done(screen)
    (plate,) = screen.plates()
    collector = Collector(screen.project.places.outputs, screen.scratch)
    assert collector.collect(plate, lambda read: screen.failed(JOBS[0])).made
