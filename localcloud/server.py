"""Carries requests from a loopback socket to the cloud: an HTTP server, and an HTTP proxy for the vendor's hosts.

A client that has it as its proxy sends the whole URL in the request line and the vendor's host in `Host`; a client
that is pointed at the port sends a path. Both arrive here alike. It is a bare ASGI application on uvicorn, as a
framework would cost more time than the cloud itself. A dropped connection must look dropped to the client, which ASGI
has no word for, so the protocol hands each request the means to abort its transport.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
import traceback
from collections.abc import Awaitable, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from localcloud.cloud import LocalCloud
from localcloud.http import HttpRequest, HttpResponse

LOOPBACK = "127.0.0.1"
_ABORT = "localcloud.abort"
_KEEP_ALIVE_SECONDS = 600
_GRACE_SECONDS = 2
_WAITERS = 256

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def listen(port: int) -> socket.socket:
    """A socket on the loopback address; OSError if the port is taken. Port 0 means a free one."""
    # The protocol is named because asyncio turns Nagle's algorithm off only then; with it a call takes 40 ms.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((LOOPBACK, port))
        sock.listen(512)
    except OSError:
        sock.close()
        raise
    return sock


def serve(cloud: LocalCloud, sock: socket.socket, *, ready: Callable[[str], None]) -> None:
    """Answer until SIGTERM or SIGINT; `ready` gets the URL once requests are answered.

    Functions run as long as that; afterwards none of their processes is left.
    """
    try:
        _server(cloud, sock, ready=ready).run(sockets=[sock])
    finally:
        cloud.close()


@contextlib.contextmanager
def serving(cloud: LocalCloud, *, port: int = 0) -> Iterator[str]:
    """A server in a thread of its own for as long as the context lasts; yields its URL."""
    sock = listen(port)
    started = threading.Event()
    server = _server(cloud, sock, ready=lambda _: started.set())
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, name="localcloud", daemon=True)
    thread.start()
    try:
        if not started.wait(30):
            raise RuntimeError("the local cloud did not start within 30 seconds")
        yield url_of(sock)
    finally:
        server.should_exit = True
        thread.join(30)
        cloud.close()


def url_of(sock: socket.socket) -> str:
    """`http://127.0.0.1:PORT`."""
    return f"http://{LOOPBACK}:{sock.getsockname()[1]}"


def application(cloud: LocalCloud) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The ASGI application. A request that may wait for a function gets a thread of its own: functions call back."""
    waiters = ThreadPoolExecutor(_WAITERS, thread_name_prefix="localcloud-waiter")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                return
            body += event.get("body", b"")
            if not event.get("more_body", False):
                break
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        request = HttpRequest(
            method=scope["method"],
            host=headers.get("host", ""),
            path=scope["raw_path"].decode("latin-1") or "/",
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            body=body,
        )
        try:
            if cloud.waits(request):
                answer = await asyncio.get_running_loop().run_in_executor(waiters, cloud.handle, request)
            else:
                answer = cloud.handle(request)
        except Exception:  # noqa: BLE001 - a bug, here or in a hook: one request fails, the server goes on
            traceback.print_exc()
            answer = HttpResponse(status=500, body=b'{"Code":"InternalError","Message":"A bug in the local cloud."}')
        if answer.wait:
            await asyncio.sleep(answer.wait)
        if answer.dropped:
            scope[_ABORT]()
            return
        sent = answer.headers
        if all(name != "date" for name, _ in sent):
            sent = (*sent, ("date", formatdate(usegmt=True)))
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [(name.encode(), value.encode()) for name, value in sent],
            }
        )
        await send({"type": "http.response.body", "body": answer.body})

    return app


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol, with a way to close a connection without an answer."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        scope = cast("Scope", self.scope)
        scope[_ABORT] = self._abort

    def _abort(self) -> None:
        # Marked complete first: uvicorn would otherwise answer 500 for an application that sent nothing.
        self.cycle.response_complete = True
        self.cycle.response_started = True
        self.transport.abort()


class _Server(uvicorn.Server):
    """uvicorn's server; it says when it is ready, and a signal ends it like any other wish to stop."""

    def __init__(self, config: uvicorn.Config, *, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        # The original raises the signal again at the end, which would not be exit status 0.
        try:
            known = {one: signal.signal(one, self.handle_exit) for one in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not the main thread: whoever runs it stops it
            known = {}
        try:
            yield
        finally:
            for one, handler in known.items():
                signal.signal(one, handler)


def _server(cloud: LocalCloud, sock: socket.socket, *, ready: Callable[[str], None]) -> _Server:
    config = uvicorn.Config(
        application(cloud),
        http=_Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,  # object storage says what time it is by the cloud's clock
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )

    def begun() -> None:
        cloud.begin(url_of(sock))
        ready(url_of(sock))

    return _Server(config, ready=begun)
