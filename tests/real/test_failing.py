"""A site that CellProfiler cannot read fails alone and is told."""

from pathlib import Path

import pytest

from tests.conftest import Cpengine, small_plate

pytestmark = pytest.mark.cellprofiler


def test_a_broken_image_fails_its_job_and_the_rest_goes_on(
    tmp_path: Path, cpengine: Cpengine
) -> None:
    project = small_plate(tmp_path / "plate", wells=2, sites=1)
    broken = project.folder / "projects/demo/2026_01_01_Batch1/images/DemoPlate1"
    (broken / "A02_s1_ER.tiff").write_bytes(b"this is no picture")

    ran = cpengine("run", "qc", "analysis", "-C", project.folder, "--workers", "2")

    assert ran.returncode == 1
    (line,) = [
        line
        for line in ran.stderr.splitlines()
        if "A02" in line and "trying again" not in line
    ]
    assert "qc DemoPlate1-A02 failed: cellprofiler in LoadData" in line
    log = Path(line.partition("(log: ")[2].rstrip(")"))
    assert "Traceback" in log.read_text()
    assert "qc: 1 of 2 jobs done, 1 failed" in ran.stdout
    assert "Traceback" not in ran.stderr
    assert "analysis" not in ran.stdout  # gated: the step before has a failed job
