"""How a CellProfiler run is started and read, apart from starting it."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# They would bring the engine's own Python into CellProfiler's.
FOREIGN = (
    "PYTHONHOME",
    "PYTHONOPTIMIZE",
    "PYTHONPATH",
    "PYTHONWARNINGS",
    "VIRTUAL_ENV",
    "VIRTUAL_ENV_PROMPT",
    "__PYVENV_LAUNCHER__",
)
# The address of the webhook that is told of runs: whoever has it can write there.
SECRETS = ("CPENGINE_NOTIFY",)
# One process runs its modules on one thread; more only disturb the other slots.
THREADS = (
    "BLIS_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
# Results depend on the code that numpy and its libraries choose for the processor.
KERNELS = ("MKL_", "NPY_", "OPENBLAS_")
BLAS_KERNEL = "OPENBLAS_CORETYPE"
# CellProfiler orders names by sets: when it upgrades an old MeasureColocalization, the
# names of columns (Correlation_DNA_ER or Correlation_ER_DNA) and some values follow.
HASH_SEED = {"PYTHONHASHSEED": "0"}

_PROGRESS = re.compile(
    r"Image # (?P<image>\d+), module (?P<module>\S+) # (?P<number>\d+): "
    r"CPU_time = (?P<cpu>[\d.]+) secs, Wall_time = (?P<wall>[\d.]+) secs"
)
_FAILED = re.compile(r"(?:Error detected|Failed) .*\bmodule (?P<module>\w+)")
_NO_MEMORY = re.compile(
    r"MemoryError|Unable to allocate|Cannot allocate memory|OutOfMemoryError|bad_alloc"
)
_UNLOADABLE = "Failed to load pipeline"
_UNKNOWN = re.compile(r"Could not find the (?P<module>\w+) module(?:: (?P<why>.+))?")
_NO_PLUGIN = "Could not load "
_HARMLESS = "MySQL could not be loaded."  # said at every start without MySQLdb


@dataclass(frozen=True, slots=True)
class ModuleLine:
    """One module that ended, failed or not, on one image set."""

    image_number: int
    module: str
    module_num: int
    cpu_s: float
    wall_s: float


def run_command(
    cellprofiler: Sequence[str],
    *,
    pipeline: Path,
    input: Path,
    output: Path,
    done_file: Path,
    data_file: Path | None,
    group: Mapping[str, str],
    temp: Path,
    plugins: Path | None = None,
    file_list: Path | None = None,
) -> list[str]:
    """The argv that runs one group; without data_file for a Batch_data.h5 or a list."""
    command = [*cellprofiler, "-c", "-r", "-p", str(pipeline)]
    command += ["-i", str(input), "-o", str(output), "-d", str(done_file)]
    if data_file is not None:
        command.append(f"--data-file={data_file}")
    if file_list is not None:
        command.append(f"--file-list={file_list}")
    if group:
        command += ["-g", ",".join(f"{key}={value}" for key, value in group.items())]
    command += ["-t", str(temp), "-L", "20"]
    if plugins is not None:
        command.append(f"--plugins-directory={plugins}")
    return command


def run_environment(
    cp_env: Mapping[str, str], temp: Path, environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The variables of a run: one thread, one order of sets, no display, a temp folder.

    HOME stays: a headless run keeps its preferences in memory and writes nothing
    there but matplotlib's font cache, which matplotlib locks.
    """
    return {**own_python(environ), **cp_env, **_settings(temp)}


def container_environment(
    temp: Path, environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The variables of a run in a container: its own, and those that every run has.

    HOME is of the run, too: the user has none in there, and cannot write to another's.
    """
    chosen = {key: environ[key] for key in environ if key.startswith(KERNELS)}
    return {**chosen, **_settings(temp), "HOME": str(temp)}


def _settings(temp: Path) -> dict[str, str]:
    return {
        **dict.fromkeys(THREADS, "1"),
        **HASH_SEED,
        "MPLBACKEND": "agg",
        "PYTHONUNBUFFERED": "1",  # the last words before a crash are in the log
        "TMPDIR": str(temp),
    }


def own_python(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables without our secrets, and those that point it at our Python."""
    left_out = {*FOREIGN, *SECRETS}
    return {key: value for key, value in environ.items() if key not in left_out}


def parse_progress(line: str) -> ModuleLine | None:
    """The module that a log line says has ended, or None for any other line."""
    if not (seen := _PROGRESS.search(line)):
        return None
    return ModuleLine(
        image_number=int(seen["image"]),
        module=seen["module"],
        module_num=int(seen["number"]),
        cpu_s=float(seen["cpu"]),
        wall_s=float(seen["wall"]),
    )


def not_loaded(log: str) -> bool:
    """Whether CellProfiler left out a module it could not load.

    It drops that module and all after it, runs the rest and says Complete.
    """
    return any(line.startswith(_UNLOADABLE) for line in log.splitlines())


def lacks_memory(error: str) -> bool:
    """Whether an error means that there was no memory to be had."""
    return _NO_MEMORY.search(error) is not None


def error_of(log_tail: str) -> tuple[str | None, str | None]:
    """The failing module and the exception line of a log, each None if not there.

    The first failure counts: the later ones are mostly its consequences.
    """
    lines = log_tail.splitlines()
    failures = [number for number, line in enumerate(lines) if _is_failure(line)]
    if not failures:
        return None, _last(_exceptions(lines)) or _last(_complaints(lines))
    first, *later = failures
    error = _last(_exceptions(lines[first : later[0] if later else None]))
    return _module(lines[first], error or ""), error and _with_cause(error, lines)


def _with_cause(error: str, lines: Sequence[str]) -> str:
    """An error; of a module that is missing as its plugin failed, with why it did."""
    line = f"{_NO_PLUGIN}{(unknown_module(error) or '').lower()}"
    if line == _NO_PLUGIN or line not in lines:
        return error
    why = next(_exceptions(lines[lines.index(line) :]), "")
    return f"{error}: {why}"


def _is_failure(line: str) -> bool:
    return line.startswith(_UNLOADABLE) or bool(_FAILED.match(line))


def _module(failure: str, error: str) -> str | None:
    seen = _FAILED.match(failure)
    return seen["module"] if seen else unknown_module(error)


def unknown_module(error: str) -> str | None:
    """The module of which an error says that CellProfiler has none."""
    seen = _UNKNOWN.search(error)
    return seen["module"] if seen else None


def plugin_failure(error: str) -> str | None:
    """Why the plugin failed whose module an error says is missing, if it did."""
    seen = _UNKNOWN.search(error)
    return seen["why"] if seen else None


def _exceptions(lines: Iterable[str]) -> Iterator[str]:
    """The line that closes each traceback, without the harmless one's."""
    before, inside, harmless = "", False, False
    for line in lines:
        if line.startswith("Traceback (most recent call last):"):
            inside, harmless = True, before == _HARMLESS
        elif inside and line and not line.startswith(" "):
            inside = False
            if not harmless:
                yield line
        before = line


def _complaints(lines: Iterable[str]) -> Iterator[str]:
    """Lines such as `cellprofiler: error: no such option`, which have no traceback."""
    return (line for line in lines if re.match(r"\S.*\berror: ", line))


def _last(lines: Iterable[str]) -> str | None:
    return next(reversed(list(lines)), None)
