"""What is made of CellProfiler's own words about a pipeline."""

from collections.abc import Mapping
from typing import Any

import pytest

from cpengine.cellprofiler.objections import LoadedPipeline
from cpengine.inputs import loaddata, pipeline_checks
from cpengine.inputs.pipeline import parse
from tests.build import SITE, module, pipeline_text

CSV = "Metadata_Plate,FileName_OrigDNA,PathName_OrigDNA\nP,a.tif,/a\n"
NAMED = ["ImageSubscriber", "Subscriber", "Setting"]


def objection(
    setting: str = "Threshold strategy",
    message: str = "Bogus is not one of Global,Adaptive",
    *,
    module: str = "Threshold",
    kinds: list[str] | None = None,
    lacking: list[str] | None = None,
    whole: bool = False,
    value: str = "Bogus",
) -> dict[str, Any]:
    return {
        "number": 4,
        "module": module,
        "setting": setting,
        "value": value,
        "message": message,
        "kinds": kinds or ["Choice", "Setting"],
        "lacking": lacking or [],
        "whole": whole,
    }


def found(
    *objections: Mapping[str, Any], more: str = "", **answer: Any
) -> list[tuple[str, str]]:
    """Rule and cause of each finding."""
    pipe = parse(pipeline_text(SITE, more) if more else pipeline_text(), "p.cppipe")
    unknown = pipeline_checks.unknown(pipe, ())
    loaded = LoadedPipeline(pipe, loaddata.parse(CSV, "f.csv"), (), unknown)
    whole = {
        "error": None,
        "failed": None,
        "loaded": 4,
        "newer": [],
        "without_mysqldb": [],
        "objections": objections,
    }
    return [(f.rule.name, f.cause) for f in loaded.findings({**whole, **answer})]


@pytest.mark.parametrize(
    ("entry", "ends"),
    [
        (objection(), True),
        (objection("Averaging method"), False),
        (objection("Manual threshold", kinds=["Float", "Number", "Text"]), False),
        (objection("Select the input image", kinds=NAMED, lacking=["None"]), True),
        (objection("Which measurement?", kinds=["Measurement", "Setting"]), True),
        (objection("Select the colormap", kinds=["Colormap", "Choice"]), True),
        (objection("x", "Unsupported directory choice: y", kinds=["Directory"]), True),
        (objection("x", "Please enter a valid path", kinds=["Directory"]), False),
        (objection("x", "q is not a defined metadata tag.", whole=True), True),
        (objection("Nuclei", "Already selected", kinds=NAMED, whole=True), False),
        (objection("Rules file name", "No rules found in r.txt", whole=True), True),
        (
            objection(
                "Rules file name",
                "The rules listed in r.txt describe objects instead of images.",
                whole=True,
            ),
            False,
        ),
        (objection("Name it", kinds=["LabelName", "Text"], value=""), True),
        (objection("Name it", kinds=["LabelName", "Text"], value="1-a"), False),
        (objection("a", module="DisplayPlatemap", kinds=["Measurement"]), False),
        (objection("a", module="RunCellpose", kinds=["Measurement"]), False),
        (objection("a", module="RunCellpose", kinds=NAMED, lacking=["None"]), True),
        (
            objection(
                "Press button to select measurements",
                "Image|Metadata_AbsPositionZ is not one of the choices",
                module="ExportToSpreadsheet",
                kinds=["MeasurementMultiChoice", "MultiChoice", "Setting"],
            ),
            False,
        ),
    ],
)
def test_only_what_ends_a_run_is_an_error(entry: dict[str, Any], ends: bool) -> None:
    ((rule, cause),) = found(entry)
    assert rule == ("module-invalid" if ends else "module-doubtful")
    assert cause.startswith(f"module 4 {entry['module']}: ")
    assert entry["setting"] in cause


@pytest.mark.parametrize("setting", ["Input data file location", "Name of the file"])
def test_loaddata_has_its_own_checks(setting: str) -> None:
    assert found(objection(setting, module="LoadData", kinds=["Directory"])) == []


def test_channels_that_are_missing_are_found_once() -> None:
    entry = objection("Select the image to save", kinds=NAMED, lacking=["OrigER"])
    ((rule, cause),) = found(entry, entry | {"number": 5})
    assert rule == "channel-missing"
    assert cause == (
        "has no columns for OrigER (did you mean OrigDNA?), which module 4 Threshold "
        "of p.cppipe wants (Select the image to save)"
    )


def test_what_the_text_shows_to_be_missing_is_not_found_again() -> None:
    entry = objection("Select the illumination function", kinds=NAMED)
    assert found(entry | {"lacking": ["IllumDNA"]}) == []


@pytest.mark.parametrize("name", ["None", "", "A,B"])
def test_what_is_no_name_of_an_image_is_no_channel(name: str) -> None:
    ((rule, _),) = found(objection("Select images", kinds=NAMED, lacking=[name]))
    assert rule == "module-invalid"


def test_objects_that_nothing_makes_are_found_once() -> None:
    kinds = ["LabelSubscriber", "Subscriber"]
    entry = objection("Select objects", kinds=kinds, lacking=["Nucleus"])
    ((rule, cause),) = found(entry, entry | {"number": 5})
    assert rule == "module-invalid"
    assert "module 4" in cause


def test_rules_file_that_is_not_there_has_its_own_rule() -> None:
    flag = module(
        "FlagImage",
        4,
        {
            "Flag is based on": "Rules",
            "Rules file location": "Default Input Folder|",
            "Rules file name": "r.txt",
        },
    )
    entries = [
        objection("Rules file name", "No such rules file", whole=True),
        objection("Class number", "3 is not one of 1,2", kinds=["MultiChoice"]),
    ]
    flagged = [entry | {"module": "FlagImage"} for entry in entries]
    assert found(*flagged, more=flag) == []
    assert len(found(*flagged)) == 2


def test_module_of_a_newer_revision_is_an_error() -> None:
    newer = {"number": 2, "module": "Crop", "revision": 9, "installed": 8}
    assert found(newer=[newer]) == [
        (
            "module-newer",
            "module 2 Crop has revision 9, the installed CellProfiler has 8",
        )
    ]


def test_export_to_database_without_its_library_is_an_error() -> None:
    ((rule, cause),) = found(without_mysqldb=[{"number": 2, "module": "ExportToX"}])
    assert rule == "mysqldb-missing"
    assert cause.startswith("module 2 ExportToX needs Python's MySQLdb")


def test_unknown_module_is_found_once() -> None:
    more = module("RunCellpose", 4, {})
    error = "Could not find the RunCellpose module"
    ((rule, _),) = found(more=more, error=error, failed="RunCellpose", loaded=3)
    assert rule == "module-unknown"
    error = "The RunCellpose module no longer exists."
    ((rule, cause),) = found(more=more, error=error, failed="RunCellpose", loaded=3)
    assert (rule, cause) == (
        "pipeline-does-not-load",
        f"CellProfiler cannot load it after module 3 ({error})",
    )


def test_module_that_cellprofiler_has_loaded_is_not_unknown() -> None:
    assert found(more=module("RunCellpose", 4, {})) == []


def test_a_plugin_that_cannot_be_imported_is_named_with_the_cause() -> None:
    why = "ModuleNotFoundError: No module named 'cellpose'"
    error = f"Could not find the RunCellpose module: {why}"
    ((rule, cause),) = found(error=error, failed="RunCellpose")
    assert rule == "pipeline-does-not-load"
    assert cause == f"the plugin of RunCellpose cannot be imported ({why})"
