"""From the page to outputs and logs: relative where both are on one place."""

import os
import posixpath
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from cpengine.storage.store import Storage


class PageLink(NamedTuple):
    """A page in the row of links that each page begins with."""

    label: str
    href: str
    current: bool = False


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses as a page can name them.

    Parameters
    ----------
    page
        Where the page will be: a key of the storage, or a local file's path.
    """

    storage: Storage
    page: str | Path

    def to(self, key: str) -> str:
        """The address of a key, percent-encoded; the full one if it is elsewhere."""
        url = self.storage.url(key)
        page = str(self.page) if isinstance(self.page, Path) else self._url
        if self.storage.is_local(key) and "://" not in page:
            return quote(_relative(os.path.abspath(url), os.path.abspath(page)))
        root = self.storage.root
        if not isinstance(self.page, Path) and url.startswith(f"{root}/"):
            return quote(_relative(url, page))
        return quote(url, safe="/:")

    @property
    def _url(self) -> str:
        return self.storage.url(str(self.page))


def _relative(url: str, page: str) -> str:
    return posixpath.relpath(url, posixpath.dirname(page))
