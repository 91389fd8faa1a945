"""One variant of the chaos: rounds over fresh roots until the kills are made."""

import json
import os
import random
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.figures import Figures
from tests.chaos.monkey import Cage, Monkey, Temper
from tests.chaos.promises import (
    Promises,
    only_the_cache_is_left,
    parts,
    status_is_clean,
)
from tests.chaos.roots import Files, Root, Seen, Step
from tests.services.s3.bucket_server import S3Server


@dataclass(frozen=True, slots=True)
class Plate:
    """What is run, and what comes of it if nobody disturbs it."""

    step: Step
    inputs: Files
    project_file: Callable[[str], str]
    """Makes the project file from what it says of the storage root."""
    undisturbed: Seen
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

    def play(self, kills: int) -> Figures:
        """Make so many kills, each round to its end; check all that is promised."""
        chance = random.Random(f"{self.figures.seed} {self.figures.name}")
        begun = time.monotonic()
        while (left := kills - self.figures.kills.total()) > 0:
            self.figures.rounds += 1
            self._round(self.folder / f"round{self.figures.rounds}", left, chance)
        self.figures.seconds = time.monotonic() - begun
        return self.figures

    def _round(self, folder: Path, kills: int, chance: random.Random) -> None:
        root = self.lay(folder, self.plate.step)
        root.fill(self.plate.inputs)
        cage = self.plate.cage(folder, root)
        promises = Promises(self.plate.undisturbed)

        def check() -> Seen:
            seen = root.see()
            promises.hold(seen)
            self.figures.checks += 1
            return seen

        monkey = Monkey(
            cage, self.temper, chance, self.figures, check, self.plate.undisturbed
        )
        root.storm(chance.randrange(2**32))
        monkey.torment(kills)
        self.figures.faults += root.calm()
        self._end(cage, promises, root.see())

    def _end(self, cage: Cage, promises: Promises, seen: Seen) -> None:
        """Check what must hold when a round is over, and count what was found."""
        promises.hold_at_the_end(seen)
        status = answer(cage.ask("status", "--verify", "--json"))
        status_is_clean(json.loads(status))
        only_the_cache_is_left(cage.scratch)
        assert "Traceback" not in cage.output()
        self.figures.jobs += len(seen.done)
        self.figures.files += len(self.plate.undisturbed.output)
        self.figures.parts += len(parts(seen))
        self.figures.failures.update(name.rpartition(".")[2] for name in seen.failed)


def answer(ran: "subprocess.CompletedProcess[str]") -> str:
    """What a command that went well printed."""
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
