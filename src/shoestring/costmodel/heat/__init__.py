"""Temperature, throttling and what a board keeps up when it is hot."""

from shoestring.costmodel.heat.sustained import Load, Outlook, outlook

__all__ = ["Load", "Outlook", "outlook"]
