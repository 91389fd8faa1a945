"""Every bad input: one line that says what, where and what to do, and nothing made."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cpengine.cli import app
from tests import build
from tests.build import SITE, Built, change


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that is wrong, and what the line about it must say."""

    name: str
    """Says with its table's name what is wrong."""
    spoil: Callable[[Built], object]
    says: tuple[str, ...]
    """What, where and what to do; {csv} and the like stand for their paths."""
    args: tuple[str, ...] = ()
    plan_too: bool = True
    """Whether `plan` must refuse it as `run` does."""

    def __str__(self) -> str:
        return self.name


def unlink(name: str) -> Callable[[Built], None]:
    return lambda built: getattr(built, name).unlink()


def swap(name: str, old: str, new: str) -> Callable[[Built], None]:
    return lambda built: change(getattr(built, name), old, new)


def fill(name: str, content: str | bytes) -> Callable[[Built], object]:
    data = content.encode() if isinstance(content, str) else content
    return lambda built: getattr(built, name).write_bytes(data)


def add(name: str, text: str) -> Callable[[Built], object]:
    return lambda built: build.write(
        getattr(built, name), getattr(built, name).read_text() + text
    )


def nothing(_: Built) -> None:
    pass


def header_only(built: Built) -> None:
    built.csv.write_text(built.csv.read_text().splitlines()[0] + "\n")


def repeat_last_row(built: Built) -> None:
    lines = built.csv.read_text().splitlines()
    built.csv.write_text("\n".join([*lines, lines[-1], ""]))


def add_column(name: str) -> Callable[[Built], object]:
    def spoil(built: Built) -> None:
        header, *rows = built.csv.read_text().splitlines()
        lines = [f"{header},{name}", *(f"{row},0" for row in rows)]
        built.csv.write_text("\n".join(lines) + "\n")

    return spoil


def append_module(text: str) -> Callable[[Built], object]:
    def spoil(built: Built) -> None:
        swap("pipeline", "ModuleCount:4", "ModuleCount:5")(built)
        add("pipeline", f"\n{text}")(built)

    return spoil


def in_the_way(built: Built) -> None:
    """Put a file where the output's folders must go; root may write anywhere."""
    build.write(built.root / "projects/proj/workspace/analysis", "a file")


USE_BATCH_FILE = '[steps.analysis]\ngroups = "batch"\n'


def batch_file(spoil: Callable[[Path], object], **options: str) -> Callable[..., None]:
    """Use a batch file instead of pipeline and CSV, and spoil that."""

    def spoil_it(built: Built) -> None:
        spoil(build.batch_of(built, **options))
        add("toml", USE_BATCH_FILE)(built)

    return spoil_it


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3000])


def plain_csv(built: Built) -> None:
    """Leave the CSV with functions to be derived from load_data.csv."""
    keep = [0, 1, 4, 5, 6]
    rows = [line.split(",") for line in built.csv.read_text().splitlines()]
    text = "".join(",".join(row[i] for i in keep) + "\n" for row in rows)
    build.write(built.csv.with_name("load_data.csv"), text)
    built.csv.unlink()


CREATE_BATCH_FILES = build.module("CreateBatchFiles", 4, {})
MEASURE_ER = build.module("MeasureTexture", 4, {"Select images to measure": "OrigER"})

CSV = [
    Case("missing", unlink("csv"), ("{folder}/load_data.csv", "is not there", "put")),
    Case("empty", fill("csv", ""), ("{csv}:", "no image sets", "write one row")),
    Case("header_only", header_only, ("{csv}:", "no image sets", "write one row")),
    Case(
        "semicolons",
        lambda built: build.write(built.csv, built.csv.read_text().replace(",", ";")),
        ("{csv}:1:", "has no commas", "put commas between columns"),
    ),
    Case(
        "short_row",
        swap("csv", ",P1,A01,2\n", ",P1,A01\n"),
        ("{csv}:3:", "6 values for 7 columns", "give each column one value"),
    ),
    Case("unnamed_column", add_column(""), ("{csv}:1:column 8", "no name", "remove")),
    Case(
        "address_without_path",
        add_column("URL_IllumDNA"),
        ("{csv}:2:URL_IllumDNA", "{root}/0 is not there", "run the illum step"),
        plan_too=False,
    ),
    Case(
        "file_without_path",
        swap("csv", "PathName_OrigDNA", "Folder_OrigDNA"),
        ("{csv}:2:FileName_OrigDNA: {root}/A01_1.tif is not there", "put it"),
        plan_too=False,
    ),
    Case(
        "no_folder",
        lambda built: (
            swap("csv", "PathName_OrigDNA", "Folder_OrigDNA")(built),
            swap(
                "pipeline",
                "    Process just",
                "    Base image location:Default Output Folder|\n    Process just",
            )(built),
        ),
        ("{csv}:1:FileName_OrigDNA: has files without a folder", "PathName_ columns"),
    ),
    Case(
        "path_without_file",
        swap("csv", "FileName_OrigDNA", "File_OrigDNA"),
        ("{csv}:1:", "PathName_OrigDNA without FileName_OrigDNA", "add"),
    ),
    Case(
        "no_file_name",
        swap("csv", "A01_1.tif", ""),
        ("{csv}:2:FileName_OrigDNA", "is empty", "name the image"),
    ),
    Case(
        "values_read_as_one",
        swap("csv", ",P1,A01,2\n", ",P1,A01,02\n"),
        ("{csv}:5:Metadata_Site", "reads '2' and '02' as one", "write both the same"),
    ),
    Case(
        "no_well",
        swap("csv", ",P1,A01,2\n", ",P1,,2\n"),
        ("{csv}:3:Metadata_Well", "is empty", "fill it in"),
    ),
    Case(
        "no_group_column",
        swap("csv", "Metadata_Well", "Metadata_Position"),
        ("{csv}:1:", "no column Metadata_Well", "add it"),
    ),
    Case(
        "group_in_two_tables",
        lambda built: build.write(
            built.csv.parents[1] / "P2" / built.csv.name, built.csv.read_text()
        ),
        ("lists Metadata_Plate=P1,Metadata_Well=A01,", "rows of a group in one table"),
    ),
    Case(
        "byte_order_mark",
        swap("csv", "FileName_OrigDNA", "\ufeffFileName_OrigDNA"),
        ("{csv}:1:column 1: LoadData does not know", "without a byte order mark"),
    ),
    Case(
        "not_utf8",
        fill("csv", "Metadata_Plate\nP\xe9\n".encode("latin-1")),
        ("{csv}:", "not UTF-8 text (byte 16)", "save it as UTF-8"),
    ),
    Case(
        "open_quote",
        swap("csv", "A01_1.tif", '"A01_1.tif' + "x" * 140_000),
        ("{csv}:2:", "is no CSV", "close the quote"),
    ),
    Case(
        "well_too_long",
        swap("csv", ",P1,A01,2\n", f",P1,{'A' * 200},2\n"),
        ("group P1-AAA", "a name longer than 150 bytes", "shorten its metadata"),
    ),
    *(
        Case(
            f"well_{name}",
            swap("csv", ",P1,A01,2\n", f',P1,"{well}",2\n'),
            (
                "{csv}:3:Metadata_Well",
                repr(well),
                "use no comma, equals sign, slash or control character",
            ),
        )
        for name, well in {
            "comma": "A,1",
            "equals_sign": "A=1",
            "slash": "A/1",
            "backslash": "A\\1",
            "parent_folder": "..",
            "way_up": "../A01",
            "hidden": ".A01",
        }.items()
    ),
]

IMAGES = [
    Case(
        "missing_image",
        lambda built: (built.images / "A01_2.tif").unlink(),
        ("{csv}:3:FileName_OrigDNA", "{images}/A01_2.tif is not there", "put it"),
        plan_too=False,
    ),
    Case(
        "missing_images",
        lambda built: shutil.rmtree(built.images),
        ("{csv}:2:FileName_OrigDNA", "is not there (and 3 files more)", "put it"),
        plan_too=False,
    ),
    Case(
        "empty_image",
        lambda built: (built.images / "A01_2.tif").write_bytes(b""),
        ("{csv}:3:FileName_OrigDNA", "{images}/A01_2.tif is empty", "copy it again"),
        plan_too=False,
    ),
    Case(
        "no_illumination_functions",
        lambda built: shutil.rmtree(built.illum),
        ("{csv}:2:FileName_IllumDNA", "{illum}/P1_IllumDNA.npy is", "run the illum"),
        plan_too=False,
    ),
    Case(
        "no_illumination_functions_for_derived_csv",
        lambda built: (plain_csv(built), shutil.rmtree(built.illum)),
        (":2:FileName_IllumDNA: {illum}/P1_IllumDNA.npy is not", "run the illum"),
        plan_too=False,
    ),
]

PIPELINE = [
    Case("missing", unlink("pipeline"), ("{pipeline}:", "is not there", "put")),
    Case("empty", fill("pipeline", ""), ("{pipeline}:", "is empty", "put it there")),
    Case("other_text", fill("pipeline", "a\n"), ("{pipeline}:1:", "is not", "export")),
    Case(
        "binary",
        fill("pipeline", b"\x89HDF\r\n\x1a\n\xff"),
        ("{pipeline}:", "is HDF5", "use File > Export > Pipeline"),
    ),
    Case(
        "json",
        fill("pipeline", '{"modules": []}'),
        (
            "{pipeline}:",
            "is JSON, and CellProfiler",
            "only by the name .json",
            "rename",
        ),
    ),
    Case(
        "format_6",
        swap("pipeline", "Version:5", "Version:6"),
        ("{pipeline}:", "pipeline format 6", "export it from CellProfiler 4"),
    ),
    Case(
        "format_no_number",
        swap("pipeline", "Version:5", "Version:five"),
        ("{pipeline}:", "pipeline format five", "export it from CellProfiler 4"),
    ),
    Case(
        "no_load_data",
        swap("pipeline", "LoadData:", "Images:"),
        ("{pipeline}:", "finds its images by module 1 Images", 'groups = "batch"'),
    ),
    Case(
        "load_data_disabled",
        swap("pipeline", "enabled:True", "enabled:False"),
        ("{pipeline}:", "no enabled LoadData module", "add it as module 1"),
    ),
    Case(
        "other_grouping",
        swap("pipeline", SITE, "Plate,Well"),
        (
            "{pipeline}: module 1 LoadData groups by Plate, Well, the step by Plate,",
            "change the pipeline's metadata tags for grouping",
        ),
    ),
    Case(
        "no_grouping",
        lambda built: (
            swap("pipeline", "by metadata?:Yes", "by metadata?:No")(built),
            add("toml", '[steps.analysis]\ngroup = ["Metadata_Well"]\n')(built),
            add("toml", 'output_structure = ""\n')(built),
        ),
        ("{pipeline}: module 1 LoadData groups by nothing", "choose metadata tags"),
    ),
    Case(
        "range_of_rows",
        swap(
            "pipeline",
            "range of rows?:No",
            "range of rows?:Yes\n    Rows to process:2,3",
        ),
        ("{pipeline}: module 1 LoadData", "just a range of rows", "to No"),
    ),
    Case(
        "create_batch_files",
        append_module(CREATE_BATCH_FILES),
        ("{pipeline}: module 5 CreateBatchFiles", "is enabled", "disable it"),
    ),
    Case(
        "unknown_channel",
        append_module(MEASURE_ER),
        (
            "{csv}: has no columns for OrigER, which module 5 MeasureTexture of "
            "{pipeline} wants (Select images to measure)",
            "add FileName_OrigER and PathName_OrigER",
        ),
    ),
]

BATCH_FILE = [
    Case(
        "missing",
        add("toml", USE_BATCH_FILE),
        ("{batch_file}:", "is not there", "put the batch file there"),
    ),
    Case(
        "truncated",
        batch_file(truncate),
        ("{batch_file}:", "is damaged", "write it again with CreateBatchFiles"),
    ),
    Case(
        "no_hdf5",
        batch_file(lambda path: path.write_text("text")),
        ("{batch_file}:", "is no HDF5 file", "write one with CreateBatchFiles"),
    ),
    Case(
        "other_grouping",
        lambda built: (
            batch_file(lambda path: None, tags="Plate,Well")(built),
            add("toml", 'group = ["Metadata_Plate"]\noutput_structure = ""\n')(built),
        ),
        (
            "{batch_file}: groups by Metadata_Plate, Metadata_Well, the step by Metada",
            "remove the step's `group`",
        ),
    ),
]

PROJECT_FILE = [
    Case("missing", unlink("toml"), ("{toml}:", "is not there", "`cpengine init`")),
    Case(
        "broken_toml",
        add("toml", "[steps\n"),
        ("{toml}:", "cannot be read", "at line 8, column 7"),
    ),
    Case(
        "unknown_key",
        swap("toml", "batch =", "plats = []\nbatch ="),
        ("{toml}: project.plats: unknown key", "did you mean plates?"),
    ),
    Case(
        "wrong_value",
        swap("toml", '"default"', '"flat"'),
        ('{toml}: storage.layout: "flat" is not allowed', "'default' or 'cpg'"),
    ),
    Case(
        "misspelt_step",
        add("toml", "[steps.analisis]\n"),
        ("{toml}: steps.analisis: is not a built-in step (did you mean analysis?)",),
    ),
    Case(
        "no_well_left",
        add(
            "toml",
            '[plate]\nwells = ["A01"]\nexcluded_wells = ["A01"]\n'
            '[steps.analysis]\ngroups = "layout"\n',
        ),
        ("plate.excluded_wells: leaves no well", "exclude fewer"),
    ),
    Case(
        "other_wells",
        add("toml", '[plate]\nwells = ["A1"]\n[steps.analysis]\ngroups = "layout"\n'),
        (
            "{csv}: has none of the plate layout's groups, such as Metadata_Plate=P1,",
            "change [plate] or use groups = 'csv'",
        ),
    ),
]

ARGUMENTS = [
    Case(
        "unknown_step",
        nothing,
        ("anlysis: is not a step", "choose from zproj, qc,"),
        args=("anlysis",),
    ),
    Case(
        "unknown_second_step",
        nothing,
        ("anlysis: is not a step", "choose from zproj, qc,"),
        args=("analysis", "anlysis"),
        plan_too=False,
    ),
    Case(
        "bad_second_step",
        nothing,
        ("/pipelines/B1/illum.cppipe: is not there", "put it there"),
        args=("analysis", "illum"),
        plan_too=False,
    ),
    Case(
        "unknown_plate",
        nothing,
        ("--plate P9: is not in the plan", "it has P1"),
        args=("--plate", "P9"),
    ),
    Case(
        "unknown_well",
        nothing,
        ("--well H12: is not in the plan", "it has A01, A02"),
        args=("--well", "A01,H12"),
    ),
    Case(
        "padded_site",
        nothing,
        ("--site 01: is not in the plan", "did you mean 1?"),
        args=("--site", "01"),
    ),
    Case(
        "site_of_another_well",
        swap("csv", ",P1,A01,2\n", ",P1,A01,3\n"),
        ("--well A02 --site 3: no group has them all", "drop one"),
        args=("--well", "A02", "--site", "3"),
    ),
    Case(
        "unknown_executor_where_a_csv_would_be_derived",
        plain_csv,
        ("--on moon: is not an executor", "choose from local, inline"),
        args=("--on", "moon"),
        plan_too=False,
    ),
    Case(
        "empty_plate",
        nothing,
        ("--plate, --well or --site is empty", "name one"),
        args=("--plate", ""),
    ),
    Case(
        "dcp_done_of_shared_folders",
        add(
            "toml",
            '[steps.analysis]\noutput_structure = "Metadata_Plate"\n'
            "[steps.analysis.dcp_done]\nexpected_number_files = 5\n",
        ),
        ("steps.analysis.dcp_done: jobs of this step share folders", "remove it"),
    ),
    Case(
        "root_that_nothing_opens",
        swap("toml", "layout =", 'root = "nosuch://bucket"\nlayout ='),
        ("nosuch:// is no protocol that fsspec knows", "use a folder, s3://"),
    ),
    Case(
        "root_that_is_not_there",
        swap("toml", "layout =", 'root = "gone"\nlayout ='),
        ("/gone is no folder", "make it"),
    ),
    Case(
        "unknown_executor",
        nothing,
        ("--on moon: is not an executor", "choose from local, inline"),
        args=("--on", "moon"),
        plan_too=False,
    ),
    Case(
        "unwritable_output",
        in_the_way,
        (
            "{root}/projects/proj/workspace/analysis/B1: cannot be written (Not a dir",
            "change the step's output",
        ),
        plan_too=False,
    ),
]

CASES = [
    pytest.param(command, case, id=f"{command}-{about}-{case}")
    for about, cases in {
        "csv": CSV,
        "images": IMAGES,
        "pipeline": PIPELINE,
        "batch_file": BATCH_FILE,
        "project_file": PROJECT_FILE,
        "arguments": ARGUMENTS,
    }.items()
    for case in cases
    for command in (("run", "plan") if case.plan_too else ("run",))
]


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set a CellProfiler that says its version; this file tells if it was run."""
    witness, program = tmp_path / "started", tmp_path / "cellprofiler"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo 4.2.8.1 || touch {witness}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("CPENGINE_CELLPROFILER", str(program))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    return witness


def tree(folder: Path) -> dict[Path, bytes]:
    return {
        path: path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")
    }


def call(command: str, built: Built, *args: str) -> Result:
    step = () if args and not args[0].startswith("-") else ("analysis",)
    return CliRunner().invoke(app, [command, "-C", str(built.root), *step, *args])


def test_unspoilt_project_gets_as_far_as_cellprofiler(
    tmp_path: Path, started: Path
) -> None:
    result = call("run", build.project(tmp_path / "p"), "--well", "A01", "--site", "1")
    assert (result.exit_code, started.exists()) == (1, True)


@pytest.mark.parametrize(("command", "case"), CASES)
def test_bad_input_is_one_line_and_nothing_is_made(
    command: str, case: Case, tmp_path: Path, started: Path
) -> None:
    built = build.project(tmp_path / "p")
    case.spoil(built)
    places = {name: getattr(built, name) for name in Built.__slots__}
    places["batch_file"] = built.batch_files / "Batch_data_analysis.h5"
    places["folder"] = built.csv.parent
    before = tree(built.root)
    result = call(command, built, *case.args)
    lines = result.stderr.splitlines()
    assert (result.exit_code, result.stdout, len(lines)) == (2, "", 1), result.output
    assert lines[0].startswith("error: ")
    for text in case.says:
        assert text.format(**places) in lines[0]
    assert tree(built.root) == before
    assert not started.exists()
