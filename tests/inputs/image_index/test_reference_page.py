"""The reference page of folders of images names what the code knows."""

from pathlib import Path

import pytest

from cpengine.inputs.image_index.format_table import FORMATS
from cpengine.inputs.image_index.indexed_image import ProblemKind
from cpengine.inputs.image_index.known_names import KNOWN_NAMES
from cpengine.inputs.image_index.name_pattern import PARTS

PAGE = Path(__file__).parents[3] / "docs/reference/image-folders.md"


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_each_format_is_in_its_table(form: object) -> None:
    assert getattr(form, "title", None)
    assert f"| {form.title}" in PAGE.read_text()  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ProblemKind)
def test_each_problem_is_in_its_table(kind: ProblemKind) -> None:
    assert f"\n| `{kind}` |" in PAGE.read_text()


@pytest.mark.parametrize("part", PARTS)
def test_each_part_of_a_pattern_is_in_its_table(part: str) -> None:
    assert f"`{{{part}}}`" in PAGE.read_text()


@pytest.mark.parametrize("pattern", KNOWN_NAMES, ids=lambda pattern: pattern.title)
def test_each_known_naming_has_an_example_that_it_reads(pattern: object) -> None:
    text = PAGE.read_text().partition("## Namings")[2].partition("## Patterns")[0]
    examples = [part for part in text.split("`") if ".tif" in part]
    assert any(map(pattern.parts, examples))  # type: ignore[attr-defined]
