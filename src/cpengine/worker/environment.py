"""What a worker is told by its environment: by us, or by Distributed-CellProfiler."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from cpengine.config import AwsSection, ProjectFile
from cpengine.config.aws import MachinesSection
from cpengine.config.forms import Count
from cpengine.config.project import DcpDoneSection
from cpengine.config.steps import DoneRule
from cpengine.errors import ConfigError
from cpengine.executors import machine_spec
from cpengine.storage import upload_flags


class _Machines(MachinesSection):
    """As the project file has it; a shorter visibility does no harm: we extend it."""

    visibility_s: Count | None = None


_MACHINES = {"cores": "DOCKER_CORES", "visibility_s": "CPENGINE_VISIBILITY_S"}
_Section = TypeVar("_Section", bound=BaseModel)
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
        machines = _section(environ, _Machines, _MACHINES)
        aws = _section(environ, AwsSection, {"idle_s": "CPENGINE_IDLE_S"})
        return cls(
            app=environ["APP_NAME"],
            queue=environ["SQS_QUEUE_URL"],
            log_group=environ["LOG_GROUP_NAME"],
            region=environ.get("AWS_REGION") or None,
            slots=machines.cores or 1,
            make=environ.get("CPENGINE_MAKE") or machine_spec.MAKE,
            machine=ours or _of_buckets(environ),
            visibility_s=machines.visibility_s or 120,
            idle_s=aws.idle_s,
            cluster=environ.get("ECS_CLUSTER", ""),
            ledger=environ.get("CPENGINE_LEDGER", ""),
            alarms=_true(environ, "CPENGINE_ALARMS"),
            done=_rule(environ),
        )


def _section(
    environ: Mapping[str, str], kind: type[_Section], names: Mapping[str, str]
) -> _Section:
    """Variables, by the keys of the project file that say what they may be."""
    given = {key: environ[name] for key, name in names.items() if environ.get(name)}
    try:
        return kind.model_validate_strings(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = names[str(first["loc"][0])]
        raise ConfigError(
            f"{name}: {first['input']!r} is not allowed: {first['msg']}: change it"
        ) from error


def _true(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() == "true"


def _rule(environ: Mapping[str, str]) -> DoneRule | None:
    if not _true(environ, "CHECK_IF_DONE_BOOL"):
        return None
    names = {name: name.upper() for name in DcpDoneSection.model_fields}
    given = {"EXPECTED_NUMBER_FILES": "1", **environ}
    return DoneRule(**_section(given, DcpDoneSection, names).model_dump())


def _checked_flags(flags: str) -> str:
    """UPLOAD_FLAGS. Raises ConfigError for those that cannot be followed."""
    try:
        upload_flags.parse(flags)
    except ValueError as error:
        raise ConfigError(f"UPLOAD_FLAGS: {error}") from error
    return flags


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
    flags = environ.get("UPLOAD_FLAGS", "")
    storage: dict[str, Any] = {
        "s3": {"upload_flags": _checked_flags(flags)},
        "root": f"s3://{whole}",
        "images": f"s3://{source}",
        "workspace": f"s3://{bucket('WORKSPACE_BUCKET') or source}",
        "outputs": f"s3://{bucket('DESTINATION_BUCKET') or whole}",
    }
    project = {"name": environ["APP_NAME"], "batch": "batch"}
    file = ProjectFile.model_validate({"project": project, "storage": storage})
    return machine_spec.bucket_spec(file)
