"""The browser for the pages."""

from browser import browser

__all__ = ["browser"]
