"""A queue filled, and emptied by our worker, as DCP's client and worker would do it.

The AWS server is that of the tests, in a process of its own on this machine, so a call
takes a few milliseconds where AWS takes tens: what requests cost is counted, too.

Sending: ten messages a call and eight calls at a time, against a call for each message,
as `run.py` and `run_batch_general.py` 2.2.1 do. Nothing is done for results in between.

Working: one `cpengine worker` against a loop that does for a job what `cp-worker.py`
2.2.1 does, with as many processes at a time: it gets CSV and pipeline, the group's
images (DOWNLOAD_FILES), starts a CellProfiler, sleeps 30 s, sends the files one after
another and deletes the message. It is spared the start of the AWS command line for each
upload, the listing of a mounted bucket, and SECONDS_TO_START between its processes.

    .venv/bin/python -m benchmarks.aws [--short] [--save] [--slots N] [--groups N]
"""

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.common import Options, Ran, Report, in_turn, say_sides, scratch
from benchmarks.work import (
    BUCKET,
    CSVS,
    HOME,
    LOGS,
    PIPELINE,
    RESULTS,
    STEP,
    TEN,
    Plate,
    plain_command,
    plain_environ,
    say_plate,
    write_project,
)
from cpengine.executors.aws import setup, submit
from cpengine.executors.aws.app import App
from cpengine.executors.aws.client import Aws
from cpengine.executors.aws.messages import body
from cpengine.executors.aws.project_apps import ProjectApps
from cpengine.executors.aws.queue import Queue
from cpengine.ledger.standing import JobState
from cpengine.model import Job
from cpengine.project import Project
from tests.services.aws.aws_server import AwsServer

MESSAGES, MESSAGES_SHORT = 3456, 345
ROOT = "plate"
OURS, THEIRS = "cpengine worker", "as DCP's worker"
DCP_SLEEP_S = 30
SETTINGS = """
[executors.aws]
image = "none"
cores = {slots}
memory_mb = 12000
idle_s = 1.0
"""


def main() -> None:
    """Measure both and print their ratios."""
    options = Options.read(__doc__, rounds=1)
    report = Report(options)
    with AwsServer() as server, _environ(server):
        sending(report, server, MESSAGES_SHORT if options.short else MESSAGES)
        with scratch() as folder:
            plate = TEN.plate(folder, options)
            working(report, server, plate, options)
    report.end("aws")


@contextmanager
def _environ(server: AwsServer) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(server.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


# --- sending -------------------------------------------------------------------------


def sending(report: Report, server: AwsServer, messages: int) -> None:
    """Send so many messages in both ways; count requests."""
    bodies = [body(_job(number)) for number in range(messages)]
    sqs, aws = server.client("sqs"), Aws()
    report.say()
    report.say(
        f"sending {messages} messages, {sum(map(len, bodies)) // messages} bytes"
    )

    def one_by_one(url: str) -> None:
        for text in bodies:
            sqs.send_message(QueueUrl=url, MessageBody=text)

    def ours(url: str) -> None:
        for _ in Queue(aws, url).send(bodies):
            pass

    took = {}
    for name, send in (("ten a call", ours), ("one a call", one_by_one)):
        url = sqs.create_queue(QueueName=name.replace(" ", "-"))["QueueUrl"]
        took[name] = _sent(report, server, name, partial(send, url))
        if Queue(aws, url).counts().waiting != messages:
            sys.exit(f"{name}: not all messages are in the queue")
    single, batched = took["one a call"], took["ten a call"]
    report.say(
        f"ratio of requests: {single[0] / batched[0]:.1f}, "
        f"of time: {single[1] / batched[1]:.1f}"
    )


def _sent(
    report: Report, server: AwsServer, name: str, send: Callable[[], None]
) -> tuple[int, float]:
    server.reset_calls()
    begun = time.monotonic()
    send()
    seconds = time.monotonic() - begun
    requests = server.counts("sqs").total()
    report.say(f"{name}: {requests} requests, {seconds:.2f} s")
    return requests, seconds


def _job(number: int) -> Job:
    well = f"{chr(65 + number // 9 // 24 % 16)}{number // 9 % 24 + 1:02d}"
    group = ("Metadata_Plate", "SQ00015167"), ("Metadata_Well", well)
    base = "projects/2015_10_05_DrugRepurposing/workspace"
    return Job(
        step=STEP,
        group=(*group, ("Metadata_Site", str(number % 9 + 1))),
        pipeline=f"{base}/pipelines/Batch1/analysis.cppipe",
        data_file=f"{base}/load_data_csv/Batch1/SQ00015167/load_data_with_illum.csv",
        input=f"{base}/qc/Batch1/rules",
        output=f"{base}/analysis/Batch1",
        output_structure="Metadata_Plate/analysis/"
        "Metadata_Plate-Metadata_Well-Metadata_Site",
    )


# --- working -------------------------------------------------------------------------


def working(report: Report, server: AwsServer, plate: Plate, options: Options) -> None:
    """Empty a queue of the plate's groups in both ways."""
    server.make(ROOT)
    server.upload(ROOT, plate.folder / HOME, f"{HOME}/")
    number = count()
    sides = {
        OURS: lambda folder: _ours(server, plate, folder, options.slots, next(number)),
        THEIRS: lambda folder: _theirs(
            server, plate, folder, options.slots, next(number)
        ),
    }
    say_plate(report, plate, options)
    ran = in_turn(sides, options.rounds)
    say_sides(report, ran, len(plate.groups), OURS)


def _filled(folder: Path, results: str, slots: int) -> tuple[App, Project]:
    """An app whose queue has all jobs of the plate."""
    lines = SETTINGS.format(slots=slots).strip().splitlines()
    write_project(folder, f"s3://{ROOT}", f"s3://{results}", *lines)
    project = Project.load(folder)
    app = ProjectApps(project, project.cellprofiler().version).app(STEP)
    queue = setup.setup(app)
    plan = project.plan(STEP)
    ledger = project.ledger(plan.step)
    submit.submit(app, ledger, [(job, 1) for job in plan.jobs], queue)
    return app, project


def _ours(
    server: AwsServer, plate: Plate, folder: Path, slots: int, number: int
) -> Ran:
    results = f"results-{number}"
    server.make(results)
    app, project = _filled(folder, results, slots)
    ledger = f"{project.step(STEP).ledger}/markers"
    environ = os.environ | _environment(server, app)
    begun = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "cpengine", "worker"],
        env=environ,
        stdout=subprocess.DEVNULL,
    ) as worker:
        done = f".{JobState.DONE}"
        while sum(
            name.endswith(done) for name in project.places.outputs.sizes(ledger)
        ) < len(plate.groups):
            if worker.poll() is not None:
                sys.exit(f"{OURS}: ended early")
            time.sleep(0.2)
        seconds = time.monotonic() - begun
    return _read(server, results, folder, seconds)


def _environment(server: AwsServer, app: App) -> dict[str, str]:
    """What the service's task definition tells a container."""
    task = server.own("ecs").describe_task_definition(taskDefinition=app.settings.task)
    (container,) = task["taskDefinition"]["containerDefinitions"]
    return {
        variable["name"]: variable["value"] for variable in container["environment"]
    }


def _theirs(
    server: AwsServer, plate: Plate, folder: Path, slots: int, number: int
) -> Ran:
    results = f"results-{number}"
    server.make(results)
    app, _ = _filled(folder, results, slots)
    for name in ("input", "logs", "results", "temp"):
        (folder / name).mkdir(exist_ok=True)
    begun = time.monotonic()
    with ThreadPoolExecutor(slots) as pool:
        loops = [
            pool.submit(_loop, server, plate, folder / str(n), app.queue().url, results)
            for n in range(slots)
        ]
        ended = [loop.result() for loop in loops]
    return _read(server, results, folder, max(ended) - begun)


def _loop(
    server: AwsServer, plate: Plate, folder: Path, url: str, results: str
) -> float:
    """One process of DCP's worker; when its last job ended."""
    sqs, s3 = server.client("sqs"), server.client("s3")
    last = time.monotonic()
    while True:
        got = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=1, WaitTimeSeconds=2
        ).get("Messages")
        if not got:
            return last
        job = Job.from_json(json.loads(got[0]["Body"]))
        _run_dcp_job(s3, plate, folder, job, results)
        handle = got[0]["ReceiptHandle"]
        sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
        last = time.monotonic()


def _run_dcp_job(s3: Any, plate: Plate, folder: Path, job: Job, results: str) -> None:
    """A job as `cp-worker.py` does it."""
    job_folder = folder / job.id
    for name in ("input", "output", "temp"):
        (job_folder / name).mkdir(parents=True)
    s3.download_file(ROOT, PIPELINE, str(job_folder / "any.cppipe"))
    data = job_folder / "load_data.csv"
    s3.download_file(ROOT, f"{CSVS}/load_data_with_illum.csv", str(data))
    with data.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if all(row[key] == value for key, value in job.group):
            _fetch(s3, row, job_folder / "input")
    text = data.read_text().replace(BUCKET, str(job_folder / "input"))
    data.write_text(text)
    command = plain_command(plate, job_folder)
    command[command.index("-p") + 1] = str(job_folder / "any.cppipe")
    command = [
        argument if "--data-file" not in argument else f"--data-file={data}"
        for argument in command
    ]
    command[command.index("-i") + 1] = str(job_folder / "temp")
    with (job_folder / "log").open("wb") as log:
        subprocess.run(
            [*command, "-o", str(job_folder / "output"), "-g", job.metadata],
            env=plain_environ(job_folder),
            stdout=log,
            stderr=log,
            check=True,
        )
    time.sleep(DCP_SLEEP_S)
    for path in sorted(p for p in (job_folder / "output").rglob("*") if p.is_file()):
        name = path.relative_to(job_folder / "output").as_posix()
        s3.upload_file(str(path), results, f"{job.destination}/{name}")


def _fetch(s3: Any, row: dict[str, str], folder: Path) -> None:
    for column in (name for name in row if name.startswith("FileName_")):
        place = row[column.replace("FileName_", "PathName_")]
        key = f"{place.removeprefix(BUCKET).strip('/')}/{row[column]}"
        path = folder / key
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(ROOT, key, str(path))


def _read(server: AwsServer, results: str, folder: Path, seconds: float) -> Ran:
    for key, data in server.objects(results, RESULTS).items():
        path = folder / "outputs" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    server.delete(results)
    return Ran.read(seconds, folder / "outputs" / RESULTS, folder / "outputs" / LOGS)


if __name__ == "__main__":
    main()
