"""The accelerations of this process: which can be used, and putting them in place."""

from __future__ import annotations

import contextlib
import functools
import importlib
import mmap
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from . import NAMES, compiled
from .acceleration import Acceleration, find, source_hash
from .processor import processor

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator


class Active:
    """Says in a file which acceleration is at work, so that a crash can be named.

    The file is mapped into memory: what was written is in it however a process ends.
    """

    LENGTH = 64

    def __init__(self, path: str | None) -> None:
        self._name = ""
        self._map: Any = None
        if path is not None:
            with open(path, "w+b") as file:
                file.write(b" " * self.LENGTH)
                file.flush()
                self._map = mmap.mmap(file.fileno(), self.LENGTH)

    def set(self, name: str) -> str:
        """Name the one at work, empty for none; give the one before."""
        before, self._name = self._name, name
        if self._map is not None:
            self._map[:] = name.encode().ljust(self.LENGTH)[: self.LENGTH]
        return before


class Accelerations:
    """Those that this process can use, and why it cannot use the others.

    Parameters
    ----------
    names
        Those to try, of `NAMES`.
    kernels
        The library of the compiled ones and its sha256, if there is one.
    active
        A file that holds the name of the one at work, for whoever sees this process
        crash.
    """

    def __init__(
        self,
        names: Collection[str] = NAMES,
        kernels: Collection[str] | None = None,
        active: str | None = None,
    ) -> None:
        if kernels:
            with contextlib.suppress(OSError):  # those that need them are off
                compiled.load(*kernels)
        self.off: dict[str, str] = {}
        """Why, by the name of each that cannot be used."""
        self._active = Active(active)
        self._all = {name: _import(name) for name in names}
        for name, acceleration in self._all.items():
            why = _objection(acceleration) or _failed_self_test(acceleration)
            if why:
                self.off[name] = why

    @property
    def on(self) -> list[str]:
        """The names of those that can be used, in order."""
        return [name for name in self._all if name not in self.off]

    def describe(self) -> dict[str, Any]:
        """What can be used here, why the others cannot, and on what processor."""
        return {
            "exact": {"on": self.on, "off": self.off},
            "processor": processor(),
        }

    @contextlib.contextmanager
    def applied(
        self, names: Collection[str], on_failure: Callable[[str, str], None]
    ) -> Iterator[list[str]]:
        """Let some stand for CellProfiler's functions; give those that do.

        Parameters
        ----------
        on_failure
            Gets the name and the error of one that failed, which is off from then on.
        """
        applied = [name for name in self.on if name in names]
        with contextlib.ExitStack() as stack:
            for name in applied:
                acceleration = self._all[name]
                if acceleration.begin is not None:
                    acceleration.begin()
                for path, ours in acceleration.replaces.items():
                    guarded = self._guard(name, find(path), ours, on_failure)
                    stack.enter_context(_replaced(path, guarded))
            yield applied

    def _guard(
        self,
        name: str,
        original: Callable[..., Any],
        ours: Callable[..., Any],
        on_failure: Callable[[str, str], None],
    ) -> Callable[..., Any]:
        """Ours, with the original first; what it fails with switches it off."""
        plain = self._plain(original)

        @functools.wraps(original)
        def stand_in(*args: Any, **options: Any) -> Any:
            if name in self.off:
                return original(*args, **options)
            before = self._active.set(name)
            try:
                return ours(plain, *args, **options)
            except Exception as error:
                if not _is_originals(error):
                    self.off[name] = f"{type(error).__name__}: {error}"
                    on_failure(name, self.off[name])
                raise
            finally:
                self._active.set(before)

        return stand_in

    def _plain(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """The original: none of ours is at work, and its exceptions are told apart."""

        @functools.wraps(original)
        def plain(*args: Any, **options: Any) -> Any:
            before = self._active.set("")
            try:
                return original(*args, **options)
            except Exception as error:
                error.__dict__["_cpengine_original"] = True
                raise
            finally:
                self._active.set(before)

        return plain


def _import(name: str) -> Acceleration:
    module = importlib.import_module("." + name, __package__)
    acceleration: Acceleration = module.ACCELERATION
    return acceleration


def _objection(acceleration: Acceleration) -> str:
    """Why an acceleration does not fit what is installed; empty if it does."""
    if acceleration.needs_kernels and compiled.library is None:
        return "there are no kernels"
    for package, written_for in acceleration.versions.items():
        try:
            there = version(package)
        except PackageNotFoundError:
            there = "not installed"
        if there != written_for:
            return f"{package} is {there}, not {written_for}"
    for path, written_for in acceleration.sources.items():
        try:
            same = source_hash(path) == written_for
        except (ImportError, AttributeError, OSError, TypeError):
            return f"{path} is not there"
        if not same:
            return f"{path} has another source"
    return ""


def _failed_self_test(acceleration: Acceleration) -> str:
    try:
        if acceleration.self_test is not None:
            acceleration.self_test()
    except Exception as error:  # whatever it is: it is not used
        return f"its self-test failed ({type(error).__name__}: {error})"
    return ""


def _is_originals(error: Exception) -> bool:
    return "_cpengine_original" in error.__dict__


@contextlib.contextmanager
def _replaced(path: str, ours: Callable[..., Any]) -> Iterator[None]:
    """Put a function of ours where a path leads to."""
    place, _, name = path.rpartition("." if "." in path.partition(":")[2] else ":")
    owner = find(place) if ":" in place else importlib.import_module(place)
    attribute = vars(owner)[name]
    is_static = isinstance(attribute, staticmethod)
    setattr(owner, name, staticmethod(ours) if is_static else ours)
    try:
        yield
    finally:
        setattr(owner, name, attribute)
