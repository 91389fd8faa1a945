"""Who else publishes to a step's output: other batches, and other projects.

Batches of a project see each other's turns, and refuse what would replace results of
another one. Projects do not: what is outside of a project's own folder keeps a small
file for each that has published there, so that the next one is told.
"""

import json
import os
import posixpath
from collections.abc import Iterator, Sequence

from cpengine import rules
from cpengine.job.turns import publisher_of
from cpengine.ledger.ledger import Ledger, digest, step_ledger
from cpengine.model import Job
from cpengine.planning.plan import Plan
from cpengine.planning.project import ResolvedProject
from cpengine.rules import Finding
from cpengine.storage.filesystems import is_local
from cpengine.storage.own_files import OwnFile
from cpengine.storage.real_place import real_place

_USERS = OwnFile(lambda data: str(data["ledgers"]), "remove it")


def others(
    project: ResolvedProject, plan: Plan, jobs: Sequence[Job]
) -> Iterator[Finding]:
    """Say which other batch or project has published to a step's output.

    Nothing is read where the output is in a folder of the batch's own.
    """
    output = real_place(project.places.outputs, plan.step.output)
    ledger = step_ledger(project, plan.step)
    if jobs and project.layout.batch not in output.split("/"):
        yield from _other_batches(ledger, jobs)
    if users := users_folder(project, plan):
        yield from _other_projects(ledger, plan.step.output, users)


def keep_user(project: ResolvedProject, plan: Plan) -> None:
    """Remember that the project has published to an output outside of its folder.

    Raises
    ------
    StorageError
        It cannot be written.
    """
    if users := users_folder(project, plan):
        ledger = step_ledger(project, plan.step)
        place = _own_place(ledger)
        data = json.dumps({"ledgers": place}).encode()
        ledger.storage.write(posixpath.join(users, digest(place)), data)


def users_folder(project: ResolvedProject, plan: Plan) -> str:
    """Where projects say that they publish to an output; empty if it is one's own."""
    output = real_place(project.places.outputs, plan.step.output)
    is_own = f"{output}/".startswith(f"{project.layout.base}/")
    return "" if is_own else posixpath.join(plan.step.output, ".cpengine", "users")


def _other_batches(ledger: Ledger, jobs: Sequence[Job]) -> Iterator[Finding]:
    """Of the first job's place, and of all that versions before have written."""
    own = posixpath.dirname(ledger.name)
    first = publisher_of(ledger, jobs[0])
    found = {posixpath.dirname(first): None} if first else {}
    names = {posixpath.basename(ledger.older_turn(job)) for job in jobs}
    for batch in ledger.storage.folders(ledger.home):
        there = Ledger(ledger.storage, posixpath.join(ledger.home, batch, "any"))
        older = there.older_folder(".turns", jobs[0])
        if not batch.startswith(".") and names & ledger.storage.sizes(older).keys():
            found[batch] = None
    for batch in found.keys() - {own}:
        yield _finding(
            ledger,
            jobs[0].output,
            f"has results of batch {batch}, too, of plates that have these names",
        )


def _other_projects(ledger: Ledger, output: str, users: str) -> Iterator[Finding]:
    storage = ledger.storage
    keys = (posixpath.join(users, name) for name in storage.sizes(users))
    for place in _USERS.read_each(storage, keys):
        gone = is_local(place) and not os.path.isdir(place)  # it was moved, or removed
        if place != _own_place(ledger) and not gone:
            yield _finding(
                ledger, output, f"gets the results of another project, too ({place})"
            )


def _finding(ledger: Ledger, output: str, cause: str) -> Finding:
    place = ledger.storage.url(output)
    return rules.OUTPUT_OF_OTHERS.found(place, cause, "give each an output of its own")


def _own_place(ledger: Ledger) -> str:
    return ledger.storage.url(ledger.home)
