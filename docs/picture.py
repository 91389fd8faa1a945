"""Make docs/images/demo.svg from two captures of one real `cpengine demo`.

    tmux new -d -s demo -x 132 -y 34
    tmux send-keys -t demo 'cpengine demo' Enter
    tmux capture-pane -e -J -p -t demo > mid.ansi    # while it runs
    tmux capture-pane -e -J -p -t demo > end.ansi    # when it has ended
    .venv/bin/python docs/picture.py mid.ansi end.ansi

Run it in a folder whose path may be shown.
"""

import io
import re
import sys
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

PICTURE = Path(__file__).parent / "images" / "demo.svg"
WIDTH = 132
# Without rich's web fonts: the picture asks no server for anything.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def screen(file: Path) -> Text:
    """What a capture shows, without the empty lines below it."""
    text = Text.from_ansi(file.read_text(encoding="utf-8"))
    text.rstrip()
    return text


def picture(mid: Path, end: Path) -> str:
    """The SVG with both moments, one below the other."""
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(screen(mid))
    console.rule("the same terminal when it has ended", style="dim")
    console.print(screen(end), end="\n\n")  # or the last line's foot is cut off
    return console.export_svg(
        title="cpengine demo", theme=MONOKAI, code_format=FORMAT, unique_id="demo"
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(Path(sys.argv[1]), Path(sys.argv[2])), encoding="utf-8")
