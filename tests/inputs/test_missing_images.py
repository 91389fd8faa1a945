"""Images that are not there: the line that maps a folder, names in another case."""

import tomllib
from pathlib import Path

import pytest

from cpengine.inputs import file_list, image_checks
from cpengine.inputs.missing_images import mapping
from cpengine.rules import Finding, Severity
from cpengine.storage.roots import Places
from cpengine.storage.store import Storage
from tests.build import table

ELSEWHERE = [
    r"C:\data\plate1",
    "C:/data/plate1",
    r"C:\data/plate1",
    r"\\server\share\plate1",
    "//server/share/plate1",
    "/Volumes/disk/plate1",
    "/media/anna/disk 1/plate1",
    r"D:\plate1",
    'E:\\Größe "A"\\plate1',
]


def findings(root: Path, *cells: str, map: tuple[tuple[str, str], ...] = ()) -> list:
    """What is said of images whose folders are these."""
    storage = Storage(str(root))
    places = Places(storage, storage, storage, (), map)
    rows = [(f"A{n}.tif", cell) for n, cell in enumerate(cells)]
    images = table(("FileName_OrigDNA", "PathName_OrigDNA"), *rows)
    return list(image_checks.findings(places, images, range(len(rows))))


def line(finding: Finding) -> str:
    """The line of TOML that a finding offers."""
    start, end = "if it is elsewhere now, write ", " below [storage.map], with the real"
    assert finding.cure.startswith(start)
    return finding.cure.removeprefix(start).partition(end)[0]


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        ({r"C:\data\plate1"}, r'"C:\\data" = "/path/to/data"'),
        ({r"C:\data\p1", r"C:\data\p10"}, r'"C:\\data" = "/path/to/data"'),
        ({r"C:\data\p1", r"C:\data\p1\z"}, r'"C:\\data" = "/path/to/data"'),
        ({r"C:\data\p1\a", r"C:\data\p1\b"}, r'"C:\\data\\p1" = "/path/to/p1"'),
        ({r"C:\data\p1", "C:/data/p1"}, '"C:" = "/path/to/C"'),
        ({r"D:\p1"}, '"D:" = "/path/to/D"'),
        ({r"\\server\share\p1"}, r'"\\\\server\\share" = "/path/to/share"'),
        ({r"\\server\share"}, r'"\\\\server\\share" = "/path/to/share"'),
        ({"//server/share/p1"}, '"//server/share" = "/path/to/share"'),
        ({"/Volumes/x/p1", "/Volumes/y/p1"}, '"/Volumes" = "/path/to/Volumes"'),
        ({"/data"}, '"/data" = "/path/to/data"'),
        ({'/data/"a"/p1'}, r'"/data/\"a\"" = "/path/to/\"a\""'),
    ],
)
def test_line_maps_what_the_folders_share(folders: set[str], expected: str) -> None:
    assert mapping(folders) == expected
    tomllib.loads(f"[storage.map]\n{expected}\n")


@pytest.mark.parametrize("folder", ELSEWHERE)
def test_line_works_once_the_real_place_is_in_it(tmp_path: Path, folder: str) -> None:
    (found,) = findings(tmp_path, folder)
    assert found.cause == f"{folder} is not on this machine, or empty (1 file)"
    assert found.place == "f.csv:2:FileName_OrigDNA"
    ((key, _),) = tomllib.loads(line(found)).items()
    real = tmp_path / "moved"
    (real / "plate1").mkdir(parents=True)
    (real / "plate1" / "A0.tif").write_text("image")
    assert findings(tmp_path, folder, map=((key, str(real)),)) == []
    (missing,) = findings(tmp_path, folder, folder, map=((key, str(real)),))
    assert missing.cause == f"{real}/plate1/A1.tif is not there"


@pytest.mark.parametrize(
    "url",
    ["file:///C:/data/p%201/A0.tif", "file:/C:/data/p 1/A0.tif", r"C:\data\p 1\A0.tif"],
)
def test_addresses_of_windows_are_mapped_too(tmp_path: Path, url: str) -> None:
    (tmp_path / "p 1").mkdir()
    (tmp_path / "p 1" / "A0.tif").write_text("image")
    images = table(("URL_OrigDNA",), (url,))
    storage = Storage(str(tmp_path))
    (found,) = image_checks.findings(Places.single_root(storage), images, [0])
    ((key, _),) = tomllib.loads(line(found)).items()
    mapped = Places(storage, storage, storage, (), ((key, str(tmp_path)),))
    assert list(image_checks.findings(mapped, images, [0])) == []


def test_each_disk_has_its_line(tmp_path: Path) -> None:
    found = findings(tmp_path, r"C:\a\p1", r"D:\b\p1", r"C:\a\p2")
    assert [line(finding).split(" ")[0] for finding in found] == [
        r'"C:\\a"',
        r'"D:\\b"',
    ]
    assert "(2 files)" in found[0].cause


def test_line_that_maps_to_nothing_is_to_be_corrected(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, r"C:\a\p1", map=((r"C:\a", "/path/to/a"),))
    assert found.cause == "/path/to/a/p1/A0.tif is not there"
    assert found.cure == "correct [storage.map], put it there or drop the row"


def test_folder_that_is_there_or_of_the_project_is_not_mapped(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "B.tif").write_text("image")
    for folder in (str(tmp_path / "images"), str(tmp_path / "other"), "other"):
        (found,) = findings(tmp_path, folder)
        assert found.cure == "put it there or drop the row"


def test_name_in_another_case_is_named(tmp_path: Path) -> None:
    (tmp_path / "a0.TIF").write_text("image")
    cased, absent = findings(tmp_path, str(tmp_path), str(tmp_path))
    assert cased.cause.endswith(
        "/A0.tif is not there, but there is a0.TIF: case differs"
    )
    assert cased.cure == "write the names as the files have them"
    assert absent.cause.endswith("/A1.tif is not there")


def test_name_in_an_address_is_decoded_as_it_is_opened(tmp_path: Path) -> None:
    (tmp_path / "a b.tif").write_text("image")
    images = table(("URL_OrigDNA",), (f"file:{tmp_path}/a%20b.tif",))
    places = Places.single_root(Storage(str(tmp_path)))
    assert list(image_checks.findings(places, images, [0])) == []


@pytest.mark.parametrize("made", [(), ("illum",)], ids=["given", "to be made"])
def test_a_folder_in_place_of_an_image_is_found(
    tmp_path: Path, made: tuple[str, ...]
) -> None:
    (tmp_path / "illum/P1_IllumDNA.npy").mkdir(parents=True)
    storage = Storage(str(tmp_path))
    places = Places(storage, storage, storage, (), ())
    row = ("P1_IllumDNA.npy", f"{tmp_path}/illum")
    images = table(("FileName_IllumDNA", "PathName_IllumDNA"), row)
    (found,) = image_checks.findings(places, images, [0], made)
    assert found.cause == f"{tmp_path}/illum/P1_IllumDNA.npy is a folder, no file"
    assert found.cure == "remove it, then run the illum step first"


def test_a_list_with_files_that_are_not_there_can_be_run(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*")
    (tmp_path / "b.tif").touch()
    storage = Storage(str(tmp_path))
    places = Places(storage, storage, storage, (), ())
    names = ["a.tif", "b.tif", "c.tif"]
    text = "".join(f"{tmp_path}/{name}\n" for name in names)
    listed = file_list.parse(text.encode(), "files.txt")
    (warning,) = image_checks.findings(places, listed, range(3))
    assert str(warning) == (
        f"files.txt:3: {tmp_path}/c.tif is not there, or empty (and 1 file more): put "
        "it there, or take it off the list"
    )
    assert warning.severity is Severity.WARNING
    (tmp_path / "a.tif").unlink()
    found = list(image_checks.findings(places, listed, range(3)))
    assert {each.severity for each in found} == {Severity.ERROR}


@pytest.mark.parametrize("name", ["x" * 300, "x" * 10_000])
def test_a_name_that_no_file_can_have_is_reported(tmp_path: Path, name: str) -> None:
    storage = Storage(str(tmp_path))
    places = Places(storage, storage, storage, (), ())
    images = table(("FileName_OrigDNA", "PathName_OrigDNA"), (name, str(tmp_path)))
    (found,) = image_checks.findings(places, images, range(1))
    assert f"{name} is not there" in found.cause


def test_no_cure_removes_a_folder_of_images(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    storage = Storage(str(tmp_path))
    places = Places(storage, storage, storage, (), ())
    images = table(("FileName_OrigDNA", "PathName_OrigDNA"), ("images", str(tmp_path)))
    (found,) = image_checks.findings(places, images, range(1))
    assert found.cure == "name a file in it, or drop the row"
