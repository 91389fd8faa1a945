"""Run steps one after another, each gated on the one before."""

import contextlib
import time
from array import array
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Self

from cpengine import rules
from cpengine.cellprofiler.find import CellProfiler
from cpengine.cellprofiler.pipeline_load import Prober
from cpengine.config.forms import EXACT_CHECK
from cpengine.errors import CpengineError, InputError, StorageError
from cpengine.events import Noted
from cpengine.executors.base import Executor
from cpengine.executors.retry import Cause, Tally
from cpengine.group_names import Group
from cpengine.ledger import run_record
from cpengine.ledger.acceleration_use import (
    NOTHING_USED,
    AccelerationTally,
    AccelerationUse,
)
from cpengine.ledger.ledger import Ledger, step_ledger
from cpengine.ledger.run_record import RunRecord
from cpengine.ledger.standing import JobState, Standing, summary
from cpengine.model import CHECK_ALWAYS, CHECK_NEW, Job, Outcome
from cpengine.planning.job_list import Lazy, ids
from cpengine.planning.plan import Plan
from cpengine.planning.planner import plan_step
from cpengine.planning.priority import PlateTimes, longest_first
from cpengine.planning.project import ResolvedProject
from cpengine.planning.step_inputs import NONE_BEFORE, Before
from cpengine.planning.step_tables import (
    check_images,
    keep_taken,
    write_derived,
)
from cpengine.plates import Part
from cpengine.rules import Finding, Severity
from cpengine.run.driver import Driver, Note, refuse_shared
from cpengine.run.plain_modules import are_accelerated
from cpengine.run.preflight import Check
from cpengine.run.progress import MakeView, View
from cpengine.run.release_claims import release_claims
from cpengine.run.shared_output import keep_user
from cpengine.run.writable import unwritable
from cpengine.storage.parallel import each
from cpengine.wording import counted


@dataclass(frozen=True, slots=True)
class StepResult:
    """What running one step came to."""

    step: str
    jobs: int
    """Jobs of the plan."""
    already: int
    """Jobs that earlier runs had done."""
    done: int = 0
    failed: int = 0
    causes: tuple[Cause, ...] = ()
    """Why jobs failed, the commonest cause first, each with the first job of it."""
    not_run: int = 0
    """Jobs that were to run and did not, because the run was ended early."""
    stopped: str = ""
    """Why it was ended early, if it was."""
    image_sets: int = 0
    """Image sets of the jobs that this run did."""
    files: int = 0
    """Files that this run published."""
    wall_s: float = 0.0
    output: str = ""
    again: Mapping[str, int] = field(default_factory=dict)
    """How many jobs were run again that had been done, by what has changed since."""
    derived: tuple[str, ...] = ()
    """CSVs made because they were missing, or because their source has changed."""
    notes: tuple[str, ...] = ()
    accelerations: AccelerationUse = NOTHING_USED
    """What the jobs that this run did used, and on what processors."""
    blas_kernel: str | None = None
    """The one that the project file names."""

    def to_json(self) -> dict[str, Any]:
        """The result as `--json` prints it."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return data | {
            "causes": [cause.to_json() for cause in self.causes],
            "accelerations": asdict(self.accelerations),
        }

    @property
    def counts(self) -> dict[str, int]:
        """What a run's record keeps of it."""
        return {
            "done": self.done,
            "failed": self.failed,
            "not_run": self.not_run,
            "image_sets": self.image_sets,
            "files": self.files,
        }


@dataclass(frozen=True, slots=True)
class Todo:
    """A step's plan and what is left of it."""

    plan: Plan
    standings: Sequence[Standing]
    jobs: Sequence[Job]
    """The jobs that would run; each is made when it is looked at."""
    again: Mapping[str, int] = field(default_factory=dict)
    """How many of them were done, by what has changed since."""
    findings: tuple[Finding, ...] = ()
    """What a user should know before."""

    def done(self) -> Iterator[Group]:
        """The groups of jobs that earlier runs had done."""
        for group, standing in zip(self.plan.jobs.groups, self.standings, strict=True):
            if standing.state is JobState.DONE:
                yield group


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found of a step before it runs."""

    step: str
    todo: Todo | None
    """None if no jobs can be made."""
    findings: tuple[Finding, ...]
    writes: tuple[str, ...] = ()
    """The files of each job, as far as the pipeline tells."""

    @property
    def errors(self) -> list[Finding]:
        """Those for which jobs would fail."""
        return [
            finding for finding in self.findings if finding.severity is Severity.ERROR
        ]


def once(steps: Iterable[Sequence[Finding]]) -> list[tuple[Finding, ...]]:
    """The findings of steps, each with the first step that has it alone.

    A missing channel is the same one whichever pipeline wants it.
    """
    known: set[tuple[str, ...]] = set()
    found = []
    for step in steps:
        found.append(tuple(f for f in step if _cause(f) not in known))
        known |= set(map(_cause, step))
    return found


def _cause(finding: Finding) -> tuple[str, ...]:
    of_channel = finding.rule.name == rules.CHANNEL_MISSING.name
    cause = finding.cure if of_channel else finding.cause  # the cure names the channel
    return finding.rule.name, finding.place, cause


@dataclass
class Backend:
    """Where steps run: one executor for all of them, made when it is first needed."""

    name: str
    make: Callable[[], Executor]
    versions: dict[str, str]

    @cached_property
    def executor(self) -> Executor:
        """The executor; raises ExecutorError where it cannot be used."""
        return self.make()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if "executor" in self.__dict__:
            self.executor.close()


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps to run, and how."""

    project: ResolvedProject
    names: Sequence[str]
    part: Part
    cellprofiler: str
    """The version that will run them; empty if that is not known."""
    force: bool = False
    """Run jobs that are done, too."""
    keep_stale: bool = False
    """Let stale results stand, as if they were done."""
    only: JobState | None = None
    """Run only jobs in this state."""
    max_failures: int | None = None
    program: CellProfiler | None = None
    """It is asked for its own opinion of pipelines, if given."""
    unchecked: bool = False
    """Run although the check says that jobs would fail."""
    folders: bool = True
    """Look for the folders of done jobs: those without are missing."""
    exact_check: int = EXACT_CHECK
    """So many of each step's first jobs run with accelerated modules and with plain
    ones, and are compared; so do the first on each further kind of processor. 0: none.
    """
    command: str = ""
    """What does the same, for the run's record; empty if it is this process's own."""

    def checked(self) -> list[Checked]:
        """Look at every step; nothing is raised for what is wrong."""
        return list(self.check_each())

    def check_each(self) -> Iterator[Checked]:
        """Look at one step after another, as for `checked`."""
        workspace, scratch = self.project.places.workspace, self.project.scratch
        before: dict[str, Mapping[str, str]] = {}
        with Prober(self.program, workspace, scratch) as prober:
            for name in self.names:
                checked = self._check_step(name, before, prober)
                yield checked
                before[name] = will_make(checked.todo)

    def _check_step(self, name: str, before: Before, prober: Prober) -> Checked:
        try:
            todo = self._plan(name, before, unchecked=True)
        except CpengineError as error:
            return Checked(name, None, tuple(dict.fromkeys(error.findings)))
        check = Check(self.project, prober, tuple(before))
        seen = check.check(todo.plan, todo.jobs)
        return Checked(name, todo, seen.findings, seen.writes)

    def plans(self) -> list[Todo]:
        """Check and plan every step.

        Raises
        ------
        InputError
            Jobs would fail; a line for each finding.
        """
        found = self.checked()
        errors = [error for some in once(c.errors for c in found) for error in some]
        todo = [checked.todo for checked in found if checked.todo]
        if len(todo) < len(found) or (errors and not self.unchecked):
            raise InputError(*errors)
        return [
            replace(checked.todo, findings=checked.findings)
            for checked in found
            if checked.todo
        ]

    def plan(self, name: str, before: Before = NONE_BEFORE) -> Todo:
        """Plan one step. Raises InputError where jobs would fail.

        Parameters
        ----------
        before
            What `will_make` gave for the steps that will have run by then.
        """
        return self._plan(name, before, unchecked=self.unchecked)

    def _plan(self, name: str, before: Before, *, unchecked: bool) -> Todo:
        plan = plan_step(
            self.project,
            name,
            self.part,
            cellprofiler=self.cellprofiler,
            unchecked=unchecked,
            before=before,
        )
        standings = step_ledger(self.project, plan.step).standings(
            plan.jobs, self.cellprofiler, plan.step.dcp_done, folders=self.folders
        )
        wanted = array(
            "L", (n for n, s in enumerate(standings) if self._wants(s.state))
        )
        jobs = Lazy(lambda number: standings[number].job, wanted)
        once = (s for s in map(standings.__getitem__, wanted) if s.was_done)
        again = Counter(standing.why for standing in once)
        return Todo(plan, standings, jobs, again, plan.findings)

    def _wants(self, state: JobState) -> bool:
        if self.only is not None:
            return state is self.only
        standing = {JobState.DONE, *([JobState.STALE] if self.keep_stale else [])}
        return self.force or state not in standing

    def run(
        self,
        backend: Backend,
        watch: MakeView,
        ended: Callable[[StepResult], None] = lambda result: None,
        announce: Callable[[Todo], None] = lambda todo: None,
        note: Note = lambda line: None,
    ) -> Generator[Outcome]:
        """Run the steps in order and give each job's outcome as it ends.

        After a step with failed jobs no further one starts.

        Parameters
        ----------
        ended
            Gets what each step came to.
        announce
            Gets each step before it starts.
        note
            Takes lines that say what is waited for.

        Raises
        ------
        CpengineError
            Something is wrong before a step starts; nothing of it was started. It is
            raised at once if it is wrong with what is known by now.
        """
        todo, *others = self.plans()
        self.refuse_shared([todo, *others], backend.name, note)
        findings = once([todo.findings, *(other.findings for other in others)])
        del others  # plans are large
        return self._run_each(todo, findings, backend, watch, ended, announce)

    def _run_each(
        self,
        todo: Todo,
        findings: Sequence[tuple[Finding, ...]],
        backend: Backend,
        watch: MakeView,
        ended: Callable[[StepResult], None],
        announce: Callable[[Todo], None],
    ) -> Generator[Outcome]:
        """Run planned steps.

        Parameters
        ----------
        todo
            The first step's plan; the others are planned again when it has made files.
        """
        with backend:
            for number, name in enumerate(self.names):
                if number:
                    todo = replace(self.plan(name), findings=findings[number])
                    self._check(todo)
                announce(todo)
                then = "".join(self.names[number + 1 : number + 2])
                result = yield from self._run_one(todo, backend, watch, then)
                ended(result)
                if result.failed or result.not_run:
                    return

    def _run_one(
        self, todo: Todo, backend: Backend, watch: MakeView, then: str
    ) -> Generator[Outcome, None, StepResult]:
        plan, jobs = todo.plan, todo.jobs
        result = StepResult(
            step=plan.step.name,
            jobs=len(todo.standings),
            already=0 if self.force else summary(todo.standings)[JobState.DONE],
            output=self.project.places.outputs.url(plan.step.output),
            notes=tuple(map(str, todo.findings)),
            again=todo.again,
            blas_kernel=self.project.file.cellprofiler.blas_kernel,
        )
        if not jobs:
            with contextlib.suppress(StorageError):  # nothing else is written, either
                keep_taken(self.project, plan)
            return result
        run_ledger = step_ledger(self.project, plan.step)
        exact = are_accelerated(self.project, backend.name)
        jobs = longest_first(jobs, run_record.known_times(run_ledger, exact=exact))
        view = watch(result.step, jobs, () if self.force else todo.done())
        record = self._begin(jobs, backend, then)

        def note(line: str) -> None:
            view.listen(Noted(line))

        # As long as its record has no end, so that nobody takes it for gone.
        with Driver(
            run_ledger, record, ids(todo.jobs), view.__str__, note, backend.name
        ) as driver:
            derived = write_derived(self.project, plan)
            keep_user(self.project, plan)
            driver.begin(backend.executor.traces)
            running = _RunningStep(replace(result, derived=tuple(derived)), len(jobs))
            with running.recorded(record, run_ledger), view:
                if self.force:
                    _take_back(run_ledger, todo.standings)
                self._release_claims(todo, record.id, view)
                jobs = numbered(jobs, run_ledger, self.exact_check)
                limit = self.max_failures
                yield from running.follow(backend.executor, jobs, view, limit)
        return running.result()

    def refuse_shared(
        self, todo: Iterable[Todo], on: str, note: Note = lambda line: None
    ) -> None:
        """Refuse jobs that another run has; see `driver.refuse_shared`."""
        for planned in todo:
            run_ledger = step_ledger(self.project, planned.plan.step)
            if planned.jobs:
                refuse_shared(run_ledger, set(ids(planned.jobs)), note, on)

    def _release_claims(self, todo: Todo, run: str, view: View) -> None:
        count = release_claims(self.project, todo.plan, self.part, todo.standings, run)
        if count:
            names = counted(count, "file name")
            view.listen(Noted(f"{names} of jobs of the past can be used again"))

    def _check(self, todo: Todo) -> None:
        """Refuse a step whose images or places cannot be used, if it has jobs."""
        if not todo.jobs:
            return
        if not self.unchecked:
            check_images(self.project, todo.plan, todo.jobs)
        if found := list(unwritable(self.project, todo.plan, todo.jobs)):
            raise StorageError(*found)

    def _begin(self, jobs: Sequence[Job], backend: Backend, then: str) -> RunRecord:
        return run_record.begin(
            jobs[0],
            len(jobs),
            executor=backend.name,
            command=self.command,
            versions=backend.versions,
            workspace=self.project.places.workspace,
            softened=self.project.file.check,
            then=then,
            blas_kernel=self.project.file.cellprofiler.blas_kernel,
        )


def _take_back(ledger: Ledger, standings: Iterable[Standing]) -> None:
    """Have jobs that are done count as left, until they are done anew.

    Whatever ends a forced run early, the next one does the rest. Results stay in place.
    """
    done = (standing for standing in standings if standing.state is JobState.DONE)
    names = list(filter(None, (standing.marker for standing in done)))
    try:
        each(ledger.set_aside, names)
    except KeyboardInterrupt:  # all of them, for that is what the user is told
        each(ledger.set_aside, names)
        raise


def will_make(todo: Todo | None) -> Mapping[str, str]:
    """The fingerprint of each job that would run, by its id."""
    return {job.id: job.fingerprint for job in todo.jobs} if todo else {}


def numbered(
    jobs: Sequence[Job], ledger: Ledger, exact_check: int = EXACT_CHECK
) -> Sequence[Job]:
    """Jobs that know the number of their run, which begins now, and how to be compared.

    Parameters
    ----------
    exact_check
        See `Steps.exact_check`.
    """
    run, older = ledger.number_run(), ledger.has_older_records()
    others = CHECK_NEW if exact_check else ""

    def make(number: int) -> Job:
        check = CHECK_ALWAYS if number < exact_check else others
        return replace(jobs[number], run=run, older_records=older, exact_check=check)

    return Lazy(make, range(len(jobs)))


class _RunningStep:
    """One step under way: what it has come to so far."""

    def __init__(self, before: StepResult, jobs: int) -> None:
        self.how = "stopped"
        """How it ended; as long as it has not, nobody knows better."""
        self.times = PlateTimes()
        self._accelerations = AccelerationTally()
        self._before = before
        self._jobs = jobs
        self._tally = Tally()
        self._image_sets = 0
        self._files = 0
        self._begun = time.monotonic()

    def follow(
        self, executor: Executor, jobs: Sequence[Job], view: View, limit: int | None
    ) -> Iterator[Outcome]:
        """Run the jobs and give each one's outcome as it ends."""
        self._tally = Tally(limit)
        for outcome in executor.run(jobs, view.listen, max_failures=limit):
            self._tally.add(outcome)
            self.times.add(outcome)
            self._accelerations.add(outcome)
            if outcome.done:  # counted, not kept: there may be a million
                self._image_sets += outcome.job.image_sets
                self._files += len(outcome.files)
            yield outcome
        whole = self._tally.done + self._tally.failed == self._jobs
        self.how = self._tally.stopped or ("ended" if whole else "stopped")

    @contextlib.contextmanager
    def recorded(self, record: RunRecord, ledger: Ledger) -> Iterator[None]:
        """Write in the end, whatever it is, what the step has come to."""
        try:
            yield
        finally:
            ended = record.ended_with(
                self.how,
                self.result().counts,
                self.times.mean_s,
                self._accelerations.use,
                exact=self.times.exact,
            )
            with contextlib.suppress(StorageError):  # the jobs have said so, too
                ended.write(ledger)

    def result(self) -> StepResult:
        """What the step has come to."""
        tally = self._tally
        return replace(
            self._before,
            done=tally.done,
            failed=tally.failed,
            causes=tuple(tally.causes),
            not_run=self._jobs - tally.done - tally.failed,
            stopped=tally.stopped,
            image_sets=self._image_sets,
            files=self._files,
            wall_s=time.monotonic() - self._begun,
            accelerations=self._accelerations.use,
        )
