"""Notifications by apprise to what has no webhook: mail, Telegram, Matrix and others.

Addresses hold secrets, and apprise's log tells some: it is silenced.
"""

import logging
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cpengine.extras import extra

if TYPE_CHECKING:
    from apprise import NotifyBase


def knows(scheme: str) -> bool:
    """Whether apprise has a service of that name. Raises ExecutorError without it."""
    with extra("notify"):
        from apprise import manager_plugins
    return scheme in manager_plugins.NotificationManager()


def takes(url: str) -> bool:
    """Whether an address has all that its service needs."""
    return _service(url) is not None


def send(url: str, text: str) -> None:
    """Send a message; its first paragraph is the title, such as a mail's subject.

    Raises
    ------
    OSError
        It was not taken.
    """
    from apprise import NotifyFormat

    title, _, body = text.partition("\n\n")
    service = _service(url)
    if service is None or not service.notify(
        body=body, title=title, body_format=NotifyFormat.TEXT
    ):
        raise OSError(0, f"{urlsplit(url).scheme}:// has refused or not answered")


def _service(url: str) -> "NotifyBase | None":
    from apprise import Apprise

    logging.getLogger("apprise").disabled = True
    return Apprise.instantiate(url) or None
