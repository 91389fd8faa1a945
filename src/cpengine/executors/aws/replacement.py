"""Lost machines of DCP's own worker are replaced by the client, and by nobody else.

Its workers end no fleet. An alarm ends a machine that idles, but a fleet would start
another one in its place, again and again until its end, if nobody was left who takes
it down. So a fleet that has all its machines is asked for none: AWS ends none by that.
"""

from dataclasses import dataclass, field

from cpengine.executors.aws.fleet import Fleet


@dataclass
class Replacement:
    """Asks for machines in place of lost ones, as long as somebody looks."""

    _most: dict[str, int] = field(default_factory=dict)
    """How many machines each fleet was asked for, or had when it was first seen."""

    def check(self, fleet: Fleet, machines: int, needed: int) -> None:
        """Have a fleet replace what is needed, or nothing.

        Parameters
        ----------
        machines
            How many it has.
        needed
            How many the jobs that are left can keep busy.
        """
        if fleet.target is None:
            return
        most = max(self._most.get(fleet.id, machines), fleet.target)
        self._most[fleet.id] = most
        wanted = min(fleet.target or most, needed)
        target = wanted if machines < wanted else 0
        if target != fleet.target:
            fleet.shrink(target)
