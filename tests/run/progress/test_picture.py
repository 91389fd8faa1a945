"""The live view: what is on a terminal of which size."""

import gc
from collections.abc import Sequence

import pytest
from rich.cells import cell_len

from cpengine.events import JobEnded, JobRetried, JobStarted, ModuleDone, PhaseBegun
from cpengine.model import Job, Outcome
from cpengine.run.progress import View
from cpengine.run.progress.plate_map import PlateMap
from tests.run.progress.screen import (
    WELLS_96,
    WELLS_384,
    Clock,
    done,
    ended,
    follow,
    of,
    plan,
    shown,
    terminal,
)

SIZES = [(80, 24), (140, 50), (200, 60), (40, 12), (30, 6), (80, 3), (10, 2)]


def view(
    jobs: Sequence[Job],
    width: int = 80,
    height: int = 24,
    already: Sequence[Job] = (),
    encoding: str = "utf-8",
) -> View:
    """A view of those jobs on a terminal of that size."""
    console = terminal(width, height, encoding)
    before = [job.group for job in already]
    return View("analysis", jobs, console, before, clock=Clock())


def rows(view: View) -> dict[str, str]:
    """The rows of the first map, by their letters."""
    lines = [line.split() for line in shown(view)]
    start = next(n for n, words in enumerate(lines) if words[:1] == ["A"])
    return {words[0]: " ".join(words[1:]) for words in lines[start:] if words}


def busy(view: View, jobs: Sequence[Job], ending: int, running: int) -> View:
    """So many jobs are over, every seventh failed, and so many run."""
    for number, job in enumerate(jobs[:ending]):
        view.listen(JobStarted(job, 1))
        view.listen(ended(job, f"no {chr(97 + number % 9)} here" * (not number % 7)))
    for job in jobs[ending : ending + running]:
        view.listen(JobStarted(job, 1))
    return view


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize(("plates", "wells"), [(1, 96), (5, 96), (1, 384), (30, 384)])
def test_the_view_fits_the_terminal(
    width: int, height: int, plates: int, wells: int
) -> None:
    names = {96: WELLS_96, 384: WELLS_384}[wells]
    jobs = plan([f"BR{n:08d}" for n in range(plates)], names)
    busy_view = busy(view(jobs, width, height), jobs, len(jobs) // 2, 40)
    lines = shown(busy_view)
    assert 1 <= len(lines) < height
    assert max(map(cell_len, lines)) <= width


def test_a_plate_of_384_wells_is_whole_on_80_by_24() -> None:
    jobs = plan(["P1"], WELLS_384)
    busy_view = busy(view(jobs), jobs, 100, 8)
    letters = [line.split()[0] for line in shown(busy_view)[-16:]]
    assert letters == list("ABCDEFGHIJKLMNOP")


def test_each_state_of_a_well_has_a_character() -> None:
    jobs = plan(["P1"], ["A01", "A02", "A03", "A04", "A05", "A06", "A07"], 4)
    by_well = [jobs[first : first + 4] for first in range(0, len(jobs), 4)]
    followed = follow(
        view(jobs),
        done(*by_well[0]),
        done(*by_well[1][:3]),
        done(*by_well[2][:2]),
        done(*by_well[3][:1]),
        ended(by_well[4][0], "no"),
        done(*by_well[4][1:]),
        JobStarted(by_well[5][0], 1),
    )
    assert rows(followed)["A"] == "■ ▓ ▒ ░ ✗ ◐ ·"


def test_a_terminal_without_unicode_gets_letters() -> None:
    jobs = plan(["P1"], ["A01", "A02", "A03", "A04", "A05"], 2)
    followed = follow(
        view(jobs, encoding="ascii"),
        done(*jobs[:2]),
        done(jobs[2]),
        ended(jobs[4], "no"),
        JobStarted(jobs[6], 1),
    )
    assert rows(followed)["A"] == "# = x o ."
    assert "".join(shown(followed)).isascii()


def test_a_job_that_is_tried_again_is_left() -> None:
    (job,) = jobs = plan(["P1"], ["A01"])
    followed = follow(view(jobs), JobStarted(job, 1))
    assert rows(followed)["A"] == "◐"
    event = ended(job, "no")
    followed.listen(JobRetried(event.outcome))
    assert rows(followed)["A"] == "·"
    assert "1 tried again" in shown(followed)[1]


def test_jobs_that_were_done_before_are_done_on_the_map_and_not_in_the_counts() -> None:
    jobs = plan(["P1"], ["A01", "A02", "A03"])
    followed = follow(view(jobs[2:], already=jobs[:2]), JobStarted(jobs[2], 1))
    assert rows(followed)["A"] == "■ ■ ◐"
    assert "■ 0/1 done" in shown(followed)[1]
    assert "2 done before" in shown(followed)[1]


def test_wells_that_are_not_in_the_plan_are_blank() -> None:
    jobs = plan(["P1"], ["A1", "A3", "B2"])
    followed = follow(view(jobs), JobStarted(jobs[0], 1))
    lines = shown(followed)
    assert [line.rstrip() for line in lines[-2:]] == ["A ◐   ·", "B   ·"]


def test_columns_have_their_numbers_above_them() -> None:
    jobs = plan(["P1"], WELLS_384)
    numbers, first = shown(follow(view(jobs), JobStarted(jobs[19], 1)))[-17:-15]
    assert numbers.split() == ["1", "5", "10", "15", "20"]
    assert numbers.index("20") == first.index("◐")


def test_rows_of_1536_wells_have_two_letters() -> None:
    wells = [f"{row}{n:02d}" for row in ("A", "Z", "AA", "AF") for n in (1, 48)]
    jobs = plan(["P1"], wells)
    lines = shown(follow(view(jobs, 120, 60), JobStarted(jobs[-1], 1)))
    assert lines[-1].split() == ["AF", "·", "◐"]
    assert [line.split()[0] for line in lines[-7:]] == [
        "Z",
        *(f"A{n}" for n in "ABCDEF"),
    ]


def test_plates_with_running_jobs_are_beside_each_other_where_there_is_room() -> None:
    jobs = plan(["P1", "P2", "P3"])
    running = [JobStarted(jobs[number], 1) for number in (0, 96)]
    lines = shown(follow(view(jobs), *running))
    assert lines[-10].split() == ["P1", "0/96", "P2", "0/96"]


def test_more_plates_run_than_fit_and_the_others_have_a_line() -> None:
    names = [f"P{n}" for n in range(8)]
    jobs = plan(names, WELLS_384)
    lines = shown(follow(view(jobs), *(JobStarted(jobs[384 * n], 1) for n in range(8))))
    assert any(line.split() == ["P0", "0/384", "P1", "0/384"] for line in lines)
    tall = shown(
        follow(view(jobs, 80, 40), *(JobStarted(jobs[384 * n], 1) for n in range(8)))
    )
    assert "  ◐ P2  0/384 done, 1 running" in tall


def test_a_map_stays_where_it_is_while_its_plate_has_jobs() -> None:
    jobs = plan(["P1", "P2"])
    followed = follow(view(jobs), JobStarted(jobs[0], 1), JobStarted(jobs[96], 1))
    followed.listen(ended(jobs[0]))
    followed.listen(JobStarted(jobs[1], 1))
    assert shown(followed)[-10].split() == ["P1", "1/96", "P2", "0/96"]


def test_a_terminal_that_is_too_low_has_plates_as_lines() -> None:
    jobs = plan(["P1"], WELLS_384)
    lines = shown(follow(view(jobs, 80, 12), done(*jobs[:3]), JobStarted(jobs[3], 1)))
    assert "  ◐ P1  3/384 done, 1 running" in lines


def test_groups_without_wells_have_a_line_a_plate() -> None:
    jobs = [of(9, Metadata_Plate=f"P{n}") for n in range(12)]
    lines = shown(
        follow(
            view(jobs), done(*jobs[:5]), ended(jobs[5], "no"), JobStarted(jobs[6], 1)
        )
    )
    assert lines[2].startswith("  ✗ 1 job, first P5: bad_input: no")
    assert lines[3].split()[0] == "P6"
    assert lines[4] == "  ✗ P5  0/1 done, 1 failed"
    assert lines[5:10] == [f"  ■ P{n}  1/1 done" for n in (4, 3, 2, 1, 0)]
    assert lines[10] == "  and 6 plates more"


def test_groups_without_plates_and_wells_have_jobs_alone() -> None:
    jobs = [of(Metadata_Batch=name) for name in "ab"]
    lines = shown(follow(view(jobs), done(jobs[0]), JobStarted(jobs[1], 1)))
    assert len(lines) == 3


def test_wells_without_plates_have_one_map() -> None:
    jobs = [of(Metadata_Well=well) for well in ("A01", "A02")]
    assert rows(follow(view(jobs), done(jobs[0])))["A"] == "■ ·"


def test_a_running_job_tells_image_set_and_module() -> None:
    job = of(3, Metadata_Plate="P1", Metadata_Well="A01")
    modules = [
        ModuleDone(job, image, "MeasureTexture", number, 0.1)
        for image in (7, 8)
        for number in (1, 2, 3, 4)
    ]
    followed = follow(view([job]), JobStarted(job, 2), PhaseBegun(job, "fetching"))
    assert shown(followed)[2] == "  P1-A01  0:00:00  try 2  fetching"
    follow(followed, *modules[:6])
    assert shown(followed)[2] == (
        "  P1-A01  0:00:00  try 2  image set 2 of 3  module 2 of 4  MeasureTexture"
    )


def test_where_there_is_no_room_running_jobs_are_counted() -> None:
    jobs = plan(["P1"], WELLS_384)
    lines = shown(follow(view(jobs), *(JobStarted(job, 1) for job in jobs[:30])))
    assert lines[2].startswith("  P1-A01-1  ")
    assert "  and 28 jobs more" in lines


def test_a_thousand_failures_of_two_causes_are_two_lines() -> None:
    jobs = plan(["P1", "P2", "P3"], WELLS_384)
    followed = view(jobs)
    for number, job in enumerate(jobs[:1000]):
        text = f"/d/{number}.csv: no ER" if number % 4 else f"image {number} is broken"
        followed.listen(ended(job, text))
    assert shown(followed)[2:4] == [
        "  ✗ 750 jobs, first P1-A02-1: bad_input: /d/1.csv: no ER",
        "  ✗ 250 jobs, first P1-A01-1: bad_input: image 0 is broken",
    ]


def test_more_causes_than_there_is_room_for_are_counted() -> None:
    jobs = plan(["P1"], WELLS_96)
    followed = follow(
        view(jobs), *(ended(job, "no" * n) for n, job in enumerate(jobs, 1))
    )
    assert shown(followed)[3] == "  and 95 causes more"


def test_pace_and_time_left_are_on_the_first_line() -> None:
    jobs = plan(["P1"], WELLS_96)
    followed = view(jobs)
    clock = followed._clock
    assert isinstance(clock, Clock)
    for job in jobs[:48]:
        clock.now += 2.5
        followed.listen(JobStarted(job, 1))
        followed.listen(ended(job))
    line = shown(followed)[0]
    assert line.startswith("analysis ━━━━━━━━━━──────────  50%  ")
    assert line.endswith("24.0 image sets/min  0:02:00  ETA 0:02:00")


def test_a_name_wider_than_its_letters_still_fits() -> None:
    jobs = [of(Metadata_Plate="細胞" * 20, Metadata_Well=well) for well in WELLS_96]
    lines = shown(follow(view(jobs), JobStarted(jobs[0], 1)))
    assert max(map(cell_len, lines)) <= 80


def test_drawing_does_not_take_longer_for_more_jobs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spots: list[int] = []

    def work(sites: int) -> int:
        jobs = plan([f"P{n}" for n in range(4)], WELLS_384, sites)
        followed = follow(view(jobs), done(*jobs[:40]), JobStarted(jobs[50], 1))
        spots.clear()
        well = PlateMap.well
        with monkeypatch.context() as patch:
            patch.setattr(
                PlateMap,
                "well",
                lambda self, spot: spots.append(spot) or well(self, spot),
            )
            shown(followed)
        return len(spots)

    assert work(1) == work(9) == 384


def test_outcomes_are_not_held() -> None:
    jobs = plan(["P1"], WELLS_96)
    followed = view(jobs)
    for job in jobs:
        followed.listen(JobStarted(job, 1))
        followed.listen(JobEnded(Outcome(job, host="kept")))
    found = (thing for thing in gc.get_objects() if isinstance(thing, Outcome))
    assert [outcome for outcome in found if outcome.host == "kept"] == []
