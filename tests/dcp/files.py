"""Files of Distributed-CellProfiler for tests, in few lines."""

import json
from typing import Any

from cpengine.dcp.values import Found

SHIPPED: dict[str, Any] = {
    "APP_NAME": "DistributedCP",
    "LOG_GROUP_NAME": "DistributedCP",
    "DOCKERHUB_TAG": "cellprofiler/distributed-cellprofiler:2.2.0_4.2.8",
    "AWS_REGION": "us-east-1",
    "AWS_PROFILE": "default",
    "SSH_KEY_NAME": "your-key-file.pem",
    "AWS_BUCKET": "your-bucket-name",
    "SOURCE_BUCKET": "bucket-name",
    "WORKSPACE_BUCKET": "bucket-name",
    "DESTINATION_BUCKET": "bucket-name",
    "UPLOAD_FLAGS": "",
    "ECS_CLUSTER": "default",
    "CLUSTER_MACHINES": 3,
    "TASKS_PER_MACHINE": 1,
    "MACHINE_TYPE": ["m5.xlarge"],
    "MACHINE_PRICE": 0.2,
    "EBS_VOL_SIZE": 30,
    "DOWNLOAD_FILES": "False",
    "ASSIGN_IP": "True",
    "DOCKER_CORES": 4,
    "CPU_SHARES": 4096,
    "MEMORY": 15000,
    "SECONDS_TO_START": 180,
    "SQS_QUEUE_NAME": "DistributedCPQueue",
    "SQS_MESSAGE_VISIBILITY": 60,
    "SQS_DEAD_LETTER_QUEUE": "user_DeadMessages",
    "JOB_RETRIES": 3,
    "AUTO_MONITOR": "True",
    "CREATE_DASHBOARD": "True",
    "CLEAN_DASHBOARD": "True",
    "CHECK_IF_DONE_BOOL": "False",
    "EXPECTED_NUMBER_FILES": 7,
    "MIN_FILE_SIZE_BYTES": 1,
    "NECESSARY_STRING": "",
    "ALWAYS_CONTINUE": "False",
    "USE_PLUGINS": "False",
    "UPDATE_PLUGINS": "False",
    "PLUGINS_COMMIT": "False",
    "INSTALL_REQUIREMENTS": "False",
    "REQUIREMENTS": "",
}
"""The values that DCP 2.2.1 ships."""
SMALLEST = {"APP_NAME": "lab_Analysis", "AWS_BUCKET": "lab", "JOB_RETRIES": 10}


def python(values: dict[str, Any]) -> str:
    """A config.py that sets these."""
    return "".join(f"{name} = {value!r}\n" for name, value in values.items())


def values(found: Found) -> dict[str, Any]:
    """What was found, without where."""
    return {key: setting.value for key, setting in found.settings.items()}


def fleet(**changes: Any) -> str:
    """A spot fleet file."""
    machine = {
        "ImageId": "ami-1",
        "KeyName": "key",
        "IamInstanceProfile": {"Arn": "arn:aws:iam::1:instance-profile/ecs"},
    }
    data = {
        "IamFleetRole": "arn:aws:iam::1:role/fleet",
        "LaunchSpecifications": [machine],
        "Type": "maintain",
    }
    return json.dumps(data | changes)
