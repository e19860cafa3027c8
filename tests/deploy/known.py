"""The project as the templates see it, with stand-ins for what other parts of it bring."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from deploy.project import Project, this_project

SETTINGS = frozenset({"ORGSHARE_WORKER", "ORGSHARE_NOTICES"})
EVENTS: dict[str, dict[str, Any]] = {
    "timer-watch.json": {
        "triggerTime": "2026-11-21T10:05:00Z",
        "triggerName": "watch",
        "payload": '{"task": "watch"}',
    },
    "trail-notice.json": {
        "events": [
            {
                "eventName": "ObjectCreated:PutObject",
                "eventSource": "acs:oss",
                "oss": {
                    "bucket": {"name": "acme-trail"},
                    "object": {"key": "AliyunLogs/Actiontrail/rd-local1/1000000000000001/cn-hangzhou/2026/11/21/a.gz"},
                },
            }
        ]
    },
}


def project() -> Project:
    """This project, and the stand-ins where it lacks them."""
    of = this_project()
    return replace(of, settings=of.settings | SETTINGS, events={**EVENTS, **of.events})
