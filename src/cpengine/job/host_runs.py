"""The runs of one job in hosts: with accelerations, and without where that is needed.

Accelerated modules are compared with plain ones in the same process and the same
folders, so that all that files hold is the same; what is published is the plain way's.
"""

import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event as Flag
from typing import Any

from cpengine.cellprofiler.command import ModuleLine
from cpengine.cellprofiler.host_accelerations import HostAccelerations
from cpengine.cellprofiler.pool import Host, Hosts, Request
from cpengine.job import exact_differences
from cpengine.job.exact_differences import Difference
from cpengine.job.stage import Staged
from cpengine.ledger.exact_marks import ExactMarks, ok_key
from cpengine.ledger.ledger import Ledger
from cpengine.model import (
    ALL_OFF,
    CHECK_ALWAYS,
    CHECK_NEW,
    FAILED_IN_JOB,
    ExactCheck,
    FailureKind,
    Job,
)
from cpengine.storage import keys
from cpengine.system.process import Ended, Limits

WHOLE = 16
"""A job with more image sets is compared over its first ones."""
FIRST = 4
"""So many of them."""
_PLACE = "exact-differences"
_MOST_LINES = 20
_ENDED_BY_US = (
    FailureKind.TIMEOUT,
    FailureKind.STALLED,
    FailureKind.OUT_OF_MEMORY,
    FailureKind.CANCELLED,
)


@dataclass(frozen=True, slots=True)
class HostRun:
    """One run."""

    ended: Ended
    accelerations: HostAccelerations
    module_s: Mapping[str, float]
    wall_s: float

    @property
    def was_ended(self) -> bool:
        """Whether somebody ended it, which says nothing of what modules compute."""
        ended = self.ended
        killed = ended.code < 0 and not self.accelerations.crash
        return ended.reason in _ENDED_BY_US or killed

    @property
    def is_good(self) -> bool:
        """Whether CellProfiler says that all went well."""
        ended = self.ended
        return not (ended.code or ended.reason or ended.error)


@dataclass
class HostRuns:
    """Runs a staged job.

    Parameters
    ----------
    wanted
        The accelerations that may be used.
    request
        What a host is asked for.
    begun
        Is called when a run begins: whether it is one that is not published.
    follow
        Gets the modules of a run that may be published.
    """

    job: Job
    ledger: Ledger
    cellprofiler: str
    hosts: Hosts
    marks: ExactMarks
    wanted: Sequence[str]
    staged: Staged
    folder: Path
    limits: Limits
    cancelled: Flag
    request: Callable[[Staged, Host], Request]
    begun: Callable[[bool], None]
    follow: Callable[[ModuleLine], None]
    accelerations: HostAccelerations = field(default_factory=HostAccelerations)
    """Those of the run that counts."""
    off: dict[str, str] = field(default_factory=dict)
    """Why those that were wanted are not used, but for what the host says itself."""
    check: ExactCheck | None = None
    aside_s: float = 0.0
    """Wall seconds of runs that are not published."""
    start_s: float = 0.0
    """Wall seconds until there was a host."""

    def run(self) -> Ended:
        """Run it, and make again without accelerations what is not good with them.

        Raises
        ------
        NoHostError, AttemptError
            As `Hosts.lend`.
        """
        names = self._usable()
        if names and self.job.exact_check in (CHECK_ALWAYS, CHECK_NEW):
            counts = self._compared(names)
            if counts is not None:
                return self._counting(counts)
            if self.check is not None and self.check.differences:
                names = ()
        found = self._once(names)
        if found.accelerations.doubtful and not found.was_ended:
            self.aside_s += found.wall_s
            self._note_failed(found)
            self._begin_again()
            found = self._once(())
        return self._counting(found)

    def computing(self) -> dict[str, Any]:
        """What an outcome says of it."""
        used = self.accelerations
        every = {**used.off, **self.off, **used.failed}
        named = {*self.wanted, ALL_OFF}
        return {
            "exact": tuple(used.used),
            "exact_off": {name: why for name, why in every.items() if name in named},
            "processor": used.processor,
            "check": self.check,
        }

    def _counting(self, found: HostRun) -> Ended:
        self.accelerations = found.accelerations
        return found.ended

    def _usable(self) -> Sequence[str]:
        """Those of the wanted ones that nothing speaks against."""
        if not self.wanted:
            return ()
        why = self.marks.why_off(self.ledger, self.job, self.cellprofiler)
        if why:
            self.off = {ALL_OFF: why}
            return ()
        failed = self.hosts.exact_failed
        self.off = {
            n: f"failed in an earlier job ({failed[n]})"
            for n in self.wanted
            if n in failed
        }
        return [name for name in self.wanted if name not in failed]

    def _note_failed(self, found: HostRun) -> None:
        failed = found.accelerations.failed
        self.off |= {name: f"{FAILED_IN_JOB} ({why})" for name, why in failed.items()}

    def _once(self, names: Sequence[str]) -> HostRun:
        with self._lent() as host:
            return self._in(host, names, self.staged)

    @contextmanager
    def _lent(self) -> Iterator[Host]:
        plugins, stall_s = self.staged.plugins, self.job.stall_s
        begun = time.monotonic()
        with self.hosts.lend(plugins, self.cancelled, stall_s) as host:
            self.start_s += time.monotonic() - begun
            yield host

    def _in(
        self, host: Host, names: Sequence[str], staged: Staged, *, aside: bool = False
    ) -> HostRun:
        """Run in a host that is lent; what is run aside is not published."""
        module_s: defaultdict[str, float] = defaultdict(float)

        def follow(line: ModuleLine) -> None:
            module_s[f"{line.module_num} {line.module}"] += line.wall_s
            if not aside:
                self.follow(line)

        self.begun(aside)
        begun = time.monotonic()
        ended = host.run(
            self.request(staged, host)._replace(exact=names),
            follow=follow,
            cancelled=self.cancelled,
            limits=self.limits,
        )
        wall_s = time.monotonic() - begun
        if aside:
            self.aside_s += wall_s
        return HostRun(ended, replace(host.accelerations), dict(module_s), wall_s)

    def _compared(self, names: Sequence[str]) -> HostRun | None:
        """Compare both ways, if that is due; give the run to publish, if there is one.

        Of a job with few image sets that is the plain run.
        """
        staged, whole = self.staged, len(self.staged.rows) <= WHOLE
        if not whole:
            if self.job.batch_file or self.staged.listed:  # they cannot be fewer
                return None
            staged = staged.first(FIRST, self.folder / "first")
        with self._lent() as host:
            used = [n for n in names if n not in host.accelerations.off]
            processor = host.accelerations.processor
            key = ok_key(self.ledger, self.job, self.cellprofiler, used, processor)
            if not used or not self._is_due(key):
                return None
            try:
                plain = self._both(host, names, staged, key, whole=whole)
            finally:
                self.marks.end(key)
        if whole or plain.ended.reason is FailureKind.CANCELLED:
            return plain
        self._begin_again()
        return None

    def _is_due(self, key: str) -> bool:
        if self.job.exact_check == CHECK_ALWAYS:
            self.marks.begin(key)
            return True
        return self.marks.is_new(self.ledger, key)

    def _both(
        self, host: Host, names: Sequence[str], staged: Staged, key: str, *, whole: bool
    ) -> HostRun:
        """Run with accelerations, then without, and compare; give the second run."""
        exact = self._in(host, names, staged, aside=True)
        if exact.ended.reason is FailureKind.CANCELLED:
            return exact
        others = self._set_aside("others")
        self._note_failed(exact)
        with self._sound(host, exact) as sound:
            plain = self._in(sound, (), staged, aside=not whole)
        failed = exact.accelerations.failed
        if not (failed or exact.was_ended or plain.was_ended):
            files, found = self._compare(exact, plain, others)
            if found and exact.is_good and plain.is_good:
                with self._sound(host, plain) as sound:
                    found = self._lasting(found, sound, staged)
            if (exact.is_good or plain.is_good) and not self.cancelled.is_set():
                self._conclude(key, exact, others, staged.image_sets, files, found)
        shutil.rmtree(others)
        return plain

    @contextmanager
    def _sound(self, host: Host, ran: HostRun) -> Iterator[Host]:
        """The host, if it is sound after a run, or another."""
        if host.healthy and not ran.accelerations.failed:
            yield host
        else:
            with self._lent() as another:
                yield another

    def _compare(
        self, exact: HostRun, plain: HostRun, others: Path
    ) -> tuple[int, list[Difference]]:
        """How many files were compared, and what differs."""
        if exact.is_good and plain.is_good:
            return exact_differences.compare(self.folder / "output", others)
        bad, what = (
            (exact, "fails with accelerated modules")
            if plain.is_good
            else (plain, "fails with plain modules alone")
        )
        ended = bad.ended
        why = ended.error or ended.why or f"exit code {ended.code}"
        return 0, [Difference("CellProfiler", f"{what} ({why})", ended.module or "")]

    def _lasting(
        self, found: list[Difference], host: Host, staged: Staged
    ) -> list[Difference]:
        """Those differences that two runs of plain modules do not have.

        Some files hold the time, or are drawn by chance.
        """
        done = self.folder / "done"
        status = done.read_bytes() if done.is_file() else None
        plain = self._set_aside("plain")
        again = self._in(host, (), staged, aside=True)
        output = self.folder / "output"
        _, by_chance = exact_differences.compare(plain, output)
        changing = {(each.file, each.module) for each in by_chance if again.is_good}
        shutil.rmtree(output)
        plain.rename(output)
        if status is not None:
            done.write_bytes(status)
        return [each for each in found if (each.file, each.module) not in changing]

    def _conclude(
        self,
        key: str,
        exact: HostRun,
        others: Path,
        image_sets: int,
        files: int,
        found: Sequence[Difference],
    ) -> None:
        """Keep what was found."""
        self.check = ExactCheck(
            exact=tuple(exact.accelerations.used),
            image_sets=image_sets,
            files=files,
            differences=tuple(map(str, found[:_MOST_LINES])),
            wall_s=round(exact.wall_s, 3),
            start_s=round(self.start_s, 3),
            cpu_s=round(exact.ended.cpu_s, 2),
            peak_memory=exact.ended.peak_memory,
            module_s={name: round(s, 2) for name, s in exact.module_s.items()},
        )
        if found:
            place = self._keep([difference.file for difference in found], others)
            self.check = replace(self.check, place=place)
            self.marks.differed(self.ledger, self.job, self.cellprofiler, self.check)
            self.off = {ALL_OFF: "they differed from plain modules in this job"}
        else:
            facts = {
                "job": self.job.id,
                "exact": list(exact.accelerations.used),
                "processor": dict(exact.accelerations.processor),
                "files": files,
            }
            self.marks.passed(self.ledger, key, facts)

    def _keep(self, names: Sequence[str], others: Path) -> str:
        """Put both ways' files of these names into the ledger; give the place."""
        storage = self.ledger.storage
        place = keys.below(
            f"{self.ledger.folder}/{_PLACE}", keys.folder_name(self.job.id)
        )
        for way, folder in (("plain", self.folder / "output"), ("exact", others)):
            for name in names:
                if (folder / name).is_file():
                    data = (folder / name).read_bytes()
                    storage.write(keys.below(f"{place}/{way}", name), data)
        return storage.url(place)

    def _set_aside(self, name: str) -> Path:
        """Put what was written elsewhere, so that the same folders are empty again."""
        others = self.folder / name
        (self.folder / "output").rename(others)
        (self.folder / "output").mkdir()
        self._begin_again()
        return others

    def _begin_again(self) -> None:
        """Remove what a run has written."""
        (self.folder / "done").unlink(missing_ok=True)
        for name in ("output", "temp"):
            shutil.rmtree(self.folder / name)
            (self.folder / name).mkdir()
