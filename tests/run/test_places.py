"""What is wrong with the machine and its CellProfiler is found, too."""

import json
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from cpengine.demo.make import Size, make
from cpengine.plates import Part
from cpengine.project import Project
from cpengine.run.session import Steps
from cpengine.wording import GB
from tests import build
from tests.plain_runs import Cpengine

Usage = namedtuple("Usage", "total used free")


def test_a_full_scratch_folder_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = build.project(tmp_path)
    full = Usage(100 * GB, 99.5 * GB, GB / 2)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)
    (found,) = Steps(built.project(), ["analysis"], Part(), "4.2.8.1").checked()
    (finding,) = found.findings
    assert finding.rule.name == "scratch-space"
    assert "0.5 GB free" in finding.cause
    assert "executors.local.scratch" in finding.cure


def test_pasted_line_of_a_moved_disk_finds_its_images(tmp_path: Path) -> None:
    built = build.project(tmp_path / "p")
    before = f"{build.MOUNT}/{build.IMAGES['default']}"
    built.csv.write_text(built.csv.read_text().replace(before, r"D:\screen"))
    (found,) = Steps(built.project(), ["analysis"], Part(), "4.2.8.1").checked()
    (finding,) = found.findings
    assert (
        finding.cause
        == r"D:\screen/images/P1 is not on this machine, or empty (8 files)"
    )
    line = finding.cure.partition(" write ")[2].partition(" below ")[0]
    moved = built.images.parents[1].rename(tmp_path / "moved")
    pasted = line.replace("/path/to/screen", str(moved))
    built.toml.write_text(f"{built.toml.read_text()}\n[storage.map]\n{pasted}\n")
    (found,) = Steps(built.project(), ["analysis"], Part(), "4.2.8.1").checked()
    assert found.findings == ()


def test_without_cellprofiler_all_else_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpengine: Cpengine
) -> None:
    make(tmp_path, Size(1, 1, 1, 128, 1), lambda done, total: None)
    project = Project.load(tmp_path)
    monkeypatch.setenv("CPENGINE_CELLPROFILER", str(tmp_path / "nowhere"))
    ran = cpengine("check", "illum", "-C", project.folder, "--json")
    assert ran.returncode == 2
    found = json.loads(ran.stdout)
    assert [finding["rule"] for finding in found["place"]] == ["cellprofiler"]
    assert found["steps"][0]["jobs"] == 1
    assert found["steps"][0]["findings"] == []
