"""Slots: so many at a time, in the order of asking, several for a large job."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cpengine.model import AttemptError, FailureKind
from cpengine.slots import Slots

NEVER = threading.Event()


def test_no_more_are_taken_than_there_are() -> None:
    slots, under_way, most = Slots(3), 0, 0
    lock = threading.Lock()

    def work(share: int) -> None:
        nonlocal under_way, most
        with slots.take(share, NEVER):
            with lock:
                under_way += share
                most = max(most, under_way)
            time.sleep(0.005)
            with lock:
                under_way -= share

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [1, 2, 1, 3, 1, 1, 2] * 5))
    assert (most, under_way) == (3, 0)


def test_a_share_above_all_takes_all() -> None:
    with Slots(2).take(8, NEVER):
        pass


def test_a_large_job_is_not_overtaken_for_ever() -> None:
    slots, order = Slots(2), []

    def work(name: str, share: int) -> None:
        with slots.take(share, NEVER):
            order.append(name)

    with ThreadPoolExecutor(4) as pool, slots.take(1, NEVER):
        pool.submit(work, "large", 2)
        while not slots._waiting:
            time.sleep(0.001)
        pool.submit(work, "small", 1)
        time.sleep(0.05)
        assert order == []
    assert order == ["large", "small"]


def test_waiting_ends_when_cancelled() -> None:
    slots, cancelled = Slots(1), threading.Event()
    with slots.take(1, NEVER):
        cancelled.set()
        with pytest.raises(AttemptError) as caught, slots.take(1, cancelled):
            pass
    assert caught.value.kind is FailureKind.CANCELLED
    with slots.take(1, NEVER):
        pass
