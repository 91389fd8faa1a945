"""The page about Python is run as it stands, on the demo plate."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.plain_runs import small_plate

PAGE = Path(__file__).parents[2] / "docs/reference/python.md"
pytestmark = pytest.mark.cellprofiler


def test_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_plate(tmp_path / "demo-plate", sites=1)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) >= 4
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "[]"
    assert printed[1] == "1 DemoPlate1-A01-1"
    assert "analysis 1 0 " in "\n".join(printed)
    assert printed[-1] == "DemoPlate1-A02-1 True"
