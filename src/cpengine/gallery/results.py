"""What CellProfiler and what came after it have made: analysis, backend, profiles."""

from collections.abc import Iterator, Mapping, Sequence

from cpengine import rules
from cpengine.gallery.folders import empty, stray, unknown_plates
from cpengine.gallery.names import is_site
from cpengine.gallery.tree import (
    WORKSPACE,
    Files,
    GalleryBatch,
    SourceTree,
    by_folder,
    more,
)
from cpengine.rules import Finding
from cpengine.storage.parallel import each

ANALYSIS, BACKEND, PROFILES = "analysis", "backend", "profiles"
_IMAGE = "Image.csv"
_COLLATED = ((".sqlite", ".parquet"), (".csv", ".csv.gz", ".parquet"))
"""What a plate of backend has, each in one of these forms."""


def of_results(batch: GalleryBatch) -> Iterator[Finding]:
    """What is wrong with the results of a batch."""
    tree = batch.tree
    there = tree.contents(WORKSPACE).folders
    if ANALYSIS in there:
        yield from _of_analysis(batch)
    for kind, check in ((BACKEND, _collated), (PROFILES, _profiles)):
        files = by_folder(
            tree.files(WORKSPACE, kind, batch.name) if kind in there else {}
        )
        folder = (WORKSPACE, kind, batch.name)
        yield from stray(tree, files.pop("", {}).keys(), *folder)
        yield from unknown_plates(batch, files, *folder)
        for plate, of_plate in files.items():
            yield from empty(tree, of_plate, *folder, plate)
            yield from check(batch, plate, of_plate)


def _of_analysis(batch: GalleryBatch) -> Iterator[Finding]:
    """Plates of analysis, each of which has one folder of that name again."""
    tree, folder = batch.tree, (WORKSPACE, ANALYSIS, batch.name)
    plates = tree.contents(*folder)
    yield from stray(tree, plates.files, *folder)
    yield from unknown_plates(batch, plates.folders, *folder)

    def found(plate: str) -> list[Finding]:
        return list(_of_plate(tree, plate, *folder, plate))

    for findings in each(found, plates.folders, tree.storage.at_once()):
        yield from findings


def _of_plate(tree: SourceTree, plate: str, *folder: str) -> Iterator[Finding]:
    there = tree.contents(*folder)
    others = [*(n for n in there.folders if n != ANALYSIS), *sorted(there.files)]
    if others or not there.folders:
        has = f"has {others[0]}{more(others)}" if others else "is empty"
        yield rules.GALLERY_ANALYSIS_NESTING.found(
            tree.url(*folder),
            f"{has} beside or in place of the folder analysis",
            "put the folders of sites into analysis below the plate",
        )
    files = tree.files(*folder, ANALYSIS)
    yield from empty(tree, files, *folder, ANALYSIS)
    sites = by_folder(files)
    yield from stray(tree, sites.pop("", {}).keys(), *folder, ANALYSIS)
    unfit = [site for site in sites if not is_site(plate, site)]
    if unfit:
        yield rules.GALLERY_ANALYSIS_SITE.found(
            tree.url(*folder, ANALYSIS, unfit[0]),
            f"is not named {plate}-WELL-SITE{more(unfit)}",
            "rename it",
        )
    yield from _incomplete(tree, sites, *folder, ANALYSIS)


def _incomplete(
    tree: SourceTree, sites: Mapping[str, Files], *folder: str
) -> Iterator[Finding]:
    """Sites without a table that others of the plate have; each table once."""
    made = {name for files in sites.values() for name in files if _is_table(name)}
    for table in sorted(made | {_IMAGE}):
        without = [site for site, files in sites.items() if table not in files]
        if without:
            yield rules.GALLERY_ANALYSIS_TABLES.found(
                tree.url(*folder, without[0]),
                f"has no {table}{more(without)}",
                "run the site again, and upload its folder",
            )


def _is_table(name: str) -> bool:
    return name.endswith(".csv") and "/" not in name


def _collated(batch: GalleryBatch, plate: str, files: Files) -> Iterator[Finding]:
    without = [
        f"{plate}{endings[0]}"
        for endings in _COLLATED
        if not any(f"{plate}{ending}" in files for ending in endings)
    ]
    if without:
        yield rules.GALLERY_BACKEND_FILES.found(
            batch.tree.url(WORKSPACE, BACKEND, batch.name, plate),
            f"has no {' and no '.join(without)}",
            "add what collating has made",
        )


def _profiles(batch: GalleryBatch, plate: str, files: Files) -> Iterator[Finding]:
    place = batch.tree.url(WORKSPACE, PROFILES, batch.name, plate)
    if not {f"{plate}.csv.gz", f"{plate}.parquet"} & files.keys():
        yield rules.GALLERY_PROFILES_FILES.found(
            place, f"has no {plate}.csv.gz", "add what the profiling recipe has made"
        )
    plain: Sequence[str] = [name for name in files if name.endswith(".csv")]
    if plain:
        yield rules.GALLERY_PROFILES_FILES.found(
            f"{place}/{plain[0]}", f"is not compressed{more(plain)}", "gzip it"
        )


def of_segmentation(tree: SourceTree) -> Iterator[Finding]:
    """Segmentations, each of which says what model it is of."""
    if "segmentation" not in tree.contents(WORKSPACE).folders:
        return
    for name in tree.contents(WORKSPACE, "segmentation").folders:
        folder = (WORKSPACE, "segmentation", name, "model")
        if "README.md" not in tree.contents(*folder).files:
            yield rules.GALLERY_SEGMENTATION.found(
                tree.url(*folder, "README.md"),
                "is not there",
                "describe the model, and where to get it",
            )
