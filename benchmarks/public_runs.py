"""Run a public pipeline on one group, plain and by cpengine, and compare the files."""

import csv
import hashlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.public_inputs import STEP, Made
from cpengine.cellprofiler.command import (
    error_of,
    not_loaded,
    run_command,
    run_environment,
)
from cpengine.cellprofiler.find import CellProfiler

_PARTS = {
    "Metadata_Plate": "--plate",
    "Metadata_Well": "--well",
    "Metadata_Site": "--site",
}
_TIMES = ("ExecutionTime_", "Run_Timestamp", "Modification_Timestamp")
_TIMEOUT_S = 1800
csv.field_size_limit(sys.maxsize)  # Experiment.csv has whole pipelines in a cell


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of one run."""

    done: bool
    error: str
    """Why it failed; empty if it did not."""
    files: Mapping[str, str]
    """What stands for the content of each file, by its path below the results."""


def plain(cellprofiler: CellProfiler, made: Made, group: Mapping[str, str]) -> Ran:
    """Run the plain command as a user would who wants equal numbers each time."""
    folder = made.folder / "plain"
    shutil.rmtree(folder, ignore_errors=True)
    output, temp, done_file = (folder / name for name in ("output", "temp", "done"))
    for path in (output, temp):
        path.mkdir(parents=True)
    command = run_command(
        cellprofiler.command,
        pipeline=made.pipeline,
        input=made.input,
        output=output,
        done_file=done_file,
        data_file=made.table,
        group=group,
        temp=temp,
    )
    environ = run_environment(cellprofiler.env, temp, os.environ)
    environ["PYTHONHASHSEED"] = "0"
    code, log = _run(command, environ, made.folder)
    (folder / "log").write_text(log)
    complete = done_file.is_file() and done_file.read_text().strip() == "Complete"
    files = contents(output)
    done = code == 0 and complete and not not_loaded(log) and bool(files)
    return Ran(done, "" if done else _error(log, files), files)


def _error(log: str, files: Mapping[str, str]) -> str:
    module, error = error_of(log)
    if error is None:
        return "gives no files" if not files else "says Complete, but not in its end"
    return f"{module}: {error}" if module else error


def engine(made: Made, group: Mapping[str, str], *, unchecked: bool) -> Ran:
    """Run the group by `cpengine run`, and others if no option picks it alone."""
    command = [sys.executable, "-m", "cpengine", "run", STEP, "-C", str(made.folder)]
    command += ["--workers", "1", *_part(group)]
    command += ["--unchecked"] if unchecked else []
    code, log = _run(command, os.environ, made.folder)
    (made.folder / "engine.log").write_text(log)
    values = list(group.values()) or [next(iter(made.groups[0].values()), "P1")]
    files = contents(made.results / "-".join(values))
    lines = [line for line in log.splitlines() if "failed: " in line or "error" in line]
    done = code == 0 and bool(files)
    return Ran(done, "" if done else (lines or log.splitlines() or ["?"])[0], files)


def _part(group: Mapping[str, str]) -> Iterator[str]:
    for key, option in _PARTS.items():
        if key in group:
            yield from (option, group[key])


def _run(
    command: Sequence[str], environ: Mapping[str, str], folder: Path
) -> tuple[int, str]:
    """Its exit code, and what it said; some pipelines write where they are started."""
    try:
        ran = subprocess.run(
            command,
            env=dict(environ),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT_S,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        return 1, f"error: not done after {_TIMEOUT_S} s"
    return ran.returncode, ran.stdout


def differences(ours: Ran, theirs: Ran) -> list[str]:
    """What differs between cpengine's run and the plain one; empty if nothing does."""
    if ours.done != theirs.done:
        return [f"cpengine: {ours.error or 'done'}; plain: {theirs.error or 'done'}"]
    if not ours.done:
        return []
    only = [f"only cpengine: {name}" for name in ours.files.keys() - theirs.files]
    only += [f"only plain: {name}" for name in theirs.files.keys() - ours.files]
    both = ours.files.keys() & theirs.files.keys()
    return sorted(only) + sorted(
        f"differs: {name}" for name in both if ours.files[name] != theirs.files[name]
    )


def contents(folder: Path) -> dict[str, str]:
    """What stands for the content of each file, without what differs by time."""
    return {
        path.relative_to(folder).as_posix(): _content(path, folder)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _content(path: Path, folder: Path) -> str:
    """A digest of a file without measured times and the place of saved images."""
    data = path.read_bytes()
    if path.suffix == ".csv":
        data = _lasting(data.decode(errors="replace"), str(folder)).encode()
    return hashlib.sha256(data).hexdigest()


def _lasting(text: str, folder: str) -> str:
    """A CSV without its times, and with one name for the folder that it is in."""
    rows = list(csv.reader(io.StringIO(text, newline="")))
    head = rows[:2]
    times = {
        number
        for row in head
        for number, cell in enumerate(row)
        if any(name in cell for name in _TIMES)
    }
    lasting = [
        [cell.replace(folder, "OUTPUT") for n, cell in enumerate(row) if n not in times]
        for row in rows
        if not (len(row) == 2 and row[0].startswith(_TIMES))
    ]
    return "\n".join(map(repr, lasting))
