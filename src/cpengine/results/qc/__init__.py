"""Image quality: which sites are blurred, saturated or otherwise unlike the others."""

from cpengine.results.qc.assess import Assessment
from cpengine.results.qc.batch import (
    Written,
    default_step,
    flagged,
    judge,
    settings_of,
    write,
)
from cpengine.results.qc.images import SiteKey

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
