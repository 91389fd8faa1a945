"""What a worker's variables may be: what the project file may have."""

import json

import pytest

from cpengine.config.steps import DoneRule
from cpengine.errors import ConfigError
from cpengine.executors.aws.task_definition import dcp_environment
from cpengine.worker.environment import WorkerEnvironment
from tests.executors.aws import apps

BASE = {
    "APP_NAME": "Lab_test",
    "SQS_QUEUE_URL": "http://queue",
    "LOG_GROUP_NAME": "Lab_test",
    "AWS_BUCKET": "lab",
}


@pytest.mark.parametrize(
    "rule", [DoneRule(1, 0), DoneRule(1, 10**15), DoneRule(10**6, 1, "csv")]
)
def test_a_done_rule_of_the_project_file_is_that_of_the_worker(rule: DoneRule) -> None:
    variables = dcp_environment(apps.settings(done=rule), "http://queue", "us-east-1")
    assert WorkerEnvironment.of(BASE | variables | {"AWS_BUCKET": "lab"}).done == rule


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("DOCKER_CORES", "0", "greater than or equal to 1"),
        ("DOCKER_CORES", "many", "valid integer"),
        ("CPENGINE_VISIBILITY_S", "0", "greater than or equal to 1"),
        ("CPENGINE_IDLE_S", "nan", ""),
        ("CPENGINE_IDLE_S", "-1", "greater than 0"),
        ("MIN_FILE_SIZE_BYTES", "-1", "greater than or equal to 0"),
    ],
)
def test_what_the_project_file_does_not_take_is_an_error(
    name: str, text: str, why: str
) -> None:
    environ = BASE | {"CHECK_IF_DONE_BOOL": "True", name: text}
    with pytest.raises(ConfigError, match=f"^{name}: '{text}' is not allowed: .*{why}"):
        WorkerEnvironment.of(environ)


def test_upload_flags_of_dcps_client_are_followed_or_refused() -> None:
    flags = "--acl bucket-owner-full-control --metadata-directive REPLACE"
    environment = WorkerEnvironment.of(BASE | {"UPLOAD_FLAGS": flags})
    storage = json.loads(environment.machine)["file"]["storage"]
    assert storage["s3"] == {"upload_flags": flags}
    with pytest.raises(ConfigError, match=r"^UPLOAD_FLAGS: --dryrun: "):
        WorkerEnvironment.of(BASE | {"UPLOAD_FLAGS": "--dryrun"})
