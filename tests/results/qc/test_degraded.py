"""Images degraded by known amounts, measured by CellProfiler: what is flagged."""

import pytest

from cpengine.config.qc import QcSection
from tests.plain_runs import Cpengine
from tests.results.qc.degraded import Count, Images, Measured, Mixture

pytestmark = pytest.mark.cellprofiler

PLATES = 4
SHARP = "half as bright"
BLURRED, SATURATED, BLACK, EMPTY = (
    "out of focus by 3 px",
    "1 % of pixels saturated",
    "black",
    "without cells",
)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, cpengine: Cpengine) -> Measured:
    """Four plates of twelve sites, one of each degraded in each way."""
    folder = tmp_path_factory.mktemp("degraded") / "demo"
    ways = (SHARP, BLURRED, SATURATED, BLACK, EMPTY)
    images = Images(folder, PLATES, wells=3, degraded=1, ways=ways)
    images.write()
    ran = cpengine("run", "qc", "-C", folder, "--workers", "2")
    assert ran.returncode == 0, ran.stderr
    return images.measured()


def counted(measured: Measured, way: str, sites: int, plates: int = PLATES) -> Count:
    found = Count()
    for batch in measured.batches(way, sites, count=60, plates=plates):
        found.add(batch, QcSection())
    return found


@pytest.mark.parametrize("plates", [1, PLATES])
@pytest.mark.parametrize("sites", [3, 4])
def test_no_sharp_image_is_flagged_on_plates_of_three_and_four_sites(
    sites: int, plates: int, measured: Measured
) -> None:
    for way in measured.degraded:
        assert counted(measured, way, sites, plates).falsely == 0
    assert counted(measured, SHARP, sites, plates).caught == 0


@pytest.mark.parametrize("sites", [3, 4, 9, 12])
@pytest.mark.parametrize("way", [SATURATED, BLACK])
def test_saturated_and_black_images_are_flagged_however_few_there_are(
    way: str, sites: int, measured: Measured
) -> None:
    found = counted(measured, way, sites)
    assert found.caught == found.degraded


@pytest.mark.parametrize("sites", [9, 12])
def test_images_out_of_focus_are_flagged_where_there_are_enough_to_compare(
    sites: int, measured: Measured
) -> None:
    found = counted(measured, BLURRED, sites)
    assert found.caught == found.degraded
    assert found.falsely == 0


@pytest.mark.parametrize(("empty", "sites"), [(6, 9), (9, 12), (2, 12)])
def test_no_sharp_image_is_flagged_among_empty_ones(
    empty: int, sites: int, measured: Measured
) -> None:
    found = Count()
    for batch in Mixture(EMPTY, empty, sites).batches(measured, 60):
        found.add(batch, QcSection())
    assert found.falsely == 0
    assert found.caught == 0
