"""The shape of the code, counted: `python -m tests.shape`; exits with 1 if it is lost.

Functions are those of `src`; files are all of Python. Lines of a function are those
from its `def` to its end, docstring and blanks included.
"""

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src"
ALL = ("src", "tests", "benchmarks", "docs")
MEDIAN, MOST_IN_TEN, LONGEST, LONGEST_FILE = 8, 22, 50, 600


def functions(path: Path) -> Iterator[tuple[int, str]]:
    """The lines and the place of each function of a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            lines = node.end_lineno - node.lineno + 1
            yield lines, f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"


def too_large(sizes: list[tuple[int, str]], most: int) -> list[str]:
    """What has more lines than it may, with how many."""
    return [
        f"{place}: {lines} lines, {most} allowed"
        for lines, place in sizes
        if lines > most
    ]


def main() -> int:
    """Count, print, and say what is over a limit."""
    paths = sorted(SRC.rglob("*.py"))
    files = [
        (
            len(path.read_text(encoding="utf-8").splitlines()),
            str(path.relative_to(ROOT)),
        )
        for folder in ALL
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]
    found = [function for path in paths for function in functions(path)]
    lengths = sorted(lines for lines, _ in found)
    median = statistics.median(lengths)
    most_in_ten = lengths[int(0.9 * (len(lengths) - 1))]
    print(
        f"{sum(lines for lines, _ in files)} lines in {len(files)} files, the longest "
        f"{max(files)[0]} (at most {LONGEST_FILE})\n"
        f"{len(found)} functions: median {median:.0f} lines (at most {MEDIAN}), 90th "
        f"percentile {most_in_ten} ({MOST_IN_TEN}), longest {lengths[-1]} ({LONGEST})"
    )
    wrong = too_large(found, LONGEST) + too_large(files, LONGEST_FILE)
    if median > MEDIAN or most_in_ten > MOST_IN_TEN:
        wrong.append("functions have grown: see the median and the 90th percentile")
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
