"""The live view as lines that fit a terminal. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from rich.text import Text

from cpengine.run.progress import drawing
from cpengine.run.progress.counts import Counts, RunningJob
from cpengine.run.progress.drawing import PlateGrid
from cpengine.run.progress.failing import Failing
from cpengine.run.progress.glyphs import DONE, FAILED, LEFT, RUNNING, Glyphs
from cpengine.run.progress.plate_map import Box, PlateMap, Plates
from cpengine.wording import counted

_BAR = 24
_CAUSES = 5
_FEW_CAUSES = 2
"""So many on a terminal of less than `_TALL` lines."""
_TALL = 30


@dataclass
class Scene:
    """What a picture is made of."""

    name: str
    counts: Counts
    plates: Plates
    box: Box | None
    failing: Failing
    glyphs: Glyphs


def picture(scene: Scene, width: int, height: int) -> list[Text]:
    """At most `height` lines, none wider than `width`.

    What matters most comes first where room is short: numbers, causes of failures,
    plates under way, at least one running job, more of these, other plates.
    """
    lines = [_pace(scene, width), _states(scene)]
    lines += _causes(scene, height - len(lines))
    free = height - len(lines)
    running = list(scene.counts.running.values())
    grid, shown = _mapped(scene, width, free, len(running))
    maps = drawing.side_by_side(grid, shown, width, scene.glyphs) if grid else []
    free -= len(maps)
    others = _others(scene, {plate.name for plate in shown}, free)
    for_others = min(len(others), max(free - len(running), free // 3))
    jobs = _fit(_running(scene.counts, running, free), len(running), free - for_others)
    total = len(scene.plates) - len(shown) if others else 0
    lines += [*jobs, *maps, *_fit(others, total, free - len(jobs), "plate")]
    for line in lines:
        line.truncate(max(1, width), overflow=scene.glyphs.cut)
    return lines[: max(0, height)]


# --- numbers -------------------------------------------------------------------------


def _pace(scene: Scene, width: int) -> Text:
    counts = scene.counts
    seen = counts.seen_image_sets / max(1, counts.image_sets)
    line = Text(scene.name, style="bold")
    line.append(" ").append_text(_bar(seen, min(_BAR, width // 4), scene.glyphs))
    took = timedelta(seconds=int(counts.elapsed_s))
    return line.append(
        f" {seen:4.0%}  {counts.per_minute:.1f} image sets/min  {took}  "
        f"ETA {counts.eta}",
        style="not bold",
    )


def _bar(share: float, width: int, glyphs: Glyphs) -> Text:
    filled = min(width, round(width * share))
    return Text.assemble(
        (glyphs.bar * filled, "not bold green"),
        (glyphs.rest * (width - filled), "not bold dim"),
    )


def _states(scene: Scene) -> Text:
    """Jobs by state, with the characters that stand for these."""
    counts, glyphs = scene.counts, scene.glyphs
    line = Text("  ")
    for glyph, style, text in (
        (glyphs.done, DONE, f"{counts.done}/{counts.jobs} done"),
        (glyphs.running, RUNNING, f"{len(counts.running)} running"),
        (glyphs.failed, FAILED, f"{counts.failed} failed"),
        (glyphs.left, LEFT, f"{counts.left} left"),
    ):
        line.append(glyph, style).append(f" {text}  ")
    if len(scene.plates) > 1:
        line.append(f"{scene.plates.over}/{len(scene.plates)} plates  ")
    if counts.retried:
        line.append(f"{counts.retried} tried again  ")
    if counts.already:
        line.append(f"{counts.already} done before")
    line.rstrip()
    return line


def _causes(scene: Scene, room: int) -> list[Text]:
    most = min(room, _CAUSES if room >= _TALL else _FEW_CAUSES)
    causes = scene.failing.commonest(max(0, most))
    lines = [
        Text.assemble("  ", (scene.glyphs.failed, FAILED), f" {cause}")
        for cause in causes
    ]
    return _fit(lines, len(scene.failing), most, "cause")


# --- jobs ----------------------------------------------------------------------------


def _running(counts: Counts, running: Sequence[RunningJob], most: int) -> list[Text]:
    """A line a job, those that have run longest first."""
    shown = running[: max(0, most)]
    width = max((len(running_job.job.id) for running_job in shown), default=0)
    return [
        Text(
            f"  {running_job.job.id:<{width}}  {_doing(counts, running_job)}",
            style="dim",
        )
        for running_job in shown
    ]


def _doing(counts: Counts, running: RunningJob) -> str:
    took = timedelta(seconds=int(counts.took_s(running)))
    sets = running.job.image_sets
    words = [str(took)]
    if running.attempt > 1:
        words.append(f"try {running.attempt}")
    if sets > 1 and running.module_num:
        words.append(f"image set {min(sets, running.finished + 1)} of {sets}")
    if running.module_num:
        known = counts.modules >= running.module_num
        of = f" of {counts.modules}" if known else ""
        words.append(f"module {running.module_num}{of}")
    return "  ".join([*words, running.doing])


# --- plates --------------------------------------------------------------------------


def _mapped(
    scene: Scene, width: int, free: int, running: int
) -> tuple[PlateGrid | None, list[PlateMap]]:
    """The plates that are drawn as maps, and how.

    With room between wells, if that does not cost a plate with running jobs.
    """
    for reserved in (min(running, free // 5), min(running, 1)):
        fits = [
            (drawing.room(grid, width, free - reserved), grid)
            for grid in drawing.grids(scene.box, width)
        ]
        wanted = max(1, scene.plates.under_way)
        for fit, grid in sorted(fits, key=lambda fit: -min(fit[0], wanted)):
            plates = list(islice(scene.plates.in_sight(), max(0, fit)))
            if plates:
                return grid, sorted(plates, key=lambda plate: plate.order)
    return None, []


def _others(scene: Scene, drawn: set[str], most: int) -> list[Text]:
    """A line a plate that is not drawn."""
    named = (plate for plate in scene.plates.in_sight() if plate.name not in drawn)
    listed = (plate for plate in named if plate.name and not _is_one_job(plate))
    shown = list(islice(listed, max(0, most)))
    width = max((len(plate.name) for plate in shown), default=0)
    return [_plate(plate, width, scene.glyphs) for plate in shown]


def _is_one_job(plate: PlateMap) -> bool:
    """Whether the line of its running job says all of it."""
    return plate.jobs == 1 and plate.running == 1


def _plate(plate: PlateMap, width: int, glyphs: Glyphs) -> Text:
    glyph, style = glyphs.well(plate.jobs, plate.running, plate.done, plate.failed)
    line = Text.assemble("  ", (glyph, style), f" {plate.name:<{width}}  ")
    line.append(f"{plate.done}/{plate.jobs} done")
    if plate.running:
        line.append(f", {plate.running} running")
    if plate.failed:
        line.append(f", {plate.failed} failed", FAILED)
    return line


# --- room ----------------------------------------------------------------------------


def _fit(lines: Iterable[Text], total: int, most: int, what: str = "job") -> list[Text]:
    """As many lines as there is room for; the last one says how many are not shown.

    Parameters
    ----------
    total
        How many there are, shown or not.
    """
    shown = list(islice(lines, max(0, most)))
    if total > len(shown) and shown and most > 1:
        if len(shown) == most:
            shown.pop()
        rest = counted(total - len(shown), what)
        shown.append(Text(f"  and {rest} more", style="dim"))
    return shown
