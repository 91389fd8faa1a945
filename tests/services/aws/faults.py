"""The faults that the AWS server injects, by rules that say which calls they strike."""

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.services.aws.calls import REFUSALS, ApiCall

# Besides the refusals: a connection reset before the call, or after it was carried out.
KINDS = frozenset({"reset", "lost", *REFUSALS})


@dataclass(frozen=True, slots=True)
class Rule:
    """Which calls a fault strikes: no service or operation named means all."""

    kind: str
    service: str = ""
    operation: str = ""
    nth: int | None = None  # only this one of the calls that match, from 1
    times: int | None = None  # only so many of them, from the first

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no such fault: {self.kind}")

    def concerns(self, call: ApiCall) -> bool:
        return self.service in ("", call.service) and self.operation in (
            "",
            call.operation,
        )

    def strikes(self, number: int) -> bool:
        if self.nth is not None:
            return number == self.nth
        return self.times is None or number <= self.times


class Faults:
    """Says of each call what shall befall it, and counts that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.set(())

    def set(self, rules: Iterable[dict[str, Any]]) -> None:
        """Start over with other rules, and with no calls seen."""
        made = [Rule(**rule) for rule in rules]
        with self._lock:
            self._rules = made
            self._seen = [0] * len(made)
            self._injected: Counter[str] = Counter()

    def injected(self) -> dict[str, int]:
        with self._lock:
            return dict(self._injected)

    def draw(self, call: ApiCall) -> str:
        """The kind of fault, or nothing. The first rule that strikes decides."""
        drawn = ""
        with self._lock:
            for at, rule in enumerate(self._rules):
                if not rule.concerns(call):
                    continue
                self._seen[at] += 1
                if not drawn and rule.strikes(self._seen[at]):
                    drawn = rule.kind
            if drawn:
                self._injected[drawn] += 1
        return drawn
