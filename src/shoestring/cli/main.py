"""`shoestring VERB ...`. Data go to stdout, words and progress to stderr; exit codes are those of the error tree."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from shoestring._version import __version__

VERBS = {
    "fit": "compress a model for a chip and prove what it costs and loses",
    "import": "read a model in another format and write it as ONNX",
    "inspect": "say what a model or a bundle holds",
    "doctor": "name the known diseases of a model, with evidence and cure",
    "run": "answer images, a video or a camera with a bundle",
    "serve": "serve a bundle over HTTP, with a live page",
    "chat": "talk with a bundle that writes, in the terminal",
    "slots": "show or change which bundle of a device is active",
    "install-service": "write a systemd unit that keeps a run or a server going",
    "simulate": "run a bundle's ladder under the governor on a simulated board",
    "sensors": "show what this board tells of its heat, power and memory",
    "explain": "say what the governor did and why, and check its journal",
    "bench": "measure a model or a bundle on this machine",
    "probe": "measure this machine: a chip file and rows for predictions",
    "distill": "train a smaller student of a model that meets a latency",
    "predict": "say what a model would cost on a chip that is not at hand",
    "prove": "re-score a rung on another board's instruction set, and keep it in the bundle",
    "chips": "list the chips we know, or show one with the source of every figure",
    "legalise": "make a model legal for a chip's accelerator, and say where it would run",
    "compile": "turn a model into native code: a library, a program or C",
    "convert": "write a model in the format of another runtime, with the same scales",
    "keygen": "make a key pair to sign bundles with",
    "sign": "sign a bundle, or take its signatures off",
    "verify": "check every byte of a bundle, and who signed it",
    "delta": "write what changed between two bundles, to send instead of the whole new one",
    "patch": "make the new bundle from the old one and a delta",
    "bom": "print a bundle's bill of materials (CycloneDX, with model cards)",
    "device-key": "make the secret by which a device reads bundles encrypted to it",
    "encrypt": "encrypt a bundle so that only the devices named can read it",
    "decrypt": "decrypt a bundle that was encrypted to this device",
    "agent": "follow a fleet's repository: fetch, activate on trial, and tell",
    "fleet": "publish bundles to many devices in waves, and read what they report",
    "report": "write one HTML page about a bundle",
}
INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class _Parser(argparse.ArgumentParser):
    """Usage errors exit with 2, and say how to see the help."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\n  hint: {self.prog} --help\n")


def build_parser(verb: str | None) -> argparse.ArgumentParser:
    """The parser; only the verb in use is filled in, so that starting stays fast."""
    parser = _Parser(
        prog="shoestring",
        description="The best model a cheap chip can run: compressed, measured, certified, in one file.",
        epilog="example:\n  shoestring fit model.onnx --data photos/ --max-drop 1pt -o camera.shoe",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"shoestring {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=_Parser)
    for name, words in VERBS.items():
        inner = verbs.add_parser(name, help=words, formatter_class=argparse.RawDescriptionHelpFormatter)
        if name == verb:
            module = _module(name)
            inner.description = module.__doc__
            module.fill(inner)
            inner.add_argument("--json", action="store_true", help="print data as JSON on stdout")
            inner.epilog = f"example:\n  {module.EXAMPLE}"
    return parser


def _module(verb: str) -> ModuleType:
    return importlib.import_module(f"shoestring.cli.{verb.replace('-', '_')}_verb")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    verb = next((word for word in words if word in VERBS), None)
    arguments = build_parser(verb).parse_args(words)
    module = _module(arguments.verb)
    from shoestring.base.errors import ShoestringError
    from shoestring.cli import console

    try:
        code: int = module.run(arguments)
        sys.stdout.flush()
        return code
    except ShoestringError as error:
        console.show_error(error, as_json=arguments.json)
        return error.exit_code
    except KeyboardInterrupt:
        console.say("interrupted; finished steps are kept, and the same command goes on from there")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read us has gone: not an error
        return 0


if __name__ == "__main__":
    sys.exit(main())
