"""Records of runs: nothing depends on them, so nothing is stopped by them."""

from pathlib import Path

import pytest

from cpengine.errors import StorageError
from cpengine.ledger import run_record
from cpengine.ledger.ledger import Ledger
from cpengine.storage.store import Storage


def test_a_folder_of_records_that_cannot_be_listed_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(self: Storage, key: str) -> dict[str, int]:
        raise StorageError(f"{key}: cannot be listed: Permission denied")

    monkeypatch.setattr(Storage, "sizes", refuse)
    ledger = Ledger(Storage(str(tmp_path)), "ledger")
    assert run_record.last_run(ledger) is None
    assert run_record.all_runs(ledger) == []
    assert "ledger/runs: cannot be listed" in caplog.text
