"""The arguments of run_batch_general.py, new and old, become keys of the project."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpengine.config import PlateSection, ProjectFile
from cpengine.config.steps import STEPS
from cpengine.dcp import batch_script, old_batch_script
from cpengine.errors import CpengineError
from cpengine.planning.layout_groups import layout_groups
from cpengine.plates import SITE_KEYS
from tests.dcp.files import OLD_SCRIPT, values

PROJECT = {"project.name": "ID", "project.batch": "B1"}


def read(line: str) -> dict[str, Any]:
    return values(batch_script.read(line))


def more(arguments: str, step: str = "analysis") -> dict[str, Any]:
    """Give what these arguments add to the four that are always there."""
    plain, other = read(f"{step} ID B1 P1"), read(f"{step} ID B1 P1 {arguments}")
    return {key: value for key, value in other.items() if plain.get(key) != value}


def test_the_four_arguments_are_enough() -> None:
    assert read("analysis ID B1 P1,P2") == PROJECT | {
        "project.plates": ["P1", "P2"],
        "steps.analysis.groups": "layout",
    }


@pytest.mark.parametrize("before", ["run_batch_general.py", "python3 ./x/run_b.py"])
def test_the_line_may_be_the_whole_command(before: str) -> None:
    assert read(f"{before} qc ID B1 P1") == read("qc ID B1 P1")


@pytest.mark.parametrize("step", STEPS)
def test_every_step_is_known(step: str) -> None:
    found = batch_script.read(f"{step} ID B1 P1")
    assert found.step == step
    assert f"steps.{step}.groups" in found.settings


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            "--path-style cpg --source source_4",
            {"storage.layout": "cpg", "storage.source": "source_4"},
        ),
        ("--path-style default", {}),
        ("--plate-format 96", {"plate.format": 96}),
        ("--plate-format 384 --rows A", {"plate.format": 384}),
        ("--rows A,B", {"plate.rows": ["A", "B"]}),
        ("--columns 1,02", {"plate.columns": [1, 2]}),
        ("--rows " + ",".join("ABCDEFGHIJKLMNOP"), {}),
        ("--wells B3,C7 --rows A", {"plate.wells": ["B3", "C7"]}),
        ("--sites 1,2,3,4", {"plate.sites": 4}),
        ("--sites 1,2,3,4,5,6,7,8,9", {}),
        ("--sites 2,4", {"plate.sites": [2, 4]}),
        ("--sites 4", {"plate.sites": [4]}),
        ("--no-well-digit-pad", {"plate.pad_wells": False}),
        ("--use-batch", {"steps.analysis.groups": "batch"}),
        ("--pipeline x.cppipe", {"steps.analysis.pipeline": "x.cppipe"}),
        ("--pipeline-path a/b/", {"steps.analysis.pipeline_path": "a/b"}),
        ("--input-path a", {"steps.analysis.input": "a"}),
        (
            "--output-structure Metadata_Well",
            {"steps.analysis.output_structure": "Metadata_Well"},
        ),
        ("--output-path=a", {"steps.analysis.output": "a"}),
        ("--datafile-name a.csv", {"steps.analysis.data_file": "a.csv"}),
        ("--datafile-path a", {"steps.analysis.data_path": "a"}),
        ("--batchfile-name a.h5", {"steps.analysis.batch_file": "a.h5"}),
        ("--batchfile-path a", {"steps.analysis.batch_path": "a"}),
        ("--pipeline ''", {}),
    ],
)
def test_each_argument(arguments: str, expected: dict[str, Any]) -> None:
    assert more(arguments) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("illum ID B1 P1 --output-structure a", "--output-structure: left out, as DCP"),
        ("illum ID B1 P1 --source a", "--source: left out, as it is for --path-style"),
        ("qc ID B1 P1 --sites 4", "set plate.sites = 4"),
    ],
)
def test_what_dcp_takes_otherwise_than_it_seems_is_noted(
    line: str, expected: str
) -> None:
    (note,) = batch_script.read(line).notes
    assert expected in note


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "",
            "the following arguments are required: step, identifier, batch, platelist",
        ),
        ("analysis ID B1", "the following arguments are required: platelist"),
        ("analyse ID B1 P1", "argument step: invalid choice: 'analyse'"),
        ("analysis ID B1 P1, P2", "unrecognized arguments: P2"),
        ("analysis ID B1 P1 --exclude A01", "unrecognized arguments: --exclude A01"),
        ("analysis ID B1 P1 --help", "unrecognized arguments: --help"),
        ("analysis ID B1 P1 --sites", "argument --sites: expected one argument"),
        ("analysis ID B1 P1 --plate-format 24", "argument --plate-format: invalid"),
        ("analysis ID B1 P1 --path-style x", "argument --path-style: invalid choice"),
        ("analysis ID B1 P1 --path-style cpg", "--path-style cpg needs --source"),
        ("analysis ID B1 P1 --sites 01", "--sites 01: '01' is not a number without"),
        ("analysis ID B1 P1 --sites 1-9", "--sites 1-9: '1-9' is not a number"),
        ("analysis ID B1 P1 --columns A", "--columns A: 'A' is not a number"),
        ("analysis ID B1 P1 --output-path /a", "'/a' is not a key of the bucket"),
        (
            "analysis ID B1 P1 --input-path s3://a",
            "'s3://a' is not a key of the bucket",
        ),
        ("analysis 'ID B1 P1", "is cut off (No closing quotation)"),
        ("gone.py", "gone.py: is not there: name another file"),
    ],
)
def test_a_wrong_argument_is_reported_in_a_line(line: str, expected: str) -> None:
    with pytest.raises(CpengineError) as caught:
        batch_script.read(line)
    (message,) = str(caught.value).splitlines()
    assert expected in message
    assert message.startswith(("--batch-script: ", "gone.py: "))


ROWS = st.lists(
    st.sampled_from("ABCDEFGHIJKLMNOP"), min_size=1, max_size=4, unique=True
)
COLUMNS = st.lists(st.integers(1, 24), min_size=1, max_size=4, unique=True)
SITES = st.lists(st.integers(0, 30), min_size=1, max_size=4, unique=True)


@given(ROWS, COLUMNS, SITES, st.booleans())
def test_the_layout_is_that_of_the_script(
    rows: list[str], columns: list[int], sites: list[int], pad: bool
) -> None:
    lists = {"--rows": rows, "--columns": columns, "--sites": sites}
    words = [f"{option} {','.join(map(str, v))}" for option, v in lists.items()]
    line = f"analysis ID B1 P1 {' '.join(words)}{'' if pad else ' --no-well-digit-pad'}"
    found = {
        k.removeprefix("plate."): v for k, v in read(line).items() if "plate." in k
    }
    layout = PlateSection.model_validate(found)
    groups = [dict(group) for group in layout_groups("P1", layout, SITE_KEYS)]
    assert [(g["Metadata_Well"], g["Metadata_Site"]) for g in groups] == [
        (f"{row}{column:02d}" if pad else f"{row}{column}", str(site))
        for row in rows
        for column in columns
        for site in sites
    ]


# The script from before DCP 2.2.0


def old(*changes: tuple[str, str]) -> dict[str, Any]:
    return values(old_batch_script.parse(changed(*changes), "old.py"))


def changed(*changes: tuple[str, str]) -> str:
    source = OLD_SCRIPT
    for before, after in changes:
        assert before in source
        source = source.replace(before, after)
    return source


OLD = {
    "project.name": "2015_Screen",
    "project.batch": "B1",
    "project.app_name": "screen",
    "project.plates": ["P1", "P2"],
    "steps.analysis.groups": "layout",
}


def test_an_old_script_is_read_but_not_run(tmp_path: Path) -> None:
    path = tmp_path / "run_batch_general.py"
    path.write_text(OLD_SCRIPT)
    found = batch_script.read(f"{path}")
    assert values(found) == OLD
    assert found.step == "analysis"
    assert found.settings["project.name"].where == f"{path}:9: topdirname"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("[0:16]", "[0:8]", {"plate.rows": list("ABCDEFGH")}),
        ("list(string.ascii_uppercase)[0:16]", "'AB'", {"plate.rows": ["A", "B"]}),
        ("range(1,25)", "range(1,4)", {"plate.columns": [1, 2, 3]}),
        ("range(1,10)", "list(range(1,5))", {"plate.sites": 4}),
        ("range(1,10)", "[2, 3]", {"plate.sites": [2, 3]}),
        ("well_digit_pad = True", "well_digit_pad = False", {"plate.pad_wells": False}),
        ("well_digit_pad = True", "well_bool = False", {"plate.pad_wells": False}),
        ("appname='screen'", "projectname='s'", {"project.app_name": "s"}),
        ("'analysis.cppipe'", "'a2.cppipe'", {"steps.analysis.pipeline": "a2.cppipe"}),
        (
            "csvname = 'load_data.csv'",
            "csv_with_illumname = 'x.csv'",
            {"steps.analysis.data_file": "x.csv"},
        ),
        (
            "'workspace/analysis'",
            "'out/'",
            {"steps.analysis.output": "projects/2015_Screen/out/B1"},
        ),
        (
            "'workspace/pipelines'",
            "'p'",
            {"steps.analysis.pipeline_path": "projects/2015_Screen/p/B1"},
        ),
        ("s(batch=False)\n", "s(batch=True)\n", {"steps.analysis.groups": "batch"}),
        ("s(batch=False)\n", "s(True)\n", {"steps.analysis.groups": "batch"}),
    ],
)
def test_variables_that_were_edited(
    before: str, after: str, expected: dict[str, Any]
) -> None:
    assert old((before, after)) == OLD | expected


def test_no_plates_are_all_plates() -> None:
    assert "project.plates" not in old(("['P1', 'P2']", "[]"))


@pytest.mark.parametrize("call", ["MakeQCJobs_persite", "MakeIllumJobs"])
def test_steps_are_those_whose_calls_are_not_commented_out(call: str) -> None:
    found = old(("MakeAnalysisJobs(batch=False)\n", f"{call}()\n"))
    step = "qc_persite" if "QC" in call else "illum"
    assert [key for key in found if key.startswith("steps.")] == [
        f"steps.{step}.groups"
    ]


def test_without_calls_it_is_for_all_steps() -> None:
    found = old(("\nMakeAnalysisJobs(batch=False)", "\n#MakeAnalysisJobs(batch=False)"))
    zproj = {key: value for key, value in found.items() if key.startswith("steps.z")}
    assert zproj == {
        "steps.zproj.groups": "layout",
        "steps.zproj.output": "projects/2015_Screen/B1/images",
        "steps.zproj.output_structure": "Metadata_Plate/Images",
    }
    groups = {key for key in found if key.endswith(".groups")}
    steps = ("zproj", "qc", "illum", "assaydev", "analysis")
    assert groups == {f"steps.{step}.groups" for step in steps}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("topdirname=", "x=", "old.py:25: startpath: is not set above"),
        ("['P1', 'P2']", "os.listdir('p')", "old.py:16: os.listdir('p'): is code"),
        ("['P1', 'P2']", "'P1'", "old.py:16: platelist: 'P1' is not a list"),
        ("['P1', 'P2']", "[1]", "old.py:16: platelist: [1] is not a list of texts"),
        ("range(1,25)", "12", "old.py:13: columns: 12 is not a list of whole numbers"),
        ("range(1,25)", "['1']", "old.py:13: columns: ['1'] is not a list of whole"),
        ("list(string.ascii_uppercase)[0:16]", "3", "old.py:12: rows: 3 is not text"),
        ("'B1'", "4", "old.py:25: os.path.join('workspace/pipelines', batc"),
        (
            "'projects'",
            "'/x'",
            "old.py:25: pipelinepath: '/x/2015_Screen/workspace/pip",
        ),
        ("class JobQueue():", "class JobQueue(:", "old.py:4: is not Python"),
    ],
)
def test_what_is_wrong_in_an_old_script_is_reported_in_a_line(
    before: str, after: str, expected: str
) -> None:
    with pytest.raises(CpengineError) as caught:
        old((before, after))
    (line,) = str(caught.value).splitlines()
    assert line.startswith(expected)


def test_another_script_is_refused() -> None:
    with pytest.raises(CpengineError, match=r"^old.py: topdirname: is not set, so"):
        old_batch_script.parse("import argparse\n", "old.py")


@pytest.mark.parametrize("step", STEPS)
def test_what_is_found_is_a_project_file(step: str) -> None:
    section = {"groups": read(f"{step} ID B1 P1")[f"steps.{step}.groups"]}
    ProjectFile.model_validate(
        {"project": {"name": "ID", "batch": "B1"}, "steps": {step: section}}
    )
