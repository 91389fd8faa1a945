"""Distributed-CellProfiler's infrastructure on AWS, and an executor that drives it."""
