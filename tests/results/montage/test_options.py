"""Options of the command: read, or refused in one line."""

import pytest

from cpengine.errors import ConfigError
from cpengine.results.montage.options import Options, colour, contrast, overlay


def test_an_overlay_gives_channels_colours() -> None:
    assert overlay("OrigDNA=blue, OrigER=#10ff80") == {
        "OrigDNA": "blue",
        "OrigER": "#10ff80",
    }


@pytest.mark.parametrize("text", ["OrigDNA", "=blue", "OrigDNA=", "A=red,A=green", ""])
def test_another_overlay_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=rf"^--overlay {text}: is no list"):
        overlay(text)


def test_colours_are_names_or_numbers() -> None:
    assert colour("Magenta") == (255, 0, 255)
    assert colour("#10fF80") == (16, 255, 128)


def test_an_unknown_colour_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^mauve: is no colour: choose from red, "):
        overlay("OrigDNA=mauve")


def test_contrast_limits_are_read() -> None:
    assert contrast(["OrigDNA=100,4000", "OrigER=0.5,2e3"]) == {
        "OrigDNA": (100, 4000),
        "OrigER": (0.5, 2000),
    }


@pytest.mark.parametrize("text", ["OrigDNA", "A=1", "A=2,1", "A=1,1", "=1,2", "A=a,b"])
def test_other_contrast_limits_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=rf"^--contrast {text}: is no channel with"):
        contrast([text])


def test_published_pictures_are_wanted_unless_channels_are() -> None:
    assert Options().published
    assert not Options(channels=("OrigDNA",)).published
    assert Options(channels=("OrigDNA",), images=("outlines",)).published
