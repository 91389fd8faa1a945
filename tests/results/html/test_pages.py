"""All pages of a real plate together: one look, links, and everybody can read them."""

import json
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver

from cpengine.demo.make import Size
from tests.results.html.demo_pages import SMALL, WIDTHS, build, show
from tests.services.browser import asked, browser, errors, resize

__all__ = ["browser"]

NAMES = ("project", "report", "qc", "montage")
AXE = (resources.files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
_RUN_AXE = """
const done = arguments[arguments.length - 1];
axe.run(arguments[0], { resultTypes: ["violations"] }).then(
  ({ violations }) => done(violations.map(({ id, impact, help, nodes }) =>
    ({ id, impact, help, where: nodes.map((node) => node.html.slice(0, 160)) }))),
  (error) => done([{ id: "axe", impact: "critical", help: String(error), where: [] }]));
"""
_OPEN_ALL = (
    "document.querySelectorAll('details').forEach((part) => { part.open = true; });"
)
_PIN = (
    "const well = document.querySelector('.plate td[tabindex=\"0\"]');"
    "if (well) well.click();"
)
GONE = ("Times limit", "Closer", "Wider", "Earlier", "Later", "Whole", "Cells Cells")


@pytest.fixture(scope="module")
def pages(
    tmp_path_factory: pytest.TempPathFactory, cellprofiler: object
) -> Mapping[str, Path]:
    """The pages of a demo plate with damaged images, by name."""
    folder = tmp_path_factory.mktemp("pages") / "demo"
    return build(folder, Size(1, 8, 1, 256, 1), SMALL)


@pytest.fixture(params=NAMES)
def page(request: pytest.FixtureRequest, pages: Mapping[str, Path]) -> Path:
    return pages[request.param]


@pytest.fixture
def opened(browser: WebDriver) -> Iterator[WebDriver]:
    yield browser
    assert errors(browser) == []
    assert [url for url in asked(browser) if not url.startswith("file:")] == []


def violations(browser: WebDriver, part: str = "html") -> list[dict[str, Any]]:
    """What axe-core finds in the parts of a page that a selector names."""
    browser.execute_script(AXE)
    found: list[dict[str, Any]] = browser.execute_async_script(_RUN_AXE, part)
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(opened: WebDriver, page: Path, scheme: str) -> None:
    show(opened, page, 1400, scheme)
    opened.execute_script(_OPEN_ALL + _PIN)
    assert violations(opened) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["report", "qc"])
def test_axe_finds_nothing_in_any_heatmap(
    opened: WebDriver, pages: Mapping[str, Path], name: str, scheme: str
) -> None:
    show(opened, pages[name], 900, scheme)
    choices = opened.execute_script(
        "return [...$('#show').options].map((o) => o.value)"
    )
    assert len(choices) > 5
    for choice in choices[:: len(choices) // 3]:
        opened.execute_script(
            "$('#show').value = arguments[0];"
            "$('#show').dispatchEvent(new Event('change'));" + _PIN,
            choice,
        )
        assert violations(opened, ".map, .legend") == [], choice


def test_axe_sees_what_is_wrong(opened: WebDriver, pages: Mapping[str, Path]) -> None:
    show(opened, pages["qc"], 900, "light")
    opened.execute_script("$('#show').closest('label').replaceWith($('#show'))")
    assert [found["id"] for found in violations(opened)] == ["select-name"]
    assert violations(opened)[0]["impact"] == "critical"


@pytest.mark.parametrize("width", [*WIDTHS, 320, 500])
def test_no_page_is_wider_than_the_window(
    opened: WebDriver, page: Path, width: int
) -> None:
    show(opened, page, width, "light")
    opened.execute_script(_OPEN_ALL + _PIN)
    root = "document.documentElement"
    assert opened.execute_script(f"return {root}.scrollWidth - {root}.clientWidth") == 0


def test_a_plate_has_the_same_shape_on_all_pages(
    opened: WebDriver, pages: Mapping[str, Path]
) -> None:
    shapes = {}
    for name in ("report", "qc"):
        show(opened, pages[name], 900, "light")
        rows = opened.execute_script(
            "return [...$('.plate').tBodies[0].rows].map((row) => row.cells.length - 1)"
        )
        shapes[name] = (len(rows), *set(rows))
    show(opened, pages["montage"], 900, "light")
    rows, columns = opened.execute_script("return [kind.rows, kind.columns]")
    shapes["montage"] = len(rows), len(columns)
    assert set(shapes.values()) == {(3, 4)}, shapes


def links(browser: WebDriver) -> list[str]:
    script = "return [...document.querySelectorAll('a[href]')].map((a) => a.href)"
    found: list[str] = browser.execute_script(script)
    return found


def test_all_links_lead_to_something(opened: WebDriver, page: Path) -> None:
    show(opened, page, 900, "light")
    opened.execute_script(_OPEN_ALL + _PIN)
    found = links(opened)
    assert len(found) > 5
    for link in found:
        parts = urlsplit(link)
        target = Path(unquote(parts.path))
        assert target.exists(), link
        if parts.fragment:
            script = "return document.getElementById(arguments[0]) !== null"
            other = target != page.resolve()
            if other:
                assert f'id="{parts.fragment}"' in target.read_text(), link
            else:
                assert opened.execute_script(script, parts.fragment), link


def test_each_page_leads_to_the_project_and_that_to_each(
    opened: WebDriver, pages: Mapping[str, Path]
) -> None:
    for name in NAMES:
        show(opened, pages[name], 900, "light")
        there = {Path(unquote(urlsplit(link).path)) for link in links(opened)}
        expected = {"project", "report", "qc"} | ({"montage"} & {name})
        if name == "project":
            expected = set(NAMES)
        assert {pages[other].resolve() for other in expected} <= there | {
            pages[name].resolve()
        }


def test_all_pages_have_one_style(pages: Mapping[str, Path]) -> None:
    styles = {
        page.read_text().split("<style>")[1].split("</style>")[0]
        for page in pages.values()
    }
    assert len(styles) == 1
    assert "@import" not in "".join(styles)
    assert "url(" not in "".join(styles)


def test_words_of_our_own_are_gone(opened: WebDriver, page: Path) -> None:
    show(opened, page, 1400, "light")
    opened.execute_script(_OPEN_ALL + _PIN)
    words = opened.execute_script(
        "return document.body.innerText + [...document.querySelectorAll('option')]"
        ".map((option) => option.label).join('\\n')"
    )
    assert [word for word in GONE if word in words] == []


def test_the_heatmap_of_quality_says_the_unit(
    opened: WebDriver, pages: Mapping[str, Path]
) -> None:
    show(opened, pages["qc"], 900, "light")
    data = json.loads(
        opened.execute_script("return document.getElementById('data').textContent")
    )
    units = {measure["label"]: measure["unit"] for measure in data["measures"]}
    assert units["PercentMaximal OrigDNA"] == "% of pixels"
    opened.execute_script(
        "$('#show').selectedIndex = [...$('#show').options]"
        ".findIndex((o) => o.label === 'MeanIntensity OrigDNA');"
        "$('#show').dispatchEvent(new Event('change'));"
    )
    legend = opened.execute_script("return $('#legend').innerText")
    assert "of full scale" in legend.split("flagged")[0]


def test_pages_go_narrow_and_wide_while_they_are_open(
    opened: WebDriver, page: Path
) -> None:
    show(opened, page, 1400, "light")
    resize(opened, 390, 900)
    root = "document.documentElement"
    assert opened.execute_script(f"return {root}.scrollWidth - {root}.clientWidth") == 0
