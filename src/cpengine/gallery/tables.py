"""The LoadData tables and illumination functions of each plate."""

import re
from collections.abc import Collection, Iterator, Sequence

from cpengine import rules
from cpengine.config.steps import LOAD_DATA, WITH_ILLUM
from cpengine.errors import InputError
from cpengine.gallery.folders import empty, stray, unfit_names, unknown_plates
from cpengine.gallery.names import channel_of
from cpengine.gallery.table_heads import TableHead, of_head
from cpengine.gallery.tree import (
    ILLUM,
    IMAGES,
    TABLES,
    WORKSPACE,
    Files,
    GalleryBatch,
    more,
)
from cpengine.inputs.table_formats import ENDINGS, csv_name
from cpengine.rules import Finding
from cpengine.storage.parallel import each

_TABLE = re.compile(r"load_data.*")


def of_tables(batch: GalleryBatch) -> Iterator[Finding]:
    """What is wrong with a batch's tables and functions."""
    folder = (WORKSPACE, TABLES, batch.name)
    plates = {name: files for name, files in batch.tables.items() if name}
    yield from stray(batch.tree, batch.tables.get("", {}).keys(), *folder)
    yield from unfit_names(batch.tree, list(plates), *folder)
    yield from unknown_plates(batch, list(plates), *folder)
    for plate, files in plates.items():
        yield from _files(batch, plate, files)
    heads = _heads(batch, plates)
    for plate, found in heads:
        yield from found if isinstance(found, tuple) else of_head(found, batch, plate)
    yield from _functions(batch)
    channels: dict[str, set[str]] = {}
    for plate, found in heads:
        if isinstance(found, TableHead):
            channels.setdefault(plate, set()).update(found.channels)
    yield from _channels(batch, channels)


def _files(batch: GalleryBatch, plate: str, files: Files) -> Iterator[Finding]:
    """Which tables a plate has, by names."""
    tree, folder = batch.tree, (WORKSPACE, TABLES, batch.name, plate)
    yield from empty(tree, files, *folder)
    tables = {csv_name(name) for name in files if _is_table(name)}
    others = [name for name in files if not _is_table(name)]
    if others:
        yield rules.GALLERY_TABLE_OTHER.found(
            tree.url(*folder, others[0]),
            f"is no table of image sets{more(others)}",
            "remove it, or move it to where it belongs",
        )
    if not tables or tables == {WITH_ILLUM}:
        yield rules.GALLERY_TABLE_MISSING.found(
            tree.url(*folder, LOAD_DATA), "is not there", "add it"
        )
    if tables == {LOAD_DATA}:
        yield rules.GALLERY_TABLE_ILLUM.found(
            tree.url(*folder, WITH_ILLUM),
            "is not there",
            "run the illum step and make it, unless no pipeline takes functions",
        )


def _is_table(name: str) -> bool:
    return name.startswith("load_data") and name.endswith(ENDINGS) and "/" not in name


def _heads(
    batch: GalleryBatch, plates: Collection[str]
) -> list[tuple[str, TableHead | tuple[Finding, ...]]]:
    """The first rows of each table that is not empty, or what keeps them unread."""
    storage = batch.tree.storage
    named = [
        (plate, batch.tree.key(WORKSPACE, TABLES, batch.name, plate, name))
        for plate in plates
        for name, entry in batch.tables[plate].items()
        if entry.size and _is_table(name)
    ]

    def read(key: str) -> TableHead | tuple[Finding, ...]:
        try:
            return TableHead.read(storage, key)
        except InputError as error:
            return tuple(
                rules.GALLERY_TABLE_UNREADABLE.found(f.place, f.cause, f.cure)
                for f in error.findings
            )

    found = each(read, [key for _, key in named], storage.at_once())
    return [(plate, head) for (plate, _), head in zip(named, found, strict=True)]


def _functions(batch: GalleryBatch) -> Iterator[Finding]:
    """The names of illumination functions."""
    tree, folder = batch.tree, (IMAGES, batch.name, ILLUM)
    plates = {name: files for name, files in batch.illum.items() if name}
    yield from stray(tree, batch.illum.get("", {}).keys(), *folder)
    yield from unknown_plates(batch, list(plates), *folder)
    for plate, files in plates.items():
        yield from empty(tree, files, *folder, plate)
        others = [name for name in files if channel_of(plate, name) is None]
        if others:
            yield rules.GALLERY_ILLUM_NAME.found(
                tree.url(*folder, plate, others[0]),
                f"is no {plate}_IllumCHANNEL.npy{more(others)}",
                "rename it",
            )


def _channels(batch: GalleryBatch, wanted: dict[str, set[str]]) -> Iterator[Finding]:
    """Plates and channels without illumination functions."""
    for plate, channels in wanted.items():
        files = batch.illum.get(plate, {})
        there = {channel_of(plate, name) for name in files}
        without: Sequence[str] = sorted(channels - there)
        if without:
            what = f"of {without[0]}{more(without)}" if files else "at all"
            yield rules.GALLERY_ILLUM_MISSING.found(
                batch.tree.url(IMAGES, batch.name, ILLUM, plate),
                f"has no illumination function {what}",
                f"upload {plate}_Illum{without[0]}.npy and the like",
            )
