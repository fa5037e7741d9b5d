"""The side that may die: a process that holds one rung (or the cascade) of a bundle and answers its parent's frames.

It opens the bundle that its parent has verified, by the descriptor that it was given, so that a file put in its place
meanwhile is not taken for it; it verifies it again, and replays the golden set before it says that it is ready.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.base.errors import BundleError, EngineError
from shoestring.bundle import open_bundle
from shoestring.device.player import Player
from shoestring.device.supervise.nouns import CASCADE
from shoestring.device.supervise.passing import pack
from shoestring.runtimes.guard_child import Desk, answer_all

if TYPE_CHECKING:
    import mmap

    from shoestring.runtimes.guard_tensors import TensorFile


def serve(channel: int, inputs: int, outputs: int, counter: int, parent: int) -> None:
    """Answer until the parent closes the channel; see `guard_child.serve`."""
    answer_all(RungDesk, channel, inputs, outputs, counter, parent)


class RungDesk(Desk):
    """One rung; arguments as of `Desk`."""

    def __init__(self, inputs: TensorFile, outputs: TensorFile, counter: mmap.mmap) -> None:
        super().__init__(inputs, outputs, counter)
        self._player: Player | None = None
        self._pixels = np.empty(0, np.uint8)
        self._names: list[str] = []

    def _do_load(self, request: dict[str, Any]) -> dict[str, Any]:
        with open_bundle(Path(f"/proc/self/fd/{request['file']}")) as bundle:
            if bundle.sha256 != request["sha256"]:
                raise BundleError(
                    f"the bundle changed while it was open: {bundle.sha256[:12]}, it was {request['sha256'][:12]}",
                    hint="start again with the bundle that shall run",
                )
            rung, threads = request["rung"], request["threads"]
            if rung == CASCADE:
                self._player = Player(bundle, cascade=True, threads=threads)
            else:
                self._player = Player(bundle, rung=rung, threads=threads, stages=True)
            spec = bundle.manifest.pixels
        self._pixels = np.zeros((spec.height, spec.width, spec.channels), np.uint8)
        self._names = [one.name for one in self._player.rungs]
        return {
            "golden": self._player.replayed,
            "frame_s": self._player.golden_s,
            "names": self._names,
            "count": self._player.outputs(self._pixels).values.size,
        }

    def _do_infer(self, request: dict[str, Any]) -> None:
        self._inputs.read_into(self._pixels)
        start = time.perf_counter()
        said = self._loaded().outputs(self._pixels)
        busy_s = time.perf_counter() - start
        self._outputs.write_from(pack(said, self._names.index(said.rung), busy_s))
        self._finished()

    def _do_nothing(self, request: dict[str, Any]) -> None:
        """A question that costs only the way: for who measures it, or wants to know whether anybody is there."""

    def _loaded(self) -> Player:
        if self._player is None:
            raise EngineError("no rung is loaded")
        return self._player


__all__ = ["RungDesk", "serve"]
