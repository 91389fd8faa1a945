"""A real SLURM cluster for the tests that need one."""

from tests.services.slurm.fixtures import slurm, slurm_cluster

__all__ = ["slurm", "slurm_cluster"]
