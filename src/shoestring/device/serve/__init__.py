"""Serve a model over HTTP: the Open Inference Protocol, figures for Prometheus, and a page for people."""

from shoestring.device.serve.app import App, build_app
from shoestring.device.serve.live import LiveState
from shoestring.device.serve.nouns import Engine, Reply, Service, service_of
from shoestring.device.serve.run import run_server
from shoestring.device.serve.settings import Settings, check_settings
from shoestring.device.serve.sharing import Shared
from shoestring.device.serve.tokens import Token, make_token, read_tokens

__all__ = [
    "App",
    "Engine",
    "LiveState",
    "Reply",
    "Service",
    "Settings",
    "Shared",
    "Token",
    "build_app",
    "check_settings",
    "make_token",
    "read_tokens",
    "run_server",
    "service_of",
]
