"""cpengine and its CellProfilers are killed at random moments; nothing is lost.

Where two runs are at work at once, pipeline and table are edited, too.

CPENGINE_CHAOS_KILLS sets how many kills there are in all, CPENGINE_CHAOS_SEED repeats
the choices of a run, which prints its seed; what they meet depends on the machine, too.
CPENGINE_CHAOS_LOG names a file that gets the figures of each variant; what it has of
the same seed is not done again.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import pytest

from cpengine.project import Project
from tests.chaos import figures, stand_in
from tests.chaos.arena import Arena, Plate, answer
from tests.chaos.figures import Figures
from tests.chaos.monkey import Temper
from tests.chaos.promises import Undisturbed
from tests.chaos.roots import Bucket, Files, Folder, Root, Seen, Step, files_below
from tests.services.s3.bucket_server import S3Server

KILLS = int(os.environ.get("CPENGINE_CHAOS_KILLS", "11"))
SEED = int(os.environ.get("CPENGINE_CHAOS_SEED") or secrets.randbelow(2**32))
LOG = Path(os.environ.get("CPENGINE_CHAOS_LOG") or os.devnull)
LONG = KILLS > 50
REAL = KILLS // 10 if LONG else 2
"""How many kills hit the real CellProfiler's runs."""
JOBS = 40 if LONG else 8
QUICK = {"folder": Temper(4, lurking_s=0.01, moves=True), "s3": Temper(4)}
PATIENT = {where: replace(QUICK[where], longest_s=12 if LONG else 6) for where in QUICK}
"""Where two runs are at work: so that one gets on while the other has begun."""
SLOW = Temper(20, lurking_s=2) if LONG else Temper(5, lurks=0.3)
STRUCTURES = {"own place": "", "shared place": "Metadata_Plate"}
PLACES = ("own place", 1), ("shared place", 1), ("own place", 2), ("shared place", 2)
"""Where jobs publish, and how many runs there are at a time."""
SHORT = list(zip(PLACES, ("folder", "s3", "folder"), strict=False))
VARIANTS = list(product(PLACES, ("folder", "s3"))) if LONG else SHORT
STAND_IN = -(-(KILLS - REAL) // len(VARIANTS))
"""How many kills each variant of the stand-in gets."""

Lay = Callable[[Path, Step], Root]

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3600 if LONG else 300)]


@pytest.fixture(scope="module")
def lays() -> Iterator[dict[str, Lay]]:
    """Makers of roots, by where these are."""
    with S3Server() as server:
        yield {
            "folder": lambda folder, step: Folder(folder / "root", step),
            "s3": lambda folder, step: Bucket(_bucket_name(folder), server, step),
        }


def _bucket_name(folder: Path) -> str:
    return f"{folder.parent.name}-{folder.name}".lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class Variant:
    """One plate on one kind of root."""

    name: str
    plate: Plate
    lay: Lay
    temper: Temper
    runs: int = 1

    def play(self, folder: Path, kills: int) -> None:
        """Make so many kills, and tell what came of it."""
        done = {f.name for f in figures.read(LOG) if f.seed == SEED and not f.wrong}
        if self.name in done:
            pytest.skip("its figures are in the log")
        print(f"\n{self.name}: {kills} kills, CPENGINE_CHAOS_SEED={SEED}", flush=True)
        found = Figures(self.name, SEED)
        arena = Arena(self.plate, self.lay, self.temper, folder, found, self.runs)
        try:
            arena.play(kills)
        except BaseException as error:
            found.wrong = f"{folder}: {error!r:.500}"
            raise
        finally:
            figures.write(LOG, found)
            print(found, flush=True)
        assert found.kills.total() == kills


@pytest.fixture(scope="module")
def quick_plate(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, int, Plate]:
    """A plate for the stand-in, whose jobs have a place each or one in common.

    Where several runs are at work, its pipeline and its table are edited.
    """
    places, runs = request.param
    folder = tmp_path_factory.mktemp("quick")
    script, inputs = stand_in.program(folder), stand_in.inputs(folder / "inputs", JOBS)
    plate = Plate(
        stand_in.STEP,
        inputs,
        lambda storage: stand_in.project_file(storage, script, STRUCTURES[places]),
        Undisturbed([]),
        stand_in.contents(inputs) if runs > 1 else ({},),
    )
    seen = [
        _undisturbed(plate, content, folder / f"undisturbed{number}")
        for number, content in enumerate(plate.contents)
    ]
    slow = {stand_in.SLOWEST: "0.6"}
    return places, runs, replace(plate, undisturbed=Undisturbed(seen), environ=slow)


def _undisturbed(plate: Plate, content: Files, folder: Path) -> Seen:
    root = Folder(folder / "root", plate.step)
    root.fill({**plate.inputs, **content})
    answer(plate.cage(folder, root).ask("run", "--workers", "2"))
    return root.see()


@pytest.mark.parametrize(("quick_plate", "where"), VARIANTS, indirect=["quick_plate"])
def test_stand_ins_that_are_killed_lose_nothing(
    where: str,
    quick_plate: tuple[str, int, Plate],
    lays: dict[str, Lay],
    tmp_path: Path,
) -> None:
    places, runs, plate = quick_plate
    name = f"stand-in, {places}, {where}{', two runs and edits' * (runs > 1)}"
    temper = (PATIENT if runs > 1 else QUICK)[where]
    variant = Variant(name, plate, lays[where], temper, runs)
    variant.play(tmp_path, STAND_IN)


@pytest.fixture(scope="module")
def real_plate(plate: Project) -> Plate:
    """The demo's small plate, with the illumination functions that it needs."""
    settled = plate.step("analysis")
    step = Step("analysis", settled.ledger, settled.output)
    made = (step.ledger, step.output)
    inputs = {
        key: data
        for key, data in files_below(plate.folder).items()
        if key.startswith("projects/") and not key.startswith(made)
    }
    name, batch = plate.file.project.name, plate.file.project.batch
    head = f'[project]\nname = "{name}"\nbatch = "{batch}"\n\n[storage]\n'
    undisturbed = Undisturbed([Folder(plate.folder, step).see()])
    return Plate(step, inputs, lambda storage: head + storage, undisturbed)


@pytest.mark.cellprofiler
def test_real_cellprofilers_that_are_killed_lose_nothing(
    real_plate: Plate, lays: dict[str, Lay], tmp_path: Path
) -> None:
    variant = Variant("real CellProfiler, s3", real_plate, lays["s3"], SLOW)
    variant.play(tmp_path, REAL)
