"""Of done jobs only the pictures that their markers name are shown."""

from pathlib import Path

from cpengine.model import Outcome
from tests.results.montage.plates import STEP, made, named, project, publish

WELLS = ["A01", "A02"]


def test_pictures_of_an_earlier_run_that_no_marker_names_are_not_shown(
    tmp_path: Path,
) -> None:
    built = project(tmp_path, WELLS, ["1"])
    publish(built, WELLS, ["1"])
    publish(built, WELLS, ["1"], lambda well, site: f"{well}_s{site}_masks.png")
    there = built.project()
    for job in there.plan(STEP).jobs:
        well = dict(job.group)["Metadata_Well"]
        files = {named(well, "1"): 1}
        done = Outcome(job, files=files, versions={"cellprofiler": "4.2.8.1"})
        there.ledger(there.step(STEP)).record(done)
    assert made(built).facts["kind"] == "outlines"
