"""The project's page: batches, plates, steps as a grid of states, and what is next."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cpengine.config.steps import STEPS
from cpengine.ledger.standing import JobState
from cpengine.planning.project import ResolvedProject
from cpengine.results.html.links import Links, PageLink
from cpengine.results.html.render import render
from cpengine.results.overview.next_steps import half_collected, needs
from cpengine.results.overview.step_records import (
    Batches,
    CollectedJobs,
    JobsRecord,
    StepRecords,
)
from cpengine.results.page_keys import montage_key, quality_key, report_key
from cpengine.storage.keys import folder_name

MOST_PLATES = 500
"""Of a batch; what further ones stand for is in the reports."""


class GridCell(NamedTuple):
    """A plate's jobs of a step, as the grid shows them."""

    state: str
    """The one that matters most."""
    text: str
    counts: Mapping[str, int]
    href: str = ""


_GRAVEST = (
    JobState.FAILED,
    JobState.MISSING,
    JobState.STALE,
    JobState.LEFT,
    JobState.DONE,
)


def html(
    project: ResolvedProject,
    batches: Batches,
    links: Links,
    pages: Sequence[PageLink] = (),
) -> str:
    """The page of all batches of which something is known, the project's own first."""
    own = project.layout.batch
    order = sorted(batches, key=lambda batch: (batch != own, batch))
    return render(
        "overview/page.html",
        {
            "project": project.layout.project,
            "own": own,
            "pages": pages,
            "states": [state.value for state in JobState],
            "batches": [
                _batch(project, batch, batches[batch], links) for batch in order
            ],
        },
    )


def _batch(
    project: ResolvedProject, batch: str, known: Mapping[str, StepRecords], links: Links
) -> dict[str, Any]:
    steps = {step: known[step] for step in sorted(known, key=_place_in(project))}
    plates = _plates(steps)
    rows = [_step(project, batch, step, steps[step], links) for step in steps]
    return {
        "name": batch,
        "needs": needs(steps),
        "steps": rows,
        "reports": {row["name"]: row["report"] for row in rows},
        "plates": [
            {"name": plate, "cells": _cells(project, batch, plate, steps, links)}
            for plate in plates[:MOST_PLATES]
        ],
        "more": max(0, len(plates) - MOST_PLATES),
        "tables": [step for step, records in steps.items() if records.tables],
        "montages": [step for step, records in steps.items() if records.montage],
    }


def _place_in(project: ResolvedProject) -> Any:
    names = [*STEPS, *project.step_names]
    return lambda step: (names.index(step) if step in names else len(names), step)


def _plates(steps: Mapping[str, StepRecords]) -> list[str]:
    """All plates that have jobs or pages, in the order in which they are known."""
    found: dict[str, str] = {}
    for records in steps.values():
        for known in (records.jobs, records.tables):
            for plate in known.plates if known else ():
                found.setdefault(folder_name(plate), plate)
    for records in steps.values():
        for folder in records.montage.plates if records.montage else ():
            found.setdefault(folder, folder)
    return list(found.values())


def _step(
    project: ResolvedProject, batch: str, step: str, known: StepRecords, links: Links
) -> dict[str, Any]:
    quality = known.quality
    has_report = known.jobs is not None and known.jobs.has_report
    return {
        "name": step,
        "made": known.jobs.made if known.jobs else "",
        "under_way": known.jobs.under_way if known.jobs else "",
        "states": known.jobs.states if known.jobs else {},
        "report": has_report and links.to(report_key(project, step, batch)),
        "quality": quality and links.to(quality_key(project, step, batch)),
        "flagged": quality.flagged if quality else 0,
        "sites": quality.sites if quality else 0,
    }


def _cells(
    project: ResolvedProject,
    batch: str,
    plate: str,
    steps: Mapping[str, StepRecords],
    links: Links,
) -> list[GridCell | None]:
    """A plate's row: its jobs of each step, then its tables, then its montages."""
    shown: list[GridCell | None] = [
        _jobs_cell(known.jobs, plate) for known in steps.values()
    ]
    shown += [_tables_cell(k, plate) for k in steps.values() if k.tables]
    for step, known in steps.items():
        if known.montage:
            folder = folder_name(plate)
            key = montage_key(project, step, folder, batch)
            there = folder in known.montage.plates
            shown.append(GridCell("", "view", {}, links.to(key)) if there else None)
    return shown


def _jobs_cell(jobs: JobsRecord | None, plate: str) -> GridCell | None:
    counts = jobs.plates.get(plate) if jobs else None
    if not counts:
        return None
    known = {state.value: counts.get(state, 0) for state in JobState}
    state = next((s for s in _GRAVEST if known[s]), JobState.LEFT)
    text = ", ".join(f"{number:,} {name}" for name, number in known.items() if number)
    return GridCell(state, text, known)


def _tables_cell(known: StepRecords, plate: str) -> GridCell | None:
    collected = known.tables.plates.get(plate) if known.tables else None
    if not collected:
        return None
    half = known.jobs is not None and half_collected(plate, known.tables, known.jobs)
    text = _collected(collected)
    if half:
        text += ", half collected" if collected.lacking else ", of earlier results"
    return GridCell("stale" if half else "done", text, {})


def _collected(found: CollectedJobs) -> str:
    whole = found.jobs + sum(found.left_out.values())
    return f"{found.jobs:,} of {whole:,} jobs"
