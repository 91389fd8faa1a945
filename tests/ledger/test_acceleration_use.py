"""What is said of accelerations and processors of a run's jobs."""

import json
from dataclasses import asdict
from typing import Any

import pytest

from cpengine.ledger.acceleration_use import AccelerationTally, AccelerationUse
from cpengine.model import (
    ALL_OFF,
    FAILED_IN_JOB,
    ExactCheck,
    Failure,
    FailureKind,
    Outcome,
)
from cpengine.storage.own_files import of_form
from cpengine.testing import jobs

(JOB,) = jobs("A")
HASWELL = {"cpu": "AMD EPYC", "blas_kernel": "Haswell", "blas_threads": 1}
SKYLAKE = HASWELL | {"cpu": "Xeon", "blas_kernel": "SkylakeX"}


def use_of(*outcomes: dict[str, Any]) -> AccelerationUse:
    tally = AccelerationTally()
    for facts in outcomes:
        tally.add(Outcome(JOB, **facts))
    return tally.use


def test_lines_name_what_is_on_and_off_and_why() -> None:
    use = use_of(
        {"exact": ("windows",), "exact_off": {"texture": "there are no kernels"}},
        {"exact": ("windows",), "exact_off": {"texture": "there are no kernels"}},
        {"exact_off": {ALL_OFF: "each job starts a CellProfiler of its own"}},
        {"check": ExactCheck(("windows",), 1, 3)},
        {"failure": Failure(FailureKind.CRASH, "it crashed")},
    )
    assert list(use.lines()) == [
        "accelerated modules in 2 jobs (windows), plain ones in 2",
        "1 job ran both ways: same bytes",
        "not texture in 2 jobs: there are no kernels",
        "no acceleration in 1 job: each job starts a CellProfiler of its own",
    ]
    assert list(use.warnings()) == []


def test_what_is_off_for_one_reason_is_one_line() -> None:
    why = "there are no kernels"
    (line,) = use_of({"exact_off": {"texture": why, "granularity": why}}).lines()
    assert line == f"not texture, granularity in 1 job: {why}"


def test_one_that_failed_is_a_warning() -> None:
    use = use_of({"exact_off": {"texture": f"{FAILED_IN_JOB} (ValueError: no)"}})
    assert list(use.lines()) == []
    assert list(use.warnings()) == [
        "the acceleration texture failed in this job (ValueError: no); it is off until "
        "the run ends: results are those of plain modules: report it"
    ]


def test_there_is_no_line_where_nothing_was_wanted() -> None:
    use = use_of({"processor": HASWELL}, {})
    assert (list(use.lines()), list(use.warnings())) == ([], [])
    assert str(use.processors[0]) == "AMD EPYC, BLAS kernel Haswell, 1 thread"


def test_several_kernels_are_a_warning() -> None:
    (warning,) = use_of(
        {"processor": HASWELL}, {"processor": SKYLAKE}, {"processor": HASWELL}
    ).warnings("Haswell")
    assert warning == (
        "jobs computed with several BLAS kernels (Haswell in 2, SkylakeX in 1), "
        "between which CellProfiler's numbers differ: set cellprofiler.blas_kernel and "
        "run again with --force"
    )


@pytest.mark.parametrize(
    ("asked", "warned"), [("haswell", False), ("Zen", True), (None, False)]
)
def test_another_kernel_than_was_asked_for_is_a_warning(
    asked: str | None, warned: bool
) -> None:
    found = list(use_of({"processor": HASWELL}).warnings(asked))
    assert bool(found) == warned
    if warned:
        assert found[0].startswith("cellprofiler.blas_kernel is Zen, but jobs computed")


def test_a_difference_is_a_warning_with_its_place() -> None:
    check = ExactCheck(("texture",), 1, 3, ("MeasureTexture: Cells.csv",), "led/ger")
    use = use_of({"check": check})
    assert list(use.lines()) == ["1 job ran both ways: 1 differed"]
    (warning,) = use.warnings()
    assert "A: MeasureTexture: Cells.csv (files: led/ger)" in warning


def test_it_is_itself_again_out_of_a_record() -> None:
    check = ExactCheck(("texture",), 1, 3, ("MeasureTexture: Cells.csv",), "led/ger")
    use = use_of(
        {"exact": ("windows",), "exact_off": {"texture": "why"}, "processor": HASWELL},
        {"check": check},
    )
    data = json.loads(json.dumps(asdict(use)))
    assert of_form(AccelerationUse)(data) == use


def test_many_reasons_stay_few() -> None:
    use = use_of(*({"exact_off": {"texture": f"why {n}"}} for n in range(1000)))
    assert len(use.off) <= 50
