"""Projects that are broken in one way each: the check names the rule, place and cure.

Each case breaks a copy of the demo, which is sound.
"""

import json
import re
import shutil
from pathlib import Path

import pytest

from cpengine.cellprofiler.find import CellProfiler
from cpengine.demo.make import Size, make
from cpengine.plates import Part
from cpengine.project import Project
from cpengine.rules import RULES, Finding, Severity
from cpengine.run.session import Steps
from tests.plain_runs import Cpengine
from tests.run.breaks import PIPELINES, Break, csv, dropped, module, pipe
from tests.run.broken_projects import CASES


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """The demo with and without planes, as it is made."""
    folder = tmp_path_factory.mktemp("demos")
    for planes in (1, 3):
        make(folder / str(planes), Size(1, 5, 2, 128, planes), lambda done, total: None)
    return {planes > 1: folder / str(planes) for planes in (1, 3)}


def check(
    root: Path, steps: tuple[str, ...], cellprofiler: CellProfiler | None = None
) -> list[Finding]:
    project = Project.load(root)
    found = Steps(project, steps, Part(), "4.2.8.1", program=cellprofiler).checked()
    return [finding for step in found for finding in step.findings]


@pytest.mark.parametrize("planes", [False, True])
def test_the_sound_demo_gives_no_finding(
    demos: dict[bool, Path], tmp_path: Path, cellprofiler: CellProfiler, planes: bool
) -> None:
    root = shutil.copytree(demos[planes], tmp_path / "demo")
    steps = (*(("zproj",) if planes else ()), "qc", "illum", "assaydev", "analysis")
    assert check(root, steps, cellprofiler) == []


@pytest.mark.parametrize("name", CASES)
def test_what_is_broken_is_found(
    demos: dict[bool, Path], tmp_path: Path, name: str
) -> None:
    case = CASES[name]
    root = shutil.copytree(demos[case.planes], tmp_path / "demo")
    case.breaks(root)
    found = check(root, case.steps)
    of_rule = [finding for finding in found if finding.rule.name == case.rule]
    assert of_rule, list(map(str, found))
    assert case.place in of_rule[0].place
    assert case.cure in of_rule[0].cure
    if of_rule[0].severity is Severity.WARNING:  # then nothing else is wrong
        assert [f for f in found if f.severity is Severity.ERROR] == []


def _revision(module: str, number: int) -> Break:
    """Say that another revision of a module has saved the analysis pipeline."""

    def breaks(root: Path) -> None:
        path = root / PIPELINES / "analysis.cppipe"
        head = re.compile(rf"(?<=\n{module}:\[)(.*?variable_revision_number:)\d+")
        path.write_text(head.sub(rf"\g<1>{number}", path.read_text()))

    return breaks


@pytest.mark.cellprofiler
@pytest.mark.parametrize(
    ("breaks", "rule", "cause"),
    [
        (
            pipe("analysis", "\nMeasureTexture:[", "\nMeasureTextures:["),
            "module-unknown",
            "MeasureTextures is no module of CellProfiler 4.2.8",
        ),
        (
            _revision("MeasureColocalization", 1),
            "pipeline-does-not-load",
            "Automatic upgrade for this module is not supported",
        ),
        (
            _revision("MeasureColocalization", 99),
            "module-newer",
            "module 10 MeasureColocalization has revision 99",
        ),
        (
            pipe(
                "analysis",
                "Select the input objects:Nuclei",
                "Select the input objects:Nucleus",
            ),
            "module-invalid",
            "Nucleus",
        ),
    ],
)
def test_what_cellprofiler_itself_objects_to_is_found(
    demos: dict[bool, Path],
    tmp_path: Path,
    cellprofiler: CellProfiler,
    breaks: Break,
    rule: str,
    cause: str,
) -> None:
    root = shutil.copytree(demos[False], tmp_path / "demo")
    breaks(root)
    for _ in range(2):  # the second time it is known
        found = check(root, ("illum", "analysis"), cellprofiler)
        (finding,) = found
        assert finding.rule.name == rule
        assert cause in finding.cause
        assert finding.place.endswith("analysis.cppipe")


@pytest.mark.cellprofiler
def test_a_missing_channel_is_one_finding(
    demos: dict[bool, Path], tmp_path: Path, cpengine: Cpengine
) -> None:
    root = shutil.copytree(demos[False], tmp_path / "demo")
    dropped("FileName_OrigER")(root)
    dropped("PathName_OrigER")(root)
    ran = cpengine("check", "illum", "analysis", "-C", root)
    assert re.search(r"^illum: 1 job, 10 image sets: 1 error$", ran.stdout, re.M)
    assert re.search(r"^analysis: .*: 1 error, 1 of them above$", ran.stdout, re.M)
    assert ran.stdout.count("what to do: ") == 1
    ran = cpengine("run", "illum", "analysis", "-C", root)
    assert len(ran.stderr.splitlines()) == 1
    assert ran.stderr.endswith("add FileName_OrigER and PathName_OrigER\n")


@pytest.mark.cellprofiler
def test_pipeline_that_finds_its_images_itself_has_one_finding(
    demos: dict[bool, Path], tmp_path: Path, cellprofiler: CellProfiler
) -> None:
    root = shutil.copytree(demos[False], tmp_path / "demo")
    pipe("qc", "LoadData:[", "Images:[")(root)
    (finding,) = check(root, ("qc",), cellprofiler)
    assert finding.rule.name == "loaddata-missing"


@pytest.mark.cellprofiler
def test_the_command_says_all_and_fails(
    demos: dict[bool, Path], tmp_path: Path, cpengine: Cpengine
) -> None:
    root = shutil.copytree(demos[False], tmp_path / "demo")
    pipe("illum", "When to save:Last cycle", "When to save:Every cycle")(root)
    pipe("illum", "DateRevision:428", "DateRevision:500")(root)
    csv(lambda rows: rows[:-1])(root)
    ran = cpengine("check", "illum", "-C", root, "--json")
    assert ran.returncode == 2
    (step,) = json.loads(ran.stdout)["steps"]
    assert (step["step"], step["jobs"], step["image_sets"]) == ("illum", 1, 9)
    rules = {finding["rule"]: finding["severity"] for finding in step["findings"]}
    assert rules == {
        "saves-over-itself": "error",
        "pipeline-newer": "warning",
        "sites-missing": "warning",
        "module-doubtful": "warning",
    }
    ran = cpengine("check", "illum", "-C", root)
    assert ran.returncode == 2
    assert re.search(r"illum: 1 job, 9 image sets: 1 error, \d warning", ran.stdout)
    assert "what to do: use metadata in the name" in ran.stdout


@pytest.mark.cellprofiler
def test_warnings_fail_only_where_that_is_wanted(
    demos: dict[bool, Path], tmp_path: Path, cpengine: Cpengine
) -> None:
    root = shutil.copytree(demos[False], tmp_path / "demo")
    csv(lambda rows: rows[:-1])(root)
    assert cpengine("check", "illum", "-C", root).returncode == 0
    ran = cpengine("check", "illum", "-C", root, "--strict")
    assert ran.returncode == 2
    assert "fewer sites than the 2 of most" in ran.stdout


@pytest.mark.cellprofiler
def test_without_names_the_steps_with_pipelines_are_checked(
    demos: dict[bool, Path], tmp_path: Path, cpengine: Cpengine
) -> None:
    root = shutil.copytree(demos[True], tmp_path / "demo")
    ran = cpengine("check", "-C", root, "--json")
    assert ran.returncode == 0, ran.stdout
    steps = json.loads(ran.stdout)["steps"]
    names = ["zproj", "qc", "illum", "assaydev", "analysis"]
    assert [step["step"] for step in steps] == names
    writes = {step["step"]: step["writes"] for step in steps}
    tables = ["Image.csv", "Nuclei.csv", "Cells.csv", "Cytoplasm.csv", "Experiment.csv"]
    assert writes["analysis"][:2] == [
        "outlines/\\g<Well>_s\\g<Site>--nuclei_outlines.png",
        "outlines/\\g<Well>_s\\g<Site>--cell_outlines.png",
    ]
    assert sorted(writes["analysis"][2:]) == sorted(tables)
    assert "\\g<Plate>_IllumDNA.npy" in writes["illum"]


@pytest.mark.cellprofiler
def test_a_place_that_cannot_be_used_is_found(
    demos: dict[bool, Path], tmp_path: Path, cpengine: Cpengine
) -> None:
    ran = cpengine("check", "illum", "-C", demos[False], "--on", "dask", "--json")
    assert ran.returncode == 2
    (place,) = json.loads(ran.stdout)["place"]
    assert (place["rule"], place["place"]) == ("setting", "executors.dask.address")


@pytest.mark.cellprofiler
def test_a_run_stops_for_what_is_found_unless_it_is_unchecked(
    demos: dict[bool, Path], tmp_path: Path, cpengine: Cpengine
) -> None:
    root = shutil.copytree(demos[False], tmp_path / "demo")
    module("illum", "CreateBatchFiles")(root)
    ran = cpengine("run", "illum", "-C", root)
    assert ran.returncode == 2
    assert "CreateBatchFiles is enabled" in ran.stderr
    assert not (root / "projects/demo/workspace/cpengine").exists()
    ran = cpengine("run", "illum", "-C", root, "--unchecked", "--dry-run")
    assert ran.returncode == 0, ran.stderr
    assert "would run 1 of 1 job" in ran.stdout


def test_a_step_is_given_before_the_next_is_checked(
    demos: dict[bool, Path], tmp_path: Path
) -> None:
    root = shutil.copytree(demos[False], tmp_path / "demo")
    steps = Steps(Project.load(root), ("qc", "illum"), Part(), "4.2.8.1").check_each()
    assert next(steps).findings == ()
    (root / PIPELINES / "illum.cppipe").unlink()
    (finding,) = next(steps).findings
    assert finding.rule.name == "pipeline-missing"


def test_the_corpus_is_large_and_touches_nearly_every_rule() -> None:
    assert len(CASES) >= 60
    elsewhere = {
        "batch-file",
        "cellprofiler",
        "csv-illum-elsewhere",
        "csv-outdated",
        "executor",
        "file-list",
        "file-listed",
        "flagged-kept",
        "flagged-left-out",
        "input-failed",
        "input-replaced",
        "input-stale",
        "input-unfinished",
        "input-unmarked",
        "module-doubtful",
        "module-invalid",
        "module-newer",
        "output-of-others",
        "mysqldb-missing",
        "pipeline-does-not-load",
        "plain-modules",
        "scratch-space",
        "timepoints-merged",
    }
    of_runs = {name for name in RULES if not name.startswith("gallery-")}
    assert of_runs - elsewhere == {case.rule for case in CASES.values()}
