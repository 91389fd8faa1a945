"""Pipelines: what their text says."""

import pytest

from cpengine.errors import InputError
from cpengine.inputs.pipeline import Pipeline, parse
from tests.build import SITE, module, pipeline_text


def pipeline(*more: str, tags: str = SITE, revision: str = "4281") -> Pipeline:
    return parse(pipeline_text(tags, *more, revision=revision), "p.cppipe")


def test_modules_are_read_in_order_with_their_numbers() -> None:
    assert [str(found) for found in pipeline().modules] == [
        "module 1 LoadData",
        "module 2 CorrectIlluminationApply",
        "module 3 IdentifyPrimaryObjects",
        "module 4 ExportToSpreadsheet",
    ]


def test_settings_keep_all_after_the_first_colon() -> None:
    read = pipeline(module("SaveImages", 4, {"Folder": "Elsewhere...|C:\\a"}))
    assert read.modules[3].setting("Folder") == "Elsewhere...|C:\\a"


def test_first_of_equal_settings_is_given() -> None:
    text = "A:[module_num:1|enabled:True]\n    Name:x\n    Name:y\n"
    assert pipeline(text).modules[3].setting("Name") == "x"


def test_setting_that_is_not_there_is_none() -> None:
    assert pipeline().modules[0].setting("Name") is None


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r"Plate\x2CWell", "Plate,Well"),
        (r"\xff\xfeY\x00e\x00s\x00", "Yes"),
        (r"\xff\xfeP\x00l\x00a\x00t\x00e\x00,\x00W\x00e\x00l\x00l\x00", "Plate,Well"),
        (r"\x7C\\\\g<Plate>", r"|\g<Plate>"),
        (r"\\\\g<Plate>_DNA", r"\g<Plate>_DNA"),
        (r"\u00B5m", r"\u00B5m"),
        (r"C:\xfolder", r"C:\xfolder"),
        (r"a\b", r"a\b"),
    ],
)
def test_escapes_of_older_pipelines_are_decoded(written: str, read: str) -> None:
    text = module("A", 4, {"Name": written})
    assert pipeline(text).modules[3].setting("Name") == read


def test_disabled_modules_do_not_run() -> None:
    read = pipeline(module("CreateBatchFiles", 4, {}, enabled=False))
    assert [found.name for found in read.enabled][3:] == ["ExportToSpreadsheet"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_as_on_any_system(end: str) -> None:
    read = parse(pipeline_text().replace("\n", end), "p.cppipe")
    assert (len(read.modules), len(read.grouping_keys)) == (4, 3)


@pytest.mark.parametrize(
    ("tags", "keys"),
    [
        ("Plate", ("Metadata_Plate",)),
        ("Plate,Well", ("Metadata_Plate", "Metadata_Well")),
        ("Well,Plate", ("Metadata_Well", "Metadata_Plate")),
        ("Well, Plate", ("Metadata_Well", "Metadata_ Plate")),
        ("", ()),
    ],
)
def test_grouping_keys_are_the_tags(tags: str, keys: tuple[str, ...]) -> None:
    assert pipeline(tags=tags).grouping_keys == keys


def test_tags_do_not_count_where_images_are_not_grouped() -> None:
    text = pipeline_text().replace("by metadata?:Yes", "by metadata?:No")
    assert parse(text, "p.cppipe").grouping_keys == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "p.cppipe:1: is not a CellProfiler pipeline"),
        ("a,b\n", "p.cppipe:1: is not a CellProfiler pipeline"),
        ("CellProfiler Pipeline: x\nVersion:6\n", "p.cppipe: has pipeline format 6"),
        ("CellProfiler Pipeline: x\nVersion:v\n", "p.cppipe: has pipeline format v"),
    ],
)
def test_text_that_cellprofiler_4_cannot_read_is_refused(
    text: str, expected: str
) -> None:
    with pytest.raises(InputError) as caught:
        parse(text, "p.cppipe")
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize("version", ["1", "3", "4", "5"])
def test_older_formats_are_read(version: str) -> None:
    text = pipeline_text().replace("Version:5", f"Version:{version}")
    assert len(parse(text, "p.cppipe").modules) == 4
