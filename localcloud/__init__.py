"""An HTTP server that answers as Alibaba Cloud does, so that a tool for its images can be tried on one machine.

As a library: `LocalCloud.from_world(...)`, `in_process(cloud)` to serve the official SDKs without a socket, and
`localcloud.server.serving(cloud)` with one.
"""

from localcloud.clock import ManualClock, RealClock
from localcloud.cloud import LocalCloud
from localcloud.http import HttpRequest, HttpResponse
from localcloud.passage import LogEntry
from localcloud.world import World, WorldError, load_world, parse_world

__all__ = [
    "HttpRequest",
    "HttpResponse",
    "LocalCloud",
    "LogEntry",
    "ManualClock",
    "RealClock",
    "World",
    "WorldError",
    "load_world",
    "parse_world",
]
