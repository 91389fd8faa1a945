"""What must hold at every moment of the chaos, and what must hold when it is over."""

import csv
import io
import json
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.roots import Files, Seen

VARYING = ("ExecutionTime_", "URL_")
"""Beginnings of the columns of Image.csv that differ between two runs."""
LEDGER = ("claims", "drivers", "exact-ok", "logs", "markers", "order", "runs")
"""What a ledger has. A run that finds all done leaves the sign of a driver that was
killed when it had done the last job."""


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """What runs come to that nobody disturbs."""

    seen: Sequence[Seen]
    """One for each content that the step's files may have; the first is that which they
    have in the end."""

    @property
    def end(self) -> Seen:
        """What must be there in the end."""
        return self.seen[0]

    def results(self) -> dict[str, Files]:
        """The files that belong to a done marker, by its name."""
        return {
            marker: {name: seen.output[name] for name in files_of_marker(data)}
            for seen in self.seen
            for marker, data in seen.done.items()
        }


@dataclass(slots=True)
class Promises:
    """Compares what is seen with undisturbed runs, and with what was seen before.

    Parameters
    ----------
    alone
        Whether there is one run at a time, and nothing is edited.
    """

    undisturbed: Undisturbed
    alone: bool
    _results: Mapping[str, Files] = field(init=False)
    _done: Files = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._results = self.undisturbed.results()

    def hold(self, seen: Seen) -> None:
        """Check what must hold at every moment."""
        for marker, data in seen.done.items():
            self.marker_has_its_results(marker, files_of_marker(data), seen.output)
        if self.alone:
            self.no_done_job_ran_again(seen)
        self.no_visible_file_is_half_or_foreign(seen)

    def marker_has_its_results(
        self, marker: str, sizes: Mapping[str, int], output: Files
    ) -> None:
        """Its files are there, those that its content comes to, and no others."""
        assert marker in self._results, f"{marker}: of a content that never was"
        expected = self._results[marker]
        assert sizes.keys() == expected.keys(), f"{marker}: names other files"
        for name, size in sizes.items():
            assert name in output, f"{marker}: {name} is not there"
            there = len(output[name])
            assert there == size, f"{marker}: {name} has {there} of {size} bytes"
            assert same(name, output[name], expected[name]), (
                f"{marker}: {name} is of another content"
            )

    def no_done_job_ran_again(self, seen: Seen) -> None:
        self._done |= {n: d for n, d in seen.done.items() if n not in self._done}
        for name, data in self._done.items():
            assert seen.done.get(name) == data, f"{name}: was not left as it was"

    def no_visible_file_is_half_or_foreign(self, seen: Seen) -> None:
        for name, data in _published(seen).items():
            expected = [
                s.output[name] for s in self.undisturbed.seen if name in s.output
            ]
            assert expected, f"{name}: no undisturbed run has such a file"
            assert any(same(name, data, each) for each in expected), (
                f"{name}: has other content"
            )

    def hold_at_the_end(self, seen: Seen) -> None:
        """Check what must hold once the last resume is through."""
        self.hold(seen)
        self.every_job_is_done_once(seen)
        self.no_file_is_missing_and_none_is_left_over(seen)
        self.every_file_has_its_claim(seen)
        nothing_else_is_in_the_ledger(seen)

    def every_job_is_done_once(self, seen: Seen) -> None:
        assert set(seen.done) == set(self.undisturbed.end.done)
        assert len({name.partition("~")[0] for name in seen.done}) == len(seen.done)

    def no_file_is_missing_and_none_is_left_over(self, seen: Seen) -> None:
        assert set(_published(seen)) == set(self.undisturbed.end.output)

    def every_file_has_its_claim(self, seen: Seen) -> None:
        """Killed runs may leave claims of files that are made no more."""
        expected, claims = _claims(self.undisturbed.end), _claims(seen)
        assert expected.items() <= claims.items()
        assert self.alone <= (claims == expected)


def nothing_else_is_in_the_ledger(seen: Seen) -> None:
    other = [
        key
        for key in seen.ledger
        if key.partition("/")[0] not in LEDGER and not is_part(key)
    ]
    assert not other


def status_is_clean(status: dict[str, Any]) -> None:
    """What `cpengine status --verify --json` must say of the step."""
    (step,) = status["steps"]
    assert step["done"] == step["jobs"]
    assert not step["damaged"]


def only_the_cache_is_left(scratch: Path) -> None:
    left = {path.name for path in scratch.iterdir()}
    assert not {name for name in left if not name.startswith("cpengine-cache-")}


def files_of_marker(data: bytes) -> dict[str, int]:
    """The files that a done marker names, below the output, with their sizes."""
    outcome = json.loads(data)
    place = _place(outcome["job"])
    return {posixpath.join(place, name): n for name, n in outcome["files"].items()}


def _place(job: dict[str, Any]) -> str:
    place = job.get("output_structure") or job["id"]
    for pair in job["Metadata"].split(","):
        place = place.replace(*pair.split("="))
    return place


def is_part(key: str) -> bool:
    """Whether it is a file in the making, which a killed run may leave."""
    name = posixpath.basename(key)
    return name.startswith(".") and name.endswith(".part")


def parts(seen: Seen) -> list[str]:
    """The files in the making that are to be seen."""
    return [
        key for files in (seen.ledger, seen.output) for key in files if is_part(key)
    ]


def _published(seen: Seen) -> Files:
    return {name: data for name, data in seen.output.items() if not is_part(name)}


def _claims(seen: Seen) -> Files:
    claims = {key: data for key, data in seen.ledger.items() if not is_part(key)}
    return {key: data for key, data in claims.items() if key.startswith("claims/")}


def same(name: str, first: bytes, second: bytes) -> bool:
    """Whether two files are equal, but for what no two runs have in common."""
    lasting = next((_LASTING[end] for end in _LASTING if name.endswith(end)), None)
    if first == second or lasting is None:
        return first == second
    return lasting(first.decode()) == lasting(second.decode())


def _of_images(text: str) -> list[list[str]]:
    """Image.csv without the columns of times and of places on this machine."""
    rows = list(csv.reader(io.StringIO(text)))
    columns = [i for i, name in enumerate(rows[0]) if not name.startswith(VARYING)]
    return [[row[i] for i in columns] for row in rows]


def _of_experiment(text: str) -> list[list[str]]:
    """Experiment.csv without the row that tells when it was made."""
    rows = csv.reader(io.StringIO(text))
    return [row for row in rows if row[0] != "Run_Timestamp"]


_LASTING = {"Image.csv": _of_images, "Experiment.csv": _of_experiment}
"""What two runs have in common, for the files that differ in more than that; by the end
of their names."""
