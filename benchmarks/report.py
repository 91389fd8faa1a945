"""The report's page: how long it takes to make, how large it is, how soon it is there.

A project of plates with 384 wells and 9 sites gets the markers that a run would have
left, with times, memory, failures, counts and image quality that look like a plate's.
`cpengine.results.report` makes the page from them; the real Chromium opens it, each
time in a process of its own, and its own clock says when the first text is there, when
all is, and how long it takes to show another measure. Medians of five. Nothing else
makes such a page, so there is no ratio; the aim stands above the numbers.

    .venv/bin/python -m benchmarks.report [--save]
"""

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from benchmarks.common import RESULTS, header
from cpengine.results import report
from tests.results.report.made import STEP, VERSION, Size, project

ROUNDS = 5
AIM_S, AIM_MB = 2.0, 5.0


def main() -> None:
    """Make the pages and open them; print what that took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", action="store_true", help="keep the output")
    parser.add_argument("--short", action="store_true", help="one plate alone")
    given = parser.parse_args()
    lines = list(header())
    lines += [
        f"aims       {Size().jobs:,} jobs: there in {AIM_S:.0f} s, {AIM_MB:.0f} MB",
        "",
        f"{'jobs':>7}{'made in':>10}{'page':>10}{'first text':>12}{'loaded':>10}"
        f"{'a choice':>10}",
    ]
    print(*lines, sep="\n", flush=True)
    sizes = (Size(), Size(quality=False), Size(plates=10, quality=False), Size(10))
    for size in sizes[:1] if given.short else sizes:
        lines.append(_line(size))
        print(lines[-1], flush=True)
    if given.save:
        (RESULTS / "report.txt").write_text("\n".join([*lines, ""]), encoding="utf-8")


def _line(size: Size) -> str:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        made = project(Path(folder), size)
        begun = time.perf_counter()
        page = Path(report.write(made, STEP, cellprofiler=VERSION))
        seconds = time.perf_counter() - begun
        opened = [_opened(page) for _ in range(ROUNDS)]
        megabytes = page.stat().st_size / 1e6
    first, loaded, choice = (
        statistics.median(some) for some in zip(*opened, strict=True)
    )
    named = f" (with {'image quality' if size.quality else 'counts'})"
    return (
        f"{size.jobs:>7,}{seconds:>8.1f} s{megabytes:>7.1f} MB{first:>10.2f} s"
        f"{loaded:>8.2f} s{choice:>8.2f} s{named}"
    )


_TIMES = """
const done = arguments[arguments.length - 1];
const [loading] = performance.getEntriesByType("navigation");
new PerformanceObserver((list) => {
  const [first] = list.getEntriesByName("first-contentful-paint");
  if (first) done([first.startTime, loading.loadEventEnd]);
}).observe({ type: "paint", buffered: true });
"""
_CHOOSE = """
const done = arguments[arguments.length - 1];
const show = document.getElementById("show");
const begun = performance.now();
show.value = "3";
show.dispatchEvent(new Event("change"));
requestAnimationFrame(() => setTimeout(() => done(performance.now() - begun)));
"""


def _opened(page: Path) -> tuple[float, float, float]:
    """Seconds until the first text, until all is loaded, and for another measure."""
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for option in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        options.add_argument(option)
    service = Service(executable_path=shutil.which("chromedriver"))
    with Chrome(options=options, service=service) as browser:
        browser.get(page.as_uri())
        first, loaded = browser.execute_async_script(_TIMES)
        choice = browser.execute_async_script(_CHOOSE)
    return first / 1000, loaded / 1000, choice / 1000


if __name__ == "__main__":
    main()
