"""Which jobs are run first, and from which earlier ones is learned."""

from dataclasses import replace

from cpengine.marker import Marker
from cpengine.results.estimate.sample import MOST_MARKERS, even, markers, representative
from tests.results.estimate.build import job

WELLS = [f"{row}{column:02d}" for row in "ABCD" for column in range(1, 7)]
PLAN = [
    job(plate, well, site)
    for plate in ("P1", "P2", "P3")
    for well in WELLS
    for site in ("1", "2")
]
NOW = replace(PLAN[0], fingerprint="pipe-rows-code-place")


def name(job_id: str, made_of: str, version: str = "4.2.8", end: str = "done") -> str:
    return f"{job_id}~{made_of}~{version}.{end}"


def test_a_pilot_covers_plates_before_it_takes_one_twice() -> None:
    chosen = representative(PLAN, 3)
    assert {dict(j.group)["Metadata_Plate"] for j in chosen} == {"P1", "P2", "P3"}


def test_a_pilot_takes_different_wells() -> None:
    chosen = representative(PLAN, 6)
    assert len({dict(j.group)["Metadata_Well"] for j in chosen}) == 6
    plates = [dict(j.group)["Metadata_Plate"] for j in chosen]
    assert sorted(plates) == ["P1", "P1", "P2", "P2", "P3", "P3"]


def test_a_pilot_takes_small_and_large_groups() -> None:
    plan = [job("P1", well, image_sets=9) for well in WELLS]
    plan[3], plan[17] = job("P1", "A04", image_sets=1), job("P1", "C06", image_sets=5)
    assert {j.image_sets for j in representative(plan, 3)} == {1, 5, 9}


def test_a_pilot_is_the_same_again_and_in_the_order_of_the_plan() -> None:
    chosen = representative(PLAN, 5)
    assert chosen == representative(list(PLAN), 5)
    assert chosen == sorted(chosen, key=PLAN.index)
    assert len({j.id for j in chosen}) == 5


def test_a_pilot_of_more_jobs_than_there_are_takes_all() -> None:
    assert representative(PLAN[:2], 9) == PLAN[:2]
    assert representative([], 3) == []


def test_a_large_plan_is_sampled_evenly() -> None:
    assert even(range(100_000), 3) == [16666, 50000, 83333]
    assert even([1, 2], 3) == [1, 2]


def test_only_done_jobs_tell_something() -> None:
    done = name("P1-A01-1", NOW.fingerprint)
    names = [
        done,
        name("P1-A02-1", NOW.fingerprint, end="failed-crash"),
        name("P1-A03-1", NOW.fingerprint, end="replaced"),
        "notes.txt",
    ]
    assert markers(names, NOW, "4.2.8").names == [done]
    assert markers(names[1:], NOW, "4.2.8").names == []


def test_the_same_pipeline_counts_before_the_same_cellprofiler() -> None:
    old_pipeline = name("P1-A01-1", "old-rows-code-place")
    old_version = name("P1-A02-1", NOW.fingerprint, "4.2.7")
    same = name("P1-A03-1", "pipe-others-code-place")
    chosen = markers([old_pipeline, old_version, same], NOW, "4.2.8")
    assert (chosen.names, chosen.same_code, chosen.same_version) == ([same], True, True)
    chosen = markers([old_pipeline, old_version], NOW, "4.2.8")
    assert chosen.names == [old_version]
    assert not chosen.same_version
    chosen = markers([old_pipeline], NOW, "4.2.8")
    assert chosen.names == [old_pipeline]
    assert not chosen.same_code


def test_without_a_cellprofiler_any_version_counts() -> None:
    old_version = name("P1-A02-1", NOW.fingerprint, "4.2.7")
    assert markers([old_version], NOW, "").same_version


def test_of_many_markers_some_are_read_of_each_plate() -> None:
    names = [str(Marker.parse(name(j.id, NOW.fingerprint))) for j in PLAN * 10]
    names = [n.replace("P", f"P{i % 9}", 1) for i, n in enumerate(names)]
    chosen = markers(names, NOW, "4.2.8").names
    assert len(chosen) == MOST_MARKERS
    assert {marker[:2] for marker in chosen} == {f"P{i}" for i in range(9)}
