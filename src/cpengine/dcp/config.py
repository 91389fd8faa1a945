"""Distributed-CellProfiler's `config.py` as keys of the project file.

Source: `config.py`, `run.py` and `worker/cp-worker.py` 2.2.1.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cpengine.config import AwsSection, DcpWorkerSection, MachinesSection
from cpengine.dcp import literals
from cpengine.dcp.values import Found, Setting, flag, number, text, texts, whole
from cpengine.errors import InputError
from cpengine.storage import upload_flags
from cpengine.storage.store import as_text

SUFFIXES = {
    "_Zproj": "zproj",
    "_QC": "qc",
    "_Illum": "illum",
    "_AssayDev": "assaydev",
    "_Analysis": "analysis",
}
"""What an APP_NAME ends with, and the step that its config.py is for."""
_REQUIRED = ("APP_NAME", "AWS_BUCKET")
_ABSENT = {
    "JOB_RETRIES": 10,
    "CREATE_DASHBOARD": "False",
}
"""What DCP takes where a key is missing, and cpengine does not."""
_KEY_FILE_OF_THE_EXAMPLE = "your-key-file.pem"

Convert = Callable[[Setting], Any]


def _optional(setting: Setting) -> str | None:
    """A text that 'False' or nothing stand for none of."""
    if str(setting.value).lower() in ("", "false"):
        return None
    return text(setting)


_MACHINES: Mapping[str, tuple[str, Convert]] = {
    "CLUSTER_MACHINES": ("machines", whole),
    "MACHINE_TYPE": ("machine_types", texts),
    "MACHINE_PRICE": ("machine_price", number),
    "TASKS_PER_MACHINE": ("tasks_per_machine", whole),
    "DOCKER_CORES": ("cores", whole),
    "CPU_SHARES": ("cpu_shares", whole),
    "MEMORY": ("memory_mb", whole),
    "EBS_VOL_SIZE": ("ebs_gb", whole),
    "SQS_MESSAGE_VISIBILITY": ("visibility_s", whole),
    "JOB_RETRIES": ("job_retries", whole),
    "SECONDS_TO_START": ("seconds_to_start", whole),
}
_AWS: Mapping[str, tuple[str, Convert]] = {
    "AWS_REGION": ("region", text),
    "ECS_CLUSTER": ("cluster", text),
    "SQS_DEAD_LETTER_QUEUE": ("dead_letter_queue", lambda s: text(s).split(":")[-1]),
    "ASSIGN_IP": ("public_ip", flag),
    "CREATE_DASHBOARD": ("dashboard", flag),
}
_WORKER: Mapping[str, tuple[str, Convert]] = {
    "DOWNLOAD_FILES": ("download_files", flag),
    "ALWAYS_CONTINUE": ("always_continue", flag),
    "USE_PLUGINS": ("use_plugins", flag),
    "UPDATE_PLUGINS": ("update_plugins", flag),
    "PLUGINS_COMMIT": ("plugins_commit", _optional),
    "INSTALL_REQUIREMENTS": ("install_requirements", flag),
    "REQUIREMENTS": ("requirements", lambda s: _optional(s) or ""),
}
_DONE = {
    "EXPECTED_NUMBER_FILES": ("expected_number_files", whole),
    "MIN_FILE_SIZE_BYTES": ("min_file_size_bytes", whole),
    "NECESSARY_STRING": ("necessary_string", text),
}
_OTHERS = {
    "APP_NAME",
    "LOG_GROUP_NAME",
    "DOCKERHUB_TAG",
    "AWS_PROFILE",
    "SSH_KEY_NAME",
    "AWS_BUCKET",
    "SOURCE_BUCKET",
    "WORKSPACE_BUCKET",
    "DESTINATION_BUCKET",
    "SQS_QUEUE_NAME",
    "AUTO_MONITOR",
    "CLEAN_DASHBOARD",
    "CHECK_IF_DONE_BOOL",
    "REQUIREMENTS_FILE",
    "UPLOAD_FLAGS",
}


def read(path: Path, step: str = "") -> Found:
    """Read a `config.py`; nothing in it is run. See `parse`.

    Raises
    ------
    InputError
        It is missing, or as `parse`.
    """
    return parse(source_of(path), str(path), step)


def source_of(path: Path) -> str:
    """The text of a file of Distributed-CellProfiler's.

    Raises
    ------
    InputError
        It is missing or is not text.
    """
    try:
        return as_text(path.read_bytes(), str(path)).removeprefix("\ufeff")
    except FileNotFoundError as error:
        raise InputError(f"{path}: is not there: name another file") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def parse(source: str, path: str, step: str = "") -> Found:
    """What a `config.py` sets, as far as it differs from cpengine's defaults.

    Machines and limits are those of the step that APP_NAME ends with, or of all.

    Parameters
    ----------
    path
        The file as messages name it.
    step
        The step that it is used for, if that is known: APP_NAME does not tell qc from
        qc_persite.

    Raises
    ------
    InputError
        It holds code, misses APP_NAME or AWS_BUCKET, or has a value of another type
        than its key takes.
    """
    known = literals.settings(source, path)
    for name in _REQUIRED:
        if name not in known:
            raise InputError(
                f"{path}: {name}: is missing, and run.py stops without it: add it"
            )
        if _optional(known[name]) is None:
            raise known[name].wrong("is no name: write one")
    absent = {
        name: Setting(value, f"{path}: {name}, which is not set")
        for name, value in _ABSENT.items()
    }
    reading = _Reading({**absent, **known}, step)
    return reading.found()


class _Reading:
    """Turns the settings of one file into keys of the project file."""

    def __init__(self, known: Mapping[str, Setting], step: str) -> None:
        self.known = known
        self.made: dict[str, Setting] = {}
        self.notes: list[str] = []
        self.app, suffix = _split(text(known["APP_NAME"]))
        family = SUFFIXES.get(suffix, "")
        self.step = step if step.startswith(family) else family
        self.machines = (
            f"executors.aws.steps.{self.step}" if suffix else "executors.aws"
        )

    def found(self) -> Found:
        if self.app:
            self.put("project.app_name", "APP_NAME", self.app)
        self.buckets()
        self.worker()
        self.access()
        self.upload_flags()
        self.table("executors.aws", _AWS, AwsSection)
        self.table("executors.aws.dcp", _WORKER, DcpWorkerSection)
        self.requirements_file()
        self.table(self.machines, _MACHINES, MachinesSection)
        self.cpu_shares()
        self.done()
        self.names()
        self.left_out()
        return Found(self.made, self.step, tuple(self.notes))

    def value(self, name: str, convert: Convert) -> Any:
        """What a key is set to; None if it is not set."""
        return convert(self.known[name]) if name in self.known else None

    def put(self, key: str, name: str, value: Any) -> None:
        """Set a key of the project file to what comes from `name`."""
        self.made[key] = Setting(value, self.known[name].where)

    def table(
        self,
        section: str,
        table: Mapping[str, tuple[str, Convert]],
        model: type[MachinesSection | DcpWorkerSection],
    ) -> None:
        """Set what differs from the defaults of a section."""
        for name, (key, convert) in table.items():
            value = self.value(name, convert)
            if value not in (None, model.model_fields[key].default):
                self.put(f"{section}.{key}", name, value)

    def buckets(self) -> None:
        root = self.value("AWS_BUCKET", _bucket)
        self.put("storage.root", "AWS_BUCKET", f"s3://{root}")
        source = self.value("SOURCE_BUCKET", _bucket)
        self.bucket("images", "SOURCE_BUCKET", root)
        if self.value("WORKSPACE_BUCKET", _bucket):
            self.bucket("workspace", "WORKSPACE_BUCKET", root)
        else:
            self.bucket("workspace", "SOURCE_BUCKET", root)
        if source:
            self.bucket("outputs", "DESTINATION_BUCKET", root)
        elif self.value("DESTINATION_BUCKET", _bucket) not in (None, root):
            self.note(
                "DESTINATION_BUCKET",
                "left out, as DCP does where SOURCE_BUCKET is 'False'",
            )

    def bucket(self, key: str, name: str, root: str) -> None:
        """Set a storage root where it is another bucket than the root's."""
        bucket = self.value(name, _bucket)
        if bucket not in (None, root):
            self.put(f"storage.{key}", name, f"s3://{bucket}")

    def worker(self) -> None:
        image = self.value("DOCKERHUB_TAG", text)
        if image is None:
            return
        if "distributed-cellprofiler" in image.split("/")[-1].split(":")[0]:
            self.put("executors.aws.worker", "DOCKERHUB_TAG", "dcp")
            self.put("executors.aws.image", "DOCKERHUB_TAG", image)
        else:
            self.note(
                "DOCKERHUB_TAG",
                "left out, as its name does not tell that it is DCP's worker: if it "
                "is, set executors.aws.worker = 'dcp' and executors.aws.image",
            )

    def access(self) -> None:
        profile = self.value("AWS_PROFILE", text)
        if profile not in (None, "", "default"):
            self.put("storage.s3.profile", "AWS_PROFILE", profile)
            self.put("executors.aws.profile", "AWS_PROFILE", profile)
            self.note(
                "AWS_PROFILE",
                "if it has a role_arn, DCP's containers have that role: set "
                "executors.aws.task_role to it",
            )
        key = self.value("SSH_KEY_NAME", text)
        if key not in (None, "", _KEY_FILE_OF_THE_EXAMPLE):
            self.put("executors.aws.key_name", "SSH_KEY_NAME", key.removesuffix(".pem"))

    def upload_flags(self) -> None:
        """UPLOAD_FLAGS, for both workers where ours can follow them."""
        flags = self.value("UPLOAD_FLAGS", _optional)
        if not flags:
            return
        try:
            upload_flags.parse(flags)
        except ValueError as error:
            self.put("executors.aws.dcp.upload_flags", "UPLOAD_FLAGS", flags)
            self.note("UPLOAD_FLAGS", f"only DCP's worker can follow it: {error}")
        else:
            self.put("storage.s3.upload_flags", "UPLOAD_FLAGS", flags)

    def requirements_file(self) -> None:
        """REQUIREMENTS_FILE is the old name of REQUIREMENTS, and wins in DCP."""
        named = self.value("REQUIREMENTS_FILE", _optional)
        if named:
            self.put("executors.aws.dcp.requirements", "REQUIREMENTS_FILE", named)

    def cpu_shares(self) -> None:
        """Leave CPU_SHARES out where they are what cores come to."""
        cores = self.value("DOCKER_CORES", whole)
        if cores and self.value("CPU_SHARES", whole) == cores * 1024:
            del self.made[f"{self.machines}.cpu_shares"]

    def done(self) -> None:
        if not self.value("CHECK_IF_DONE_BOOL", flag):
            return
        if self.step == "zproj":
            self.note("CHECK_IF_DONE_BOOL", "left out: jobs of zproj share folders")
        elif not self.step:
            self.note("CHECK_IF_DONE_BOOL", "left out: set steps.STEP.dcp_done")
        elif "EXPECTED_NUMBER_FILES" not in self.known:
            where = self.known["CHECK_IF_DONE_BOOL"].where
            raise InputError(f"{where}: without EXPECTED_NUMBER_FILES: add it")
        else:
            section = f"steps.{self.step}.dcp_done"
            for name, (key, convert) in _DONE.items():
                value = self.value(name, convert)
                if value not in (None, {"MIN_FILE_SIZE_BYTES": 1}.get(name, "")):
                    self.put(f"{section}.{key}", name, value)

    def names(self) -> None:
        """Names that cpengine makes from APP_NAME, as DCP's example does."""
        app = text(self.known["APP_NAME"])
        own = app if self.machines != "executors.aws" else f"{app}_<step>"
        self.log_group(app, own)
        queue = self.value("SQS_QUEUE_NAME", text)
        if queue not in (None, f"{own}Queue"):
            self.note("SQS_QUEUE_NAME", f"left out: cpengine's queue is {own}Queue")

    def log_group(self, app: str, own: str) -> None:
        """LOG_GROUP_NAME, which in DCP's example is APP_NAME, whatever that is."""
        group = self.value("LOG_GROUP_NAME", text)
        if group is None:
            return
        if group in ("", app):
            what = (
                f"changes with APP_NAME: each step has its own log groups, here {own}"
            )
        else:
            self.put("executors.aws.log_group", "LOG_GROUP_NAME", group)
            what = "is for all steps now; without it each has log groups of its own"
        self.note("LOG_GROUP_NAME", what)
        self.note(
            "LOG_GROUP_NAME",
            "DCP's monitor always copies the logs to the bucket at the end; for that "
            "set executors.aws.export_logs = true",
        )

    def left_out(self) -> None:
        if self.value("AUTO_MONITOR", flag):
            self.note(
                "AUTO_MONITOR",
                "left out: cpengine makes no Lambda function; machines that nobody "
                "watches end after executors.aws.time_limit_h",
            )
        if self.value("CLEAN_DASHBOARD", flag) is False and self.value(
            "CREATE_DASHBOARD", flag
        ):
            self.note("CLEAN_DASHBOARD", "left out: the dashboard goes with the rest")
        understood = {*_MACHINES, *_AWS, *_WORKER, *_DONE, *_OTHERS}
        for name in self.known:
            if name.isupper() and name not in understood:
                self.note(name, "left out: cpengine does not know it")

    def note(self, name: str, what: str) -> None:
        self.notes.append(f"{self.known[name].where}: {what}")


def _split(app_name: str) -> tuple[str, str]:
    """The part of an APP_NAME that all steps share, and the step's own."""
    for suffix in SUFFIXES:
        if app_name.endswith(suffix):
            return app_name.removesuffix(suffix), suffix
    return app_name, ""


def _bucket(setting: Setting) -> str | None:
    """The name of a bucket; None where DCP takes another one instead."""
    name = _optional(setting)
    if name is not None and not re.fullmatch(r"[\w.-]+", name, re.ASCII):
        raise setting.wrong("is not the name of a bucket: write it without s3:// or /")
    return name
