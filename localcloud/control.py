"""What is asked of a local cloud and of no real one: the oracle, changes from outside, the manual clock, and what
functions did and told.

These paths need no signature, so the server listens on loopback only. Bad input is 400 with one line in `error`, and
changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec

from localcloud.clock import iso_millis
from localcloud.http import HttpRequest, HttpResponse
from localcloud.world import WorldError, world_document

if TYPE_CHECKING:
    from localcloud.cloud import LocalCloud

PREFIX = "/_localcloud/"


def answer(cloud: LocalCloud, request: HttpRequest) -> HttpResponse:
    """The answer to a request under `/_localcloud/`."""
    match request.method, request.path[len(PREFIX) :]:
        case "GET", "access":
            asked = parse_qs(request.query)
            image, account = (asked.get(key, [""])[-1] or None for key in ("image", "account"))
            return _json(200, {"access": cloud.access(image=image, account=account)})
        case "GET", "world":
            return _json(200, world_document(cloud.world()))
        case "PATCH", "world":
            return _change(cloud, request.body)
        case "POST", "clock":
            return _advance(cloud, request.body)
        case "GET", "messages" | "invocations" as what:
            return _functions(cloud, what, parse_qs(request.query))
    return _error(404, f"no such path: {request.method} {request.path}")


def _functions(cloud: LocalCloud, what: str, asked: dict[str, list[str]]) -> HttpResponse:
    if what == "messages":
        return _json(200, {what: msgspec.to_builtins(cloud.messages(asked.get("mailbox", [""])[-1]))})
    done = msgspec.to_builtins(cloud.invocations(asked.get("function", [""])[-1]))
    return _json(200, {what: done, "waiting": cloud.waiting()})


def _change(cloud: LocalCloud, body: bytes) -> HttpResponse:
    try:
        part = msgspec.json.decode(body)
        cloud.patch(part)
    except msgspec.DecodeError as problem:
        return _error(400, f"body: not JSON: {problem}")
    except RecursionError:
        return _error(400, "body: nested too deeply")
    except WorldError as problem:
        return _error(400, str(problem))
    return _json(200, {})


def _advance(cloud: LocalCloud, body: bytes) -> HttpResponse:
    try:
        seconds = msgspec.json.decode(body, type=dict[str, float])["advance"]
        now = cloud.advance(seconds)
    except (msgspec.DecodeError, KeyError):
        return _error(400, 'body: expected {"advance": seconds}')
    except (TypeError, ValueError) as problem:
        return _error(400, str(problem))
    return _json(200, {"now": iso_millis(now)})


def _json(status: int, document: dict[str, Any]) -> HttpResponse:
    return HttpResponse(status=status, body=msgspec.json.encode(document))


def _error(status: int, why: str) -> HttpResponse:
    return _json(status, {"error": why})
