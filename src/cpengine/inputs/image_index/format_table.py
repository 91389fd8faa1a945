"""The table of formats: to add one, write its module and name it in this table."""

from cpengine.inputs.image_index.cellvoyager import CELLVOYAGER
from cpengine.inputs.image_index.harmony import HARMONY
from cpengine.inputs.image_index.imagexpress import IMAGEXPRESS
from cpengine.inputs.image_index.incell import INCELL
from cpengine.inputs.image_index.index_format import IndexFormat
from cpengine.inputs.image_index.ome import OME
from cpengine.inputs.image_index.scanr import SCANR

FORMATS: tuple[IndexFormat, ...] = (
    HARMONY,
    CELLVOYAGER,
    INCELL,
    IMAGEXPRESS,
    OME,
    SCANR,
)
"""In the order in which they are tried: of two in one folder the first one counts."""
