"""The public name of the pictures of plates: `make` and its `Options`."""

from cpengine.results.montage import Kind, Made, Options, folder_of, make

__all__ = ["Kind", "Made", "Options", "folder_of", "make"]
