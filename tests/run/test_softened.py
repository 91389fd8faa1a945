"""Rules that the project file sets to warn, or off."""

import json
from pathlib import Path

import pytest

from cpengine.errors import InputError
from cpengine.plates import Part
from cpengine.run.session import Checked, Steps, Todo
from tests import build
from tests.build import Built


def checked(built: Built) -> Checked:
    (found,) = Steps(built.project(), ["analysis"], Part(), "4.2.8.1").checked()
    return found


def plans(built: Built) -> list[Todo]:
    return Steps(built.project(), ["analysis"], Part(), "4.2.8.1").plans()


def names(found: Checked) -> dict[str, str]:
    return {finding.rule.name: finding.severity for finding in found.findings}


def set_rule(built: Built, name: str, value: str) -> None:
    text = f'[check]\n{name} = "{value}"\n'
    built.toml.write_text(built.toml.read_text() + text)


@pytest.fixture
def built(tmp_path: Path) -> Built:
    """A project whose pipeline groups by other columns, and whose image is gone."""
    made = build.project(tmp_path, tags="Plate,Well")
    next(made.images.iterdir()).unlink()
    return made


@pytest.mark.parametrize("name", ["grouping-differs", "image-missing"])
@pytest.mark.parametrize(("value", "severity"), [("warn", "warning"), ("off", None)])
def test_a_rule_is_what_the_project_file_sets(
    built: Built, name: str, value: str, severity: str | None
) -> None:
    before = names(checked(built))
    assert before == {"grouping-differs": "error", "image-missing": "error"}
    set_rule(built, name, value)
    found = names(checked(built))
    assert found.get(name) == severity
    assert {name: severity, **found} == before | {name: severity}


def test_a_step_runs_with_what_only_warns(built: Built) -> None:
    with pytest.raises(InputError, match="groups by Plate, Well, the step by"):
        plans(built)
    set_rule(built, 'image-missing = "off"\ngrouping-differs', "warn")
    (todo,) = plans(built)
    assert [finding.rule.name for finding in todo.findings] == ["grouping-differs"]
    assert len(todo.jobs) == 4


def test_what_keeps_jobs_from_being_made_stays_an_error(built: Built) -> None:
    built.csv.unlink()
    set_rule(built, 'csv-missing = "off"\ncsv-no-plates', "off")
    with pytest.raises(InputError, match="is not there: put the plate's CSV there"):
        plans(built)
    assert names(checked(built)) == {"csv-missing": "error"}


def test_findings_of_rules_that_are_set_are_json_as_others(built: Built) -> None:
    set_rule(built, "grouping-differs", "warn")
    findings = [json.dumps(f.to_json()) for f in checked(built).findings]
    assert '"severity": "warning"' in findings[0]
