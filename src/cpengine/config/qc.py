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
    min: float | None = Field(None, description="Flag values below this.")
    max: float | None = Field(None, description="Flag values above this.")


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
