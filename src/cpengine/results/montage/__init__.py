"""Stitched pictures of a plate: its wells in their places, to look at a step's images.

It needs Pillow, which the rest of cpengine does without.
"""

from cpengine.results.montage.make import Kind, Made, folder_of, make
from cpengine.results.montage.options import Options

__all__ = ["Kind", "Made", "Options", "folder_of", "make"]
