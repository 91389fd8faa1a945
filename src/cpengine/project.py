"""The public project: what the rooms do with one, in a call each."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

from cpengine.cellprofiler.find import CellProfiler
from cpengine.config.steps import Step
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
from cpengine.run.driver import running


class Project(ResolvedProject):
    """A project file and its folder: plan its steps, run them, look back."""

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

    def ledger(self, step: Step) -> Ledger:
        """The step's ledger."""
        return step_ledger(self, step)

    def cellprofiler(self) -> CellProfiler:
        """The CellProfiler that the project uses; see `job.machine`."""
        return find_cellprofiler(self)

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
        return running(self, plan, jobs)

    def write_derived(self, plan: Plan) -> list[str]:
        """Write the CSVs that are missing or outdated; give their keys."""
        return step_tables.write_derived(self, plan)
