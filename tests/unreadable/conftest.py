"""One plate that was run, copied for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cpengine.cellprofiler import find
from cpengine.ledger import driver_sign
from tests.unreadable.screen import STEP, Screen, program, screen


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    """The plate after a run, judged, collected and stitched; read it only."""
    folder = tmp_path_factory.mktemp("screen")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CPENGINE_CELLPROFILER", str(program(folder)))
        patch.setenv("CPENGINE_HOME", str(folder / "home"))
        patch.setattr(find, "_version_and_python", lambda *_: ("4.2.8.1", None))
        patch.setattr(driver_sign, "SILENT_S", 0.2)
        made = screen(folder / "project")
        assert made.call("run", STEP).exit_code == 1
        for command in ("qc", "collect", "montage"):
            assert made.call(command, STEP).exit_code in (0, 1)
        yield made


@pytest.fixture
def project(ran: Screen, tmp_path: Path) -> Screen:
    """A copy of the plate, to be damaged."""
    shutil.copytree(ran.root, tmp_path / "project")
    return Screen(tmp_path / "project")
