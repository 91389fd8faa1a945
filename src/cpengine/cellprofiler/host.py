"""Serve many CellProfiler runs from one process, so that it starts only once.

This file runs inside CellProfiler's own Python (3.8 and the standard library only) and
imports nothing of cpengine. Each request is the argument list of a plain command, and
CellProfiler's own `main` runs it: what a request does is what the command would do,
without the imports, the start of Java and the reading of a plate's CSV once more.

Requests come on standard input, one JSON object a line:

    {"argv": [...], "folder": ..., "log": ..., "environ": {...}, "columns": {...},
     "exact": [...]}

`folder` becomes the working directory, `log` receives whatever is printed. `columns`
gives values, in the order of the group's rows, that stand in for those of LoadData's
CSV: where this machine has the images. `exact` names the accelerations of the folder
`exact` beside this file that may stand for CellProfiler's functions. Events go to
standard output likewise:

    {"event": "ready", "pid": ..., "exact": {"on": [...], "off": {name: why}},
     "processor": {"cpu": ..., "blas_kernel": ..., "blas_threads": ...}}
    {"event": "start"}
    {"event": "module", "image_number", "module", "module_num", "cpu_s", "wall_s"}
    {"event": "error", "message", "module", "error", "unloadable", "traceback"}
    {"event": "exact_failed", "name", "error"}
    {"event": "end", "code", "status", "cpu_s", "peak_memory", "memory", "left_open",
     "exact"}

`code` is the exit code that the command would have, memory is in bytes, `left_open`
names files and threads that the run left behind, `exact` the accelerations that were
in use. One that failed is off from then on; one that crashed is named by the file that
`--active` gives. When standard input ends, the process
ends at once, with all its children.

Source: `cellprofiler/__main__.py`, `cellprofiler_core/pipeline/_pipeline.py` and
`cellprofiler_core/modules/loaddata.py` of CellProfiler 4.2.8.
"""

# mypy: disable-error-code="import-not-found"
from __future__ import annotations

import argparse
import contextlib
import copy
import ctypes
import gc
import hashlib
import importlib
import importlib.util
import json
import logging
import os
import queue
import random
import resource
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    Group: TypeAlias = dict[str, str]
    Sheets: TypeAlias = OrderedDict[tuple[str, str], "Sheet"]
    Original: TypeAlias = Callable[..., Any]

CACHED_SHEETS = 4
"""Of how many pairs of pipeline and CSV the image sets are kept ready."""
UNAWARE = ("ExportToSpreadsheet", "MeasureImageQuality")
"""CellProfiler's modules that prepare a run, but not by what other groups hold."""

EXACT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "exact")

main_module: Any
preferences: Any
loaddata: Any
Pipeline: Any
Module: Any
badmodules: Any
"""CellProfiler's own, once it is imported."""


class Channel:
    """The two ends that cpengine holds, out of the modules' reach."""

    def __init__(self, log: str) -> None:
        self._requests: queue.Queue[dict[str, Any]] = queue.Queue()
        self._in = os.fdopen(os.dup(0), "rb")
        self._out = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        self.print_to(log)
        threading.Thread(target=self._listen, daemon=True).start()

    @staticmethod
    def print_to(log: str) -> None:
        """Let a file receive what is printed from now on, by C and Java code, too."""
        sys.stdout.flush()
        sys.stderr.flush()
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.close(file)

    def tell(self, event: str, **details: Any) -> None:
        """Send an event."""
        line = json.dumps(dict(details, event=event), default=str)
        self._out.write(line.encode() + b"\n")

    def requests(self) -> Iterator[dict[str, Any]]:
        """Give each request as it comes."""
        while True:
            yield self._requests.get()

    def _listen(self) -> None:
        """Take in requests, also while one runs, so that the end is heard at once."""
        for line in self._in:
            self._requests.put(json.loads(line))
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(0)


def boot(plugins: str | None, temp: str) -> None:
    """Import CellProfiler, start Java and load all modules, as its `main` does."""
    global main_module, preferences, loaddata, Pipeline, Module, badmodules

    import cellprofiler.__main__ as main_module
    import javabridge
    from cellprofiler_core import preferences
    from cellprofiler_core.module import Module
    from cellprofiler_core.pipeline import Pipeline

    preferences.set_headless()
    preferences.set_awt_headless(True)
    if plugins:
        preferences.set_plugin_directory(plugins, globally=False)
    logging.root.setLevel(logging.INFO)
    logging.root.addHandler(logging.StreamHandler())
    start_vm = javabridge.start_vm

    def start_modest_vm(args: list[str], **options: Any) -> None:
        own = [
            # A kill leaves Java's own files behind: in our folder only.
            "-XX:-UsePerfData",
            "-Djava.io.tmpdir=" + temp,
            # Collecting and compiling on as many threads as there are cores would
            # disturb the other hosts. An old Java does not know it.
            "-XX:+IgnoreUnrecognizedVMOptions",
            "-XX:ActiveProcessorCount=1",
        ]
        start_vm([*args, *own], **options)

    javabridge.start_vm = start_modest_vm
    main_module.start_java()
    # The import fills CellProfiler's table of modules, plugins included.
    from cellprofiler_core.modules import loaddata
    from cellprofiler_core.utilities.core.modules import badmodules

    main_module.start_java = main_module.stop_cellprofiler = lambda: None


def load_accelerations(kernels: list[str] | None, active: str | None) -> Any:
    """The accelerations that fit this CellProfiler; see `exact/selection.py`."""
    place = os.path.join(EXACT, "__init__.py")
    spec: Any = importlib.util.spec_from_file_location(
        "cpengine_exact", place, submodule_search_locations=[EXACT]
    )
    sys.modules[spec.name] = package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    selection = importlib.import_module(spec.name + ".selection")
    return selection.Accelerations(kernels=kernels, active=active)


class State:
    """What CellProfiler and its libraries keep from one run to the next.

    Each run begins with what a process that has just started would have.
    """

    def __init__(self) -> None:
        import matplotlib
        import numpy

        self._style, self._numpy = matplotlib.rcParams, numpy
        self._styled = dict(matplotlib.rcParams)
        self._errors = numpy.geterr()
        self._preferences = _values_of(preferences)
        self._environ, self._path = dict(os.environ), list(sys.path)
        self._streams = sys.stdin, sys.stdout, sys.stderr
        self._level, self._handlers = logging.root.level, list(logging.root.handlers)
        self._threads = set(threading.enumerate())
        self._files = _open_files()

    def reset(self) -> None:
        """Go back to the state at the start."""
        vars(preferences).update(copy.deepcopy(self._preferences))
        loaddata.header_cache.clear()
        os.environ.clear()
        os.environ.update(self._environ)
        sys.path[:] = self._path
        sys.stdin, sys.stdout, sys.stderr = self._streams
        logging.root.setLevel(self._level)
        logging.root.handlers[:] = self._handlers
        tempfile.tempdir = None
        random.seed()
        self._numpy.random.seed()
        self._numpy.seterr(**self._errors)
        if dict(self._style) != self._styled:
            self._style.update(self._styled)

    def tidy(self) -> list[str]:
        """Close and free what a run has used; give what it left open all the same."""
        _clear_image_caches()
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):  # where there is no glibc
            ctypes.CDLL(None).malloc_trim(0)
        files = _open_files() - self._files
        threads = set(threading.enumerate()) - self._threads
        return sorted(files) + sorted(thread.name for thread in threads)


def _values_of(module: Any) -> dict[str, Any]:
    """A copy of a module's variables; its functions and classes are left out."""
    plain = (bool, int, float, str, tuple, list, dict, set, type(None))
    values = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, plain) and name != "__builtins__"
    }
    # All that is not a plain value: what a headless run has for a settings file.
    values["__headless_config"] = module.get_config()
    return copy.deepcopy(values)


def _clear_image_caches() -> None:
    """Close readers, and let Java ask anew what a folder holds: jobs write there."""
    import bioformats.formatreader
    import javabridge

    bioformats.formatreader.clear_image_reader_cache()
    javabridge.JClassWrapper("loci.common.Location").clearDirectoryListingsCache()
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def _open_files() -> set[str]:
    """The files that this process has open; none where there is no /proc."""
    found = set()
    with contextlib.suppress(OSError):
        for number in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                found.add(os.readlink("/proc/self/fd/" + number))
    ours = ("/dev/", "/proc/")
    return {path for path in found if path[0] == "/" and not path.startswith(ours)}


class Sheet:
    """The image sets of one CSV as one pipeline reads them, numbered plate-wide.

    LoadData reads, types and stores a whole CSV in each run, and CellProfiler then
    removes all image sets but the group's. The first run here does just that; from then
    on a run gets its group's rows out of what the first one had stored.

    Raises
    ------
    ValueError
        The image sets hold something that is not one value.
    """

    def __init__(
        self, measurements: Any, groupings: Any, columns: dict[str, Any]
    ) -> None:
        numbers = measurements.get_image_numbers()
        stored = measurements.hdf5_dict
        self._row = {number: row for row, number in enumerate(numbers)}
        self._features = {
            name: (
                stored.get_feature_dtype("Image", name),
                [_only_value(values) for values in stored["Image", name, numbers]],
            )
            for name in measurements.get_feature_names("Image")
        }
        self._numbers = {_key(group): list(numbers) for group, numbers in groupings}
        self._columns = columns

    def numbers(self, group: Group) -> list[int]:
        """The image numbers of a group, in order; none if it is not here."""
        return self._numbers.get(_key(group), [])

    def fill(self, measurements: Any, numbers: list[int]) -> None:
        """Store these image sets as they stand once all of them have been prepared."""
        stored = measurements.hdf5_dict
        stored.add_all("Image", "ImageNumber", numbers, numbers)
        for name, (dtype, values) in self._features.items():
            rows = [[values[self._row[number]]] for number in numbers]
            stored.add_all("Image", name, rows, numbers, data_type=dtype)

    def remember_columns(self, path: str) -> None:
        """Spare LoadData another look for the types of the CSV's columns."""
        known = {name: copy.copy(value) for name, value in self._columns.items()}
        loaddata.header_cache[path] = dict(known, ctime=float("inf"))


def _key(group: Group) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(group.items()))


def _only_value(values: Any) -> Any:
    """The value of one feature of one image set; names that repeat are kept once."""
    (value,) = [] if values is None else list(values)
    if isinstance(value, bytes):
        value = value.decode()
    return sys.intern(value) if type(value) is str else value


def _reads_one_csv(pipeline: Any) -> bool:
    """Whether all that prepares the pipeline's image sets is one LoadData.

    Any other module that prepares a run might look at other groups' image sets.
    """
    readers = [m for m in pipeline.modules() if isinstance(m, loaddata.LoadData)]
    return (
        len(readers) == 1
        and not pipeline.in_batch_mode()
        and bool(_grouping_tags(readers[0]))
        and all(_is_unaware(m) for m in pipeline.modules() if m is not readers[0])
        and _names_folders(readers[0].get_header())
    )


def _is_unaware(module: Any) -> bool:
    ours = type(module).__module__.startswith("cellprofiler.modules.")
    return type(module).prepare_run is Module.prepare_run or (
        ours and module.module_name in UNAWARE
    )


def _grouping_tags(reader: Any) -> list[str]:
    """The measurements by which LoadData groups."""
    if not (reader.wants_images.value and reader.wants_image_groupings.value):
        return []
    return ["Metadata_" + name for name in reader.metadata_fields.selections]


def _names_folders(header: list[str]) -> bool:
    """Whether every image has its folder in the CSV, so that no preference counts."""
    names = {name.split("_", 1)[1] for name in header if name.startswith("FileName_")}
    return all({"PathName_" + n, "URL_" + n} & set(header) for n in names)


class Failures(logging.Handler):
    """Passes on the exceptions that CellProfiler catches and logs."""

    def __init__(self, tell: Callable[[str, object, BaseException], None]) -> None:
        super().__init__(logging.ERROR)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Pass it on, with the module that CellProfiler names first."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            named = record.args if isinstance(record.args, tuple) else ()
            self._tell(record.getMessage(), next(iter(named), None), error)


class MainRun:
    """One request: CellProfiler's `main`, with us looking on."""

    def __init__(
        self,
        request: dict[str, Any],
        channel: Channel,
        sheets: Sheets,
        accelerations: Any,
    ) -> None:
        self.request = request
        self.channel = channel
        self.sheets = sheets
        self.accelerations = accelerations
        self.exact: list[str] = []
        self.status = ""
        self.group: Group = {}
        self.key: tuple[str, str] | None = None
        self.sheet: Sheet | None = None

    def __call__(self) -> int:
        """Run it; give the exit code that the command would have."""
        os.chdir(self.request["folder"])
        os.environ.update(self.request["environ"])
        sys.argv = ["cellprofiler"] + self.request["argv"]
        try:
            with self._observed():
                code = main_module.main(sys.argv)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else bool(ended.code)
        except BaseException as error:  # what would end the command ends this run only
            traceback.print_exc()
            self._tell_error("CellProfiler ended", None, error)
            code = 1
        return (code or 0) & 0xFF

    @contextlib.contextmanager
    def _observed(self) -> Iterator[None]:
        handler = Failures(self._tell_error)
        logging.root.addHandler(handler)
        with contextlib.ExitStack() as patches:
            for owner, name, ours in (
                (main_module, "run_pipeline_headless", self._run_pipeline),
                (Pipeline, "run_module", self._run_module),
                (Pipeline, "prepare_run", self._prepare_run),
                (Pipeline, "post_run", self._post_run),
                (loaddata.LoadData, "prepare_run", self._load_data),
            ):
                patches.enter_context(_replaced(owner, name, ours))
            wanted = self.request["exact"]
            applied = self.accelerations.applied(wanted, self._tell_exact_failed)
            self.exact = patches.enter_context(applied)
            yield

    def _tell_exact_failed(self, name: str, error: str) -> None:
        self.channel.tell("exact_failed", name=name, error=error)

    def _tell_error(self, message: str, module: object, error: BaseException) -> None:
        lines = traceback.format_exception(type(error), error, error.__traceback__)
        text = f"{type(error).__name__}: {error}"
        self.channel.tell(
            "error",
            message=message,
            module=module,
            error=text.splitlines()[0],
            unloadable={n: f"{type(why).__name__}: {why}" for n, why in badmodules},
            traceback="".join(lines),
        )

    def _run_pipeline(self, original: Original, options: Any, args: Any) -> Any:
        if options.groups:
            self.group = dict(pair.split("=") for pair in options.groups.split(","))
        if options.groups and options.data_file:
            self.key = _content(options.pipeline_filename), _content(options.data_file)
            sheet = self.sheets.get(self.key)
            if sheet and sheet.numbers(self.group):
                self.sheet = sheet
                sheet.remember_columns(preferences.get_data_file())
        return original(options, args)

    def _run_module(self, original: Original, module: Any, workspace: Any) -> Any:
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        try:
            return original(module, workspace)
        finally:
            self.channel.tell(
                "module",
                image_number=int(workspace.measurements.image_set_number),
                module=module.module_name,
                module_num=module.module_num,
                cpu_s=round(time.process_time() - cpu_s, 3),
                wall_s=round(time.perf_counter() - wall_s, 3),
            )

    def _prepare_run(
        self, original: Original, pipeline: Any, workspace: Any, *args: Any
    ) -> Any:
        """Prepare the group's image sets, or all of them the first time."""
        prepared = original(pipeline, workspace, *args)
        if prepared and self.key and not self.sheet and _reads_one_csv(pipeline):
            self._keep(self.key, pipeline, workspace)
        if prepared and self.request.get("columns"):
            self._replace_columns(pipeline, workspace)
        return prepared

    def _keep(self, key: tuple[str, str], pipeline: Any, workspace: Any) -> None:
        """Keep the image sets ready for the runs to come."""
        columns = loaddata.header_cache.get(preferences.get_data_file(), {})
        _, groupings = pipeline.get_groupings(workspace)
        with contextlib.suppress(ValueError):
            sheet = Sheet(workspace.measurements, groupings, columns)
            self.sheets[key] = sheet
        while len(self.sheets) > CACHED_SHEETS:
            self.sheets.popitem(last=False)

    def _load_data(self, original: Original, module: Any, workspace: Any) -> Any:
        if not self.sheet:
            return original(module, workspace)
        measurements = workspace.measurements
        self.sheet.fill(measurements, self.sheet.numbers(self.group))
        measurements.set_grouping_tags(_grouping_tags(module))
        return True

    def _replace_columns(self, pipeline: Any, workspace: Any) -> None:
        """Put in what the request says of the group's rows."""
        _, groupings = pipeline.get_groupings(workspace)
        # Without groups, the one group's key is an empty tuple.
        numbers = [n for g, ns in groupings if dict(g) == self.group for n in ns]
        for name, values in self.request["columns"].items():
            if numbers:
                workspace.measurements.add_measurement("Image", name, values, numbers)

    def _post_run(self, original: Original, pipeline: Any, *args: Any) -> Any:
        self.status = original(pipeline, *args)
        return self.status


@contextlib.contextmanager
def _replaced(owner: Any, name: str, ours: Callable[..., Any]) -> Iterator[None]:
    """Let a function of ours stand for one of CellProfiler's, which it gets first."""
    original, attribute = getattr(owner, name), vars(owner)[name]

    def stand_in(*args: Any, **options: Any) -> Any:
        return ours(original, *args, **options)

    is_static = isinstance(attribute, staticmethod)
    setattr(owner, name, staticmethod(stand_in) if is_static else stand_in)
    try:
        yield
    finally:
        setattr(owner, name, attribute)


def _content(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def _memory(field: str) -> int:
    """Bytes that this process has resident (VmRSS) or had at most (VmHWM)."""
    with contextlib.suppress(OSError), open("/proc/self/status") as file:
        for line in file:
            if line.startswith(field):
                return int(line.split()[1]) * 1024
    return 0


def _forget_peak() -> None:
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def _cpu_s() -> float:
    spent = [resource.getrusage(who) for who in (0, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in spent)


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--log", required=True, help="what is printed between runs")
    parser.add_argument("--temp", required=True, help="folder for Java's own files")
    parser.add_argument("--plugins", help="folder with plugin modules")
    parser.add_argument("--kernels", nargs=2, help="library of kernels, its sha256")
    parser.add_argument("--active", help="file that names the acceleration at work")
    options = parser.parse_args()
    channel = Channel(options.log)
    sys.path[0] = os.path.dirname(sys.executable)  # as for the command, not our folder
    boot(options.plugins, options.temp)
    accelerations = load_accelerations(options.kernels, options.active)
    with open(options.log, "rb") as file:
        printed = file.read()
    gc.collect()
    gc.freeze()  # what CellProfiler is made of need not be searched after each run
    state = State()
    sheets: Sheets = OrderedDict()
    channel.tell("ready", pid=os.getpid(), **accelerations.describe())
    for request in channel.requests():
        with open(request["log"], "wb") as log:
            log.write(printed)  # a plugin that could not be loaded is told in there
        channel.print_to(request["log"])
        state.reset()
        _forget_peak()
        channel.tell("start")
        cpu_s, run = _cpu_s(), MainRun(request, channel, sheets, accelerations)
        code = run()
        os.chdir("/")
        channel.print_to(options.log)
        left_open = state.tidy()
        channel.tell(
            "end",
            code=code,
            status=run.status,
            cpu_s=round(_cpu_s() - cpu_s, 3),
            peak_memory=_memory("VmHWM"),
            memory=_memory("VmRSS"),
            left_open=left_open,
            exact=run.exact,
        )


if __name__ == "__main__":
    try:
        main()
    except BaseException:  # however it ends, Java's threads would keep it alive
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
