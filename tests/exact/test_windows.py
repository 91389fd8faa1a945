"""Modules whose windows nobody sees compute the same without them."""

from tests.exact.conftest import Bench


def test_a_window_nobody_sees_changes_nothing(bench: Bench) -> None:
    assert "windows" in bench.ready["on"]
