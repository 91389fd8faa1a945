"""Distributed-CellProfiler's config.py becomes keys of the project file."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpengine.config import ProjectFile
from cpengine.dcp import config
from cpengine.errors import InputError
from tests.dcp.files import SHIPPED, SMALLEST, python, values

ALL = "executors.aws"
STEP = "executors.aws.steps.analysis"


def parse(settings: dict[str, Any], step: str = "") -> dict[str, Any]:
    return values(config.parse(python(settings), "config.py", step))


def notes(settings: dict[str, Any]) -> tuple[str, ...]:
    return config.parse(python(settings), "config.py").notes


def changed(**settings: Any) -> dict[str, Any]:
    """Give what a smallest config.py comes to, changed by these settings."""
    plain, other = parse(SMALLEST), parse(SMALLEST | settings)
    return {key: value for key, value in other.items() if plain.get(key) != value}


def test_the_smallest_file_sets_only_what_dcp_does_otherwise() -> None:
    assert parse(SMALLEST) == {
        "project.app_name": "lab",
        "storage.root": "s3://lab",
        f"{ALL}.dashboard": False,
        f"{STEP}.job_retries": 10,
    }


def test_the_shipped_file_is_understood() -> None:
    assert parse(SHIPPED) == {
        "project.app_name": "DistributedCP",
        "storage.root": "s3://your-bucket-name",
        "storage.images": "s3://bucket-name",
        "storage.workspace": "s3://bucket-name",
        "storage.outputs": "s3://bucket-name",
        f"{ALL}.worker": "dcp",
        f"{ALL}.image": "cellprofiler/distributed-cellprofiler:2.2.0_4.2.8",
        f"{ALL}.region": "us-east-1",
        f"{ALL}.cluster": "default",
        f"{ALL}.dead_letter_queue": "user_DeadMessages",
        f"{ALL}.machines": 3,
        f"{ALL}.machine_types": ["m5.xlarge"],
        f"{ALL}.machine_price": 0.2,
        f"{ALL}.tasks_per_machine": 1,
        f"{ALL}.cores": 4,
        f"{ALL}.memory_mb": 15000,
        f"{ALL}.ebs_gb": 30,
        f"{ALL}.visibility_s": 60,
        f"{ALL}.job_retries": 3,
        f"{ALL}.seconds_to_start": 180,
    }


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_key_is_known(name: str) -> None:
    assert not [n for n in notes(SHIPPED) if f": {name}: " in n and "know" in n]


@pytest.mark.parametrize(
    ("name", "value", "key", "expected"),
    [
        ("AWS_REGION", "eu-west-1", f"{ALL}.region", "eu-west-1"),
        ("SSH_KEY_NAME", "me.pem", f"{ALL}.key_name", "me"),
        ("SSH_KEY_NAME", "me", f"{ALL}.key_name", "me"),
        ("LOG_GROUP_NAME", "logs", f"{ALL}.log_group", "logs"),
        ("ECS_CLUSTER", "mine", f"{ALL}.cluster", "mine"),
        ("ASSIGN_IP", "False", f"{ALL}.public_ip", False),
        ("ASSIGN_IP", False, f"{ALL}.public_ip", False),
        (
            "SQS_DEAD_LETTER_QUEUE",
            "arn:aws:sqs:some-region:111111100000:DeadMessages",
            f"{ALL}.dead_letter_queue",
            "DeadMessages",
        ),
        ("DOWNLOAD_FILES", "TRUE", f"{ALL}.dcp.download_files", True),
        ("ALWAYS_CONTINUE", "true", f"{ALL}.dcp.always_continue", True),
        ("UPLOAD_FLAGS", "--exclude x", f"{ALL}.dcp.upload_flags", "--exclude x"),
        ("UPLOAD_FLAGS", "--sse", "storage.s3.upload_flags", "--sse"),
        ("USE_PLUGINS", "True", f"{ALL}.dcp.use_plugins", True),
        ("UPDATE_PLUGINS", "True", f"{ALL}.dcp.update_plugins", True),
        ("PLUGINS_COMMIT", "v1", f"{ALL}.dcp.plugins_commit", "v1"),
        ("INSTALL_REQUIREMENTS", "True", f"{ALL}.dcp.install_requirements", True),
        ("REQUIREMENTS", "[cellpose]", f"{ALL}.dcp.requirements", "[cellpose]"),
        ("REQUIREMENTS_FILE", "r.txt", f"{ALL}.dcp.requirements", "r.txt"),
        ("CLUSTER_MACHINES", 100, f"{STEP}.machines", 100),
        ("TASKS_PER_MACHINE", 2, f"{STEP}.tasks_per_machine", 2),
        ("MACHINE_TYPE", ["a", "b"], f"{STEP}.machine_types", ["a", "b"]),
        ("MACHINE_TYPE", "a", f"{STEP}.machine_types", ["a"]),
        ("MACHINE_PRICE", 1, f"{STEP}.machine_price", 1),
        ("EBS_VOL_SIZE", 22.0, f"{STEP}.ebs_gb", 22),
        ("DOCKER_CORES", 3, f"{STEP}.cores", 3),
        ("CPU_SHARES", 2048, f"{STEP}.cpu_shares", 2048),
        ("MEMORY", 7500, f"{STEP}.memory_mb", 7500),
        ("SECONDS_TO_START", 0, f"{STEP}.seconds_to_start", 0),
        ("SQS_MESSAGE_VISIBILITY", 7200, f"{STEP}.visibility_s", 7200),
        ("JOB_RETRIES", 3, f"{STEP}.job_retries", 3),
    ],
)
def test_each_key(name: str, value: Any, key: str, expected: Any) -> None:
    assert changed(**{name: value}) == {key: expected}


@pytest.mark.parametrize(
    "settings",
    [
        {"AWS_PROFILE": "default"},
        {"SSH_KEY_NAME": "your-key-file.pem"},
        {"LOG_GROUP_NAME": "lab_Analysis"},
        {"SQS_QUEUE_NAME": "lab_AnalysisQueue"},
        {"UPLOAD_FLAGS": "False"},
        {"PLUGINS_COMMIT": ""},
        {"REQUIREMENTS_FILE": False},
        {"SOURCE_BUCKET": "False", "WORKSPACE_BUCKET": "False"},
        {"SOURCE_BUCKET": "lab", "DESTINATION_BUCKET": "lab"},
        {"CHECK_IF_DONE_BOOL": "False", "EXPECTED_NUMBER_FILES": 7},
        {"CLEAN_DASHBOARD": "True", "AUTO_MONITOR": "False"},
    ],
)
def test_what_is_no_different_is_not_set(settings: dict[str, Any]) -> None:
    assert changed(**settings) == {}
    lines = notes(SMALLEST | settings)
    assert [line for line in lines if "LOG_GROUP_NAME" not in line] == []


def test_upload_flags_that_our_worker_cannot_follow_are_noted() -> None:
    (note,) = notes(SMALLEST | {"UPLOAD_FLAGS": "--exclude x"})
    assert "UPLOAD_FLAGS: only DCP's worker can follow it: --exclude: " in note
    assert notes(SMALLEST | {"UPLOAD_FLAGS": "--acl private"}) == ()


def test_the_role_of_a_profile_is_noted() -> None:
    (note,) = notes(SMALLEST | {"AWS_PROFILE": "partner"})
    assert "set executors.aws.task_role" in note


@pytest.mark.parametrize(
    ("app", "group", "expected"),
    [
        ("lab_Analysis", "lab_Analysis", "has its own log groups, here lab_Analysis"),
        ("lab", "lab", "each step has its own log groups, here lab_<step>"),
        ("lab_QC", "logs", "is for all steps now; without it each has log groups"),
    ],
)
def test_what_becomes_of_logs_is_noted(app: str, group: str, expected: str) -> None:
    lines = notes(SMALLEST | {"APP_NAME": app, "LOG_GROUP_NAME": group})
    changes, export = [line for line in lines if ": LOG_GROUP_NAME: " in line]
    assert expected in changes
    assert "always copies the logs to the bucket" in export
    assert "export_logs = true" in export


def test_cpu_shares_that_cores_come_to_are_left_out() -> None:
    assert changed(DOCKER_CORES=3, CPU_SHARES=3072) == {f"{STEP}.cores": 3}


def test_a_profile_is_for_storage_and_executor() -> None:
    assert changed(AWS_PROFILE="lab") == {
        "storage.s3.profile": "lab",
        f"{ALL}.profile": "lab",
    }


@pytest.mark.parametrize(
    ("buckets", "expected"),
    [
        (("src", None, None), {"images": "src", "workspace": "src"}),
        (("src", "ws", "dst"), {"images": "src", "workspace": "ws", "outputs": "dst"}),
        (("src", "lab", "lab"), {"images": "src"}),
        (("lab", None, "dst"), {"outputs": "dst"}),
        (("False", "ws", "dst"), {"workspace": "ws"}),
        ((None, None, "dst"), {}),
    ],
)
def test_buckets_are_those_that_the_worker_uses(
    buckets: tuple[str | None, ...], expected: dict[str, str]
) -> None:
    names = ("SOURCE_BUCKET", "WORKSPACE_BUCKET", "DESTINATION_BUCKET")
    given = {n: b for n, b in zip(names, buckets, strict=True) if b is not None}
    assert changed(**given) == {
        f"storage.{k}": f"s3://{b}" for k, b in expected.items()
    }


@pytest.mark.parametrize(
    ("image", "is_dcp"),
    [
        ("cellprofiler/distributed-cellprofiler:2.2.1_4.2.8", True),
        ("registry:5000/me/distributed-cellprofiler-cellpose", True),
        ("cellprofiler/cellprofiler:4.2.8", False),
        ("distributed-cellprofiler/worker:1", False),
    ],
)
def test_the_worker_follows_from_the_image(image: str, is_dcp: bool) -> None:
    expected = {f"{ALL}.worker": "dcp", f"{ALL}.image": image} if is_dcp else {}
    assert changed(DOCKERHUB_TAG=image) == expected
    left_out = any(
        "DOCKERHUB_TAG: left out" in n
        for n in notes({**SMALLEST, "DOCKERHUB_TAG": image})
    )
    assert left_out is not is_dcp


@pytest.mark.parametrize(
    ("app", "known", "section"),
    [
        ("lab_Zproj", "", "steps.zproj."),
        ("lab_Illum", "", "steps.illum."),
        ("lab_QC", "", "steps.qc."),
        ("lab_QC", "qc_persite", "steps.qc_persite."),
        ("lab_AssayDev", "assaydev_persite", "steps.assaydev_persite."),
        ("lab_Analysis", "illum", "steps.analysis."),
        ("lab_analysis", "", ""),
        ("lab", "illum", ""),
    ],
)
def test_machines_are_of_the_step_that_the_app_is_for(
    app: str, known: str, section: str
) -> None:
    found = parse(SMALLEST | {"APP_NAME": app, "MEMORY": 512}, known)
    assert found[f"{ALL}.{section}memory_mb"] == 512
    assert found["project.app_name"] == (app.rpartition("_")[0] if section else app)


DONE = {
    "CHECK_IF_DONE_BOOL": "True",
    "EXPECTED_NUMBER_FILES": 5,
    "MIN_FILE_SIZE_BYTES": 1,
    "NECESSARY_STRING": "",
}


def test_the_done_check_goes_to_the_step() -> None:
    key = "steps.analysis.dcp_done"
    assert changed(**DONE) == {f"{key}.expected_number_files": 5}
    more = {"MIN_FILE_SIZE_BYTES": 9, "NECESSARY_STRING": ".csv"}
    assert changed(**DONE | more) == {
        f"{key}.expected_number_files": 5,
        f"{key}.min_file_size_bytes": 9,
        f"{key}.necessary_string": ".csv",
    }


@pytest.mark.parametrize(
    ("app", "expected"),
    [("lab_Zproj", "share folders"), ("lab", "set steps.STEP.dcp_done")],
)
def test_a_done_check_that_cannot_be_taken_over_is_noted(
    app: str, expected: str
) -> None:
    settings = SMALLEST | DONE | {"APP_NAME": app}
    assert not any("dcp_done" in key for key in parse(settings))
    (note,) = notes(settings)
    assert "CHECK_IF_DONE_BOOL: left out" in note
    assert expected in note


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"SQS_QUEUE_NAME": "mine"}, "cpengine's queue is lab_AnalysisQueue"),
        ({"AUTO_MONITOR": "True"}, "makes no Lambda function"),
        (
            {"CREATE_DASHBOARD": "True", "CLEAN_DASHBOARD": "False"},
            "the dashboard goes with the rest",
        ),
        ({"DOCKER_BASE_SIZE": 10}, "cpengine does not know it"),
        ({"DESTINATION_BUCKET": "dst"}, "as DCP does where SOURCE_BUCKET is 'False'"),
    ],
)
def test_what_cpengine_has_no_use_for_is_noted(
    settings: dict[str, Any], expected: str
) -> None:
    (note,) = notes(SMALLEST | settings)
    assert note.startswith(("config.py:4: ", "config.py:5: "))
    assert expected in note


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"APP_NAME": ""}, "config.py:1: APP_NAME: '' is no name: write one"),
        ({"APP_NAME": 3}, "config.py:1: APP_NAME: 3 is not text: put it in quotes"),
        ({"AWS_BUCKET": "False"}, "config.py:2: AWS_BUCKET: 'False' is no name"),
        ({"AWS_BUCKET": "s3://b"}, "'s3://b' is not the name of a bucket"),
        ({"SOURCE_BUCKET": "b/c"}, "'b/c' is not the name of a bucket"),
        ({"DOWNLOAD_FILES": "yes"}, "'yes' is neither 'True' nor 'False'"),
        ({"MEMORY": "7 GB"}, "'7 GB' is not a whole number: write one"),
        ({"MEMORY": 7.5}, "7.5 is not a whole number: write one"),
        ({"MEMORY": True}, "True is not a whole number: write one"),
        ({"MACHINE_PRICE": "0.2"}, "'0.2' is not a number: write one"),
        ({"MACHINE_TYPE": [3]}, "[3] is not a list of texts: write one"),
        ({"ECS_CLUSTER": ["a"]}, "['a'] is not text: put it in quotes"),
        ({"CHECK_IF_DONE_BOOL": "True"}, "without EXPECTED_NUMBER_FILES: add it"),
    ],
)
def test_a_wrong_value_is_reported_in_a_line(
    settings: dict[str, Any], expected: str
) -> None:
    with pytest.raises(InputError) as caught:
        parse(SMALLEST | settings)
    (line,) = str(caught.value).splitlines()
    assert line.startswith("config.py:")
    assert expected in line


@pytest.mark.parametrize("name", ["APP_NAME", "AWS_BUCKET"])
def test_what_dcp_cannot_do_without_must_be_there(name: str) -> None:
    rest = {key: value for key, value in SMALLEST.items() if key != name}
    with pytest.raises(
        InputError, match=rf"^config.py: {name}: is missing, .*: add it"
    ):
        parse(rest)


FLAG = st.sampled_from(["True", "False", "TRUE", "false", True, False])
NAME = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,20}", fullmatch=True)
CONFIG = st.fixed_dictionaries(
    {"APP_NAME": NAME, "AWS_BUCKET": NAME},
    optional={
        "DOCKERHUB_TAG": NAME.map("me/distributed-cellprofiler:{}".format),
        "SOURCE_BUCKET": NAME,
        "WORKSPACE_BUCKET": NAME | st.just("False"),
        "DESTINATION_BUCKET": NAME,
        "ECS_CLUSTER": NAME,
        "CLUSTER_MACHINES": st.integers(1, 500),
        "MACHINE_TYPE": st.lists(NAME, min_size=1, max_size=3),
        "MACHINE_PRICE": st.floats(0.01, 5),
        "EBS_VOL_SIZE": st.integers(22, 500),
        "DOCKER_CORES": st.integers(1, 64),
        "CPU_SHARES": st.integers(128, 65536),
        "MEMORY": st.integers(512, 10**6),
        "SQS_MESSAGE_VISIBILITY": st.integers(30, 43200),
        "JOB_RETRIES": st.integers(1, 10),
        "DOWNLOAD_FILES": FLAG,
        "CHECK_IF_DONE_BOOL": FLAG,
        "EXPECTED_NUMBER_FILES": st.integers(1, 99),
        "CREATE_DASHBOARD": FLAG,
        "ASSIGN_IP": FLAG,
    },
)


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key, value in flat.items():
        *sections, last = key.split(".")
        table = data
        for section in sections:
            table = table.setdefault(section, {})
        table[last] = value
    return data


@given(CONFIG, st.sampled_from(["", *config.SUFFIXES]))
def test_what_dcp_runs_with_is_a_project_file(
    settings: dict[str, Any], suffix: str
) -> None:
    app = settings["APP_NAME"]
    done = settings.get("CHECK_IF_DONE_BOOL") in ("True", "TRUE", True)
    if done and suffix not in ("", "_Zproj"):
        settings.setdefault("EXPECTED_NUMBER_FILES", 1)
    flat = parse(settings | {"APP_NAME": app + suffix})
    flat |= {"project.name": "p", "project.batch": "b"}
    file = ProjectFile.model_validate(nested(flat))
    aws = file.executors.aws
    own = aws.steps[config.SUFFIXES[suffix]] if suffix else aws
    assert own.machines == settings.get("CLUSTER_MACHINES")
    assert own.job_retries == settings.get("JOB_RETRIES", 10)
    assert aws.public_ip is (str(settings.get("ASSIGN_IP", "true")).lower() == "true")
    assert file.storage.root == f"s3://{settings['AWS_BUCKET']}"
