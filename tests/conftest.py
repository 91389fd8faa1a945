"""What tests of the real CellProfiler share: one CellProfiler, one analysed plate."""

import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from cpengine.cellprofiler.find import CellProfiler, find
from cpengine.project import Project
from tests.plain_runs import MODULE, Cpengine, small_plate
from tests.services.shared import stop_all

TIERS = {
    "cellprofiler": {"cellprofiler", "plate"},
    "services": {"s3_server", "other_user"},
    "slurm": {"slurm_cluster"},
    "aws": {"aws_server"},
    "browser": {"chromium"},
    "chaos": set(),
}
"""What a test needs beside Python, and the fixtures by which that is seen; a test that
needs it otherwise has the marker itself. All others are of the unit tier."""
SERVICES = Path(__file__).parent / "services"


TOGETHER = frozenset(
    {
        *("tests/real/test_checked_pipelines.py", "tests/real/test_host.py"),
        *("tests/real/test_identity.py", "tests/real/test_storage.py"),
        *("tests/results/html/test_pages.py", "tests/results/qc/test_degraded.py"),
    }
)
"""Modules whose tests share what takes long to make: each runs in one process."""


class _Scheduling(LoadScopeScheduling):
    """Gives a process the next test when it is free, or the next such module."""

    def _split_scope(self, nodeid: str) -> str:
        module, _, _ = nodeid.partition("::")
        return module if module in TOGETHER else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Scheduling:
    """How tests are handed out; see `_Scheduling`."""
    return _Scheduling(config, log)


def pytest_configure() -> None:
    """Have Ctrl-C again where a shell ignores it, as for what runs in the background.

    Children inherit that, and tests stop some of them by it.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its tiers."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        for tier in (tier for tier, needed in TIERS.items() if needed & fixtures):
            item.add_marker(tier)
        if item.path.is_relative_to(SERVICES):
            item.add_marker("services")
        if not any(map(item.get_closest_marker, TIERS)):
            item.add_marker("unit")


def pytest_sessionfinish() -> None:
    """Stop what fixtures have started."""
    stop_all()


@pytest.fixture(scope="session")
def cellprofiler() -> CellProfiler:
    """The real CellProfiler. Fails where there is none: `make setup` installs it."""
    return find()


@pytest.fixture(scope="session")
def cpengine() -> Cpengine:
    """Runs the command line in a process of its own."""

    def run(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*MODULE, *map(str, arguments)], capture_output=True, text=True, check=False
        )

    return run


@pytest.fixture(scope="session")
def plate(tmp_path_factory: pytest.TempPathFactory, cpengine: Cpengine) -> Project:
    """A small plate (2 wells, 2 sites) after illum and analysis; read it only."""
    project = small_plate(tmp_path_factory.mktemp("plate"))
    ran = cpengine("run", "illum", "analysis", "-C", project.folder, "--workers", "2")
    assert ran.returncode == 0, ran.stderr
    return project
