"""Jobs and outcomes as JSON and back, those of DCP and other versions included."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpengine.errors import InputError
from cpengine.executors.retry import causes, next_try
from cpengine.model import CHECK_ALWAYS, CHECK_NEW, Failure, FailureKind, Job, Outcome
from cpengine.testing import jobs

TEXT = st.text(max_size=8) | st.sampled_from(["", "a,b", "a=b", " ", "K=V,K=V", "é"])
NUMBER = st.none() | st.integers(0, 10**6) | st.floats(0, 1e9)
JOBS = st.builds(
    Job,
    step=TEXT,
    group=st.lists(st.tuples(TEXT, TEXT), max_size=4).map(tuple),
    pipeline=TEXT,
    data_file=TEXT,
    input=TEXT,
    output=TEXT,
    output_structure=TEXT | st.sampled_from([".", "a//b/", "./Metadata_Plate"]),
    ledger=TEXT,
    fingerprint=TEXT,
    fingerprint_v1=TEXT,
    inputs=TEXT,
    input_contents=TEXT,
    run=st.integers(0, 9),
    image_sets=st.integers(0, 10**6),
    timeout_s=NUMBER,
    stall_s=NUMBER,
    memory_gb=NUMBER,
    share=st.integers(1, 9),
    lost=st.integers(0, 9),
    plugins=st.none() | TEXT,
    whole_table=st.booleans(),
    mixed=st.booleans(),
    shared=st.booleans(),
    older_records=st.booleans(),
    image_base=st.none() | TEXT,
    earlier=st.lists(TEXT, max_size=3).map(tuple),
    exact_check=TEXT | st.sampled_from([CHECK_ALWAYS, CHECK_NEW]),
)
GROUP = (("Metadata_Plate", "P1"), ("Metadata_Well", "A01"), ("Metadata_Site", "1"))
JOB = Job("analysis", GROUP, "a.cppipe", "f.csv", "rules", "out")


def back(job: Job) -> Job:
    return Job.from_json(json.loads(json.dumps(job.to_json())))


def test_every_field_of_a_job_is_tried() -> None:
    assert set(JOBS.wrapped_strategy.kwargs) == set(Job.__dataclass_fields__)  # type: ignore[attr-defined]


@given(JOBS)
def test_a_job_is_itself_again_out_of_json(job: Job) -> None:
    assert back(job) == job


@given(JOBS)
def test_metadata_stays_the_text_of_dcp(job: Job) -> None:
    text = ",".join(f"{key}={value}" for key, value in job.group)
    assert job.to_json()["Metadata"] == job.to_message()["Metadata"] == text


def test_a_column_that_is_named_twice_stays_so() -> None:
    pairs = (("Metadata_Well", "A,B"), ("Metadata_Well", "C=D"))
    assert back(replace(jobs("A")[0], group=pairs)).group == pairs


def test_metadata_of_another_group_than_the_pairs_is_refused() -> None:
    data = jobs("A")[0].to_json() | {"Metadata": "Metadata_Plate=B"}
    with pytest.raises(InputError, match="of another group: send again"):
        Job.from_json(data)


def test_keys_of_a_newer_version_are_left_out() -> None:
    (job,) = jobs("A")
    assert Job.from_json(job.to_json() | {"of_tomorrow": [1]}) == job
    failed = Outcome(job, Failure(FailureKind.CRASH, "it crashed"))
    data = failed.to_json() | {"of_tomorrow": 1}
    data["failure"] |= {"of_tomorrow": 1}
    assert Outcome.from_json(data) == failed


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        ({"kind": "meteorite", "message": "it was hit"}, "meteorite: it was hit"),
        ({"kind": "unknown", "message": "x: it was hit"}, "x: it was hit"),
        ({"kind": None, "message": "it was hit"}, "None: it was hit"),
        ({}, "None: "),
    ],
)
def test_a_kind_of_failure_that_is_not_known_is_a_failure(
    failure: dict[str, Any], message: str
) -> None:
    data = Outcome(jobs("A")[0]).to_json() | {"failure": failure}
    outcome = Outcome.from_json(json.loads(json.dumps(data)))
    assert not outcome.done
    assert outcome.failure == Failure(FailureKind.UNKNOWN, message)
    assert next_try(replace(outcome, versions={"cellprofiler": "4"}), 1) is None
    (cause,) = causes([outcome])
    assert cause.cure


# Messages


MESSAGE = {
    "Metadata": "Metadata_Plate=P1,Metadata_Well=A01,Metadata_Site=1",
    "pipeline": "a.cppipe",
    "output": "out",
    "input": "rules",
    "data_file": "f.csv",
}


@pytest.mark.parametrize("structure", [{}, {"output_structure": ""}])
@pytest.mark.parametrize("metadata", [MESSAGE["Metadata"], dict(GROUP)])
def test_message_of_dcp_is_a_job(metadata: object, structure: dict[str, str]) -> None:
    job = Job.from_json(MESSAGE | {"Metadata": metadata} | structure)
    assert job == replace(JOB, step="")


@pytest.mark.parametrize("metadata", [MESSAGE["Metadata"], dict(GROUP)])
def test_message_with_a_structure_is_a_job(metadata: object) -> None:
    structure = {"output_structure": "Metadata_Plate"}
    job = Job.from_json(MESSAGE | {"Metadata": metadata} | structure)
    assert job.to_message() == MESSAGE | structure


def test_keys_that_only_others_read_are_ignored() -> None:
    assert Job.from_json(MESSAGE | {"_comment": "x"}) == replace(JOB, step="")


def test_numbers_in_a_metadata_dictionary_become_text() -> None:
    job = Job.from_json(MESSAGE | {"Metadata": {"Metadata_Site": 1}})
    assert job.group == (("Metadata_Site", "1"),)


@pytest.mark.parametrize("missing", MESSAGE)
def test_message_without_a_required_key_is_refused(missing: str) -> None:
    message = {key: value for key, value in MESSAGE.items() if key != missing}
    with pytest.raises(InputError, match=f"^job without {missing}: add the key$"):
        Job.from_json(message)


@pytest.mark.parametrize("metadata", ["", "P1", "Metadata_Plate=P1,A01"])
def test_metadata_that_is_no_list_of_pairs_is_refused(metadata: str) -> None:
    with pytest.raises(InputError, match="write it as K=V,K=V"):
        Job.from_json(MESSAGE | {"Metadata": metadata})


names = st.text("abcXYZ09_-.", min_size=1)
groups = st.dictionaries(names.map("Metadata_{}".format), names, min_size=1)


@given(groups, st.sampled_from(["", "Metadata_Plate", "Metadata_Plate/x"]))
def test_job_comes_back_from_its_message(group: Mapping[str, str], place: str) -> None:
    job = replace(JOB, step="", group=tuple(group.items()), output_structure=place)
    assert Job.from_json(job.to_message()) == job
