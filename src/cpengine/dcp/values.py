"""Settings that were found in files of others, where they were, and their types."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cpengine.errors import InputError


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and where it was found."""

    value: Any
    where: str
    """File, line and name, as messages begin with."""

    def wrong(self, what: str) -> InputError:
        """The error that says what is wrong with it, and what to do."""
        return InputError(f"{self.where}: {self.value!r} {what}")


@dataclass(frozen=True, slots=True)
class Found:
    """What a file of Distributed-CellProfiler says, as keys of the project file."""

    settings: Mapping[str, Setting] = field(default_factory=dict)
    """By dotted key: `executors.aws.machines`."""
    step: str = ""
    """The step that it is about, if it is about one."""
    notes: tuple[str, ...] = ()
    """What was left out or guessed, one line each."""


def text(setting: Setting) -> str:
    """A setting that is text. Raises InputError if it is not."""
    if not isinstance(setting.value, str):
        raise setting.wrong("is not text: put it in quotes")
    return setting.value


def below_bucket(setting: Setting) -> str:
    """A setting that is a name or place below the bucket, without a slash at the end.

    Raises
    ------
    InputError
        It is elsewhere.
    """
    place = text(setting)
    if place.startswith("/") or "://" in place:
        raise setting.wrong(
            "is not a key of the bucket: write it without scheme and / before it"
        )
    return place.rstrip("/")


def whole(setting: Setting) -> int:
    """A setting that is a whole number, as number or text.

    Raises
    ------
    InputError
        It is none.
    """
    value = setting.value
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    if is_number(value) and int(value) == value:
        return int(value)
    raise setting.wrong("is not a whole number: write one")


def number(setting: Setting) -> int | float:
    """A setting that is a number. Raises InputError if it is not."""
    if not is_number(setting.value):
        raise setting.wrong("is not a number: write one, without quotes")
    value: int | float = setting.value
    return value


def flag(setting: Setting) -> bool:
    """A setting that is yes or no: 'True' or 'False' in any case, or without quotes.

    Raises
    ------
    InputError
        It is neither.
    """
    known = {"true": True, "false": False}
    answer = known.get(str(setting.value).lower())
    if answer is None:
        raise setting.wrong("is neither 'True' nor 'False': write one of them")
    return answer


def texts(setting: Setting) -> list[str]:
    """A setting that is a list of texts, or one text. Raises InputError if not."""
    values = setting.value if isinstance(setting.value, list) else [setting.value]
    if not all(isinstance(value, str) for value in values):
        raise setting.wrong("is not a list of texts: write one, ['a', 'b']")
    return values


def is_number(value: object) -> bool:
    """Whether a value is a number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
