"""Plates, wells and sites: the columns that name them, and parts of a batch."""

from dataclasses import dataclass

PLATE, WELL, SITE = "Metadata_Plate", "Metadata_Well", "Metadata_Site"
SITE_KEYS = (PLATE, WELL, SITE)
"""The columns that together name a site."""


@dataclass(frozen=True, slots=True)
class Part:
    """Which plates, wells and sites to take; an empty set takes all."""

    plates: frozenset[str] = frozenset()
    wells: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()
    flagged: frozenset[tuple[str, str, str]] = frozenset()
    """Sites (plate, well, site) to leave out where a job has no others."""

    @property
    def wanted(self) -> dict[str, frozenset[str]]:
        """The values wanted of each metadata column that is restricted."""
        values = zip(SITE_KEYS, (self.plates, self.wells, self.sites), strict=True)
        return {key: wanted for key, wanted in values if wanted}
