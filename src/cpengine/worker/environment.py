"""What a worker is told by its environment: by us, or by Distributed-CellProfiler."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cpengine.config import ProjectFile
from cpengine.config.steps import DoneRule
from cpengine.errors import ConfigError
from cpengine.executors import machine_spec

_NEEDED = ("APP_NAME", "SQS_QUEUE_URL", "LOG_GROUP_NAME")


@dataclass(frozen=True, slots=True)
class WorkerEnvironment:
    """A worker's settings."""

    app: str
    queue: str
    log_group: str
    region: str | None
    slots: int
    """How many jobs run at a time."""
    make: str
    """`module:function` that makes the machine of what `machine` says."""
    machine: str
    visibility_s: int = 120
    idle_s: float = 60.0
    cluster: str = ""
    """The ECS cluster of the app's service."""
    ledger: str = ""
    """The folder of the ledger that has the run's record; empty if it has none."""
    alarms: bool = False
    done: DoneRule | None = None
    """How to tell that a job of DCP's own client is done already; None: run it."""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "WorkerEnvironment":
        """Read an environment.

        Raises
        ------
        ConfigError
            A variable that all workers need is missing, or has no sensible value.
        """
        missing = [name for name in _NEEDED if not environ.get(name)]
        if missing:
            raise ConfigError(
                f"{', '.join(missing)}: not in the environment: start the worker by "
                "`cpengine run --on aws`, or set what Distributed-CellProfiler sets"
            )
        ours = environ.get("CPENGINE_MACHINE")
        return cls(
            app=environ["APP_NAME"],
            queue=environ["SQS_QUEUE_URL"],
            log_group=environ["LOG_GROUP_NAME"],
            region=environ.get("AWS_REGION") or None,
            slots=_number(environ, "DOCKER_CORES", 1),
            make=environ.get("CPENGINE_MAKE") or machine_spec.MAKE,
            machine=ours or _of_buckets(environ),
            visibility_s=_number(environ, "CPENGINE_VISIBILITY_S", 120),
            idle_s=float(environ.get("CPENGINE_IDLE_S") or 60),
            cluster=environ.get("ECS_CLUSTER", ""),
            ledger=environ.get("CPENGINE_LEDGER", ""),
            alarms=_true(environ, "CPENGINE_ALARMS"),
            done=_rule(environ),
        )


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not text.isdigit() or not int(text):
        raise ConfigError(f"{name}: {text!r} is no number above 0: change it")
    return int(text)


def _true(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() == "true"


def _rule(environ: Mapping[str, str]) -> DoneRule | None:
    if not _true(environ, "CHECK_IF_DONE_BOOL"):
        return None
    return DoneRule(
        _number(environ, "EXPECTED_NUMBER_FILES", 1),
        _number(environ, "MIN_FILE_SIZE_BYTES", 1),
        environ.get("NECESSARY_STRING", ""),
    )


def _of_buckets(environ: Mapping[str, str]) -> str:
    """The machine for buckets as Distributed-CellProfiler's client names them."""

    def bucket(name: str) -> str:
        value = environ.get(name, "")
        return "" if value.lower() == "false" else value

    whole = bucket("AWS_BUCKET") or bucket("DESTINATION_BUCKET")
    source = bucket("SOURCE_BUCKET") or whole
    if not whole:
        raise ConfigError("AWS_BUCKET: not in the environment: name the bucket")
    if _true(environ, "USE_PLUGINS"):
        raise ConfigError(
            "USE_PLUGINS: only Distributed-CellProfiler's own image has plugins: "
            "run by `cpengine run --on aws` with the step's `plugins`"
        )
    storage: dict[str, Any] = {
        "root": f"s3://{whole}",
        "images": f"s3://{source}",
        "workspace": f"s3://{bucket('WORKSPACE_BUCKET') or source}",
        "outputs": f"s3://{bucket('DESTINATION_BUCKET') or whole}",
    }
    project = {"name": environ["APP_NAME"], "batch": "batch"}
    file = ProjectFile.model_validate({"project": project, "storage": storage})
    return machine_spec.bucket_spec(file)
