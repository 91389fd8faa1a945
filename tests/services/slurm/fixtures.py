"""A real SLURM cluster, for the `conftest.py` of folders whose tests need one."""

from collections.abc import Iterator

import pytest

from tests.services.shared import running
from tests.services.slurm.cluster import Cluster, missing

__all__ = ["slurm", "slurm_cluster"]


@pytest.fixture(scope="session")
def slurm_cluster(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """The cluster of all tests. Fails where SLURM is not installed."""
    if lacking := missing():
        pytest.fail(f"there is no {', '.join(lacking)}: `make test` installs it")
    return running("slurm", lambda: Cluster(tmp_path_factory.mktemp("slurm")))


@pytest.fixture
def slurm(slurm_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """The cluster, idle, known to all clients and as it was at its start."""
    for name, value in slurm_cluster.environ.items():
        monkeypatch.setenv(name, value)
    yield slurm_cluster
    slurm_cluster.reset()
