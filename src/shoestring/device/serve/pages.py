"""The pages: files of this package, and the description of the routes for people."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from shoestring._version import __version__
from shoestring.device.serve.http import Response

if TYPE_CHECKING:
    from shoestring.device.serve.http import Header, Request

STATIC = Path(__file__).with_name("static")
POLICY: Header = (
    b"content-security-policy",
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
)
"""Nothing from elsewhere, nothing inline, and no other site may frame us."""
HTML, CSS, SCRIPT = "text/html; charset=utf-8", "text/css; charset=utf-8", "text/javascript; charset=utf-8"


async def live_page(request: Request, found: dict[str, str]) -> Response:
    """The live page."""
    return Response(_file("live.html"), HTML, headers=(POLICY,))


async def style(request: Request, found: dict[str, str]) -> Response:
    """Style of the pages."""
    return Response(_file("live.css"), CSS)


async def script(request: Request, found: dict[str, str]) -> Response:
    """Script of the live page."""
    return Response(_file("live.js"), SCRIPT)


class Described:
    """The description of a server's routes.

    Args:
        name: of the file that describes them.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    async def openapi(self, request: Request, found: dict[str, str]) -> Response:
        """For programs."""
        return Response(_file(self._name).replace(b'"VERSION"', f'"{__version__}"'.encode()))

    async def docs(self, request: Request, found: dict[str, str]) -> Response:
        """The same for people."""
        return Response(_docs(self._name), HTML, headers=(POLICY,))


@cache
def _file(name: str) -> bytes:
    return (STATIC / name).read_bytes()


@cache
def _docs(name: str) -> bytes:
    described: dict[str, Any] = msgspec.json.decode(_file(name))
    parts = [
        _route(path, method, operation, described["components"]["responses"])
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
        if method in ("get", "post")
    ]
    page = _file("docs.html").decode().replace("ABOUT", _marked(described["info"]["description"]))
    return page.replace("ROUTES", "\n".join(parts)).encode()


def _route(path: str, method: str, operation: dict[str, Any], shared: dict[str, Any]) -> str:
    answers = "".join(
        f"<tr><th scope='row'>{escape(code)}</th><td>{_marked(_words(answer, shared))}</td></tr>"
        for code, answer in operation["responses"].items()
    )
    return (
        f"<section aria-labelledby='{operation['operationId']}'>"
        f"<h2 id='{operation['operationId']}'><span class='tag'>{method.upper()}</span> "
        f"<code>{escape(path)}</code></h2>"
        f"<p>{_marked(operation['description'])}</p>"
        f"<table class='plain'><caption class='hidden'>Answers of {escape(path)}</caption>"
        f"<thead><tr><th scope='col'>Status</th><th scope='col'>Meaning</th></tr></thead>"
        f"<tbody>{answers}</tbody></table>"
        "</section>"
    )


def _marked(text: str) -> str:
    """Words between backticks are code; nothing else is markup."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))


def _words(answer: dict[str, Any], shared: dict[str, Any]) -> str:
    found = shared[answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer
    words: str = found["description"]
    return words
