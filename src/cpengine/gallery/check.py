"""All that is looked at of a project or a source, from the top."""

import posixpath
from collections.abc import Collection, Iterator
from functools import partial

from cpengine import rules
from cpengine.errors import InputError
from cpengine.gallery import folders, metadata, results, tables
from cpengine.gallery.names import is_numbered, is_project
from cpengine.gallery.tree import IMAGES, WORKSPACE, GalleryBatch, SourceTree
from cpengine.rules import Finding
from cpengine.storage.store import Storage

_PARTS = {IMAGES, WORKSPACE, "workspace_dl"}


def check(
    storage: Storage, place: str = "", batches: Collection[str] = ()
) -> Iterator[Finding]:
    """Hold a project, or a source of it, against the Gallery's structure.

    Parameters
    ----------
    place
        The folder of the project (`cpg0016-jump`), or of a source below it.
    batches
        Those to look at; all if empty.

    Raises
    ------
    InputError
        It is neither, or has no such batch.
    StorageError
        It cannot be listed.
    """
    url = storage.url(place).rstrip("/")
    above, name = posixpath.split(url)
    parts, _ = storage.contents(place)
    make = partial(SourceTree, storage, wanted=frozenset(batches))
    if is_numbered(name):
        yield from _of_project(url, name, parts)
        if not _PARTS.isdisjoint(parts):
            parts, sources = [], [make(place, name, "")]
        else:
            sources = [make(posixpath.join(place, s), name, s) for s in parts]
    elif _PARTS.isdisjoint(parts):
        raise InputError(
            f"{url}: is neither a project (cpg and a number) nor a source with images "
            "and workspace: name one"
        )
    else:
        project = posixpath.basename(above)
        yield from _of_project(above, project, ())
        sources = [make(place, project, name)]
    _check_batches(sources, batches, url)
    for source in sources:
        yield from _of_source(source)


def _of_project(url: str, name: str, parts: Collection[str]) -> Iterator[Finding]:
    if not is_project(name):
        yield rules.GALLERY_PROJECT_NAME.found(
            url,
            "is not cpg, four digits, and a tag in small letters",
            "name it as the Gallery's maintainers say, such as cpg0016-jump",
        )
    if not _PARTS.isdisjoint(parts):
        yield rules.GALLERY_NO_SOURCE.found(
            url,
            "has images or workspace, and no folder of an institution around them",
            "move them into one, also if there is just one",
        )


def _check_batches(
    sources: Collection[SourceTree], batches: Collection[str], url: str
) -> None:
    there = {name for source in sources for name in source.batches(IMAGES)}
    there |= {
        name
        for source in sources
        for name in source.batches(WORKSPACE, "load_data_csv")
    }
    missing = set(batches) - there
    if missing:
        raise InputError(
            f"{url}: has no batch {', '.join(sorted(missing))}: correct --batch"
        )


def _of_source(tree: SourceTree) -> Iterator[Finding]:
    yield from folders.of_source(tree)
    yield from folders.stray(tree, tree.contents(IMAGES).files, IMAGES)
    yield from folders.of_workspace_batches(tree)
    batches = [GalleryBatch(tree, name) for name in tree.batches(IMAGES)]
    for batch in batches:
        yield from folders.of_batch(batch)
        yield from tables.of_tables(batch)
        yield from folders.of_plates(batch)
        yield from results.of_results(batch)
    yield from metadata.of_metadata(tree, batches)
    yield from results.of_segmentation(tree)
