"""Jobs on the workers of a Dask scheduler that are jobs of a cluster."""

import signal

# dask-jobqueue takes Ctrl-C for itself where it is imported: give it back.
_ctrl_c = signal.getsignal(signal.SIGINT)
import dask_jobqueue  # noqa: E402, F401 (for what it does when it is imported)

signal.signal(signal.SIGINT, _ctrl_c)
