"""Starts and steers the AWS server from a test."""

import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import boto3

from tests.services.aws.faults import Rule
from tests.services.aws.leftovers import leftovers
from tests.services.s3.bucket_server import ROOT, S3Server

REGION = "us-east-1"


class AwsServer(S3Server):
    """All services of AWS that moto knows, in a process of its own.

    It is used as the S3 server is, and has its short cuts to buckets.
    """

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self._lock = threading.Lock()
        self._sessions: dict[str, boto3.session.Session] = {}
        self._clients: dict[tuple[str, str], Any] = {}

    # A property where the S3 server has a constant: the address is known late.
    @property
    def environ(self) -> dict[str, str]:  # type: ignore[override]  # known late
        """What a client needs, and what keeps it from any real account."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def __enter__(self) -> "AwsServer":
        self.start()
        return self

    def start(self) -> None:
        """Start the process and wait until it answers."""
        command = [sys.executable, "-m", "tests.services.aws.server"]
        self._process = subprocess.Popen(
            [*command, str(self.port), str(os.getpid())],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        with self._process.stdout as output:
            self.port = int(output.readline() or self._failed())

    def _failed(self) -> int:
        raise RuntimeError(f"the AWS server ended: {self._process.wait()}")

    def client(self, service: str, **options: Any) -> Any:
        """A client as the code under test has it: counted, and struck by faults."""
        return self._client(service, "testing", **options)

    def own(self, service: str, **options: Any) -> Any:
        """A client of the test's own: not counted, and never struck by faults."""
        return self._client(service, "tests", **options)

    def _client(self, service: str, key: str, **options: Any) -> Any:
        with self._lock:  # a session is not safe for threads, its clients are
            if not options and (service, key) in self._clients:
                return self._clients[service, key]
            session = self._sessions.get(key)
            if session is None:  # it keeps the models, which take long to read
                session = self._sessions[key] = boto3.session.Session(
                    aws_access_key_id=key,
                    aws_secret_access_key=key,
                    region_name=REGION,
                )
            made = session.client(service, endpoint_url=self.url, **options)
            if not options:
                self._clients[service, key] = made
            return made

    def calls(self) -> list[dict[str, Any]]:
        """The calls since the reset, in the order in which they came.

        Each has a service, an operation, and the status of its answer: None as long
        as there is none, which is for ever if a fault has taken it.
        """
        called: list[dict[str, Any]] = self._ask("GET", "calls")
        return called

    # Calls are counted by service; the S3 server's, by bucket.
    def counts(self, service: str | None = None) -> "Counter[str]":  # type: ignore[override]  # by service
        """How many calls came, by operation; a bucket's are not told apart."""
        return Counter(
            call["operation"]
            for call in self.calls()
            if service in (None, call["service"])
        )

    def reset_calls(self) -> None:
        self._post("reset_calls")

    reset_counts = reset_calls

    # Rules by call; the S3 server's are probabilities.
    def faults(self, *rules: dict[str, Any]) -> None:  # type: ignore[override]  # rules by call
        """Set the faults (see `Rule`) in place of those before; none to end them."""
        for rule in rules:
            Rule(**rule)  # so that a mistake is shown where it was made
        self._post("faults", rules=rules)

    # Of all services; the S3 server can be asked for one bucket.
    def injected(self) -> "Counter[str]":  # type: ignore[override]  # of all services
        """How many faults struck since they were set, by kind."""
        return Counter(self._ask("GET", "injected"))

    def quota(self, vcpus: int) -> None:
        """Set how many vCPUs of spot instances the account may have."""
        self._post("quota", vcpus=vcpus)

    def work(
        self, running: dict[str, int], tasks: Sequence[dict[str, Any]] = ()
    ) -> dict[str, Any]:
        """Ask what an ECS agent is to run, and say how much it runs of each service.

        And how tasks stand that it has started, or ended, as DescribeTasks has it.

        This is the agent's one call: as five calls of AWS it would slow the others.
        """
        asked: dict[str, Any] = self._post("work", running=running, tasks=[*tasks])
        return asked

    def reset(self) -> None:
        """Forget everything: all state of all services, calls, faults, the quota."""
        self._post("reset")

    def leftovers(self) -> list[str]:
        """All that costs money or stands in the way, as "service: name"."""
        return leftovers(self.own)
