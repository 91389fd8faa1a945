"""The page that shows the montages of a plate: one file, without any network."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment

_FOLDER = Path(__file__).parent


def page(kinds: Sequence[dict[str, Any]]) -> str:
    """The page for the kinds of pictures of one plate.

    Parameters
    ----------
    kinds
        What `make` keeps of each as `montage.json`.
    """
    html, style, script = (
        (_FOLDER / f"viewer.{ending}").read_text("utf-8")
        for ending in ("html", "css", "js")
    )
    template = Environment(autoescape=True).from_string(html)
    # `<` would end the script that holds it, whatever a plate is called.
    data = json.dumps({"kinds": list(kinds)}).replace("<", "\\u003c")
    return template.render(
        plate=kinds[0]["plate"],
        step=kinds[0]["step"],
        batch=kinds[0]["batch"],
        kinds=kinds,
        data=data,
        style=style,
        script=script,
    )
