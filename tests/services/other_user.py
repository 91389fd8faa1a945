"""A second user of the machine, who writes where everybody may."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

UID = 65534
"""`nobody`'s, on every Linux; it owns nothing here."""


@dataclass(frozen=True, slots=True)
class OtherUser:
    """Runs shell commands as somebody else."""

    shared: Path
    """A folder in which all may write and remove their own, as /tmp."""

    def run(self, script: str) -> str:
        """Run a script in the shared folder; give what it prints."""
        command = ["/bin/sh", "-euc", script]
        ids = {"user": UID, "group": UID, "extra_groups": []}
        if os.geteuid() != 0:
            command, ids = ["sudo", "-n", "-u", f"#{UID}", *command], {}
        ran = subprocess.run(
            command, cwd=self.shared, capture_output=True, text=True, check=False, **ids
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


@pytest.fixture
def other_user() -> Iterator[OtherUser]:
    """Another user. Fails where there can be none: run as root, or allow sudo."""
    shared = Path(tempfile.mkdtemp(prefix="two-users-"))
    shared.chmod(0o1777)
    user = OtherUser(shared)
    try:
        assert user.run("id -u").strip() == str(UID)
        yield user
    finally:
        shutil.rmtree(shared, ignore_errors=True)
