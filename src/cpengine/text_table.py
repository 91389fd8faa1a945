"""Results as tables of text: a terminal prints them, a notebook shows them. Pure."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

from cpengine.wording import visible

_LEFT, _RIGHT = "text-align: left", "text-align: right"


@dataclass(frozen=True)
class TextTable:
    """A table of text."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    words: int = 1
    """So many of the first columns hold words; the others hold numbers."""
    lines: Sequence[str] = field(default=())
    """What is to be said below it."""

    def html(self) -> str:
        """The table as HTML, without a style of its own; texts are escaped."""
        title = f"<caption>{_escaped(self.title)}</caption>" if self.title else ""
        head = self._row("th", self.columns)
        body = "".join(self._row("td", row) for row in self.rows)
        below = "".join(f"<p>{_escaped(line)}</p>" for line in self.lines)
        table = f"<table>{title}<thead>{head}</thead><tbody>{body}</tbody></table>"
        return f"<div>{table if self.columns else ''}{below}</div>"

    def _row(self, tag: str, texts: Iterable[str]) -> str:
        cells = "".join(
            f'<{tag} style="{_LEFT if number < self.words else _RIGHT}">'
            f"{_escaped(text)}</{tag}>"
            for number, text in enumerate(texts)
        )
        return f"<tr>{cells}</tr>"


class Tabular:
    """What a notebook shows as a table."""

    __slots__ = ()

    @abstractmethod
    def table(self) -> TextTable:
        """The table."""

    def _repr_html_(self) -> str:
        return self.table().html()


def _escaped(text: str) -> str:
    return escape(visible(text))
