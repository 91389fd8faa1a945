"""A screen of two wells and two sites, of which nothing is done yet."""

from pathlib import Path

import pytest

from tests import build
from tests.results.collect.screen import Screen


@pytest.fixture
def screen(tmp_path: Path) -> Screen:
    built = build.project(tmp_path / "project")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Screen(built.project(), scratch)
