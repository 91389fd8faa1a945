"""Images of files for `bench.py`, which runs this beside it in CellProfiler's Python.

A case has `files`, a list of what is asked for one after another:

    {"path": ..., "url": null, "name": "DNA", "rescale": true, "series": null,
     "index": null, "channel": null, "md5": true, "again": false, "copy": ...}

`copy` is a file that takes the place of the one of `path` first. Where there is a
`url`, an image of it is asked for as NamesAndTypes does, otherwise one of a path as
LoadData does. Bio-Formats' readers stay open from one to the next.
"""

from __future__ import annotations

import functools
import os
import shutil


@functools.lru_cache(maxsize=1)
def start_java():
    from cellprofiler_core.utilities.java import start_java

    # Broken files ask for any amount of it.
    os.environ.setdefault("JAVA_TOOL_OPTIONS", "-Xmx512m")
    start_java()


class Reading:
    """Asks for files where the bench runs a module."""

    show_window = False

    def __init__(self, files):
        self.files = files
        start_java()

    def run(self, workspace):
        from bioformats import formatreader

        found = workspace.measurements.recorded
        for number, file in enumerate(self.files):
            if "copy" in file:
                shutil.copyfile(file["copy"], file["path"])
            for name, value in results(file):
                found[f"{number} {file['path']}", name] = value
        formatreader.clear_image_reader_cache()


def provider(file):
    from cellprofiler_core.image.abstract_image.file import FileImage
    from cellprofiler_core.image.abstract_image.file.url import URLImage

    planes = {key: file.get(key) for key in ("series", "index", "channel")}
    options = dict(rescale=file.get("rescale", True), **planes)
    name = file.get("name", "DNA")
    if file.get("url"):
        return URLImage(name, file["url"], **options)
    return FileImage(name, *os.path.split(file["path"]), **options)


def results(file):
    """What an image of a file has, or its error, by name."""
    try:
        image_file = provider(file)
        image = image_file.provide_image(None)
        yield "pixels", image.pixel_data
        yield "writeable", image.pixel_data.flags.writeable
        yield "strides", image.pixel_data.strides
        yield "scale", repr((image.scale, image_file.scale, image.has_mask))
        yield "mask", image.mask
        names = (image.path_name, image.file_name, image_file.get_full_name())
        yield "names", str((*names, image.channel_names, image.channelstack))
        if file.get("md5", True):
            yield "md5", image_file.get_md5_hash(None)
        if file.get("again"):
            yield "again", image_file.provide_image(object()).pixel_data
        image_file.release_memory()
    except Exception as error:
        yield "error", type(error).__name__ + ": " + str(error)
