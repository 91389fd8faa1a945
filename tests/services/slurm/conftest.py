"""The cluster itself is tested here."""

from tests.services.slurm.fixtures import slurm, slurm_cluster

__all__ = ["slurm", "slurm_cluster"]
