"""Requests and answers as plain data, so that the same core serves a socket and a test without one.

A carrier (`localcloud.server`, `localcloud.inprocess`) turns what it receives into an `HttpRequest`, hands it to
`LocalCloud.handle`, and does what the `HttpResponse` says: wait, then answer, or drop the connection. The core never
waits and never touches a socket; a carrier that ignored `dropped` would turn a lost answer into a success.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

JSON_TYPE = "application/json;charset=utf-8"
XML_TYPE = "text/xml;charset=utf-8"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request as it came: `headers` have lower-case names, `query` is raw, `path` has no query."""

    method: str
    host: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What the carrier does: wait `wait` seconds, then send the answer or, if `dropped`, close without a byte."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    request_id: str = ""
    dropped: bool = False
    wait: float = 0.0
    kills: str = ""
    """The access key of the function's instance that ends before its carrier does anything: see `localcloud.faults`."""
    more: tuple[tuple[str, str], ...] = ()
    """Headers beside those that every answer has."""

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The headers to send, names in lower case."""
        fixed = (("content-type", self.content_type), ("content-length", str(len(self.body))), *self.more)
        return (*fixed, ("x-acs-request-id", self.request_id)) if self.request_id else fixed
