"""`cpengine montage`: each site in its place and colour, and no file read twice."""

import io
import json
import shutil
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cpengine.errors import ConfigError
from cpengine.inputs.table_groups import sites
from cpengine.model import Outcome
from cpengine.planning.step_tables import read_table
from cpengine.project import Project
from tests import build
from tests.build import Built, change
from tests.results.montage import plates
from tests.results.montage.plates import (
    MONTAGE,
    Montage,
    call,
    colour,
    made,
    near,
    picture,
    png,
    project,
    publish,
    raw,
    tiff,
    together,
    write,
)
from tests.services.s3.bucket_server import S3Server

WELLS = ("A01", "A02", "B01", "C03")


@pytest.fixture
def built(tmp_path: Path) -> Built:
    """A plate of four wells and two sites whose jobs have published their pictures."""
    made = project(tmp_path / "project", WELLS)
    publish(made, WELLS)
    return made


def ramp(low: int, shape: tuple[int, int] = (40, 60)) -> bytes:
    """A 16-bit image with all values from `low` to `low` + 999, evenly."""
    return tiff(
        np.linspace(low, low + 999, shape[0] * shape[1])
        .reshape(shape)
        .astype(np.uint16)
    )


def dim_and_bright(built: Built, channel: str = "DNA") -> None:
    """Images of one channel: each well is 1000 brighter than the one before."""
    for number, well in enumerate(WELLS):
        for site in "12":
            write(raw(built, well, site, channel), ramp(1000 * number))


# Where pictures are


def test_each_well_s_picture_is_in_its_row_and_column(built: Built) -> None:
    montage = made(built)
    assert montage.facts["rows"] == ["A", "B", "C"]
    assert montage.facts["columns"] == [1, 2, 3, 4]
    pitch = [montage.facts["gap"] + size for size in montage.facts["well"]]
    for well in WELLS:
        assert near(montage.middle(well), colour(well)), well
        x, y = montage.sites(well)["1"]["at"]
        column, row = int(well[1:]) - 1, ord(well[0]) - ord("A")
        assert (x // pitch[0], y // pitch[1]) == (column, row)


def test_the_first_site_of_each_well_is_shown(built: Built) -> None:
    montage = made(built)
    assert [list(montage.sites(well)) for well in WELLS] == [["1"]] * 4


def test_another_site_can_be_shown(built: Built) -> None:
    montage = made(built, "--sites", "2")
    for well in WELLS:
        assert near(montage.middle(well, "2"), colour(well, "2")), well


def test_all_sites_lie_in_their_grid(tmp_path: Path) -> None:
    sites = [str(site) for site in range(1, 7)]
    built = project(tmp_path, WELLS[:2], sites)
    publish(built, WELLS[:2], sites)
    montage = made(built, "--sites", "all", "--site-grid", "3x2,snake")
    for well in WELLS[:2]:
        found = montage.sites(well)
        for site in sites:
            assert near(montage.middle(well, site), colour(well, site)), (well, site)
        left, top = found["1"]["at"]
        order = [
            (x > left, (y - top) // 40) for x, y in (s["at"] for s in found.values())
        ]
        assert order == [(0, 0), (1, 0), (1, 1), (0, 1), (0, 2), (1, 2)]


def test_a_part_of_the_wells_can_be_shown(built: Built) -> None:
    montage = made(built, "--well", "A02,C03")
    assert {site["well"] for site in montage.facts["sites"]} == {"A02", "C03"}
    assert montage.facts["rows"] == ["A", "B", "C"]
    assert montage.facts["columns"] == [2, 3]
    assert near(montage.middle("C03"), colour("C03"))


def test_a_whole_384_well_plate_is_shown(tmp_path: Path) -> None:
    wells = [
        f"{row}{column:02d}" for row in "ABCDEFGHIJKLMNOP" for column in range(1, 25)
    ]
    built = project(tmp_path, wells, ["1"])
    publish(built, wells, ["1"], size=(30, 30))
    montage = made(built)
    assert (montage.facts["rows"][-1], montage.facts["columns"][-1]) == ("P", 24)
    assert len(montage.facts["sites"]) == 384
    wrong = [well for well in wells if not near(montage.middle(well), colour(well))]
    assert wrong == []


def test_a_plate_of_a_known_format_is_shown_whole(tmp_path: Path) -> None:
    built = project(tmp_path, WELLS, toml="[plate]\nformat = 96\n")
    publish(built, WELLS)
    montage = made(built)
    assert montage.facts["rows"] == list("ABCDEFGH")
    assert montage.facts["columns"] == list(range(1, 13))
    assert near(montage.middle("C03"), colour("C03"))


def test_each_plate_gets_its_own_page(tmp_path: Path) -> None:
    built = build.project(
        tmp_path, pipeline="assaydev.cppipe", plates=["P1", "P2"], tags="Plate,Well"
    )
    for plate in ("P1", "P2"):
        for well in ("A01", "A02"):
            place = built.root / plates.OUTPUT / f"{plate}-{well}"
            write(place / f"{plate}_{well}_s1_x.png", png(colour(well)))
    result = call(built, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)["plates"]
    assert [entry["plate"] for entry in found] == ["P1", "P2"]
    assert [Path(entry["page"]).parent.name for entry in found] == ["P1", "P2"]
    (entry,) = json.loads(call(built, "--json", "--plate", "P2").stdout)["plates"]
    assert entry["plate"] == "P2"


# Kinds


def test_each_kind_of_picture_is_a_montage_of_its_own(built: Built) -> None:
    publish(built, WELLS, name=lambda well, site: f"{well}_s{site}_masks.png")
    result = call(built)
    assert result.exit_code == 0, result.stderr
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == [
        "P1 masks",
        "P1 outlines",
        "P1",
    ]


@pytest.mark.parametrize("pattern", ["mas*", "*_s?_masks.png"])
def test_a_kind_is_chosen_by_its_name_or_its_files(built: Built, pattern: str) -> None:
    publish(built, WELLS, name=lambda well, site: f"{well}_s{site}_masks.png")
    assert made(built, "--image", pattern).facts["kind"] == "masks"


@pytest.mark.parametrize("name", ["{well}_s{site}_z3_DNA.png", "{at}_z3_DNA.png"])
def test_pictures_that_jobs_share_a_folder_for_are_found(
    tmp_path: Path, name: str
) -> None:
    """As zproj's are: one folder a plate, one job a site."""
    built = build.project(
        tmp_path, pipeline="Zproj.cppipe", data_file="load_data_unprojected.csv"
    )
    step = built.project()
    for at, job in enumerate(step.plan("zproj").jobs):
        _, well, site = (value for _, value in job.group)
        file = name.format(well=well, site=site, at=1000 - at)
        write(tmp_path / job.destination / file, png(colour(well, site)))
        done = Outcome(job, files={file: 1}, versions={"cellprofiler": "4.2.8.1"})
        step.ledger(step.step("zproj")).record(done)
    result = call(built, "--json", step="zproj")
    assert result.exit_code == 0, result.stderr
    ((kind,),) = (plate["kinds"] for plate in json.loads(result.stdout)["plates"])
    assert (kind["name"], kind["shown"]) == ("z3_DNA", 2)
    montage = Montage.at(Path(kind["picture"]).parent)
    assert near(montage.middle("A02"), colour("A02"))


def test_16_bit_pictures_of_a_step_are_scaled_as_one(built: Built) -> None:
    for number, well in enumerate(WELLS):
        write(picture(built, well, f"{well}_s1_corr.tiff"), ramp(1000 * number))
    montage = made(built, "--image", "corr")
    means = [float(montage.tile(well).mean()) for well in WELLS]
    assert means == pytest.approx([32, 96, 159, 223], abs=3)


# Channels


def test_a_channel_has_the_same_contrast_all_over_the_plate(built: Built) -> None:
    dim_and_bright(built)
    montage = made(built, "--channel", "OrigDNA")
    (channel,) = montage.facts["channels"]
    assert channel["low"] == pytest.approx(20, abs=5)
    assert channel["high"] == pytest.approx(3992, abs=5)
    means = [float(montage.tile(well).mean()) for well in WELLS]
    assert means == pytest.approx([32, 96, 159, 223], abs=3)


def test_contrast_can_be_set(built: Built) -> None:
    dim_and_bright(built)
    montage = made(built, "--channel", "OrigDNA", "--contrast", "OrigDNA=1000,2000")
    means = [float(montage.tile(well).mean()) for well in WELLS]
    assert means == pytest.approx([0, 127, 255, 255], abs=2)


def test_an_even_channel_is_shown(built: Built) -> None:
    for well in WELLS:
        write(raw(built, well, "1", "DNA"), tiff(np.full((40, 60), 500, np.uint16)))
    assert made(built, "--channel", "OrigDNA").tile("A01").max() < 12  # JPEG's rest


def test_an_8_bit_channel_is_scaled_too(built: Built) -> None:
    for well in WELLS:
        grey = np.resize(np.arange(10, 20, dtype=np.uint8), (40, 60))
        write(raw(built, well, "1", "DNA"), tiff(grey))
    assert made(built, "--channel", "OrigDNA").tile("A01").max() > 250


def test_channels_add_up_in_their_colours(built: Built) -> None:
    halves = np.zeros((40, 60), np.uint16)
    halves[:, 30:] = 1000
    for well in WELLS:
        write(raw(built, well, "1", "DNA"), tiff(halves))
        write(raw(built, well, "1", "ER"), tiff(np.rot90(halves, 2).copy()))
    montage = made(built, "--overlay", "OrigDNA=blue,OrigER=#ff8000")
    assert montage.facts["kind"] == "OrigDNA-blue_OrigER-ff8000"
    tile = montage.tile("B01")
    left, right = (tuple(map(int, tile[20, x])) for x in (10, 50))
    assert near((left[0], left[1], left[2]), (255, 128, 0))
    assert near((right[0], right[1], right[2]), (0, 0, 255))


def test_channels_of_another_size_add_up(built: Built) -> None:
    """A camera may be binned for one channel."""
    dim_and_bright(built)
    for well in WELLS:
        write(raw(built, well, "1", "ER"), ramp(0, (20, 30)))
    result = call(
        *(built, "--channel", "OrigER", "--overlay", "OrigDNA=blue,OrigER=green")
    )
    assert result.exit_code == 0, result.stderr
    assert "OrigDNA-blue_OrigER-green: 4 pictures ->" in result.stdout


def test_of_a_stack_the_middle_plane_is_shown(tmp_path: Path) -> None:
    built = build.project(
        tmp_path, pipeline="Zproj.cppipe", data_file="load_data_unprojected.csv"
    )
    rows = []
    for plane in "123":
        file = f"A01_{plane}.tif"
        values = np.resize(np.arange(10, dtype=np.uint16) * int(plane), (40, 60))
        write(built.images / file, tiff(values))
        (row,) = build.image_sets("P1", str(built.root), ["A01"], ["1"])
        row |= {"FileName_OrigDNA": file, "PathName_OrigDNA": str(built.images)}
        rows.append(row | {"Metadata_PlaneID": plane})
    build.write(built.csv, build.csv_text(rows))
    result = call(built, "--channel", "OrigDNA", "--json", step="zproj")
    assert result.exit_code == 0, result.stderr
    ((kind,),) = (plate["kinds"] for plate in json.loads(result.stdout)["plates"])
    (site,) = Montage.at(Path(kind["picture"]).parent).facts["sites"]
    assert [Path(file["path"]).name for file in site["files"]] == ["A01_2.tif"]


# What is not there, or cannot be read


def test_a_well_without_a_picture_is_marked(built: Built) -> None:
    shutil.rmtree(picture(built, "A02", "x").parent)
    result = call(built)
    assert result.exit_code == 0, result.stderr
    assert "P1 outlines: 3 pictures, 1 missing -> " in result.stdout
    montage = Montage.at(built.root / MONTAGE / "outlines")
    assert montage.sites("A02")["1"]["state"] == "missing"
    tile = montage.tile("A02")
    assert tile[20, 30].min() > tile[10, 30].max() + 40  # the cross on its ground
    assert near(montage.middle("B01"), colour("B01"))


def test_a_site_without_a_picture_is_not_taken_for_another(built: Built) -> None:
    picture(built, "A02", plates.named("A02", "1")).unlink()
    montage = made(built, "--sites", "all")
    assert montage.sites("A02")["1"]["state"] == "missing"
    assert near(montage.middle("A02", "2"), colour("A02", "2"))


def test_a_picture_that_cannot_be_read_is_marked_and_reported(built: Built) -> None:
    broken = picture(built, "A02", plates.named("A02", "1"))
    broken.write_bytes(broken.read_bytes()[:60])
    result = call(built)
    assert result.exit_code == 1
    assert "P1 outlines: 3 pictures, 1 unreadable -> " in result.stdout
    assert f"warning: {broken}: cannot be read as a picture (" in result.stderr
    montage = Montage.at(built.root / MONTAGE / "outlines")
    assert montage.sites("A02")["1"]["state"] == "unreadable"
    red, green, blue = montage.tile("A02")[10, 30]
    assert red > green + 20
    assert red > blue + 20
    assert near(montage.middle("C03"), colour("C03"))


def test_an_image_of_the_csv_that_is_gone_is_reported(built: Built) -> None:
    dim_and_bright(built)
    raw(built, "A01", "1", "DNA").unlink()
    result = call(built, "--channel", "OrigDNA")
    assert result.exit_code == 1
    assert "A01_1_DNA.tif: is not there: put it there" in result.stderr
    assert "3 pictures, 1 unreadable" in result.stdout


def test_a_picture_of_another_depth_is_marked(built: Built) -> None:
    grey = tiff(np.full((40, 60), 900, np.uint16))
    write(picture(built, "C03", plates.named("C03", "1")), grey)
    result = call(built)
    assert result.exit_code == 1
    assert "has pixels of uint16, and others of uint8 in colours" in result.stderr


def test_of_many_warnings_ten_are_shown(tmp_path: Path) -> None:
    wells = [f"A{column:02d}" for column in range(1, 15)]
    built = project(tmp_path, wells)
    publish(built, wells)
    for well in wells[1:]:
        picture(built, well, plates.named(well, "1")).write_bytes(b"")
    result = call(built)
    lines = [line for line in result.stderr.splitlines() if "warning: " in line]
    assert len(lines) == 11
    assert lines[-1] == "warning: and 3 pictures more"


def test_a_kind_of_which_nothing_can_be_read_is_refused(built: Built) -> None:
    result = call(built, "--channel", "OrigDNA")
    assert result.exit_code == 2
    assert "error: OrigDNA: no picture of 4 can be read: " in result.stderr
    assert "A01_1_DNA.tif: is not there" in result.stderr


# What is written


def test_the_png_is_the_montage_with_a_margin_for_labels(built: Built) -> None:
    montage = made(built)
    with Image.open(montage.folder / "montage.png") as image:
        whole = np.asarray(image.convert("RGB"))
    down, across = montage.whole.shape[:2]
    (top, left), (height, width) = _corner(whole), whole.shape[:2]
    assert (height - top, width - left) >= (down, across)
    x, y = montage.sites("C03")["1"]["at"]
    red, green, blue = map(int, whole[top + y + 20, left + x + 30])
    assert (red, green, blue) == colour("C03")
    labels = whole[:top, left : left + across], whole[top : top + down, :left]
    assert all(part.min() < 100 for part in labels)


def _corner(whole: np.ndarray) -> tuple[int, int]:  # type: ignore[type-arg]  # uint8
    """Where the white margin ends."""
    grey = (whole == (84, 88, 94)).all(axis=-1)
    rows, columns = grey.any(axis=1), grey.any(axis=0)
    return int(rows.argmax()), int(columns.argmax())


def test_levels_are_the_same_picture_at_half_the_size_each(tmp_path: Path) -> None:
    built = project(tmp_path, WELLS)
    publish(built, WELLS, size=(500, 401))
    montage = made(built)
    levels = montage.facts["levels"]
    assert max(levels[0]) <= 512
    assert levels[-1] == [montage.whole.shape[1], montage.whole.shape[0]]
    for small, large in pairwise(levels):
        assert small == [-(-side // 2) for side in large]
    for number in range(len(levels)):
        level = together(montage.folder, montage.facts, number)
        scale = montage.whole.shape[0] / level.shape[0]
        for well in WELLS:
            x, y = montage.sites(well)["1"]["at"]
            red, green, blue = level[round((y + 200) / scale), round((x + 250) / scale)]
            assert near((int(red), int(green), int(blue)), colour(well))


def test_a_tile_size_can_be_set(built: Built) -> None:
    assert made(built, "--tile-size", "30").facts["tile"] == [30, 20]


def test_a_smaller_montage_leaves_no_tiles_of_a_larger_one(tmp_path: Path) -> None:
    built = project(tmp_path, WELLS)
    publish(built, WELLS, size=(500, 400))
    before = made(built).folder / "tiles"
    assert len(list(before.iterdir())) == 4
    montage = made(built, "--tile-size", "50")
    left = {file for file in before.rglob("*.jpg")}
    assert len(left) == len(montage.facts["levels"]) == 1


def test_the_page_keeps_kinds_of_earlier_runs(built: Built) -> None:
    dim_and_bright(built)
    made(built, "--channel", "OrigDNA")
    made(built)
    page = (built.root / MONTAGE / "index.html").read_text()
    data = page.split('id="data">')[1].split("</script>")[0]
    assert [kind["kind"] for kind in json.loads(data)["kinds"]] == [
        "outlines",
        "OrigDNA",
    ]


def test_a_montage_can_be_written_elsewhere(built: Built, tmp_path: Path) -> None:
    montage = made(built, "--to", tmp_path / "here")
    assert montage.folder == tmp_path / "here/P1/outlines"
    assert not (built.root / MONTAGE).exists()
    (file,) = montage.sites("A01")["1"]["files"]
    assert file["href"] == picture(built, "A01", plates.named("A01", "1")).as_uri()


def test_links_stay_right_when_the_workspace_moves(built: Built) -> None:
    (file,) = made(built).sites("A01")["1"]["files"]
    assert not file["href"].startswith(("/", "file:"))
    there = built.root / MONTAGE / file["href"]
    assert there.resolve() == picture(built, "A01", plates.named("A01", "1")).resolve()


def test_what_was_made_is_printed(built: Built) -> None:
    place = built.root / MONTAGE
    assert call(built).stdout.splitlines() == [
        f"P1 outlines: 4 pictures -> {place}/outlines/montage.png",
        f"P1: {place}/index.html",
    ]


# Wrong options


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--well", "A09"], "--well A09: is not on the plate"),
        (["--plate", "P9"], "--plate P9: is not in the plan"),
        (["--sites", "3"], "--sites 3: is neither first, all nor a site of the plate"),
        (["--site-grid", "2x2"], "--site-grid: is for several sites: add --sites all"),
        (["--sites", "all", "--site-grid", "1x1"], "has no room for 2 sites"),
        (["--image", "mask*"], "has no such picture: choose from outlines"),
        (["--channel", "OrigDNS"], "load_data_with_illum.csv: did you mean OrigDNA?"),
        (["--channel", "IllumDNA"], "is an illumination function: choose an image's"),
        (["--contrast", "OrigDNA=1,2"], "--contrast OrigDNA: is not shown"),
        (["--overlay", "OrigDNA"], "--overlay OrigDNA: is no list of channels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_option_is_reported(
    built: Built, options: list[str], expected: str
) -> None:
    result = call(built, *options)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert expected in result.stderr
    assert not (built.root / MONTAGE).exists()


def test_a_step_without_pictures_is_reported(tmp_path: Path) -> None:
    result = call(project(tmp_path, WELLS))
    assert result.exit_code == 2
    assert "assaydev P1: has published no pictures: run the step, or" in result.stderr


def test_a_well_that_is_no_row_and_column_is_reported(built: Built) -> None:
    change(built.csv, ",C03,", ",third,")
    result = call(built)
    assert "well third: tells no row and column: name wells as in A01" in result.stderr


def test_without_pillow_it_is_shown_how_to_get_it(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in sys.modules if n.startswith("cpengine.results.montage")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "PIL", None)
    result = call(built)
    assert result.exit_code == 2
    assert "PIL is not installed: pip install 'cpengine[montage]'" in result.stderr


# On S3


@pytest.fixture
def remote(built: Built, s3: S3Server, bucket: str, tmp_path: Path) -> Built:
    """The plate in a bucket, with the raw images of two channels."""
    for channel in ("DNA", "ER"):
        dim_and_bright(built, channel)
    s3.upload(bucket, built.root / "projects", "projects/")
    text = built.toml.read_text().replace(
        "[storage]\n", f'[storage]\nroot = "s3://{bucket}"\n'
    )
    place = tmp_path / "remote/cpengine.toml"
    build.write(place, f'{text}[storage.s3]\nendpoint = "{s3.url}"\n')
    return build.Built(place.parent, place, *(built.csv,) * 5)


def gets(s3: S3Server, bucket: str, project: Project) -> int:
    """Requests for files since the counts were reset, but for those of the plan.

    The project's page reads one, too: what there is of the step's montages.
    """
    found = s3.counts(bucket)["get"]
    s3.reset_counts()
    project.plan("assaydev")
    sites(read_table(project, project.step("assaydev"), _csv(project)))
    return found - s3.counts(bucket)["get"] - 1


def _csv(project: Project) -> str:
    return project.step("assaydev").data_key("P1")


def test_on_s3_each_picture_that_is_shown_is_fetched_once(
    remote: Built, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    s3.reset_counts()
    result = call(remote, "--to", tmp_path / "here")
    assert result.exit_code == 0, result.stderr
    assert gets(s3, bucket, remote.project()) == len(WELLS)
    montage = Montage.at(tmp_path / "here/P1/outlines")
    assert near(montage.middle("C03"), colour("C03"))
    (file,) = montage.sites("A01")["1"]["files"]
    assert file == {
        "path": f"s3://{bucket}/{plates.OUTPUT}/P1-A01/{plates.named('A01', '1')}"
    }


def test_on_s3_a_channel_is_fetched_once_for_several_montages(
    remote: Built, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    s3.reset_counts()
    result = call(
        *(remote, "--to", tmp_path / "here", "--channel", "OrigDNA", "--channel"),
        *("OrigER", "--overlay", "OrigDNA=blue,OrigER=green"),
    )
    assert result.exit_code == 0, result.stderr
    assert gets(s3, bucket, remote.project()) == 2 * len(WELLS)


def test_on_s3_the_montage_is_written_beside_the_results(
    remote: Built, s3: S3Server, bucket: str
) -> None:
    result = call(remote)
    assert result.exit_code == 0, result.stderr
    assert f"P1: s3://{bucket}/{MONTAGE}/index.html" in result.stdout
    there = s3.objects(bucket, f"{MONTAGE}/")
    assert {key.removeprefix(f"{MONTAGE}/") for key in there} == {
        "index.html",
        "outlines/montage.json",
        "outlines/montage.png",
        "outlines/tiles/0/0_0.jpg",
    }
    with Image.open(io.BytesIO(there[f"{MONTAGE}/outlines/montage.png"])) as image:
        assert image.width > 180


def test_python_can_make_montages_too(built: Built) -> None:
    from cpengine.results.montage import folder_of, make

    project = built.project()
    (plate,) = make(project, "assaydev")
    assert plate.page == project.places.outputs.url(
        f"{folder_of(project, 'assaydev', 'P1')}/index.html"
    )
    assert [(kind.name, kind.shown) for kind in plate.kinds] == [("outlines", 4)]


def test_python_gets_an_error_for_a_wrong_plate(built: Built) -> None:
    from cpengine.errors import InputError
    from cpengine.results.montage import make

    with pytest.raises((ConfigError, InputError), match="--plate P9"):
        next(make(built.project(), "assaydev", frozenset({"P9"})))
