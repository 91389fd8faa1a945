"""One driver a job: who runs a step's jobs says so first, and then asks who else does.

A run gives its sign before it asks, so of two that begin together at least one sees the
other. Of two that both still ask, the one whose name comes first goes first: the other
says that it waits for it. The first waits until that is said, or until the other has
begun, as it may have asked before there was a sign of the first.
"""

import contextlib
import posixpath
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Self

from cpengine.errors import ExecutorError, StorageError
from cpengine.executors import registry
from cpengine.ledger import driver_sign, heartbeat, run_record
from cpengine.ledger.driver_sign import Sign
from cpengine.ledger.heartbeat import Heartbeat
from cpengine.ledger.ledger import Ledger, step_ledger
from cpengine.ledger.run_record import RunRecord
from cpengine.model import Job
from cpengine.planning.job_list import ids
from cpengine.planning.plan import Plan
from cpengine.planning.project import ResolvedProject
from cpengine.wording import counted

_POLL_S = 0.5
Note = Callable[[str], None]


class Driver:
    """This process as the one driver of some jobs of a step, until it is left.

    Parameters
    ----------
    record
        The run's record; it is written, and stays if the run begins.
    jobs
        The ids of the jobs to run.
    progress
        Says how far the run has come.
    note
        Takes lines that say what is waited for.
    on
        The name of the executor.
    """

    def __init__(
        self,
        ledger: Ledger,
        record: RunRecord,
        jobs: Iterable[str],
        progress: Callable[[], str] = lambda: "",
        note: Note = lambda line: None,
        on: str = "",
    ) -> None:
        self._ledger = ledger
        self._record = record
        self._jobs = frozenset(jobs)
        self._note = note
        self._on = on
        self._heartbeat = Heartbeat(ledger, record.id, self._jobs, progress)
        self._begun = False

    def __enter__(self) -> Self:
        """Take the jobs.

        Raises
        ------
        ExecutorError
            Another run has some of them.
        StorageError
            The ledger cannot be written.
        """
        self._heartbeat.__enter__()
        try:
            self._record.write(self._ledger)  # who is refused meanwhile can see the run
            self._ask_others()
            self._heartbeat.admitted()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        if not self._begun:
            with contextlib.suppress(StorageError):
                run_record.remove(self._ledger, self._record.id)
        self._heartbeat.__exit__()

    def begin(self, traces: Mapping[str, str]) -> None:
        """Say that jobs start, and what would be left; see `Executor.traces`."""
        self._begun = True
        self._heartbeat.leaves(traces)

    def _ask_others(self) -> None:
        while not self._may_begin():
            time.sleep(_POLL_S)
        refuse_elsewhere(self._ledger, self._jobs, self._on)

    def _may_begin(self) -> bool:
        """Whether no other run that checks may still get the jobs, or go first.

        Runs that have come since are seen, too, so that the first of all is waited for
        by all others.
        """
        waits = False
        for other, shared in _with_shared(self._ledger, self._jobs, self._record.id):
            sign = driver_sign.watch(self._ledger, other, _waits(self._note))
            if sign is None:
                heartbeat.replace_silent(self._ledger, other)
            elif not sign.checking:
                raise _refused(self._ledger, shared, len(self._jobs), sign)
            else:
                waits |= self._waits_for(sign)
        return not waits

    def _waits_for(self, other: Sign) -> bool:
        """Whether another run that checks is to be waited for; it is told so."""
        if other.run < self._record.id:
            self._heartbeat.yield_to(other.run)
            return True
        return self._record.id not in other.yields


@contextlib.contextmanager
def running(
    project: ResolvedProject, plan: Plan, jobs: Sequence[Job]
) -> Iterator[None]:
    """Have jobs of a plan to oneself; the run is in the ledger as any other.

    Who cancels it interrupts this process as Ctrl-C does.

    Raises
    ------
    ExecutorError
        Another run has some of the jobs.
    StorageError
        The ledger cannot be written.
    """
    if not jobs:
        yield
        return
    ledger = step_ledger(project, plan.step)
    record = run_record.begin(
        jobs[0],
        len(jobs),
        executor="python",
        versions={},
        workspace=project.places.workspace,
        softened=project.file.check,
    )
    how = "stopped"
    with Driver(ledger, record, ids(jobs)) as driver:
        driver.begin({})
        try:
            yield
            how = "ended"
        finally:
            with contextlib.suppress(StorageError):  # the jobs have told what matters
                record.ended_with(how, {}).write(ledger)


def refuse_shared(
    ledger: Ledger, jobs: Collection[str], note: Note = lambda line: None, on: str = ""
) -> None:
    """Refuse jobs that a living run has, before anything is started.

    Parameters
    ----------
    jobs
        The ids of the jobs to run.
    note, on
        As for `Driver`.

    Raises
    ------
    ExecutorError
        Another run has some of them.
    """
    for other, shared in _with_shared(ledger, jobs):
        sign = driver_sign.watch(ledger, other, _waits(note))
        if sign is not None:
            raise _refused(ledger, shared, len(jobs), sign)
    refuse_elsewhere(ledger, jobs, on)


def refuse_elsewhere(ledger: Ledger, jobs: Collection[str], on: str) -> None:
    """Refuse jobs that machines have which need no driver.

    Raises
    ------
    ExecutorError
        They have some of them, and the run is not to go on there.
    """
    for executor in registry.entries() if jobs else ():
        found = executor.jobs_elsewhere(ledger) if executor.name != on else None
        if found and (shared := found.ids.intersection(jobs)):
            raise ExecutorError(
                f"{_step(ledger)}: {_some(len(shared), len(jobs))} with "
                f"{found.machines}, since {found.since} "
                f"({driver_sign.ago(found.since)}): {found.cure}"
            )


def _with_shared(
    ledger: Ledger, jobs: Collection[str], own: str = ""
) -> Iterator[tuple[str, int]]:
    """The runs with a sign that have some of the jobs, and how many.

    All of them where it cannot be known.
    """
    for run in sorted(set(driver_sign.runs_with_sign(ledger)) - {own}):
        theirs = heartbeat.jobs_of(ledger, run)
        shared = len(jobs) if theirs is None else len(theirs.intersection(jobs))
        if shared:
            yield run, shared


def _waits(note: Note) -> Callable[[Sign], None]:
    def tell(sign: Sign) -> None:
        note(
            f"{sign} has some of these jobs: watching for up to "
            f"{driver_sign.SILENT_S:.0f} s whether it goes on"
        )

    return tell


def _step(ledger: Ledger) -> str:
    return posixpath.basename(ledger.folder)


def _some(shared: int, jobs: int) -> str:
    are = "is" if shared == 1 else "are"
    return f"{shared} of the {counted(jobs, 'job')} to run {are}"


def _refused(ledger: Ledger, shared: int, jobs: int, sign: Sign) -> ExecutorError:
    return ExecutorError(
        f"{_step(ledger)}: {_some(shared, jobs)} with {sign}: follow it with "
        "`cpengine attach`, end it with `cpengine cancel`; a part without these jobs "
        "can run now (--plate, --well, --site)"
    )
