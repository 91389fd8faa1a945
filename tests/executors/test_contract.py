"""Every executor of ours keeps the contract."""

import pytest

from cpengine.testing import ExecutorContract


class TestInline(ExecutorContract):
    on = "inline"


class TestLocal(ExecutorContract):
    on = "local"


@pytest.mark.services
class TestInlineWithHosts(TestInline):
    warm = True


@pytest.mark.services
class TestLocalWithHosts(TestLocal):
    warm = True
