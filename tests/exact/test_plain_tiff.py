"""Plain TIFFs have the same values, scale, digest and errors as by Bio-Formats."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from tests.exact import tiffs
from tests.exact.conftest import Bench
from tests.exact.drawn import examples
from tests.exact.tiffs import Tiff, changed, ramp


def check(bench: Bench, *files: dict[str, Any]) -> int:
    """Read files both ways; give how often ours answered without Bio-Formats."""
    answer = bench.check(files=list(files), accelerations=["plain_tiff"])
    calls: int = answer["calls"].get("plain_tiff", 0)
    return calls


def written(folder: Path, content: bytes, name: str = "a.tif") -> dict[str, Any]:
    """A file, as what is asked for."""
    (folder / name).write_bytes(content)
    return {"path": str(folder / name)}


TAGS = {
    "planar": {tiffs.PLANAR: (3, [1])},
    "resolution": {tiffs.X: (5, [300, 7]), tiffs.Y: (5, [3, 1]), tiffs.UNIT: (3, [3])},
    "format": {tiffs.FORMAT: (3, [1])},
    "orientation": {tiffs.ORIENTATION: (3, [1])},
    "software": {tiffs.SOFTWARE: (2, b"tifffile.py\0")},
    "text": {tiffs.DESCRIPTION: (2, b'{"shape": [5, 4]}\0')},
    "lines": {tiffs.DESCRIPTION: (2, b"a=1\r\n[b]\nc = <d/>\n\n=\nq=\n\0")},
    "metamorph": {
        tiffs.DESCRIPTION: (2, b"Exposure: 80 ms\nBinning: 2 x 2\n:\nx\n\0"),
        tiffs.SOFTWARE: (2, b"MetaMorph 7.8\0"),
    },
    "xml": {tiffs.DESCRIPTION: (2, b'<MetaData><prop id="Scale" value="9"/>\n\0')},
    "date": {tiffs.DATE: (2, b"2024:03:31 02:30:00\0")},
    "subfile": {254: (4, [0])},
    "all rows": {tiffs.ROWS: (4, [2**32 - 1])},
    "long": {tiffs.WIDTH: (4, [4]), tiffs.HEIGHT: (4, [5])},
    "short": {tiffs.OFFSETS: (3, [8])},
    "no rows": {tiffs.ROWS: None},
    "no samples": {tiffs.SAMPLES: None},
}


@pytest.mark.parametrize("name", TAGS)
def test_ours_reads_what_is_plain(bench: Bench, tmp_path: Path, name: str) -> None:
    order = "<" if len(name) % 2 else ">"
    content = Tiff(ramp(5, 4), order, tags=TAGS[name]).content()
    assert check(bench, written(tmp_path, content)) == 2


def test_ours_reads_strips(bench: Bench, tmp_path: Path) -> None:
    for rows in (1, 2, 4, 5):  # of two, Bio-Formats takes the last for two strips
        for values in (ramp(6, 4), ramp(7, 4, 8), ramp(1, 9), ramp(9, 1)):
            file = written(tmp_path, Tiff(values, ">", rows).content())
            assert check(bench, file) == 2


OTHER: dict[str, Any] = {
    "white is zero": {tiffs.PHOTOMETRIC: (3, [0])},
    "palette": {tiffs.PHOTOMETRIC: (3, [3]), 320: (3, list(range(0, 65280, 85)))},
    "signed": {tiffs.FORMAT: (3, [2])},
    "predictor": {tiffs.PREDICTOR: (3, [2])},
    "12 bits": {tiffs.BITS: (3, [12])},
    "MaxSampleValue": {281: (3, [4095])},
    "extra": {338: (3, [0])},
    "turned": {tiffs.ORIENTATION: (3, [8])},
    "reversed bits": {266: (3, [2])},
    "thumbnail": {254: (4, [1])},
    "ImageJ": {tiffs.DESCRIPTION: (2, b"ImageJ=1.53\nimages=4\nslices=4\n\0")},
    "OME": {tiffs.DESCRIPTION: (2, b'<?xml version="1.0"?><OME><Image/></OME>\0')},
    "unit": {tiffs.DESCRIPTION: (2, b"unit=furlong\n\0"), tiffs.X: (5, [1, 3])},
    "latin": {tiffs.DESCRIPTION: (2, b"\xb5m\n\xff=\0")},
    "two texts": {tiffs.DESCRIPTION: (2, b"a\0b\0")},
    "no end of text": {tiffs.DESCRIPTION: (2, b"abcdef")},
    "UIC": {33628: (4, [0])},
    "EXIF": {34665: (4, [8])},
    "private": {65000: (1, b"<x><y>1</y></x>xml")},
    "no resolution": {tiffs.X: (5, [0, 0])},
    "resolution of integers": {tiffs.X: (3, [72])},
    "odd date": {tiffs.DATE: (2, b"2024:02:31 02:30:00\0")},
    "offset beyond": {tiffs.OFFSETS: (4, [10**6])},
    "offset of nothing": {tiffs.OFFSETS: (4, [0])},
    "few bytes": {tiffs.COUNTS: (4, [20])},
    "many bytes": {tiffs.COUNTS: (4, [10**6])},
    "no counts": {tiffs.COUNTS: None},
    "no offsets": {tiffs.OFFSETS: None},
    "no bits": {tiffs.BITS: None},
    "no compression": {tiffs.COMPRESSION: None},
    "no width": {tiffs.WIDTH: None},
    "no photometric": {tiffs.PHOTOMETRIC: None},
    "two samples": {tiffs.SAMPLES: (3, [2])},
    "planes": {tiffs.PLANAR: (3, [2])},
    "zero wide": {tiffs.WIDTH: (3, [0])},
    "huge": {tiffs.HEIGHT: (4, [2**31])},
    "wide": {tiffs.WIDTH: (3, [8])},
    "high": {tiffs.HEIGHT: (3, [50])},
    "compressed": {tiffs.COMPRESSION: (3, [32773])},
    "unknown compression": {tiffs.COMPRESSION: (3, [999])},
}


@pytest.mark.parametrize("tags", OTHER.values(), ids=OTHER.keys())
def test_bio_formats_reads_what_is_not(bench: Bench, tmp_path: Path, tags: Any) -> None:
    bits = 8 if 320 in tags else 16
    file = written(tmp_path, Tiff(ramp(5, 4, bits), tags=tags).content())
    assert check(bench, file) == 0


def test_pages_and_broken_files(bench: Bench, tmp_path: Path) -> None:
    whole = Tiff(ramp(5, 4)).content()
    rest = [whole[:end] for end in (0, 3, 8, 40, 60, len(whole) - 4, len(whole) - 1)]
    contents = [Tiff(ramp(5, 4), pages=3).content(), b"II*\0" + bytes(50), *rest]
    for number, content in enumerate(contents):
        file = written(tmp_path, content, f"{number}.tif")
        assert check(bench, file) == 0
    assert check(bench, {"path": str(tmp_path / "none.tif")}) == 0
    assert check(bench, {"path": str(tmp_path / "none" / "a.tif")}) == 0
    (tmp_path / "folder.tif").mkdir()
    assert check(bench, {"path": str(tmp_path / "folder.tif")}) == 0


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        *(("A B+%41#(1).tif", 2), ("a.TIF", 2), ("a.tiff", 2), ("a.ome.tif", 2)),
        *(("a.flex.tif", 2), ("_log.txt.tif", 2), ("é.tif", 0), ("a.png", 0)),
        *(("a.tif.txt", 0), ("tif", 0), ("a:b.tif", 0), ("a.stk", 0), ("a.lsm", 0)),
        *((".tif", 0), ("a'b&c.Tif", 2), ("a.pattern.tif", 2)),
    ],
)
def test_names(bench: Bench, tmp_path: Path, name: str, calls: int) -> None:
    file = written(tmp_path, Tiff(ramp(5, 4)).content(), name)
    assert check(bench, file) == calls


def test_readers_that_search_javas_folder(bench: Bench, tmp_path: Path) -> None:
    folder = Path(f"/proc/{bench.process.pid}/cwd").resolve()
    content = Tiff(ramp(5, 4)).content()
    for number, name in enumerate(["x0.pst", "MeasurementIndex.ColumbusIDX.xml"]):
        file = written(tmp_path, content, f"x{number}.tif")
        (folder / name).touch()
        try:
            assert check(bench, file) == 0
        finally:
            (folder / name).unlink()
        assert check(bench, file) == 2


def test_addresses(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    folder.mkdir()
    path = written(folder, Tiff(ramp(5, 4)).content(), "c%20#.tif")["path"]
    quoted = path.replace("%", "%25").replace(" ", "%20").replace("#", "%23")
    planes = {"series": 0, "index": 0}
    for url in (f"file:{quoted}", f"file://{quoted}", f"FILE:{quoted}"):
        assert check(bench, {"path": path, "url": url, **planes}) == 2
    for url in (f"file:{path}", quoted, "file:c.tif", "file:"):
        check(bench, {"path": path, "url": url, **planes})


@pytest.mark.parametrize("bits", [8, 16])
def test_what_is_asked_for(bench: Bench, tmp_path: Path, bits: int) -> None:
    path = written(tmp_path, Tiff(ramp(5, 4, bits), ">").content())["path"]
    for rescale in (True, False, 4095.0, 0.1, 1, "Yes"):
        assert check(bench, {"path": path, "rescale": rescale, "again": True}) == 3
    for plane in ("series", "index", "channel"):
        assert check(bench, {"path": path, plane: 0}) == 2
        check(bench, {"path": path, plane: 1})
    check(bench, {"path": path, "index": [0, 0]})


def test_readers_that_are_open(bench: Bench, tmp_path: Path) -> None:
    plain = written(tmp_path, Tiff(ramp(5, 4)).content(), "plain.tif")
    again = written(tmp_path, Tiff(ramp(3, 7)).content(), "again.tif")
    white = {tiffs.PHOTOMETRIC: (3, [0])}
    other = written(tmp_path, Tiff(ramp(5, 4), tags=white).content(), "other.tif")
    files = [plain, other, again, plain, other, other, plain | {"name": "b"}]
    assert check(bench, *files, other | {"name": "b"}, *files) > 8


def test_a_file_that_is_written_between_two_uses_is_an_error_of_ours(
    bench: Bench, tmp_path: Path
) -> None:
    first = written(tmp_path, Tiff(ramp(5, 4)).content(), "first.tif")
    other = written(tmp_path, Tiff(ramp(3, 7)).content(), "other.tif")
    place = {"path": str(tmp_path / "image.tif")}
    for _ in range(2):  # what an earlier run read is forgotten
        files = [place | {"copy": first["path"]}, place]
        assert check(bench, *files) == 4
    files.append(place | {"copy": other["path"]})
    answer = bench.answer({"files": files, "accelerations": ["plain_tiff"]})
    assert any("written between two uses" in str(text) for text in answer["different"])


def test_libraries(bench: Bench, tmp_path: Path) -> None:
    values = ramp(61, 53)
    options: dict[str, dict[str, Any]] = {
        "plain": {},
        "lzw": {"compression": "zlib"},
        "tiles": {"tile": (32, 32)},
        "strips": {"rowsperstrip": 7},
        "imagej": {"imagej": True},
        "ome": {"ome": True},
        "big": {"bigtiff": True},
        "dated": {"datetime": True, "software": "x", "resolution": (300, 300)},
    }
    for name, chosen in options.items():
        tifffile.imwrite(tmp_path / f"{name}.tif", values, **chosen)
        calls = check(bench, {"path": str(tmp_path / f"{name}.tif")})
        assert calls == (2 if name in ("plain", "strips", "dated") else 0)
    for name, other in {
        "float": values / np.float32(9),
        "rgb": np.dstack([values, values, values]),
        "stack": np.stack([values, values]),
        "long": values.astype(np.uint32),
        "signed": values.astype(np.int16),
    }.items():
        photometric = "rgb" if name == "rgb" else "minisblack"
        tifffile.imwrite(tmp_path / f"{name}.tif", other, photometric=photometric)
        assert check(bench, {"path": str(tmp_path / f"{name}.tif")}) == 0


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A file that is plain, or nearly so."""
    sides = st.integers(1, 12)
    tags: dict[int, Any] = {}
    for some in draw(st.lists(st.sampled_from([*TAGS.values()]), max_size=4)):
        tags |= some
    for key in (tiffs.WIDTH, tiffs.HEIGHT, tiffs.OFFSETS):
        tags.pop(key, None)
    if draw(st.integers(0, 9)) == 0:
        tags |= draw(st.sampled_from([*OTHER.values()]))
    rows = draw(st.one_of(st.none(), sides))
    if rows:
        tags.pop(tiffs.ROWS, None)
    return Tiff(
        ramp(draw(sides), draw(sides), draw(st.sampled_from([8, 16]))),
        draw(st.sampled_from("<>")),
        rows,
        tags,
        pixels_first=draw(st.booleans()),
        gap=draw(st.sampled_from([0, 0, 1, 30])),
    ).content()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drawn")


@examples(30)
@given(
    files(),
    st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=2),
    st.one_of(st.none(), st.integers(0, 400)),
)
def test_drawn_files(
    bench: Bench, folder: Path, content: bytes, changes: Any, end: int | None
) -> None:
    check(bench, written(folder, changed(content, changes)[:end]))
