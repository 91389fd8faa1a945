"""A worker from its environment to its end."""

import contextlib
import signal
import threading
from collections.abc import Mapping

from cpengine.executors import machine_spec
from cpengine.executors.aws import dashboard, down, settings
from cpengine.executors.aws.app import App
from cpengine.executors.aws.client import Aws, AwsError
from cpengine.executors.aws.queue import Queue
from cpengine.executors.aws.record import AwsRecord
from cpengine.job.run_job import Machine
from cpengine.wording import visible
from cpengine.worker import metadata
from cpengine.worker.environment import WorkerEnvironment
from cpengine.worker.logs import JobLogs
from cpengine.worker.loop import Worker


def work(environ: Mapping[str, str]) -> None:
    """Empty the queue that the environment names; then end the machines.

    Raises
    ------
    CpengineError
        The worker cannot be used: CellProfiler, scratch, storage or queue fails.
    """
    environment = WorkerEnvironment.of(environ)
    aws = Aws(environment.region)
    queue = Queue(aws, environment.queue)
    machine = machine_spec.machine_of(
        environment.make, environment.machine, environment.slots
    )
    _guard(aws, environment)
    with machine, JobLogs(aws, environment.log_group) as logs:
        worker = Worker(queue, machine, environment, logs, say=_say)
        with metadata.SpotWatch(lambda: _called_back(worker)):
            drained = _until_signalled(worker)
    if drained:
        _lights_out(aws, environment, machine)


def _until_signalled(worker: Worker) -> bool:
    """Run a worker until it is drained, or a signal tells it to go."""

    def go(number: int, frame: object) -> None:
        threading.Thread(target=worker.leave, name="leave").start()

    for number in (signal.SIGTERM, signal.SIGINT):  # from now on to the end
        signal.signal(number, go)
    return worker.run()


def _called_back(worker: Worker) -> None:
    _say("the spot machine is called back: all messages are given back")
    worker.leave()


def _say(line: str) -> None:
    print(visible(line), flush=True)


def _guard(aws: Aws, environment: WorkerEnvironment) -> None:
    """Have an alarm end this machine if it idles, whatever becomes of us."""
    instance = metadata.get("instance-id") if environment.alarms else None
    if instance:
        with contextlib.suppress(AwsError):  # a guard, not a need
            dashboard.put_alarm(aws, environment.app, instance)


def _lights_out(aws: Aws, environment: WorkerEnvironment, machine: Machine) -> None:
    """End what bills: nobody may be left who would do it.

    By what this worker was told: the record in the ledger may be anybody's.
    """
    if not environment.ledger:
        return
    _say("the queue is empty: ending the machines")
    record = AwsRecord(machine.places.outputs, environment.ledger, environment.app)
    record.cluster = environment.cluster
    with contextlib.suppress(AwsError):  # fleets end by themselves, too
        down.stop_billing(App(aws, settings.of_record(record), record, {}))
