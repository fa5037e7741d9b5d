"""The command for the Jetson: flags of that version, and a workspace that the memory has room for."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from shoestring.base.errors import UsageError
from shoestring.chips.loading import chip_named
from shoestring.legalise.trtexec import CONTEXT_BYTES, COPIES, MIB, MOST_MIB, build_command, workspace_mib

NANO = chip_named("jetson-nano-4gb")
FLAGS_OF_8_2 = {"--onnx", "--fp16", "--workspace", "--timingCacheFile", "--saveEngine", "--buildOnly"}
"""github:NVIDIA/TensorRT samples/common/sampleOptions.cpp 8.2.1; --memPoolSize and --layerPrecisions came with 8.4."""


def test_the_command_is_whole_and_every_part_has_a_reason() -> None:
    build = build_command(NANO, Path("/home/me/camera.onnx"), 14_000_000, 20_000_000, half=True)
    words = shlex.split(build.command)
    assert words[0].endswith("trtexec") and {word.partition("=")[0] for word in words[1:]} == FLAGS_OF_8_2
    assert "--onnx=camera.onnx" in words and "--timingCacheFile=camera.cache" in words
    assert "--saveEngine=camera.engine" in words and f"--workspace={build.workspace_mib}" in words
    assert all(flag.why for flag in build.flags)


def test_without_fp16_where_it_cannot_hold_the_model() -> None:
    build = build_command(NANO, Path("camera.onnx"), 14_000_000, 20_000_000, half=False)
    assert "--fp16" not in build.command


@pytest.mark.parametrize("weights", [4_000_000, 250_000_000, 600_000_000])
def test_the_workspace_leaves_room_for_everything_else(weights: int) -> None:
    assert NANO.usable is not None and NANO.memory is not None
    space = workspace_mib(NANO, weights, 50_000_000)
    assert space <= MOST_MIB and NANO.usable.value < NANO.memory.value
    assert space * MIB + CONTEXT_BYTES + COPIES * weights + 50_000_000 <= NANO.usable.value


def test_larger_models_get_less() -> None:
    sizes = [workspace_mib(NANO, weights, 0) for weights in (0, 400_000_000, 800_000_000)]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > sizes[2]


def test_what_cannot_be_built_there_is_said() -> None:
    with pytest.raises(UsageError, match="leaves 0 MiB"):
        workspace_mib(NANO, 2_000_000_000, 0)
    with pytest.raises(UsageError, match="does not say"):
        workspace_mib(replace(NANO, usable=None), 1, 1)
