"""Indexes and names that no instrument writes: one clear line, and no harm."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cpengine.errors import ConfigError, InputError
from cpengine.inputs.image_index.xml_stream import xml_events
from tests.inputs.image_index.acquisition import Acquisition
from tests.inputs.image_index.harmony_writer import write_harmony
from tests.inputs.image_index.instruments import (
    write_cellvoyager,
    write_imagexpress,
    write_imagexpress_names,
    write_incell,
    write_ome,
)
from tests.inputs.image_index.test_formats import ALL, Write, indexed

HEAD = '<?xml version="1.0"?>\n'
LAUGHS = "".join(
    f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(10)
)
HOSTILE = {
    "billion laughs": f"{HEAD}<!DOCTYPE a [{LAUGHS}]><a>&l9;</a>",
    "external entity": f'{HEAD}<!DOCTYPE a [<!ENTITY x SYSTEM "/etc/x">]><a>&x;</a>',
    "parameter entity": f'{HEAD}<!DOCTYPE a [<!ENTITY % x "y">]><a/>',
    "depth": HEAD + "<a>" * 5000,
    "kinds of elements": f"{HEAD}<r>{''.join(f'<e{n}/>' for n in range(5000))}</r>",
    "cut off": f"{HEAD}<a><b>",
    "no XML": "hello",
    "empty": "",
    "two documents": f"{HEAD}<a/><b/>",
    "encoding": '<?xml version="1.0" encoding="klingon"?><a/>',
    "wrong encoding": '<?xml version="1.0" encoding="utf-8"?><a>\udcb5</a>',
}


def in_pieces(data: bytes, size: int = 2**16) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_xml_that_no_instrument_writes_is_one_line(text: str) -> None:
    data = text.encode("utf-8", "surrogateescape")
    with pytest.raises(InputError, match=r"^x\.xml:\d+: .*: copy it from") as caught:
        list(xml_events(in_pieces(data), "x.xml", {"a", "b"}))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("begin", "middle"), [(b'<a b="', b"x" * 2**20), (b"<a>", b"x" * 2**20)]
)
def test_a_tag_or_text_without_an_end_is_refused_in_bounded_memory(
    begin: bytes, middle: bytes
) -> None:
    pieces = (begin if not n else middle for n in range(1000))
    with pytest.raises(InputError, match=r"without an end|a text of more than"):
        list(xml_events(pieces, "x.xml", {"a"}))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
def test_encodings_that_files_say_are_read(encoding: str) -> None:
    declared = encoding.removesuffix("-sig")
    text = f'<?xml version="1.0" encoding="{declared}"?><a>\xb5m</a>'
    events = list(xml_events([text.encode(encoding)], "x.xml", {"a"}))
    assert events[-1] == ("a", None, "\xb5m")


def test_a_tree_of_many_images_is_not_held() -> None:
    code = (
        "import resource, sys\n"
        "from cpengine.inputs.image_index.xml_stream import xml_events\n"
        "piece = b'<Image><URL>a.tif</URL></Image>' * 10000\n"
        "def pieces():\n"
        "    yield b'<r>'\n"
        "    for _ in range(200): yield piece\n"
        "    yield b'</r>'\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "n = sum(1 for _ in xml_events(pieces(), 'x', {'Image'}, {'URL'}))\n"
        "print(n, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    number, kilobytes = map(int, ran.stdout.split())
    assert number == 3 * 200 * 10000
    assert kilobytes < 30_000  # of 62 MB of XML


def spoil(path: Path, old: str, new: str) -> None:
    text = path.read_bytes().decode("latin-1")
    assert old in text
    path.write_bytes(text.replace(old, new, 1).encode("utf-8"))


INDEXES: dict[str, tuple[Write, str]] = {
    "Harmony": (write_harmony, "Images/Index.idx.xml"),
    "CellVoyager": (write_cellvoyager, "MeasurementData.mlf"),
    "IN Cell": (write_incell, "P1.xdce"),
    "OME": (write_ome, "P1.companion.ome"),
}


@pytest.mark.parametrize("name", INDEXES)
def test_an_index_that_declares_entities_is_refused(tmp_path: Path, name: str) -> None:
    write, place = INDEXES[name]
    write(tmp_path, Acquisition())
    path = tmp_path / place
    _, _, rest = path.read_text("latin-1").partition("?>")
    path.write_text(f"{HEAD}<!DOCTYPE a [{LAUGHS}]>{rest}", "latin-1")
    with pytest.raises(InputError, match=f"{path}:2: declares an entity"):
        indexed(tmp_path)


@pytest.mark.parametrize("name", INDEXES)
def test_an_index_that_is_cut_off_is_refused(tmp_path: Path, name: str) -> None:
    write, place = INDEXES[name]
    write(tmp_path, Acquisition())
    path = tmp_path / place
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match=f"{path}:.*is no whole XML"):
        indexed(tmp_path)


@pytest.mark.parametrize("share", [0, 0.3, 0.6, 0.9])
def test_an_index_of_imagexpress_that_is_cut_off_is_refused(
    tmp_path: Path, share: float
) -> None:
    write_imagexpress(tmp_path, Acquisition())
    path = tmp_path / "P1.HTD"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(InputError, match=f"{path}: is no whole index"):
        indexed(tmp_path)


@pytest.mark.parametrize(
    ("name", "old"),
    [
        ("Harmony", "r01c01f01p01-ch1sk1fk1fl1.tiff"),
        ("CellVoyager", "P1_A01_T0001F001L01A01Z01C01.tif"),
        ("IN Cell", "A - 1(fld 1 wv Ex1 - DAPI).tif"),
        ("OME", "P1_A01_1_c1_z1_t1.ome.tif"),
    ],
)
@pytest.mark.parametrize(
    "new", ["../../secret.tif", "/etc/secret.tif", "..\\secret.tif"]
)
def test_an_index_leads_to_no_file_outside_of_its_folder(
    tmp_path: Path, name: str, old: str, new: str
) -> None:
    write, place = INDEXES[name]
    write(tmp_path / "P1", Acquisition())
    (tmp_path / "secret.tif").write_bytes(b"secret")
    spoil(
        tmp_path / "P1" / place,
        f">{old}" if name in ("Harmony", "CellVoyager") else f'"{old}',
        f">{new}" if name in ("Harmony", "CellVoyager") else f'"{new}',
    )
    found = indexed(tmp_path / "P1")
    (fault,) = found.faults
    assert fault.kind == "missing-image"
    assert "secret" not in found.tables[0].table.to_csv()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("Harmony", "<ChannelName>DAPI", "<ChannelName>=cmd|' /C calc'!A0"),
        ("Harmony", "<ChannelName>DAPI", "<ChannelName>DA&#10;PI"),
        ("CellVoyager", 'bts:X="100.0"', 'bts:X="@SUM(A1)"'),
        ("OME", 'PositionX="100.0"', 'PositionX="=1+1"'),
        ("Harmony", "<FieldID>1", "<FieldID>-1"),
        (
            "Harmony",
            "<Row>1</Row>\r\n      <Col>1</Col>\r\n      <FieldID>",
            "<Row>0</Row><Col>0</Col><FieldID>",
        ),
        ("CellVoyager", 'bts:Row="1"', 'bts:Row="1e9"'),
        ("IN Cell", 'Row number="1"', 'Row number="99999999999999999999"'),
        ("OME", 'TheZ="0"', 'TheZ="&#x661;"'),
        ("OME", 'Row="0"', 'Row="123456"'),
    ],
)
def test_values_that_no_table_may_have_are_one_line(
    tmp_path: Path, name: str, old: str, new: str
) -> None:
    write, place = INDEXES[name]
    write(tmp_path, Acquisition())
    spoil(tmp_path / place, old, new)
    with pytest.raises(InputError) as caught:
        indexed(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / place))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("plate", ["../up", "a/b", "=1+1", "@x", "a,b", ".x", "a\tb"])
def test_a_plate_that_can_name_no_folder_is_refused_with_its_cure(
    tmp_path: Path, plate: str
) -> None:
    write_harmony(tmp_path, Acquisition(plate=plate))
    with pytest.raises((ConfigError, InputError), match=r"--plate|--pattern"):
        indexed(tmp_path)


def test_names_with_signs_that_are_not_seen_are_in_no_table(tmp_path: Path) -> None:
    write_imagexpress_names(tmp_path, Acquisition())
    for name in ("=x_A01_s1_w1.tif", "a\nb_A01_s1_w1.tif", "a\x1b[2J_A01_s1_w1.tif"):
        (tmp_path / name).write_bytes(b"x")
    found = indexed(tmp_path)
    assert len(found.problems) == 3
    assert {str(p.kind) for p in found.problems} == {"unreadable-name"}
    assert "\n" not in "".join(map(str, found.problems))
    assert len(found.tables[0].table.rows) == 4


def complaint(folder: Path) -> str:
    """What is said of a folder; empty if it is read."""
    try:
        indexed(folder)
    except (InputError, ConfigError) as error:
        return str(error)
    return ""


def test_an_index_of_imagexpress_with_any_bytes_is_read_or_refused(
    tmp_path: Path,
) -> None:
    write_imagexpress(tmp_path, Acquisition())
    path = tmp_path / "P1.HTD"
    path.write_bytes(bytes(range(256)) * 100 + path.read_bytes())
    assert complaint(tmp_path) == "" or str(path) in complaint(tmp_path)


@pytest.mark.parametrize("name", ALL)
def test_an_index_with_any_bytes_in_it_raises_nothing_else(
    tmp_path: Path, name: str
) -> None:
    ALL[name](tmp_path, Acquisition())
    for path in tmp_path.rglob("*"):
        if path.is_file() and not path.suffix.lower().startswith((".tif", ".jpg")):
            data = bytearray(path.read_bytes())
            for at in range(40, len(data), 97):
                data[at] = at % 256
            path.write_bytes(bytes(data))
    assert "\n" not in complaint(tmp_path)
