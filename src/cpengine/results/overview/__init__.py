"""The project's page, made anew by each run, and the links that lead to all pages.

Each page leaves what the project's page says of it (`step_records`); what a batch
needs next follows from that alone (`next_steps`).
"""

from collections.abc import Iterable
from pathlib import Path

from cpengine.planning.project import ResolvedProject
from cpengine.results.html.links import Links, PageLink
from cpengine.results.overview import page, step_records
from cpengine.results.page_keys import (
    QUALITY_STEPS,
    project_key,
    quality_key,
    report_key,
)


def write(project: ResolvedProject) -> str:
    """Write the project's page from what other pages have left; give where it is.

    Raises
    ------
    StorageError
        The place cannot be read or written.
    """
    outputs, key = project.places.outputs, project_key(project)
    found = step_records.read(project)
    own = found.get(project.layout.batch, {})
    known = _pages(
        project,
        (step for step, known in own.items() if known.jobs and known.jobs.has_report),
        (step for step, known in own.items() if known.quality),
    )
    links = Links(outputs, key)
    text = page.html(project, found, links, _links(links, known, key))
    outputs.write(key, text.encode())
    return outputs.url(key)


def links_from(
    project: ResolvedProject, place: str | Path, label: str
) -> list[PageLink]:
    """What a page begins with: links to the project's page and to its others.

    They are known from one listing. The page itself is among them, whether or not it
    has been written before.

    Parameters
    ----------
    place
        Where the page will be: a key of the outputs, or a local file.
    """
    outputs, layout = project.places.outputs, project.layout
    names = outputs.sizes(layout.workspace("report", layout.batch))

    def steps(end: str) -> Iterable[str]:
        return (name.removesuffix(end) for name in names if name.endswith(end))

    known = _pages(project, steps(".html"), steps(".quality.json"))
    key = str(place) if isinstance(place, str) else ""
    if key:
        known.setdefault(key, label)
    return _links(Links(outputs, place), known, key)


def _pages(
    project: ResolvedProject, reported: Iterable[str], judged: Iterable[str]
) -> dict[str, str]:
    """The labels of pages by their keys, the project's first."""
    steps, quality = set(reported), set(judged)
    found = {project_key(project): "Project"}
    for step in project.step_names:
        if step in steps:
            found[report_key(project, step)] = f"{step} report"
    for step in project.step_names:
        if step in quality:
            named = "Image quality" + ("" if step in QUALITY_STEPS else f" ({step})")
            found[quality_key(project, step)] = named
    return found


def _links(links: Links, known: dict[str, str], current: str) -> list[PageLink]:
    return [
        PageLink(label, links.to(key), key == current) for key, label in known.items()
    ]
