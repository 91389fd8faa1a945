"""Settings of workers that are small enough for the cluster of the tests."""

from typing import Any

from cpengine.config import SlurmSection


def settings(**changes: Any) -> SlurmSection:
    """Two workers of one core on the loopback network, but for what is changed."""
    small: dict[str, Any] = {
        "cores": 1,
        "memory_gb": 1.0,
        "job_memory_gb": 0.5,
        "workers": 2,
        "walltime": "00:10:00",
        "interface": "lo",
    }
    return SlurmSection(**small | changes)
