"""The exact accelerations of a host, as the engine sees them."""

import contextlib
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from cpengine.cellprofiler import exact as package
from cpengine.cellprofiler.exact import NAMES
from cpengine.errors import ConfigError

VARIABLE = "CPENGINE_EXACT"
"""Stands for `cellprofiler.exact` of the project file: true, false or names."""
ACTIVE = "active"
"""The file in a host's folder that names the acceleration at work."""
_SWITCHES = {"true": NAMES, "1": NAMES, "false": (), "0": ()}


def wanted(
    setting: bool | Sequence[str], environ: Mapping[str, str] = os.environ
) -> Sequence[str]:
    """The names of the accelerations that are to be used.

    Parameters
    ----------
    setting
        All, none, or their names.

    Raises
    ------
    ConfigError
        There is none of that name.
    """
    text, where = environ.get(VARIABLE, "").strip(), VARIABLE
    if text.lower() in _SWITCHES:
        return _SWITCHES[text.lower()]
    if text:
        setting = [name.strip() for name in text.split(",") if name.strip()]
    else:
        where = "cellprofiler.exact"
    if isinstance(setting, bool):
        return NAMES if setting else ()
    if unknown := [name for name in setting if name not in NAMES]:
        raise ConfigError(
            f"{where}: there is no acceleration {unknown[0]!r}: take true, false or "
            f"some of {', '.join(NAMES)}"
        )
    return setting


@cache
def code_digest() -> str:
    """Changes with the code of the accelerations."""
    seen, folder = hashlib.sha256(), Path(package.__file__).parent
    for path in sorted((*folder.glob("*.py"), *folder.glob("kernels/*.[ch]"))):
        seen.update(f"{path.name}\0".encode() + path.read_bytes())
    return seen.hexdigest()[:32]


@dataclass
class HostAccelerations:
    """What a host said of its accelerations."""

    active: Path | None = None
    """The file that names the one at work."""
    off: Mapping[str, str] = field(default_factory=dict)
    """Why, by the name of each that it cannot use."""
    processor: Mapping[str, Any] = field(default_factory=dict)
    """What CellProfiler's own numbers depend on."""
    used: Sequence[str] = ()
    """Those in use in the last run."""
    failed: dict[str, str] = field(default_factory=dict)
    """Those that failed in the last run, with what they failed of."""
    crash: bool = False
    """Whether the process came to an end in the last run, by its own fault."""

    @property
    def doubtful(self) -> bool:
        """Whether they may be why the last run was not good."""
        return bool(self.failed or (self.crash and self.used))

    def take(self, ready: Mapping[str, Any]) -> None:
        """Take in what it says when it is ready."""
        self.off = dict(ready.get("exact", {}).get("off", {}))
        self.processor = dict(ready.get("processor", {}))

    def begin(self, names: Sequence[str]) -> None:
        """Begin a run that may use some."""
        self.used = [name for name in names if name not in self.off]
        self.failed, self.crash = {}, False

    def crashed(self, why: str) -> None:
        """Hold the one at work, if any was, responsible for its process's end."""
        self.crash = True
        with contextlib.suppress(OSError):
            assert self.active is not None
            name = self.active.read_text(encoding="utf-8").strip()
            if name in self.used:
                self.failed[name] = why
