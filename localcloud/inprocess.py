"""Carries requests of the official SDKs to a cloud in the same process, without a socket.

All of them send through `requests.adapters.HTTPAdapter.send` (the older SDK through a copy of its own), so that one
function is replaced while the context lasts. Hosts that are not the vendor's go the usual way. Answers are exactly
those of the server; a dropped connection is the exception that requests would raise.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import requests
import requests.adapters

from localcloud.catalog import DOMAIN
from localcloud.cloud import LocalCloud
from localcloud.http import HttpRequest, HttpResponse

_VENDORED = "aliyunsdkcore.vendored.requests"


@contextlib.contextmanager
def in_process(
    cloud: LocalCloud, *, hosts: Iterable[str] = (), sleep: Callable[[float], None] = time.sleep
) -> Iterator[LocalCloud]:
    """Within this context every SDK call to `*.aliyuncs.com`, and to `hosts` (`name:port`), is answered by the cloud.

    `sleep` waits for the world's latency; a latency beyond the client's read timeout becomes a ReadTimeout. Of the
    older SDK, what is imported when the context begins is covered. What a callback of `LocalCloud.on_write` raised
    meanwhile is raised again at the end, unless something else is.
    """
    taken = frozenset(host.lower() for host in hosts)
    libraries = [requests, *(sys.modules[name] for name in (_VENDORED,) if name in sys.modules)]
    with contextlib.ExitStack() as undo:
        for library in libraries:
            undo.enter_context(_replaced(library, cloud, taken, sleep))
        yield cloud
    if cloud.broken:
        raise cloud.broken[0]


@contextlib.contextmanager
def _replaced(
    library: ModuleType, cloud: LocalCloud, hosts: frozenset[str], sleep: Callable[[float], None]
) -> Iterator[None]:
    adapter: Any = library.adapters.HTTPAdapter
    usual = adapter.send

    def send(self: Any, request: Any, stream: bool = False, timeout: Any = None, **rest: Any) -> Any:
        parts = urlsplit(request.url)
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        host = headers.setdefault("host", parts.netloc)
        name = host.partition(":")[0].lower()
        if not (name.endswith(DOMAIN) or host.lower() in hosts or parts.netloc.lower() in hosts):
            return usual(self, request, stream=stream, timeout=timeout, **rest)
        body = _content(request.body)
        answer = cloud.handle(
            HttpRequest(
                method=request.method,
                host=host,
                path=parts.path or "/",
                query=parts.query,
                headers=headers,
                body=body,
            )
        )
        if answer.wait:
            _wait(library, answer.wait, timeout, request, sleep)
        if answer.dropped:
            raise library.exceptions.ConnectionError(
                "Connection aborted: remote end closed connection without response", request=request
            )
        return _response(library, self, request, answer)

    adapter.send = send
    try:
        yield
    finally:
        adapter.send = usual


def _content(body: Any) -> bytes:
    """A request's content, which a client may hand on as text, as a file or in pieces."""
    if isinstance(body, str):
        return body.encode()
    if body is None or isinstance(body, bytes):
        return body or b""
    return bytes(body.read()) if hasattr(body, "read") else b"".join(body)


def _wait(library: ModuleType, seconds: float, timeout: Any, request: Any, sleep: Callable[[float], None]) -> None:
    patience = timeout[1] if isinstance(timeout, tuple) else timeout
    if patience is not None and seconds > patience:
        sleep(patience)
        raise library.exceptions.ReadTimeout(f"Read timed out. (read timeout={patience})", request=request)
    sleep(seconds)


def _response(library: ModuleType, adapter: Any, request: Any, answer: HttpResponse) -> Any:
    response = library.models.Response()
    response.status_code = answer.status
    response.headers = library.structures.CaseInsensitiveDict(answer.headers)
    response.encoding = "utf-8"
    response.reason = "OK" if answer.status < 400 else "Error"
    response.url = request.url
    response.request = request
    response.connection = adapter
    response._content = answer.body  # noqa: SLF001 - what HTTPAdapter's own answers end up with
    response._content_consumed = True  # noqa: SLF001
    return response


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
