"""What CellProfiler itself objects to in a pipeline, asked without running it.

It takes about two seconds, so what it said of a pipeline is kept.
"""

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cpengine import rules
from cpengine.cellprofiler import find
from cpengine.cellprofiler.command import HASH_SEED
from cpengine.cellprofiler.find import CellProfiler
from cpengine.inputs.loaddata import Table
from cpengine.rules import Finding
from cpengine.storage.store import Storage

PROGRAM = Path(__file__).with_name("probe.py")
_ROWS = 2
_TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """A pipeline and what it is loaded with."""

    text: str
    shown: str
    """Its file as messages name it."""
    table: Table
    """The image sets of any plate."""
    input: str
    """Keys in the workspace: the rules folder,"""
    plugins: str | None
    """and the plugins folder."""


def findings(
    cellprofiler: CellProfiler, asked: LoadRequest, workspace: Storage, scratch: Path
) -> Iterator[Finding]:
    """What a CellProfiler says of a pipeline; nothing where it cannot be asked."""
    if cellprofiler.python is None:
        return
    with tempfile.TemporaryDirectory(dir=scratch, prefix="cpengine-check-") as name:
        folder = Path(name)
        _put(asked, workspace, folder)
        key = _key(folder, cellprofiler.version)
        cached = find.home() / "checked" / f"{key}.json"
        if cached.is_file():
            answer = json.loads(cached.read_text())
        else:
            answer = _ask(cellprofiler, folder)
            if answer:
                cached.parent.mkdir(parents=True, exist_ok=True)
                cached.write_text(json.dumps(answer))
    yield from _findings_of(answer, asked.shown)


def _put(asked: LoadRequest, workspace: Storage, folder: Path) -> None:
    """Make the folder that the probe is run in."""
    table = asked.table
    lines = Table(table.path, table.header, table.rows[:_ROWS], table.lines[:_ROWS])
    # CellProfiler reads JSON by its name alone.
    suffix = ".json" if asked.shown.endswith(".json") else ".cppipe"
    (folder / f"any{suffix}").write_text(asked.text, "utf-8")
    (folder / "load_data.csv").write_text(lines.to_csv(), "utf-8")
    shutil.copy(PROGRAM, folder)
    for key, name in ((asked.input, "input"), (asked.plugins, "plugins")):
        (folder / name).mkdir()
        for file in workspace.tree(key) if key else ():
            path = folder / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(workspace.read(f"{key}/{file}"))


def _key(folder: Path, version: str) -> str:
    """Changes with all that CellProfiler would be asked with."""
    digest = hashlib.sha256(f"{version} {HASH_SEED}".encode())
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:32]


def _ask(cellprofiler: CellProfiler, folder: Path) -> dict[str, Any]:
    """Run the probe; nothing is said where it cannot be run."""
    argv = [str(cellprofiler.python), *_arguments(folder)]
    program = cellprofiler.program(argv, folder, folder)
    try:
        ran = subprocess.run(
            list(program.command),
            env=program.environment,
            cwd=folder,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
        answer: dict[str, Any] = json.loads(ran.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return {}  # a job would tell; this is no reason not to try
    return answer


def _arguments(folder: Path) -> Sequence[str]:
    (pipeline,) = folder.glob("any.*")
    others = (folder / name for name in ("load_data.csv", "input", "plugins"))
    return [str(path) for path in (folder / PROGRAM.name, pipeline, *others)]


def _findings_of(answer: dict[str, Any], shown: str) -> Iterator[Finding]:
    if answer.get("error"):
        after = f" after module {len(answer['modules'])}" if answer["modules"] else ""
        yield rules.PIPELINE_DOES_NOT_LOAD.found(
            shown,
            f"CellProfiler cannot load it{after} ({answer['error'].splitlines()[0]})",
            "open it in CellProfiler and export it again, or give the step its plugins",
        )
    for entry in answer.get("invalid", ()):
        message = entry["message"].splitlines()[0].rstrip(".")
        yield rules.MODULE_INVALID.found(
            shown,
            f"module {entry['number']} {entry['module']}: {message} "
            f"({entry['setting']})",
            "open it in CellProfiler and mend what is marked red",
        )
