"""Jobs' logs to CloudWatch while they run, a stream each, named as DCP names them."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self

from cpengine.executors.aws.client import Aws, AwsError
from cpengine.model import Job

_EVERY_S = 5.0
_MOST_EVENTS = 1000
_MOST_BYTES = 900_000
"""CloudWatch takes 1,048,576 bytes a call, each event counted with 26 more."""
_LONGEST_LINE = 200_000
_THERE = "ResourceAlreadyExistsException"


@dataclass(eq=False)
class _Stream:
    """One job's log, as far as it has been sent."""

    name: str
    file: BinaryIO | None = None
    rest: bytes = b""
    lines: list[tuple[int, str]] = field(default_factory=list)
    made: bool = False

    def read(self, *, to_end: bool) -> None:
        """Take in the whole lines that are new."""
        if self.file is None:
            return
        *whole, self.rest = (self.rest + self.file.read()).split(b"\n")
        if to_end and self.rest:
            whole.append(self.rest)
            self.rest = b""
        for line in whole:
            self.say(line[:_LONGEST_LINE].decode(errors="replace"))

    def say(self, line: str) -> None:
        """Add a line, but no empty one: CloudWatch takes none."""
        if line.strip():
            self.lines.append((int(time.time() * 1000), line))


class JobLogs:
    """Sends what jobs write to their logs, until it is left.

    A log that cannot be sent does not harm its job: it is kept in the ledger, too.
    """

    def __init__(self, aws: Aws, group: str, every_s: float = _EVERY_S) -> None:
        self._aws = aws
        self._group = group
        self._every_s = every_s
        self._streams: dict[Job, _Stream] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._send_all, name="logs", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def begin(self, job: Job, log: Path) -> None:
        """Follow a job's log; it may be moved or removed meanwhile."""
        stream = _Stream(job.place.replace(":", "_").replace("*", "_"))
        with contextlib.suppress(OSError):
            stream.file = log.open("rb")
        with self._lock:
            before = self._streams.get(job)  # of a message that came twice
            self._streams[job] = stream
        if before is not None and before.file is not None:
            before.file.close()

    def end(self, job: Job, line: str) -> None:
        """Send what is left of a job's log, and a last line."""
        with self._lock:
            stream = self._streams.pop(job, None) or _Stream(job.place)
            with contextlib.suppress(OSError):  # the disk: see the class
                stream.read(to_end=True)
        if stream.file is not None:
            stream.file.close()
        stream.say(line)
        self._send(stream)

    def _send_all(self) -> None:
        while not self._over.wait(self._every_s):
            with self._lock:
                streams = list(self._streams.values())
                for stream in streams:
                    # Its job has just ended, or the disk fails.
                    with contextlib.suppress(ValueError, OSError):
                        stream.read(to_end=False)
            for stream in streams:
                self._send(stream)

    def _send(self, stream: _Stream) -> None:
        with self._lock:
            lines, stream.lines = stream.lines, []
        for some in _portions(lines):
            with contextlib.suppress(AwsError):  # see the class
                self._put(stream, some)

    def _put(self, stream: _Stream, lines: list[tuple[int, str]]) -> None:
        if not stream.made:
            try:
                self._aws.logs.create_log_stream(
                    logGroupName=self._group, logStreamName=stream.name
                )
            except AwsError as error:
                if error.code != _THERE:
                    raise
            stream.made = True
        self._aws.logs.put_log_events(
            logGroupName=self._group,
            logStreamName=stream.name,
            logEvents=[{"timestamp": when, "message": line} for when, line in lines],
        )


def _portions(
    lines: list[tuple[int, str]],
) -> Iterator[list[tuple[int, str]]]:
    """Lines in portions that one call takes."""
    portion: list[tuple[int, str]] = []
    size = 0
    for when, line in lines:
        bytes_of = len(line.encode()) + 26
        if portion and (len(portion) == _MOST_EVENTS or size + bytes_of > _MOST_BYTES):
            yield portion
            portion, size = [], 0
        portion.append((when, line))
        size += bytes_of
    if portion:
        yield portion
