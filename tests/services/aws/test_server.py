"""The AWS server for tests: it is AWS where tests rely on it, and fails on command."""

import subprocess
import sys
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import boto3
import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError

from tests.services.aws.aws_server import AwsServer
from tests.services.s3.bucket_server import ROOT

ONCE = Config(retries={"total_max_attempts": 1})
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
UNTIL = datetime(2030, 1, 1, tzinfo=UTC)
TAGS = [{"Key": "run", "Value": "1"}]
LOWER = [{"key": "run", "value": "1"}]
IMAGE = "ami-12345678"


def _refused(operation: Any, **asked: Any) -> tuple[int, str]:
    """The status and the code of a refusal."""
    with pytest.raises(ClientError) as refused:
        operation(**asked)
    response: dict[str, Any] = refused.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def _tagged(kind: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": TAGS}]


def _template(ec2: Any) -> None:
    ec2.create_launch_template(
        LaunchTemplateName="template",
        LaunchTemplateData={
            "ImageId": IMAGE,
            "InstanceType": "m5.xlarge",
            "TagSpecifications": _tagged("instance"),
        },
        TagSpecifications=_tagged("launch-template"),
    )


def _fleet(ec2: Any, capacity: int, *overrides: dict[str, Any], **options: Any) -> str:
    template = {"LaunchTemplateName": "template", "Version": "$Latest"}
    config = {"LaunchTemplateSpecification": template, "Overrides": list(overrides)}
    target = {
        "TotalTargetCapacity": capacity,
        "DefaultTargetCapacityType": "spot",
    }
    made = ec2.create_fleet(
        Type="maintain",
        ValidUntil=UNTIL,
        TargetCapacitySpecification=target,
        LaunchTemplateConfigs=[config],
        TagSpecifications=_tagged("fleet"),
        **options,
    )
    fleet: str = made["FleetId"]
    return fleet


def _spot_fleet(ec2: Any, capacity: int) -> str:
    config = {
        "IamFleetRole": "arn:aws:iam::123456789012:role/fleet",
        "TargetCapacity": capacity,
        "ValidUntil": UNTIL,
        "LaunchSpecifications": [{"ImageId": IMAGE, "InstanceType": "m5.xlarge"}],
        "TagSpecifications": _tagged("spot-fleet-request"),
    }
    made = ec2.request_spot_fleet(SpotFleetRequestConfig=config)
    fleet: str = made["SpotFleetRequestId"]
    return fleet


def _service(ecs: Any, desired: int = 0, cluster: str = "cluster") -> None:
    ecs.create_cluster(clusterName=cluster, tags=LOWER)
    container = {"name": "worker", "image": "image", "memory": 100}
    ecs.register_task_definition(
        family="family", containerDefinitions=[container], tags=LOWER
    )
    ecs.create_service(
        cluster=cluster,
        serviceName="service",
        taskDefinition="family",
        desiredCount=desired,
        tags=LOWER,
    )


def _states(ec2: Any) -> list[str]:
    found = ec2.describe_instances()["Reservations"]
    return [
        instance["State"]["Name"] for many in found for instance in many["Instances"]
    ]


def _events(records: dict[str, Any]) -> list[str]:
    found = records["HistoryRecords"]
    return [event["EventInformation"]["EventSubType"] for event in found]


def test_a_fleet_launches_its_machines_and_ends_them(aws: AwsServer) -> None:
    ec2 = aws.client("ec2")
    _template(ec2)
    [template] = ec2.describe_launch_templates()["LaunchTemplates"]
    assert template["Tags"] == TAGS
    options = {"SpotOptions": {"InstanceInterruptionBehavior": "terminate"}}
    fleet = _fleet(ec2, 3, {"InstanceType": "c5.large"}, **options)
    [listed] = ec2.describe_fleets()["Fleets"]
    assert (listed["FleetState"], listed["Tags"], listed["ValidUntil"]) == (
        "active",
        TAGS,
        UNTIL,
    )
    assert (datetime.now(UTC) - listed["CreateTime"]).total_seconds() < 60
    machines = ec2.describe_fleet_instances(FleetId=fleet)["ActiveInstances"]
    assert [machine["InstanceType"] for machine in machines] == ["c5.large"] * 3
    assert _states(ec2) == ["running"] * 3

    ended = ec2.delete_fleets(FleetIds=[fleet, "fleet-0"], TerminateInstances=True)
    [done] = ended["SuccessfulFleetDeletions"]
    [failed] = ended["UnsuccessfulFleetDeletions"]
    assert done["CurrentFleetState"] == "deleted_terminating"
    assert failed["Error"]["Code"] == "fleetIdDoesNotExist"
    assert _states(ec2) == ["terminated"] * 3
    history = ec2.describe_fleet_history(FleetId=fleet, StartTime=LONG_AGO)
    assert _events(history) == ["launched"] * 3 + ["terminated"] * 3
    again = ec2.delete_fleets(FleetIds=[fleet], TerminateInstances=True)
    [failed] = again["UnsuccessfulFleetDeletions"]
    assert failed["Error"]["Code"] == "fleetNotInDeletableState"


@pytest.mark.parametrize(("weight", "count"), [(3.0, 2), (0.5, 8), (1.0, 4)])
def test_a_fleet_has_the_capacity_that_was_asked_for(
    aws: AwsServer, weight: float, count: int
) -> None:
    ec2 = aws.client("ec2")
    _template(ec2)
    fleet = _fleet(ec2, 4, {"InstanceType": "c5.large", "WeightedCapacity": weight})
    assert _states(ec2) == ["running"] * count
    ec2.delete_fleets(FleetIds=[fleet], TerminateInstances=True)
    assert _states(ec2) == ["terminated"] * count


def test_a_spot_fleet_launches_its_machines_and_is_cancelled(aws: AwsServer) -> None:
    ec2 = aws.client("ec2")
    fleet = _spot_fleet(ec2, 2)
    [listed] = ec2.describe_spot_fleet_requests()["SpotFleetRequestConfigs"]
    assert (listed["SpotFleetRequestState"], listed["Tags"]) == ("active", TAGS)
    assert listed["SpotFleetRequestConfig"]["ValidUntil"] == UNTIL
    asked = {"SpotFleetRequestId": fleet}
    [machine, _] = ec2.describe_spot_fleet_instances(**asked)["ActiveInstances"]
    disks = ec2.describe_instance_attribute(
        InstanceId=machine["InstanceId"], Attribute="blockDeviceMapping"
    )["BlockDeviceMappings"]
    assert len({disk["Ebs"]["VolumeId"] for disk in disks}) == 2

    ids = [fleet, "sfr-none"]
    ended = ec2.cancel_spot_fleet_requests(
        SpotFleetRequestIds=ids, TerminateInstances=True
    )
    [failed] = ended["UnsuccessfulFleetRequests"]
    assert failed["Error"]["Code"] == "fleetRequestIdDoesNotExist"
    [listed] = ec2.describe_spot_fleet_requests()["SpotFleetRequestConfigs"]
    assert listed["SpotFleetRequestState"] == "cancelled_terminating"
    assert _states(ec2) == ["terminated"] * 2
    history = ec2.describe_spot_fleet_request_history(StartTime=LONG_AGO, **asked)
    assert _events(history) == ["launched"] * 2 + ["terminated"] * 2


def test_a_fleet_may_end_without_its_machines(aws: AwsServer) -> None:
    ec2 = aws.client("ec2")
    ec2.cancel_spot_fleet_requests(
        SpotFleetRequestIds=[_spot_fleet(ec2, 1)], TerminateInstances=False
    )
    [listed] = ec2.describe_spot_fleet_requests()["SpotFleetRequestConfigs"]
    assert listed["SpotFleetRequestState"] == "cancelled_running"
    assert _states(ec2) == ["running"]


def test_a_service_says_what_is_desired_and_what_runs(aws: AwsServer) -> None:
    ecs = aws.client("ecs")
    _service(ecs)
    ecs.update_service(cluster="cluster", service="service", desiredCount=3)
    asked = {"cluster": "cluster", "services": ["service"]}
    [service] = ecs.describe_services(**asked)["services"]
    # Nothing runs here.
    assert (service["desiredCount"], service["runningCount"]) == (3, 0)
    aws.work({service["serviceArn"]: 2})
    [service] = ecs.describe_services(**asked)["services"]
    assert (service["runningCount"], service["pendingCount"]) == (2, 1)
    [cluster] = ecs.describe_clusters(clusters=["cluster"])["clusters"]
    assert (cluster["activeServicesCount"], cluster["runningTasksCount"]) == (1, 2)
    for arn in (
        service["serviceArn"],
        service["taskDefinition"],
        cluster["clusterArn"],
    ):
        assert ecs.list_tags_for_resource(resourceArn=arn)["tags"] == LOWER


def test_what_of_ecs_is_deleted_is_no_more_listed_or_used(aws: AwsServer) -> None:
    ecs = aws.client("ecs")
    _service(ecs)
    _service(ecs, cluster="my-cluster")  # a name that ends as the other's
    named = {"cluster": "cluster", "service": "service"}
    again = {"cluster": "cluster", "serviceName": "service", "taskDefinition": "family"}
    assert len(ecs.list_services(cluster="cluster")["serviceArns"]) == 1
    assert _refused(ecs.create_service, **again)[1] == "InvalidParameterException"
    refusal = _refused(ecs.delete_cluster, cluster="cluster")
    assert refusal[1] == "ClusterContainsServicesException"
    ecs.delete_service(**named)
    assert ecs.list_services(cluster="cluster")["serviceArns"] == []
    refusal = _refused(ecs.update_service, desiredCount=1, **named)
    assert refusal[1] == "ServiceNotActiveException"
    ecs.create_service(**again)
    ecs.delete_service(**named)
    ecs.delete_cluster(cluster="cluster")
    [left] = ecs.list_clusters()["clusterArns"]
    assert left.endswith("/my-cluster")
    assert _refused(ecs.create_service, **again)[1] == "ClusterNotFoundException"


def _alarm(cloudwatch: Any, name: str) -> None:
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        ComparisonOperator="LessThanThreshold",
        EvaluationPeriods=15,
        MetricName="CPUUtilization",
        Namespace="AWS/EC2",
        Period=60,
        Statistic="Average",
        Threshold=1,
    )


def test_alarms_and_dashboards_are_stored(aws: AwsServer) -> None:
    cloudwatch = aws.client("cloudwatch")
    for name in ("a-1", "a-2", "b"):
        _alarm(cloudwatch, name)
    found = cloudwatch.describe_alarms(AlarmNamePrefix="a-")["MetricAlarms"]
    assert [alarm["AlarmName"] for alarm in found] == ["a-1", "a-2"]
    cloudwatch.delete_alarms(AlarmNames=["a-1", "a-2"])
    assert aws.leftovers() == ["alarm: b"]
    cloudwatch.put_dashboard(DashboardName="d", DashboardBody='{"widgets": []}')
    assert cloudwatch.list_dashboards()["DashboardEntries"][0]["DashboardName"] == "d"
    cloudwatch.delete_dashboards(DashboardNames=["d"])
    assert cloudwatch.list_dashboards()["DashboardEntries"] == []


def test_logs_are_stored_and_exported(aws: AwsServer) -> None:
    logs = aws.client("logs")
    aws.make("lab")
    group = {"logGroupName": "group"}
    stream = {**group, "logStreamName": "stream"}
    now = round(time.time() * 1000)
    events = [{"timestamp": now, "message": "hello"}]
    logs.create_log_group(**group)
    logs.put_retention_policy(**group, retentionInDays=60)
    logs.create_log_stream(**stream)
    logs.put_log_events(**stream, logEvents=events)
    assert logs.describe_log_groups()["logGroups"][0]["retentionInDays"] == 60
    assert logs.get_log_events(**stream)["events"][0]["message"] == "hello"
    span = {"fromTime": now - 1000, "to": now + 1000}
    logs.create_export_task(**group, **span, destination="lab", destinationPrefix="p")
    [task] = logs.describe_export_tasks()["exportTasks"]
    assert task["status"]["code"] == "COMPLETED"
    [name] = [name for name in aws.objects("lab", "p/") if name.endswith(".gz")]
    assert "/stream/" in name


def test_an_account_knows_its_images_roles_prices_and_quota(aws: AwsServer) -> None:
    for system in ("amazon-linux-2", "amazon-linux-2023"):
        path = f"/aws/service/ecs/optimized-ami/{system}/recommended/image_id"
        found = aws.client("ssm").get_parameter(Name=path)["Parameter"]["Value"]
        assert found.startswith("ami-")
    iam = aws.client("iam")
    assert _refused(iam.get_role, RoleName="role") == (404, "NoSuchEntity")
    iam.create_role(RoleName="role", AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName="profile")
    assert iam.get_role(RoleName="role")["Role"]["Arn"].endswith(":role/role")
    found = iam.get_instance_profile(InstanceProfileName="profile")["InstanceProfile"]
    assert found["Arn"].endswith(":instance-profile/profile")
    asked = {"InstanceTypes": ["m5.xlarge"], "ProductDescriptions": ["Linux/UNIX"]}
    prices = aws.client("ec2").describe_spot_price_history(**asked)["SpotPriceHistory"]
    assert {price["SpotPrice"] for price in prices} == {"0.05"}
    assert {price["InstanceType"] for price in prices} == {"m5.xlarge"}
    quotas = aws.client("service-quotas")
    spot = {"ServiceCode": "ec2", "QuotaCode": "L-34B43A08"}
    for vcpus in (256, 8):
        assert quotas.get_service_quota(**spot)["Quota"]["Value"] == vcpus
        aws.quota(8)
    assert aws.client("sts").get_caller_identity()["Account"] == "123456789012"


def test_one_of_many_creates_an_object(aws: AwsServer) -> None:
    aws.make("lab")
    s3 = aws.client("s3", config=ONCE)

    def create(number: int) -> str:
        body = b"%d" % number * 10_000
        try:
            s3.put_object(Bucket="lab", Key="a", Body=body, IfNoneMatch="*")
        except ClientError as refused:
            return str(refused.response["Error"]["Code"])
        return "created"

    with ThreadPoolExecutor(8) as threads:
        counts = Counter(threads.map(create, range(40)))
    assert counts == {"created": 1, "PreconditionFailed": 39}


def test_calls_are_noted_in_their_order(aws: AwsServer) -> None:
    aws.make("lab")
    s3 = aws.client("s3")
    s3.put_object(Bucket="lab", Key="a", Body=b"data")
    s3.get_object(Bucket="lab", Key="a")
    s3.list_objects_v2(Bucket="lab")
    _refused(s3.head_object, Bucket="lab", Key="b")
    aws.client("cloudwatch").list_dashboards()
    aws.client("service-quotas").list_aws_default_service_quotas(ServiceCode="vpc")
    boto3.client("ec2").describe_fleets()  # from the environment alone
    boto3.client("iam").list_roles()
    link = s3.generate_presigned_url("get_object", {"Bucket": "lab", "Key": "a"})
    with urllib.request.urlopen(link) as answer:
        assert answer.read() == b"data"
    assert [(call["service"], call["operation"]) for call in aws.calls()] == [
        ("s3", "PutObject"),
        ("s3", "GetObject"),
        ("s3", "ListObjectsV2"),
        ("s3", "HeadObject"),
        ("cloudwatch", "ListDashboards"),
        ("service-quotas", "ListAWSDefaultServiceQuotas"),
        ("ec2", "DescribeFleets"),
        ("iam", "ListRoles"),
        ("s3", "GetObject"),
    ]
    statuses = [call["status"] for call in aws.calls()]
    assert statuses == [200, 200, 200, 404, 200, 200, 200, 200, 200]
    assert aws.counts("s3")["HeadObject"] == 1
    aws.reset_calls()
    assert aws.calls() == []


def test_the_tests_own_calls_are_not_noted_and_meet_no_faults(aws: AwsServer) -> None:
    aws.faults({"kind": "error_500"})
    aws.own("sqs").create_queue(QueueName="jobs")
    aws.make("lab")
    aws.put("lab", "a", b"")
    assert aws.leftovers() == ["queue: jobs"]
    assert aws.calls() == []
    assert aws.injected() == {}


REFUSALS = {
    "throttle": {
        "sqs": (400, "ThrottlingException"),
        "ecs": (400, "ThrottlingException"),
        "cloudwatch": (400, "ThrottlingException"),
        "iam": (400, "Throttling"),
        "ec2": (503, "RequestLimitExceeded"),
        "s3": (503, "SlowDown"),
    },
    "error_500": {
        "sqs": (500, "InternalFailure"),
        "ecs": (500, "InternalFailure"),
        "cloudwatch": (500, "InternalFailure"),
        "iam": (500, "InternalFailure"),
        "ec2": (500, "InternalError"),
        "s3": (500, "InternalError"),
    },
    "denied": {
        "sqs": (403, "AccessDenied"),
        "ecs": (400, "AccessDeniedException"),
        "cloudwatch": (403, "AccessDenied"),
        "iam": (403, "AccessDenied"),
        "ec2": (403, "UnauthorizedOperation"),
        "s3": (403, "AccessDenied"),
    },
    "expired": {
        "sqs": (403, "ExpiredToken"),
        "ecs": (400, "ExpiredTokenException"),
        "cloudwatch": (403, "ExpiredToken"),
        "iam": (403, "ExpiredToken"),
        "ec2": (400, "RequestExpired"),
        "s3": (400, "ExpiredToken"),
    },
}
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "sqs": ("create_queue", {"QueueName": "jobs"}),
    "ecs": ("create_cluster", {"clusterName": "cluster"}),
    "cloudwatch": ("list_dashboards", {}),
    "iam": ("list_roles", {}),
    "ec2": ("describe_fleets", {}),
    "s3": ("create_bucket", {"Bucket": "lab"}),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_is_worded_as_the_service_words_it(aws: AwsServer, kind: str) -> None:
    aws.faults({"kind": kind})
    for service, wanted in REFUSALS[kind].items():
        operation, asked = ASKED[service]
        client = aws.client(service, config=ONCE)
        assert _refused(getattr(client, operation), **asked) == wanted, service
    assert aws.injected() == {kind: 6}
    assert aws.leftovers() == []  # none was carried out


@pytest.mark.parametrize(("kind", "left"), [("reset", []), ("lost", ["queue: jobs"])])
def test_a_lost_answer_is_to_a_call_that_was_carried_out(
    aws: AwsServer, kind: str, left: list[str]
) -> None:
    aws.faults({"kind": kind, "service": "sqs"})
    with pytest.raises(ConnectionClosedError):
        aws.client("sqs", config=ONCE).create_queue(QueueName="jobs")
    assert aws.leftovers() == left
    assert aws.calls() == [
        {"service": "sqs", "operation": "CreateQueue", "status": None}
    ]


def test_a_fault_strikes_the_calls_that_its_rule_names(aws: AwsServer) -> None:
    sqs = aws.client("sqs", config=ONCE)
    iam = aws.client("iam", config=ONCE)
    aws.faults(
        {"kind": "denied", "service": "sqs", "operation": "ListQueues", "nth": 2},
        {"kind": "throttle", "service": "iam", "times": 1},
    )
    sqs.create_queue(QueueName="jobs")
    sqs.list_queues()
    assert _refused(sqs.list_queues) == (403, "AccessDenied")
    sqs.list_queues()
    assert _refused(iam.list_roles) == (400, "Throttling")
    iam.list_roles()
    assert aws.injected() == {"denied": 1, "throttle": 1}
    aws.faults()
    assert aws.injected() == {}


def test_a_misspelt_fault_is_an_error(aws: AwsServer) -> None:
    with pytest.raises(ValueError, match="throtle"):
        aws.faults({"kind": "throtle"})
    with pytest.raises(TypeError):
        aws.faults({"kind": "throttle", "servce": "sqs"})


def test_all_that_is_left_is_listed_and_a_reset_forgets_it(aws: AwsServer) -> None:
    ec2 = aws.client("ec2")
    _template(ec2)
    fleets = (_fleet(ec2, 1, {"InstanceType": "c5.large"}), _spot_fleet(ec2, 1))
    _service(aws.client("ecs"))
    _alarm(aws.client("cloudwatch"), "alarm")
    aws.client("cloudwatch").put_dashboard(
        DashboardName="dashboard", DashboardBody='{"widgets": []}'
    )
    aws.client("logs").create_log_group(logGroupName="group")
    aws.client("sqs").create_queue(QueueName="jobs")
    aws.make("lab")
    aws.quota(1)
    found = aws.leftovers()
    machines = [leftover for leftover in found if leftover.startswith("instance: i-")]
    assert len(machines) == 2
    assert [leftover for leftover in found if leftover not in machines] == [
        "alarm: alarm",
        "cluster: cluster",
        "dashboard: dashboard",
        f"fleet: {fleets[0]}",
        "launch template: template",
        "log group: group",
        "queue: jobs",
        "service: cluster/service",
        f"spot fleet: {fleets[1]}",
        "task definition: family:1",
    ]
    aws.faults({"kind": "denied"})
    aws.reset()
    assert aws.leftovers() == []
    assert aws.client("s3").list_buckets()["Buckets"] == []
    quota = {"ServiceCode": "ec2", "QuotaCode": "L-34B43A08"}
    found = aws.client("service-quotas").get_service_quota(**quota)
    assert found["Quota"]["Value"] == 256


STARTER = """
import time
from tests.services.aws.aws_server import AwsServer

server = AwsServer()
server.start()
print(server.port, server.pid, flush=True)
time.sleep(600)
"""


def test_the_server_ends_with_its_parent_and_serves_this_machine_alone() -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with starter:
        assert starter.stdout
        port, pid = map(int, starter.stdout.readline().split())
        sockets = psutil.Process(pid).net_connections("tcp")
        assert [connection.laddr for connection in sockets] == [("127.0.0.1", port)]
        starter.kill()
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_nothing_reaches_beyond_this_machine(aws: AwsServer) -> None:
    client = boto3.client("sqs", endpoint_url="https://sqs.us-east-1.amazonaws.com")
    with pytest.raises(HTTPClientError, match=r"reaches for sqs\.us-east-1\.amazonaws"):
        client.list_queues()
