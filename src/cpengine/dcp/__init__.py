"""Distributed-CellProfiler's files and results: read, and written for it.

Only `DoneRule` is imported here, since the steps need it; the other modules need them.
"""

from cpengine.ledger.dcp_done import DoneRule

__all__ = ["DoneRule"]
