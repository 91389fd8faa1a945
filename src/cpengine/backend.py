"""The public names for those who write executors of their own."""

from cpengine.config.forms import Section
from cpengine.executors.base import Executor
from cpengine.executors.entry import ExecutorEntry, JobsElsewhere
from cpengine.executors.exec_job import ExecJob, ExecJobs
from cpengine.executors.machine_spec import bucket_spec, site_spec
from cpengine.executors.room import Room, RoomRequest

__all__ = [
    "ExecJob",
    "ExecJobs",
    "Executor",
    "ExecutorEntry",
    "JobsElsewhere",
    "Room",
    "RoomRequest",
    "Section",
    "bucket_spec",
    "site_spec",
]
