"""Make a pair of keys of Ed25519: KEY, which signs and stays with you, and KEY.pub, which you give to others.

KEY is under a passphrase and readable by its owner alone. Nothing is ever overwritten. There is no way back to a lost
passphrase: keep both in a safe place.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from shoestring.cli.trust_options import add_passphrase

EXAMPLE = 'shoestring keygen -o ada.key --name "Ada, release desk"'


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="KEY", help="private key to write")
    parser.add_argument("--name", default="", metavar="WHO", help="whose it is, for people")
    add_passphrase(parser)
    parser.add_argument("--no-passphrase", action="store_true", help="keep it in the open, to sign unattended")


def run(arguments: argparse.Namespace) -> int:
    from shoestring.base.errors import UsageError
    from shoestring.cli import console
    from shoestring.cli.trust_options import passphrase
    from shoestring.trust.key_files import check_free, save_key_pair
    from shoestring.trust.keys import generate

    if arguments.no_passphrase and arguments.passphrase_file is not None:
        raise UsageError("--no-passphrase and --passphrase-file at once", hint="leave one of them out")
    check_free(arguments.out)  # before anybody thinks of a passphrase
    word = None if arguments.no_passphrase else passphrase(arguments, str(arguments.out), twice=True)
    key = generate(arguments.name)
    public = save_key_pair(arguments.out, key, word)
    if arguments.json:
        console.show_json({"private": arguments.out, "public": public, "key_id": key.public.key_id})
    else:
        print(f"key id {key.public.key_id}")
        console.say(f"wrote {arguments.out}, which is yours alone, and {public}, which others may have")
    if arguments.no_passphrase:
        console.say(f"warning: {arguments.out} has no passphrase: whoever reads the file signs in your name")
    return 0
