"""Where results go: JSON lines, annotated video."""

from shoestring.device.pipelines.sinks.jsonl import JsonLines, result_line
from shoestring.device.pipelines.sinks.video import VideoSink

__all__ = ["JsonLines", "VideoSink", "result_line"]
