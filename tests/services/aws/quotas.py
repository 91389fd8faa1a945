"""Service quotas that moto does not know: how many vCPUs of spot instances one gets."""

from typing import Any

from moto.servicequotas.models import ServiceQuotasBackend

SPOT_VCPUS = ("ec2", "L-34B43A08")
DEFAULT = 256

spot_vcpus = DEFAULT

_get = ServiceQuotasBackend.get_service_quota


def reset() -> None:
    global spot_vcpus
    spot_vcpus = DEFAULT


def get_service_quota(
    backend: ServiceQuotasBackend, service_code: str, quota_code: str
) -> dict[str, Any]:
    if (service_code, quota_code) != SPOT_VCPUS:
        return _get(backend, service_code, quota_code)
    return {
        "ServiceCode": service_code,
        "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
        "QuotaCode": quota_code,
        "QuotaName": "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests",
        "Value": float(spot_vcpus),
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }


def repair() -> None:
    ServiceQuotasBackend.get_service_quota = get_service_quota
