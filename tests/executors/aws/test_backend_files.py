"""What users give to AWS before a run: it fits what the code asks for."""

import ast
import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from inspect import get_annotations
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from cpengine.cellprofiler import install
from cpengine.config import AwsSection
from cpengine.dcp.fleet import read
from cpengine.executors.aws import fleet, task_definition
from cpengine.executors.aws.client import Aws
from cpengine.executors.aws.settings import Settings, settle
from tests.services.aws.aws_server import AwsServer

ROOT = Path(__file__).parents[3]
FILES = ROOT / "backends/aws"
CLIENT = sorted((ROOT / "src/cpengine/executors/aws").glob("*.py"))
WORKER = sorted((ROOT / "src/cpengine/worker").glob("*.py"))
JSON = sorted(FILES.rglob("*.json"))
DOCKERFILE = FILES / "worker/Dockerfile"
CLIENTS = {name for name, kind in get_annotations(Aws).items() if "_Client[" in kind}
MOST_CHARACTERS = 6144  # of a managed policy, blanks not counted
PLACEHOLDERS = {
    "BUCKET": "lab-plates",
    "REGION": "eu-central-1",
    "ACCOUNT": "0" * 12,
    "APP": "screen",
}

# Storage goes by s3fs, and not by calls that can be found here.
S3 = {
    f"s3:{name}"
    for name in (
        "AbortMultipartUpload",
        "DeleteObject",
        "GetObject",
        "ListBucket",
        "PutObject",
    )
}
# Rights that are not named as the call.
NAMES = {
    "s3:HeadBucket": "s3:ListBucket",
    "service-quotas:GetServiceQuota": "servicequotas:GetServiceQuota",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sqs:SendMessageBatch": "sqs:SendMessage",
}
# What AWS asks for beside the right to call: to tag, to pass a role, to start machines.
MORE = {
    "ec2:CreateFleet": ("ec2:CreateTags", "ec2:RunInstances", "iam:PassRole"),
    "ec2:CreateLaunchTemplate": ("ec2:CreateTags",),
    "ec2:RequestSpotFleet": ("ec2:CreateTags", "ec2:RunInstances", "iam:PassRole"),
    "ecs:CreateCluster": ("ecs:TagResource",),
    "ecs:CreateService": ("ecs:TagResource",),
    "ecs:RegisterTaskDefinition": ("ecs:TagResource", "iam:PassRole"),
    "logs:CreateLogGroup": ("logs:TagResource",),
    "sqs:CreateQueue": ("sqs:TagQueue",),
}

Function = tuple[str, ast.FunctionDef]  # and the name of its module


class Code:
    """Modules, and which of their functions lead to which calls of AWS."""

    def __init__(self, paths: Collection[Path]) -> None:
        self.modules = {path.stem: ast.parse(path.read_text()) for path in paths}
        self._functions: dict[tuple[str, str], Function] = {}
        self._methods: dict[str, list[Function]] = {}
        self._imported: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
        for name, module in self.modules.items():
            for node in module.body:
                if isinstance(node, ast.FunctionDef):
                    self._functions[name, node.name] = name, node
                elif isinstance(node, ast.ClassDef):
                    self._methods[node.name] = [
                        (name, method)
                        for method in node.body
                        if isinstance(method, ast.FunctionDef)
                    ]
            for node in ast.walk(module):
                if isinstance(node, ast.ImportFrom) and node.module:
                    last = node.module.rpartition(".")[2]
                    for alias in node.names:
                        at = (last, alias.name)
                        self._imported[name][alias.asname or alias.name] = at

    def reached(self, start: Collection[str]) -> list[Function]:
        """All functions of these modules, and those that they call, and so on.

        A method counts as called if its name is, and its class is named anywhere.
        """
        mine = self._functions.values()
        found = {id(function[1]): function for function in mine if function[0] in start}
        classes = {
            name for name, of in self._methods.items() if of and of[0][0] in start
        }
        for name in classes:
            found |= {id(method[1]): method for method in self._methods[name]}
        before = (0, 0)
        while before != (len(found), len(classes)):
            before = len(found), len(classes)
            for module, function in list(found.values()):
                for node in ast.walk(function):
                    self._follow(module, node, found, classes)
        return list(found.values())

    def _follow(
        self,
        module: str,
        node: ast.AST,
        found: dict[int, Function],
        classes: set[str],
    ) -> None:
        names = self._imported[module]
        if isinstance(node, ast.Name):
            at = names.get(node.id, (module, node.id))
            classes |= {at[1]} & self._methods.keys()
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            at = (names.get(node.value.id, ("", ""))[1], node.attr)
        else:
            at = ("", "")
        if at in self._functions:
            found[id(self._functions[at][1])] = self._functions[at]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            for name in classes:
                for method in self._methods[name]:
                    if method[1].name == node.func.attr:
                        found[id(method[1])] = method

    def rights(self, functions: Collection[Function]) -> set[str]:
        """What the calls in these functions need."""
        return {
            right
            for _, function in functions
            for service, operation in _calls(function)
            for right in _rights(service, operation)
        }


def _calls(function: ast.AST) -> Iterator[tuple[str, str]]:
    """Services and operations: `aws.sqs.list_queues()`, or a paginator of that name."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            client, operation = node.func.value, node.func.attr
            name = getattr(client, "attr", "") or getattr(client, "id", "")
            if name not in CLIENTS:
                continue
            if operation == "get_paginator":
                operation = ast.literal_eval(node.args[0])
            yield name.replace("_", "-"), operation


@cache
def _operations(service: str) -> Mapping[str, str]:
    """A service's operations, as boto3 names them and as AWS does."""
    model = botocore.session.get_session().get_service_model(service)
    return {xform_name(name): name for name in model.operation_names}


def _rights(service: str, operation: str) -> Iterator[str]:
    right = f"{service}:{_operations(service)[operation]}"
    yield NAMES.get(right, right)
    yield from MORE.get(right, ())


def filled(path: Path) -> Any:
    """A file as a user has it, after the placeholders are replaced."""
    text = path.read_text(encoding="utf-8")
    for name, value in PLACEHOLDERS.items():
        text = text.replace(name, value)
    return json.loads(text)


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def allowed(policy: Mapping[str, Any]) -> set[str]:
    return {
        right
        for statement in policy["Statement"]
        for right in _list(statement["Action"])
    }


def resources(policy: Mapping[str, Any], right: str) -> list[str]:
    return [
        place
        for statement in policy["Statement"]
        if right in _list(statement["Action"])
        for place in _list(statement["Resource"])
    ]


@pytest.fixture(scope="module")
def code() -> Code:
    return Code([*CLIENT, *WORKER])


@pytest.fixture(scope="module")
def client() -> Any:
    return filled(FILES / "client-policy.json")


@pytest.fixture(scope="module")
def worker() -> Any:
    return filled(FILES / "task-role.json")["policy"]


@pytest.fixture(scope="module")
def settings() -> Settings:
    return settle(AwsSection(), "analysis", project="screen", base="screen")


def test_the_client_may_do_what_its_code_calls_and_no_more(
    code: Code, client: Any
) -> None:
    needed = code.rights(code.reached({path.stem for path in CLIENT})) | S3
    assert allowed(client) == needed


def test_the_worker_may_do_what_its_code_calls_and_no_more(
    code: Code, worker: Any
) -> None:
    needed = code.rights(code.reached({path.stem for path in WORKER})) | S3
    assert allowed(worker) == needed
    assert {"ec2:DeleteFleets", "sqs:DeleteMessage"} < needed
    assert "sqs:DeleteQueue" not in needed


@pytest.mark.parametrize(
    ("policy", "right", "arn"),
    [
        ("client", "sqs:CreateQueue", "sqs:{r}:{a}:{s.queue}"),
        ("client", "sqs:CreateQueue", "sqs:{r}:{a}:{s.dead_letters}"),
        ("client", "logs:CreateLogGroup", "logs:{r}:{a}:log-group:{s.log_groups[0]}"),
        ("client", "logs:CreateLogGroup", "logs:{r}:{a}:log-group:{s.log_groups[1]}"),
        ("client", "ecs:CreateService", "ecs:{r}:{a}:service/any/{s.service}"),
        ("client", "cloudwatch:PutDashboard", "cloudwatch::{a}:dashboard/{s.app}"),
        ("client", "cloudwatch:DeleteAlarms", "cloudwatch:{r}:{a}:alarm:{s.app}_i-0"),
        ("client", "ssm:GetParameter", f"ssm:{{r}}::parameter{fleet.AMI}"),
        ("client", "iam:PassRole", "iam::{a}:role/{s.section.instance_profile}"),
        ("worker", "sqs:ReceiveMessage", "sqs:{r}:{a}:{s.queue}"),
        ("worker", "sqs:SendMessage", "sqs:{r}:{a}:{s.dead_letters}"),
        ("worker", "ecs:UpdateService", "ecs:{r}:{a}:service/any/{s.service}"),
        ("worker", "logs:PutLogEvents", "logs:{r}:{a}:log-group:{s.app}:log-stream:x"),
        ("worker", "cloudwatch:PutMetricAlarm", "cloudwatch:{r}:{a}:alarm:{s.app}_i-0"),
    ],
)
def test_policies_know_the_names_that_the_code_gives(
    request: pytest.FixtureRequest,
    settings: Settings,
    policy: str,
    right: str,
    arn: str,
) -> None:
    r, a = PLACEHOLDERS["REGION"], PLACEHOLDERS["ACCOUNT"]
    wanted = "arn:aws:" + arn.format(r=r, a=a, s=settings)
    patterns = resources(request.getfixturevalue(policy), right)
    assert any(fnmatchcase(wanted, pattern) for pattern in patterns), (wanted, patterns)
    other = wanted.replace("screen", "other")
    if other != wanted:
        assert not any(fnmatchcase(other, pattern) for pattern in patterns), (
            other,
            patterns,
        )


def test_what_ends_machines_ends_no_others(client: Any, worker: Any) -> None:
    for policy in (client, worker):
        for statement in policy["Statement"]:
            if "ec2:DeleteFleets" in statement["Action"]:
                condition = statement["Condition"]["StringLike"]
                assert condition == {"aws:ResourceTag/cpengine:app": "screen_*"}


def test_iam_and_s3_take_the_policies(aws: AwsServer, client: Any) -> None:
    iam, s3 = aws.own("iam"), aws.own("s3")
    iam.create_policy(PolicyName="client", PolicyDocument=json.dumps(client))
    for name in ("instance", "task"):
        role = filled(FILES / f"{name}-role.json")
        trust = json.dumps(role["trust"])
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    iam.put_role_policy(
        RoleName="task", PolicyName="worker", PolicyDocument=json.dumps(role["policy"])
    )
    bucket = PLACEHOLDERS["BUCKET"]
    aws.make(bucket)
    policy = filled(FILES / "bucket-policy-for-log-export.json")
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))


@pytest.mark.parametrize("path", JSON, ids=lambda path: path.name)
def test_files_are_json_without_accounts_and_wildcards(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\b\d{12}\b|\b(ami|subnet|sg|snap)-[0-9a-f]{8}", text)
    data = filled(path)
    policies = [
        policy
        for policy in (data, data.get("policy"), data.get("trust"))
        if policy and "Statement" in policy
    ]
    for policy in policies:
        assert policy["Version"] == "2012-10-17"
        assert "*" not in "".join(allowed(policy))
        assert len(json.dumps(policy, separators=(",", ":"))) < MOST_CHARACTERS


def test_the_fleet_file_is_one() -> None:
    path = FILES / "spot-fleet.json"
    assert read(path)["Type"] == "maintain"


def _lines(word: str) -> list[str]:
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    return re.findall(rf"^{word} (.+)$", text, re.MULTILINE)


def test_the_container_starts_the_worker_and_not_as_root() -> None:
    assert _lines("ENTRYPOINT") == ["[]"]
    assert [json.loads(line) for line in _lines("CMD")] == [
        list(task_definition.COMMAND)
    ]
    assert _lines("USER") == ["worker"]


def test_the_container_has_the_versions_that_cpengine_installs() -> None:
    arguments = dict(line.split("=", 1) for line in _lines("ARG"))
    lock = Path(install.__file__).parent / f"requirements-{install.VERSION}.txt"
    locked = lock.read_text().splitlines()
    assert arguments["CELLPROFILER"] == install.VERSION
    for name in ("CELLPROFILER", "H5PY"):
        assert f"{name.lower()}=={arguments[name]}" in locked
    (uv,) = re.findall(r"uv==[\d.]+", DOCKERFILE.read_text())
    assert uv in (ROOT / "constraints.txt").read_text().splitlines()


def test_the_build_sees_what_it_copies() -> None:
    ignore = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text().splitlines()
    for line in _lines("COPY"):
        *names, _ = line.split()
        for name in names if "--from" not in line else ():
            assert (ROOT / name).exists()
            assert f"!{name}" in ignore
