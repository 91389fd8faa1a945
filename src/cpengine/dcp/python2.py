"""Scripts that were written for Python 2, as Python 3 parses them. Pure."""

import ast
import io
import tokenize
from collections.abc import Iterator

from cpengine.dcp import literals
from cpengine.errors import InputError

_TAB = 8
_ENDS = (tokenize.NEWLINE, tokenize.COMMENT)
_BLANK = (tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT)
_Place = tuple[int, int]


def statements(source: str, path: str) -> list[ast.stmt]:
    """The statements of a script, also of one whose prints and tabs are Python 2's.

    Raises
    ------
    InputError
        It is Python neither way.
    """
    try:
        return literals.statements(source, path)
    except InputError:
        return literals.statements(without_prints(source), path)


def without_prints(source: str) -> str:
    """A script whose print statements do nothing; its lines have their numbers."""
    lines = [_indented(line) for line in io.StringIO(source)]
    try:
        prints = list(_prints(lines))
    except (tokenize.TokenError, SyntaxError):
        return source
    for (first, begin), (last, end) in reversed(prints):
        rest = lines[last - 1][end:]
        lines[first - 1] = f"{lines[first - 1][:begin]}pass{rest}"
        lines[first:last] = ["\n"] * (last - first)
    return "".join(lines)


def _indented(line: str) -> str:
    code = line.lstrip(" \t")
    return line[: len(line) - len(code)].expandtabs(_TAB) + code


def _prints(lines: list[str]) -> Iterator[tuple[_Place, _Place]]:
    """Where print statements begin and end, in order."""
    begin: _Place | None = None
    depth, starts = 0, True
    for token in tokenize.generate_tokens(iter([*lines, ""]).__next__):
        if token.type == tokenize.OP:
            depth += (token.string in "([{") - (token.string in ")]}")
        if begin and not depth and (token.type in _ENDS or token.string == ";"):
            yield begin, token.start
            begin = None
        if starts and token.type == tokenize.NAME and token.string == "print":
            begin = token.start
        starts = _ends_statement(token, depth) or (starts and token.type in _BLANK)


def _ends_statement(token: tokenize.TokenInfo, depth: int) -> bool:
    return token.type == tokenize.NEWLINE or (token.string in ";:" and not depth)
