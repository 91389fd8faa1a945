"""The arguments of run_batch_general.py, new and old, become keys of the project."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpengine.config import PlateSection, ProjectFile
from cpengine.config.steps import STEPS
from cpengine.dcp import batch_script
from cpengine.errors import CpengineError
from cpengine.planning.layout_groups import layout_groups
from cpengine.plates import SITE_KEYS
from tests.dcp.files import values

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


@pytest.mark.parametrize("step", STEPS)
def test_what_is_found_is_a_project_file(step: str) -> None:
    section = {"groups": read(f"{step} ID B1 P1")[f"steps.{step}.groups"]}
    ProjectFile.model_validate(
        {"project": {"name": "ID", "batch": "B1"}, "steps": {step: section}}
    )
