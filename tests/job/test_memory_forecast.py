"""What a job is expected to need, from what others of its step have needed."""

from dataclasses import replace

from cpengine.job.memory_forecast import Needs
from cpengine.model import Job
from cpengine.testing import jobs
from cpengine.wording import GB

A, B, C = jobs("A", "B", "C")
FIRST = 2000


def _learned(*peaks: int) -> Needs:
    needs = Needs(FIRST)
    for peak in peaks:
        needs.learn(A, peak, out_of_memory=False)
    return needs


def _again(job: Job, share: int = 2) -> Job:
    return replace(job, share=share)


def test_before_any_has_ended_it_is_the_given_value() -> None:
    assert Needs(FIRST).of(A) == FIRST


def test_it_is_the_mean_and_a_margin() -> None:
    assert _learned(100, 500, 300).of(B) == 330


def test_beside_that_there_is_room_for_one_as_large_as_the_largest() -> None:
    needs = _learned(*[100] * 9, 1100)
    assert needs.typical("test") == 220
    assert needs.typical("test") + needs.spare("test") == 1210
    assert Needs(FIRST).spare("test") == 0


def test_old_ones_are_forgotten() -> None:
    needs = _learned(5000, *[100] * 30)
    assert (needs.of(B), needs.spare("test")) == (110, 0)


def test_each_step_for_itself() -> None:
    assert _learned(100).of(replace(A, step="other")) == FIRST


def test_one_that_ran_out_needs_twice_what_it_had() -> None:
    needs = _learned(100)
    needs.learn(B, 700, out_of_memory=True)
    assert needs.of(_again(B)) == 1400
    needs.learn(_again(B), 1300, out_of_memory=True)
    assert needs.of(_again(B, 4)) == 2600
    assert needs.of(A) == 110


def test_one_that_ran_out_small_needs_no_less_than_others() -> None:
    needs = _learned(1000)
    needs.learn(B, 10, out_of_memory=True)
    assert needs.of(_again(B)) == 1100


def test_one_that_ran_out_with_an_unknown_peak_needs_its_share() -> None:
    assert _learned(1000).of(_again(B, 4)) == 4400


def test_a_further_try_tells_nothing_of_others() -> None:
    needs = _learned(100)
    needs.learn(_again(B), 9000, out_of_memory=False)
    assert needs.of(C) == 110


def test_if_all_ran_out_the_next_is_expected_to_need_as_much() -> None:
    needs = Needs(FIRST)
    needs.learn(B, 3000, out_of_memory=True)
    assert needs.of(A) == 3300


def test_no_more_than_the_limit_at_which_it_is_ended() -> None:
    needs = Needs(8 * GB)
    assert needs.of(replace(A, memory_gb=1.5)) == 1.5 * GB
    assert needs.of(replace(A, memory_gb=9.0)) == 8 * GB
