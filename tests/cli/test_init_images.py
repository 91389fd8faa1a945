"""`cpengine init --images`: what it writes, shows and refuses."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cpengine import cli
from cpengine.inputs import pipeline
from cpengine.project import Project
from tests.door.old_pipelines import window
from tests.door.pipelines import as_json, load_data, measure, module, written
from tests.inputs.image_index.acquisition import Acquisition
from tests.inputs.image_index.harmony_writer import write_harmony

WORKSPACE = "projects/scr/workspace"
TABLE = f"{WORKSPACE}/load_data_csv/B1/P1/load_data.csv"
PIPELINES = f"{WORKSPACE}/pipelines/B1"
TWO_FOR_QC = ("--pipeline", "qc=ok.cppipe", "--pipeline", "qc=none2.cppipe")
CHANNELS = ("--channel", "ch1=DNA", "--channel", "ch2=ER")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    write_harmony(folder / "P1", Acquisition())
    return folder


@pytest.fixture
def analysis(tmp_path: Path) -> Path:
    """A pipeline that wants the image DNA."""
    path = tmp_path / "analysis.cppipe"
    path.write_text(written(measure(tags="Plate,Well,Site")))
    return path


def init(tmp_path: Path, *arguments: str | Path) -> tuple[int, str]:
    words = ["init", tmp_path / "new/screen", "--name", "scr", "--batch", "B1"]
    ran = CliRunner().invoke(cli.app, [*map(str, words), *map(str, arguments)])
    return ran.exit_code, ran.output


def test_tables_and_pipelines_are_in_their_places(
    tmp_path: Path, images: Path, analysis: Path
) -> None:
    qc = tmp_path / "mine.cppipe"
    qc.write_bytes(analysis.read_bytes())
    code, output = init(
        *(tmp_path, "--images", images, *CHANNELS),
        *("--pipeline", analysis, "--pipeline", f"qc={qc}"),
    )
    assert code == 0, output
    project = tmp_path / "new/screen"
    assert "PerkinElmer/Revvity Harmony" in output
    assert f"new file: {project / TABLE}\n" in output
    assert output.endswith(f"then: cpengine check -C {project}\n")
    for name in ("analysis.cppipe", "qc.cppipe"):
        assert (project / PIPELINES / name).read_bytes() == analysis.read_bytes()
    plan = Project.load(project).plan("analysis")
    assert [job.id for job in plan.jobs] == [
        f"P1-{well}-{site}" for well in ("A01", "B11") for site in (1, 2)
    ]


def test_without_a_pipeline_it_says_where_pipelines_go(
    tmp_path: Path, images: Path
) -> None:
    code, output = init(tmp_path, "--images", images)
    assert code == 0, output
    assert f"pipelines go to {tmp_path / 'new/screen' / PIPELINES}" in output
    assert (tmp_path / "new/screen" / TABLE).exists()


def test_example_pipelines_are_for_the_channels_of_the_folder(
    tmp_path: Path, images: Path
) -> None:
    code, output = init(tmp_path, "--images", images, "--example-pipelines")
    assert code == 0, output
    assert "find nuclei in DAPI and cells in Alexa_568" in output
    project = tmp_path / "new/screen"
    names = {path.name for path in (project / PIPELINES).iterdir()}
    assert names == {"qc.cppipe", "illum.cppipe", "assaydev.cppipe", "analysis.cppipe"}
    assert len(Project.load(project).plan("illum").jobs) == 1


def test_example_pipelines_leave_out_what_not_all_plates_have_and_say_so(
    tmp_path: Path,
) -> None:
    for plate, channel in (("P1", "FITC"), ("P2", "TRITC")):
        acquired = Acquisition(plate, channels=("DAPI", channel))
        write_harmony(tmp_path / "two" / plate, acquired)
    code, output = init(tmp_path, "--images", tmp_path / "two", "--example-pipelines")
    assert code == 0
    assert "the example pipelines leave out FITC, TRITC, which not all" in output


def test_plates_without_a_common_channel_are_refused(tmp_path: Path) -> None:
    for plate, channel in (("P1", "FITC"), ("P2", "TRITC")):
        acquired = Acquisition(plate, channels=(channel,))
        write_harmony(tmp_path / "two" / plate, acquired)
    code, output = init(tmp_path, "--images", tmp_path / "two", "--example-pipelines")
    assert code == 2
    assert "no channel is in all plates (P1: FITC; P2: TRITC): call" in output


def test_example_pipelines_name_files_after_timepoints(tmp_path: Path) -> None:
    write_harmony(tmp_path / "P1", Acquisition(timepoints=2))
    code, output = init(tmp_path, "--images", tmp_path / "P1", "--example-pipelines")
    assert code == 0, output
    text = (tmp_path / "new/screen" / PIPELINES / "analysis.cppipe").read_text()
    assert r"\g<Well>_s\g<Site>_t\g<TimepointID>--cell_outlines" in text


def test_example_pipelines_are_not_for_stacks_of_timepoints(tmp_path: Path) -> None:
    write_harmony(tmp_path / "P1", Acquisition(timepoints=2, planes=2))
    code, output = init(tmp_path, "--images", tmp_path / "P1", "--example-pipelines")
    assert code == 2
    assert "has stacks of several timepoints, which the example zproj would" in output


def test_a_pipeline_that_wants_functions_which_nothing_makes_is_noted(
    tmp_path: Path, images: Path
) -> None:
    path = tmp_path / "analysis.cppipe"
    wanted = {"Select images to measure": "DNA, IllumDNA"}
    modules = [load_data("Plate,Well,Site"), module("MeasureImageIntensity", 4, wanted)]
    path.write_text(written(modules))
    code, output = init(tmp_path, "--images", images, *CHANNELS, "--pipeline", path)
    assert code == 0, output
    place = tmp_path / "new/screen" / PIPELINES / "illum.cppipe"
    says = f"{path} wants IllumDNA, and no pipeline makes it: put an illumination"
    assert says in output
    assert f"pipeline there, too: {place}\n" in output


def test_own_pipelines_go_before_the_examples(
    tmp_path: Path, images: Path, analysis: Path
) -> None:
    options = ("--example-pipelines", "--pipeline", analysis, *CHANNELS)
    code, output = init(tmp_path, "--images", images, *options)
    assert code == 0, output
    folder = tmp_path / "new/screen" / PIPELINES
    assert (folder / "analysis.cppipe").read_bytes() == analysis.read_bytes()
    assert (folder / "illum.cppipe").exists()


def test_a_pipeline_as_json_keeps_its_ending(tmp_path: Path, images: Path) -> None:
    path = tmp_path / "analysis.json"
    path.write_text(as_json(measure(tags="Plate,Well,Site")))
    code, output = init(tmp_path, "--images", images, "--pipeline", path, *CHANNELS)
    assert code == 0, output
    assert len(Project.load(tmp_path / "new/screen").plan("analysis").jobs) == 4


@pytest.mark.parametrize(
    "options", [["--dry-run"], ["--channel", "ch1=DNA", "--pipeline", "er.cppipe"]]
)
def test_what_is_not_done_leaves_nothing(
    tmp_path: Path, images: Path, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wants_er = module("MeasureImageIntensity", 4, {"Select images to measure": "ER"})
    modules = [load_data("Plate,Well,Site"), wants_er]
    pipelines = ("er.cppipe", "analysis.cppipe")
    for name in pipelines:
        Path(name).write_text(written(modules))
    options = [o.replace("er.cppipe", "analysis.cppipe") for o in options]
    before = sorted(tmp_path.rglob("*"))
    code, output = init(tmp_path, "--images", images, *options)
    assert code == (0 if options == ["--dry-run"] else 2), output
    assert sorted(tmp_path.rglob("*")) == before


def test_incomplete_sets_stop_it_unless_they_are_allowed(
    tmp_path: Path, images: Path
) -> None:
    (images / "P1/Images/r01c01f01p01-ch2sk1fk1fl1.tiff").unlink()
    code, output = init(tmp_path, "--images", images)
    assert code == 1
    assert "problem: r01c01f01p01-ch2sk1fk1fl1.tiff: is in the index" in output
    assert "1 problem: nothing is written" in output
    assert not (tmp_path / "new").exists()
    code, output = init(tmp_path, "--images", images, "--allow-incomplete")
    assert code == 0, output
    assert len((tmp_path / "new/screen" / TABLE).read_text().splitlines()) == 1 + 3


def test_files_that_are_there_are_not_replaced(tmp_path: Path, images: Path) -> None:
    path = tmp_path / "new/screen" / TABLE
    path.parent.mkdir(parents=True)
    path.write_text("mine\n")
    code, output = init(tmp_path, "--images", images)
    assert code == 2
    assert f"error: {path}: is there already, and differs: remove it, or" in output
    assert path.read_text() == "mine\n"
    assert not (tmp_path / "new/screen/cpengine.toml").exists()


def test_a_killed_one_is_done_again_over_what_it_has_written(
    tmp_path: Path, images: Path
) -> None:
    init(tmp_path, "--images", images)
    (tmp_path / "new/screen/cpengine.toml").unlink()
    code, output = init(tmp_path, "--images", images)
    assert code == 0, output


def test_images_and_workspace_may_be_elsewhere(tmp_path: Path, images: Path) -> None:
    (tmp_path / "disk").mkdir()
    options = ("--root", tmp_path / "disk", "--example-pipelines")
    code, output = init(tmp_path, "--images", images, *options)
    assert code == 0, output
    assert (tmp_path / "disk" / TABLE).exists()
    assert (tmp_path / "disk" / PIPELINES / "illum.cppipe").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--pipeline", "ok.cppipe"], "--pipeline: is for --images: give that, too"),
        (["--dry-run"], "--dry-run: is for --images: give that, too"),
        (["--images", "missing"], "is no folder"),
        (["--images", ""], "--images: is empty: name the folder of images"),
        (["--images", "images", "--job-file", "job.json"], "give one"),
        (["--images", "images", "--root", "gone"], "is no folder: make it"),
        (
            ["--images", "images", "--pipeline", "ok.cppipe"],
            "says no step: write STEP=",
        ),
        (["--images", "images", "--pipeline", "analisis=ok.cppipe"], "analysis"),
        (["--images", "images", "--pipeline", "qc=gone.cppipe"], "cannot be read"),
        (["--images", "images", "--pipeline", "qc=images"], "cannot be read"),
        (["--images", "images", "--pipeline", "qc=text.txt"], "text.txt"),
        (["--images", "images", "--pipeline", "qc=none.cppipe"], "no enabled LoadData"),
        (["--images", "images", "--pipeline", "qc=win.json"], "export it as .cppipe"),
        (
            [
                "--images",
                "images",
                "--pipeline",
                "qc=ok.cppipe",
                "--pipeline",
                "qc=none2.cppipe",
            ],
            "is for qc.cppipe, too: give one of them",
        ),
        (
            ["--images", "images", "--pipeline", "qc=ok.cppipe"],
            "P1: has no columns for DNA, which module 2 MeasureImageIntensity of "
            "ok.cppipe wants (Select images to measure): name the channels by "
            "--channel; there are DAPI, Alexa_568",
        ),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(
    tmp_path: Path,
    images: Path,
    arguments: list[str],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ok.cppipe", "none2.cppipe"):
        Path(name).write_text(written(measure(tags="Plate,Well,Site")))
    Path("none.cppipe").write_text(written(measure()[1:]))
    Path("win.json").write_text(as_json(window()))
    Path("text.txt").write_text("no pipeline\n")
    Path("job.json").write_text("{}")
    code, output = init(tmp_path, *arguments)
    assert code == 2
    assert says in output
    assert len(output.splitlines()) == 1, output
    assert not (tmp_path / "new").exists()


def test_files_named_after_steps_need_no_step(tmp_path: Path, images: Path) -> None:
    names = ("Illum.cppipe", "analysis_without_batchfile.cppipe", "QC.cppipe")
    options: list[str | Path] = []
    for name in names:
        path = tmp_path / name
        path.write_text(written(measure()))
        options += ["--pipeline", path]
    code, output = init(tmp_path, "--images", images, *options, *CHANNELS)
    assert code == 0, output
    folder = tmp_path / "new/screen" / PIPELINES
    written_ = {path.name for path in folder.iterdir()}
    assert written_ == {"illum.cppipe", "analysis.cppipe", "qc.cppipe"}
    assert pipeline.parse((folder / "qc.cppipe").read_text(), "qc").load_data
