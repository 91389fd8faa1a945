"""A demo plate of which all pages are made, with images that are not as they should be.

`python -m tests.results.html.demo_pages docs/images` makes the screenshots of the
documentation from a larger one (`make screenshots`).
"""

import io
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from selenium.webdriver.chrome.webdriver import WebDriver

from cpengine.demo.make import Size, make
from cpengine.project import Project
from tests.plain_runs import MODULE
from tests.services.browser import address, color_scheme, headless, resize

WIDTHS = (390, 900, 1400)
_LARGEST_PX = 1600
"""The rest of a longer page is left out of its picture."""


@dataclass(frozen=True, slots=True)
class Damage:
    """The wells of the first plate whose first site is damaged, by how."""

    black_below: Sequence[str] = ()
    no_image: Sequence[str] = ()
    blurred: Sequence[str] = ()
    saturated: Sequence[str] = ()


SMALL = Damage(["B02"], ["A03"], ["B01"], ["A02"])
LARGE = Damage(["B05", "C02"], ["A07", "D03"], ["B03"], ["A05"])


def build(
    folder: Path, size: Size, damage: Damage, shown: str = "analysis"
) -> Mapping[str, Path]:
    """Make plates, run their steps, make all pages; give these by name.

    Analysis runs on the first plate alone.

    Parameters
    ----------
    shown
        The step whose pictures the montage shows.
    """
    make(folder, size, lambda done, total: None)
    _cpengine(folder, "run", "illum")
    _damage(Project.load(folder), damage)
    for step in dict.fromkeys(("qc", shown, "analysis")):
        only = ("--plate", "DemoPlate1") if step == "analysis" else ()
        _cpengine(folder, "run", step, *only)
    _cpengine(folder, "qc")
    _cpengine(folder, "collect", "analysis")
    _cpengine(folder, "montage", shown)
    _cpengine(folder, "report")
    return pages(Project.load(folder), shown)


def pages(project: Project, shown: str) -> dict[str, Path]:
    """Where the pages of a demo project are."""
    layout = project.layout
    workspace = project.places.outputs.path(layout.workspace())
    batch = layout.batch
    return {
        "project": workspace / "report/index.html",
        "report": workspace / f"report/{batch}/analysis.html",
        "qc": workspace / f"qc/{batch}/quality.html",
        "montage": workspace / f"montage/{batch}/{shown}/DemoPlate1/index.html",
    }


def _cpengine(folder: Path, *arguments: str) -> None:
    """Run a command; some of its jobs may fail."""
    command = [*MODULE, *arguments, "-C", str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode in (0, 1), ran.stderr


def _damage(project: Project, damage: Damage) -> None:
    layout = project.layout
    images = project.folder / layout.base / layout.batch / "images/DemoPlate1"
    for well in damage.black_below:  # as an aborted copy may leave it
        for file in images.glob(f"{well}_s1_*.tiff"):
            data = file.read_bytes()
            file.write_bytes(data[: len(data) // 3].ljust(len(data), b"\0"))
    for well in damage.no_image:
        (images / f"{well}_s1_DNA.tiff").write_bytes(b"no image at all")
    for well in damage.blurred:
        file = images / f"{well}_s1_Mito.tiff"
        tifffile.imwrite(file, _blurred(tifffile.imread(file)))
    for well in damage.saturated:
        file = images / f"{well}_s1_AGP.tiff"
        bright = tifffile.imread(file).astype(float) * 60
        tifffile.imwrite(file, np.minimum(bright, 65535).astype(np.uint16))


def _blurred(image: np.ndarray) -> np.ndarray:  # type: ignore[type-arg] # any numbers
    found = image.astype(float)
    for _ in range(6):
        for axis in (0, 1):
            found = sum(np.roll(found, by, axis) for by in (-2, -1, 0, 1, 2)) / 5
    return found.astype(image.dtype)


def show(browser: WebDriver, page: Path, width: int, scheme: str) -> None:
    """Open a page as in a window of that width, light or dark."""
    color_scheme(browser, scheme)
    resize(browser, width, 900)
    browser.get("about:blank")
    browser.get(address(page))


def screenshots(
    browser: WebDriver, made: Mapping[str, Path]
) -> Iterator[tuple[str, bytes]]:
    """A picture of each page in each width, light and dark, by name."""
    for name, page in made.items():
        for width in WIDTHS:
            for scheme in ("light", "dark"):
                show(browser, page, width, scheme)
                _choose(browser)
                script = "return document.documentElement.scrollHeight"
                height = browser.execute_script(script)
                resize(browser, width, min(height, _LARGEST_PX))
                browser.execute_async_script("setTimeout(arguments[0], 500)")
                yield f"{name}-{width}-{scheme}", browser.get_screenshot_as_png()


def _choose(browser: WebDriver) -> None:
    """Have the report show what people look at first: cells."""
    browser.execute_script(
        "const show = document.getElementById('show');"
        "const cells = show && [...show.options].find((o) => o.label === 'Cells');"
        "if (cells) show.value = cells.value;"
        "if (cells) show.dispatchEvent(new Event('change'));"
    )


def main() -> None:
    """Write the pictures of the documentation."""
    folder = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as scratch, headless(Path(scratch)) as browser:
        made = build(Path(scratch) / "demo", Size(2, 40, 2, 256, 1), LARGE, "assaydev")
        for name, png in screenshots(browser, made):
            with Image.open(io.BytesIO(png)) as image:
                image.convert("RGB").save(folder / f"{name}.webp", quality=45, method=6)


if __name__ == "__main__":
    main()
