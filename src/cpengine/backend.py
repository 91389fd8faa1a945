"""The public names for those who write executors of their own."""

from cpengine.config.forms import Section
from cpengine.executors.base import Executor
from cpengine.executors.entry import ExecutorEntry, JobsElsewhere
from cpengine.executors.room import Room, RoomRequest

__all__ = [
    "Executor",
    "ExecutorEntry",
    "JobsElsewhere",
    "Room",
    "RoomRequest",
    "Section",
]
