"""The page in a real browser: what it shows, by mouse, keyboard and without scripts."""

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from cpengine.model import Failure, FailureKind
from cpengine.project import Project
from cpengine.results import report
from tests.results.report.made import STEP, VERSION, Size, project
from tests.services.browser import address, browser, dark, errors, resize

__all__ = ["browser"]

ODD = "P1<script>alert(1)&\"'#?%"
MESSAGE = "</script><script>document.title = 'taken'</script><!-- it broke"
MARK = '"\N{MULTIPLICATION SIGN}"'
SIZE = Size(plates=2, wells=30, sites=3)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two plates with failed wells; a quarter has not run."""
    return project(tmp_path_factory.mktemp("made"), SIZE, left=0.25)


@pytest.fixture(scope="module")
def page(made: Project) -> Path:
    return Path(report.write(made, STEP, cellprofiler=VERSION))


@pytest.fixture
def opened(browser: WebDriver, page: Path) -> Iterator[WebDriver]:
    """The page; nothing may be asked for over it, and nothing complained about."""
    resize(browser, 1280, 900)
    browser.get(address(page))
    yield browser
    assert errors(browser) == []
    asked = "return performance.getEntriesByType('resource').map(e => e.name)"
    assert [u for u in browser.execute_script(asked) if not u.startswith("data:")] == []


def css(driver: WebDriver, selector: str) -> WebElement:
    return driver.find_element(By.CSS_SELECTOR, selector)


def cell(driver: WebDriver, well: str, plate: int = 0) -> WebElement:
    return css(driver, f'#plate-{plate} td[aria-label^="{well}:"]')


def show(driver: WebDriver, text: str) -> None:
    Select(css(driver, "#show")).select_by_visible_text(text)


def value_of(made: Project, name: str, well: str) -> float:
    found = report.make(made, STEP, cellprofiler=VERSION).model
    (measure,) = (m for m in found["measures"] if m["name"] == name)
    at = found["plates"][0]["wells"].index(well)
    value: float = measure["wells"][at]
    return value


def test_a_measure_is_chosen_by_keyboard(opened: WebDriver, made: Project) -> None:
    css(opened, "#show").send_keys("Nuclei")
    value = value_of(made, "Count_Nuclei", "A02")
    label = cell(opened, "A02").get_attribute("aria-label")
    assert label is not None
    assert label.startswith(f"A02: {value:,.0f}, ")
    assert (
        "sum over a well\N{RIGHT SINGLE QUOTATION MARK}s image sets"
        in css(opened, "#legend").text
    )


def test_colours_are_explained_with_numbers(opened: WebDriver) -> None:
    show(opened, "Peak memory")
    low, middle, high = css(opened, ".ramp span").text.split("\n")
    assert re.fullmatch(r"≤ \d+ MB", low)
    assert re.fullmatch(r"\d+ MB", middle)
    assert re.fullmatch(r"≥ \d+ MB", high)


def test_wells_with_failed_jobs_are_marked_by_more_than_colour(
    opened: WebDriver,
) -> None:
    failed = [
        td
        for td in opened.find_elements(By.CSS_SELECTOR, "#wells td.failed")
        if "failed" in (td.get_attribute("aria-label") or "")
    ]
    assert failed
    mark = "return getComputedStyle(arguments[0], '::after').content"
    assert opened.execute_script(mark, failed[0]) == MARK
    show(opened, "Cells")
    assert opened.execute_script(mark, failed[0]) == MARK


def test_arrow_keys_go_from_well_to_well_and_show_what_ran(opened: WebDriver) -> None:
    opened.execute_script("arguments[0].focus()", cell(opened, "A01"))
    keys = ActionChains(opened)
    keys.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_LEFT).perform()
    panel = css(opened, "#well")
    assert css(opened, "#well h3").text == "SQ00015167 · B01"
    assert len(panel.find_elements(By.CSS_SELECTOR, ".scroll tbody tr")) == 3
    ActionChains(opened).send_keys(Keys.END).perform()
    assert css(opened, "#well h3").text == "SQ00015167 · B06"


def test_each_plate_is_one_stop_of_the_tab_key(opened: WebDriver) -> None:
    for plate in (0, 1):
        stops = f"#plate-{plate} td[tabindex='0']"
        assert len(opened.find_elements(By.CSS_SELECTOR, stops)) == 1


def test_a_click_keeps_a_well_until_the_next_one(opened: WebDriver) -> None:
    mouse = ActionChains(opened)
    mouse.move_to_element(cell(opened, "A03")).click()
    mouse.move_to_element(cell(opened, "A08")).perform()
    assert css(opened, "#well h3").text.endswith("A03")
    cell(opened, "A03").click()
    ActionChains(opened).move_to_element(cell(opened, "A09")).perform()
    assert css(opened, "#well h3").text.endswith("A09")


def test_links_of_a_well_lead_to_logs_and_outputs(
    opened: WebDriver, made: Project
) -> None:
    cell(opened, "A03").click()
    log, files = css(opened, "#well tbody tr").find_elements(By.TAG_NAME, "a")
    job = next(j for j in made.plan(STEP).jobs if j.id == "SQ00015167-A03-1")
    outputs = made.places.outputs
    key = made.ledger(made.step(STEP)).log(job)
    assert log.get_attribute("href") == outputs.path(key).as_uri()
    assert files.get_attribute("href") == outputs.path(job.destination).as_uri()


def test_one_plate_can_be_shown_alone(opened: WebDriver) -> None:
    Select(css(opened, "#plate")).select_by_visible_text("SQ00015168")
    shown = [f.is_displayed() for f in opened.find_elements(By.CSS_SELECTOR, "figure")]
    assert shown == [False, True]


def test_the_timeline_says_which_job_a_bar_is_and_can_be_zoomed(
    opened: WebDriver,
) -> None:
    lanes = css(opened, "#lanes")
    opened.execute_script("arguments[0].scrollIntoView()", lanes)
    ActionChains(opened).move_to_element(lanes).perform()
    text = css(opened, "#pointed").text
    assert re.match(r"SQ\d+-[A-P]\d\d-\d: (done|failed), \d+ s from ", text)
    assert "CellProfiler" in text
    before = css(opened, "#lanes svg").get_dom_attribute("viewBox")
    css(opened, "#zoom [data-zoom='0.5']").click()
    _, _, width, _ = str(css(opened, "#lanes svg").get_dom_attribute("viewBox")).split()
    assert float(width) == float(str(before).split()[2]) / 2
    assert len(opened.find_elements(By.CSS_SELECTOR, "#ticks span")) > 1
    css(opened, "#zoom [data-zoom='0']").click()
    assert css(opened, "#lanes svg").get_dom_attribute("viewBox") == before


@pytest.mark.parametrize("width", [1280, 480])
def test_the_page_is_no_wider_than_the_window(opened: WebDriver, width: int) -> None:
    resize(opened, width, 900)
    opened.execute_script("document.querySelectorAll('details').forEach(d => d.open=1)")
    cell(opened, "A03").click()
    page = "document.documentElement"
    wide = opened.execute_script(f"return {page}.scrollWidth - {page}.clientWidth")
    assert wide == 0


_CONTRAST = """
const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
  .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
const ground = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const style = getComputedStyle(e);
    const rgb = parse(style.backgroundColor);
    if (style.backgroundImage !== "none") return null;
    if (rgb.length === 3 || rgb[3] === 1) return rgb;
  }
};
const poor = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  const style = getComputedStyle(element);
  const unseen = element.closest(".vh, .skip, script, style, option");
  const hidden = unseen || parseFloat(style.textIndent) < 0 || element.disabled;
  const text = walker.currentNode.textContent.trim().slice(0, 20);
  if (!text || hidden || !element.checkVisibility()) continue;
  const under = ground(element);
  if (!under) continue;
  const [a, b] = [light(parse(style.color)), light(under)].sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < 4.5) poor.push(`${element.className} ${text} ${ratio.toFixed(2)}`);
}
return poor;
"""


@pytest.mark.parametrize("is_dark", [False, True])
@pytest.mark.parametrize("shown", ["State", "Cells"])
def test_text_has_the_contrast_of_wcag_aa(
    opened: WebDriver, is_dark: bool, shown: str
) -> None:
    if is_dark:
        dark(opened)
    opened.execute_script("document.querySelectorAll('details').forEach(d => d.open=1)")
    show(opened, shown)
    cell(opened, "A03").click()
    ground = opened.execute_script(
        "return getComputedStyle(document.body).backgroundColor"
    )
    assert ground == ("rgb(20, 23, 26)" if is_dark else "rgb(255, 255, 255)")
    assert opened.execute_script(_CONTRAST) == []


def test_without_scripts_all_that_matters_is_there(
    browser: WebDriver, page: Path
) -> None:
    off = {"value": True}
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", off)
    browser.get(address(page))
    text = css(browser, "main").text
    for words in ("Wall time", "CPU efficiency", "MeasureTexture", "sha256"):
        assert words in text
    headers = [
        h.text for h in css(browser, "#plate-0").find_elements(By.TAG_NAME, "th")
    ]
    assert headers[:24] == [str(column) for column in range(1, 25)]
    assert headers[24:26] == ["A", "B"]
    states = {
        td.get_attribute("class")
        for td in browser.find_elements(By.CSS_SELECTOR, "#wells td[class]")
    }
    assert states == {"done", "failed", "left"}
    assert not css(browser, "form.tools").is_displayed()


def test_headings_are_in_order_and_names_are_unique(opened: WebDriver) -> None:
    headings = opened.find_elements(By.CSS_SELECTOR, "h1, h2, h3")
    levels = [int(heading.tag_name[1]) for heading in headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = opened.execute_script(
        "return [...document.querySelectorAll('[id]')].map(e => e.id)"
    )
    assert len(ids) == len(set(ids))
    for control in opened.find_elements(By.CSS_SELECTOR, "select, button, summary"):
        assert control.accessible_name


def test_odd_names_and_messages_are_shown_as_they_are(
    browser: WebDriver, tmp_path: Path
) -> None:
    made = project(tmp_path, Size(wells=1, sites=1, names=[ODD]))
    ledger = made.ledger(made.step(STEP))
    (names,) = ledger.markers().values()
    (outcome,) = ledger.outcomes(names)
    ledger.remove(names[0])
    failure = Failure(FailureKind.CELLPROFILER, MESSAGE, "<i>Crop", log="there")
    ledger.record(replace(outcome, failure=failure))
    ledger.storage.write(ledger.log(outcome.job), MESSAGE.encode())
    page = Path(report.write(made, STEP, cellprofiler=VERSION))
    text = page.read_text()
    assert ODD not in text
    assert html.escape(MESSAGE, quote=False) in text.replace("&#39;", "'")
    browser.get(address(page))
    assert browser.title == "analysis · B1"
    assert MESSAGE in css(browser, "#failures").text
    cell(browser, "A01").click()
    assert css(browser, "#well h3").text == f"{ODD} · A01"
    assert errors(browser) == []
    log = css(browser, "#well tbody a").get_attribute("href")
    assert log is not None
    browser.get(log)
    WebDriverWait(browser, 20).until(lambda _: "it broke" in browser.page_source)


def test_a_page_of_many_jobs_is_there_soon(browser: WebDriver, tmp_path: Path) -> None:
    made = project(tmp_path, Size(quality=False))
    page = Path(report.write(made, STEP, cellprofiler=VERSION))
    assert page.stat().st_size < 5e6
    browser.get(address(page))
    WebDriverWait(browser, 20).until(
        lambda driver: driver.execute_script(
            "return performance.getEntriesByType('navigation')[0].loadEventEnd > 0"
        )
    )
    assert len(browser.find_elements(By.CSS_SELECTOR, "#plate-0 td[aria-label]")) == 384
