"""Which folders must be there, which may be, and what they are called."""

from collections.abc import Collection, Iterator

from cpengine import rules
from cpengine.gallery.names import full_names, is_dated, is_plain
from cpengine.gallery.tree import (
    ILLUM,
    IMAGES,
    METADATA,
    TABLES,
    WORKSPACE,
    Files,
    GalleryBatch,
    SourceTree,
    more,
)
from cpengine.rules import Finding
from cpengine.wording import did_you_mean

_TOP = (IMAGES, WORKSPACE, "workspace_dl")
RESULTS = ("analysis", "backend", "profiles")
_IN_WORKSPACE = (
    *(*RESULTS, TABLES, METADATA, "metadata_harmonized", "profiles_assembled"),
    *("assaydev", "embeddings", "pipelines", "publication_data", "qc"),
    *("quality_control", "segmentation", "software", "batchfiles", "montage", "report"),
)
"""What the Gallery names, and what cpengine makes; others are free."""
_ALIKE = 0.8
"""So alike is a name to that of another folder that it is meant for it."""


def of_source(tree: SourceTree) -> Iterator[Finding]:
    """What is wrong with the folders of a source, and with what lies in workspace."""
    there = tree.contents()
    if tree.source and not is_plain(tree.source):
        yield _unfit(tree.url())
    yield from stray(tree, there.files)
    for name in there.folders:
        if name not in _TOP:
            cure = did_you_mean(name, _TOP) or "move it into workspace"
            yield rules.GALLERY_UNKNOWN_FOLDER.found(
                tree.url(name), "is neither images nor workspace", cure
            )
    yield from _missing(tree)
    workspace = tree.contents(WORKSPACE)
    yield from stray(tree, workspace.files, WORKSPACE)
    for name in workspace.folders:
        hint = did_you_mean(name, _IN_WORKSPACE, cutoff=_ALIKE)
        if hint and name not in _IN_WORKSPACE:
            yield rules.GALLERY_UNKNOWN_FOLDER.found(
                tree.url(WORKSPACE, name), "is nearly a folder of the structure", hint
            )


def _missing(tree: SourceTree) -> Iterator[Finding]:
    workspace = tree.contents(WORKSPACE).folders
    missing = [] if IMAGES in tree.contents().folders else [tree.url(IMAGES)]
    required = (TABLES, METADATA)
    missing += [tree.url(WORKSPACE, n) for n in required if n not in workspace]
    for place in missing:
        yield rules.GALLERY_FOLDER_MISSING.found(
            place, "is not there", "add it: every data set must have it"
        )
    without = [name for name in RESULTS if name not in workspace]
    if without and WORKSPACE in tree.contents().folders:
        yield rules.GALLERY_RESULTS_MISSING.found(
            tree.url(WORKSPACE),
            f"has no {', '.join(without)}",
            "add them, unless images and metadata are all that is given",
        )


def of_batch(batch: GalleryBatch) -> Iterator[Finding]:
    """What is wrong with a batch's folder in images."""
    tree, name = batch.tree, batch.name
    there = tree.contents(IMAGES, name)
    yield from stray(tree, there.files, IMAGES, name)
    yield from unfit_names(tree, [name], IMAGES)
    if not is_dated(name):
        yield rules.GALLERY_BATCH_NAME.found(
            tree.url(IMAGES, name),
            "does not begin with a date",
            "name it YYYY_MM_DD_ and what it is, in images and workspace",
        )
    for folder in there.folders:
        if folder not in (ILLUM, IMAGES) and not folder.startswith(f"{IMAGES}_"):
            hint = did_you_mean(folder, (ILLUM, IMAGES))
            yield rules.GALLERY_UNKNOWN_FOLDER.found(
                tree.url(IMAGES, name, folder),
                "is neither illum, images nor images_ and what was done to them",
                hint or "rename it",
            )
    if not batch.full:
        yield rules.GALLERY_BATCH_IMAGES.found(
            tree.url(IMAGES, name, IMAGES),
            "has no folder of a plate",
            "put the plates there, as they came off the microscope",
        )
    yield from unfit_names(tree, batch.full, IMAGES, name, IMAGES)
    yield from stray(
        tree, tree.contents(IMAGES, name, IMAGES).files, IMAGES, name, IMAGES
    )


def of_workspace_batches(tree: SourceTree) -> Iterator[Finding]:
    """Batches that are not everywhere where they must be."""
    imaged = tree.batches(IMAGES)
    there = tree.contents(WORKSPACE).folders
    for kind in (name for name in (TABLES, *RESULTS) if name in there):
        yield from stray(tree, tree.contents(WORKSPACE, kind).files, WORKSPACE, kind)
        for name in tree.batches(WORKSPACE, kind):
            if imaged and name not in imaged:
                hint = did_you_mean(name, imaged, form="{} ")
                yield rules.GALLERY_BATCH_UNKNOWN.found(
                    tree.url(WORKSPACE, kind, name),
                    "is no batch of images",
                    f"{hint}give it the same name everywhere",
                )
    tabled = tree.batches(WORKSPACE, TABLES) if TABLES in there else imaged
    for name in imaged:
        if name not in tabled:
            yield rules.GALLERY_BATCH_TABLES.found(
                tree.url(WORKSPACE, TABLES, name),
                "is not there, and images has the batch",
                "add the LoadData tables of its plates",
            )


def of_plates(batch: GalleryBatch) -> Iterator[Finding]:
    """Plates of images without tables."""
    named = {f for p in batch.tables for f in full_names(p, batch.full)}
    without = [plate for plate in batch.full if plate not in named]
    if without and batch.tables:
        yield rules.GALLERY_PLATE_TABLES.found(
            batch.tree.url(IMAGES, batch.name, IMAGES, without[0]),
            f"has no folder of tables{more(without)}",
            f"add workspace/load_data_csv/{batch.name}/PLATE/load_data.csv",
        )


def unknown_plates(
    batch: GalleryBatch, names: Collection[str], *folder: str
) -> Iterator[Finding]:
    """Folders of plates that belong to no folder of images, or to several."""
    for name in names if batch.full else ():
        place, full = batch.tree.url(*folder, name), full_names(name, batch.full)
        if not full:
            hint = did_you_mean(name, batch.full, form="{} ")
            yield rules.GALLERY_PLATE_UNKNOWN.found(
                place,
                f"is no plate of images/{batch.name}/images",
                f"{hint}name it as its folder of images, or as what that begins with",
            )
        elif len(full) > 1:
            yield rules.GALLERY_PLATE_AMBIGUOUS.found(
                place,
                f"fits {' and '.join(full[:2])}",
                "name it by more of its folder of images",
            )


def unfit_names(
    tree: SourceTree, names: Collection[str], *folder: str
) -> Iterator[Finding]:
    """Folders whose names have signs that commands and addresses break at."""
    for name in names:
        if not is_plain(name):
            yield _unfit(tree.url(*folder, name))


def _unfit(place: str) -> Finding:
    return rules.GALLERY_NAME.found(
        place,
        "has a blank or another sign than letters, digits, _ and -",
        "rename it, and what names it in tables",
    )


def stray(tree: SourceTree, files: Collection[str], *folder: str) -> Iterator[Finding]:
    """Files where there should be folders alone."""
    if files:
        yield rules.GALLERY_STRAY_FILE.found(
            tree.url(*folder, sorted(files)[0]),
            f"lies where folders are alone{more(files)}",
            "remove it, or move it to where it belongs",
        )


def empty(tree: SourceTree, files: Files, *folder: str) -> Iterator[Finding]:
    """Files of 0 bytes."""
    found = [name for name, entry in files.items() if not entry.size]
    if found:
        yield rules.GALLERY_EMPTY_FILE.found(
            tree.url(*folder, found[0]),
            f"is empty (0 bytes){more(found)}",
            "upload it again",
        )
