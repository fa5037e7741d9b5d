"""One `.shoe` file: pack, open and verify, recheck the evidence, send only what changed."""

from shoestring.bundle.delta import make_delta
from shoestring.bundle.kind import is_bundle
from shoestring.bundle.opening import Bundle, open_bundle
from shoestring.bundle.packing import pack
from shoestring.bundle.patching import apply_delta
from shoestring.bundle.recheck import recheck_counts

__all__ = ["Bundle", "apply_delta", "is_bundle", "make_delta", "open_bundle", "pack", "recheck_counts"]
