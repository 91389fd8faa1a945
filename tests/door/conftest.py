"""What tests of the door share: tiny images, plain CellProfiler, cpengine's hosts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cpengine.cellprofiler.find import CellProfiler
from cpengine.cellprofiler.pool import Hosts
from tests.door.cases import write_images
from tests.door.running import Plain


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tiny images; see `cases.write_images`."""
    folder = tmp_path_factory.mktemp("images")
    write_images(folder)
    return folder


@pytest.fixture(scope="session")
def plain(
    cellprofiler: CellProfiler, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plain]:
    """Plain CellProfiler."""
    with Plain(cellprofiler, tmp_path_factory.mktemp("plain")) as server:
        yield server


@pytest.fixture(scope="session")
def hosts(
    cellprofiler: CellProfiler, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hosts]:
    """CellProfilers that run the jobs of all cases, one after another."""
    shared = Hosts(cellprofiler, tmp_path_factory.mktemp("hosts"))
    yield shared
    shared.close()
