"""A project's steps as apps: settings, record and what workers are told."""

import contextlib
import logging
from dataclasses import dataclass, replace
from functools import cached_property

from cpengine.config import AwsSection
from cpengine.config.steps import STEPS
from cpengine.errors import ConfigError
from cpengine.executors import machine_spec
from cpengine.executors.aws import setup
from cpengine.executors.aws.app import App
from cpengine.executors.aws.client import Aws, AwsError
from cpengine.executors.aws.record import NAME, AwsRecord
from cpengine.executors.aws.settings import Settings, app_name, settle
from cpengine.ledger.run_record import user_name
from cpengine.planning.project import ResolvedProject
from cpengine.storage.store import Storage
from cpengine.wording import on_one_line

_LOG = logging.getLogger(__name__)
_MB_PER_GB = 1024
_BUCKETS = {
    "AWS_BUCKET": "outputs",
    "SOURCE_BUCKET": "images",
    "WORKSPACE_BUCKET": "workspace",
    "DESTINATION_BUCKET": "outputs",
}
"""Distributed-CellProfiler's names for the roots of a project."""


def open_app(
    aws: Aws,
    settings: Settings,
    storage: Storage,
    ledger: str,
    environment: dict[str, str],
    *,
    to_end: bool = False,
) -> App:
    """An app with its record, as it is or a new one.

    Parameters
    ----------
    to_end
        Whether nothing will be made: names and tags do then, whatever record is there.

    Raises
    ------
    AwsError
        The folder has the record of another app that is not down.
    """
    record = AwsRecord.read(storage, ledger)
    if record is not None and record.holds_off(settings.app):
        held = AwsError(
            f"{storage.url(ledger)}: has what {on_one_line(record.app)} made on AWS, "
            f"and not {settings.app}: take it down first, by the name it had then; or "
            f"remove {NAME} there, if that is none of yours"
        )
        if not to_end:
            raise held
        _LOG.warning("%s", held)
        record = None
    if record is not None and record.is_up:
        aws, settings = _where_it_is(record, aws, settings, to_end=to_end)
    record = record or AwsRecord(storage, ledger, settings.app)
    section = settings.section
    record.app, record.project = settings.app, settings.project
    record.owner = record.owner or user_name()
    record.region, record.cluster = aws.region, settings.cluster
    record.dead_letters = section.dead_letter_queue or ""
    record.log_group = section.log_group or ""
    record.machine_price = settings.machine_price
    return App(aws, settings, record, environment)


def _same_account(record: AwsRecord, aws: Aws) -> None:
    if record.account and record.account != aws.account:
        raise AwsError(
            f"{record.app}: what it has on AWS is in account {record.account}, and "
            f"these credentials are of account {aws.account}: log in there, or set "
            "executors.aws.profile"
        )


def _where_it_is(
    record: AwsRecord, aws: Aws, settings: Settings, *, to_end: bool
) -> tuple[Aws, Settings]:
    """Region and cluster of what a run has on AWS, whatever the settings say by now.

    Raises
    ------
    AwsError
        It is in another account; or elsewhere, and something is to be made.
    """
    _same_account(record, aws)
    places = {
        "region": (record.region, aws.region),
        "cluster": (record.cluster, settings.cluster),
    }
    changed = [
        f"{name} {there}, and not {today}"
        for name, (there, today) in places.items()
        if there not in ("", today)
    ]
    if not changed:
        return aws, settings
    if not to_end:
        raise AwsError(
            f"{settings.app}: what it has on AWS is in {', '.join(changed)}: take it "
            "down first (`cpengine aws down STEP`), or set executors.aws as it was"
        )
    section = settings.section.model_copy(update={"cluster": record.cluster})
    there = aws.in_region(record.region) if record.region else aws
    return there, replace(settings, section=section)


def worker_environment(
    settings: Settings, make: str, machine: str, ledger: str
) -> dict[str, str]:
    """What our worker is told beyond what Distributed-CellProfiler's is.

    Parameters
    ----------
    make, machine
        See `machine_spec.machine_of`.
    ledger
        The folder of the ledger that has the run's record.
    """
    section = settings.section
    return {
        "CPENGINE_MAKE": make,
        "CPENGINE_MACHINE": machine,
        "CPENGINE_LEDGER": ledger,
        "CPENGINE_VISIBILITY_S": str(settings.visibility_s),
        "CPENGINE_IDLE_S": str(section.idle_s),
        "CPENGINE_ALARMS": str(section.alarms),
    }


@dataclass(frozen=True)
class ProjectApps:
    """The apps of a project."""

    project: ResolvedProject
    cellprofiler: str
    """The version that workers must have; any if empty."""

    @cached_property
    def aws(self) -> Aws:
        """The account."""
        section, s3 = self.project.file.executors.aws, self.project.file.storage.s3
        return Aws(section.region or s3.region, section.profile or s3.profile)

    def app(self, step: str, *, to_end: bool = False) -> App:
        """The app of a step; see `open_app`.

        Raises
        ------
        ConfigError
            The project is not in buckets, or a name cannot be one in AWS.
        """
        project, planned = self.project, self.project.step(step)
        settings = settle(
            self._section(),
            step,
            project=project.file.project.name,
            base=project.file.project.app_name or project.file.project.name,
            plates=len(project.plates(planned)) if planned.source != "batch" else 1,
            buckets=self._buckets(),
            done=planned.dcp_done,
        )
        kernel = project.file.cellprofiler.blas_kernel
        settings = replace(settings, blas_kernel=kernel)
        machine = machine_spec.bucket_spec(
            project.file, self.cellprofiler, settings.memory_mb / _MB_PER_GB
        )
        return open_app(
            self.aws,
            settings,
            project.places.outputs,
            planned.ledger,
            worker_environment(settings, machine_spec.MAKE, machine, planned.ledger),
            to_end=to_end,
        )

    def places(self) -> list[Aws]:
        """The account in today's region, and in those where steps have something.

        Raises
        ------
        AwsError
            A step has something in another account.
        """
        regions = {self.aws.region: self.aws}
        for step in {*STEPS, *self.project.file.steps}:
            with contextlib.suppress(ConfigError):  # a step that cannot be planned
                folder = self.project.step(step).ledger
                record = AwsRecord.read(self.project.places.outputs, folder)
                if record is not None and record.is_up:
                    _same_account(record, self.aws)
                    there = record.region or self.aws.region
                    regions[there] = regions.get(there) or self.aws.in_region(there)
        return list(regions.values())

    def names(self) -> frozenset[str]:
        """The names of all steps' apps, of those that a name can be made for."""
        project = self.project.file.project
        steps = {*STEPS, *self.project.file.steps}
        return frozenset(
            app_name(project.app_name or project.name, step) for step in steps
        )

    def _section(self) -> AwsSection:
        """The section, in which worker 'dcp' uploads as all else does."""
        section, storage = self.project.file.executors.aws, self.project.file.storage
        bucket = (storage.outputs or storage.root).split("://")[-1].partition("/")[0]
        flags = storage.buckets.get(bucket, storage.s3).upload_flags
        if section.worker != "dcp" or section.dcp.upload_flags or not flags:
            return section
        dcp = section.dcp.model_copy(update={"upload_flags": flags})
        return section.model_copy(update={"dcp": dcp})

    def _buckets(self) -> dict[str, str]:
        """The project's buckets as DCP names them.

        Raises
        ------
        ConfigError
            A root is not in a bucket; or the stock worker cannot find it.
        """
        section = self.project.file.storage
        found = {}
        for name, root in _BUCKETS.items():
            place = getattr(section, root) or section.root
            scheme, _, rest = place.partition("://")
            if scheme != "s3":
                setting = root if getattr(section, root) else "root"
                raise ConfigError(
                    f"storage.{setting}: {place} is not in a bucket, and machines on "
                    "AWS see nothing else: use 's3://...'"
                )
            bucket, _, folder = rest.strip("/").partition("/")
            if folder and self.project.file.executors.aws.worker == "dcp":
                raise ConfigError(
                    f"storage: {place}: worker 'dcp' knows buckets only: use "
                    f"'s3://{bucket}', or worker = 'cpengine'"
                )
            found[name] = bucket
        if len(set(found.values())) == 1:
            return {"AWS_BUCKET": found["AWS_BUCKET"]}
        return found

    def check(self, step: str, machines: int = 1) -> None:
        """Refuse what would fail only when so many machines cost already.

        Raises
        ------
        AwsError
            A bucket, role or profile is missing, in another region, or too small.
        """
        app = self.app(step)
        wrong = []
        for bucket in dict.fromkeys(app.settings.buckets.values()):
            wrong += list(setup.check_bucket(app.aws, bucket))
        wrong += list(setup.preflight(app, machines))
        if wrong:
            raise AwsError("\n".join(wrong))
