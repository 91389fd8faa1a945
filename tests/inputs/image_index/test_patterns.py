"""Names of files by patterns of the user, and channels by names of the user."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from cpengine.errors import ConfigError, InputError
from cpengine.inputs.image_index import ImagesOfPlates, index_images
from cpengine.inputs.image_index.channel_names import channel_names, parse_mapping
from cpengine.inputs.image_index.indexed_image import ImageChannel
from cpengine.inputs.image_index.known_names import KNOWN_NAMES
from cpengine.inputs.image_index.name_pattern import plate_folder, well_of
from cpengine.storage.store import Storage
from tests.inputs.image_index.test_formats import rows_of


def indexed(folder: Path, names: list[str], pattern: str | None) -> ImagesOfPlates:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return index_images(Storage("/"), str(folder), pattern=pattern)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("{well}_s{site}_w{channel}.tif", "B03_s2_w1.tif"),
        ("{well}_s{site}_w{channel}.tif", "deep/in/folders/b3_s2_w1.TIF"),
        ("{plate}_{well}_{site}_{channel}.png", "some_B-03_2_DAPI.png"),
        ("{channel}/{row}{column}-{site}.tif", "DAPI/B3-2.tif"),
        ("{row}_{column}_{site}.tif", "2_3_2.tif"),
        ("{well}_f{site}_*.tif", "B03_f2_2024-01-01_x.tif"),
        ("r{row}c{column}f{site}.tif", "r02c03f02.tif"),
        (
            r"(?P<Well>[A-P]\d+)_s(?P<Site>\d)_w(?P<ChannelNumber>\d)\.tif",
            "B3_s2_w1.tif",
        ),
        (r"(?P<WellRow>[A-P])/(?P<WellColumn>\d+)/f(?P<field>\d)\.tif", "B/3/f2.tif"),
    ],
)
def test_a_pattern_says_which_well_and_site_an_image_is_of(
    tmp_path: Path, pattern: str, name: str
) -> None:
    (made,) = indexed(tmp_path, [name], pattern).tables
    (row,) = rows_of(made)
    assert (row["Metadata_Well"], row["Metadata_Site"]) == ("B03", "2")


def test_other_parts_with_a_capital_are_metadata(tmp_path: Path) -> None:
    pattern = "{Compound}_{well}_s{site}.tif"
    (made,) = indexed(tmp_path, ["DMSO_A01_s1.tif", "x-1_A02_s1.tif"], pattern).tables
    assert [row["Metadata_Compound"] for row in rows_of(made)] == ["DMSO", "x-1"]


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("{wel}_s{site}.tif", "says no well: put in {well}, or {row} and {column}"),
        ("{well}_s{sight}.tif", "{sight}: is no part of a name: did you mean site?"),
        (r"(?P<well>[A-H]\d+_s(?P<site>\d)", "cannot be read"),
        ("{well}_{well}.tif", "cannot be read"),
        ("", "says no well"),
    ],
)
def test_a_pattern_that_cannot_be_is_refused_with_its_cure(
    tmp_path: Path, pattern: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        indexed(tmp_path, ["A01_s1.tif"], pattern)
    assert says in str(caught.value)
    assert str(caught.value).startswith("--pattern: ")


@pytest.mark.parametrize("pattern", [None, "{well}-{site}.tif"])
def test_a_naming_that_is_not_known_is_refused_with_an_example(
    tmp_path: Path, pattern: str | None
) -> None:
    with pytest.raises(
        InputError, match=r"first\.tif .*--pattern '\{well\}_s"
    ) as caught:
        indexed(tmp_path, ["first.tif", "second.tif"], pattern)
    assert "(of 2 images)" in str(caught.value)


def test_a_pattern_goes_before_an_index(tmp_path: Path) -> None:
    (tmp_path / "Index.xml").write_text("no XML")
    (made,) = indexed(tmp_path, ["A01_s1.tif"], "{well}_s{site}.tif").tables
    assert len(made.table.rows) == 1


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no images"):
        indexed(tmp_path, ["notes.txt"], None)


KNOWN = {
    "r01c02f03p04-ch5sk6fk1fl1.tiff": ("A02", "03", "04", "6", "5"),
    "r01c02f03p04-ch5.tif": ("A02", "03", "04", None, "5"),
    "P_1_A02_T0006F003L01A01Z04C05.tif": ("A02", "003", "04", "0006", "05"),
    "A2--W00002--P00003--Z00004--T00006--DAPI #1.tif": (
        *("A02", "00003", "00004", "00006", "DAPI #1"),
    ),
    "A - 2(fld 3 wv Green - dsRed z 4).tif": ("A02", "3", "4", None, "Green - dsRed"),
    "A - 02(fld 3 wv Cy3 - Cy3 wix 1).tif": ("A02", "3", None, None, "Cy3 - Cy3"),
    "P_A02(fld 3 wv 390 - Blue).tif": ("A02", "3", None, None, "390 - Blue"),
    "A02_s3_w5.tif": ("A02", "3", None, None, "5"),
    "A02_w5.TIF": ("A02", None, None, None, "5"),
    "A_b_A02_s3_w5_z4_t6.tif": ("A02", "3", "4", "6", "5"),
    "x_A02_s3_w146C9B2CD-0BB3-4B8A-9187-2805F4C90506.tif": (
        *("A02", "3", None, None, "1"),
    ),
    "x_A02_s3_w12.tif": ("A02", "3", None, None, "12"),
    "x_A02_s3E78EB128-BD0D-4D94-A6AD-3FF28BB1B105.tif": ("A02", "3", None, None, None),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_naming_reads_a_name_in_any_folder(name: str) -> None:
    for place in (name, f"a/B03_s9_w9/{name}"):
        (parts,) = filter(None, (pattern.parts(place) for pattern in KNOWN_NAMES))
        read = map(parts.get, ("site", "plane", "timepoint", "channel"))
        assert (well_of(parts), *read) == KNOWN[name]


@pytest.mark.parametrize(
    "name", ["A01.tif", "overview.tif", "s1_w1.tif", "A01_s1_w1.txt", "Zeb_s1.tif"]
)
def test_a_known_naming_reads_no_other_name(name: str) -> None:
    assert not any(pattern.parts(name) for pattern in KNOWN_NAMES)


@pytest.mark.parametrize(
    ("place", "plate"),
    [
        ("P1/A01.tif", "P1"),
        ("P1/Images/A01.tif", "P1"),
        ("P1/TimePoint_1/ZStep_2/A01.tif", "P1"),
        ("A01.tif", "top"),
        ("data/A01.tif", "top"),
        ("batch/P2/A01.tif", "P2"),
    ],
)
def test_a_plate_is_called_after_the_folder_that_is_its_own(
    place: str, plate: str
) -> None:
    assert plate_folder("/data/top", place) == plate
    assert plate_folder("s3://bucket/top", place) == plate


DAPI, ALEXA, LONG = (
    ImageChannel("1", "HOECHST 33342"),
    ImageChannel("2", "Alexa 568"),
    ImageChannel("3", "405ex, 570-630-em)"),
)


@pytest.mark.parametrize(
    "entry", ["1", "ch1", "w1", "C1", "HOECHST 33342", "hoechst33342", "HOECHST_33342"]
)
def test_a_channel_is_mapped_by_number_or_name(entry: str) -> None:
    assert channel_names([[DAPI, ALEXA]], {entry: "OrigDNA"}) == {DAPI: "OrigDNA"}


def test_channels_without_a_mapping_get_names_that_cellprofiler_takes() -> None:
    channels = [DAPI, ALEXA, LONG, ImageChannel("4"), ImageChannel("DAPI #1")]
    assert list(channel_names([channels], {}).values()) == [
        *("HOECHST_33342", "Alexa_568", "Ch405ex_570_630_em", "Ch4", "DAPI_1"),
    ]


def test_two_channels_of_one_name_get_their_numbers() -> None:
    channels = [ImageChannel("1", "BF"), ImageChannel("2", "BF"), ALEXA]
    names = channel_names([[*channels[:2]], [ALEXA]], {})
    assert [names[channel] for channel in channels] == ["BF_1", "BF_2", "Alexa_568"]


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        (
            {"ch9": "OrigDNA"},
            "--channel ch9: is not there: there are 1 (HOECHST 33342)",
        ),
        ({"ch1": "Orig DNA"}, "letters, digits and _"),
        ({"ch1": "1DNA"}, "letters, digits and _"),
        ({"ch1": "X", "ch2": "X"}, "are both called X: give each its own name"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(
    mapping: dict[str, str], says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        channel_names([[DAPI, ALEXA]], mapping)
    assert says in str(caught.value)


def test_a_mapping_is_split_at_its_last_sign() -> None:
    assert parse_mapping(["a=b, c)=X"], "--channel") == {"a=b, c)": "X"}
    for wrong in ("ch1", "=X", "ch1="):
        with pytest.raises(ConfigError, match="write it as OLD=NEW"):
            parse_mapping([wrong], "--channel")


def test_folders_of_wells_that_are_taken_for_plates_are_noted(tmp_path: Path) -> None:
    names = ["a/Well B02/B02_1.tif", "a/Well B03/B03_1.tif"]
    (note,) = indexed(tmp_path, names, "{well}_{site}.tif").notes
    assert "each folder is taken for a plate, such as Well B02, and has one" in note
    assert "--pattern '{plate}/*/...'" in note
    found = indexed(tmp_path, [], "{plate}/*/{well}_{site}.tif")
    assert ([p.plate for p in found.plates], found.notes) == (["a"], [])


def test_folders_of_one_name_that_make_a_plate_are_noted(tmp_path: Path) -> None:
    names = ["d1/P1/A01_s1_w1.tif", "d2/P1/A02_s1_w1.tif"]
    (note,) = indexed(tmp_path, names, None).notes
    assert note.startswith("P1: d1/P1, d2/P1 are taken for one plate: if they are")


def test_images_of_several_plates_in_a_folder_have_a_cure(tmp_path: Path) -> None:
    names = ["x/P9_A01_s1_w1.tif", "x/P10_A01_s1_w1.tif"]
    found = indexed(tmp_path, names, None)
    assert {p.kind for p in found.problems} == {"duplicate"}
    assert "say by {plate} in --pattern where their name is" in found.notes[0]


def test_a_name_that_a_pattern_does_not_match_has_a_cure(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        indexed(tmp_path, ["exp_A01-1.tif"], "{well}-{site}.tif")
    assert "exp_A01-1.tif does not match" in str(caught.value)
    assert "with * for what stands before" in str(caught.value)


def test_a_folder_that_may_not_be_listed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "P2"
    closed.mkdir()
    scan = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path) == closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(closed))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = indexed(tmp_path, ["P1/A01_s1_w1.tif"], None)
    assert list(map(str, found.faults)) == ["P2: cannot be listed (unreadable-folder)"]
    (tmp_path / "P1/A01_s1_w1.tif").unlink()
    with pytest.raises(InputError, match="P2 in it cannot be listed"):
        indexed(tmp_path, [], None)


def test_a_folder_that_the_pattern_reads_is_no_plate(tmp_path: Path) -> None:
    for channel in ("DNA", "ER"):
        folder = tmp_path / "PD" / channel
        folder.mkdir(parents=True)
        (folder / "B03-f1_x.tif").write_bytes(b"II*\0" * 25)
    storage = Storage(str(tmp_path))
    pattern = "{channel}/{row}{column}-f{site}*.tif"
    found = index_images(storage, str(tmp_path), pattern=pattern)
    assert [(plate.plate, plate.names) for plate in found.plates] == [
        ("PD", ["DNA", "ER"])
    ]
