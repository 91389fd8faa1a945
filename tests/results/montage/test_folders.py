"""Montages of plates and channels of any name lie in folders of their own."""

import posixpath
from pathlib import Path

import numpy as np
import pytest

from cpengine.montage import folder_of
from cpengine.storage.keys import is_below
from tests.build import Built
from tests.results.montage import plates
from tests.results.montage.plates import MONTAGE, call, made, project, raw, tiff, write


@pytest.fixture
def built(tmp_path: Path) -> Built:
    """A plate of one well and one site."""
    built = project(tmp_path / "project", ["A01"], ["1"])
    image = np.arange(2400, dtype=np.uint16).reshape(40, 60)
    write(raw(built, "A01", "1", "DNA"), tiff(image))
    return built


@pytest.mark.parametrize("name", ["..", "."])
def test_a_channel_of_any_name_has_a_folder_of_the_plate_s(
    built: Built, name: str
) -> None:
    built.csv.write_text(built.csv.read_text().replace("OrigDNA", name))
    montage = made(built, "--channel", name)
    assert montage.folder.parent == built.root / MONTAGE
    assert montage.folder.name == montage.facts["kind"]
    assert montage.facts["title"] == name


def test_a_channel_whose_name_leads_elsewhere_is_refused(built: Built) -> None:
    built.csv.write_text(built.csv.read_text().replace("OrigDNA", "../../Orig"))
    result = call(built, "--channel", "../../Orig")
    assert result.exit_code != 0
    assert "cannot store a column named 'FileName_../../Orig'" in result.stderr


@pytest.mark.parametrize("name", ["/etc/x", "../x", ".."])
def test_a_plate_of_any_name_has_a_folder_of_the_step_s(
    built: Built, name: str
) -> None:
    folder = folder_of(built.project(), plates.STEP, name)
    assert posixpath.dirname(folder) == posixpath.dirname(MONTAGE)
    assert is_below(folder)
