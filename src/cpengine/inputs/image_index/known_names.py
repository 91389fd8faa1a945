"""The namings of image files that are known, for files without an index. Pure.

Each takes no name of another, so the first that reads a name is the one.
"""

from cpengine.inputs.image_index.name_pattern import NamePattern, compiled

_WELL = r"(?P<well>[A-Z]{1,2}\d{2})"
_GUID = r"[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}"
_TIFF = r"\.tiff?"

OPERA = NamePattern(
    "Opera and Operetta names, r01c01f01p01-ch1",
    compiled(
        r"r(?P<row>\d+)c(?P<column>\d+)f(?P<site>\d+)p(?P<plane>\d+)-ch(?P<channel>\d+)"
        rf"(?:sk(?P<timepoint>\d+))?(?:fk\d+)?(?:fl\d+)?{_TIFF}"
    ),
)
CELLVOYAGER_NAMES = NamePattern(
    "CellVoyager names, A01_T0001F001L01A01Z01C01",
    compiled(
        rf".*_{_WELL}_T(?P<timepoint>\d+)F(?P<site>\d+)L\d+A\d+Z(?P<plane>\d+)"
        rf"C(?P<channel>\d+){_TIFF}"
    ),
)
SCANR_NAMES = NamePattern(
    "ScanR names, A1--W00001--P00001--Z00000--T00000--DAPI",
    compiled(
        r"(?P<well>[A-Z]{1,2}\d{1,2})?--W(?P<number>\d+)--P(?P<site>\d+)--Z(?P<plane>\d+)"
        rf"--T(?P<timepoint>\d+)--(?P<channel>[^/]+?){_TIFF}"
    ),
)
INCELL_NAMES = NamePattern(
    "IN Cell names, A - 1(fld 1 wv DAPI - DAPI)",
    compiled(
        r"(?:[^/]*_)?(?P<row>[A-Z]{1,2})(?: - )?(?P<column>\d{1,2})\(fld (?P<site>\d+)"
        r"(?: wv (?P<channel>[^/()]+?))?(?: wix \d+)?(?: z (?P<plane>\d+))?"
        rf"(?: time (?P<timepoint>\d+)[^/()]*)?\){_TIFF}"
    ),
)
IMAGEXPRESS_NAMES = NamePattern(
    "ImageXpress names, A01_s1_w1",
    compiled(
        rf"(?:[^/]*?_)??(?![sw]\d_)(?P<well>[A-Z]{{1,2}}\d{{1,2}})(?=_[sw]\d)(?:_s(?P<site>\d+))?"
        rf"(?:_w(?P<channel>\d{{1,2}}?))?(?:{_GUID})?(?:_z(?P<plane>\d+))?"
        rf"(?:_t(?P<timepoint>\d+))?{_TIFF}"
    ),
)
KNOWN_NAMES = (
    OPERA,
    CELLVOYAGER_NAMES,
    SCANR_NAMES,
    INCELL_NAMES,
    IMAGEXPRESS_NAMES,
)
"""In the order in which they are tried."""
