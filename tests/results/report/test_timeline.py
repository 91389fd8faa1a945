"""When jobs ran: idle time is cut out, each job has a lane and a bar."""

import re

from cpengine.results.report import timeline
from cpengine.results.report.facts import Ran
from cpengine.results.report.timeline import WIDTH, Axis, Lanes


def ran(
    number: int,
    started: float,
    running: float,
    *,
    waiting: float = 0.0,
    host: str = "one",
    precise: bool = True,
    failed: bool = False,
) -> Ran:
    return Ran(
        number=number,
        failed=failed,
        started=started,
        precise=precise,
        wall_s=waiting + running,
        phase_s=(0.0, waiting, 0.0, running, 0.0),
        module_s=running,
        slowest="1 LoadData",
        cpu_s=running,
        peak_memory=1,
        attempt=1,
        host=host,
    )


def test_jobs_that_follow_each_other_share_a_lane() -> None:
    found = Lanes.of([ran(0, 0, 10), ran(1, 1, 5), ran(2, 6, 5), ran(3, 10, 5)])
    assert found.numbers == [0, 1, 1, 0]
    assert found.hosts == {"one": 2}


def test_machines_have_lanes_of_their_own() -> None:
    found = Lanes.of([ran(0, 0, 9, host="b"), ran(1, 1, 9, host="a"), ran(2, 2, 9)])
    assert found.hosts == {"a": 1, "b": 1, "one": 1}
    assert found.numbers == [1, 0, 2]


def test_starts_known_to_the_second_may_overlap_by_one() -> None:
    jobs = [ran(0, 0, 8.6, precise=False), ran(1, 8, 5, precise=False)]
    assert Lanes.of(jobs).hosts == {"one": 1}
    assert Lanes.of([ran(0, 0, 8.6), ran(1, 8, 5)]).hosts == {"one": 2}


def test_slots_are_those_of_cellprofiler_and_not_of_jobs_that_wait() -> None:
    jobs = [ran(0, 0, 10), ran(1, 0, 10, waiting=10), ran(2, 0, 10, waiting=20)]
    assert timeline.slots(jobs) == {"one": 1}
    assert Lanes.of(jobs).hosts == {"one": 3}


def test_long_idle_time_is_cut_out_of_the_axis() -> None:
    axis = Axis.of([ran(0, 0, 1000), ran(1, 100_000, 1000)])
    first, second = axis.segments
    assert axis.busy_s == 2000
    assert (first.at, second.at + second.width) == (0, WIDTH)
    assert first.width == second.width
    assert second.at - first.width < WIDTH / 40
    assert axis.at(50_000) == second.at
    assert axis.at(100_500) == second.at + round(second.width / 2)


def test_short_idle_time_stays() -> None:
    axis = Axis.of([ran(0, 0, 10), ran(1, 100, 10)])
    assert len(axis.segments) == 1
    assert axis.busy_s == 20


def test_an_axis_without_time_has_a_place_for_all() -> None:
    assert Axis.of([ran(0, 5, 0)]).at(5) == 0


def bars(path: str) -> list[tuple[int, ...]]:
    found = re.findall(r"M(\d+) (\d+)h(\d+)v(\d+)h-\d+z", path)
    assert found
    return [tuple(map(int, bar)) for bar in found]


def test_each_phase_is_drawn_where_it_was() -> None:
    jobs = [ran(0, 0, 50, waiting=50), ran(1, 0, 100)]
    found = timeline.paths(jobs, Lanes.of(jobs), Axis.of(jobs))
    assert set(found) == {"waiting", "running"}
    assert bars(found["waiting"]) == [(0, 1, WIDTH // 2, 8)]
    assert bars(found["running"]) == [
        (WIDTH // 2, 1, WIDTH // 2, 8),
        (0, 11, WIDTH, 8),
    ]


def test_a_failed_job_has_one_bar_over_the_whole_lane() -> None:
    jobs = [ran(0, 0, 50, waiting=50, failed=True)]
    found = timeline.paths(jobs, Lanes.of(jobs), Axis.of(jobs))
    assert list(found) == ["failed"]
    assert bars(found["failed"]) == [(0, 0, WIDTH, 10)]
