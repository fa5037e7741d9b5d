"""One `.shoe` file: pack, open and verify, recheck the evidence. Deltas between two are in `delta` and `patching`."""

from shoestring.bundle.kind import is_bundle
from shoestring.bundle.opening import Bundle, open_bundle
from shoestring.bundle.packing import pack
from shoestring.bundle.recheck import recheck_counts

__all__ = ["Bundle", "is_bundle", "open_bundle", "pack", "recheck_counts"]
