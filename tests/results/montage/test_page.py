"""The page in a real browser, opened from a file."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from cpengine.results.montage.page import page as page_of
from tests.build import Built
from tests.results.montage import plates
from tests.results.montage.plates import (
    MONTAGE,
    Rgb,
    call,
    colour,
    near,
    picture,
    png,
    project,
    publish,
    write,
)
from tests.services.browser import address, asked, dark, errors, resize

WELLS = ("A01", "A02", "B01", "C03")
SIZE = (400, 300)
PATIENCE_S = 20


@pytest.fixture
def built(tmp_path: Path) -> Built:
    """A plate with two kinds of pictures; C03 has one that cannot be read."""
    built = project(tmp_path / "my project", WELLS)
    publish(built, WELLS, size=SIZE)
    publish(
        built, WELLS, name=lambda well, site: f"{well}_s{site}_masks.png", size=SIZE
    )
    write(picture(built, "C03", plates.named("C03", "1")), b"nothing")
    write(picture(built, "B01", "B01_s1_masks.png"), png((250, 0, 250), SIZE))
    return built


@pytest.fixture
def page(built: Built, browser: WebDriver) -> "Page":
    """The page of the plate, opened where the outlines are shown."""
    assert call(built).exit_code == 1
    opened = Page(browser, built.root / MONTAGE / "index.html")
    opened.open("kind=outlines")
    return opened


class Page:
    """The page as a person sees and handles it."""

    def __init__(self, browser: WebDriver, file: Path) -> None:
        self.browser = browser
        self.file = file
        resize(browser, 1280, 800)

    def open(self, place: str = "") -> None:
        self.browser.get("about:blank")
        self.browser.get(f"{address(self.file)}#{place}")

    def element(self, css: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, css)

    @property
    def plate(self) -> WebElement:
        return self.element("#canvas")

    @property
    def info(self) -> str:
        return self.element("#info").text.replace("\u00a0", " ")

    def script(self, text: str, *arguments: Any) -> Any:
        return self.browser.execute_script(f"return {text}", *arguments)

    def until(self, what: str, true: Any) -> None:
        WebDriverWait(self.browser, PATIENCE_S, 0.05).until(lambda _: true(), what)

    def middle(self, well: str) -> tuple[float, float]:
        """Where a well's middle is, from the canvas' upper left, in CSS pixels."""
        x, y = self.script(
            "(([x, y]) => [(x - view.x) * view.scale, (y - view.y) * view.scale])"
            "((s => [s.at[0] + kind.tile[0] / 2, s.at[1] + kind.tile[1] / 2])"
            "(find(arguments[0])))",
            well,
        )
        return float(x), float(y)

    def seen(self, well: str) -> Rgb:
        """The colour that a screenshot has near a well's middle."""
        x, y = self.middle(well)
        box = self.plate.rect
        with Image.open(io.BytesIO(self.browser.get_screenshot_as_png())) as image:
            red, green, blue = image.convert("RGB").getpixel(  # type: ignore[misc]  # RGB
                (round(box["x"] + x) + 7, round(box["y"] + y) + 3)
            )
        return red, green, blue

    def is_seen(self, well: str, expected: Rgb) -> None:
        self.until(f"{well} in {expected}", lambda: near(self.seen(well), expected))

    def point_at(self, well: str) -> ActionChains:
        """Move the pointer to a well; the chain can go on with a click."""
        x, y = self.middle(well)
        box = self.plate.rect
        return ActionChains(self.browser, duration=0).move_to_element_with_offset(
            self.plate, round(x - box["width"] / 2), round(y - box["height"] / 2)
        )

    def press(self, *keys: str) -> None:
        self.script("document.getElementById('canvas').focus()")
        ActionChains(self.browser, duration=0).send_keys(*keys).perform()

    @property
    def scale(self) -> float:
        return float(self.script("view.scale"))

    @property
    def at(self) -> tuple[float, float]:
        x, y = self.script("[view.x, view.y]")
        return x, y

    def labels(self, strip: str) -> list[str]:
        shown = self.browser.find_elements(By.CSS_SELECTOR, f"#{strip} span")
        return [label.text for label in shown if label.is_displayed()]


def test_each_well_is_seen_at_its_place_in_its_colour(page: Page) -> None:
    for well in WELLS[:3]:
        page.is_seen(well, colour(well))
    (left, top), (right, same) = page.middle("A01"), page.middle("A02")
    assert right > left + 50
    assert same == top
    assert page.middle("C03")[1] > page.middle("B01")[1] > top + 50
    assert errors(page.browser) == []


def test_the_page_asks_no_server_for_anything(page: Page) -> None:
    page.is_seen("A01", colour("A01"))
    found = asked(page.browser)
    assert any(url.endswith("/tiles/0/0_0.jpg") for url in found)
    assert [url for url in found if not url.startswith("file://")] == []
    text = page.file.read_text()
    assert not re.search(r"https?://", text)


def test_the_kind_of_picture_can_be_chosen(page: Page) -> None:
    choice = Select(page.element("#kind"))
    assert [option.text for option in choice.options] == ["masks", "outlines"]
    page.press("+", "+", *[Keys.ARROW_LEFT] * 5)
    scale, at = page.scale, page.at
    choice.select_by_visible_text("masks")
    page.is_seen("B01", (250, 0, 250))
    assert (page.scale, page.at) == (scale, at)
    assert page.element("#png").get_attribute("href").endswith("/masks/montage.png")


def test_the_well_under_the_pointer_is_named_with_its_site_and_file(
    page: Page, built: Built
) -> None:
    file = picture(built, "A02", plates.named("A02", "1"))
    page.point_at("A02").perform()
    page.until("A02", lambda: page.info == f"A02, site 1 {file}")
    assert page.element("#tip").text.replace("\u00a0", " ") == "A02, site 1"
    page.point_at("B01").perform()
    page.until("B01", lambda: page.info.startswith("B01, site 1 "))


def test_the_link_leads_to_the_full_picture(page: Page, built: Built) -> None:
    page.point_at("A02").click().perform()
    page.until("A02", lambda: page.info.startswith("A02"))
    page.point_at("A01").perform()
    assert page.info.startswith("A02")  # it is kept, so that the link can be reached
    page.element("#info a").click()
    page.until("the picture", lambda: page.browser.current_url.endswith(".png"))
    assert page.browser.current_url == address(
        picture(built, "A02", plates.named("A02", "1"))
    )
    assert page.script("document.images[0].naturalWidth") == SIZE[0]


def test_a_picture_that_cannot_be_read_is_reported(page: Page) -> None:
    assert "4 wells, 3 of 4 pictures, 1 cannot be read" in page.element(".facts").text
    page.point_at("C03").perform()
    page.until("C03", lambda: page.info.endswith("(cannot be read)"))


def test_keys_zoom_move_and_fit(page: Page) -> None:
    fit, start = page.scale, page.at
    page.press("+", "+", "+", "+")
    assert page.scale == pytest.approx(fit * 1.5**4)
    x, y = page.at
    page.press(Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    assert page.at[0] > x
    assert page.at[1] > y
    page.press(Keys.ARROW_LEFT, Keys.ARROW_UP)
    assert page.at == pytest.approx((x, y))
    page.press("-")
    assert page.scale == pytest.approx(fit * 1.5**3)
    page.press("0")
    assert (page.scale, page.at) == (pytest.approx(fit), pytest.approx(start))


def test_keys_alone_reach_a_well_and_its_link(page: Page) -> None:
    page.press("+", "+", "+", *[Keys.ARROW_LEFT] * 9, *[Keys.ARROW_UP] * 9)
    page.until("A01", lambda: page.info.startswith("A01, site 1"))
    page.press(Keys.ENTER)
    for _ in range(3):
        ActionChains(page.browser).send_keys(Keys.TAB).perform()
        if page.script("document.activeElement.matches('#info a')"):
            break
    assert page.script("document.activeElement.href").endswith("A01_s1--outlines.png")
    page.press(Keys.ESCAPE)
    assert page.script("selected") is None


def test_the_pointer_drags_and_the_wheel_zooms_where_it_is(page: Page) -> None:
    page.press("+", "+", Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    before = page.middle("B01")
    chain = page.point_at("B01").click_and_hold().move_by_offset(-20, -30)
    chain.release().perform()
    x, y = page.middle("B01")
    assert (x, y) == pytest.approx((before[0] - 20, before[1] - 30), abs=1.5)
    assert page.script("selected") is None
    box = page.plate.rect
    origin = round(box["x"] + x), round(box["y"] + y)
    scale = page.scale
    page.browser.execute_cdp_cmd(
        "Input.dispatchMouseEvent",
        {"type": "mouseWheel", "x": origin[0], "y": origin[1], "deltaX": 0}
        | {"deltaY": -200},
    )
    page.until("a larger plate", lambda: page.scale > scale * 1.2)
    assert page.middle("B01") == pytest.approx((x, y), abs=1.5)


def test_double_click_and_buttons_zoom(page: Page) -> None:
    fit = page.scale
    page.point_at("A02").double_click().perform()
    page.until("twice", lambda: page.scale == pytest.approx(2 * fit))
    for button, expected in (("in", 3), ("out", 2), ("fit", 1)):
        page.element(f"#{button}").click()
        assert page.scale == pytest.approx(expected * fit), button


def test_labels_stay_in_sight(page: Page) -> None:
    assert page.labels("across") == ["1", "2", "3", "4"]
    assert page.labels("down") == ["A", "B", "C"]
    page.open("kind=outlines&well=B01")
    page.until("a label", lambda: "1" in page.labels("across"))
    page.until("one row", lambda: "B" in page.labels("down"))
    strip = page.element("#down").rect
    for label in page.browser.find_elements(By.CSS_SELECTOR, "#down span"):
        if label.is_displayed():
            assert label.rect["y"] >= strip["y"] - 1
            assert label.rect["y"] + label.rect["height"] <= (
                strip["y"] + strip["height"] + 1
            )


def test_a_closer_view_shows_more(page: Page) -> None:
    levels = page.script("kind.levels.length")
    assert levels == 3
    resize(page.browser, 480, 600)
    asked(page.browser)
    page.open("kind=outlines")
    page.is_seen("A01", colour("A01"))
    last = f"/tiles/{levels - 1}/"
    assert not any(last in url for url in asked(page.browser))
    page.open("kind=outlines&well=A02")
    found: list[str] = []

    def asked_for_the_last() -> bool:
        found.extend(asked(page.browser))
        return any(last in url for url in found)

    page.until("the last level", asked_for_the_last)
    page.is_seen("A02", colour("A02"))


def test_an_address_can_name_a_well(page: Page) -> None:
    page.open("kind=masks&well=B01&site=1")
    page.until("B01", lambda: page.info.startswith("B01, site 1"))
    page.is_seen("B01", (250, 0, 250))
    box = page.plate.rect
    middle = page.middle("B01")
    assert middle[1] == pytest.approx(box["height"] / 2, abs=box["height"] / 3)


def test_wells_are_also_a_list(page: Page) -> None:
    page.element("summary").click()  # the list is made when the browser says so
    page.until("the list", lambda: page.script("sites.querySelector('td')"))
    rows = page.browser.find_elements(By.CSS_SELECTOR, "#sites tr")
    cells = [row.find_elements(By.TAG_NAME, "td") for row in rows]
    assert [[cell.text for cell in row[:2]] for row in cells] == [
        [well, "1"] for well in WELLS
    ]
    assert cells[3][2].text.endswith("(cannot be read)")
    cells[2][0].find_element(By.TAG_NAME, "button").click()
    page.until("B01", lambda: page.info.startswith("B01, site 1"))


def test_everything_has_a_name_for_those_who_do_not_see_it(page: Page) -> None:
    assert page.plate.aria_role in ("img", "image")
    assert page.plate.accessible_name == (
        "Montage of plate P1, outlines: 4 wells, 3 of 4 pictures, 1 cannot be read"
    )
    assert page.element("#kind").accessible_name == "Picture"
    names = [
        b.accessible_name for b in page.browser.find_elements(By.TAG_NAME, "button")
    ]
    assert names == ["Zoom in", "Zoom out", "Fit plate"]
    chain = ActionChains(page.browser).click(page.element("#fit"))
    chain.send_keys(Keys.TAB, Keys.TAB).perform()
    ring = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.script("document.activeElement.id") == "canvas"
    assert page.script(ring) == "solid"


def test_it_follows_the_user_s_light_and_dark(page: Page) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.script(background) == "rgb(255, 255, 255)"
    dark(page.browser)
    page.until("dark", lambda: page.script(background) == "rgb(20, 23, 26)")
    page.is_seen("A02", colour("A02"))


@pytest.mark.parametrize("width", [480, 320])
def test_it_fits_a_narrow_window(page: Page, width: int) -> None:
    resize(page.browser, width, 800)
    page.until("narrow", lambda: page.plate.rect["width"] < width)
    assert page.script("document.documentElement.scrollWidth") <= width
    page.is_seen("A02", colour("A02"))


def test_a_plate_may_have_an_odd_name(built: Built, browser: WebDriver) -> None:
    """Names come from CSVs: they are shown, never run."""
    assert call(built).exit_code == 1
    file = built.root / MONTAGE / "index.html"
    odd = "</script><script>document.title='run'</script>"
    (kind,) = (json.loads(f.read_text()) for f in file.parent.glob("out*/montage.json"))
    names = {"plate": odd, "step": odd, "title": odd, "kind": odd}
    file.write_text(page_of([kind | names]))
    page = Page(browser, file)
    page.open()
    assert page.element("h1").text.startswith(odd)
    assert page.browser.title.startswith(odd)
    assert [option.text for option in Select(page.element("#kind")).options] == [odd]
