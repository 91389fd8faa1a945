"""The sign by which a container's health is known."""

import os
import tempfile
import time
from pathlib import Path

import pytest

from cpengine.system import namespace
from cpengine.worker import health


@pytest.fixture
def sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the sign is."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"cpengine-worker-{os.geteuid()}-{namespace.own()}.alive"


def test_a_worker_is_well_as_long_as_it_says_so(sign: Path) -> None:
    assert not health.is_well()
    health.tell()
    assert health.is_well()
    os.utime(sign, (0, time.time() - 200))
    assert not health.is_well()
    health.tell()
    assert health.is_well()


def test_the_sign_is_no_link(sign: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    sign.symlink_to(mine)
    health.tell()
    assert not mine.exists()
