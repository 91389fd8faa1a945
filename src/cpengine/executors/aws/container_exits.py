"""Containers that end at once, again and again, while their machines cost."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from cpengine.errors import StorageError
from cpengine.events import Listener, Noted
from cpengine.executors.aws.app import App
from cpengine.executors.aws.client import AwsError, items
from cpengine.executors.aws.fleet import Fleet
from cpengine.executors.aws.queue import MessageCounts
from cpengine.executors.early_exits import EarlyExits
from cpengine.ledger.ledger import Ledger

if TYPE_CHECKING:
    from types_boto3_ecs.literals import DesiredStatusType
    from types_boto3_ecs.type_defs import ContainerTypeDef, TaskTypeDef

_AT_ONCE = 100
"""So many tasks AWS describes in a call."""
_LAST_LINES = 3
_LONGEST = 300
_ORDERED = frozenset(
    {
        "ServiceSchedulerInitiated",
        "SpotInterruption",
        "TerminationNotice",
        "UserInitiated",
    }
)
"""Ends of tasks that did not end by themselves."""
_PLAIN = "Essential container in task exited"
_CURES = {
    r"CannotPull|manifest|repository .*not (exist|found)": "push the image, or name "
    "another in executors.aws.image; the machines' role must be allowed to fetch it",
    r"assume.*role|Access ?Denied|not authorized|Unable to locate cred": "set "
    "executors.aws.task_role, with the rights of backends/aws/task-role.json",
    r"OutOfMemory|exit code 137": "raise executors.aws.memory_mb",
    r"executable file not found|exit code 127": "name an image with cpengine's worker "
    "in executors.aws.image: build backends/aws/worker",
    r"(?i)cellprofiler": "use an image with the CellProfiler that the run was started "
    "with: see docs/how-to/aws.md",
}
"""What may stand in a reason, and what a user can do."""


@dataclass
class ContainerWatch:
    """Sees why containers end, for as long as no job is known to have begun."""

    app: App
    listen: Listener
    exits: EarlyExits = field(default_factory=lambda: EarlyExits("containers"))
    begun: bool = False
    """Whether a job has begun, or come to its end."""
    _known: set[str] = field(default_factory=set)
    _running: frozenset[str] = frozenset()
    _messages: int = 0
    """So many there were at the most."""
    _held: int = 0
    """So many were in flight at the last look."""
    _fewer: bool = False
    _due: bool = False
    """Whether the last look would have ended the run."""
    _markers: frozenset[str] = frozenset()
    """Those that were there when so many had ended that it was told."""

    def check(self, fleets: Collection[Fleet], counts: MessageCounts) -> str:
        """Look; why the run is not to go on, or nothing.

        Parameters
        ----------
        fleets
            Those of the app: containers from before them count for nothing.
        """
        if self.begun:
            return ""
        try:
            self._take_exits(fleets)
            self._take_signs(counts)
            return self._verdict()
        except StorageError:  # with the next look
            return ""
        except AwsError as error:
            if not error.passing:
                self.begun = True  # as far as can be known
                what = f"why containers end cannot be seen: {error}"
                self.listen(Noted(f"{self.app.name}: {what}"))
            return ""

    def _take_exits(self, fleets: Collection[Fleet]) -> None:
        since = min((each.created for each in fleets if each.created), default=None)
        for task in self._ended():
            if _counts(task, since) and (note := self.exits.add(why(self.app, task))):
                self._markers = self._marked()
                self.listen(Noted(f"{self.app.name}: {note}"))

    def _ended(self) -> "list[TaskTypeDef]":
        """The tasks that have ended since the last look."""
        fresh = [arn for arn in self._listed("STOPPED") if arn not in self._known]
        some = fresh[:_AT_ONCE]
        if not some:
            return []
        found = self.app.aws.ecs.describe_tasks(
            cluster=self.app.record.cluster, tasks=some
        )["tasks"]
        self._known.update(some)
        return found

    def _listed(self, status: "DesiredStatusType") -> list[str]:
        return list(
            items(
                self.app.aws.ecs.get_paginator("list_tasks").paginate(
                    cluster=self.app.record.cluster,
                    serviceName=self.app.settings.service,
                    desiredStatus=status,
                ),
                lambda page: page.get("taskArns", ()),
            )
        )

    def _take_signs(self, counts: MessageCounts) -> None:
        """Believe that a job has begun where two looks show it, or has ended."""
        held, self._held = self._held and counts.in_flight, counts.in_flight
        fewer, self._fewer = self._fewer, counts.total < self._messages
        self._messages = max(self._messages, counts.total)
        lasting = True
        if self.exits.count:  # then a message may be held by one that is gone
            running = frozenset(self._listed("RUNNING"))
            self._running, lasting = running, bool(running & self._running)
        self.begun = (fewer and self._fewer) or bool(held and lasting)

    def _verdict(self) -> str:
        verdict = "" if self.begun else self.exits.verdict
        if verdict and self._marked() - self._markers:
            self.begun = True
        # At a second look: what has just begun holds its message there, too.
        due, self._due = self._due, bool(verdict and not self.begun)
        return verdict if due and self._due else ""

    def _marked(self) -> frozenset[str]:
        """All markers of the step, by which workers tell what a job came to."""
        ledger = Ledger(self.app.record.storage, self.app.record.folder)
        return frozenset(name for names in ledger.markers().values() for name in names)


def _counts(task: "TaskTypeDef", since: datetime | None) -> bool:
    """Whether a task ended by itself, and is of this run."""
    made = task.get("createdAt")
    late = since is None or made is None or made >= since
    return late and task.get("stopCode") not in _ORDERED


def why(app: App, task: "TaskTypeDef") -> str:
    """Why a task ended, in one line with the cure."""
    container = (task.get("containers") or [{}])[0]
    stopped = task.get("stoppedReason", "")
    parts = [] if stopped.startswith(_PLAIN) else [stopped]
    parts.append(container.get("reason", ""))
    if "exitCode" in container:
        parts.append(f"exit code {container['exitCode']}")
    parts += _last_lines(app, task, container)
    text = ", ".join(" ".join(part.split()) for part in parts if part)
    if len(text) > _LONGEST:  # it ends in what its log ends in
        text = f"{text[: _LONGEST // 3]} ... {text[-_LONGEST // 3 * 2 :]}"
    return f"{text or _PLAIN}: {_cure(app, text)}"


def _cure(app: App, text: str) -> str:
    for pattern, cure in _CURES.items():
        if re.search(pattern, text):
            return cure
    return f"see the log group {app.settings.log_groups[1]} and the service's events"


def _last_lines(
    app: App, task: "TaskTypeDef", container: "ContainerTypeDef"
) -> list[str]:
    """The last that a container has said; nothing if that cannot be read."""
    number = task["taskArn"].rpartition("/")[2]
    try:
        found = app.aws.logs.get_log_events(
            logGroupName=app.settings.log_groups[1],
            logStreamName=f"{app.name}/{container.get('name', app.name)}/{number}",
            limit=_LAST_LINES,
            startFromHead=False,
        )
    except AwsError:  # it has said nothing, or nobody may look
        return []
    return [event["message"] for event in found["events"] if event["message"].strip()]
