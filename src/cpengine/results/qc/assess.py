"""Judge a batch: its flags and how its controls vary. Pure."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from cpengine.config.qc import QcSection, ThresholdSection
from cpengine.plates import Place, place_of, plate_shape
from cpengine.results.qc.controls import Controls
from cpengine.results.qc.flags import CONTRAST, Flag, compared, flags, spared
from cpengine.results.qc.images import SiteKey, SiteMeasures
from cpengine.results.qc.numbers import Variation, mean, variation
from cpengine.results.qc.thresholds import chosen
from cpengine.results.qc.wells import normal
from cpengine.wording import counted

ALL_WELLS = "all wells"


@dataclass(frozen=True, slots=True)
class Cv:
    """How a measure varies over a control's wells, or over all wells, of a plate."""

    plate: str
    control: str
    measure: str
    variation: Variation
    """Of the wells' means over their sites."""


@dataclass(frozen=True)
class Assessment:
    """What image quality a batch has, as one step measured it."""

    step: str
    sites: SiteMeasures
    thresholds: Mapping[str, ThresholdSection]
    """By measure."""
    flags: Sequence[Flag]
    """Worst first."""
    cvs: Sequence[Cv]
    unscored: Mapping[str, str] = field(default_factory=dict)
    """By plate, why no robust deviations are counted there."""
    judged: Sequence[str] = ()
    """The plates that were read for it; of others their tables were."""
    planned: Mapping[str, Collection[str]] = field(default_factory=dict)
    """By plate, the wells that the step has, also those of which nothing is known."""
    plate_format: int | None = None
    """How many wells a plate has, if the project file tells."""
    notes: Sequence[str] = ()
    """What limits the judgement, a line each."""

    @property
    def plates(self) -> list[str]:
        """The plates, sorted."""
        return list(self.sites.rows_of)

    @cached_property
    def by_site(self) -> Mapping[SiteKey, list[Flag]]:
        """The flags of each flagged site, the worst site and flag first."""
        found: dict[SiteKey, list[Flag]] = {}
        for flag in self.flags:
            found.setdefault(flag.key, []).append(flag)
        return found

    def shape_of(self, plate: str) -> Place | None:
        """Rows and columns of a plate; None if it cannot be drawn."""
        wells = {*self.sites.wells_of[plate], *self.planned.get(plate, ())}
        return plate_shape(list(filter(None, map(place_of, wells))), self.plate_format)

    def count(self, plate: str) -> int:
        """How many sites of a plate there are."""
        return len({self.sites.keys[row] for row in self.sites.rows_of[plate]})

    def flagged(self, plate: str) -> list[SiteKey]:
        """A plate's flagged sites."""
        return [key for key in self.by_site if key.plate == plate]

    def reasons(self, plate: str) -> Counter[str]:
        """How many sites of a plate are flagged for each reason."""
        return Counter(
            reason
            for key in self.flagged(plate)
            for reason in {flag.reason for flag in self.by_site[key]}
        )

    def with_notes(self, notes: Sequence[str]) -> "Assessment":
        """The same with more notes, which come first."""
        return replace(self, notes=[*notes, *self.notes])

    def to_json(self, plates: Sequence[str]) -> dict[str, Any]:
        """The assessment of some plates as `--json` prints it."""
        return {
            "step": self.step,
            "plates": [self._plate_json(plate) for plate in plates],
            "notes": list(self.notes),
        }

    def _plate_json(self, plate: str) -> dict[str, Any]:
        mine = [flag for flag in self.flags if flag.key.plate == plate]
        return {
            "plate": plate,
            "sites": self.count(plate),
            "flagged": len(self.flagged(plate)),
            "reasons": dict(self.reasons(plate)),
            "unscored": self.unscored.get(plate),
            "flags": [flag.to_json() for flag in mine],
            "cv": [
                {
                    "control": cv.control,
                    "measure": cv.measure,
                    "wells": cv.variation.wells,
                    "cv_percent": cv.variation.cv_percent,
                }
                for cv in self.cvs
                if cv.plate == plate
            ],
        }


def assess(
    step: str, sites: SiteMeasures, settings: QcSection, controls: Controls
) -> Assessment:
    """Judge all sites of a batch.

    Raises
    ------
    ConfigError
        A threshold of the project file is for no measure, or can never be met.
    """
    thresholds = chosen(sites.measures, settings)
    relative = {name: limit for name, limit in thresholds.items() if limit.relative}
    unscored = _unscored(sites, settings.score_sites) if relative else {}
    return Assessment(
        step=step,
        sites=sites,
        thresholds=thresholds,
        flags=flags(sites, thresholds, settings),
        cvs=list(_cvs(sites, controls)),
        unscored=unscored,
        notes=[
            *_few(unscored, settings.score_sites),
            *_small(sites, settings),
            *_without_value(sites, thresholds),
            *_flat(sites, relative, settings),
            *_mostly_empty(sites, relative, settings),
            *_absent_controls(sites, controls),
        ],
    )


def _cvs(sites: SiteMeasures, controls: Controls) -> Iterator[Cv]:
    for plate, wells in sites.wells_of.items():
        spelled = {normal(well): rows for well, rows in wells.items()}
        groups = {ALL_WELLS: frozenset(spelled), **controls.get(plate, {})}
        for measure, values in sites.values.items():
            means = {well: mean(values[rows]) for well, rows in spelled.items()}
            for control, members in groups.items():
                some = np.array([m for well, m in means.items() if well in members])
                if found := variation(some):
                    yield Cv(plate, control, measure, found)


def _mostly_empty(
    sites: SiteMeasures, relative: Mapping[str, ThresholdSection], settings: QcSection
) -> Iterator[str]:
    """Where most images have no contrast to speak of, so that blur cannot be told."""
    for measure, limits in relative.items():
        number = sum(
            spared(sites, limits, comparison)
            for comparison in compared(sites, measure, limits, settings)
        )
        if number:
            have = "has" if number == 1 else "have"
            yield (
                f"{measure}: {counted(number, 'image')} past the limit {have} more "
                f"than {CONTRAST:g} times the contrast of most others, which are empty "
                "or dim: not flagged, for blur cannot be told among these"
            )


def _unscored(sites: SiteMeasures, score_sites: int) -> dict[str, str]:
    few = {p: len(r) for p, r in sites.rows_of.items() if len(r) < score_sites}
    return {
        plate: f"only {counted(count, 'site')}: not scored against each other"
        for plate, count in few.items()
    }


def _few(unscored: Mapping[str, str], score_sites: int) -> Iterator[str]:
    if unscored:
        plate, why = next(iter(unscored.items()))
        yield (
            f"{counted(len(unscored), 'plate')} with fewer than {score_sites} sites, "
            f"such as {plate} ({why}): fixed limits alone flag their sites"
        )


def _small(sites: SiteMeasures, settings: QcSection) -> Iterator[str]:
    least, most = settings.score_sites, settings.plate_sites
    small = [p for p, rows in sites.rows_of.items() if least <= len(rows) < most]
    if small:
        yield (
            f"{counted(len(small), 'plate')} with fewer than {most} sites, "
            f"such as {small[0]}: compared with the whole batch of "
            f"{counted(len(sites.keys), 'site')}"
        )


def _without_value(
    sites: SiteMeasures, thresholds: Mapping[str, ThresholdSection]
) -> Iterator[str]:
    if not thresholds:
        yield "no measure has a threshold: nothing can be flagged"
    for measure in thresholds:
        missing = int(np.isnan(sites.values[measure]).sum())
        if missing:
            sets = counted(missing, "image set")
            yield f"{measure}: {sets} without a value: not judged"


def _flat(
    sites: SiteMeasures, relative: Mapping[str, ThresholdSection], settings: QcSection
) -> Iterator[str]:
    for measure, limits in relative.items():
        flat = [
            comparison
            for comparison in compared(sites, measure, limits, settings)
            if comparison.scored and np.isnan(comparison.scores).all()
        ]
        if flat:
            plate = sites.keys[flat[0].rows[0]].plate
            yield (
                f"{measure}: half or more of its values are the same on "
                f"{counted(len(flat), 'plate')}, such as {plate}: no scores there"
            )


def _absent_controls(sites: SiteMeasures, controls: Controls) -> Iterator[str]:
    there = {p: set(map(normal, wells)) for p, wells in sites.wells_of.items()}
    names = {name for named in controls.values() for name in named}
    for name in sorted(names):
        wells = {p: named[name] for p, named in controls.items() if name in named}
        if not any(wells[plate] & there.get(plate, set()) for plate in wells):
            first = ", ".join(sorted(next(iter(wells.values())))[:3])
            yield f"control {name} ({first}, ...): no plate has results of its wells"
