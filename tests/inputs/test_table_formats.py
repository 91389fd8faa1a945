"""A compressed or Parquet table is read as the CSV that it stands for."""

import builtins
import gzip
import io
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from cpengine.errors import InputError
from cpengine.inputs import loaddata, table_formats
from cpengine.inputs.parsed_files import ParsedFiles

CSV = "Metadata_Plate,Metadata_Well,Metadata_Site\nP1,A01,1\nP1,B02,2\n"


def packed(columns: dict[str, Any]) -> bytes:
    """Columns as the bytes of a Parquet file."""
    data = io.BytesIO()
    parquet.write_table(pa.table(columns), data)
    return data.getvalue()


def cells(values: Any) -> list[str]:
    """Values of a Parquet column as the table that is read of them has them."""
    data = packed({"Metadata_Plate": ["P"] * 3, "Metadata_A": values})
    return loaddata.parse_bytes(data, "t.parquet").column("Metadata_A")


def test_a_compressed_table_is_the_csv() -> None:
    table = loaddata.parse_bytes(gzip.compress(CSV.encode()), "t.csv.gz")
    assert table == loaddata.parse(CSV, "t.csv.gz")


def test_a_csv_that_only_has_the_name_of_a_compressed_one_is_read() -> None:
    assert loaddata.decode(CSV.encode(), "t.csv.gz") == CSV


def test_a_parquet_table_is_the_csv() -> None:
    columns = {
        "Metadata_Plate": ["P1", "P1"],
        "Metadata_Well": ["A01", "B02"],
        "Metadata_Site": [1, 2],
    }
    table = loaddata.parse_bytes(packed(columns), "t.parquet")
    assert table == loaddata.parse(CSV, "t.parquet")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(["01", "a,b", None], ["01", "a,b", ""], id="texts"),
        pytest.param([1, 2, 3], ["1", "2", "3"], id="whole numbers"),
        pytest.param([1.0, 2.0, 30.0], ["1", "2", "30"], id="whole numbers as floats"),
        pytest.param([1.0, None, 3.0], ["1", "", "3"], id="whole numbers with a gap"),
        pytest.param([1.0, float("nan"), 3.0], ["1", "", "3"], id="a gap of pandas"),
        pytest.param([0.1, 2.5, 1e300], ["0.1", "2.5", "1e+300"], id="floats"),
        pytest.param(
            pa.array([0.1, 1.5, -2.25], pa.float32()),
            ["0.1", "1.5", "-2.25"],
            id="single",
        ),
        pytest.param([True, None, False], ["True", "", "False"], id="booleans"),
        pytest.param(
            pa.array(["x", "y", "x"]).dictionary_encode(), ["x", "y", "x"], id="classes"
        ),
        pytest.param([2**60, 1, 2], [str(2**60), "1", "2"], id="large numbers"),
    ],
)
def test_values_have_the_text_that_a_csv_would_have(
    values: Any, expected: list[str]
) -> None:
    assert cells(values) == expected


def test_the_index_of_pandas_is_no_column() -> None:
    data = packed({"Metadata_Plate": ["P"], "__index_level_0__": [7]})
    assert table_formats.to_csv(data, "t.parquet") == b"Metadata_Plate\nP\n"


@pytest.mark.parametrize(
    ("data", "name", "why"),
    [
        (gzip.compress(CSV.encode())[:-9], "t.csv.gz", "cannot be unpacked (Compr"),
        (b"\x1f\x8bjunk", "t.csv.gz", "cannot be unpacked ("),
        (b"", "t.parquet", "cannot be read as Parquet (Parquet file size is 0"),
        (packed({"a": [1]})[:-9], "t.parquet", "cannot be read as Parquet ("),
        (packed({"a": [[1]]}), "t.parquet:a", "holds list<element: int64>, which no"),
        (b"PK\3\4", "t.csv.gz", "is a zip archive: unpack it"),
    ],
    ids=["cut short", "junk", "nothing", "a cut Parquet", "lists", "a zip archive"],
)
def test_what_cannot_be_unpacked_is_one_line(data: bytes, name: str, why: str) -> None:
    with pytest.raises(InputError) as caught:
        loaddata.decode(data, name.partition(":")[0])
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{name}: {why}")


def test_a_compressed_file_that_unpacks_to_gigabytes_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert table_formats.MOST_BYTES == 2**28
    monkeypatch.setattr(table_formats, "MOST_BYTES", 2**20)
    zeros = gzip.compress(bytes(2**20), 1) * 2000  # members one after the other
    with pytest.raises(InputError, match="more than 1 MB when it is unpacked: write"):
        table_formats.to_csv(zeros, "t.csv.gz")


@pytest.mark.parametrize("columns", [1, 40])
def test_a_parquet_file_that_unpacks_to_too_much_is_refused(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cpengine.inputs import parquet_table

    monkeypatch.setattr(parquet_table, "MOST_BYTES", 10_000)
    value = "x" * 5000 if columns == 1 else ""
    data = packed({f"Metadata_{n}": [value] * 3000 for n in range(columns)})
    with pytest.raises(InputError, match="more than 256 MB"):
        table_formats.to_csv(data, "t.parquet")


def test_without_pyarrow_a_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = builtins.__import__

    def no_pyarrow(name: str, *rest: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "pyarrow":
            raise ModuleNotFoundError("No module named 'pyarrow'", name="pyarrow")
        return original(name, *rest, **options)

    monkeypatch.delitem(sys.modules, "cpengine.inputs.parquet_table", raising=False)
    import cpengine.inputs

    monkeypatch.delattr(cpengine.inputs, "parquet_table", raising=False)
    monkeypatch.setattr(builtins, "__import__", no_pyarrow)
    with pytest.raises(InputError) as caught:
        table_formats.to_csv(packed({"a": [1]}), "s3://b/t.parquet")
    assert str(caught.value) == (
        "s3://b/t.parquet: is Parquet, and pyarrow is not installed: "
        'pip install "cpengine[collect]"'
    )


def test_names_of_a_table() -> None:
    names = ("a.csv", "a.csv.gz", "a.parquet")
    assert table_formats.names_of("a.csv") == names
    assert list(map(table_formats.csv_name, names)) == ["a.csv"] * 3
    for name in (*names[1:], "Batch_data.h5", "list.txt"):
        assert table_formats.names_of(name) == (name,)
    assert table_formats.is_csv("list.txt")
    assert not table_formats.is_csv("a.parquet")


def test_what_is_remembered_of_a_compressed_table_counts_as_its_text(
    tmp_path: Path,
) -> None:
    text = CSV + "P1,B02,2\n" * 1000
    data = gzip.compress(text.encode())
    parsed = ParsedFiles(most=5000)
    assert len(data) < 1000
    first = parsed.parse(data, "t.csv.gz", loaddata.parse_bytes)
    assert parsed.parse(data, "t.csv.gz", loaddata.parse_bytes) is not first
