"""Workers of a run, and a machine whose scheduler is a few shell scripts."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from cpengine.config import ClusterSection, SlurmSection
from cpengine.executors.slurm.cluster_executor import Workers
from cpengine.executors.slurm.schedulers import QUEUES

PYTHON = "/env/bin/python"


def workers_of(
    folder: Path, settings: ClusterSection | None = None, kind: str = "slurm"
) -> Workers:
    settings = settings or SlurmSection(python=PYTHON)
    return Workers(QUEUES[kind], settings, "cpengine-abc123", folder, settings.cores)


@dataclass
class Site:
    """A machine with only the commands that the test has put there."""

    folder: Path

    def has(self, command: str, script: str) -> None:
        path = self.folder / command
        path.write_text(f"#!/bin/bash\nPATH=/usr/bin:/bin\n{script}\n")
        path.chmod(0o755)

    def says(
        self, command: str, output: str, *, code: int = 0, stderr: bool = False
    ) -> None:
        """Have a command print this and end."""
        to = " >&2" if stderr else ""
        self.has(command, f"cat <<'END'{to}\n{output}\nEND\nexit {code}")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Has no scheduler yet, even where the tests run on a machine of a cluster."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return Site(folder)
