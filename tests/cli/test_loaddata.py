"""`cpengine loaddata`: what it shows, writes, refuses and asks."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cpengine import cli
from cpengine.inputs import loaddata
from tests.inputs.image_index.acquisition import Acquisition
from tests.inputs.image_index.harmony_writer import write_harmony
from tests.inputs.image_index.instruments import write_imagexpress_names

TABLE = "projects/scr/workspace/load_data_csv/B1/P1/load_data.csv"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "cpengine.toml").write_text('[project]\nname = "scr"\nbatch = "B1"\n')
    return folder


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    write_harmony(folder / "P1", Acquisition())
    return folder


def run(project: Path, *arguments: str | Path) -> tuple[int, str]:
    words = ["loaddata", "-C", str(project), *map(str, arguments)]
    ran = CliRunner().invoke(cli.app, words)
    return ran.exit_code, ran.output


def test_a_table_a_plate_is_written_that_loaddata_reads(
    project: Path, images: Path
) -> None:
    code, output = run(
        project, images, "--channel", "ch1=OrigDNA", "--channel", "ch2=OrigER"
    )
    assert code == 0, output
    assert "PerkinElmer/Revvity Harmony" in output
    assert output.endswith("wrote 1 table\n")
    table = loaddata.parse((project / TABLE).read_text(), TABLE)
    assert list(table.images) == ["OrigDNA", "OrigER"]
    assert table.notes == ()
    assert table.values("Metadata_Well") == ["A01", "A01", "B11", "B11"]


def test_the_same_command_again_changes_nothing(project: Path, images: Path) -> None:
    run(project, images)
    path = project / TABLE
    before = path.stat().st_mtime_ns
    code, output = run(project, images)
    assert code == 0
    assert f"same table: {path}" in output
    assert output.endswith("wrote 0 tables\n")
    assert path.stat().st_mtime_ns == before


def test_a_table_that_differs_is_replaced_only_by_force(
    project: Path, images: Path
) -> None:
    path = project / TABLE
    path.parent.mkdir(parents=True)
    path.write_text("mine\n")
    code, output = run(project, images)
    assert code == 2
    assert f"{path}: is there already" in output
    assert "--force" in output
    _, output = run(project, images, "--json")
    data = json.loads(output.rpartition("error: ")[0])
    assert data["tables"] == {str(path): "different"}
    assert not data["written"]
    assert path.read_text() == "mine\n"
    code, _ = run(project, images, "--force")
    assert code == 0
    assert "Metadata_Well" in path.read_text()


def test_a_dry_run_shows_and_writes_nothing(project: Path, images: Path) -> None:
    code, output = run(project, images, "--dry-run")
    assert code == 0
    assert f"new table: {project / TABLE}" in output
    assert "nothing is written" in output
    assert not (project / TABLE).exists()


def test_incomplete_sets_stop_it_unless_they_are_allowed(
    project: Path, images: Path
) -> None:
    (images / "P1/Images/r01c01f01p01-ch2sk1fk1fl1.tiff").unlink()
    code, output = run(project, images)
    assert code == 1
    assert "problem: r01c01f01p01-ch2sk1fk1fl1.tiff: is in the index" in output
    assert "1 problem: nothing is written" in output
    assert not (project / TABLE).exists()
    code, output = run(project, images, "--allow-incomplete")
    assert code == 0
    assert len((project / TABLE).read_text().splitlines()) == 1 + 3


def test_json_has_all_that_is_shown(project: Path, images: Path) -> None:
    (images / "P1/Images/r01c01f01p01-ch2sk1fk1fl1.tiff").unlink()
    code, output = run(project, images, "--json", "--allow-incomplete")
    assert code == 0
    data = json.loads(output)
    assert data["plates"][0]["plate"] == "P1"
    assert data["plates"][0]["image_sets"] == 3
    assert [p["kind"] for p in data["problems"]] == ["missing-image"]
    assert data["tables"] == {str(project / TABLE): "new"}
    assert data["written"]
    assert (project / TABLE).exists()


def test_channels_that_are_not_named_are_left_out_and_counted(
    project: Path, images: Path
) -> None:
    code, output = run(project, images, "--channel", "DAPI=OrigDNA")
    assert code == 0
    assert "P1: 4 images of channel 2 (Alexa 568), which --channel does not" in output
    assert "OrigDNA" in (project / TABLE).read_text().splitlines()[0]


def test_plates_get_other_names(project: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    write_imagexpress_names(images / "a", Acquisition())
    code, output = run(project, images, "--plate", "P1")
    assert code == 0, output
    assert "P1" in (project / TABLE).read_text()
    write_imagexpress_names(images / "b", Acquisition())
    code, output = run(project, images, "--plate", "a=P1", "--plate", "b=P2")
    assert code == 0, output
    assert (project / TABLE).parents[1].joinpath("P2/load_data.csv").exists()
    for wrong, says in (
        ("P1", "--plate P1: there are 2 plates, a, b: write OLD=NEW for each"),
        ("c=P1", "is not there"),
        ("a=b", "one name"),
    ):
        code, output = run(project, images, "--plate", wrong)
        assert code == 2
        assert says in output


def test_names_from_outside_do_nothing_to_a_terminal(
    project: Path, images: Path
) -> None:
    (images / "P1/Images/\x1b[2Jx.tiff").write_bytes(b"x")
    _, output = run(project, images)
    assert "\x1b" not in output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing"], "is no folder"),
        (["images", "--channel", "ch1"], "write it as OLD=NEW"),
        (["images", "--pattern", "{x}"], "says no well"),
    ],
)
def test_what_is_wrong_is_one_line(
    project: Path, images: Path, arguments: list[str], says: str
) -> None:
    first, *rest = arguments
    code, output = run(project, images.parent / first, *rest)
    assert code == 2
    assert says in output
    assert len(output.splitlines()) == 1
