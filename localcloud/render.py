"""Answers as JSON or, for clients of the old signature that ask for it, as XML.

In JSON most products wrap a list in a key of its own (`{"Images": {"Image": [...]}}`) and in XML that inner key is
repeated; where the list is not wrapped, its own key is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

import msgspec

from localcloud.errors import ApiError

_json = msgspec.json.Encoder()


def error_document(error: ApiError, *, request_id: str, host: str, title: str) -> dict[str, Any]:
    """The body of a refusal, in the shape that all vendor clients read."""
    detail = {"AccessDeniedDetail": error.detail} if error.detail else {}
    return {
        "RequestId": request_id,
        "HostId": host,
        "Code": error.code,
        "Message": error.message,
        "Recommend": f"https://api.aliyun.com/troubleshoot?q={error.code}&product={title}&requestId={request_id}",
        **detail,
    }


def as_json(document: Mapping[str, Any]) -> bytes:
    """The document in JSON."""
    return _json.encode(document)


def as_xml(document: Mapping[str, Any], *, root: str) -> bytes:
    """The document in XML under the element `root`."""
    return f"<?xml version='1.0' encoding='UTF-8'?><{root}>{_elements(document)}</{root}>".encode()


def _elements(document: Mapping[str, Any]) -> str:
    parts: list[str] = []
    for key, value in document.items():
        if isinstance(value, (list, tuple)):
            parts.extend(f"<{key}>{_content(one)}</{key}>" for one in value)
        else:
            parts.append(f"<{key}>{_content(value)}</{key}>")
    return "".join(parts)


def _content(value: Any) -> str:
    if isinstance(value, Mapping):
        return _elements(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(str(value))
