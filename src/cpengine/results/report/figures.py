"""What a step took: sums over its jobs, by machine, phase and module; memory. Pure."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from cpengine.ledger.standing import JobState
from cpengine.results.html.numbers import Spread
from cpengine.results.report import timeline
from cpengine.results.report.facts import PHASES, Facts, Ran
from cpengine.results.report.timeline import Axis
from cpengine.results.report.well_states import ReportedPlate
from cpengine.wording import GB, MB

_BARS = 24
_STEPS = (1, 2, 5, 10)
_SLOWEST = 20


def summary(
    facts: Facts, plates: Sequence[ReportedPlate], axis: Axis
) -> dict[str, Any]:
    """The numbers on top of the page."""
    ran = facts.ran
    slots = timeline.slots(ran)
    cpu_s = sum(job.cpu_s for job in ran)
    held_s = axis.busy_s * sum(slots.values())
    image_sets = _image_sets_done(facts)
    return {
        "jobs": len(facts.groups),
        "image_sets": sum(facts.image_sets),
        "image_sets_done": image_sets,
        "plates": [plate.name for plate in plates],
        "states": states(facts, range(len(facts.groups))),
        "first": min((job.started for job in ran), default=None),
        "last": max((job.ended for job in ran), default=None),
        "busy_s": axis.busy_s,
        "machines": len({job.host for job in ran}),
        "slots": sum(slots.values()),
        "image_sets_an_hour": 3600 * image_sets / axis.busy_s if axis.busy_s else None,
        "cpu_s": cpu_s,
        "cpu_part": cpu_s / held_s if held_s else None,
        "peak_memory": max((job.peak_memory for job in ran), default=0),
        "memory_gb": facts.step.memory_gb,
        "under_way": facts.sign.progress if facts.sign else "",
        **_lost(ran),
    }


def states(facts: Facts, jobs: Sequence[int]) -> dict[str, int]:
    """How many of some jobs are in each state."""
    found = Counter(facts.verdicts[number].state for number in jobs)
    return {state.value: found[state] for state in JobState}


def _image_sets_done(facts: Facts) -> int:
    return sum(facts.image_sets[job.number] for job in facts.ran if not job.failed)


def _lost(ran: Sequence[Ran]) -> dict[str, Any]:
    """What attempts without a result took.

    Only a job's last attempt is recorded; earlier ones are taken to have been as long.
    """
    lost = sum(job.wall_s * (job.attempt - (not job.failed)) for job in ran)
    useful = sum(job.wall_s for job in ran if not job.failed)
    return {
        "lost_s": lost,
        "lost_part": lost / (lost + useful) if lost + useful else 0.0,
        "retried": sum(job.attempt > 1 for job in ran),
    }


def phases(ran: Sequence[Ran]) -> dict[str, float]:
    """Seconds of all jobs together by phase, CellProfiler's without its modules'."""
    found = {
        name: sum(job.phase_s[number] for job in ran)
        for number, name in enumerate(PHASES)
    }
    modules = sum(job.module_s for job in ran)
    running = found.pop("running")
    return {
        "fetching": found["fetching"],
        "waiting": found["waiting"],
        "checking": found["checking"],
        "around": max(0.0, running - modules),
        "modules": modules,
        "publishing": found["publishing"],
    }


def modules(facts: Facts) -> list[dict[str, Any]]:
    """What each module took, longest first; accelerated ones before plain ones."""
    found = []
    for exact in (True, False):
        some = facts.modules[exact].items()
        whole = sum(module.seconds for _, module in some)
        for named, module in sorted(some, key=lambda entry: -entry[1].seconds):
            number, _, name = named.partition(" ")
            found.append(
                {
                    "number": number,
                    "name": name,
                    "exact": exact,
                    "seconds": module.seconds,
                    "part": module.seconds / whole if whole else 0.0,
                    "each_s": module.seconds / (module.image_sets or 1),
                }
            )
    return found


def machines(ran: Sequence[Ran]) -> list[dict[str, Any]]:
    """What each machine did, busiest first."""
    slots = timeline.slots(ran)
    found: dict[str, dict[str, Any]] = {}
    for job in ran:
        entry = found.setdefault(
            job.host,
            {"host": job.host, "slots": 0, "jobs": 0, "failed": 0, "seconds": 0.0},
        )
        entry["slots"] = slots.get(job.host, 0)
        entry["jobs"] += 1
        entry["failed"] += job.failed
        entry["seconds"] += job.wall_s
    return sorted(found.values(), key=lambda entry: -entry["seconds"])


def slowest(facts: Facts) -> list[dict[str, Any]]:
    """The jobs that took longest."""
    longest = sorted(facts.ran, key=lambda job: -job.wall_s)[:_SLOWEST]
    return [
        {
            "job": job.number,
            "wall_s": job.wall_s,
            "module": job.slowest,
            "host": job.host,
            "failed": job.failed,
            "attempt": job.attempt,
        }
        for job in longest
    ]


def memory(facts: Facts) -> dict[str, Any] | None:
    """How many jobs had which peak of memory; None if it is known of no job."""
    found = [(job.peak_memory, job.number) for job in facts.ran if job.peak_memory]
    spread = Spread.of(size for size, _ in found)
    if spread is None:
        return None
    limit = facts.step.memory_gb * GB if facts.step.memory_gb else None
    end = max(spread.most, limit or 0)
    bar = _bar_size(end)
    bars = [0] * (math.floor(end / bar) + 1)
    for size, _ in found:
        bars[math.floor(size / bar)] += 1
    return {
        "bar": bar,
        "bars": bars,
        "limit": limit,
        "spread": spread._asdict(),
        "largest": max(found)[1],
        "unknown": len(facts.ran) - len(found),
    }


def _bar_size(width: float) -> float:
    """A round number of MB, so that there are about `_BARS` bars or fewer."""
    least = max(width / _BARS / MB, 1)
    power = 10.0 ** math.floor(math.log10(least))
    return MB * next(step * power for step in _STEPS if step * power >= least)


def versions(facts: Facts) -> Mapping[str, list[str]]:
    """The versions that ran, by name, commonest first."""
    found: dict[str, list[str]] = {}
    for (name, version), _ in facts.versions.most_common():
        found.setdefault(name, []).append(version)
    return dict(sorted(found.items()))
