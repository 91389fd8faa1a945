"""Pipelines that get a CreateBatchFiles: their other modules stay as they are."""

import pytest

from cpengine.inputs import pipeline
from cpengine.inputs.pipeline_text import with_batch_file
from tests.door.old_pipelines import window
from tests.door.pipelines import module, written

IMAGES = '\n"Version":"1","PlaneCount":"1"\n"URL","Series"\n"file:///gone/1.tif",\n'


@pytest.mark.parametrize("by", ["2.2", "3.0", "3.1", "4.0", "4.2"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_it_comes_last_and_nothing_else_changes(by: str, ends: str) -> None:
    text = written(window(), by)
    before = pipeline.parse(text, "before").modules
    made = with_batch_file(text.replace("\n", ends))
    *others, last = pipeline.parse(made, "after").modules
    assert tuple(others) == before
    assert (last.name, last.number, last.enabled) == ("CreateBatchFiles", 8, True)
    assert f"\nModuleCount:{len(before) + 1}\n" in made


def test_its_own_is_left_out() -> None:
    """It may write elsewhere, or for other machines."""
    own = module("CreateBatchFiles", 8)
    assert with_batch_file(written([*window()[:3], own, *window()[3:]])) == (
        with_batch_file(written(window()))
    )


def test_images_that_it_names_are_left_out() -> None:
    """They are those of the machine where it was saved."""
    text = written(window())
    saved = text.replace("HasImagePlaneDetails:False", "HasImagePlaneDetails:True")
    assert with_batch_file(saved + IMAGES) == with_batch_file(text)
