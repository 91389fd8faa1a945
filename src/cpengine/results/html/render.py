"""Pages from templates: each is one file with all that it needs inside."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cpengine import wording
from cpengine.plates import row_name
from cpengine.results.html import numbers

_FOLDER = Path(__file__).parents[1]
"""Templates, styles and scripts are named from here: `html/base.html`."""


def render(template: str, values: Mapping[str, Any]) -> str:
    """The page that a template makes of some values; text from outside is escaped."""
    made = datetime.now(UTC).isoformat(timespec="seconds")
    known = {"made": made, "made_by": f"cpengine {version('cpengine')}"}
    return _environment().get_template(template).render(known | dict(values))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {
        "separators": (",", ":"),
        "allow_nan": False,
    }
    environment.globals["own_file"] = _own_file
    environment.filters |= {
        "count": numbers.count,
        "counted": partial(wording.counted, thousands=","),
        "duration": wording.duration,
        "size": numbers.size,
        "percent": numbers.percent,
        "value": numbers.value,
        "shown": _shown,
        "time": time_text,
        "utc": _utc,
        "quoted": quote,
        "row_name": row_name,
    }
    return environment


def _own_file(name: str) -> Markup:
    """A style or script of ours, to be put into the page as it is."""
    return Markup((_FOLDER / name).read_text(encoding="utf-8"))


def _shown(number: float | None, unit: str) -> str:
    """A measure's value with its unit."""
    if number is None:
        return "\N{EN DASH}"
    by_unit = {"s": wording.duration, "bytes": numbers.size, "count": numbers.count}
    return by_unit.get(unit, numbers.value)(number)


def time_text(seconds: float, pattern: str = "%-d %b %Y, %H:%M") -> str:
    """A time in UTC, as text."""
    return datetime.fromtimestamp(seconds, UTC).strftime(pattern)


def _utc(time: str) -> str:
    """A record's time for people, such as `2026-11-22 09:30:00`."""
    return time.replace("T", " ").replace("+00:00", "")
