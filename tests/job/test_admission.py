"""Slots: so many at a time, as memory lets them, in the order of asking."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest

from cpengine.job.admission import Lease, MemoryRule, Slots
from cpengine.model import AttemptError, FailureKind, Job
from cpengine.system.usage import sample
from cpengine.testing import jobs
from cpengine.wording import GB

NEVER = threading.Event()
CANCELLED = threading.Event()
CANCELLED.set()
(A,) = jobs("A")


def _job(share: int = 1, name: str = "A") -> Job:
    return replace(A, share=share, group=(("Metadata_Plate", name),))


def test_no_more_are_taken_than_there_are() -> None:
    slots, under_way, most = Slots(3), 0, 0
    lock = threading.Lock()

    def work(share: int) -> None:
        nonlocal under_way, most
        with slots.take(_job(share), NEVER):
            with lock:
                under_way += share
                most = max(most, under_way)
            time.sleep(0)  # let others in, if they can
            with lock:
                under_way -= share

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [1, 2, 1, 3, 1, 1, 2] * 50))
    assert (most, under_way) == (3, 0)


def test_a_share_above_all_takes_all() -> None:
    with Slots(2).take(_job(8), NEVER):
        pass


def test_a_large_job_is_not_overtaken_for_ever() -> None:
    slots, order = Slots(2), []
    asked = {"large": threading.Event(), "small": threading.Event()}

    def work(name: str, share: int) -> None:
        # Cancelled is asked for each time that it has to wait.
        with slots.take(_job(share), _Noticed(asked[name])):
            order.append(name)

    with ThreadPoolExecutor(4) as pool, slots.take(_job(), NEVER):
        pool.submit(work, "large", 2)
        asked["large"].wait()
        pool.submit(work, "small", 1)
        asked["small"].wait()
        assert order == []
    assert order == ["large", "small"]


class _Noticed(threading.Event):
    """A flag that is never set, and says when it is looked at."""

    def __init__(self, seen: threading.Event) -> None:
        super().__init__()
        self._seen = seen

    def is_set(self) -> bool:
        self._seen.set()
        return False


def test_waiting_ends_when_cancelled() -> None:
    slots = Slots(1)
    with (
        slots.take(_job(), NEVER),
        pytest.raises(AttemptError) as caught,
        slots.take(_job(), CANCELLED),
    ):
        pass
    assert caught.value.kind is FailureKind.CANCELLED
    with slots.take(_job(), NEVER):
        pass


def test_one_that_was_cancelled_takes_no_slot_that_is_free() -> None:
    slots = Slots(1)
    with pytest.raises(AttemptError), slots.take(_job(), CANCELLED):
        pass
    with slots.take(_job(), NEVER):
        pass


def test_without_a_memory_rule_nothing_is_stopped() -> None:
    slots = Slots(2)
    with slots.take(_job(), NEVER) as lease, slots.take(_job(), NEVER):
        assert lease.check(2**60) is None
        lease.ended(2**60)
    assert slots.fitting("test") == 2


@dataclass
class _Machine:
    """What is left on a machine and what time it is there, as told."""

    left: int
    now: float = 0.0

    def rule(self, expected: int = 2 * GB, *, admits: bool = True) -> MemoryRule:
        rule = MemoryRule.of(lambda: self.left, expected, admits=admits)
        return replace(rule, clock=lambda: self.now)


@dataclass
class _Room:
    """Slots, and who sits in them."""

    slots: Slots
    held: dict[Lease, ExitStack] = field(default_factory=dict)

    def enter(self, job: Job = A) -> Lease | None:
        """Take a slot if there is one at once."""
        if not self.slots._fits(job, min(job.share, self.slots.count)):
            return None
        stack = ExitStack()
        lease = stack.enter_context(self.slots.take(job, NEVER))
        self.held[lease] = stack
        return lease

    def fill(self) -> int:
        """Take all there are; give how many are taken then."""
        while self.enter():
            pass
        return len(self.held)

    def end(self, peak: int, lease: Lease | None = None) -> None:
        """Have the first one, or this one, end after it has held so much."""
        lease = lease or next(iter(self.held))
        lease.ended(peak)
        self.held.pop(lease).close()


@contextmanager
def _room(count: int, machine: _Machine, **rule: bool) -> Iterator[_Room]:
    room = _Room(Slots(count, machine.rule(**rule)))
    yield room
    for stack in room.held.values():
        stack.close()


def _leases(room: _Room, *names: str) -> list[Lease]:
    found = [room.enter(_job(name=name)) for name in names]
    return [lease for lease in found if lease]


@pytest.mark.parametrize(
    ("cores", "left_gb", "expected"), [(8, 64, 8), (8, 7, 3), (8, 1, 1), (2, 64, 2)]
)
def test_it_begins_with_one_a_core_as_far_as_memory_reaches(
    cores: int, left_gb: int, expected: int
) -> None:
    with _room(cores, _Machine(left_gb * GB)) as room:
        assert room.slots.fitting("test") == expected
        assert room.fill() == expected


def test_small_jobs_make_room_for_one_more_each_time_one_ends() -> None:
    with _room(8, _Machine(7 * GB)) as room:
        counts = [room.fill()]
        for _ in range(6):
            room.end(GB // 2)
            counts.append(room.fill())
    assert counts == [3, 4, 5, 6, 7, 8, 8]
    assert room.slots.fitting("test") == 8


def test_large_jobs_take_slots_away() -> None:
    with _room(8, _Machine(16 * GB)) as room:
        assert room.fill() == 7
        room.end(4 * GB)
        assert room.fill() == 6  # nobody is sent away
        for _ in range(5):
            room.end(4 * GB)
        assert room.fill() == 3
        assert room.slots.fitting("test") == 3


def test_a_running_job_counts_with_what_it_holds_already() -> None:
    with _room(8, _Machine(7 * GB)) as room:
        lease, _ = _leases(room, "A", "B")
        lease.check(3 * GB)
        assert room.fill() == 2
        lease.check(GB)  # it has held more and may do so again
        assert room.fill() == 2


def test_a_job_alone_gets_in_however_large_it_is() -> None:
    with _room(8, _Machine(3 * GB)) as room:
        for _ in range(3):
            assert room.fill() == 1
            room.end(50 * GB)


def test_a_job_that_ran_out_of_memory_gets_in_when_there_is_twice_as_much() -> None:
    with _room(8, _Machine(16 * GB)) as room:
        lease, *_ = _leases(room, *"ABCDEF")
        lease.ended(5 * GB, out_of_memory=True)
        room.held.pop(lease).close()
        again = _job(share=2)
        assert room.enter(again) is None
        for _ in range(2):
            room.end(GB)
        assert room.enter(again)  # three of at most 1.2 GB beside its 10


def test_it_takes_several_slots_too() -> None:
    with _room(4, _Machine(64 * GB)) as room:
        assert room.enter(_job(share=2))
        assert room.fill() == 3


def test_a_given_number_of_workers_is_obeyed_whatever_jobs_need() -> None:
    with _room(4, _Machine(2 * GB), admits=False) as room:
        assert room.fill() == 4
        room.end(50 * GB)
        assert room.fill() == 4
        assert room.slots.fitting("test") == 4


def test_with_given_workers_too_one_that_ran_out_of_memory_waits_for_room() -> None:
    with _room(4, _Machine(16 * GB), admits=False) as room:
        first, second, _ = _leases(room, "A", "B", "C")
        first.ended(7 * GB, out_of_memory=True)
        room.held.pop(first).close()
        assert room.enter(_job(share=2)) is None
        room.end(GB, second)
        assert room.enter(_job(share=2))


@pytest.mark.parametrize("admits", [True, False])
def test_nothing_starts_beside_others_while_memory_is_short(admits: bool) -> None:
    machine = _Machine(64 * GB)
    with _room(4, machine, admits=admits) as room:
        assert room.enter()
        machine.left = GB
        assert room.fill() == 1
        machine.left = 32 * GB
        assert room.fill() == 4


@pytest.mark.parametrize(
    ("left_gb", "reserve_gb"), [(64, 3.2), (8, 0.5), (1, 0.25), (0, 0)]
)
def test_the_reserve_is_a_part_of_what_is_left_at_the_start(
    left_gb: int, reserve_gb: float
) -> None:
    rule = _Machine(left_gb * GB).rule()
    assert rule.reserve == int(reserve_gb * GB)
    assert rule.budget == left_gb * GB - rule.reserve


def test_the_largest_is_stopped_when_memory_is_short() -> None:
    machine = _Machine(16 * GB)
    with _room(4, machine) as room:
        a, b, c = _leases(room, "A", "B", "C")
        for lease, held in ((a, 1), (b, 3), (c, 2)):
            assert lease.check(held * GB) is None
        machine.left = int(0.4 * GB)
        assert [a.check(GB), c.check(2 * GB)] == [None, None]
        assert b.check(int(3.1 * GB)) == (
            "stopped, because only 0.4 GB of memory was left; it had 3.1 GB, "
            "the most of 3 jobs"
        )
        assert b.check(GB) is not None  # told again


def test_the_next_one_is_stopped_only_if_memory_does_not_come_back() -> None:
    machine = _Machine(16 * GB)
    with _room(4, machine) as room:
        a, b, c = _leases(room, "A", "B", "C")
        machine.left = 0
        assert a.check(3 * GB)
        machine.now = 4.9
        assert b.check(2 * GB) is None
        assert room.fill() == 3  # nothing starts meanwhile
        machine.now = 5.0
        assert c.check(GB) is None
        assert b.check(2 * GB)


def test_it_is_let_go_when_memory_has_come_back() -> None:
    machine = _Machine(16 * GB)
    with _room(4, machine) as room:
        a, b = _leases(room, "A", "B")
        b.check(GB)
        machine.left = 0
        machine.left = 2 * GB
        assert a.check(3 * GB) is None


def test_nobody_is_stopped_before_anybody_has_been_measured() -> None:
    machine = _Machine(16 * GB)
    with _room(4, machine) as room:
        a, _ = _leases(room, "A", "B")
        machine.left = 0
        assert a.check(0) is None


def test_a_lone_job_is_never_stopped() -> None:
    machine = _Machine(16 * GB)
    with _room(4, machine) as room:
        a, b = _leases(room, "A", "B")
        machine.left = 0
        assert a.check(3 * GB)
        machine.now = 100.0
        assert b.check(GB) is None  # the other is on its way out
        room.held.pop(a).close()
        assert b.check(20 * GB) is None


def test_memory_left_is_asked_for_once_a_round() -> None:
    asked: list[int] = []

    def left() -> int:
        asked.append(1)
        return 64 * GB

    slots = Slots(8, MemoryRule.of(left, GB, admits=False))
    room = _Room(slots)
    leases = _leases(room, *"ABCDEFGH")
    for number, lease in enumerate(leases):
        lease.check(number + 1)
    asked.clear()
    for number, lease in enumerate(leases):
        lease.check(number + 1)
    assert len(asked) == 1


_GROWS = """
import sys
held = []
for line in sys.stdin:
    held.append(b"x" * (int(line) << 20))
    print(flush=True)
"""


@dataclass
class _Grower:
    """A real process that holds more memory each time it is asked to."""

    lease: Lease
    step_mb: int
    child: subprocess.Popen[str] = field(
        default_factory=lambda: subprocess.Popen(
            [sys.executable, "-c", _GROWS], stdin=-1, stdout=-1, text=True
        )
    )

    @property
    def rss(self) -> int:
        return sample(self.child.pid).memory

    def grow(self) -> None:
        assert self.child.stdin
        assert self.child.stdout
        print(self.step_mb, file=self.child.stdin, flush=True)
        self.child.stdout.readline()

    def end(self) -> None:
        with self.child:
            self.child.kill()


def test_of_real_processes_that_grow_the_largest_are_stopped_and_others_go_on() -> None:
    growers: list[_Grower] = []
    machine = _Machine(0)
    total = 240 * 2**20

    def left() -> int:
        """What a machine of 240 MB would have left beside these processes."""
        return max(0, total - sum(grower.rss for grower in growers))

    rule = MemoryRule(
        left, 40 * 2**20, total, GB, admits=False, clock=lambda: machine.now
    )
    slots, stopped = Slots(4, rule), []
    with ExitStack() as held:
        for name, step_mb in (("A", 2), ("B", 16), ("C", 4), ("D", 9)):
            lease = held.enter_context(slots.take(_job(name=name), NEVER))
            growers.append(_Grower(lease, step_mb))
            held.callback(growers[-1].end)
        while len(stopped) < 3 and machine.now < 1000:
            machine.now += 1.0
            for grower in list(growers):
                grower.grow()
                largest = max(other.rss for other in growers)
                if reason := grower.lease.check(grower.rss):
                    assert reason.startswith("stopped, because only 0.")
                    assert grower.rss == largest
                    grower.end()
                    growers.remove(grower)
                    stopped.append((grower.lease.job.id, machine.now))
                    assert left() >= rule.reserve  # it has come back
        (last,) = growers
        last.step_mb = 32
        while left():
            last.grow()
            assert last.lease.check(last.rss) is None
    names, times = zip(*stopped, strict=True)
    assert names == ("B", "D", "C")
    assert all(after - before >= 5 for before, after in pairwise(times))
