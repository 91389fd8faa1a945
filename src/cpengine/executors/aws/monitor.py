"""While a run lasts: what it costs, when its machines are too many, when to stop it."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from cpengine.events import Listener, Noted
from cpengine.executors.aws import dashboard, fleet
from cpengine.executors.aws.app import App
from cpengine.executors.aws.client import AwsError
from cpengine.executors.aws.container_exits import ContainerWatch
from cpengine.executors.aws.queue import MessageCounts, Queue
from cpengine.executors.aws.replacement import Replacement

_CHEAPEST_AFTER_S = 900.0
_EVERY_S = 60.0
_EMPTY_CHECKS = 3
_IDLE_S = 600.0
"""Long enough for a machine to start and to fetch its image."""


BLIND_S = 600.0
"""How long AWS may be out of reach before a client gives up; workers go on."""


class RunOverError(AwsError):
    """A run that is not to go on: what it has is to be taken down."""


@dataclass
class Monitor:
    """Looks after queue and machines, about once a minute."""

    app: App
    queue: Queue
    listen: Listener
    cheapest: bool = False
    begun: float = field(default_factory=time.monotonic)
    machine_hours: float = 0.0
    empty_checks: int = 0
    """So often in a row the queue was empty though jobs were awaited."""
    _checked: float = field(default_factory=time.monotonic)
    _target: int | None = None
    _idle_since: float | None = None
    _alarmed: set[str] = field(default_factory=set)
    _replacement: Replacement = field(default_factory=Replacement)
    _containers: ContainerWatch = field(init=False)

    def __post_init__(self) -> None:
        self._containers = ContainerWatch(self.app, self.listen)

    @property
    def drained(self) -> bool:
        """Whether the queue is empty: one look is not enough, SQS counts roughly."""
        return self.empty_checks >= _EMPTY_CHECKS

    @property
    def cost(self) -> float:
        """What the machines cost so far at the most, in USD."""
        return self.machine_hours * self.app.settings.machine_price

    def check(self, jobs_left: int) -> None:
        """Look, if it is time to.

        Raises
        ------
        RunOverError
            The budget is used up, machines are gone, or no container lasts.
        AwsError
            AWS cannot be asked.
        """
        now = time.monotonic()
        hours = (now - self._checked) / 3600
        if now - self._checked < min(_EVERY_S, 4 * self.app.settings.section.poll_s):
            return
        self._checked = now
        running = fleet.of_app(self.app)
        by_fleet = [(request, request.machines()) for request in running]
        found = [machine for _, some in by_fleet for machine in some]
        machines = len(found)
        self._end_idle(found)
        self.machine_hours += machines * hours
        counts = self.queue.counts()
        self.listen(Noted(describe(counts, machines, self.cost)))
        self._check_budget()
        self._check_machines(running, machines, counts)
        self._check_workers(machines, counts)
        over = self._containers.check(running, counts)
        if over and machines:  # else nothing costs
            raise RunOverError(f"{self.app.name}: {over}")
        self.empty_checks = (
            self.empty_checks + 1 if jobs_left and not counts.total else 0
        )
        if self.app.settings.section.worker == "dcp":
            needed = self._needed(counts)
            for request, some in by_fleet:
                self._replacement.check(request, len(some), needed)
            return
        wanted = self.wanted(counts, machines)
        if wanted is not None:
            self._target = wanted
            for request in running:
                request.shrink(wanted)

    def follow(self) -> None:
        """Look until the queue is empty; what passes is waited for.

        Raises
        ------
        AwsError
            As `check`, or AWS is out of reach for `BLIND_S`.
        """
        reached = time.monotonic()
        while not self.drained:
            try:
                self.check(jobs_left=1)
                reached = time.monotonic()
            except AwsError as error:
                if not error.passing or time.monotonic() - reached > BLIND_S:
                    raise
                self.listen(Noted(str(error)))
            time.sleep(self.app.settings.section.poll_s)

    def _end_idle(self, machines: Iterable[str]) -> None:
        """Have an alarm end each machine that idles, also one that starts no worker."""
        if not self.app.settings.section.alarms:
            return
        for machine in set(machines) - self._alarmed:
            try:
                dashboard.put_alarm(self.app.aws, self.app.name, machine)
            except AwsError as error:
                if error.passing:
                    return  # with the next look
                self.listen(Noted(f"no alarm ends {machine} if it idles: {error}"))
            self._alarmed.add(machine)

    def wanted(self, counts: MessageCounts, machines: int) -> int | None:
        """So many machines are enough from now on; None: as before.

        Counted in machines, not in jobs: one machine runs several.
        """
        if self._is_cheapest:
            wanted = 1
        elif counts.waiting or counts.later:
            return None
        else:
            wanted = max(1, math.ceil(counts.in_flight / self.app.settings.slots))
        before = machines if self._target is None else self._target
        return wanted if wanted < before else None

    @property
    def _is_cheapest(self) -> bool:
        """Whether lost machines are replaced no more, but the last."""
        cheapest = self.cheapest or self.app.settings.section.cheapest
        return cheapest and time.monotonic() - self.begun > _CHEAPEST_AFTER_S

    def _needed(self, counts: MessageCounts) -> int:
        """So many machines can the jobs that are left keep busy."""
        if not counts.total:
            return 0
        return 1 if self._is_cheapest else self.app.settings.machines_for(counts.total)

    def _check_budget(self) -> None:
        budget = self.app.settings.section.budget_usd
        if budget is not None and self.cost >= budget:
            raise RunOverError(
                f"{self.app.name}: its machines have cost about ${self.cost:.2f}, the "
                f"budget is ${budget:.2f}: raise executors.aws.budget_usd and run again"
            )

    def _check_machines(
        self, running: list[fleet.Fleet], machines: int, counts: MessageCounts
    ) -> None:
        if counts.total and not running:
            raise RunOverError(
                f"{self.app.name}: its machines are gone, by time limit or by hand, "
                f"and {counts.total} messages are left: run again"
            )
        if counts.total and not machines:
            price = f"${self.app.settings.machine_price:.2f} an hour"
            self.listen(
                Noted(
                    f"{self.app.name}: no machine yet: AWS may have none at {price}; "
                    "more executors.aws.machine_types help"
                )
            )

    def _check_workers(self, machines: int, counts: MessageCounts) -> None:
        """Say so when machines run and no worker takes a message."""
        if counts.in_flight or not counts.waiting or not machines:
            self._idle_since = None
            return
        now = time.monotonic()
        self._idle_since = self._idle_since or now
        if now - self._idle_since > _IDLE_S:
            self.listen(
                Noted(
                    f"{self.app.name}: {machines} machines run, and none has taken a "
                    f"message for {_IDLE_S / 60:.0f} minutes: see the log group "
                    f"{self.app.settings.log_groups[1]} and the service's events"
                )
            )


def describe(counts: MessageCounts, machines: int, cost: float) -> str:
    """A look in one line."""
    return (
        f"{machines} machines, {counts.waiting + counts.later} messages waiting, "
        f"{counts.in_flight} in flight, at most ${cost:.2f} so far"
    )
