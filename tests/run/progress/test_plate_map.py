"""Where wells are, and what stands where."""

import gc
import tracemalloc

import pytest

from cpengine.run.progress.plate_map import PlateMap, Plates, spot_of
from tests.run.progress.screen import WELLS_384, of, plan


def plates(*names: str, wells: list[str] = WELLS_384, sites: int = 1) -> Plates:
    found = Plates()
    for job in plan(names, wells, sites):
        found.plan(job.group)
    found.settle()
    return found


def counts(plate: PlateMap, well: str) -> tuple[int, int, int, int]:
    spot = spot_of(well)
    assert spot is not None
    return plate.well(spot)


def test_a_well_has_its_spot_on_the_largest_plate() -> None:
    assert spot_of("A01") == 0
    assert spot_of("AF48") == 32 * 48 - 1


@pytest.mark.parametrize("well", ["", "1", "A", "A0", "A49", "AG01", "well3", "A01b"])
def test_names_that_tell_no_place_are_on_no_map(well: str) -> None:
    assert spot_of(well) is None


def test_one_well_without_a_place_leaves_the_plan_without_a_map() -> None:
    assert plates("P1", wells=["A01", "B02"]).box is not None
    assert plates("P1", wells=["A01", "control"]).box is None


def test_the_map_is_as_large_as_the_wells_need() -> None:
    box = plates("P1", wells=["B03", "G11", "C02"]).box
    assert box is not None
    assert (box.rows, box.columns) == (range(1, 7), range(1, 11))


def test_a_well_counts_its_jobs_by_state() -> None:
    found = plates("P1", sites=4)
    jobs = plan(["P1"], ["B02"], 4)
    for job in jobs[:3]:
        found.started(job)
    found.stopped(jobs[0])
    found.ended(jobs[0], done=True)
    found.stopped(jobs[1])
    found.ended(jobs[1], done=False)
    (plate,) = found.in_sight()
    assert counts(plate, "B02") == (4, 1, 1, 1)
    assert counts(plate, "B03") == (4, 0, 0, 0)
    assert (plate.jobs, plate.running, plate.done, plate.failed) == (1536, 1, 1, 1)


def test_a_well_with_and_without_zeros_is_one() -> None:
    found = plates("P1", wells=["A1", "A01"])
    found.ended(of(Metadata_Plate="P1", Metadata_Well="A1"), done=True)
    (plate,) = found.in_sight()
    assert counts(plate, "A001") == (2, 0, 1, 0)


def test_what_was_done_before_is_done() -> None:
    found = Plates()
    for job in plan(["P1", "P2"], ["A01"]):
        found.plan(job.group, done=job.group[0][1] == "P1")
    found.settle()
    assert (len(found), found.over) == (2, 1)


def test_plates_with_running_jobs_come_first_then_the_last_that_was_touched() -> None:
    found = plates("P1", "P2", "P3", "P4")
    first, second, third = (
        of(Metadata_Plate=name, Metadata_Well="A01") for name in ("P1", "P2", "P3")
    )
    for job in (first, second, third):
        found.started(job)
    for job in (first, second):
        found.stopped(job)
        found.ended(job, done=True)
    assert [plate.name for plate in found.in_sight()] == ["P3", "P2", "P1"]


def test_a_job_that_is_not_in_the_plan_is_no_harm() -> None:
    found = plates("P1")
    found.started(of(Metadata_Plate="P9", Metadata_Well="A01"))
    found.ended(of(Metadata_Plate="P9", Metadata_Well="A01"), done=True)
    assert (list(found.in_sight()), found.over) == ([], 0)


def test_memory_depends_on_wells_and_not_on_jobs() -> None:
    memory = []
    for sites in (1, 9):
        gc.collect()
        tracemalloc.start()
        found = plates("P1", "P2", sites=sites)
        gc.collect()
        memory.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert len(found) == 2
    assert memory[1] < 1.1 * memory[0]
