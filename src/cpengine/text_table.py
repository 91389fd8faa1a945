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

    def text(self) -> str:
        """The table in columns of letters, and the lines below it."""
        rows = [[visible(cell) for cell in row] for row in (self.columns, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [visible(self.title)] if self.title else []
        for row in rows if self.columns else ():
            cells = [
                cell.ljust(width) if number < self.words else cell.rjust(width)
                for number, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
        return "\n".join([*lines, *map(visible, self.lines)])

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
    """What a notebook shows as a table, and `print` as its text."""

    __slots__ = ()

    def __str__(self) -> str:
        return self.table().text()

    @abstractmethod
    def table(self) -> TextTable:
        """The table."""

    def _repr_html_(self) -> str:
        return self.table().html()


def _escaped(text: str) -> str:
    return escape(visible(text))
