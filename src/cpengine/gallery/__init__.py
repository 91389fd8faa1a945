"""A project held against the structure of the Cell Painting Gallery, from listings.

Source: the Gallery's documentation, "Cell Painting Gallery folder structure", as of its
commit b55c652.
"""

from cpengine.gallery.check import check

__all__ = ["check"]
