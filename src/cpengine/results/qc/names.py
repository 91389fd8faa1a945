"""What the names of measures say. Pure."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

Side = Literal["low", "high"]

_REASONS: Mapping[tuple[str, Side], str] = {
    ("PowerLogLogSlope", "low"): "blurred",
    ("FocusScore", "low"): "blurred",
    ("LocalFocusScore", "low"): "blurred",
    ("Correlation", "high"): "blurred",
    ("PercentMaximal", "high"): "saturated or blank",
    ("QCFlag", "high"): "flagged by the pipeline",
}
"""What it means when a feature is low or high."""


class ImageMeasure(NamedTuple):
    """The parts of a measure's name, as CellProfiler makes it."""

    category: str
    feature: str
    channel: str
    """The image, with a scale if there is one; or empty."""

    @classmethod
    def parse(cls, name: str) -> "ImageMeasure":
        """Read `ImageQuality_FocusScore_OrigDNA` and the like."""
        category, _, rest = name.partition("_")
        feature, _, channel = rest.partition("_")
        return cls(category, feature, channel)

    def reason(self, side: Side) -> str:
        """What is wrong when it is low or high, in a word or two, for any channel."""
        named = f"{self.category} of {self.feature}"
        plain = named if self.category == "Count" else self.feature
        return _REASONS.get((self.feature, side), f"{plain} {side}")
