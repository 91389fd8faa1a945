"""The page of a batch: what it says without a script, and how it works in a browser."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.select import Select

from cpengine.config.qc import QcSection
from cpengine.results.qc.assess import Assessment, assess
from cpengine.results.qc.images import SiteKey, SiteMeasures, parse
from cpengine.results.qc.page import limits_in_words, page
from cpengine.results.qc.thresholds import BUILT_IN
from tests.results.qc import made
from tests.results.qc.made import MAXIMAL, MEAN, SLOPE
from tests.services.browser import address, errors, resize

WELLS = [f"{row}{column:02}" for row in "AB" for column in range(1, 7)]
BAD = SiteKey("P2", "A02", "2")
ODD = "P1</script><b>"


def found(plates: tuple[str, ...] = ("P1", "P2")) -> Assessment:
    rows = made.plate(made.sound(24), plates=plates, wells=WELLS)
    rows[BAD._replace(plate=plates[-1])][SLOPE] = -2.6
    text = made.image_csv(rows)
    sites = SiteMeasures.of(parse(text, "Image.csv", ["ImageQuality_*"]))
    controls = {plate: {"negcon": frozenset({"A01", "A02"})} for plate in plates}
    return assess("qc", sites, QcSection(), controls)


class Text(HTMLParser):
    """The text of a page without its scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._hidden += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words += data.split()


def text_of(html: str) -> str:
    parser = Text()
    parser.feed(html)
    return " ".join(parser.words)


def embedded(html: str) -> dict[str, object]:
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', html)
    assert match
    data: dict[str, object] = json.loads(match[1])
    return data


def test_what_matters_is_there_without_a_script() -> None:
    text = text_of(page(found(), "proj", "B1"))
    assert "Measured by qc : 1 of 48 sites flagged on 2 plates." in text
    assert "P2 24 1 4.2 % 1 blurred" in text
    assert "P2 A02 2 2.0 \N{MULTIPLICATION SIGN} limit OrigDNA blurred: " in text
    assert "PowerLogLogSlope -2.6 is " in text
    assert "more than 4 robust deviations below the median" in text


def test_why_there_are_no_scores_is_given() -> None:
    rows = made.plate(made.sound(4), wells=WELLS[:2])
    sites = SiteMeasures.of(
        parse(made.image_csv(rows), "Image.csv", ["ImageQuality_*"])
    )
    html = page(assess("qc", sites, QcSection(), {}), "proj", "B1")
    why = "only 4 sites: not scored against each other"
    assert f"P1 4 0 0 % {why} 1 plate with fewer than 8 sites" in text_of(html)
    assert embedded(html)["plates"][0]["unscored"] == why  # type: ignore[index] # JSON


def test_a_batch_without_flags_says_so() -> None:
    rows = made.plate(made.sound(24), wells=WELLS)
    sites = SiteMeasures.of(
        parse(made.image_csv(rows), "Image.csv", ["ImageQuality_*"])
    )
    html = page(assess("qc", sites, QcSection(), {}), "proj", "B1")
    assert "No site is out of its limits." in text_of(html)


def test_wells_have_the_means_of_their_sites() -> None:
    assessment = found()
    data = embedded(page(assessment, "proj", "B1"))
    names = [measure["name"] for measure in data["measures"]]  # type: ignore[attr-defined] # JSON
    (first, _) = data["plates"]  # type: ignore[misc] # JSON
    assert first["columns"] == 6
    assert first["wells"][6] == {"name": "B01", "at": 6, "sets": 2}
    assert first["values"][names.index(MEAN)][:2] == [0.105, 0.125]
    cells = first["cv"]["measures"][MEAN]
    assert cells["negcon"] == [pytest.approx(12.3, abs=0.01), 2]
    assert cells["all wells"][1] == 12


def test_measures_that_never_change_are_left_out_unless_they_can_flag() -> None:
    rows = made.plate(made.sound(24), wells=WELLS)
    for values in rows.values():
        values["ImageQuality_TotalArea_OrigDNA"] = 65536
    sites = SiteMeasures.of(
        parse(made.image_csv(rows), "Image.csv", ["ImageQuality_*"])
    )
    data = embedded(page(assess("qc", sites, QcSection(), {}), "proj", "B1"))
    names = [measure["name"] for measure in data["measures"]]  # type: ignore[attr-defined] # JSON
    assert names == [MAXIMAL, SLOPE, MEAN]


def test_names_cannot_end_the_script_or_make_elements() -> None:
    html = page(found((ODD,)), "<i>proj</i>", "B1")
    assert ODD not in html
    assert "<i>proj" not in html
    assert embedded(html)["plates"][0]["name"] == ODD  # type: ignore[index] # JSON
    assert ODD in text_of(html)


def test_the_page_needs_nothing_else() -> None:
    html = page(found(), "proj", "B1")
    assert not re.search(r'(src|href)="(https?:)?//', html)
    assert set(re.findall(r'href="([^"#]+)"', html)) == {
        "data:,",
        "flagged_sites.csv",
        "cv.csv",
    }


def test_limits_are_given_in_words() -> None:
    limits = BUILT_IN["ImageQuality_PercentMaximal_*"]
    assert limits_in_words(limits) == "above 0.25"
    slope = BUILT_IN["ImageQuality_PowerLogLogSlope_*"]
    assert limits_in_words(slope) == (
        "more than 4 robust deviations below the median (a deviation is at least 0.05)"
    )
    both = limits.model_copy(update={"low_mad": 3.5})
    assert limits_in_words(both) == (
        "more than 3.5 robust deviations below the median, or above 0.25"
    )


# In a browser


@pytest.fixture
def opened(browser: WebDriver, tmp_path: Path) -> WebDriver:
    """The page of two plates, from a file."""
    path = tmp_path / "quality.html"
    path.write_text(page(found(), "proj", "B1"), encoding="utf-8")
    browser.get(address(path))
    return browser


def well(opened: WebDriver, name: str) -> str:
    cells = opened.find_elements(By.CSS_SELECTOR, f'td[aria-label^="{name}:"]')
    (cell,) = (cell for cell in cells if cell.is_displayed())
    return cell.get_attribute("aria-label") or ""


def chosen(opened: WebDriver, name: str) -> str:
    select = Select(opened.find_element(By.ID, name))
    return str(select.first_selected_option.text)


def test_the_worst_measure_is_shown_first(opened: WebDriver) -> None:
    assert chosen(opened, "show") == "PowerLogLogSlope OrigDNA"
    assert chosen(opened, "plate") == "P2"
    assert opened.find_element(By.CSS_SELECTOR, "#plate-1 caption").is_displayed()
    assert not opened.find_element(By.ID, "plate-0").is_displayed()
    assert well(opened, "A02") == "A02: -2.3, flagged"
    assert opened.find_element(By.CSS_SELECTOR, "#legend").text.startswith("≤ -2.")


def test_plate_and_measure_can_be_chosen(opened: WebDriver) -> None:
    Select(opened.find_element(By.ID, "show")).select_by_visible_text(
        "MeanIntensity OrigDNA"
    )
    assert well(opened, "A02") == "A02: 0.365 of full scale, flagged by another measure"
    Select(opened.find_element(By.ID, "plate")).select_by_visible_text("P1")
    assert well(opened, "A02") == "A02: 0.125 of full scale"
    Select(opened.find_element(By.ID, "range")).select_by_value("batch")
    assert "≥ 0.565" in opened.find_element(By.ID, "legend").text
    row = opened.find_element(By.XPATH, f'//table[@id="variation"]//tr[th="{MEAN}"]')
    assert row.text == f"{MEAN} 12.3 % (2 wells) 33.5 % (12 wells)"


def test_arrow_keys_go_from_well_to_well_and_tell_why(opened: WebDriver) -> None:
    opened.execute_script("document.querySelector('#plate-1 tbody td').focus()")
    ActionChains(opened).send_keys(Keys.ARROW_RIGHT).perform()
    text = opened.find_element(By.ID, "well").text
    assert text.startswith(
        "P2 · A02\nPowerLogLogSlope OrigDNA: -2.3 (mean of 2 image sets)\n"
        "site 2: OrigDNA blurred"
    )
    ActionChains(opened).send_keys(Keys.ARROW_DOWN, Keys.ARROW_LEFT).perform()
    assert opened.find_element(By.ID, "well").text.startswith("P2 · B01")


def test_the_list_can_be_cut_to_the_chosen_plate(opened: WebDriver) -> None:
    row = opened.find_element(By.CSS_SELECTOR, "#sites tbody tr")
    Select(opened.find_element(By.ID, "plate")).select_by_visible_text("P1")
    assert row.is_displayed()
    opened.find_element(By.ID, "only").click()
    assert not row.is_displayed()


def test_the_page_is_wide_enough_for_a_phone(opened: WebDriver) -> None:
    resize(opened, 480, 900)
    assert opened.execute_script("return document.documentElement.scrollWidth") <= 480


def test_the_page_fetches_nothing_and_complains_of_nothing(opened: WebDriver) -> None:
    script = "return performance.getEntriesByType('resource').map(one => one.name)"
    fetched = opened.execute_script(script)
    assert [name for name in fetched if not name.startswith("data:")] == []
    assert errors(opened) == []
