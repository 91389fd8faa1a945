"""Values of indexes, as they may stand in a table. Pure."""

import re

from cpengine.errors import InputError
from cpengine.plates import well_name

_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MOST = 99
"""Rows and columns of a plate."""
_FORMULA = re.compile(r"[=@+](?![\d.]+\Z)")


def unfit(value: str) -> str:
    """What is wrong with a value of a table; empty if nothing is.

    Spreadsheets compute what begins like a formula. Signs that are not seen make two
    rows of one, or a name that nobody can type.
    """
    if _UNSEEN.search(value):
        return "has a control character"
    if _FORMULA.match(value):
        return "begins like a formula of a spreadsheet"
    return ""


def number(text: str, where: str, name: str) -> int:
    """A whole number that an index has.

    Raises
    ------
    InputError
        It is none, or has more digits than any instrument counts.
    """
    if text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    raise InputError(
        f"{where}: {name} is {text[:40]!r}, no whole number: copy it from the "
        "instrument again, or give --pattern"
    )


def well(row: int, column: int, where: str) -> str:
    """The well of a row and a column that an index counts from 1.

    Raises
    ------
    InputError
        No plate has such a well.
    """
    if 1 <= row <= _MOST and 1 <= column <= _MOST:
        return well_name((row - 1, column - 1))
    raise InputError(
        f"{where}: has a well in row {row}, column {column}, as no plate has: copy it "
        "from the instrument again, or give --pattern"
    )


class ValuePool(dict[str, str]):
    """Gives each value the one text that stands for all equal ones, checked once.

    Images have the same few values again and again, and an index of a hundred thousand
    has millions of them.
    """

    def __init__(self, where: str) -> None:
        super().__init__()
        self._where = where

    def __missing__(self, value: str) -> str:
        if cause := unfit(value):
            raise InputError(
                f"{self._where}: {value[:60]!r} {cause}: mend the file, or give "
                "--pattern"
            )
        self[value] = value
        return value
