"""Where a person reads: a terminal or a notebook, to which text is text."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from cpengine.wording import visible


class Terminal(Console):
    """A console on which text from outside is text: no markup, no escape sequence."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, highlight=False, emoji=False, **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """Give what is to be written, of texts what may be shown."""
        for segment in super().render(renderable, options):
            yield (
                segment
                if segment.control
                else segment._replace(text=visible(segment.text))
            )


def for_people(shown: bool | None) -> Terminal:
    """A console on stderr, or in a notebook.

    Parameters
    ----------
    shown
        Whether anything is printed; if None, where a person sees it.
    """
    console = Terminal(stderr=True)
    if shown is None:
        shown = console.is_interactive or console.is_jupyter
    console.quiet = not shown
    return console
