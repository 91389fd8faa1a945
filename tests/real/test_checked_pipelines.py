"""What the check says of a pipeline is what plain CellProfiler makes of it."""

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cpengine.cellprofiler.command import run_command, run_environment
from cpengine.cellprofiler.find import CellProfiler
from cpengine.demo.make import Size, make
from cpengine.plates import Part
from cpengine.project import Project
from cpengine.rules import Severity
from cpengine.run.session import Checked, Steps
from tests.plain_runs import local_csv
from tests.run.breaks import PIPELINES, WORKSPACE

pytestmark = pytest.mark.cellprofiler

PLAIN = """
import json, os, sys, traceback
import cellprofiler.__main__ as program
from cellprofiler_core import preferences
preferences.set_headless()
preferences.set_awt_headless(True)
program.start_java()
program.start_java = program.stop_cellprofiler = lambda: None
from cellprofiler_core.modules import loaddata
for line in sys.stdin:
    loaddata.header_cache.clear()
    try:
        program.main(["cellprofiler", *json.loads(line)])
    except BaseException:
        traceback.print_exc()
os._exit(0)
"""
"""Runs plain commands, one after another: each would start for six seconds."""
GROUP = {"Metadata_Plate": "DemoPlate1", "Metadata_Well": "A01"}
IMAGES = ["x_A01_s1.png", "x_A01_s2.png"]
TABLES = ["Experiment.csv", "Image.csv"]


@dataclass(frozen=True, slots=True)
class Case:
    """One change of a sound pipeline."""

    rule: str
    """What is found, if anything is."""
    changes: Mapping[str, str] = field(default_factory=dict)
    """Texts of the pipeline, and what stands for the first of each."""
    files: list[str] = field(default_factory=lambda: sorted(IMAGES + TABLES))
    """What plain CellProfiler writes; nothing if it fails."""
    blocks: Mapping[int, str] = field(default_factory=dict)
    """Modules that come before those of these places, from 0."""


NAME = r"Enter single file name:x_\g<Well>_s\g<Site>"
SUFFIX = {
    "Append a suffix to the image file name?:No": "Append a suffix to the image file "
    "name?:Yes",
    "Text to append to the image name:": r"Text to append to the image name:_\g<Site>",
}
FROM_IMAGE = {
    "file names:Single name": "file names:From image filename",
    "for file prefix:None": "for file prefix:OrigDNA",
}
OWN_NAME = "    Use the object name for the file name?:"
BARE = "{}:[module_num:9|variable_revision_number:{}|notes:[]|enabled:True]\n"
GROUPS = (
    BARE.format("Groups", 2) + "    Do you want to group your images?:{}\n"
    "    grouping metadata count:1\n    Metadata category:None\n"
)
FLAG = (
    BARE.format("FlagImage", 5) + "    Hidden:1\n    Hidden:1\n"
    "    Name the flag's category:Metadata\n    Name the flag:QCFlag\n"
    "    How should measurements be linked?:Flag if any fail\n"
    "    Skip image set if flagged?:Yes\n"
    "    Flag is based on:Whole-image measurement\n"
    "    Select the object to be used for flagging:None\n"
    "    Which measurement?:Metadata_Site\n    Flag images based on low values?:Yes\n"
    "    Minimum value:1.5\n    Flag images based on high values?:No\n"
    "    Maximum value:1\n    Rules file location:Default Input Folder|\n"
    "    Rules file name:rules.txt\n    Class number:\n"
    "    Allow fuzzy feature matching?:No\n    Ignore flag skips on last cycle?:No\n"
)
NUMBERS = {
    "file names:Single name": "file names:Sequential numbers",
    NAME: "Enter file prefix:x",
}
NUMBERED = sorted(["x0001.png", "x0002.png", *TABLES])
NONE: list[str] = []

CASES = {
    "sound": Case(""),
    "saved by a newer CellProfiler": Case(
        "pipeline-newer", {"DateRevision:428": "DateRevision:500"}
    ),
    "all rows of a range": Case("", {"range of rows?:No": "range of rows?:Yes"}),
    "another csv": Case(
        "",
        {
            "Input data file location:Default Input Folder|": "Input data file "
            "location:Elsewhere...|/nowhere"
        },
    ),
    "another order of the tags": Case(
        "", {"grouping:Plate,Well": "grouping:Well,Plate"}
    ),
    "other tags": Case(
        "grouping-differs", {"grouping:Plate,Well": "grouping:Plate"}, NONE
    ),
    "no images": Case(
        "loaddata-loads-no-images",
        {"based on this data?:Yes": "based on this data?:No"},
        NONE,
    ),
    "Images first": Case("", blocks={0: BARE.format("Images", 2)}),
    "Groups that do not group": Case("", blocks={1: GROUPS.format("No")}),
    "Groups that group": Case(
        "loaddata-not-alone", {}, NONE, {1: GROUPS.format("Yes")}
    ),
    "a module before LoadData": Case(
        "",
        blocks={0: BARE.format("MedialAxis", 1) + "    Input:OrigDNA\n    Name it:M\n"},
    ),
    "a module that nobody has": Case(
        "module-unknown", {}, NONE, {2: BARE.format("Nobody", 1)}
    ),
    "one that is disabled": Case(
        "module-unknown",
        {},
        NONE,
        {2: BARE.format("Nobody", 1).replace("enabled:True", "enabled:False")},
    ),
    "a leftover name": Case(
        "",
        {
            "images?:Select...": "images?:All loaded images",
            "to measure:OrigDNA": "to measure:Gone",
        },
    ),
    "a channel that is not there": Case(
        "channel-missing", {"to measure:OrigDNA": "to measure:Gone"}, NONE
    ),
    "one that is only saved": Case(
        "channel-missing", {"to save:OrigDNA": "to save:Gone"}, NONE
    ),
    "a number that is none": Case(
        "module-doubtful",
        {"Number of digits:4": "Number of digits:some"} | NUMBERS,
        NUMBERED,
    ),
    "a distance that is none": Case(
        "module-doubtful", {"blur measurements:20": "blur measurements:some"}
    ),
    "a method that is not there": Case(
        "module-doubtful", {"When to save:Every cycle": "When to save:At times"}
    ),
    "one that is hidden": Case("", {"Image bit depth:8-bit": "Image bit depth:64-bit"}),
    "a method that is needed": Case(
        "module-invalid",
        {
            "Calculate thresholds?:No": "Calculate thresholds?:Yes",
            "thresholding method:Otsu": "thresholding method:Guess",
        },
        NONE,
    ),
    "a column that is not there": Case(
        "module-doubtful",
        {
            "measurements to export:No": "measurements to export:Yes",
            "select measurements:": "select measurements:Image|Metadata_AbsPositionZ",
        },
    ),
    "objects that are not there": Case(
        "module-invalid", {"Data to export:Experiment": "Data to export:Nuclei"}, NONE
    ),
    "a tag that is not there": Case(
        "module-invalid", {r"s\g<Site>": r"s\g<Row>"}, NONE
    ),
    "one name": Case("saves-over-itself", {NAME: "Enter single file name:x"}, NONE),
    "one name that may be overwritten": Case(
        "may-save-over-itself",
        {
            NAME: "Enter single file name:x",
            "without warning?:No": "without warning?:Yes",
        },
        sorted(["x.png", *TABLES]),
    ),
    "one name for those that are not flagged": Case(
        "may-save-over-itself",
        {NAME: "Enter single file name:x"},
        sorted(["x.png", *TABLES]),
        {2: FLAG},
    ),
    "one name for a stack": Case(
        "",
        {
            NAME: "Enter single file name:x",
            "image to save:Image": "image to save:Movie/Stack",
        },
        sorted(["x.tiff", *TABLES]),
    ),
    "names of images": Case(
        "",
        FROM_IMAGE | SUFFIX | {"file format:png": "file format:npy"},
        sorted(["A01_s1_DNA_1.npy", "A01_s2_DNA_2.npy", *TABLES]),
    ),
    "a suffix that does not count": Case("", SUFFIX),
    "numbers": Case("", NUMBERS, NUMBERED),
    "a folder below": Case(
        "",
        {
            "Output file location:Default Output Folder|": "Output file location:"
            r"Default Output Folder sub-folder|a/\g<Plate>"
        },
        sorted([*(f"a/DemoPlate1/{name}" for name in IMAGES), *TABLES]),
    ),
    "all tables with tabs": Case(
        "",
        {
            "all measurement types?:No": "all measurement types?:Yes",
            'delimiter:Comma (",")': "delimiter:Tab",
            "prefix to file names?:No": "prefix to file names?:Yes",
        },
        sorted([*IMAGES, "MyExpt_Experiment.txt", "MyExpt_Image.txt"]),
    ),
    "a table of another name": Case(
        "",
        {
            f"File name:DATA.csv\n{OWN_NAME}Yes": "File name:"
            rf"of_\g<Well>.csv{chr(10)}{OWN_NAME}No"
        },
        sorted([*IMAGES, "Experiment.csv", "of_A01.csv"]),
    ),
}


def _text(case: Case, root: Path) -> str:
    """The sound pipeline (images' quality, one PNG a site), changed."""
    parts = {
        name: (root / PIPELINES / f"{name}.cppipe").read_text().rstrip().split("\n\n")
        for name in ("qc", "assaydev")
    }
    head, *blocks = parts["qc"]
    saving = next(b for b in parts["assaydev"] if b.startswith("SaveImages:"))
    saving = saving.replace("to save:Overlay", "to save:OrigDNA")
    saving = re.sub(
        r"(?<=single file name:).*", lambda _: NAME.partition(":")[2], saving
    )
    blocks.insert(2, saving)
    for place, block in sorted(case.blocks.items(), reverse=True):
        blocks.insert(place, block.rstrip())
    head = re.sub(r"ModuleCount:\d+", f"ModuleCount:{len(blocks)}", head)
    text = "\n\n".join([head, *blocks]) + "\n"
    text = re.sub(r"(?<=to measure:OrigDNA).*", "", text)
    for old, new in case.changes.items():
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plate of one well and two sites, with a step of its own for each case."""
    root = tmp_path_factory.mktemp("checked")
    make(root, Size(1, 1, 2, 128, 1), lambda done, total: None)
    lines = []
    for number, case in enumerate(CASES.values()):
        (root / PIPELINES / f"case{number}.cppipe").write_text(_text(case, root))
        lines += [
            f"[steps.case{number}]",
            f'pipeline = "case{number}.cppipe"',
            'group = ["Metadata_Plate", "Metadata_Well"]',
            f'output = "{WORKSPACE}/case{number}"',
        ]
    with (root / "cpengine.toml").open("a") as file:
        file.write("\n" + "\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def checked(root: Path, cellprofiler: CellProfiler) -> dict[str, Checked]:
    """What the check says, by case."""
    names = [f"case{number}" for number in range(len(CASES))]
    project = Project.load(root)
    steps = Steps(project, names, Part(), cellprofiler.version, program=cellprofiler)
    return dict(zip(CASES, steps.checked(), strict=True))


@pytest.fixture(scope="module")
def written(
    root: Path, cellprofiler: CellProfiler, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[str, list[str]]]:
    """What plain CellProfiler says at the end, and the files it leaves, by case."""
    folder = tmp_path_factory.mktemp("plain")
    project = Project.load(root)
    (job,) = project.plan("qc").jobs
    data_file = local_csv(project, job, folder)
    commands = []
    for number in range(len(CASES)):
        own = folder / str(number)
        for name in ("input", "output", "temp"):
            (own / name).mkdir(parents=True)
        _, *arguments = run_command(
            cellprofiler.command,
            pipeline=root / PIPELINES / f"case{number}.cppipe",
            input=own / "input",
            output=own / "output",
            done_file=own / "done",
            data_file=data_file,
            group=GROUP,
            temp=own / "temp",
        )
        commands.append(json.dumps(arguments))
    subprocess.run(
        [str(cellprofiler.python), "-c", PLAIN],
        input="\n".join(commands) + "\n",
        env=run_environment(cellprofiler.env, folder),
        capture_output=True,
        text=True,
        check=True,
    )
    return {case: _outcome(folder / str(n)) for n, case in enumerate(CASES)}


def _outcome(folder: Path) -> tuple[str, list[str]]:
    done, output = folder / "done", folder / "output"
    files = [p for p in output.rglob("*") if p.is_file()]
    return (
        done.read_text().strip() if done.exists() else "",
        sorted(path.relative_to(output).as_posix() for path in files),
    )


@pytest.mark.parametrize("name", CASES)
def test_check_and_plain_cellprofiler_agree(
    name: str,
    checked: dict[str, Checked],
    written: dict[str, tuple[str, list[str]]],
) -> None:
    case, seen = CASES[name], checked[name]
    status, files = written[name]
    plain_runs = status == "Complete" and files != []
    assert plain_runs is bool(case.files)
    errors = [f for f in seen.findings if f.severity is Severity.ERROR]
    assert (not errors) is plain_runs, list(map(str, seen.findings))
    assert {f.rule.name for f in seen.findings} == ({case.rule} if case.rule else set())


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.files])
def test_files_are_named_as_the_check_says(
    name: str,
    checked: dict[str, Checked],
    written: dict[str, tuple[str, list[str]]],
) -> None:
    _, files = written[name]
    assert files == CASES[name].files
    patterns = [_pattern(text) for text in checked[name].writes]
    for file in files:
        assert any(pattern.fullmatch(file) for pattern in patterns), file
    for pattern in patterns:
        assert any(map(pattern.fullmatch, files)), pattern


def _pattern(text: str) -> re.Pattern[str]:
    """What a name that is written with `*` and metadata may be."""
    parts = re.split(r"(\*|\\g<\w+>)", text)
    wild = (".+" if number % 2 else re.escape(p) for number, p in enumerate(parts))
    return re.compile("".join(wild))
