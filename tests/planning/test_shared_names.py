"""Jobs of one folder whose pipeline names their files alike."""

import re
from dataclasses import replace

import pytest

from cpengine.planning.shared_names import clashes
from cpengine.plates import SITE_KEYS
from cpengine.project import Project
from tests import build

WELL = "Metadata_Plate/Metadata_Well"
GROUPS = [
    tuple(zip(SITE_KEYS, ("P1", well, site), strict=True))
    for well in ("A01", "A02")
    for site in ("1", "2")
]


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return build.project(tmp_path_factory.mktemp("p")).project()


@pytest.mark.parametrize(
    ("structure", "names", "clash"),
    [
        (WELL, ["Image.csv"], "P1-A01-1 and P1-A01-2 one folder, .*Image.csv"),
        (WELL, [r"\g<Site>.png", r"\g<Well>.png"], r"P1-A01-2 .* writes \\g<Well>.png"),
        ("Metadata_Plate", [r"\g<Well>.png"], "name Metadata_Well and Metadata_Site"),
        ("all", [r"\g<Plate>.png"], "name Metadata_Plate and Metadata_Well and "),
        (WELL, [r"\g<Site>.png"], ""),
        (WELL, [r"\g<Site>/x.png"], ""),
        (WELL, [r"\g<Time>.png"], ""),
        (WELL, [], ""),
        ("Metadata_Plate", [r"\g<Well>_\g<Site>.png"], ""),
        ("", ["Image.csv"], ""),
        ("Metadata_Plate-Metadata_Well-Metadata_Site", ["Image.csv"], ""),
    ],
)
def test_files_of_one_name_in_one_folder_are_found(
    project: Project, structure: str, names: list[str], clash: str
) -> None:
    step = replace(project.step("analysis"), output_structure=structure)
    found = [str(finding) for finding in clashes(step, GROUPS, names)]
    assert bool(found) == bool(clash)
    assert all(re.search(clash, line) for line in found)


def test_of_one_job_a_folder_nothing_is_found(project: Project) -> None:
    step = replace(project.step("analysis"), output_structure=WELL)
    assert not list(clashes(step, GROUPS[::2], ["Image.csv"]))
