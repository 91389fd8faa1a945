"""What an acceleration is: functions of ours for some of CellProfiler's."""

from __future__ import annotations

import hashlib
import importlib
import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Acceleration:
    """Functions that stand for some of CellProfiler's, and what they rely on."""

    name: str
    replaces: Mapping[str, Callable[..., Any]]
    """Ours, by the path of CellProfiler's: `package.module:Class.function`. Each gets
    the original first, then what the original would get. It has to ask the original
    where it is not sure that it computes the same."""
    sources: Mapping[str, str]
    """The sha256 of the source of what is replaced and of what is mirrored, by path."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """The versions of compiled packages that the result depends on, by name."""
    needs_kernels: bool = False
    """Whether nothing of it works without the compiled kernels."""
    self_test: Callable[[], None] | None = None
    """Compares ours with the original on data with a fixed seed, in a few hundredths of
    a second; raises AssertionError if they differ."""
    begin: Callable[[], None] | None = None
    """Forgets what an earlier run was like."""


def find(path: str) -> Any:
    """The function, class or value that a path such as `package.module:Class.f` names.

    Raises ImportError or AttributeError if there is none.
    """
    module, _, names = path.partition(":")
    found: Any = importlib.import_module(module)
    for name in names.split("."):
        found = getattr(found, name)
    return found


def source_hash(path: str) -> str:
    """The sha256 of the source text of what a path names; of a property, its getter.

    Raises ImportError, AttributeError, OSError or TypeError if there is none.
    """
    found = find(path)
    if isinstance(found, property):
        found = found.fget
    source: str = inspect.getsource(found)
    return hashlib.sha256(source.encode()).hexdigest()
