"""What makes plain CellProfiler fail or gives nothing is an error, with a cure."""

from pathlib import Path

import pytest

from tests.door import running
from tests.door.cases import Case
from tests.door.failing import FAILING
from tests.door.running import Plain

pytestmark = pytest.mark.cellprofiler


@pytest.mark.parametrize("case", FAILING, ids=str)
def test_what_plain_cellprofiler_fails_on_is_an_error_with_a_cure(
    case: Case, images: Path, plain: Plain, tmp_path: Path
) -> None:
    built = case.build(tmp_path, images, plain)
    theirs = plain.run_case(built)
    assert theirs.gave_nothing, (theirs.code, theirs.done, theirs.files)

    code, found = running.check(tmp_path, *case.arguments)
    errors = running.errors(found)
    assert code != 0
    assert errors
    for text in case.says:
        assert any(text in error for error in errors), errors
    assert all(finding["cure"] for finding in found if finding["severity"] == "error")


def test_there_are_enough() -> None:
    assert len({case.name for case in FAILING}) == len(FAILING) >= 32
