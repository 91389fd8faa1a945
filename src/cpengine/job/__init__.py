"""One job on this machine: stage, admit, run CellProfiler, verify, publish."""
