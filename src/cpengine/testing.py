"""The public name of the suite that an executor must pass, and of what it needs."""

from cpengine.executors.contract import (
    GROUPS,
    MAKE,
    ExecutorContract,
    describe,
    jobs,
    machine,
    stand_in,
)

__all__ = [
    "GROUPS",
    "MAKE",
    "ExecutorContract",
    "describe",
    "jobs",
    "machine",
    "stand_in",
]
