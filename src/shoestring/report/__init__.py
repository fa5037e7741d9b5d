"""Pages for people: what a bundle holds, what it costs and what is proven about it."""

from shoestring.report.page import render

__all__ = ["render"]
