"""The command line, the variables and the log of a CellProfiler run."""

from pathlib import Path

import pytest

from cpengine.cellprofiler.command import (
    ModuleLine,
    container_environment,
    error_of,
    parse_progress,
    plugin_failure,
    run_command,
    run_environment,
)

# What CellProfiler 4.2.8.1 printed, with folders shortened.
MYSQL = """\
MySQL could not be loaded.
Traceback (most recent call last):
  File "site-packages/cellprofiler/modules/exporttodatabase.py", line 154, in <module>
    import MySQLdb
ModuleNotFoundError: No module named 'MySQLdb'
"""
TIMES = "Times reported are CPU and Wall-clock times for each module\n"
DONE = (
    "Sun Nov 22 10:10:57 2026: Image # 3, module MeasureTexture # 12: "
    "CPU_time = 1.95 secs, Wall_time = 2.00 secs\n"
)
MISSING_IMAGE = """\
Error detected during run of module LoadData
Traceback (most recent call last):
  File "cellprofiler_core/pipeline/_pipeline.py", line 1016, in run_with_yield
    self.run_module(module, workspace)
  File "bioformats/formatreader.py", line 619, in __init__
    raise IOError(
FileNotFoundError: [Errno 2] The file, "/i/missing.TIF", does not exist.: '/i/missing.TIF'
"""  # noqa: E501 (lines as CellProfiler wrote them)
NOT_AN_IMAGE = """\
Exception in thread "Thread-0" loci.formats.MissingLibraryException: JAI is required
	at loci.formats.in.TiffJAIReader.initFile(TiffJAIReader.java:111)
Caused by: loci.common.ReflectException: No such class: javax.media.jai.NullOpImage
	... 2 more
Java Advanced Imaging (JAI) is required to read some TIFF files.
Traceback (most recent call last):
  File "javabridge/jutil.py", line 859, in fn
    raise JavaException(x)
javabridge.jutil.JavaException: JAI is required to read some TIFF files.

Error detected during run of module LoadData
Traceback (most recent call last):
  File "javabridge/jutil.py", line 859, in fn
    raise JavaException(x)
javabridge.jutil.JavaException: JAI is required to read some TIFF files.

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "bioformats/formatreader.py", line 756, in init_reader
    raise e2
OSError: [Errno 22] Could not load the file as an image (see log for details): b'/i/e'
Sun Nov 22 10:24:33 2026: Image # 3, module LoadData # 1: CPU_time = 1.22 secs, Wall_time = 0.94 secs
"""  # noqa: E501 (lines as CellProfiler wrote them)
WRONG_KEYS = """\
Traceback (most recent call last):
  File "bin/cellprofiler", line 10, in <module>
    sys.exit(main())
  File "cellprofiler_core/pipeline/_pipeline.py", line 768, in group
    raise ValueError(
ValueError: The grouping keys specified on the command line (Metadata_Well) must be the same as those defined by the modules in the pipeline (Metadata_Position)
"""  # noqa: E501 (lines as CellProfiler wrote them)
NO_SUCH_GROUP = """\
Failed to complete post_run processing for module MeasureImageQuality.
Traceback (most recent call last):
  File "cellprofiler_core/pipeline/_pipeline.py", line 1535, in post_run
    module.post_run(workspace)
  File "cellprofiler_core/utilities/hdf5_dict.py", line 435, in __getitem__
    assert feature_exists, "Feature {} for {} does not exist".format(
AssertionError: Feature ImageQuality_ThresholdOtsu for Image does not exist
"""
NO_EXPORT = """\
Failed to complete post_run processing for module ExportToSpreadsheet.
Traceback (most recent call last):
  File "cellprofiler/modules/exporttospreadsheet.py", line 1125, in make_image_file
    fd = open(file_name, "w", newline="")
IsADirectoryError: [Errno 21] Is a directory: 'out/Image.csv'
"""
NO_CSV = """\
Failed to prepare run for module LoadData
Traceback (most recent call last):
  File "cellprofiler_core/modules/loaddata.py", line 628, in open_csv
    return open(self.csv_path, "rt")
FileNotFoundError: [Errno 2] No such file or directory: '/no/such.csv'
"""
NO_PIPELINE = """\
Traceback (most recent call last):
  File "cellprofiler_core/pipeline/_pipeline.py", line 287, in load
    raise IOError("Could not find file, " + fd_or_filename)
OSError: Could not find file, /no/such.cppipe
"""
NO_MODULE = """\
Failed to load pipeline
Traceback (most recent call last):
  File "cellprofiler_core/utilities/core/modules/__init__.py", line 175, in get
    raise ValueError("Could not find the %s module" % module_class)
ValueError: Could not find the MeasureNothing module
"""
USAGE = "Usage: cellprofiler [options]\n\ncellprofiler: error: no such option: --nope\n"


def command(**changes: object) -> list[str]:
    given = {
        "pipeline": Path("p.cppipe"),
        "input": Path("in"),
        "output": Path("out"),
        "done_file": Path("done"),
        "data_file": Path("load_data.csv"),
        "group": {"Metadata_Well": "A01", "Metadata_Site": "2"},
        "temp": Path("tmp"),
    }
    return run_command(["cp"], **(given | changes))  # type: ignore[arg-type]  # values of many types


def test_command_is_the_plain_headless_one() -> None:
    expected = "cp -c -r -p p.cppipe -i in -o out -d done --data-file=load_data.csv"
    group = "-g Metadata_Well=A01,Metadata_Site=2 -t tmp -L 20"
    assert command() == f"{expected} {group}".split()


def test_batch_file_needs_no_data_file() -> None:
    assert not [word for word in command(data_file=None) if "data-file" in word]


def test_no_group_gives_no_group_option() -> None:
    assert "-g" not in command(group={})


def test_plugins_are_given_as_a_folder() -> None:
    assert command(plugins=Path("plug"))[-1] == "--plugins-directory=plug"


@pytest.mark.parametrize("name", ["PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"])
def test_variables_of_our_python_do_not_reach_a_run(name: str) -> None:
    assert name not in run_environment({}, Path("t"), {name: "ours"})


def test_run_uses_one_thread_whatever_was_set() -> None:
    made = run_environment({}, Path("t"), {"OMP_NUM_THREADS": "8"})
    assert {made[f"{name}_NUM_THREADS"] for name in ("OMP", "MKL", "OPENBLAS")} == {"1"}


def test_sets_have_one_order_whatever_was_set() -> None:
    seed = {"PYTHONHASHSEED": "12345"}
    for made in (
        run_environment(seed, Path("t"), seed),
        container_environment(Path("t"), seed),
    ):
        assert made["PYTHONHASHSEED"] == "0"


def test_temporary_files_go_into_the_attempts_folder() -> None:
    assert run_environment({}, Path("t"), {"TMPDIR": "/tmp"})["TMPDIR"] == "t"


def test_run_gets_the_java_of_its_cellprofiler() -> None:
    made = run_environment({"JAVA_HOME": "/jdk"}, Path("t"), {"HOME": "/home/me"})
    assert (made["JAVA_HOME"], made["HOME"]) == ("/jdk", "/home/me")


def test_progress_line_tells_module_and_times() -> None:
    assert parse_progress(DONE) == ModuleLine(3, "MeasureTexture", 12, 1.95, 2.0)


def test_other_lines_are_no_progress() -> None:
    assert parse_progress(TIMES) is None


@pytest.mark.parametrize(
    ("log", "module", "error"),
    [
        (MISSING_IMAGE, "LoadData", "FileNotFoundError: [Errno 2] The file,"),
        (NOT_AN_IMAGE, "LoadData", "OSError: [Errno 22] Could not load the file"),
        (WRONG_KEYS, None, "ValueError: The grouping keys specified"),
        (NO_SUCH_GROUP, "MeasureImageQuality", "AssertionError: Feature ImageQuality"),
        (NO_EXPORT, "ExportToSpreadsheet", "IsADirectoryError: [Errno 21]"),
        (NO_CSV, "LoadData", "FileNotFoundError: [Errno 2] No such file"),
        (NO_PIPELINE, None, "OSError: Could not find file, /no/such.cppipe"),
        (NO_MODULE, "MeasureNothing", "ValueError: Could not find the Measure"),
        (USAGE, None, "cellprofiler: error: no such option: --nope"),
    ],
    ids=lambda value: (value or "no module").split("\n")[0][:40],
)
def test_failure_is_read_from_the_log(log: str, module: str | None, error: str) -> None:
    found, line = error_of(MYSQL + TIMES + log)
    assert found == module
    assert line is not None
    assert line.startswith(error)


def test_a_module_whose_plugin_failed_is_missing_for_that_reason() -> None:
    plugin = (
        "Could not load measurenothing\nTraceback (most recent call last):\n"
        '  File "plugins/measurenothing.py", line 1, in <module>\n    import nowhere\n'
        "ModuleNotFoundError: No module named 'nowhere'\n"
    )
    module, error = error_of(MYSQL + plugin + NO_MODULE)
    assert module == "MeasureNothing"
    assert error is not None
    assert error.endswith("module: ModuleNotFoundError: No module named 'nowhere'")
    assert plugin_failure(error) == "ModuleNotFoundError: No module named 'nowhere'"
    _, without = error_of(MYSQL + plugin.replace("measure", "other") + NO_MODULE)
    assert plugin_failure(without or "") is None


def test_first_failure_counts() -> None:
    module, error = error_of(MYSQL + MISSING_IMAGE + DONE + NO_EXPORT)
    assert (module, (error or "")[:17]) == ("LoadData", "FileNotFoundError")


def test_good_run_has_no_error() -> None:
    assert error_of(MYSQL + TIMES + DONE) == (None, None)


def test_cut_off_start_of_the_harmless_traceback_is_no_error() -> None:
    assert error_of(MYSQL[60:]) == (None, None)
