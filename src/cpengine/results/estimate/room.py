"""Where jobs would run: how many at a time, and at what price."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cpengine import config
from cpengine.errors import ConfigError
from cpengine.executors import registry
from cpengine.job.admission import MemoryRule
from cpengine.job.memory_forecast import Needs
from cpengine.model import Outcome
from cpengine.planning.project import ResolvedProject
from cpengine.system.capacity import MemoryLeft, usable_cores
from cpengine.wording import GB, counted

_AWS_S = 600.0
"""Until machines on AWS work, and from the last job until they are gone: a guess."""
_MB_PER_GB = 1024


@dataclass(frozen=True, slots=True)
class Room:
    """What an executor gives the jobs of one step."""

    slots: int
    """Jobs at a time."""
    where: str
    """The slots in words."""
    fits: int | None = None
    """Jobs that the memory of one machine holds at a time; None if not known."""
    cores: int | None = None
    """Jobs that one machine would run if memory did not matter."""
    extra_s: float = 0.0
    """Seconds that start and end of machines take besides the jobs."""
    machines: int = 1
    price: float | None = None
    """Dollars an hour that one of them costs at the most."""
    life_h: float | None = None
    """Hours after which AWS ends them."""
    at_most: str = ""
    """What the machines cost if they live as long as that, in words."""


@dataclass(frozen=True, slots=True)
class RoomRequest:
    """What the room is for."""

    project: ResolvedProject
    step: str
    jobs: int
    on: str
    workers: int | None
    """Jobs at a time, if that is said."""
    cellprofiler: str
    measured: Sequence[Outcome]


def room(asked: RoomRequest) -> Room:
    """How an executor would run the jobs.

    Raises
    ------
    ConfigError, ExecutorError
        It is none, its settings are wrong, or only `workers` could tell its size.
    """
    registry.maker(asked.on)
    if asked.on == "local":
        return _local(asked)
    if asked.on == "inline":
        return Room(1, "one slot of this machine", None, 1)
    if asked.on in registry.CLUSTERS:
        return _cluster(asked)
    if asked.on == "aws":
        return _aws(asked)
    if asked.workers is None:
        raise ConfigError(
            f"--on {asked.on}: how many jobs it runs at a time is not known: add "
            "--workers"
        )
    return Room(asked.workers, f"{counted(asked.workers, 'slot')} of {asked.on}")


def _local(asked: RoomRequest) -> Room:
    settings = asked.project.file.executors.local
    rule = MemoryRule.of(
        MemoryLeft.of_this_process(), int(settings.memory_gb * GB), admits=True
    )
    fits = _fits(rule, asked)
    fixed = asked.workers or settings.workers
    slots = fixed or min(usable_cores(), fits)
    where = f"{counted(slots, 'slot')} of this machine"
    return Room(slots, where, fits, fixed or usable_cores())


def _cluster(asked: RoomRequest) -> Room:
    project = asked.project
    settings = config.cluster(project.file, asked.on, project.folder)
    most = settings.workers
    if asked.workers:
        most = math.ceil(asked.workers / settings.cores)
    workers = max(1, min(most, math.ceil(asked.jobs / settings.cores)))
    fits = _fits(_rule(settings.memory_gb, settings.job_memory_gb), asked)
    slots = min(settings.cores, fits)
    each = counted(slots, "job")
    return Room(
        slots=workers * slots,
        where=f"{counted(workers, 'worker')} of {asked.on}, {each} each",
        fits=fits,
        cores=settings.cores,
        machines=workers,
    )


def _aws(asked: RoomRequest) -> Room:
    app = registry.aws_apps(asked.project, asked.cellprofiler).app(asked.step)
    from cpengine.executors.aws import launch

    settings = app.settings
    machines = settings.machines_for(min(asked.jobs, asked.workers or asked.jobs))
    fits = _fits(_rule(settings.memory_mb / _MB_PER_GB, 2.0), asked)
    each = min(settings.cores, fits) * settings.tasks_per_machine
    return Room(
        slots=machines * each,
        where=f"{machines} x {settings.machine_types[0]}, {counted(each, 'job')} each",
        fits=fits * settings.tasks_per_machine,
        cores=settings.slots,
        extra_s=_AWS_S,
        machines=machines,
        price=settings.machine_price,
        life_h=settings.life_h(machines),
        at_most=launch.estimate(app, machines),
    )


def _rule(memory_gb: float, job_gb: float) -> MemoryRule:
    """The rule of a worker elsewhere that has its memory for itself."""
    return MemoryRule.of(lambda: int(memory_gb * GB), int(job_gb * GB), admits=True)


def _fits(rule: MemoryRule, asked: RoomRequest) -> int:
    """How many jobs fit into memory, by the measured ones, as slots reckon it."""
    needs = Needs(rule.expected)
    for outcome in asked.measured:
        if outcome.peak_memory:
            needs.learn(outcome.job, outcome.peak_memory, out_of_memory=False)
    room = rule.budget - needs.spare(asked.step)
    return max(1, room // max(1, needs.typical(asked.step)))
