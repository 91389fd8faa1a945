"""Wells of one plate, however their names are written: in one spelling, in order."""

from cpengine.plates import place_of, well_name


def normal(well: str) -> str:
    """One spelling for all: A01, a1 and A-01 are one well."""
    place = place_of(well)
    return well_name(place) if place else well


def in_order(well: str, site: str = "") -> tuple[object, ...]:
    """The key that sorts wells row by row, and sites by number."""
    place = place_of(well)
    number = int(site) if site.isdecimal() else -1
    return (place is None, place or (0, 0), well, number, site)
