"""The section that says which images count as bad."""

from typing import Annotated

from pydantic import Field

from cpengine.config.forms import Count, Key, Name, Section

Wells = Annotated[list[Key], Field(min_length=1)]


class ThresholdSection(Section):
    """When a value of some measures flags its site; what is not set flags nothing."""

    low_mad: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="Flag what is more than so many robust deviations (1.4826 MAD) "
        "below the median.",
    )
    high_mad: Annotated[float, Field(gt=0)] | None = Field(
        None, description="The same above the median."
    )
    least_deviation: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="What a robust deviation is taken for at the least, in the "
        "measure's own units; 2 % of the median in any case.",
    )
    min: float | None = Field(None, description="Flag values below this.")
    max: float | None = Field(None, description="Flag values above this.")

    @property
    def relative(self) -> bool:
        """Whether robust deviations are counted."""
        return self.low_mad is not None or self.high_mad is not None


class QcSection(Section):
    """How `cpengine qc` judges images."""

    measures: Annotated[list[Key], Field(min_length=1)] = Field(
        ["ImageQuality_*", "Intensity_*", "Count_*", "Metadata_QCFlag*"],
        description="Columns of Image.csv to look at; * and ? stand for other letters.",
    )
    thresholds: dict[Key, ThresholdSection] = Field(
        {},
        description="By measure, or by a pattern with * and ?: the most specific one "
        "holds. One of your own replaces the built-in one of the same name.",
    )
    controls: list[Key] | dict[Name, Wells] = Field(
        {},
        description="Control wells, or control wells by the control's name. Default: "
        "as the platemaps say.",
    )
    plate_sites: Count = Field(
        20,
        description="Plates with fewer sites are compared with the whole batch.",
    )
    score_sites: Count = Field(
        8,
        description="Plates with fewer sites are not scored: fixed limits alone flag "
        "their sites.",
    )
