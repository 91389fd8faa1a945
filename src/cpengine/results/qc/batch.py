"""The image quality of a project's batch: read from its jobs, judged, written."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from cpengine.config.qc import QcSection
from cpengine.errors import InputError
from cpengine.inputs.loaddata import read_as_loaddata
from cpengine.ledger.ledger import step_ledger
from cpengine.ledger.standing import JobState
from cpengine.planning.plan import EVERYTHING, plate_of
from cpengine.planning.project import ResolvedProject
from cpengine.plates import PLATE, WELL, Part
from cpengine.results import overview
from cpengine.results.overview.step_records import QualityRecord, keep
from cpengine.results.page_keys import QUALITY_STEPS, quality_folder, quality_key
from cpengine.results.qc import assess, controls, images, page, tables
from cpengine.results.qc.assess import Assessment
from cpengine.results.qc.controls import Controls
from cpengine.results.qc.images import Row, SiteKey, SiteMeasures
from cpengine.run.session import Steps, Todo
from cpengine.storage.keys import folder_name
from cpengine.wording import counted

_FLAGGED, _CV = "flagged_sites.csv", "cv.csv"


def settings_of(project: ResolvedProject) -> QcSection:
    """The project file's `[qc]`."""
    return project.file.qc


def default_step(project: ResolvedProject) -> str:
    """The quality step that has run.

    Raises
    ------
    InputError
        Neither has.
    """
    outputs, place = project.places.outputs, project.layout.ledger("")
    there = outputs.folders(place)
    for name in QUALITY_STEPS:
        if name in there:
            return name
    raise InputError(
        f"{outputs.url(place).rstrip('/')}: neither {' nor '.join(QUALITY_STEPS)} has "
        "run: run `cpengine run qc`, or name another step that has"
    )


def judge(
    project: ResolvedProject,
    step: str,
    part: Part = EVERYTHING,
    *,
    settings: QcSection | None = None,
    cellprofiler: str = "",
) -> Assessment:
    """Judge the batch by what a step has measured.

    Parameters
    ----------
    part
        The plates to read again; others are taken from their tables, where they have
        been judged before.
    settings
        Default: the project file's.
    cellprofiler
        The version whose results count as done. Of any, if empty.

    Raises
    ------
    ConfigError, InputError
        A setting is wrong, nothing is done yet, or no measures are there.
    """
    settings = settings or settings_of(project)
    todo = Steps(project, [step], part, cellprofiler, unchecked=True).plan(step)
    rows, notes = _rows(project, todo, settings.measures)
    if part.plates:
        rows += _unchanged_rows(project, todo, settings.measures)
    sites = SiteMeasures.of(rows)
    if not sites.values:
        raise InputError(
            f"{step}: its Image.csv have no column {', '.join(settings.measures)}: add "
            "MeasureImageQuality to the pipeline, or set qc.measures"
        )
    found = assess.assess(step, sites, settings, _controls(project, sites, settings))
    by_plate = all(plate_of(j) and not j.whole_table for j in todo.plan.jobs)
    judged = dict.fromkeys(map(plate_of, todo.plan.jobs)) if by_plate else found.plates
    return replace(
        found.with_notes(notes),
        judged=tuple(judged),
        planned=_wells(todo),
        plate_format=project.file.plate.format,
    )


def _wells(todo: Todo) -> dict[str, set[str]]:
    """The wells of each plate of a plan, as far as its jobs are of wells."""
    found: dict[str, set[str]] = {}
    for values in map(dict, todo.plan.jobs.groups):
        found.setdefault(values.get(PLATE, ""), set()).add(values.get(WELL, ""))
    return found


def _rows(
    project: ResolvedProject, todo: Todo, wanted: Sequence[str]
) -> tuple[list[Row], list[str]]:
    """The image sets of a plan's done jobs, and what there is to say of the others."""
    step = todo.plan.step.name
    states = Counter(standing.state for standing in todo.standings)
    done = [s for s in todo.standings if s.state is JobState.DONE]
    others = ", ".join(
        f"{states[state]} {state}" for state in JobState if state is not JobState.DONE
    )
    if not done:
        raise InputError(
            f"{step}: none of {counted(len(todo.standings), 'job')} is done "
            f"({others}): run `cpengine run {step}` first"
        )
    rows, left_out = images.of_jobs(step_ledger(project, todo.plan.step), done, wanted)
    if not rows:
        raise InputError(
            f"{step}: none of {counted(len(done), 'done job')} has an Image.csv: let "
            "ExportToSpreadsheet export Image"
        )
    notes = []
    if len(done) < len(todo.standings):
        total = counted(len(todo.standings), "job")
        notes.append(f"{len(done)} of {total} done ({others}): the others are left out")
    for count, why in zip(left_out, ("without an", "with a damaged"), strict=True):
        if count:
            notes.append(f"{counted(count, 'done job')} {why} Image.csv: left out")
    return rows, notes


def _unchanged_rows(
    project: ResolvedProject, todo: Todo, wanted: Sequence[str]
) -> Iterator[Row]:
    """The image sets of plates that are not read again, from their own tables."""
    again = {plate_of(job) for job in todo.plan.jobs}
    outputs = project.places.outputs
    step, plates = todo.plan.step.name, project.file.project.plates
    named = None if plates == "all" else set(plates)
    if named:  # tables go by the plate that LoadData reads, 12 for 0012
        named |= {read_as_loaddata(PLATE, [plate])[0] for plate in named}
    for plate in outputs.folders(_key(project, step)):
        if plate in again or (named is not None and plate not in named):
            continue
        key, cure = _table_key(project, step, plate), f"run `cpengine qc {step}` again"
        yield from images.undamaged(outputs, key, wanted, cure=cure)


def _controls(
    project: ResolvedProject, sites: SiteMeasures, settings: QcSection
) -> Controls:
    if settings.controls:
        return controls.of_settings(settings, sites.rows_of)
    folder = project.layout.workspace("metadata", "platemaps", project.layout.batch)
    return controls.of_platemaps(project.places.workspace, folder, sites.rows_of)


@dataclass(frozen=True, slots=True)
class Written:
    """Where an assessment was written to: paths or addresses."""

    page: str
    flagged: str
    cv: str
    tables: tuple[str, ...]
    """One a plate."""


def write(project: ResolvedProject, found: Assessment) -> Written:
    """Write tables and page; the flagged sites last, so that they are never ahead.

    Raises
    ------
    StorageError
        The workspace cannot be written.
    """
    outputs = project.places.outputs

    def put(key: str, text: str) -> str:
        outputs.write(key, text.encode())
        return outputs.url(key)

    plates = tuple(
        put(_table_key(project, found.step, plate), tables.image_quality(found, plate))
        for plate in found.plates
    )
    written = Written(
        tables=plates,
        cv=put(_key(project, found.step, _CV), tables.cv(found)),
        page=put(quality_key(project, found.step), _page(project, found)),
        flagged=put(_key(project, found.step, _FLAGGED), tables.flagged_sites(found)),
    )
    sites = sum(map(found.count, found.plates))
    record = QualityRecord(sites, len(found.by_site), found.plates)
    keep(project, found.step, record)
    overview.write(project)
    return written


def _page(project: ResolvedProject, found: Assessment) -> str:
    key, layout = quality_key(project, found.step), project.layout
    pages = overview.links_from(project, key, "Image quality")
    return page.page(found, layout.project, layout.batch, pages)


def flagged(project: ResolvedProject) -> frozenset[SiteKey]:
    """The sites (plate, well, site) that are flagged by any step that was judged.

    Raises
    ------
    InputError
        The batch was never judged, or a table is damaged.
    """
    outputs = project.places.outputs
    keys = dict.fromkeys(_key(project, s, _FLAGGED) for s in project.step_names)
    found = {key: outputs.read_if_there(key) for key in keys}
    there = {key: data for key, data in found.items() if data is not None}
    if not there:
        raise InputError(
            f"{outputs.url(next(iter(keys)))}: is not there: run `cpengine qc` first"
        )
    return frozenset[SiteKey]().union(
        *(tables.keys_of(data, outputs.url(key)) for key, data in there.items())
    )


def _key(project: ResolvedProject, step: str, *parts: str) -> str:
    """A key of what is written."""
    return "/".join((quality_folder(project, step), *parts))


def _table_key(project: ResolvedProject, step: str, plate: str) -> str:
    name = folder_name(plate)
    return _key(project, step, name, f"{name}_image_quality.csv")
