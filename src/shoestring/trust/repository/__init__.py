"""The device's client of a signed repository: which bundle it shall run, and its bytes, or the rule that was broken.

The protocol is The Update Framework (specification 1.0.34), its checks are python-tuf's. Ours are the ways in and out:
what reads the network or a stick, what writes the disk, what time it is, and what is refused unread.
"""

from shoestring.trust.repository.client import Repository
from shoestring.trust.repository.store import Trusted

__all__ = ["Repository", "Trusted"]
