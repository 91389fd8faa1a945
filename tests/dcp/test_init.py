"""`cpengine init` with files of Distributed-CellProfiler."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from cpengine import config
from cpengine.cli import app
from cpengine.config import ProjectFile, template
from tests.dcp.files import SHIPPED, SMALLEST, fleet, python
from tests.dcp.old_script import OLD_SCRIPT


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with DCP's files, where commands are called."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.py").write_text(python(SMALLEST | {"MEMORY": 7500}))
    (tmp_path / "fleet.json").write_text(fleet())
    (tmp_path / "old.py").write_text(OLD_SCRIPT)
    return tmp_path


def init(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["init", "new", *arguments])


def made(*arguments: str) -> ProjectFile:
    result = init(*arguments)
    assert result.exit_code == 0, result.output
    return config.load(Path("new/cpengine.toml"))


def test_config_py_alone(folder: Path) -> None:
    result = init("--from-dcp", "config.py")
    assert result.stdout.splitlines() == [
        "wrote new/cpengine.toml",
        "pipelines go to s3://lab/projects/lab/workspace/pipelines/2026_01_01_Batch1: "
        "those that you need of Zproj.cppipe, qc.cppipe, illum.cppipe, "
        "assaydev.cppipe, analysis.cppipe",
        "CSVs go to s3://lab/projects/lab/workspace/load_data_csv/2026_01_01_Batch1: "
        "a folder a plate, with load_data.csv in it (`cpengine loaddata IMAGES` writes "
        "them)",
        "then: cpengine check -C new",
    ]
    assert result.stderr.splitlines() == [
        "note: project.name: is 'lab' after APP_NAME: change it if the project's "
        "folder has another name",
        "note: project.batch: is not in config.py: set it",
    ]
    file = config.load(Path("new/cpengine.toml"))
    assert (file.project.name, file.project.app_name) == ("lab", None)
    assert file.storage.root == "s3://lab"
    assert file.executors.aws.steps["analysis"].memory_mb == 7500


def test_the_shipped_config_py(folder: Path) -> None:
    (folder / "config.py").write_text(python(SHIPPED))
    aws = made("--from-dcp", "config.py").executors.aws
    assert (aws.worker, aws.machines, aws.cpu_shares) == ("dcp", 3, None)


def test_the_written_file_keeps_its_remarks(folder: Path) -> None:
    made("--from-dcp", "config.py")
    text = Path("new/cpengine.toml").read_text()
    plain = template.project_file(name="lab", batch="B1", root=".")
    remarks = [line for line in plain.splitlines() if re.match(r"# [A-Z]\w+ ", line)]
    assert len(remarks) > 5
    assert all(remark in text for remark in remarks)


def test_options_go_before_files(folder: Path) -> None:
    line = "analysis ID B1 P1 --path-style cpg --source s1"
    options = ("--name", "mine", "--batch", "B2", "--root", "s3://x", "--source", "s2")
    file = made("--from-dcp", "config.py", "--batch-script", line, *options)
    assert (file.project.name, file.project.app_name) == ("mine", "lab")
    assert (file.project.batch, file.project.plates) == ("B2", ["P1"])
    assert (file.storage.root, file.storage.source) == ("s3://x", "s2")


def test_the_script_tells_steps_apart_that_share_a_name(folder: Path) -> None:
    (folder / "config.py").write_text(python(SMALLEST | {"APP_NAME": "ID_QC"}))
    file = made("--from-dcp", "config.py", "--batch-script", "qc_persite ID B1 P1")
    assert list(file.executors.aws.steps) == ["qc_persite"]
    assert list(file.steps) == ["analysis", "qc_persite"]
    assert file.project.app_name is None


def test_batch_script_alone(folder: Path) -> None:
    file = made("--batch-script", "illum ID B1 P1,P2 --pipeline x.cppipe")
    assert (file.project.name, file.storage.root) == ("ID", ".")
    assert file.steps["illum"].pipeline == "x.cppipe"


def test_old_script(folder: Path) -> None:
    result = init("--from-dcp", "config.py", "--batch-script", "old.py")
    assert (result.exit_code, result.stderr) == (0, "")
    file = config.load(Path("new/cpengine.toml"))
    assert (file.project.name, file.project.app_name) == ("2015_Screen", "screen")
    assert file.steps["analysis"].groups == "layout"


def test_a_fleet_below_the_folder_is_named_from_there(folder: Path) -> None:
    Path("new/files").mkdir(parents=True)
    Path("fleet.json").rename("new/files/fleet.json")
    aws = made("--fleet", "new/files/fleet.json").executors.aws
    assert aws.fleet == "files/fleet.json"


def test_another_fleet_is_named_by_its_whole_path(folder: Path) -> None:
    assert made("--fleet", "fleet.json").executors.aws.fleet == f"{folder}/fleet.json"


def machine(**changes: Any) -> dict[str, Any]:
    return {"ImageId": "ami-1", "IamInstanceProfile": {"Arn": "a"}} | changes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is not JSON (Expecting value"),
        ("[1]", "IamFleetRole, LaunchSpecifications: is missing: add it"),
        (fleet(IamFleetRole=""), "IamFleetRole: is missing: add it"),
        (fleet(LaunchSpecifications=[]), "LaunchSpecifications: is missing: add it"),
        (fleet(LaunchSpecifications={"a": 1}), "LaunchSpecifications: is missing"),
        (
            fleet(LaunchSpecifications=[3]),
            "LaunchSpecifications[0].ImageId, LaunchSpecifications[0].IamInstance",
        ),
        (
            fleet(LaunchSpecifications=[machine(), machine(ImageId=None)]),
            "LaunchSpecifications[1].ImageId: is missing: add it",
        ),
        (
            fleet(LaunchSpecifications=[machine(IamInstanceProfile={})]),
            "LaunchSpecifications[0].IamInstanceProfile.Arn: is missing: add it",
        ),
    ],
)
def test_a_wrong_fleet_is_refused(folder: Path, text: str, expected: str) -> None:
    (folder / "fleet.json").write_text(text)
    assert expected in refused("--fleet", "fleet.json", begins="fleet.json: ")


def refused(*arguments: str, begins: str) -> str:
    """Give the one line that is said; nothing may be made."""
    result = init(*arguments)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: {begins}")
    assert not Path("new").exists()
    return line


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("import os\n", "config.py:1: import os: is code, not a setting: write the"),
        ("APP_NAME = 'x'\n", "config.py: AWS_BUCKET: is missing"),
        (
            python(SMALLEST | {"EBS_VOL_SIZE": 10}),
            "config.py:4: EBS_VOL_SIZE: 10 is not",
        ),
        (
            python(SMALLEST | {"SQS_MESSAGE_VISIBILITY": 50_000}),
            "config.py:4: SQS_MESSAGE_VISIBILITY: 50000 is not allowed",
        ),
        (
            python(SMALLEST | {"MACHINE_TYPE": [""]}),
            'config.py:4: MACHINE_TYPE: "" is n',
        ),
        (python(SMALLEST | {"APP_NAME": "a b"}), 'config.py:1: APP_NAME: "a b" is not'),
        (
            python(SMALLEST | {"SQS_DEAD_LETTER_QUEUE": "a.fifo"}),
            'config.py:4: SQS_DEAD_LETTER_QUEUE: "a.fifo" is not allowed: use letters',
        ),
    ],
)
def test_a_wrong_config_py_is_one_line_and_no_file(
    folder: Path, settings: str, expected: str
) -> None:
    (folder / "config.py").write_text(settings)
    options = ("--batch", "B1") if "a b" in settings else ()
    assert expected in refused("--from-dcp", "config.py", *options, begins="config.py:")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("analysis 'a b' B1 P1", '--batch-script: identifier: "a b" is not allowed'),
        ("analysis ID B1 P1,", '--batch-script: platelist: "" is not allowed'),
        ("analysis ID B1 P1,P1", "--batch-script: platelist: P1 twice: remove one"),
        ("analysis ID B1 P1 --rows a", '--batch-script: --rows: "a" is not allowed'),
        ("analysis ID B1 P1 --new", "--batch-script: unrecognized arguments: --new"),
    ],
)
def test_a_wrong_batch_script_is_one_line_and_no_file(
    folder: Path, line: str, expected: str
) -> None:
    assert expected in refused("--batch-script", line, begins="--batch-script: ")


@pytest.mark.parametrize("option", ["--from-dcp", "--fleet", "--batch-script"])
def test_a_missing_file_is_one_line_and_no_file(folder: Path, option: str) -> None:
    line = refused(option, "gone.py", begins="gone.py: is not there")
    assert line.endswith("name another file")
    refused(option, f"{folder}/x.py/", begins="")


def test_a_file_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / "config.py").write_bytes(b"A = '\xff'")
    refused("--from-dcp", "config.py", begins="config.py: is not UTF-8 text")


def test_a_folder_is_refused(folder: Path) -> None:
    refused("--from-dcp", ".", begins=".: cannot be read (Is a directory)")


def test_a_project_file_that_is_there_stays(folder: Path) -> None:
    Path("new").mkdir()
    Path("new/cpengine.toml").write_text("mine")
    result = init("--from-dcp", "config.py")
    assert "is there already" in result.stderr
    assert Path("new/cpengine.toml").read_text() == "mine"


# Putting settings into the template


def nested(text: str, key: str) -> Any:
    data: Any = tomllib.loads(text)
    for part in key.split("."):
        data = data[part]
    return data


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUE = (
    TEXT
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(-1e15, 1e15)
    | st.lists(TEXT, max_size=3)
)


@given(VALUE)
def test_any_value_can_be_put_in(value: Any) -> None:
    key = "steps.analysis.dcp_done.necessary_string"
    text = template.project_file(name="p", batch="b", root=".", more={key: value})
    assert nested(text, key) == value


KEYS = [
    "project.plates",
    "storage.images",
    "storage.s3.profile",
    "steps.analysis.pipeline",
    "steps.analysis.dcp_done.expected_number_files",
    "steps.illum.groups",
    "steps.illum.dcp_done.expected_number_files",
    "plate.format",
    "executors.aws.machines",
    "executors.aws.dcp.use_plugins",
    "executors.aws.steps.analysis.machines",
    "executors.aws.steps.illum.machines",
    "executors.aws.steps.illum.machine_types",
    "storage.buckets.mine.region",
    "other.section.key",
]


@given(st.permutations(KEYS), st.integers(0, len(KEYS)))
def test_any_keys_can_be_put_in_in_any_order(keys: list[str], count: int) -> None:
    more = {key: number for number, key in enumerate(keys[:count])}
    text = template.project_file(name="p", batch="b", root=".", more=more)
    assert all(nested(text, key) == value for key, value in more.items())
    assert tomllib.loads(text)["project"]["name"] == "p"


@pytest.mark.parametrize(
    ("section", "model"),
    [
        ("executors.aws", config.AwsSection),
        ("executors.aws.dcp", config.DcpWorkerSection),
    ],
)
def test_the_template_shows_every_key_of_aws(section: str, model: Any) -> None:
    _, _, text = template.TEXT.partition(f"[{section}]\n")
    shown = set(re.findall(r"^# (\w+) = ", text, flags=re.MULTILINE))
    assert set(model.model_fields) - shown <= {"dcp", "steps"}


def test_a_section_is_put_beside_its_like() -> None:
    more = {"steps.illum.groups": "layout", "executors.aws.steps.illum.machines": 2}
    text = template.project_file(name="p", batch="b", root=".", more=more)
    headers = re.findall(r"^(?:# )?\[([\w.-]+)\]$", text, flags=re.MULTILINE)
    assert headers.index("steps.illum") == headers.index("check") - 1
    own = headers.index("executors.aws.steps.illum")
    assert headers[own - 1] == "executors.aws.steps.analysis"
    assert headers[own + 1] == "executors.aws.dcp"
