"""cpengine and its CellProfilers are killed at random moments; nothing is lost.

CPENGINE_CHAOS_KILLS sets how many kills there are in all, CPENGINE_CHAOS_SEED repeats
the choices of a run, which prints its seed; what they meet depends on the machine, too.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cpengine.project import Project
from tests.chaos import stand_in
from tests.chaos.arena import Arena, Plate, answer
from tests.chaos.figures import Figures
from tests.chaos.monkey import Temper
from tests.chaos.roots import Bucket, Folder, Root, Seen, Step, files_below
from tests.services.s3.bucket_server import S3Server

KILLS = int(os.environ.get("CPENGINE_CHAOS_KILLS", "12"))
SEED = int(os.environ.get("CPENGINE_CHAOS_SEED") or secrets.randbelow(2**32))
REAL = KILLS // 3
"""How many kills hit the real CellProfiler's runs."""
LONG = KILLS > 50
JOBS = 40 if LONG else 8
QUICK = {"folder": Temper(4, lurking_s=0.01, moves=True), "s3": Temper(4)}
SLOW = Temper(20, lurking_s=2) if LONG else Temper(5, lurks=0.3)
STRUCTURES = {"own place": "", "shared place": "Metadata_Plate"}
SHORT = [("own place", "folder"), ("shared place", "s3")]
VARIANTS = [*SHORT, ("own place", "s3"), ("shared place", "folder")] if LONG else SHORT
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

    def play(self, folder: Path, kills: int) -> None:
        """Make so many kills, and tell what came of it."""
        print(f"\n{self.name}: {kills} kills, CPENGINE_CHAOS_SEED={SEED}", flush=True)
        figures = Figures(self.name, SEED)
        Arena(self.plate, self.lay, self.temper, folder, figures).play(kills)
        print(figures, flush=True)
        assert figures.kills.total() == kills


@pytest.fixture(scope="module")
def quick_plate(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Plate]:
    """A plate for the stand-in, whose jobs have a place each or one in common."""
    folder = tmp_path_factory.mktemp("quick")
    structure = STRUCTURES[request.param]
    script = stand_in.program(folder)
    plate = Plate(
        stand_in.STEP,
        stand_in.inputs(folder / "inputs", JOBS),
        lambda storage: stand_in.project_file(storage, script, structure),
        Seen({}, {}),
    )
    undisturbed = _undisturbed(plate, folder / "undisturbed")
    slow = {stand_in.SLOWEST: "0.6"}
    return request.param, replace(plate, undisturbed=undisturbed, environ=slow)


def _undisturbed(plate: Plate, folder: Path) -> Seen:
    root = Folder(folder / "root", plate.step)
    root.fill(plate.inputs)
    answer(plate.cage(folder, root).ask("run", "--workers", "2"))
    return root.see()


@pytest.mark.parametrize(("quick_plate", "where"), VARIANTS, indirect=["quick_plate"])
def test_stand_ins_that_are_killed_lose_nothing(
    where: str, quick_plate: tuple[str, Plate], lays: dict[str, Lay], tmp_path: Path
) -> None:
    places, plate = quick_plate
    name = f"stand-in, {places}, {where}"
    variant = Variant(name, plate, lays[where], QUICK[where])
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
    undisturbed = Folder(plate.folder, step).see()
    return Plate(step, inputs, lambda storage: head + storage, undisturbed)


@pytest.mark.cellprofiler
def test_real_cellprofilers_that_are_killed_lose_nothing(
    real_plate: Plate, lays: dict[str, Lay], tmp_path: Path
) -> None:
    variant = Variant("real CellProfiler, s3", real_plate, lays["s3"], SLOW)
    variant.play(tmp_path, REAL)
