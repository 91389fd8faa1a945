"""Times of accelerated modules and of plain ones, kept apart. Pure."""

from collections.abc import Iterable
from dataclasses import replace

from cpengine.model import Outcome


def of_mode(outcomes: Iterable[Outcome], *, exact: bool) -> list[Outcome]:
    """The outcomes that tell what jobs take with accelerated modules, or plain ones.

    Where accelerations were wanted and none could be used, plain times are what jobs
    take that want them. A job that ran both ways tells of either.
    """
    some = list(outcomes)
    if not exact:
        return [outcome for outcome in some if not outcome.exact]
    accelerated = [outcome for outcome in map(_accelerated, some) if outcome.exact]
    return accelerated or [outcome for outcome in some if outcome.exact_off]


def _accelerated(outcome: Outcome) -> Outcome:
    """What a job would have taken whose accelerated way were published."""
    check = outcome.check
    if check is None or check.image_sets < outcome.job.image_sets:
        return outcome
    return replace(
        outcome,
        exact=check.exact,
        cpu_s=check.cpu_s,
        peak_memory=max(check.peak_memory, outcome.peak_memory),
        module_s=check.module_s,
        phase_s={**outcome.phase_s, "running": check.start_s + check.wall_s},
    )
