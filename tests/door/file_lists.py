"""A project whose data file is a list of files, and whose groups a job file has."""

import json
from collections.abc import Iterable
from pathlib import Path

from cpengine.project import Project
from tests.door.old_pipelines import window
from tests.door.pipelines import written
from tests.door.running import STEP

LIST, PIPELINE, OUTPUT = "files.txt", "window.cppipe", "results"
GROUPS = [{"Metadata_Plate": p, "Metadata_Well": "A01"} for p in ("P2", "P1")]


def project_of(
    folder: Path, lines: Iterable[str], more: str = "", ends: str = "\n"
) -> Project:
    """A project whose groups are in a job file of DCP, with its list of files.

    Parameters
    ----------
    more
        Lines of `[storage]` and sections after it; without a root it is the folder.
    """
    (folder / PIPELINE).write_text(written(window()))
    (folder / LIST).write_bytes("".join(f"{line}{ends}" for line in lines).encode())
    places = {"pipeline": PIPELINE, "data_file": LIST, "input": "in", "output": OUTPUT}
    (folder / "job.json").write_text(json.dumps(places | {"groups": GROUPS}))
    root = "" if "root =" in more else 'root = "."\n'
    (folder / "cpengine.toml").write_text(
        f'[project]\nname = "lists"\nbatch = "b"\n[storage]\n{root}{more}'
        f'[steps.{STEP}]\npipeline = "{PIPELINE}"\npipeline_path = "."\n'
        f'data_file = "{LIST}"\ndata_path = "."\noutput = "{OUTPUT}"\n'
        'output_structure = ""\ngroup = ["Metadata_Plate", "Metadata_Well"]\n'
        'job_file = "job.json"\n'
    )
    return Project.load(folder)


def named(images: Path) -> list[Path]:
    """The images whose names say plate and well."""
    return sorted((images / "named").iterdir())
