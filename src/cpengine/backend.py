"""The public names for those who write executors of their own."""

from cpengine.config.forms import Section
from cpengine.errors import ConfigError, CpengineError, ExecutorError
from cpengine.events import Noted
from cpengine.executors.base import Executor
from cpengine.executors.entry import ExecutorEntry, JobsElsewhere
from cpengine.executors.exec_job import ExecJob, ExecJobs
from cpengine.executors.machine_spec import bucket_spec, site_spec
from cpengine.executors.room import Room, RoomRequest
from cpengine.model import Failure, FailureKind

__all__ = [
    "ConfigError",
    "CpengineError",
    "ExecJob",
    "ExecJobs",
    "Executor",
    "ExecutorEntry",
    "ExecutorError",
    "Failure",
    "FailureKind",
    "JobsElsewhere",
    "Noted",
    "Room",
    "RoomRequest",
    "Section",
    "bucket_spec",
    "site_spec",
]
