"""The documentation as a site: it builds without a warning and stands by itself."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver

import cpengine
import cpengine.backend
import cpengine.testing
from tests.services.browser import address, asked, errors

ROOT = Path(__file__).parents[2]
PAGES = ("index.html", "reference/api.html", "explanation/architecture.html")

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Strict: a page that is not in the menu or a link to nowhere is a failure."""
    folder = tmp_path_factory.mktemp("site")
    ran = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    return folder


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None: ...


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[str]:
    """The site's address, as a web server has it."""
    handler = partial(_Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_every_public_name_is_on_the_api_page(site: Path) -> None:
    page = (site / "reference/api.html").read_text(encoding="utf-8")
    for module in (cpengine, cpengine.backend, cpengine.testing):
        for name in module.__all__:
            assert f'id="{module.__name__}.{name}"' in page, name
    assert ":::" not in page


def test_files_of_the_repository_are_named_and_not_linked(site: Path) -> None:
    page = (site / "how-to/quality-control.html").read_text(encoding="utf-8")
    assert "<code>benchmarks/results/quality.txt</code>" in page
    assert not [
        str(path)
        for path in site.rglob("*.html")
        if re.search(r'href="[^":]*(?:backends|benchmarks|README)', path.read_text())
    ]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_fetches_nothing_from_elsewhere(
    browser: WebDriver, site: Path, served: str, page: str
) -> None:
    for start in (served, address(site)):
        browser.get(f"{start}/{page}")
        urls = asked(browser)
        assert len(urls) > 1
        # The picture of the page before may be asked for late.
        assert [u for u in urls if not u.startswith((served, address(site)))] == []
        assert [line for line in errors(browser) if "favicon" not in line] == []


def test_the_site_can_be_searched(browser: WebDriver, served: str) -> None:
    browser.get(f"{served}/index.html?q=heartbeat")
    found = "return document.querySelectorAll('.md-search-result__item').length"
    for _ in range(100):
        if browser.execute_script(found):
            break
        browser.execute_async_script("setTimeout(arguments[0], 100)")
    assert browser.execute_script(found)
