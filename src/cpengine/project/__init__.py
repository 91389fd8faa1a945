"""The public project: what the command line does, in a call each."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cpengine.cellprofiler.find import CellProfiler
from cpengine.config.steps import Step
from cpengine.errors import CellProfilerError
from cpengine.job.admission import Slots
from cpengine.job.machine import find_cellprofiler, make_machine
from cpengine.job.run_job import Machine
from cpengine.ledger.ledger import Ledger, step_ledger
from cpengine.model import Job
from cpengine.planning import step_tables
from cpengine.planning.plan import EVERYTHING, Plan
from cpengine.planning.planner import plan_step
from cpengine.planning.project import ResolvedProject
from cpengine.plates import Part
from cpengine.rules import Finding

if TYPE_CHECKING:
    from cpengine.project.check_report import CheckReport
    from cpengine.project.results import Collection, Montages, QualityReport, Reports
    from cpengine.project.status import Status, StatusPoll
    from cpengine.project.whole_run import Run
    from cpengine.results.estimate import Estimate
    from cpengine.results.montage import Options
    from cpengine.run.session import Checked

Only = Literal["failed", "stale", "missing", "left"]


class Project(ResolvedProject):
    """A project file and its folder: plan its steps, run them, look back.

    Steps are named as on the command line; a `Part` restricts all that takes one.
    Whatever is wrong for a user raises a subclass of `CpengineError`, with one line for
    each thing.
    """

    def plan(
        self,
        name: str,
        part: Part = EVERYTHING,
        *,
        cellprofiler: str = "",
        unchecked: bool = False,
    ) -> Plan:
        """Make the jobs of a step; see `planning.planner.plan_step`."""
        return plan_step(
            self, name, part, cellprofiler=cellprofiler, unchecked=unchecked
        )

    def check(
        self,
        *steps: str,
        on: str = "local",
        part: Part = EVERYTHING,
        found: "Callable[[Checked], None]" = lambda checked: None,
        begin: Callable[[Sequence[str], Sequence[Finding]], None] = lambda s, f: None,
    ) -> "CheckReport":
        """Find all that would fail jobs, or spoil results unseen; start nothing.

        Parameters
        ----------
        steps
            In order; those that have a pipeline if there are none.
        on
            The executor: whether it can be used, too.
        found, begin
            See `project.check_report.CheckRequest.run`.
        """
        from cpengine.project.check_report import CheckRequest

        return CheckRequest(self, steps, part, on).run(found, begin)

    def run(
        self,
        *steps: str,
        on: str = "local",
        part: Part = EVERYTHING,
        workers: int | None = None,
        force: bool = False,
        keep_stale: bool = False,
        only: Only | None = None,
        max_failures: int | None = None,
        unchecked: bool = False,
        exact_check: int | None = None,
        yes: bool = False,
        notify: str | None = None,
        progress: bool | None = None,
    ) -> "Run":
        """Run steps in order; what is done already is not done again.

        It is a run as that of the command line, with the same options: checked,
        recorded, seen by `status` and `attach`, ended by `cancel`.

        Parameters
        ----------
        yes
            It may cost what it costs, on an executor that is paid for.
        progress
            Show how far it is, on stderr or in the notebook; if None, where a person
            sees it.

        Raises
        ------
        CpengineError
            Something is wrong before the first job starts; nothing was started.
        """
        from cpengine.project import whole_run

        chosen = whole_run.JobChoice(
            force, keep_stale, only, max_failures, unchecked, exact_check
        )
        todo = chosen.steps(self, steps, part)
        target = whole_run.Target(on, workers, yes)
        return whole_run.start(todo, target, notify=notify, progress=progress)

    def status(
        self,
        *steps: str,
        part: Part = EVERYTHING,
        failed: bool = False,
        verify: bool = False,
    ) -> "Status":
        """Where steps stand, by the ledger; see `poll_status`."""
        return self.poll_status(*steps, part=part, failed=failed, verify=verify)()

    def poll_status(
        self,
        *steps: str,
        part: Part = EVERYTHING,
        failed: bool = False,
        verify: bool = False,
    ) -> "StatusPoll":
        """What reads where steps stand, each time it is called.

        Parameters
        ----------
        steps
            Those that have run, if there are none.
        failed
            Say why jobs failed.
        verify
            Check that folders and files of done jobs are there and whole.
        """
        from cpengine.project.status import StatusPoll, steps_that_ran

        names = steps or steps_that_ran(self)
        version = self.cellprofiler_version()
        return StatusPoll(self, names, part, version, failed, verify)

    def estimate(
        self,
        *steps: str,
        on: str = "local",
        part: Part = EVERYTHING,
        workers: int | None = None,
        force: bool = False,
    ) -> "Estimate":
        """What steps will take there: jobs, hours, memory and, where paid, dollars.

        Raises
        ------
        CpengineError
            None of the steps can be planned, or the executor is wrong.
        """
        from cpengine.results.estimate import Where, estimate
        from cpengine.run.session import Steps

        todo = Steps(self, steps, part, self.cellprofiler_version(), force)
        return estimate(todo, Where(on, workers))

    def collect(
        self,
        *steps: str,
        part: Part = EVERYTHING,
        float32: bool = False,
        force: bool = False,
    ) -> "Collection":
        """Turn the CSVs of done jobs into Parquet tables; see `results.collect`."""
        from cpengine.project import results

        return results.collect(self, steps, part, float32=float32, force=force)

    def qc(
        self, step: str | None = None, *, part: Part = EVERYTHING
    ) -> "QualityReport":
        """Flag blurred, saturated and other bad images, and write tables and a page.

        Parameters
        ----------
        step
            The step that measured; qc or qc_persite if None.
        """
        from cpengine.project import results

        return results.judge(self, step, part)

    def montage(
        self,
        step: str,
        *,
        part: Part = EVERYTHING,
        options: "Options | None" = None,
        to: Path | None = None,
        tell: Callable[[str], None] = lambda line: None,
    ) -> "Montages":
        """Stitch a picture of each plate, and a page to zoom into it.

        Parameters
        ----------
        to
            A folder to write to; montage/ in the project's workspace if None.
        """
        from cpengine.project import results

        return results.montage(self, step, part, options, to, tell)

    def report(
        self, *steps: str, part: Part = EVERYTHING, to: Path | None = None
    ) -> "Reports":
        """What the ledger knows of steps, for a page each: see `Reports.write`.

        Parameters
        ----------
        steps
            Those that have run, if there are none.
        to
            The local file that the page is for; beside the outputs if None.
        """
        from cpengine.project import results

        return results.report(self, steps, part, to)

    def ledger(self, step: Step) -> Ledger:
        """The step's ledger."""
        return step_ledger(self, step)

    def cellprofiler(self) -> CellProfiler:
        """The CellProfiler that the project uses; see `job.machine`."""
        return find_cellprofiler(self)

    def cellprofiler_version(self) -> str:
        """Its version; empty if there is none on this machine."""
        try:
            return self.cellprofiler().version
        except CellProfilerError:
            return ""

    def machine(
        self, cellprofiler: CellProfiler | None = None, slots: Slots | None = None
    ) -> Machine:
        """This machine, to run the project's jobs; see `job.machine.make_machine`."""
        return make_machine(self, cellprofiler, slots)

    def check_images(self, plan: Plan, jobs: Sequence[Job]) -> None:
        """Refuse jobs whose images are missing or empty, by InputError."""
        step_tables.check_images(self, plan, jobs)

    def running(self, plan: Plan, jobs: Sequence[Job]) -> AbstractContextManager[None]:
        """Have jobs to oneself, and let others see that; see `run.driver.running`."""
        from cpengine.run.driver import running

        return running(self, plan, jobs)

    def write_derived(self, plan: Plan) -> list[str]:
        """Write the CSVs that are missing or outdated; give their keys."""
        return step_tables.write_derived(self, plan)
