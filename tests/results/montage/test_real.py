"""Montages of what the real assaydev pipeline has drawn."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.plain_runs import Cpengine, small_plate
from tests.results.montage.plates import Montage, call

pytestmark = pytest.mark.cellprofiler


def test_the_outlines_of_assaydev_are_stitched(
    tmp_path: Path, cpengine: Cpengine
) -> None:
    project = small_plate(tmp_path)
    ran = cpengine("run", "illum", "assaydev", "-C", project.folder, "--workers", "2")
    assert ran.returncode == 0, ran.stderr

    result = call(project.folder, "--sites", "all")

    assert result.exit_code == 0, result.stderr
    assert "DemoPlate1 outlines: 4 pictures -> " in result.stdout
    layout, outputs = project.layout, project.places.outputs
    folder = outputs.path(
        layout.workspace("montage", layout.batch, "assaydev", "DemoPlate1")
    )
    assert (folder / "index.html").is_file()
    montage = Montage.at(folder / "outlines")
    published = outputs.path(layout.output("assaydev"))
    for well in ("A01", "A02"):
        for site in "12":
            file = published / f"DemoPlate1-{well}" / f"{well}_s{site}--outlines.png"
            with Image.open(file) as image:
                saved = np.asarray(image.convert("RGB"), np.float32)
            tile = montage.tile(well, site).astype(np.float32)
            assert tile.shape == saved.shape
            assert np.abs(tile - saved).mean() < 4  # JPEG
            others = montage.tile(well, "2" if site == "1" else "1")
            assert np.abs(others - saved).mean() > 10
