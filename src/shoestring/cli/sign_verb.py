"""Sign a bundle. Signatures lie inside the file; those that it has stay, so several people may sign one."""

from __future__ import annotations

import argparse
from pathlib import Path

from shoestring.cli.trust_options import add_passphrase

EXAMPLE = "shoestring sign camera.shoe --key ada.key"


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path)
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument(
        "--key", type=Path, action="append", metavar="KEY", help="private key, as keygen writes it; repeatable"
    )
    group.add_argument("--strip", action="store_true", help="take every signature off")
    parser.add_argument("-o", "--out", type=Path, metavar="OUT", help="bundle to write (default: the same file)")
    add_passphrase(parser)


def run(arguments: argparse.Namespace) -> int:
    from shoestring.bundle.signing import sign_bundle, strip_signatures
    from shoestring.cli import console
    from shoestring.cli.trust_options import passphrase_for
    from shoestring.trust.key_files import load_private_key

    out = arguments.bundle if arguments.out is None else arguments.out
    if arguments.strip:
        done = strip_signatures(arguments.bundle, out)
    else:
        keys = [load_private_key(path, passphrase_for(arguments, path)) for path in arguments.key]
        done = sign_bundle(arguments.bundle, keys, out)
    if arguments.json:
        console.show_json({"bundle": out, "sha256": done.sha256, "signatures": done.key_ids})
        return 0
    for key_id in done.key_ids:
        print(f"signed by {key_id}")
    console.say(f"wrote {out}{'' if done.key_ids else ', which is not signed'}; its SHA-256 is {done.sha256}")
    return 0
