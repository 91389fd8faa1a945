"""Every step makes the messages of `run_batch_general.py` (DCP 2.2.1), key by key."""

from pathlib import Path
from typing import NamedTuple

import pytest

from cpengine.config.steps import STEPS
from cpengine.model import Job
from tests import build


class Row(NamedTuple):
    """What `run_batch_general.py` has for one step."""

    group: str
    pipeline: str
    csv: str
    batch_file: str
    output: str
    """The name of the output's place in PLACES."""
    structure: str | None
    """None: the key is absent from the message."""
    place: str
    """The folder below output, for plate P1, well A01, site 1."""


STRUCTURE = "Metadata_Plate/analysis/Metadata_Plate-Metadata_Well-Metadata_Site"
PLATE = "Metadata_Plate=P1"
WELL = "Metadata_Plate=P1,Metadata_Well=A01"
SITE = "Metadata_Plate=P1,Metadata_Well=A01,Metadata_Site=1"
PLAIN, ILLUM = "load_data.csv", "load_data_with_illum.csv"
RAW = "load_data_unprojected.csv"
# fmt: off
ROWS = {
    "zproj": Row(SITE, "Zproj.cppipe", RAW, "Batch_data_zproj.h5",
                 "zproj", "Metadata_Plate", "P1"),
    "illum": Row(PLATE, "illum.cppipe", PLAIN, "Batch_data_illum.h5",
                 "illum", None, "P1"),
    "qc": Row(WELL, "qc.cppipe", PLAIN, "Batch_data_qc.h5",
              "qc", None, "P1-A01"),
    "qc_persite": Row(SITE, "qc.cppipe", PLAIN, "Batch_data_qc.h5",
                      "qc", None, "P1-A01-1"),
    "assaydev": Row(WELL, "assaydev.cppipe", ILLUM, "Batch_data_assaydev.h5",
                    "assaydev", None, "P1-A01"),
    "assaydev_persite": Row(SITE, "assaydev.cppipe", ILLUM, "Batch_data_assaydev.h5",
                            "assaydev", None, "P1-A01-1"),
    "analysis": Row(SITE, "analysis.cppipe", ILLUM, "Batch_data_analysis.h5",
                    "analysis", STRUCTURE, "P1/analysis/P1-A01-1"),
}
PLACES = {
    "default": {
        "pipelines": "projects/proj/workspace/pipelines/B1/",
        "input": "projects/proj/workspace/qc/B1/rules",
        "csv": "projects/proj/workspace/load_data_csv/B1/P1/",
        "batch": "projects/proj/workspace/batchfiles/B1/",
        "zproj": "projects/proj/B1/images_projected",
        "illum": "projects/proj/B1/illum",
        "qc": "projects/proj/workspace/qc/B1/results",
        "assaydev": "projects/proj/workspace/assaydev/B1",
        "analysis": "projects/proj/workspace/analysis/B1",
    },
    "cpg": {
        "pipelines": "proj/source_4/workspace/pipelines/B1/",
        "input": "proj/source_4/workspace/qc/B1/rules",
        "csv": "proj/source_4/workspace/load_data_csv/B1/P1/",
        "batch": "",
        "zproj": "proj/source_4/images/B1/images_projected",
        "illum": "proj/source_4/images/B1/illum",
        "qc": "proj/source_4/workspace/qc/B1/results",
        "assaydev": "proj/source_4/workspace/assaydev/B1",
        "analysis": "proj/source_4/workspace/analysis/B1",
    },
}
# fmt: on


def first_job(folder: Path, step: str, style: str, source: str) -> Job:
    """Plan a step of a plate with one site, with default names and places."""
    row = ROWS[step]
    built = build.project(
        folder,
        pipeline=row.pipeline,
        data_file=row.csv,
        tags=tags(row),
        style=style,
        wells=["A01"],
        sites=["1"],
        toml=f'[steps.{step}]\ngroups = "{source}"\n',
    )
    if source == "batch":
        build.batch_of(built, row.batch_file, tags=tags(row))
    (job,) = built.project().plan(step).jobs
    return job


def tags(row: Row) -> str:
    return {PLATE: "Plate", WELL: "Plate,Well", SITE: "Plate,Well,Site"}[row.group]


every_step = pytest.mark.parametrize("step", ROWS)
every_style = pytest.mark.parametrize("style", PLACES)
every_source = pytest.mark.parametrize("source", ["csv", "batch"])


@every_source
@every_style
@every_step
def test_message_is_that_of_dcp(
    step: str, style: str, source: str, tmp_path: Path
) -> None:
    row, places = ROWS[step], PLACES[style]
    batch_file = places["batch"] + row.batch_file
    csv = source == "csv"
    expected = {
        "Metadata": row.group,
        "pipeline": places["pipelines"] + row.pipeline if csv else batch_file,
        "output": places[row.output],
        "input": places["input"],
        "data_file": places["csv"] + row.csv if csv else batch_file,
    }
    if row.structure is not None:
        expected["output_structure"] = row.structure
    assert first_job(tmp_path, step, style, source).to_message() == expected


@every_style
@every_step
def test_results_go_where_dcp_puts_them(step: str, style: str, tmp_path: Path) -> None:
    row = ROWS[step]
    destination = f"{PLACES[style][row.output]}/{row.place}"
    assert first_job(tmp_path, step, style, "csv").destination == destination


def test_message_of_analysis_is_the_documented_one(tmp_path: Path) -> None:
    assert first_job(tmp_path, "analysis", "default", "csv").to_message() == {
        "Metadata": "Metadata_Plate=P1,Metadata_Well=A01,Metadata_Site=1",
        "pipeline": "projects/proj/workspace/pipelines/B1/analysis.cppipe",
        "output": "projects/proj/workspace/analysis/B1",
        "input": "projects/proj/workspace/qc/B1/rules",
        "data_file": (
            "projects/proj/workspace/load_data_csv/B1/P1/load_data_with_illum.csv"
        ),
        "output_structure": (
            "Metadata_Plate/analysis/Metadata_Plate-Metadata_Well-Metadata_Site"
        ),
    }


def test_there_are_exactly_the_seven_steps() -> None:
    assert set(STEPS) == set(ROWS)


def test_only_zproj_shares_its_folder_between_jobs(tmp_path: Path) -> None:
    sharing = {s for s in ROWS if first_job(tmp_path / s, s, "cpg", "csv").shares_place}
    assert sharing == {"zproj"}


def test_pipeline_without_batchfile_is_taken_where_only_that_is_there(
    tmp_path: Path,
) -> None:
    name = "analysis_without_batchfile.cppipe"
    built = build.project(tmp_path, pipeline=name)
    assert built.project().step("analysis").pipeline.endswith(f"/B1/{name}")


def test_plain_pipeline_comes_before_the_one_without_batchfile(tmp_path: Path) -> None:
    built = build.project(tmp_path)
    other = built.pipeline.with_name("analysis_without_batchfile.cppipe")
    build.write(other, build.pipeline_text())
    assert built.project().step("analysis").pipeline.endswith("/B1/analysis.cppipe")


@pytest.mark.parametrize(
    ("key", "value", "field", "expected"),
    [
        ("pipeline", "a.cppipe", "pipeline", "{pipelines}a.cppipe"),
        ("pipeline_path", "/p", "pipeline", "/p/analysis.cppipe"),
        ("data_file", "a.csv", "data_file", "a.csv"),
        ("data_path", "csvs", "data_folder", "csvs"),
        ("input", "rules", "input", "rules"),
        ("output", "out", "output", "out"),
        ("output_structure", "Metadata_Well", "output_structure", "Metadata_Well"),
        ("output_structure", "", "output_structure", ""),
        ("plugins", "plug", "plugins", "plug"),
    ],
)
def test_section_overrides(
    key: str, value: str, field: str, expected: str, tmp_path: Path
) -> None:
    built = build.project(tmp_path, toml=f'[steps.analysis]\n{key} = "{value}"\n')
    step = built.project().step("analysis")
    assert getattr(step, field) == expected.format(**PLACES["default"])


def test_step_of_ones_own_takes_its_places_from_its_section(tmp_path: Path) -> None:
    toml = (
        '[steps.extra]\npipeline = "extra.cppipe"\ngroup = ["Metadata_Plate"]\n'
        'output = "out"\ntimeout_min = 2\n'
    )
    step = build.project(tmp_path, toml=toml).project().step("extra")
    assert (step.group, step.data_file, step.output, step.timeout_s) == (
        ("Metadata_Plate",),
        "load_data.csv",
        "out",
        120,
    )
