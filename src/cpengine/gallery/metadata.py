"""What is in the wells: the platemaps of each batch."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence

from cpengine import rules
from cpengine.errors import InputError
from cpengine.gallery.folders import empty
from cpengine.gallery.names import full_names
from cpengine.gallery.tree import (
    METADATA,
    WORKSPACE,
    Files,
    GalleryBatch,
    SourceTree,
    more,
)
from cpengine.rules import Finding

BARCODES, MAPS = "barcode_platemap.csv", "platemap"
_BARCODE_COLUMNS = ("Assay_Plate_Barcode", "Plate_Map_Name")
_MAP_COLUMNS = ("plate_map_name", "well_position")
_POOLED = "Barcodes.csv"


def of_metadata(tree: SourceTree, batches: Sequence[GalleryBatch]) -> Iterator[Finding]:
    """What is wrong with the metadata of all batches: listed once."""
    files = tree.files(WORKSPACE, METADATA)
    yield from empty(tree, files, WORKSPACE, METADATA)
    for batch in batches if files else ():
        if f"{batch.name}/{_POOLED}" not in files:
            yield from _of_batch(batch, files)


def _of_batch(batch: GalleryBatch, files: Files) -> Iterator[Finding]:
    key = f"platemaps/{batch.name}/{BARCODES}"
    place = batch.tree.url(WORKSPACE, METADATA, key)
    if key not in files:
        yield rules.GALLERY_PLATEMAP_MISSING.found(
            place, "is not there", "add it, or for a pooled experiment Barcodes.csv"
        )
        return
    if not files[key].size:
        return
    header, rows = _read(batch.tree, key, ",")
    without = [name for name in _BARCODE_COLUMNS if name not in header]
    if without:
        yield rules.GALLERY_PLATEMAP_COLUMNS.found(
            f"{place}:1", f"has no column {without[0]}", "name the column so"
        )
        return
    maps = {row[_BARCODE_COLUMNS[0]]: row[_BARCODE_COLUMNS[1]] for row in rows}
    yield from _plates(batch, maps, place)
    for name in dict.fromkeys(maps.values()):
        yield from _of_map(batch, files, name)


def _plates(
    batch: GalleryBatch, maps: Mapping[str, str], place: str
) -> Iterator[Finding]:
    """Plates without a row, by the name in tables or as images have it."""
    without = [
        plate
        for plate in batch.plates
        if maps.keys().isdisjoint({plate, *full_names(plate, batch.full)})
    ]
    if without:
        yield rules.GALLERY_PLATEMAP_PLATES.found(
            place, f"has no row for {without[0]}{more(without)}", "add it"
        )


def _of_map(batch: GalleryBatch, files: Files, name: str) -> Iterator[Finding]:
    """One platemap that is named."""
    key = f"platemaps/{batch.name}/{MAPS}/{name}.txt"
    place = batch.tree.url(WORKSPACE, METADATA, key)
    if key not in files:
        yield rules.GALLERY_PLATEMAP_MISSING.found(
            place, f"is not there, and {BARCODES} names it", "add it"
        )
        return
    header, rows = _read(batch.tree, key, "\t")
    without = [column for column in _MAP_COLUMNS if column not in header]
    if without:
        yield rules.GALLERY_PLATEMAP_COLUMNS.found(
            f"{place}:1",
            f"has no column {without[0]}",
            "name the columns so, with tabs between",
        )
    elif others := {row["plate_map_name"] or "" for row in rows} - {name}:
        yield rules.GALLERY_PLATEMAP_NAME.found(
            f"{place}:plate_map_name",
            f"is {min(others)!r}, and its file is {name}.txt",
            "write the file's name",
        )


def _read(
    tree: SourceTree, key: str, separator: str
) -> tuple[Sequence[str], list[dict[str, str]]]:
    """The columns and rows of a small table; none if it is no text."""
    try:
        text = tree.storage.read_text(tree.key(WORKSPACE, METADATA, key))
        reader = csv.DictReader(io.StringIO(text), delimiter=separator, restval="")
        rows = list(reader)
    except (InputError, csv.Error):
        return (), []
    return reader.fieldnames or (), rows
