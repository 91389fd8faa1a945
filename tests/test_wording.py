"""Counts, times, sizes and hints as messages word them."""

import pytest

from cpengine.wording import GB, counted, did_you_mean, duration, gigabytes


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (8.24, "8.2 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (3 * 86400 + 4 * 3600, "3 d 4 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_counts() -> None:
    assert counted(1, "job") == "1 job"
    assert counted(3456, "job") == "3456 jobs"
    assert counted(3456, "job", thousands=",") == "3,456 jobs"


def test_sizes() -> None:
    assert gigabytes(1.5 * GB) == "1.5 GB"
    assert gigabytes(1.5 * GB, 0) == "2 GB"


def test_the_nearest_name_is_hinted_at() -> None:
    known = ["analysis", "illum"]
    assert did_you_mean("analisys", known) == "did you mean analysis?"
    assert did_you_mean("analisys", known, form=" ({})") == " (did you mean analysis?)"
    assert did_you_mean("qc", known, form=": {}") == ""
