"""Distributed-CellProfiler's files: read, and written for it."""
