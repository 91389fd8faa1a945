"""Failures by cause: which are news, and which lines stand for all."""

from cpengine.model import Failure, FailureKind, Outcome
from cpengine.run.progress.failing import Failing
from tests.run.progress.screen import of


def failed(number: int, message: str, kind: FailureKind = FailureKind.CRASH) -> Outcome:
    return Outcome(of(Metadata_Plate=f"P{number}"), Failure(kind, message))


def test_the_first_failure_of_a_cause_is_news_and_others_are_counted() -> None:
    failing = Failing()
    news = [failing.add(failed(n, f"no channel in /data/{n}.csv")) for n in range(212)]
    assert news == [True] + [False] * 211
    assert list(map(str, failing.commonest(5))) == [
        "212 jobs, first P0: crash: no channel in /data/0.csv"
    ]


def test_the_same_words_of_another_kind_are_another_cause() -> None:
    failing = Failing()
    assert failing.add(failed(1, "no"))
    assert failing.add(failed(2, "no", FailureKind.STORAGE))
    assert len(failing) == 2


def test_every_try_of_the_first_job_is_news() -> None:
    failing = Failing()
    assert [failing.add(failed(1, "no"), again=True) for _ in range(2)] == [True, True]
    assert not failing.add(failed(2, "no"), again=True)
    assert failing.add(failed(1, "no"))


def test_the_first_job_to_fail_for_good_is_news_after_retries_of_another() -> None:
    failing = Failing()
    failing.add(failed(1, "no"), again=True)
    assert failing.add(failed(2, "no"))
    assert not failing.add(failed(3, "no"))


def test_tries_without_a_failed_job_are_reported_as_tries() -> None:
    failing = Failing()
    failing.add(failed(1, "no"), again=True)
    failing.add(failed(2, "no"), again=True)
    assert list(map(str, failing.commonest(5))) == ["2 tries, first P1: crash: no"]


def test_the_commonest_causes_come_first() -> None:
    failing = Failing()
    for number, word in enumerate("abbccc"):
        failing.add(failed(number, word))
    assert [like.failed for like in failing.commonest(2)] == [3, 2]


def test_counts_are_news_once() -> None:
    failing = Failing()
    for number in range(3):
        failing.add(failed(number, "no"))
    assert [like.failed for like in failing.news(5)] == [3]
    assert list(failing.news(5)) == []


def test_a_cause_that_was_reported_with_its_only_job_is_no_news() -> None:
    failing = Failing()
    failing.add(failed(1, "no"))
    assert list(failing.news(5)) == []


def test_very_many_causes_are_not_reported_one_by_one() -> None:
    failing = Failing()
    words = [f"{a}{b}" for a in "abcdefgh" for b in "abcdefgh"]
    news = [failing.add(failed(number, word)) for number, word in enumerate(words)]
    assert 0 < sum(news) < len(words) == len(failing)
