"""Executors by name, those of other packages included."""

import sys
from pathlib import Path

import pytest

from cpengine.errors import ExecutorError
from cpengine.executors import registry


def test_unknown_executor_is_reported_with_what_there_is() -> None:
    with pytest.raises(ExecutorError, match=r"--on moon: .* choose from local, inline"):
        registry.maker("moon")


def test_executor_of_another_package_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "moon-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: moon\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        f"[{registry.GROUP}]\nmoon = moonshot:make\n"
    )
    (tmp_path / "moonshot.py").write_text("def make(project, machine, workers): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert registry.maker("moon").__module__ == "moonshot"
    sys.modules.pop("moonshot")
