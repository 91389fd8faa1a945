"""What a column holds."""

import pytest

from cpengine.results.collect.arrow import pa
from cpengine.results.collect.kinds import ColumnKind, fitted, kind_of, merged, type_of


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1", "-20", "0"], ColumnKind.INTEGER),
        (["1", "2.5", "-1e-05", "5.", "inf", "-inf"], ColumnKind.REAL),
        (["1", None], ColumnKind.INTEGER),
        ([None, None], ColumnKind.NOTHING),
        ([], ColumnKind.NOTHING),
        (["007", "1"], ColumnKind.TEXT),
        (["1", "A01"], ColumnKind.TEXT),
        (["2026-01-02"], ColumnKind.TEXT),
        (["9007199254740991", "-5"], ColumnKind.INTEGER),
        (["9007199254740993", "-5"], ColumnKind.LARGE_INTEGER),
        (["9223372036854775807", "-9223372036854775808"], ColumnKind.LARGE_INTEGER),
        (["9223372036854775808"], ColumnKind.TEXT),
        (["18446744073709551615", "1"], ColumnKind.TEXT),
        (["12345678901234567890123"], ColumnKind.TEXT),
        (["1.5", "9007199254740993"], ColumnKind.TEXT),
        (["1.5", "9.007199254740994e+15"], ColumnKind.REAL),
        (["0x1F"], ColumnKind.TEXT),
        (["+1"], ColumnKind.TEXT),
    ],
)
def test_texts_that_are_numbers_are_numbers(
    texts: list[str | None], kind: ColumnKind
) -> None:
    column = pa.chunked_array([pa.array(texts, pa.string())])
    assert kind_of(column) is kind
    schema = pa.schema([("A", type_of("A", kind))])
    back = fitted(pa.table({"A": column}), schema)["A"].to_pylist()
    for value, text in zip(back, texts, strict=True):
        assert value == (type(value)(text) if text else None)


def test_the_widest_of_several_types_holds_all() -> None:
    pieces = [
        pa.table({"A": [1], "B": pa.nulls(1)}),
        pa.table({"A": [0.5], "C": ["x"]}),
    ]
    assert merged(pieces).to_pylist() == [
        {"A": 1.0, "B": None, "C": None},
        {"A": 0.5, "B": None, "C": "x"},
    ]


def test_whole_numbers_and_others_are_merged_without_loss() -> None:
    large = 2**62 + 1
    pieces = [pa.table({"A": [large], "B": [3]}), pa.table({"A": [0.5], "B": [0.5]})]
    assert merged(pieces).to_pylist() == [
        {"A": str(large), "B": 3.0},
        {"A": "0.5", "B": 0.5},
    ]
    large_one, real = ColumnKind.LARGE_INTEGER, ColumnKind.REAL
    assert large_one.with_other(real) is real.with_other(large_one) is ColumnKind.TEXT
    assert large_one.with_other(ColumnKind.INTEGER) is large_one


def test_an_empty_column_has_the_type_that_its_name_lets_expect() -> None:
    assert type_of("Metadata_Cells_Parent_Nuclei", ColumnKind.NOTHING) == pa.int64()
    assert type_of("Metadata_Lot", ColumnKind.NOTHING) == pa.string()
    assert type_of("Cells_AreaShape_Area", ColumnKind.NOTHING) == pa.float64()
    assert type_of("Metadata_Plate", ColumnKind.INTEGER) == pa.string()
