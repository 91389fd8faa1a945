"""Pipelines in JSON: the same modules as in a `.cppipe`."""

import json
from typing import Any

import pytest

from cpengine.errors import InputError
from cpengine.inputs.pipeline import parse
from tests.build import SITE, module, pipeline_json, pipeline_text


def test_it_is_the_same_pipeline() -> None:
    more = (
        module("SaveImages", 4, {"Enter single file name": r"\g<Plate>: a\x2Cb"}),
        module("CreateBatchFiles", 5, {}, enabled=False),
    )
    text = pipeline_text(SITE, *more).replace(r"\x2C", ",")
    read = parse(pipeline_json(text), "p")
    assert read == parse(text, "p")
    assert (len(read.modules), len(read.enabled)) == (6, 5)


def test_settings_are_taken_as_they_stand() -> None:
    text = pipeline_json(pipeline_text()).replace("Nuclei", r"a\\x2C \u00b5")
    assert parse(text, "p").modules[2].settings[1][1] == "a\\x2C µ"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda content: content.pop("modules"), "is JSON, but no pipeline (KeyError"),
        (lambda content: content.pop("date_revision"), "is JSON, but no pipeline (Ke"),
        (
            lambda content: content["modules"][0].pop("attributes"),
            "is JSON, but no pipeline (KeyError: 'attributes')",
        ),
        (lambda content: content.update(modules=[1]), "is JSON, but no pipeline (Typ"),
    ],
)
def test_json_that_is_no_pipeline_is_refused(change: Any, expected: str) -> None:
    content = json.loads(pipeline_json(pipeline_text()))
    change(content)
    assert refusal(json.dumps(content)).startswith(expected)


def test_settings_without_a_text_are_read_by_their_order() -> None:
    content = json.loads(pipeline_json(pipeline_text()))
    for setting in content["modules"][2]["settings"]:
        setting["text"] = None
    read = parse(json.dumps(content), "p")
    assert [name for name, _ in read.modules[2].settings] == ["", ""]


def test_json_that_is_too_deep_is_refused() -> None:
    assert refusal('{"modules":' + "[" * 100_000).startswith(
        "is JSON, but no pipeline (Rec"
    )


def test_broken_json_is_refused() -> None:
    text = pipeline_json(pipeline_text())
    assert refusal(text[: len(text) // 2]).startswith("is no JSON (")


def refusal(text: str) -> str:
    with pytest.raises(InputError) as caught:
        parse(text, "p.json")
    (finding,) = caught.value.findings
    assert finding.cure == "export it again with File > Export > Pipeline"
    return finding.cause
