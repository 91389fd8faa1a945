"""LoadData CSVs: typing, checks, groups, and the CSVs that are derived from others."""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpengine.errors import InputError
from cpengine.inputs.loaddata import Table, _numbered_rows, parse, read_as_loaddata
from cpengine.inputs.table_groups import (
    groups,
    image_numbers,
    missing_keys,
    repeated_sites,
    spellings,
)
from cpengine.inputs.table_images import ImageFile, image_files, with_urls
from cpengine.planning.derive import channels, projected, with_illum
from cpengine.planning.grouped_table import GroupedTable

PLATE_WELL = ["Metadata_Plate", "Metadata_Well"]
IMAGE = "FileName_OrigDNA,PathName_OrigDNA"
KEYS = "Metadata_Plate,Metadata_Well,Metadata_Site"


def table(text: str) -> Table:
    return parse(text, "f.csv")


def column(name: str, values: Sequence[str]) -> Table:
    return table("\n".join([f"{name},x", *(f"{value},0" for value in values), ""]))


def message(text: str) -> str:
    with pytest.raises(InputError) as caught:
        table(text)
    return str(caught.value)


# Typing


@pytest.mark.parametrize(
    ("texts", "read"),
    [
        (["1", "02"], ["1", "2"]),
        (["-3", "+4"], ["-3", "4"]),
        (["1", "2.0"], ["1.0", "2.0"]),
        (["25E5", "1E400"], ["2500000.0", "inf"]),
        (["nan", "7"], ["nan", "7.0"]),
        (["01", "A1"], ["01", "A1"]),
        (["01", ""], ["01", ""]),
        (["2147483647", "-2147483648"], ["2147483647", "-2147483648"]),
        (["2147483648", "01"], ["2147483648", "01"]),
        (["-2147483649", "01"], ["-2147483649", "01"]),
        (["2147483648.0", "01"], ["2147483648.0", "1.0"]),
        (["2147483648", "1.50"], ["2147483648", "1.50"]),
    ],
)
def test_column_is_typed_as_a_whole(texts: list[str], read: list[str]) -> None:
    assert read_as_loaddata("Metadata_Site", texts) == read


@pytest.mark.parametrize("token", ["Col", "col", "WellColumn", "wellcol", "Column_2"])
def test_well_columns_stay_text(token: str) -> None:
    assert read_as_loaddata(f"Metadata_{token}", ["01", "02"]) == ["01", "02"]


@pytest.mark.parametrize("name", ["Metadata_Well_Col", "Metadata_Cols", "Column"])
def test_other_columns_are_typed(name: str) -> None:
    assert read_as_loaddata(name, ["01", "02"]) == ["1", "2"]


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1))
def test_integers_are_read_without_padding(numbers: list[int]) -> None:
    padded = [f"{number:06d}" for number in numbers]
    assert read_as_loaddata("Metadata_Site", padded) == list(map(str, numbers))


@given(st.lists(st.integers() | st.floats(allow_nan=False), min_size=1))
def test_what_loaddata_gives_it_reads_the_same_again(numbers: list[float]) -> None:
    once = read_as_loaddata("Metadata_Dose", list(map(str, numbers)))
    assert read_as_loaddata("Metadata_Dose", once) == once


@given(st.lists(st.text(), min_size=1))
def test_a_column_with_a_word_stays_text(texts: list[str]) -> None:
    values = [*texts, "word"]
    assert read_as_loaddata("Metadata_Well", values) == values


# Reading


def test_blank_lines_are_no_rows_but_count_as_lines() -> None:
    read = table("a,b\n\n1,2\n\n\n3,4\n")
    assert (read.rows, read.lines) == ((("1", "2"), ("3", "4")), (3, 6))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_as_on_any_system(end: str) -> None:
    read = table(end.join(["a,b", "1,2", "3,4", ""]))
    assert (read.rows, read.lines) == ((("1", "2"), ("3", "4")), (2, 3))


def test_quoted_values_may_hold_commas() -> None:
    assert table('a,b\n"1,2",3\n').rows == (("1,2", "3"),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "f.csv: has no image sets"),
        ("a,b\n", "f.csv: has no image sets"),
        ("\ufeffFileName_A,b\n1,2\n", "f.csv:1:column 1: LoadData does not know '"),
        ("a,b\n1,2\n3\n4\n", "f.csv:3: has 1 values for 2 columns (and 1 rows more)"),
        ("a;b\n1;2\n", "f.csv:1: has no commas"),
        ("a\tb\n1\t2\n", "f.csv:1: has no commas"),
        ("a,,c\n1,2,3\n", "f.csv:1:column 2: has no name"),
        ("a, FileName_b\n1,2\n", "f.csv:1:column 2: LoadData does not know ' FileN"),
        ("a/b,c\n1,2\n", "f.csv:1:column 1: CellProfiler cannot store a column nam"),
        ("PathName_A\nx\n", "f.csv:1: PathName_A without FileName_A"),
        ("URL_A,FileName_A\nx,y\n", "f.csv:1: URL_A without PathName_A"),
        ("URL_A,PathName_A\nx,y\n", "f.csv:1: URL_A without FileName_A"),
        ("ObjectsFileName_A,b\nx,1\n", "f.csv:1: ObjectsFileName_A without Objects"),
        ("Metadata_Row,Metadata_Col\n1,01\n", "f.csv:1:Metadata_Row: has numbers al"),
        ("Metadata_Well_Row,Metadata_Well_Col\nA,1\n", "f.csv:1:Metadata_Well_Col: h"),
        ("a,b\n1,2\n3,\0\n", "f.csv:3: has a NUL byte"),
        ("x,a,a\n1,b,2\n", "f.csv:1:a: is there twice, with texts and then with"),
        ("x,a,a\n1,2,3\n4\n", "f.csv:3: has 1 values for 3 columns"),
        ("Metadata_Row,b,Metadata_Col\n1,2\n", "f.csv:2: has 2 values for 3 columns"),
        ("\na,b\n1,2\n", "f.csv:1: is blank"),
        (f"{IMAGE}\n,x\n", "f.csv:2:FileName_OrigDNA: is empty: "),
        ("URL_A,b\n,1\n,2\n", "f.csv:2:URL_A: is empty (and 1 rows more): "),
        ('a\n"' + "x" * 140_000, "f.csv:2: is no CSV (field larger than field limit"),
    ],
)
def test_wrong_csv_is_refused(text: str, expected: str) -> None:
    assert message(text).startswith(expected)


def test_every_finding_in_the_header_gets_a_line() -> None:
    assert len(message("a,,b/c\n1,2,3\n").splitlines()) == 2


@pytest.mark.parametrize(
    "text",
    [
        "Unnamed: 0,a\n0,1\n",
        "a , b\n1,2\n",
        "\ufeffa,b\n1,2\n",
        "FileName_A,b\nx.tif,1\n",
        f"{IMAGE}\nx,\n",
        "Metadata_Row,Metadata_Well\n1,A01\n",
    ],
)
def test_csv_that_loaddata_takes_is_taken(text: str) -> None:
    assert table(text).notes == ()


def test_values_beyond_the_columns_are_dropped_with_a_note() -> None:
    read = table("a,b\n1,2\n3,4,5,\n6,7,8,\n")
    assert read.rows == (("1", "2"), ("3", "4"), ("6", "7"))
    assert str(read.notes[0]).startswith(
        "f.csv:3: has 4 values for 2 columns (and 1 rows more); LoadData drops"
    )


@pytest.mark.parametrize(
    "text", ["a,a\n99999999999,1\n", "a,a\nb,c\n1,d\n", "PathName_A,PathName_A\nx,1\n"]
)
def test_columns_twice_that_loaddata_can_type_are_taken(text: str) -> None:
    header, *rows = text.splitlines()
    read = table("\n".join([f"FileName_A,{header}", *(f"f,{row}" for row in rows)]))
    assert [note.rule.name for note in read.notes] == ["csv-column-twice"]


def test_of_two_columns_of_one_name_the_last_counts() -> None:
    read = table("a,FileName_A,Image_FileName_A,a\n1,x,y,2\n")
    assert (read.column("a"), read.column("FileName_A")) == (["2"], ["y"])
    assert [note.rule.name for note in read.notes] == ["csv-column-twice"]


@pytest.mark.parametrize(
    ("header", "wells"),
    [
        ("Metadata_Row,Metadata_Column", ["A01", "B2"]),
        ("Metadata_WellRow,Metadata_WellCol", ["A01", "B2"]),
        ("Metadata_row,Metadata_COL", ["A01", "B2"]),
        ("Row,Column", None),
        ("Metadata_Row,Metadata_Site", None),
    ],
)
def test_wells_are_made_of_rows_and_columns(
    header: str, wells: list[str] | None
) -> None:
    read = table(f"{header}\nA,01\nB,2\n")
    assert ("Metadata_Well" in read.names) == (wells is not None)
    if wells:
        assert read.values("Metadata_Well") == wells


def test_a_well_that_is_named_is_not_made_again() -> None:
    read = table("Metadata_Row,Metadata_Col,Metadata_well\nA,01,x\n")
    assert "Metadata_Well" not in read.names


@pytest.mark.parametrize(
    "header",
    [
        "FileName_A,PathName_A",
        "URL_A,x",
        "Image_FileName_A,Image_PathName_A",
        "FileName_A,x",
    ],
)
def test_images_are_found_under_each_name_that_loaddata_knows(header: str) -> None:
    assert list(table(f"{header}\n1,2\n").images) == ["A"]


def test_to_csv_gives_what_was_read() -> None:
    text = 'FileName_A,PathName_A\n"a,1.tif",/p\n"b""2.tif",/q\n'
    assert table(text).to_csv() == text


@given(st.text("ab,\n \x00é\u2028\x0b"))
def test_csv_without_quotes_reads_as_the_csv_module_reads_it(text: str) -> None:
    reader = csv.reader(io.StringIO(text, newline=None))
    expected = [(tuple(row), reader.line_num) for row in reader if row]
    assert _numbered_rows(text, "f.csv") == expected


def test_cell_that_is_too_long_for_the_csv_module_is_refused() -> None:
    with pytest.raises(InputError, match=r"f.csv:2: is no CSV \(field larger than"):
        table(f"a,b\n1,{'x' * (csv.field_size_limit() + 1)}\n")


# Groups


def test_groups_come_in_the_order_of_their_first_rows() -> None:
    text = "Metadata_Plate,Metadata_Well\nP1,B02\nP1,A01\nP1,B02\n"
    first, second = groups(table(text), PLATE_WELL).items()
    assert first == ((("Metadata_Plate", "P1"), ("Metadata_Well", "B02")), [0, 2])
    assert second == ((("Metadata_Plate", "P1"), ("Metadata_Well", "A01")), [1])


def test_groups_keep_the_order_of_the_keys() -> None:
    text = "Metadata_Plate,Metadata_Well\nP1,A01\n"
    (group,) = groups(table(text), PLATE_WELL[::-1])
    assert group == (("Metadata_Well", "A01"), ("Metadata_Plate", "P1"))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "01", "2"], "f.csv:3:K: LoadData reads '01' and '1' as one value, '1'"),
        (["1.0", "1"], "f.csv:3:K: LoadData reads '1' and '1.0' as one value, '1.0'"),
        (["A", "", ""], "f.csv:3:K: is empty (and 1 rows more): fill it in"),
        (["a=b"], "f.csv:2:K: 'a=b' cannot"),
        (["a/b"], "f.csv:2:K: 'a/b' cannot"),
        (["a\\b"], "f.csv:2:K: 'a\\\\b' cannot"),
        ([".a"], "f.csv:2:K: '.a' cannot"),
        (['"a,b"'], "f.csv:2:K: 'a,b' cannot"),
        (["a\x7f"], "f.csv:2:K: 'a\\x7f' cannot"),
    ],
)
def test_value_that_cannot_name_a_group_is_refused(
    values: list[str], expected: str
) -> None:
    with pytest.raises(InputError) as caught:
        groups(column("K", values), ["K"])
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1", "2"], ["1", "2"]),
        (["01", "A1"], ["01", "A1"]),
        (["002", "010"], ["2", "10"]),
        (["2024_01_15"], ["20240115"]),
        (["0", "0.50", "10"], ["0.0", "0.5", "10.0"]),
        (["a-b_c~d(e)", "A 1", " x", "a..b"], ["a-b_c~d(e)", "A 1", " x", "a..b"]),
        (["2147483648", "01"], ["2147483648", "01"]),
    ],
)
def test_values_are_those_that_loaddata_reads(
    texts: list[str], values: list[str]
) -> None:
    found = groups(column("K", texts), ["K"])
    assert [group[0][1] for group in found] == values


def test_values_may_be_spelled_as_in_the_file_or_as_loaddata_reads_them() -> None:
    assert spellings(column("K", ["002", "10"]), "K") == {
        "002": "2",
        "2": "2",
        "10": "10",
    }
    assert spellings(column("K", ["1"]), "L") == {}


def test_a_row_of_commas_has_a_number_and_no_job() -> None:
    read = table("Metadata_Well,x\nB,1\n,\nA,2\n")
    sheet = GroupedTable.of(read, ["Metadata_Well"], ["Metadata_Well"])
    assert [group[0][1] for group in sheet.groups] == ["B", "A"]
    assert list(sheet.numbers) == [3, 1, 2]
    assert [note.rule.name for note in read.notes] == ["csv-blank-rows"]


@pytest.mark.parametrize(
    ("header", "cure"),
    [
        ("Plate,b", "rename Plate to Metadata_Plate"),
        ("Image_Metadata_Plate,b", "rename Image_Metadata_Plate to Metadata_Plate"),
        ("Metadata_Plate ,b", "write Metadata_Plate, without blanks"),
        ("\ufeffMetadata_Plate,b", "save the file as UTF-8 without a byte order mark"),
        ("Metadata_plate,b", "add it; did you mean Metadata_plate?"),
        ("a,b", "add it"),
    ],
)
def test_missing_column_of_another_name_is_named(header: str, cure: str) -> None:
    (finding,) = missing_keys(table(f"{header}\n1,2\n"), ["Metadata_Plate"])
    assert finding.cure == cure


def test_missing_group_columns_get_a_line_each() -> None:
    with pytest.raises(InputError) as caught:
        groups(table("a,b\n1,2\n"), PLATE_WELL)
    assert [line.split()[4] for line in str(caught.value).splitlines()] == [
        "Metadata_Plate,",
        "Metadata_Well,",
    ]


def test_site_twice_names_both_lines() -> None:
    rows = "P1,A01,1\nP1,A01,2\nP1,A01,1\nP1,A01,2\n"
    (error,) = repeated_sites(table(f"{KEYS}\n{rows}"))
    assert str(error).startswith(
        "f.csv:4: P1-A01-1 is in line 2 already (and 1 rows more): "
    )


@pytest.mark.parametrize(
    "name", ["z", "ZPlane", "PlaneID", "Timepoint", "TimepointID", "Frame", "Cycle"]
)
def test_planes_and_time_points_of_a_site_are_no_repetition(name: str) -> None:
    text = f"{KEYS},Metadata_{name}\nP1,A01,1,1\nP1,A01,1,2\n"
    assert list(repeated_sites(table(text))) == []


@pytest.mark.parametrize("name", ["Dose", "Plate_Map", "Zone"])
def test_other_metadata_does_not_tell_rows_of_a_site_apart(name: str) -> None:
    text = f"{KEYS},Metadata_{name}\nP1,A01,1,1\nP1,A01,1,2\n"
    assert len(list(repeated_sites(table(text)))) == 1


# Moving


def test_local_files_go_into_url_columns_and_places_stay_as_they_are() -> None:
    given = table(f"{IMAGE},Metadata_X\na b.tif,/m/p,1\nb.tif,/m/q,2\n")
    made = with_urls(given, {0: ["/tmp/in/a b.tif"]})
    assert made.header == (*given.header, "URL_OrigDNA")
    assert made.rows == (
        ("a b.tif", "/m/p", "1", "file:/tmp/in/a%20b.tif"),
        ("b.tif", "/m/q", "2", ""),
    )


def test_a_url_that_stands_alone_is_split_as_loaddata_does() -> None:
    made = with_urls(table("URL_A,Metadata_X\ns3://b/p/a.tif,1\n"), {0: ["/in/a.tif"]})
    assert made.header == ("Metadata_X", "PathName_A", "FileName_A", "URL_A")
    assert made.rows == (("1", "s3://b/p", "a.tif", "file:/in/a.tif"),)


def test_objects_get_url_columns_of_their_own() -> None:
    header = "Image_ObjectsFileName_Nuclei,Image_ObjectsPathName_Nuclei"
    made = with_urls(table(f"{header}\na.tif,/m\n"), {0: ["/in/a.tif"]})
    assert made.header[-1] == "ObjectsURL_Nuclei"


@pytest.mark.parametrize(
    ("header", "row", "base", "folder", "name", "measured"),
    [
        ("FileName_A,PathName_A", "t1/a.tif,/m", "", "/m/t1", "a.tif", "/m"),
        ("FileName_A,PathName_A", "../a.tif,/m/x", "", "/m/x/..", "a.tif", "/m/x"),
        ("FileName_A,PathName_A", "/n/a.tif,/m", "", "/n", "a.tif", "/m"),
        ("FileName_A,PathName_A", "a.tif,p", "", "p", "a.tif", "p"),
        ("FileName_A,PathName_A", "a.tif,p", "/in", "/in/p", "a.tif", "/in/p"),
        ("FileName_A,PathName_A", "a.tif,/p", "/in", "/p", "a.tif", "/p"),
        ("FileName_A,PathName_A", "a.tif,C:\\p", "/in", "C:\\p", "a.tif", "C:\\p"),
        ("FileName_A,PathName_A", "a.tif,s3://b/p", "/in", "s3://b/p", "a.tif", None),
        ("FileName_A,x", "a.tif,1", "/in", "/in", "a.tif", "/in"),
        ("FileName_A,x", "t1/a.tif,1", "/in", "/in/t1", "a.tif", "/in"),
    ],
)
def test_places_are_joined_before_they_are_split(
    header: str, row: str, base: str, folder: str, name: str, measured: str | None
) -> None:
    read = replace(table(f"{header}\n{row}\n"), base=base)
    assert list(image_files(read, 0)) == [ImageFile("FileName_A", folder, name)]
    moved = with_urls(read, {0: ["/tmp/a.tif"]})
    assert moved.column("URL_A") == ["file:/tmp/a.tif"]
    assert moved.column("PathName_A") == [measured or "s3://b/p"]


def test_rows_and_their_order_stay() -> None:
    names = [f"{i}" for i in (3, 1, 2, 1)]
    text = f"{IMAGE}\n" + "".join(f"{name},/m\n" for name in names)
    assert with_urls(table(text), {}).column("FileName_OrigDNA") == names


def test_an_image_is_where_loaddata_opens_it() -> None:
    read = table(f"{IMAGE},URL_B,FileName_B,PathName_B\na.tif,/m,s3://b/c.tif,x,/y\n")
    assert list(image_files(read, 0)) == [
        ImageFile("FileName_OrigDNA", "/m", "a.tif"),
        ImageFile("URL_B", "s3://b", "c.tif"),
    ]


# Deriving


def test_with_illum_adds_a_function_for_each_channel() -> None:
    text = f"{IMAGE},FileName_ER,PathName_ER,{KEYS}\n"
    text += "a,/m,b,/m,P1,A,1\nc,/m,d,/m,P1,A,2\n"
    derived = with_illum(table(text), "/illum/{}".format)
    assert derived.header[7:] == (
        "FileName_IllumDNA",
        "PathName_IllumDNA",
        "FileName_IllumER",
        "PathName_IllumER",
    )
    functions = ("P1_IllumDNA.npy", "/illum/P1", "P1_IllumER.npy", "/illum/P1")
    assert [row[7:] for row in derived.rows] == [functions, functions]


def test_with_illum_keeps_what_was_there() -> None:
    base = table(f"{IMAGE},Metadata_Plate\na,/m,P1\nb,/n,P1\n")
    derived = with_illum(base, "/illum/{}".format)
    assert [row[:3] for row in derived.rows] == list(base.rows)
    assert derived.lines == base.lines


def test_with_illum_leaves_out_channels_without_a_function() -> None:
    text = f"{IMAGE},FileName_OrigER,PathName_OrigER,Metadata_Plate\na,/m,b,/m,P1\n"
    there = {"P1": {"P1_IllumER.npy"}}
    derived = with_illum(table(text), "/illum/{}".format, there)
    assert derived.header[5:] == ("FileName_IllumER", "PathName_IllumER")


def test_functions_are_named_by_the_plate_that_loaddata_reads() -> None:
    text = f"{IMAGE},Metadata_Plate\na,/m,0041744\nb,/m,7\n"
    derived = with_illum(table(text), "/illum/{}".format)
    assert [row[3:] for row in derived.rows] == [
        ("41744_IllumDNA.npy", "/illum/41744"),
        ("7_IllumDNA.npy", "/illum/7"),
    ]


def test_functions_that_are_there_are_no_channels() -> None:
    text = f"{IMAGE},FileName_IllumDNA,PathName_IllumDNA\na,/m,b,/m\n"
    assert channels(table(text)) == {"OrigDNA": "DNA"}


STACK = f"{IMAGE},{KEYS},Metadata_PlaneID\n"


def test_projected_keeps_the_row_of_the_last_plane_of_each_site() -> None:
    text = (
        f"{STACK}a,/raw,P1,A01,1,9\nb,/raw,P1,A01,1,10\n"
        "c,/raw,P1,A01,2,2\nd,/raw,P1,A01,2,1\n"
    )
    derived = projected(table(text), lambda plate: "/projected")
    assert [row[:2] for row in derived.rows] == [
        ("b", "/projected"),
        ("c", "/projected"),
    ]


def test_projected_drops_addresses_of_the_stack() -> None:
    text = f"URL_OrigDNA,{STACK}file:/raw/a,a,/raw,P1,A01,1,1\n"
    derived = projected(table(text), lambda plate: "/projected")
    assert derived.header == tuple(STACK.strip().split(","))
    assert derived.rows == (("a", "/projected", "P1", "A01", "1", "1"),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{IMAGE},{KEYS}\na,/raw,P1,A01,1\n", "f.csv:1: has no column to number"),
        (
            f"Metadata_z,{STACK}1,a,/raw,P1,A01,1,1\n",
            "f.csv:1: has Metadata_z and Metadata_PlaneID to number",
        ),
        (f"{STACK}a,/raw,P1,A01,1,top\n", "f.csv:2:Metadata_PlaneID: 'top' is not"),
        (
            f"URL_A,{KEYS},Metadata_z\nfile:/a,P1,A01,1,1\n",
            "f.csv:1: has images with a URL_ column alone",
        ),
        (f"{IMAGE},Metadata_z\na,/raw,1\n", "f.csv:1: has no column Metadata_Plate,"),
    ],
)
def test_stack_that_cannot_be_projected_is_refused(text: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        projected(table(text), lambda plate: "/projected")
    assert str(caught.value).startswith(expected)


# Image numbers


def test_image_numbers_follow_the_groups_as_text_and_then_the_file() -> None:
    table = parse("Metadata_Plate,Metadata_Site\nP,10\nP,9\nP,10\n", "f.csv")
    keys = ["Metadata_Plate", "Metadata_Site"]
    assert image_numbers(table, groups(table, keys)) == [1, 3, 2]
