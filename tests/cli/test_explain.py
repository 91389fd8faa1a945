"""`cpengine explain`: what a rule means, without a project and without the docs."""

import json
from pathlib import Path

import pytest

from cpengine.rules import RULES
from tests.build import Built
from tests.cli.test_cli import built, call
from tests.cli.test_completion import completed
from tests.cli.test_start import HEAVY, PROJECT, imported

__all__ = ["built"]


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be in a folder without a project."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", RULES)
def test_each_rule_is_explained(name: str) -> None:
    rule, shown = RULES[name], call("explain", name)
    assert (shown.exit_code, shown.stderr) == (0, "")
    for text in (name, rule.title, rule.symptom, rule.cure, rule.severity):
        assert text in shown.stdout
    can_be_set = f'{name} = "warn"' in shown.stdout
    assert can_be_set == (not rule.guards)


def test_a_rule_in_json() -> None:
    (found,) = json.loads(call("explain", "image-small", "--json").stdout)
    assert found["rule"] == "image-small"
    assert found["severity"] == RULES["image-small"].severity
    assert found["cure"] == RULES["image-small"].cure


def test_without_a_rule_all_are_listed() -> None:
    shown = call("explain").stdout
    assert [name for name in RULES if f"  {name} " not in shown] == []
    assert len(json.loads(call("explain", "--json").stdout)) == len(RULES)


def test_a_rule_that_there_is_not_gets_the_nearest() -> None:
    result = call("explain", "image-smal")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "error: image-smal: is no rule: did you mean image-small? `cpengine explain` "
        "lists them\n"
    )


def test_a_check_says_once_how_to_have_a_finding_explained(built: Built) -> None:
    for image in built.images.iterdir():
        image.write_bytes(b"")
    result = call("check", "analysis", "-C", built.root)
    assert result.stderr.count("cpengine explain") == 1
    assert "cpengine explain RULE, such as image-empty\n" in result.stderr


def test_rules_are_completed() -> None:
    assert completed("explain image-s") == ["image-small"]


def test_to_explain_a_rule_no_project_s_modules_are_imported() -> None:
    found = imported("explain", "image-small")
    assert "cpengine.rules" in found
    assert found & (HEAVY | PROJECT) <= {"pydantic"}  # typer reads values with it
