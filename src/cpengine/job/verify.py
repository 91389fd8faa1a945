"""Whether CellProfiler's run over a group can be believed."""

import contextlib
import signal
from pathlib import Path

from cpengine.cellprofiler.command import error_of, lacks_memory, not_loaded
from cpengine.job.publish import files_of
from cpengine.model import AttemptError, FailureKind, Job
from cpengine.storage.keys import is_text
from cpengine.system.process import Ended

_NOT_STARTED = (126, 127)
"""Exit codes by which setpriv, a shell or a container runtime says so."""


def verify(ended: Ended, scratch: Path, job: Job) -> dict[str, int]:
    """Accept a run only by done file, exit code, log and files together.

    Gives the files that it wrote, with their sizes in bytes.

    Parameters
    ----------
    scratch
        The attempt's folder, with `done`, `log` and `output`.

    Raises
    ------
    AttemptError
        It is not accepted, with the kind of failure.
    """
    if ended.reason is not None:
        raise AttemptError(ended.reason, ended.why)
    done = _text(scratch / "done").strip()
    log = _text(scratch / "log")  # one that is killed early has none
    if done != "Complete" or ended.code != 0 or not_loaded(log):
        raise _broken(ended, done, log)
    files = files_of(scratch / "output")
    if not files:
        raise AttemptError(
            FailureKind.NO_OUTPUT,
            f"CellProfiler says Complete but wrote no file for {job.metadata}: check "
            "that the pipeline saves to the Default Output Folder",
        )
    if odd := [name for name in files if not is_text(name)]:
        raise AttemptError(
            FailureKind.NO_OUTPUT,
            f"{odd[0]!a}: has a name that is no UTF-8: let the pipeline name its "
            "files by letters, digits and metadata",
        )
    empty = [name for name, size in files.items() if size == 0]
    if empty:
        raise AttemptError(FailureKind.NO_OUTPUT, f"{empty[0]} is empty (0 bytes)")
    return files


def _text(path: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return path.read_text(errors="replace")
    return ""


def _broken(ended: Ended, done: str, log: str) -> AttemptError:
    module, error = (ended.module, ended.error) if ended.error else error_of(log)
    if lacks_memory(error or ""):
        return AttemptError(FailureKind.OUT_OF_MEMORY, error or "", module)
    if done in ("", "Complete") and ended.code < 0:
        named = {s.value: s.name for s in signal.Signals}
        by = named.get(-ended.code, f"signal {-ended.code}")
        return AttemptError(FailureKind.CRASH, error or f"ended by {by}", module)
    if not done and not error and ended.code in _NOT_STARTED:
        why = log.strip().rpartition("\n")[2] or f"exit code {ended.code}"
        return AttemptError(FailureKind.MACHINE, f"CellProfiler did not start: {why}")
    message = error or f"exit code {ended.code}, done file {done or 'missing'}"
    return AttemptError(FailureKind.CELLPROFILER, message, module)
