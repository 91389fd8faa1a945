"""Files of object stores, which appear whole or not at all."""

import errno
from typing import TYPE_CHECKING

from fsspec.core import split_protocol

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


def replace(files: "AbstractFileSystem", url: str, old: bytes, new: bytes) -> bool:
    """Write a remote file if it holds something still, by a conditional put on S3."""
    try:
        tag = files.info(url).get("ETag")  # first: what is read is of it, or later
        if files.cat_file(url) != old:
            return False
        files.pipe_file(url, new, **({"IfMatch": tag} if tag else {}))
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno != errno.EINVAL:  # that is "precondition failed"
            raise
        written: bool = files.cat_file(url) == new  # and the answer was lost
        return written
    return True


def about(url: str) -> dict[str, str]:
    """What an object store should say of a page, so that browsers show it."""
    page = url.endswith(".html") and split_protocol(url)[0] in ("s3", "s3a")
    return {"ContentType": "text/html; charset=utf-8"} if page else {}
