"""cpengine under a monkey that kills its processes at random moments."""

import pytest

pytest.register_assert_rewrite("tests.chaos.arena", "tests.chaos.promises")
