"""dask-jobqueue without its handling of Ctrl-C, which it takes where it is imported."""

import signal

_ctrl_c = signal.getsignal(signal.SIGINT)
from dask_jobqueue.core import Job as QueueJob  # noqa: E402
from dask_jobqueue.htcondor import HTCondorJob  # noqa: E402
from dask_jobqueue.lsf import LSFJob  # noqa: E402
from dask_jobqueue.pbs import PBSJob  # noqa: E402
from dask_jobqueue.sge import SGEJob  # noqa: E402
from dask_jobqueue.slurm import SLURMJob  # noqa: E402

signal.signal(signal.SIGINT, _ctrl_c)

__all__ = ["HTCondorJob", "LSFJob", "PBSJob", "QueueJob", "SGEJob", "SLURMJob"]
