"""One variant of the chaos: rounds over fresh roots until the kills are made."""

import json
import os
import random
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from shutil import rmtree

from tests.chaos import crowd
from tests.chaos.crowd import Editor
from tests.chaos.figures import Figures
from tests.chaos.monkey import Cage, Monkey, Temper
from tests.chaos.promises import (
    Promises,
    Undisturbed,
    only_the_cache_is_left,
    parts,
    status_is_clean,
)
from tests.chaos.roots import Files, Root, Seen, Step
from tests.services.s3.bucket_server import S3Server

_KILLED = {"crash", "storage"}
_EDITED = _KILLED | {"bad_input", "superseded"}
_FAILED = re.compile(r" failed: (?:\d+ \w+, first \S+: )?(\w+)")
_MOST = 8
"""How many kills a round with several runs has at the most."""


@dataclass(frozen=True, slots=True)
class Plate:
    """What is run, and what comes of it if nobody disturbs it."""

    step: Step
    inputs: Files
    project_file: Callable[[str], str]
    """Makes the project file from what it says of the storage root."""
    undisturbed: Undisturbed
    contents: Sequence[Files] = ()
    """What some of the inputs are edited to, the first as they are; if any are."""
    environ: dict[str, str] = field(default_factory=dict)

    def cage(self, folder: Path, root: Root) -> Cage:
        """A project of this plate on a root, in a new folder."""
        return cage(folder, self.step, self.project_file(root.settings), self.environ)


def cage(folder: Path, step: Step, project_file: str, environ: dict[str, str]) -> Cage:
    """A project in a new folder, with scratch and log beside it."""
    scratch = folder / "scratch"
    scratch.mkdir(parents=True)
    (folder / "cpengine.toml").write_text(project_file)
    mine = {"TMPDIR": str(scratch)} | S3Server.environ | environ
    return Cage(folder, step.name, scratch, folder / "log", os.environ | mine)


@dataclass(slots=True)
class Arena:
    """Where a monkey torments a plate, round after round, until it has had enough.

    Parameters
    ----------
    lay
        Makes the root of a round in a new folder.
    """

    plate: Plate
    lay: Callable[[Path, Step], Root]
    temper: Temper
    folder: Path
    figures: Figures
    runs: int = 1
    """How many there are at a time; of more than one, the inputs are edited, too."""

    def play(self, kills: int) -> Figures:
        """Make so many kills, each round to its end; check all that is promised."""
        chance = random.Random(f"{self.figures.seed} {self.figures.name}")
        begun = time.monotonic()
        while (left := kills - self.figures.kills.total()) > 0:
            folder = self.folder / f"round{self.figures.count('rounds')}"
            self._round(folder, left, chance)
            rmtree(folder, ignore_errors=True)
        self.figures.seconds = time.monotonic() - begun
        return self.figures

    def _round(self, folder: Path, kills: int, chance: random.Random) -> None:
        root = self.lay(folder, self.plate.step)
        root.fill(self.plate.inputs)
        cage = replace(self.plate.cage(folder, root), blind=self.runs > 1)
        promises = Promises(self.plate.undisturbed, alone=self.runs == 1)

        def check() -> Seen:
            seen = root.see()
            promises.hold(seen)
            self.figures.count("checks")
            return seen

        def monkey(edit: Callable[[], object] = lambda: None) -> Monkey:
            own = random.Random(chance.random())
            known = self.plate.undisturbed
            return Monkey(cage, self.temper, own, self.figures, check, known, edit)

        root.storm(chance.randrange(2**32))
        if self.runs > 1:
            editor = Editor(root, self.plate.contents, chance, self.figures)
            monkeys = [monkey(editor.edit) for _ in range(self.runs)]
            crowd.pester(monkeys, min(kills, _MOST))
            editor.put_back()
            monkey().torment(0)
        else:
            monkey().torment(kills)
        self.figures.faults += root.calm()
        self._end(cage, promises, root.see())
        root.remove()

    def _end(self, cage: Cage, promises: Promises, seen: Seen) -> None:
        """Check what must hold when a round is over, and count what was found."""
        promises.hold_at_the_end(seen)
        status = answer(cage.ask("status", "--verify", "--json"))
        status_is_clean(json.loads(status))
        only_the_cache_is_left(cage.scratch)
        assert "Traceback" not in cage.output()
        self.figures.count("jobs done once", len(seen.done))
        self.figures.count("files compared", len(self.plate.undisturbed.end.output))
        self.figures.count(".part files left", len(parts(seen)))
        self._count_failures(cage.output())
        self.figures.failures.update(name.rpartition(".")[2] for name in seen.failed)

    def _count_failures(self, output: str) -> None:
        """Count failed jobs; they fail by what is done to them, and by nothing else."""
        kinds = _EDITED if self.runs > 1 else _KILLED
        found = list(filter(None, map(_FAILED.search, output.splitlines())))
        self.figures.failed.update(match[1] for match in found)
        assert [match.string for match in found if match[1] not in kinds] == []


def answer(ran: "subprocess.CompletedProcess[str]") -> str:
    """What a command that went well printed."""
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
