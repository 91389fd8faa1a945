"""The live view in a notebook: one output that is made anew each second."""

import io
import threading
from collections.abc import Callable
from typing import Any

from rich.console import RenderableType

from cpengine.system.terminal import Terminal

WIDTH, HEIGHT = 100, 40
"""Characters and lines, as a cell's output shows without scrolling."""
_EVERY_S = 1.0
_PRE = '<pre style="line-height: 1.2">{code}</pre>'


class NotebookLive:
    """Shows a picture until it is stopped; the last one stays.

    Parameters
    ----------
    picture
        Gives what is to be shown; called in a thread of its own, too.
    """

    def __init__(self, picture: Callable[[], RenderableType]) -> None:
        self._picture = picture
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._output: Any = None

    def start(self) -> None:
        """Show it in the cell that runs."""
        from IPython.display import HTML, display  # there where a notebook is

        self._output = display(HTML(self._html()), display_id=True)
        self._thread.start()

    def stop(self) -> None:
        """Show it for the last time."""
        self._ended.set()
        self._thread.join()
        self._update()

    def _follow(self) -> None:
        while not self._ended.wait(_EVERY_S):
            self._update()

    def _update(self) -> None:
        from IPython.display import HTML

        self._output.update(HTML(self._html()))

    def _html(self) -> str:
        page = Terminal(
            file=io.StringIO(),
            record=True,
            width=WIDTH,
            force_terminal=True,
            force_jupyter=False,
        )
        page.print(self._picture())
        return page.export_html(inline_styles=True, code_format=_PRE)
