"""CellProfiler in an environment of its own: find it, install it, build its command."""
