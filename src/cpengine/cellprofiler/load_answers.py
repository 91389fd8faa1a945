"""What CellProfiler made of pipelines, remembered by what it was asked with."""

import contextlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cpengine.rules import Finding
from cpengine.storage.own_files import OwnFile, has_form

MOST = 500
"""So many answers are remembered, the newest ones."""


@dataclass(frozen=True, slots=True)
class _NamedModule:
    number: int
    module: str


@dataclass(frozen=True, slots=True)
class _NewerModule(_NamedModule):
    revision: int
    installed: int


@dataclass(frozen=True, slots=True)
class _Objection(_NamedModule):
    setting: str
    value: str
    message: str
    kinds: Sequence[str]
    lacking: Sequence[str]
    whole: bool


@dataclass(frozen=True, slots=True)
class _Answer:
    """What `probe.py` says of a pipeline."""

    error: str | None
    failed: str | None
    loaded: int
    newer: Sequence[_NewerModule]
    without_mysqldb: Sequence[_NamedModule]
    objections: Sequence[_Objection]


_ANSWER = OwnFile(has_form(_Answer), "ask again")


def parse(data: bytes) -> dict[str, Any] | None:
    """An answer; None if it is none, or not whole."""
    found = _ANSWER.parse(data, "answer")
    return None if isinstance(found, Finding) else found


@dataclass(frozen=True, slots=True)
class Answers:
    """A folder of answers; one that is damaged is as good as none."""

    folder: Path

    def find(self, key: str) -> dict[str, Any] | None:
        """The answer to what has that key, if it is remembered."""
        with contextlib.suppress(OSError):
            return parse(self._path(key).read_bytes())
        return None

    def remember(self, key: str, data: bytes) -> None:
        """Keep an answer, if the folder takes it: whole, or not at all."""
        with contextlib.suppress(OSError):  # others' folder, full disk
            self.folder.mkdir(parents=True, exist_ok=True)
            part = self.folder / f"{key}.{os.getpid()}-{secrets.token_hex(4)}.part"
            part.write_bytes(data)
            part.replace(self._path(key))
            self._trim()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def _trim(self) -> None:
        files = sorted(self.folder.iterdir(), key=lambda path: path.stat().st_mtime)
        for path in files[:-MOST]:
            path.unlink(missing_ok=True)
