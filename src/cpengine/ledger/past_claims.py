"""Claims of the past: of jobs that no longer exist, or that came to no results.

In a folder that jobs share, each claims the names of its files. When a well is
corrected in the table, the job of the wrong one is gone, and would keep the names of
its files for ever. When two wells are swapped, each job is refused for what the other
one made of its rows. So before a step runs, such claims give way. Their job's markers
go with them: its files are not its own any more.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, pairwise

from cpengine.group_names import Group
from cpengine.ledger.claims import Claims
from cpengine.ledger.ledger import Ledger, aside
from cpengine.ledger.standing import JobState, Standing
from cpengine.marker import Marker, MarkerState
from cpengine.model import FailureKind, Job
from cpengine.output_structure import names_all, place_of
from cpengine.planning.job_list import ids
from cpengine.storage.parallel import each

MADE_ALREADY = "was made by"
"""Says in the message of a job that was refused a file that another one owns it."""


def can_meet(job: Job) -> bool:
    """Whether jobs of a step share folders, so that a file can have been another's."""
    return not names_all(job.output_structure, [key for key, _ in job.group])


def places_wanted(standings: Iterable[Standing]) -> dict[str, Job]:
    """The places where jobs may need names that they do not own: one job of each."""
    wanting = (JobState.LEFT, JobState.FAILED)
    jobs = (standing.job for standing in standings if standing.state in wanting)
    return {job.place: job for job in jobs}


def refused_names(ledger: Ledger, standings: Iterable[Standing]) -> set[str]:
    """The ids of jobs whose last attempt was refused the name of a file."""
    ending = f".{MarkerState.FAILED}-{FailureKind.BAD_INPUT}"
    failed = (s.earlier for s in standings if s.failure == FailureKind.BAD_INPUT)
    names = (name for earlier in failed for name in earlier if name.endswith(ending))
    return {
        outcome.job.id
        for outcome in ledger.outcomes(names)
        if outcome.failure and MADE_ALREADY in outcome.failure.message
    }


@dataclass(frozen=True)
class PastClaims:
    """The claims of a step that nobody needs.

    Claims that other steps have in the same places are theirs to give up.

    Parameters
    ----------
    jobs
        All of the step's, whatever part of it is run.
    places
        As `places_wanted` gives them: what lies elsewhere is in nobody's way.
    refused
        As `refused_names` gives them. What they made before is of the past, too.
    """

    ledger: Ledger
    jobs: Sequence[Job]
    places: Mapping[str, Job]
    refused: Collection[str] = ()

    def give_way(self, is_alone: Callable[[], bool]) -> int:
        """Remove them, if no other run lives; give how many there were.

        Parameters
        ----------
        is_alone
            Whether no other run lives; asked when all have been found, so that none of
            them is of a run that began meanwhile.

        Raises
        ------
        StorageError
            The ledger cannot be read or written.
        """
        past = list(self._past()) if self.refused or self._has_gone() else []
        if not past or not is_alone():
            return 0
        # Aside first: until the claims are gone, so that a kill leaves work to go on
        # with, and no marker of files that are another job's by now.
        owners = {owner for owner, _, _ in past}
        each(self.ledger.set_aside, self._names(owners))
        each(lambda claim: claim[1].release(claim[2]), past)
        each(self.ledger.remove, map(aside, self._names(owners - self._known)))
        return len(past)

    @cached_property
    def _known(self) -> set[str]:
        return set(ids(self.jobs))

    @cached_property
    def _markers(self) -> Mapping[str, Sequence[str]]:
        return self.ledger.markers()

    def _names(self, job_ids: Iterable[str]) -> list[str]:
        """The names of the markers of jobs."""
        return [name for job_id in job_ids for name in self._markers.get(job_id, ())]

    def _past(self) -> Iterator[tuple[str, Claims, str]]:
        """The id of the owner, the claims of that place, and the file of each."""
        for job in self.places.values():
            known = replace(job, older_records=True)
            claims = Claims.of_job(self.ledger, known)
            for file, owner in claims.owners().items():
                job_id = claims.id_of(owner)
                if job_id and not self._holds(job_id):
                    yield job_id, claims, file

    def _holds(self, job_id: str) -> bool:
        """Whether a job exists and has results, and nothing says they are past."""
        markers = map(Marker.parse, self._markers.get(job_id, ()))
        has_results = any(m and m.state is not MarkerState.FAILED for m in markers)
        return has_results and job_id in self._known and job_id not in self.refused

    def _has_gone(self) -> bool:
        """Whether markers tell of jobs that are no more, and may have been here."""
        return any(map(self._could_meet, self._markers.keys() - self._known))

    def _could_meet(self, job_id: str) -> bool:
        structure = self.jobs[0].output_structure
        keys = [key for key, _ in self.jobs[0].group]
        places = (place_of(structure, group) for group in _groups_of(job_id, keys))
        return any(place in self.places for place in places)


def _groups_of(job_id: str, keys: Sequence[str]) -> Iterator[Group]:
    """The groups that a job of that id can be of: values may have a `-`, too."""
    parts = job_id.split("-")
    for cuts in combinations(range(1, len(parts)), len(keys) - 1):
        ends = pairwise((0, *cuts, len(parts)))
        values = ("-".join(parts[start:end]) for start, end in ends)
        yield tuple(zip(keys, values, strict=True))
