"""This machine: child processes, what they use, its capacity, scratch folders."""
