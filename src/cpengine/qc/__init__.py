"""Image quality: which sites are blurred, saturated or otherwise unlike the others."""

from cpengine.qc.assess import Assessment
from cpengine.qc.batch import (
    Written,
    default_step,
    flagged,
    judge,
    settings_of,
    write,
)
from cpengine.qc.images import SiteKey

__all__ = [
    "Assessment",
    "SiteKey",
    "Written",
    "default_step",
    "flagged",
    "judge",
    "settings_of",
    "write",
]
