"""The browser for the live page, and servers in processes of their own."""

from browser import browser
from serving import serve

__all__ = ["browser", "serve"]
