"""Where frames come from: images, video files and cameras."""

from shoestring.device.pipelines.sources.opening import open_source
from shoestring.device.pipelines.sources.protocol import Source, Stale

__all__ = ["Source", "Stale", "open_source"]
