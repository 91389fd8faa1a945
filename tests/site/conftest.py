"""The site is looked at with a real browser."""

from tests.services.browser import browser, chromium

__all__ = ["browser", "chromium"]
