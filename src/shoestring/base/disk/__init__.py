"""The one package that writes to disk, so that kill -9 and a power cut leave the old state or the new one.

What has returned stays. The pieces: `kernel` (the seam of system calls), `whole` (files that appear whole or not),
`lines` (files that grow), `filling` (files of closed processes), `naming` (renames, removals, directories), `locking`
(one process at a time), `refusal` (our error), `stream`. docs/durability.md says what is promised, and how that is
proved.
"""

from shoestring.base.disk.filling import fill, fill_from
from shoestring.base.disk.lines import append_bytes
from shoestring.base.disk.locking import locked
from shoestring.base.disk.naming import make_directory, put_aside, remove, replace
from shoestring.base.disk.refusal import storage_errors
from shoestring.base.disk.whole import atomic_file, copy, sweep, write_bytes, write_text

__all__ = [
    "append_bytes",
    "atomic_file",
    "copy",
    "fill",
    "fill_from",
    "locked",
    "make_directory",
    "put_aside",
    "remove",
    "replace",
    "storage_errors",
    "sweep",
    "write_bytes",
    "write_text",
]
