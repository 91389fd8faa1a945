"""Two steps that publish to the same folders: neither touches the other's files."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from cpengine.errors import InputError
from cpengine.ledger.ledger import Ledger
from cpengine.model import Job, Outcome
from cpengine.project import Project
from tests import build
from tests.publishing import put

STEP = """
[steps.{}]
pipeline = "analysis.cppipe"
data_file = "load_data_with_illum.csv"
group = ["Metadata_Plate", "Metadata_Well", "Metadata_Site"]
output = "{}"
output_structure = "{}"
"""
FIRST = STEP.format("first", "out", "")
SAME = STEP.format("second", "./out/", "Metadata_Plate-Metadata_Well-Metadata_Site/")
VERSION = "4.2.8.1"


class Screen:
    """A project of which one job of each step is run."""

    def __init__(self, root: Path, toml: str = FIRST + SAME) -> None:
        self.root = root
        self.built = build.project(root / "project", toml=toml)

    @property
    def project(self) -> Project:
        return self.built.project()

    def ledger(self, step: str) -> Ledger:
        return self.project.ledger(self.project.step(step))

    def job(self, step: str) -> Job:
        jobs = self.project.plan(step).jobs
        return self.ledger(step).standings(jobs, VERSION)[0].job

    def run(self, step: str, files: Mapping[str, str]) -> None:
        """Publish files as the job of a step does, with its marker."""
        job, ledger = self.job(step), self.ledger(step)
        output = self.root / "output"
        for name, text in files.items():
            build.write(output / name, text)
        build.write(self.root / "log", "a line")
        put(job, ledger, output, files, self.root / "log")
        sizes = {name: len(text) for name, text in files.items()}
        ledger.record(Outcome(job, files=sizes, versions={"cellprofiler": VERSION}))

    def text(self, name: str) -> str | None:
        path = self.built.root / "out/P1-A01-1" / name
        return path.read_text() if path.exists() else None

    def damaged(self, step: str) -> int:
        return len(self.ledger(step).damaged([self.job(step)]))


@pytest.mark.parametrize(
    ("second", "shared"),
    [
        (SAME, True),
        (STEP.format("second", "out", "Metadata_Plate"), False),
        (STEP.format("second", "elsewhere", ""), False),
    ],
)
def test_steps_with_one_output_and_structure_share_places(
    tmp_path: Path, second: str, shared: bool
) -> None:
    screen = Screen(tmp_path, FIRST + second)
    assert screen.job("first").shares_place == shared
    assert not screen.job("analysis").shares_place


@pytest.mark.parametrize(
    ("output", "structure"),
    [
        ("{root}/out", ""),
        ("file://{root}/out", ""),
        ("linked", ""),
        (".", "out/Metadata_Plate-Metadata_Well-Metadata_Site"),
        ("out/P1-A01-1", "Metadata_Plate"),
    ],
)
def test_steps_share_places_however_these_are_spelt(
    tmp_path: Path, output: str, structure: str
) -> None:
    root = tmp_path / "project"
    second = STEP.format("second", output.format(root=root), structure)
    screen = Screen(tmp_path, FIRST + second)
    (root / "linked").symlink_to(root / "out")
    alike = output != "out/P1-A01-1"  # that is one level deeper
    assert screen.job("first").shared == screen.job("second").shared == alike
    if alike:
        screen.run("first", {"Image.csv": "first"})
        with pytest.raises(InputError, match="was made by first P1-A01-1 already"):
            screen.run("second", {"Image.csv": "second"})
        assert screen.text("Image.csv") == "first"
        assert screen.damaged("first") == 0


def test_files_of_other_names_lie_side_by_side(tmp_path: Path) -> None:
    screen = Screen(tmp_path)
    screen.run("first", {"Image.csv": "first", "a.csv": "1"})
    screen.run("second", {"b.csv": "second"})
    screen.run("first", {"Image.csv": "again"})
    assert (screen.text("Image.csv"), screen.text("a.csv")) == ("again", None)
    assert screen.text("b.csv") == "second"
    assert screen.damaged("first") == screen.damaged("second") == 0


def test_a_file_of_another_step_is_not_replaced(tmp_path: Path) -> None:
    screen = Screen(tmp_path)
    screen.run("first", {"Image.csv": "first"})
    why = "P1-A01-1/Image.csv was made by first P1-A01-1 already: give this step anoth"
    with pytest.raises(InputError, match=why):
        screen.run("second", {"Image.csv": "second", "b.csv": "second"})
    assert (screen.text("Image.csv"), screen.text("b.csv")) == ("first", None)
    screen.run("first", {"Image.csv": "again"})
    assert screen.text("Image.csv") == "again"


def test_nor_one_that_a_step_made_before_they_shared_the_place(tmp_path: Path) -> None:
    screen = Screen(tmp_path, FIRST)
    screen.run("first", {"Image.csv": "first"})
    build.write(screen.built.toml, screen.built.toml.read_text() + SAME)
    with pytest.raises(InputError, match=r"Image.csv was made by another step already"):
        screen.run("second", {"Image.csv": "second"})
    screen.run("first", {"Image.csv": "again"})
    assert screen.text("Image.csv") == "again"


def test_a_file_that_is_another_steps_by_now_is_not_removed(tmp_path: Path) -> None:
    screen = Screen(tmp_path, FIRST)
    screen.run("first", {"Image.csv": "first", "a.csv": "1"})
    build.write(screen.built.toml, screen.built.toml.read_text() + SAME)
    (screen.built.root / "out/P1-A01-1/Image.csv").unlink()
    screen.run("second", {"Image.csv": "second"})
    screen.run("first", {"b.csv": "first"})
    assert (screen.text("Image.csv"), screen.text("a.csv")) == ("second", None)


def test_a_file_of_another_job_in_one_folder_says_what_to_name(tmp_path: Path) -> None:
    toml = '[steps.analysis]\noutput_structure = "Metadata_Plate/Metadata_Well"\n'
    screen = Screen(tmp_path, toml)
    screen.run("analysis", {"Image.csv": "of site 1"})
    job, ledger = screen.project.plan("analysis").jobs[1], screen.ledger("analysis")
    build.write(tmp_path / "output/Image.csv", "of site 2")
    why = "name Metadata_Site in output_structure or in the pipeline's file names"
    with pytest.raises(InputError, match=why):
        put(job, ledger, tmp_path / "output", ["Image.csv"], tmp_path / "log")
