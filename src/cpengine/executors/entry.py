"""What an executor offers beyond running jobs, in one place: its entry.

Code that is not an executor's own asks its entry, and names no executor. An entry is
imported with every command that names its executor, so what is slow to import waits for
`create`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from cpengine import config
from cpengine.config.forms import Section
from cpengine.errors import ConfigError
from cpengine.executors import detach
from cpengine.executors.base import Executor
from cpengine.executors.room import Room, RoomRequest
from cpengine.job.run_job import Machine
from cpengine.ledger.ledger import Ledger
from cpengine.planning.project import ResolvedProject
from cpengine.rules import Finding
from cpengine.wording import counted


@dataclass(frozen=True, slots=True)
class JobsElsewhere:
    """Jobs of a step that machines have which need no driver."""

    ids: frozenset[str]
    machines: str
    """What has them: machines on AWS."""
    since: str
    """UTC, ISO 8601."""
    cure: str
    """How they are followed, and how they are ended."""


class ExecutorEntry(ABC):
    """An executor as the command line sees it; all but `create` may be left as it is.

    Parameters
    ----------
    name
        What `--on` calls it, and its section below `[executors]`.
    """

    Settings: ClassVar[type[Section]] = Section
    """What its section of the project file may have."""
    on_this_machine: ClassVar[bool] = False
    """Whether jobs run on the driver's own machine."""
    own_cellprofiler: ClassVar[bool] = False
    """Whether its machines bring a CellProfiler that is not the driver's."""
    is_paid: ClassVar[bool] = False
    """Whether `price` is to be agreed to before a run."""

    def __init__(self, name: str) -> None:
        self.name = name

    def settings(self, project: ResolvedProject) -> Any:
        """Its section of a project file, an instance of `Settings`.

        Raises
        ------
        ConfigError
            The section is not there, and has a key without a default.
        """
        return config.executor_section(project.file, self.name, self.Settings)

    @abstractmethod
    def create(
        self, project: ResolvedProject, machine: Machine, workers: int | None
    ) -> Executor:
        """Make the executor.

        Parameters
        ----------
        machine
            The driver's own.
        workers
            Jobs at a time; the executor's own choice if None.

        Raises
        ------
        CpengineError
            It cannot be used.
        """

    # --- before a run ---------------------------------------------------------------

    def check(
        self, project: ResolvedProject, jobs: Mapping[str, int], cellprofiler: str
    ) -> None:
        """Look whether it could be used; start nothing.

        Parameters
        ----------
        jobs
            How many would run, by step.
        cellprofiler
            The version that runs them; empty if it is not known.

        Raises
        ------
        CpengineError
            It lacks packages or a setting, or its scheduler refuses a worker.
        """
        self.settings(project)

    def price(
        self, project: ResolvedProject, jobs: Mapping[str, int], cellprofiler: str
    ) -> str:
        """What steps cost at the most, a line each. Takes and raises as `check`."""
        return ""

    def job_script(self, project: ResolvedProject) -> str:
        """What a scheduler would be given, for `--dry-run`; empty if there is none."""
        return ""

    def room(self, asked: RoomRequest) -> Room:
        """How it would run the jobs of a step, for `estimate`.

        Raises
        ------
        ConfigError
            Its settings are wrong, or only `workers` could tell its size.
        """
        if asked.workers is None:
            raise ConfigError(
                f"--on {self.name}: how many jobs it runs at a time is not known: add "
                "--workers"
            )
        return Room(asked.workers, f"{counted(asked.workers, 'slot')} of {self.name}")

    def plain_modules(self, project: ResolvedProject) -> Iterable[Finding]:
        """The settings for which its jobs run CellProfiler's own modules."""
        return ()

    # --- a driver by itself ---------------------------------------------------------

    def folder(self, project: ResolvedProject) -> Path:
        """Where its drivers and workers write what they say."""
        return project.folder.resolve() / detach.FOLDER

    def run_folder(self, project: ResolvedProject, run: str) -> Path:
        """The folder of one run, such as for its jobs' files and its workers' logs."""
        return self.folder(project) / f"{self.name}-{run}"

    def start_driver(
        self, project: ResolvedProject, arguments: Sequence[str], log: Path
    ) -> str:
        """Start a driver that goes on by itself; say what it is.

        Parameters
        ----------
        arguments
            Those of cpengine.

        Raises
        ------
        CpengineError
            It cannot be started.
        """
        return detach.as_process(arguments, log)

    # --- after a driver was killed --------------------------------------------------

    def clean_up(
        self, project: ResolvedProject, traces: Mapping[str, str]
    ) -> Iterator[str]:
        """Remove what a killed driver has left; give a line for what stays.

        Parameters
        ----------
        traces
            What the driver said of its executor; see `Executor.traces`. Anybody who can
            write to the ledger may have written it: make places and commands of an id
            alone, and leave what is not this user's.
        """
        yield from ()

    def goes_on_alone(self, ledger: Ledger) -> bool:
        """Whether workers of a step may live though no driver does."""
        return False

    def jobs_elsewhere(self, ledger: Ledger) -> JobsElsewhere | None:
        """The jobs of a step that such workers have.

        Raises
        ------
        StorageError
            The ledger cannot be read.
        """
        return None

    def take_down(self, project: ResolvedProject, step: str) -> list[str]:
        """End such workers; give what stays, a line each.

        Raises
        ------
        CpengineError
            Something could not be removed; all else was.
        """
        return []
