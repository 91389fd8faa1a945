"""Which pipelines cannot run over a step's groups and images."""

from collections.abc import Sequence

import pytest

from cpengine import rules
from cpengine.inputs import pipeline_checks
from cpengine.inputs.pipeline import Pipeline, parse
from cpengine.rules import Severity
from tests.build import SITE, load_data, module, pipeline_text

KEYS = ["Metadata_Plate", "Metadata_Well", "Metadata_Site"]
IMAGES = ["OrigDNA", "IllumDNA"]


def pipeline(*more: str, tags: str = SITE, revision: str = "4281") -> Pipeline:
    return parse(pipeline_text(tags, *more, revision=revision), "p.cppipe")


def findings(
    read: Pipeline,
    group: Sequence[str] = KEYS,
    images: Sequence[str] = IMAGES,
    cellprofiler: str = "4.2.8.1",
) -> list[str]:
    """What is found, a line each."""
    found = pipeline_checks.findings(read, group, images, "f.csv", cellprofiler)
    return list(map(str, found))


def test_good_pipeline_has_no_findings() -> None:
    assert findings(pipeline()) == []


def test_order_of_the_tags_does_not_matter() -> None:
    assert findings(pipeline(tags="Site,Plate,Well")) == []


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("Plate", "groups by Plate, the step by Plate, Well, Site: change"),
        (f"{SITE},Dose", "groups by Plate, Well, Site, Dose, the step by Plate,"),
        ("", "groups by nothing, the step by Plate, Well, Site: choose"),
    ],
)
def test_other_grouping_keys_are_refused(tags: str, expected: str) -> None:
    (line,) = findings(pipeline(tags=tags))
    assert line.startswith(f"p.cppipe: module 1 LoadData {expected}")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Crop", "p.cppipe: has no enabled LoadData module: add it as module 1"),
        ("Images", "p.cppipe: finds its images by module 1 Images, not by a LoadData"),
        ("NamesAndTypes", "p.cppipe: finds its images by module 1 NamesAndTypes"),
    ],
)
def test_pipeline_without_load_data_is_refused(name: str, line: str) -> None:
    read = parse(pipeline_text().replace("LoadData:", f"{name}:"), "p.cppipe")
    (found,) = map(str, pipeline_checks.without_load_data(read))
    assert found.startswith(line)
    assert findings(read) == []


def test_pipeline_of_image_files_gets_both_cures() -> None:
    read = parse(pipeline_text().replace("LoadData:", "Images:"), "p.cppipe")
    (found,) = pipeline_checks.without_load_data(read)
    assert "CreateBatchFiles" in found.cure
    assert 'groups = "batch"' in found.cure
    assert "File > Export > Image Set Listing" in found.cure


@pytest.mark.parametrize(
    ("rows", "refused"),
    [("1,4", False), ("0,100000", False), ("2,4", True), ("1,3", True), ("", False)],
)
def test_range_of_rows_is_refused_where_it_leaves_some_out(
    rows: str, refused: bool
) -> None:
    chosen = {"Process just a range of rows?": "Yes", "Rows to process": rows}
    text = pipeline_text().replace(load_data(), load_data(**chosen))
    read = parse(text, "p.cppipe")
    found = pipeline_checks.findings(read, KEYS, IMAGES, "f.csv", rows=4)
    lines = [
        "module 1 LoadData processes just a range of rows" in str(f) for f in found
    ]
    assert lines == [True] * refused


@pytest.mark.parametrize(
    ("name", "settings", "rule"),
    [
        ("NamesAndTypes", {}, "loaddata-not-alone"),
        ("Groups", {"Do you want to group your images?": "Yes"}, "loaddata-not-alone"),
        ("Groups", {"Do you want to group your images?": "No"}, ""),
        ("Images", {}, ""),
        ("Metadata", {}, ""),
    ],
)
@pytest.mark.parametrize("first", [False, True])
def test_other_modules_that_make_image_sets_are_refused(
    name: str, settings: dict[str, str], rule: str, first: bool
) -> None:
    block = module(name, 9, settings)
    text = pipeline_text(SITE, block)
    if first:
        text = text.replace(block, "").replace("LoadData:", f"{block}\nLoadData:", 1)
        text = text.replace("ModuleCount:3", "ModuleCount:4")
    found = pipeline_checks.findings(parse(text, "p.cppipe"), KEYS, IMAGES, "f.csv")
    assert [finding.rule.name for finding in found] == [rule] * bool(rule)


def test_enabled_create_batch_files_is_refused() -> None:
    (line,) = findings(pipeline(module("CreateBatchFiles", 4, {})))
    assert line.startswith("p.cppipe: module 4 CreateBatchFiles is enabled")


def test_disabled_create_batch_files_is_taken() -> None:
    assert findings(pipeline(module("CreateBatchFiles", 4, {}, enabled=False))) == []


@pytest.mark.parametrize(
    ("revision", "cellprofiler"),
    [
        ("4281", "4.2.8.1"),
        ("428", "4.2.8.1"),
        ("4281", "4.2.8"),
        ("426", "4.2.8.1"),
        ("319", "4.2.8.1"),
        ("20140723174500", "4.2.8.1"),
        ("", "4.2.8.1"),
        ("unknown", "4.2.8.1"),
        ("500", ""),
        ("500", "5.0.0.dev784"),
    ],
)
def test_pipeline_of_this_or_an_older_cellprofiler_is_taken(
    revision: str, cellprofiler: str
) -> None:
    assert findings(pipeline(revision=revision), cellprofiler=cellprofiler) == []


@pytest.mark.parametrize(
    ("revision", "cellprofiler", "expected"),
    [
        ("500", "4.2.8.1", "5.0.0, 4.2.8.1 is installed"),
        ("429", "4.2.8.1", "4.2.9, 4.2.8.1 is installed"),
        ("4281", "4.2.6", "4.2.8, 4.2.6 is installed"),
    ],
)
def test_pipeline_of_a_newer_cellprofiler_is_doubtful(
    revision: str, cellprofiler: str, expected: str
) -> None:
    (line,) = findings(pipeline(revision=revision), cellprofiler=cellprofiler)
    assert line.startswith(
        f"p.cppipe: was saved by CellProfiler {expected}: install the"
    )
    assert rules.PIPELINE_NEWER.severity is Severity.WARNING


def test_image_that_the_csv_lacks_is_refused_once() -> None:
    more = module("MeasureTexture", 4, {"Select images to measure": "OrigER, OrigDNA"})
    again = module("MeasureGranularity", 5, {"Select images to measure": "OrigER"})
    (line,) = findings(pipeline(more, again))
    assert line.startswith(
        "f.csv: has no columns for OrigER, which module 4 MeasureTexture of p.cppipe "
        "wants (Select images to measure): add FileName_OrigER and PathName_OrigER"
    )


def test_image_and_function_of_one_channel_are_one_finding() -> None:
    (line,) = findings(pipeline(), images=["OrigER"])
    assert line.startswith("f.csv: has no columns for OrigDNA (did you mean OrigER?) ")
    assert " and IllumDNA, which module 2 " in line
    assert line.endswith("add FileName_OrigDNA and PathName_OrigDNA")


def test_image_that_is_nearly_there_is_named() -> None:
    wanted = module("MeasureTexture", 4, {"Select images to measure": "OrigBright"})
    images = ["OrigDNA", "IllumDNA", "Origbright"]
    (line,) = findings(pipeline(wanted), images=images)
    assert "no columns for OrigBright (did you mean Origbright?), which" in line
    (line,) = findings(pipeline(wanted), images=images[:2])  # is another channel
    assert "no columns for OrigBright, which" in line


def test_missing_function_points_to_the_illum_step() -> None:
    (line,) = findings(pipeline(), images=["OrigDNA"])
    assert line.endswith("PathName_IllumDNA, or run the illum step first")


def test_image_of_an_earlier_module_needs_no_column() -> None:
    more = module("MeasureTexture", 4, {"Select images to measure": "CorrDNA"})
    assert findings(pipeline(more)) == []


def test_image_of_a_later_module_needs_one() -> None:
    more = module("MeasureTexture", 4, {"Select images to measure": "Smooth"})
    later = module("Smooth", 5, {"Name the output image": "Smooth"})
    assert len(findings(pipeline(more, later))) == 1


def test_image_of_a_disabled_module_needs_one() -> None:
    made = module("Smooth", 4, {"Name the output image": "Smooth"}, enabled=False)
    more = module("MeasureTexture", 5, {"Select images to measure": "Smooth"})
    assert len(findings(pipeline(made, more))) == 1


@pytest.mark.parametrize("value", ["", "None", "Do not use", "Leave this blank"])
def test_no_image_needs_no_column(value: str) -> None:
    more = module("MeasureTexture", 4, {"Select images to measure": value})
    assert findings(pipeline(more)) == []


@pytest.mark.parametrize("text", ["Image name", "What do you call it?"])
def test_names_of_any_setting_may_be_images(text: str) -> None:
    made = module("ColorToGray", 4, {text: "Red"})
    more = module("MeasureTexture", 5, {"Select images to measure": "Red"})
    assert findings(pipeline(made, more)) == []


def test_leftover_name_under_all_loaded_images_is_not_wanted() -> None:
    settings = {
        "Calculate metrics for which images?": "All loaded images",
        "Select the images to measure": "Gone",
    }
    assert findings(pipeline(module("MeasureImageQuality", 4, settings))) == []
    settings["Calculate metrics for which images?"] = "Select..."
    assert len(findings(pipeline(module("MeasureImageQuality", 4, settings)))) == 1


def test_each_finding_gets_a_line() -> None:
    read = pipeline(module("CreateBatchFiles", 4, {}), tags="Plate", revision="500")
    assert len(findings(read, images=[])) == 4


def test_place_elsewhere_is_shown_as_it_is_written() -> None:
    place = {"Output file location": r"Elsewhere...|D:\a\b"}
    (line,) = findings(pipeline(module("SaveImages", 4, place)))
    assert r"module 4 SaveImages saves to 'Elsewhere... D:\a\b': set" in line


SAVED = {
    "Select the type of image to save": "Image",
    "Select method for constructing file names": "Single name",
    "Enter single file name": r"\g<Plate>_a",
    "Output file location": "Default Output Folder|",
    "Overwrite existing files without warning?": "No",
    "When to save": "Every cycle",
}
FLAG = {"Skip image set if flagged?": "Yes"}


@pytest.mark.parametrize(
    ("changes", "before", "rule"),
    [
        ({}, None, "saves-over-itself"),
        ({}, {"Skip image set if flagged?": "No"}, "saves-over-itself"),
        ({}, FLAG, "may-save-over-itself"),
        (
            {"Overwrite existing files without warning?": "Yes"},
            None,
            "may-save-over-itself",
        ),
        ({"Enter single file name": r"\g<Plate>_\g<Site>"}, None, ""),
        (
            {"Output file location": r"Default Output Folder sub-folder|\g<Site>"},
            None,
            "",
        ),
        ({"Select the type of image to save": "Movie/Stack"}, None, ""),
        ({"When to save": "Last cycle"}, None, ""),
        ({"Select method for constructing file names": "Sequential numbers"}, None, ""),
    ],
)
def test_same_name_for_all_image_sets_of_a_job(
    changes: dict[str, str], before: dict[str, str] | None, rule: str
) -> None:
    more = [module("FlagImage", 4, before)] if before else []
    read = pipeline(*more, module("SaveImages", 5, SAVED | changes), tags="Plate,Well")
    found = list(pipeline_checks.for_groups(read, KEYS[:2], 9))
    assert [finding.rule.name for finding in found] == [rule] * bool(rule)
    if found:
        assert r"each of a job's 9 image sets as '\g<Plate>_a'" in found[0].cause


def test_disabled_module_that_nobody_has_is_unknown_too() -> None:
    read = pipeline(module("RunCellpose", 4, {}, enabled=False))
    assert list(pipeline_checks.unknown(read, ())) == ["RunCellpose"]
    assert pipeline_checks.unknown(read, ["runcellpose.py"]) == {}
