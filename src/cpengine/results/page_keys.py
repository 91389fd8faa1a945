"""Where pages are, among the outputs."""

from cpengine.planning.project import ResolvedProject

QUALITY_STEPS = ("qc", "qc_persite")
"""The steps that are there to measure quality; of one batch only one of them is run."""


def project_key(project: ResolvedProject) -> str:
    """The project's page."""
    return project.layout.workspace("report", "index.html")


def report_key(project: ResolvedProject, step: str, batch: str = "") -> str:
    """A step's report, of the project's batch or another one."""
    batch = batch or project.layout.batch
    return project.layout.workspace("report", batch, f"{step}.html")


def quality_folder(project: ResolvedProject, step: str, batch: str = "") -> str:
    """Where the image quality is that a step measured; the usual steps share one."""
    folder = () if step in QUALITY_STEPS else (step,)
    return project.layout.workspace("qc", batch or project.layout.batch, *folder)


def quality_key(project: ResolvedProject, step: str, batch: str = "") -> str:
    """The page of image quality."""
    return f"{quality_folder(project, step, batch)}/quality.html"


def montage_folder(
    project: ResolvedProject, step: str, plate: str, batch: str = ""
) -> str:
    """Where a plate's montages are, by the name of its folder."""
    batch = batch or project.layout.batch
    return project.layout.workspace("montage", batch, step, plate)


def montage_key(
    project: ResolvedProject, step: str, plate: str, batch: str = ""
) -> str:
    """The page of a plate's montages."""
    return f"{montage_folder(project, step, plate, batch)}/index.html"
