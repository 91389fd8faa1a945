"""A real browser, for the `conftest.py` of folders whose tests look at pages."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.chrome.webdriver import WebDriver

from tests.services.shared import running

_OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # which root cannot have
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)
_LOADED_S = 30
_OWN = ("chrome", "about:", "data:")
"""Addresses for which nobody is asked."""


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> WebDriver:
    """A headless Chromium for all tests: it takes seconds to start."""
    return running("chromium", lambda: headless(tmp_path_factory.mktemp("chromium")))


@contextmanager
def headless(folder: Path) -> Iterator[WebDriver]:
    """A Chromium that keeps what it must in a folder."""
    driver, program = (_path_of(name) for name in ("chromedriver", "chromium"))
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for option in (*_OPTIONS, f"--user-data-dir={folder}"):
        options.add_argument(option)
    options.set_capability(
        "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
    )
    service = Service(executable_path=driver)
    with webdriver.Chrome(options=options, service=service) as opened:
        opened.set_page_load_timeout(_LOADED_S)
        opened.set_script_timeout(_LOADED_S)
        yield opened


@pytest.fixture
def browser(chromium: WebDriver) -> Iterator[WebDriver]:
    """The browser as if it were new, in a window of its own."""
    first = chromium.current_window_handle
    chromium.switch_to.new_window("window")
    for kind in ("browser", "performance"):
        chromium.get_log(kind)  # what earlier tests have left
    yield chromium
    for handle in chromium.window_handles:
        if handle != first:
            chromium.switch_to.window(handle)
            chromium.close()
    chromium.switch_to.window(first)


def _path_of(program: str) -> str:
    found = shutil.which(program)
    assert found, f"{program} is missing: apt-get install chromium chromium-driver"
    return found


def resize(browser: WebDriver, width: int, height: int) -> None:
    """Give the page exactly so many CSS pixels, each one pixel of a screenshot."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1}
    command = "Emulation.setDeviceMetricsOverride"
    browser.execute_cdp_cmd(command, metrics | {"mobile": False})


def dark(browser: WebDriver) -> None:
    """Let the page think that the user likes it dark."""
    color_scheme(browser, "dark")


def color_scheme(browser: WebDriver, scheme: str) -> None:
    """Let the page think that the user likes it `light` or `dark`."""
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def errors(browser: WebDriver) -> list[str]:
    """What the page's scripts and requests have complained about."""
    return [str(entry["message"]) for entry in browser.get_log("browser")]


def asked(browser: WebDriver) -> list[str]:
    """The addresses that pages have asked for since this was last called.

    Without those of the browser's own pages.
    """
    events = (
        json.loads(entry["message"])["message"]
        for entry in browser.get_log("performance")
    )
    sent = (
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    )
    return [url for url in sent if not url.startswith(_OWN)]


def address(page: Path) -> str:
    """A page's address on this machine."""
    return page.absolute().as_uri()
