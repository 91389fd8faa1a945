"""The demo's pipelines with the channels of others."""

import re

import pytest

from cpengine.demo.example_pipelines import example_pipelines
from cpengine.demo.images import CHANNELS
from cpengine.demo.synthetic_plate import PIPELINES
from cpengine.inputs import pipeline

DEMO = [f"Orig{name}" for name in CHANNELS]


def test_with_the_demos_channels_they_are_the_demos() -> None:
    made = example_pipelines(DEMO, stacks=True)
    assert (made.nuclei, made.cells) == ("OrigDNA", "OrigRNA")
    assert made.texts == {path.name: path.read_text() for path in PIPELINES.iterdir()}


def test_only_stacks_need_a_projection() -> None:
    assert "Zproj.cppipe" not in example_pipelines(DEMO).texts


@pytest.mark.parametrize(
    "images",
    [
        ["DAPI"],
        ["FITC", "DAPI"],
        ["OrigDNA", "OrigMito", "OrigTubulin"],
        [*DEMO, "OrigBrightfield"],
        ["Ch1", "Ch2", "Ch3", "Ch4"],
        ["RNA", "DNA"],
    ],
)
def test_they_want_images_that_are_there_and_use_all(images: list[str]) -> None:
    made = example_pipelines(images, stacks=True)
    functions = {f"Illum{image.removeprefix('Orig')}" for image in images}
    for name, text in made.texts.items():
        parsed = pipeline.parse(text, name)
        wanted = {image for _, _, image in parsed.images_wanted()}
        assert wanted <= {*images, *functions}
        if name != "assaydev.cppipe":
            assert set(images) <= wanted
        numbers = [module.number for module in parsed.modules]
        assert numbers == list(range(1, len(numbers) + 1))
        assert re.search(rf"^ModuleCount:{len(numbers)}$", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("images", "nuclei", "cells"),
    [
        (["FITC", "DAPI"], "DAPI", "FITC"),
        (["Ch1", "Ch2"], "Ch1", "Ch2"),
        (["DAPI"], "DAPI", "DAPI"),
        (["OrigER", "OrigHoechst", "OrigActin"], "OrigHoechst", "OrigER"),
    ],
)
def test_nuclei_and_cells_are_found_where_stains_show_them(
    images: list[str], nuclei: str, cells: str
) -> None:
    made = example_pipelines(images)
    assert (made.nuclei, made.cells) == (nuclei, cells)
