"""What all tests share: tests that have a cache of their own still share the C libraries that zig has built."""

from __future__ import annotations

import os

from shoestring.base.cache import default_root

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # for tests that load onnxruntime by themselves
os.environ.setdefault("ZIG_GLOBAL_CACHE_DIR", str(default_root() / "zig"))
