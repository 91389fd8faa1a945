"""The parts of pyarrow that are used here. It is an extra: import this when needed."""

import pyarrow as pa  # type: ignore[import-untyped]  # it publishes no types
from pyarrow import compute, csv, ipc, parquet

__all__ = ["compute", "csv", "ipc", "pa", "parquet"]
