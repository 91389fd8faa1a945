"""Whether the places that a run of a step writes to can be written."""

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from cpengine.errors import StorageError
from cpengine.ledger.ledger import step_ledger
from cpengine.model import Job
from cpengine.planning.current_tables import Deriver
from cpengine.planning.plan import Plan
from cpengine.planning.project import ResolvedProject
from cpengine.rules import Finding
from cpengine.run.shared_output import users_folder
from cpengine.storage.store import Storage

_MOST = 3
"""So many folders of jobs are named at the most: others are mostly like them."""


def unwritable(
    project: ResolvedProject, plan: Plan, jobs: Sequence[Job]
) -> Iterator[Finding]:
    """What is wrong with places that a run of a step writes to.

    Output and ledger are tried; on local disks the folders of jobs, tables and the
    ledger are looked at, too.

    Parameters
    ----------
    jobs
        Those that would run.
    """
    found = [*_tried(project.places.outputs, (plan.step.output, plan.step.ledger))]
    if jobs and not found:
        jobs_folders = _refused(project.places.outputs, (j.destination for j in jobs))
        found = [*_of_records(project, plan), *islice(jobs_folders, _MOST)]
    yield from dict.fromkeys(finding for error in found for finding in error.findings)


def _tried(storage: Storage, keys: Iterable[str]) -> Iterator[StorageError]:
    for key in keys:
        try:
            storage.check_writable(key)
        except StorageError as error:
            yield error


def _of_records(project: ResolvedProject, plan: Plan) -> Iterator[StorageError]:
    """Of the folders of a step's ledger, and of tables that are made."""
    outputs, origins = project.places.outputs, Deriver.of(project).origins
    ledger = step_ledger(project, plan.step)
    users = users_folder(project, plan)
    yield from _refused(outputs, [*ledger.folders, *filter(None, [users])])
    if plan.derived or plan.taken:
        yield from _refused(outputs, [origins.folder])
        tables = map(posixpath.dirname, plan.derived)
        yield from _refused(project.places.workspace, tables)
        yield from _tables_of_others(project.places.workspace, plan.derived)


def _tables_of_others(
    workspace: Storage, tables: Iterable[str]
) -> Iterator[StorageError]:
    """Tables that would be made in a bucket that is read without credentials."""
    for key in tables:
        if workspace.is_anonymous(key):
            yield StorageError(
                f"{workspace.url(key)}: is to be made, and the bucket is read without "
                "credentials: copy the folders of plates with their tables to a "
                "storage.workspace of your own"
            )
            return


def _refused(storage: Storage, folders: Iterable[str]) -> Iterator[StorageError]:
    return storage.refusals(key for key in folders if storage.is_local(key))
