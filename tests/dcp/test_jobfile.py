"""Distributed-CellProfiler's job files: read, and written from a plan."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from cpengine.cli import app
from cpengine.dcp import jobfile
from cpengine.errors import InputError, StorageError
from cpengine.model import Job
from tests import build
from tests.build import Built

SITE = "Metadata_Plate=P1,Metadata_Well=A01,Metadata_Site=1"
PLAIN: dict[str, Any] = {
    "_comment1": "Paths are relative to the bucket",
    "pipeline": "projects/analysis.cppipe",
    "data_file": "projects/list_of_images.csv",
    "input": "projects/input/",
    "output": "projects/output/",
    "output_structure": "Metadata_Plate-Metadata_Well-Metadata_Site",
    "groups": [{"Metadata": SITE}, {"Metadata": SITE[:-1] + "2"}],
}


def parse(**changes: Any) -> list[Job]:
    return jobfile.parse(json.dumps(PLAIN | changes), "job.json").jobs


def test_a_job_file_becomes_messages() -> None:
    messages = [job.to_message() for job in parse()]
    assert messages == [
        {
            "Metadata": group["Metadata"],
            "pipeline": "projects/analysis.cppipe",
            "data_file": "projects/list_of_images.csv",
            "input": "projects/input",
            "output": "projects/output",
            "output_structure": "Metadata_Plate-Metadata_Well-Metadata_Site",
        }
        for group in PLAIN["groups"]
    ]


def test_jobs_know_where_results_go_but_no_step() -> None:
    job = parse()[1]
    assert job.destination == "projects/output/P1-A01-2"
    assert (job.step, job.ledger, job.fingerprint, job.image_sets) == ("", "", "", 0)


def test_the_structure_may_be_missing() -> None:
    plain = {k: v for k, v in PLAIN.items() if k != "output_structure"}
    (job, _) = jobfile.parse(json.dumps(plain), "job.json").jobs
    assert "output_structure" not in job.to_message()


@pytest.mark.parametrize(
    ("group", "image_sets"),
    [
        ({"Metadata": SITE}, 0),
        ({"Metadata_Plate": "P1", "Metadata_Well": "A01", "Metadata_Site": "1"}, 0),
        ({"Metadata_Plate": "P1", "Metadata_Well": "A01", "Metadata_Site": 1}, 0),
        (
            [
                {"Metadata_Plate": "P1", "Metadata_Well": "A01", "Metadata_Site": "1"},
                [1, 2],
            ],
            2,
        ),
    ],
)
def test_every_form_of_a_group_is_read(group: Any, image_sets: int) -> None:
    (job,) = parse(groups=[group])
    assert (job.metadata, job.image_sets) == (SITE, image_sets)


def test_what_dcp_does_not_take_is_noted() -> None:
    printed = [[{"Metadata_Plate": "P1"}, [1, 2]]]
    plain = PLAIN | {"groups": printed, "output_structure": ""}
    found = jobfile.parse(json.dumps(plain), "job.json")
    (note,) = found.notes
    assert note.startswith("job.json: groups: are as --print-groups prints them")
    assert jobfile.parse(json.dumps(PLAIN), "job.json").notes == ()


def bad(key: str, value: Any, expected: str) -> Any:
    return pytest.param({key: value}, expected, id=f"{key}-{expected}")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        bad("pipeline", 3, "pipeline: 3 is not text: put it in quotes"),
        bad("pipeline", "", "pipeline: is empty: name a place in the bucket"),
        bad("input", "/", "input: is empty: name a place in the bucket"),
        bad("input", "/a", "input: /a is not a key of the bucket"),
        bad("output", "s3://a/b", "output: s3://a/b is not a key of the bucket"),
        bad("output", "a b", "output: 'a b' has a blank"),
        bad("data_file", "a.tsv", "data_file: a.tsv is no .csv, .h5 or .txt"),
        bad("output_structure", None, "output_structure: None is not text"),
        bad("output_structure", "../Metadata_Plate", "must stay below the output"),
        bad("output_structure", "/Metadata_Plate", "must stay below the output"),
        bad("output_structure", "Metadata_Row", "name only Metadata_Plate, Metadata_"),
        bad("groups", {}, "groups: is not a list of groups: write one"),
        bad("groups", [], "groups: is not a list of groups: write one"),
        bad("groups", [3], "group 1: 3 is no metadata: write"),
        bad("groups", [[]], "group 1: [] is no metadata: write"),
        bad("groups", [{}], "group 1: {} is no metadata: write"),
        bad("groups", [{"Metadata": "P1"}], 'group 1: "P1" is no metadata: write'),
        bad("groups", [{"Metadata": {}}], "group 1: {} is no metadata: write"),
        bad("groups", [{"Metadata_Site": 1.5}], "is no metadata: write"),
        bad("groups", [{"Metadata": "Plate=P1"}], "group 1: 'Plate' is no metadata"),
        bad("groups", [{"Metadata_Plate": ""}], "Metadata_Plate: '' cannot name a"),
        bad("groups", [{"Metadata_Plate": "a,b"}], "'a,b' cannot name a group"),
        bad("groups", [{"Metadata": "Metadata_Plate=a=b"}], "'a=b' cannot name a"),
        bad("groups", [{"Metadata_Plate": "../x"}], "'../x' cannot name a group"),
        bad("groups", [{"Metadata_Plate": "a b"}], "'a b' cannot name a group"),
        bad(
            "groups",
            [{"Metadata": "Metadata_A=1,Metadata_A=2"}],
            "group 1: Metadata_A is there twice: remove one",
        ),
        bad(
            "groups",
            [{"Metadata": SITE}, {"Metadata": "Metadata_Plate=P1"}],
            "group 2: has not the metadata of group 1",
        ),
        bad(
            "groups",
            [{"Metadata": SITE}, {"Metadata": SITE}],
            "group 2: is group 1 again: remove it",
        ),
        bad(
            "groups",
            [
                {"Metadata_Plate": "P", "Metadata_Well": "1-1", "Metadata_Site": "1"},
                {"Metadata_Plate": "P", "Metadata_Well": "1", "Metadata_Site": "1-1"},
            ],
            "two groups are both named P-1-1-1",
        ),
        bad("output_structure", ".", "'.' must name a folder: name only Metadata_P"),
    ],
)
def test_a_wrong_job_file_is_reported_in_a_line(
    changes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(InputError) as caught:
        parse(**changes)
    (line,) = str(caught.value).splitlines()
    assert line.startswith("job.json: ")
    assert expected in line


SHARED_NAMES = [
    ("Metadata_Plate=Metadata_Well,Metadata_Well=A01", "Metadata_Plate/Metadata_Well"),
    ("Metadata_Site=1,Metadata_SiteName=x", "Metadata_Site-Metadata_SiteName"),
]


@pytest.mark.parametrize(("metadata", "structure"), SHARED_NAMES)
def test_results_that_dcp_would_put_elsewhere_are_refused_both_ways(
    metadata: str, structure: str
) -> None:
    changes = {"groups": [{"Metadata": metadata}], "output_structure": structure}
    with pytest.raises(InputError, match="DCP replaces name after name and comes to"):
        parse(**changes)
    pairs = tuple(tuple(pair.split("=")) for pair in metadata.split(","))
    with pytest.raises(InputError, match=r"^job .*: output_structure: DCP replaces"):
        jobfile.dump([job(group=pairs, output_structure=structure)])


def test_two_groups_of_one_place_are_refused() -> None:
    sites = [("A1", "11"), ("A11", "1")]
    groups = [{"Metadata_Well": well, "Metadata_Site": site} for well, site in sites]
    with pytest.raises(
        InputError, match=r"gives A1-11 and A11-1 one folder, A111: put"
    ):
        parse(groups=groups, output_structure="Metadata_WellMetadata_Site")


def test_slashes_too_many_are_left_out_of_a_structure() -> None:
    structure = "Metadata_Plate//Metadata_Well-Metadata_Site/./"
    (plain, _) = parse(output_structure=structure)
    assert plain.destination == "projects/output/P1/A01-1"
    (text,) = jobfile.dump([plain]).values()
    assert '"output_structure": "Metadata_Plate/Metadata_Well-Metadata_Site",' in text


@pytest.mark.parametrize("key", ["pipeline", "data_file", "input", "output", "groups"])
def test_a_missing_key_is_named(key: str) -> None:
    plain = {k: v for k, v in PLAIN.items() if k != key}
    with pytest.raises(InputError, match=rf"^job.json: {key}: is missing: add it$"):
        jobfile.parse(json.dumps(plain), "job.json")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", "job.json: is not JSON (Expecting value"),
        ("[" * 100_000, "job.json: is not JSON (maximum recursion"),
        ("[]", "job.json: is not a job file: write a table in { }"),
        ('"pipeline data_file input output groups"', "job.json: is not a job file"),
    ],
)
def test_what_is_no_job_file_is_reported(source: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        jobfile.parse(source, "job.json")
    assert str(caught.value).startswith(expected)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"gone\.json: is not there: name another file"
    ):
        jobfile.read(tmp_path / "gone.json")


# Writing

WORD = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_+()#]{0,8}", fullmatch=True)
PLACE = st.lists(WORD, min_size=1, max_size=3).map("/".join)
KEYS = ("Metadata_Plate", "Metadata_Well", "Metadata_Site")


@st.composite
def some_jobs(draw: st.DrawFn) -> list[Job]:
    """Jobs of several data files, as a plan has them."""
    pipeline, source, output = draw(PLACE), draw(PLACE), draw(PLACE)
    structure = draw(st.sampled_from(["", "Metadata_Plate/x-Metadata_Site"]))
    plates = draw(st.lists(WORD, min_size=1, max_size=3, unique=True))
    sites = draw(st.lists(st.tuples(WORD, WORD), min_size=1, max_size=4, unique=True))
    return [
        Job(
            step="analysis",
            group=tuple(zip(KEYS, (plate, *site), strict=True)),
            pipeline=pipeline,
            data_file=f"csv/{plate}/load_data.csv",
            input=source,
            output=output,
            output_structure=structure,
            image_sets=1,
        )
        for plate in plates
        for site in sites
    ]


@given(some_jobs())
def test_what_was_written_is_read_as_the_same_messages(jobs: list[Job]) -> None:
    files = jobfile.dump(jobs)
    read = [job for text in files.values() for job in jobfile.parse(text, "job").jobs]
    assert [job.to_message() for job in read] == [job.to_message() for job in jobs]
    assert list(files) == list(dict.fromkeys(job.data_file for job in jobs))


def job(**changes: Any) -> Job:
    plain: dict[str, Any] = {
        "step": "illum",
        "group": (("Metadata_Plate", "P1"),),
        "pipeline": "p/illum.cppipe",
        "data_file": "csv/P1/load_data.csv",
        "input": "rules",
        "output": "illum",
    }
    return Job(**plain | changes)


def test_a_job_file_has_a_line_a_group() -> None:
    (text,) = jobfile.dump([job()]).values()
    assert text == (
        "{\n"
        '  "pipeline": "p/illum.cppipe",\n'
        '  "data_file": "csv/P1/load_data.csv",\n'
        '  "input": "rules",\n'
        '  "output": "illum",\n'
        '  "groups": [\n'
        '    {"Metadata": "Metadata_Plate=P1"}\n'
        "  ]\n"
        "}\n"
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"group": (("Metadata_Plate", "a,b"),)}, "Metadata_Plate: 'a,b' cannot name"),
        ({"group": (("Metadata_Plate", "a=b"),)}, "Metadata_Plate: 'a=b' cannot name"),
        ({"output": "s3://other/x"}, "output: s3://other/x is not a key of the bucket"),
        ({"input": "/data/rules"}, "input: /data/rules is not a key of the bucket"),
        ({"pipeline": "a b.cppipe"}, "pipeline: 'a b.cppipe' has a blank"),
    ],
)
def test_what_dcp_cannot_pass_on_is_not_written(
    changes: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"^job ") as caught:
        jobfile.write(tmp_path / "job.json", [job(**changes)])
    assert expected in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_data_files_of_one_plate_are_not_written_to_one_name(tmp_path: Path) -> None:
    jobs = [job(), job(data_file="other/P1/load_data.csv")]
    with pytest.raises(InputError, match=r"write one plate at a time, by --plate"):
        jobfile.write(tmp_path / "job.json", jobs)
    with pytest.raises(InputError, match="differ in pipeline, input or output"):
        jobfile.write(tmp_path / "job.json", [job(), job(input="other")])
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"job\.json: cannot be written \("):
        jobfile.write(tmp_path / "file" / "job.json", [job()])


# cpengine plan STEP --dcp-job


def plan(built: Built, *args: str | Path) -> Result:
    command = ["plan", "analysis", "-C", built.root, "--dcp-job", *args]
    return CliRunner().invoke(app, list(map(str, command)))


def test_plan_writes_the_jobs(tmp_path: Path) -> None:
    built, path = build.project(tmp_path / "p"), tmp_path / "new" / "job.json"
    result = plan(built, path)
    assert (result.exit_code, result.stdout) == (0, f"wrote {path}: 4 jobs\n")
    planned = built.project().plan("analysis").jobs
    messages = [job.to_message() for job in planned]
    assert [job.to_message() for job in jobfile.read(path)] == messages


def test_several_plates_get_a_file_each(tmp_path: Path) -> None:
    built = build.project(tmp_path / "p", plates=["P1", "P2"])
    result = plan(built, tmp_path / "job.json", "--well", "A01")
    assert result.stdout.splitlines() == [
        f"wrote {tmp_path}/job-P1.json: 2 jobs",
        f"wrote {tmp_path}/job-P2.json: 2 jobs",
    ]
    ids = [job.id for job in jobfile.read(tmp_path / "job-P2.json")]
    assert ids == ["P2-A01-1", "P2-A01-2"]


def test_a_batch_file_is_one_data_file_for_all_plates(tmp_path: Path) -> None:
    toml = '[steps.analysis]\ngroups = "batch"\n'
    built = build.project(tmp_path / "p", toml=toml)
    build.batch_of(built)
    assert plan(built, tmp_path / "job.json").exit_code == 0
    (first, *_) = jobfile.read(tmp_path / "job.json")
    assert first.pipeline == first.data_file
    assert first.batch_file


def test_a_csv_that_is_missing_is_reported(tmp_path: Path) -> None:
    built = build.project(tmp_path / "p", data_file="load_data.csv")
    for name in ("FileName_IllumDNA", "PathName_IllumDNA"):
        build.change(built.csv, name, f"Metadata_{name[0]}")
    result = plan(built, tmp_path / "job.json")
    assert "load_data_with_illum.csv: is to be made: cpengine does so" in result.stderr


@pytest.mark.parametrize("there", ["job.json", "job-P2.json"])
def test_nothing_is_written_over(there: str, tmp_path: Path) -> None:
    plates = ["P1"] if there == "job.json" else ["P1", "P2"]
    built = build.project(tmp_path / "p", plates=plates)
    (tmp_path / there).write_text("mine")
    result = plan(built, tmp_path / "job.json")
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert (
        line
        == f"error: {tmp_path / there}: is there already: name another, or remove it"
    )
    assert [path.name for path in tmp_path.glob("job*")] == [there]
    assert (tmp_path / there).read_text() == "mine"
