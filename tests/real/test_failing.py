"""What CellProfiler cannot do fails and is told, also where it says Complete."""

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
        if line.startswith("qc DemoPlate1-A02") and "trying again" not in line
    ]
    assert "qc DemoPlate1-A02 failed: cellprofiler in LoadData" in line
    log = Path(line.partition("(log: ")[2].rstrip(")"))
    assert "Traceback" in log.read_text()
    assert "qc: 1 of 2 jobs done, 1 failed" in ran.stdout
    assert "1 job failed: cellprofiler in LoadData: OSError" in ran.stderr
    assert "its log: cpengine logs qc DemoPlate1-A02" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "analysis" not in ran.stdout  # gated: the step before has a failed job


def test_a_module_that_cellprofiler_leaves_out_fails_the_job(
    tmp_path: Path, cpengine: Cpengine
) -> None:
    project = small_plate(tmp_path / "plate", wells=1, sites=1)
    pipeline = project.places.outputs.path(project.step("qc").pipeline)
    text = pipeline.read_text().replace("ModuleCount:3", "ModuleCount:4")
    pipeline.write_text(
        f"{text.rstrip()}\n\nFindNothing:[module_num:4|svn_version:'Unknown'|"
        "variable_revision_number:1|show_window:False|notes:[]|"
        "batch_state:array([], dtype=uint8)|enabled:True|wants_pause:False]\n"
    )

    ran = cpengine("run", "qc", "-C", project.folder)

    assert ran.returncode == 1
    failed = "qc DemoPlate1-A01 failed: cellprofiler in FindNothing:"
    assert failed in ran.stderr
    assert not project.places.outputs.path(project.step("qc").output).exists()
