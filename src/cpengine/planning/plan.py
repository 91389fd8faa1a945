"""A step's plan, and the part of it that is asked for. Pure."""

from collections import Counter
from collections.abc import (
    Callable,
    Collection,
    Iterator,
    Mapping,
    Sequence,
    Sized,
)
from dataclasses import dataclass, field

from cpengine import rules
from cpengine.config.steps import Step
from cpengine.errors import InputError
from cpengine.group_names import Group, as_written, check_ids, without_case
from cpengine.inputs.loaddata import Table
from cpengine.inputs.pipeline import Pipeline
from cpengine.model import Job
from cpengine.output_structure import check_places, fault_of
from cpengine.planning.job_list import JobList
from cpengine.planning.table_origins import Origin
from cpengine.plates import PLATE, SITE_KEYS, Part
from cpengine.rules import Finding
from cpengine.text_table import Tabular, TextTable
from cpengine.wording import counted, did_you_mean

EVERYTHING = Part()


class Derived(Mapping[str, Table]):
    """CSVs that can be made, by key; each is made when looked at."""

    def __init__(self, keys: Collection[str], make: Callable[[str], Table]) -> None:
        self._keys = dict.fromkeys(keys)
        self._make = make

    def __getitem__(self, key: str) -> Table:
        if key not in self._keys:
            raise KeyError(key)
        return self._make(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


@dataclass(frozen=True, slots=True)
class Plan(Tabular):
    """The jobs of one step, in order, and what it took to make them."""

    step: Step
    jobs: JobList
    pipeline: Pipeline = field(repr=False)
    pipeline_text: str = field(repr=False)
    """What the pipeline was read from."""
    read_table: Callable[[str], Table] = field(compare=False, repr=False)
    """Gives the image sets of a data file, as they were when the plan was made."""
    derived: Mapping[str, Table] = field(default_factory=dict)
    """CSVs that are missing or outdated, and can be made, by key."""
    findings: tuple[Finding, ...] = ()
    """What a user should know before the jobs run."""
    taken: Mapping[Origin, str] = field(default_factory=dict)
    """CSVs of the user's that could be made of others: keys, by their origin."""

    @property
    def notes(self) -> tuple[str, ...]:
        """The findings, one line each."""
        return tuple(map(str, self.findings))

    @property
    def image_sets(self) -> int:
        """How many image sets the jobs hold in all."""
        return sum(sum(file.image_sets) for file in self.jobs.files)

    def table(self) -> TextTable:
        """A row a plate."""
        rows = [(plate, *map(str, n)) for plate, n in self.per_plate().items()]
        title = f"{self.step.name}: {counted(len(self.jobs), 'job')}"
        columns = ("plate", "jobs", "image sets")
        return TextTable(columns, rows, title, lines=self.notes)

    def per_plate(self) -> dict[str, tuple[int, int]]:
        """(jobs, image sets) of each plate."""
        jobs: Counter[str] = Counter()
        image_sets: Counter[str] = Counter()
        for file in self.jobs.files:
            for group, count in zip(file.groups, file.image_sets, strict=True):
                plate = _plate_of(group)
                jobs[plate] += 1
                image_sets[plate] += count
        return {plate: (jobs[plate], image_sets[plate]) for plate in jobs}


def plate_of(job: Job) -> str:
    """A job's plate; empty for steps that do not group by plate."""
    return _plate_of(job.group)


def _plate_of(group: Group) -> str:
    return dict(group).get(PLATE, "")


def chosen(groups: Sequence[Group], part: Part) -> Sequence[Group]:
    """The groups that belong to a part."""
    if not part.wanted:
        return groups
    return [group for group in groups if in_part(group, part)]


def in_part(group: Group, part: Part) -> bool:
    """Whether a group belongs to a part; columns it lacks do not matter."""
    values = dict(group)
    return all(
        key not in values or values[key] in wanted
        for key, wanted in part.wanted.items()
    )


def check_part(part: Part, jobs: Sized, known: Mapping[str, Collection[str]]) -> None:
    """Refuse a part that names a plate, well or site that no group has.

    Parameters
    ----------
    jobs
        Those of the part.
    known
        The spellings of each metadata column that groups have.

    Raises
    ------
    InputError
        A wanted value is not known, or there are no jobs.
    """
    if part.plates and PLATE not in known:
        raise InputError(
            f"--plate {','.join(sorted(part.plates))}: jobs of this step are of no "
            f"plate: group it by {PLATE}"
        )
    taken = {key: wanted for key, wanted in part.wanted.items() if key in known}
    for key, wanted in taken.items():
        for value in sorted(wanted - set(known[key])):
            hint = suggestion(value, known[key])
            raise InputError(f"{_option(key)} {value}: is not in the plan{hint}")
    if taken and not len(jobs):
        options = [f"{_option(key)} {','.join(sorted(taken[key]))}" for key in taken]
        all_of = "them all: drop one" if len(options) > 1 else "that"
        raise InputError(f"{' '.join(options)}: no group has {all_of}")


def options_of(job: Job) -> list[str]:
    """The options that choose a job, as words of a command line."""
    named = [(key, value) for key, value in job.group if key in SITE_KEYS]
    return [word for key, value in named for word in (_option(key), value)]


def _option(key: str) -> str:
    return f"--{key.removeprefix('Metadata_').lower()}"


def suggestion(value: str, known: Collection[str]) -> str:
    """What to name instead of a value that is not known, to close a message."""
    same = [k for k in known if k.lstrip("0") == value.lstrip("0")]
    near = did_you_mean(value, same[:1] or known, cutoff=0 if same else 0.6)
    if near:
        return f": {near}"
    first = sorted(known)
    more = f" and {len(first) - 8} more" if len(first) > 8 else ""
    return f": it has {', '.join(first[:8])}{more}"


def check_structure(step: Step) -> None:
    """Refuse an output structure that leads out of the output or names no column.

    Raises
    ------
    InputError
        It has a part that is `..`, begins with `/`, keeps a `Metadata_` name, or is
        no folder at all.
    """
    if fault := fault_of(step.output_structure, step.group):
        raise InputError(
            rules.OUTPUT_STRUCTURE.found(
                f"steps.{step.name}.output_structure",
                fault,
                f'name only {", ".join(step.group)}, or set output_structure = ""',
            )
        )


def check_names(
    groups: Collection[Group], structure: str, *, ignoring_case: bool
) -> None:
    """Refuse groups whose jobs have one name or, unless they share it, one place.

    Parameters
    ----------
    ignoring_case
        Whether the file system of the outputs does so.

    Raises
    ------
    InputError
        As `check_ids` and `check_places`.
    """
    fold = without_case if ignoring_case else as_written
    check_ids(groups, fold)
    check_places(groups, structure, fold)


def check_dcp_done(step: Step, job: Job) -> None:
    """Refuse to count files a job where jobs share folders.

    Parameters
    ----------
    job
        Any of the step's.

    Raises
    ------
    InputError
        DCP's results are to be recognised, and a job has no folder of its own.
    """
    if step.dcp_done and job.shares_place:
        raise InputError(
            f"steps.{step.name}.dcp_done: jobs of this step share folders, so that "
            "files cannot be counted for one: remove it"
        )
