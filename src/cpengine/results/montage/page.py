"""The page that shows the montages of a plate: one file, without any network."""

from collections.abc import Sequence
from typing import Any

from cpengine.results.html.links import PageLink
from cpengine.results.html.render import render


def page(kinds: Sequence[dict[str, Any]], pages: Sequence[PageLink] = ()) -> str:
    """The page for the kinds of pictures of one plate.

    Parameters
    ----------
    kinds
        What `make` keeps of each as `montage.json`.
    pages
        The project's other pages.
    """
    about = {name: kinds[0][name] for name in ("plate", "step", "batch")}
    return render("montage/page.html", about | {"kinds": list(kinds), "pages": pages})
