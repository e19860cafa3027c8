"""The command `localcloud`: serve a world, ask its oracle, change it.

`serve` prints its URL on the first line of standard output once it answers, and nothing else there, so that a script
can read it. Bad input ends with status 2 and one line on standard error.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NoReturn, TextIO
from urllib.parse import urlencode, urlsplit

import click
import msgspec
from rich.console import Console
from rich.table import Table

from localcloud.clock import Clock, ManualClock, RealClock
from localcloud.cloud import LocalCloud
from localcloud.passage import LogEntry
from localcloud.server import listen
from localcloud.server import serve as serve_on
from localcloud.world import WorldError, load_world, read_yaml

_TIMEOUT = 30


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A server on this machine that answers as Alibaba Cloud does."""


@main.command()
@click.option(
    "--world", "world_file", required=True, type=click.Path(path_type=Path), help="What the cloud starts from (YAML)."
)
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Port on 127.0.0.1; a free one if not given.")
@click.option("--request-log", type=click.Path(path_type=Path), help="Append a JSON line a request to this file.")
@click.option(
    "--clock",
    "clock_kind",
    default="real",
    type=click.Choice(["real", "manual"]),
    help="A manual clock moves only by the command clock.",
)
def serve(world_file: Path, port: int, request_log: Path | None, clock_kind: str) -> None:
    """Serve a world until SIGTERM or SIGINT."""
    clock: Clock = RealClock() if clock_kind == "real" else ManualClock(time.time())
    try:
        cloud = LocalCloud(load_world(world_file), clock=clock)
    except WorldError as problem:
        _stop(str(problem))
    with ExitStack() as stack:
        if request_log is not None:
            stack.enter_context(_open_log(cloud, request_log))
        try:
            sock = stack.enter_context(listen(port))
        except OSError as problem:
            _stop(f"port {port}: {problem.strerror}; choose another with --port")
        serve_on(cloud, sock, ready=click.echo)


@main.command()
@click.option("--url", required=True, help="URL of the local cloud, as serve printed it.")
@click.option("--image", default="", help="Only this image.")
@click.option("--account", default="", help="Only this account.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(url: str, image: str, account: str, as_json: bool) -> None:
    """Show who can use which image, and through which channel: the truth, not what an API shows."""
    query = urlencode({key: value for key, value in (("image", image), ("account", account)) if value})
    answer = _ask(url, "GET", f"/_localcloud/access?{query}")
    if as_json:
        click.echo(json.dumps(answer))
        return
    table = Table("image", "account", "channels")
    for row in answer["access"]:
        table.add_row(row["image"], row["account"], ", ".join(row["channels"]))
    Console().print(table if answer["access"] else "Nobody has access by a share.")


@main.command()
@click.option("--url", required=True, help="URL of the local cloud.")
@click.argument("file", type=click.File("r", encoding="utf-8"))
def change(url: str, file: TextIO) -> None:
    """Change the world by a part of one (YAML; null removes, faults replace); - reads standard input."""
    try:
        part = read_yaml(file.read(), source=file.name)
    except (WorldError, UnicodeDecodeError) as problem:
        _stop(str(problem))
    _ask(url, "PATCH", "/_localcloud/world", msgspec.json.encode(part))


@main.command()
@click.option("--url", required=True, help="URL of the local cloud.")
@click.option("--advance", required=True, type=click.FloatRange(min=0), help="Seconds to move forward.")
def clock(url: str, advance: float) -> None:
    """Move the manual clock and print the new time, once everything that was due by then is done."""
    body = msgspec.json.encode({"advance": advance})
    click.echo(_ask(url, "POST", "/_localcloud/clock", body, timeout=None)["now"])


def _stop(why: str) -> NoReturn:
    click.echo(f"localcloud: {why}", err=True)
    sys.exit(2)


def _open_log(cloud: LocalCloud, path: Path) -> TextIO:
    try:
        log = path.open("a", encoding="utf-8", buffering=1)
    except OSError as problem:
        _stop(f"{path}: {problem.strerror}")

    def write(entry: LogEntry) -> None:
        log.write(f"{msgspec.json.encode(entry).decode()}\n")

    cloud.on_request(write)
    return log


def _ask(
    url: str, method: str, path: str, body: bytes | None = None, *, timeout: float | None = _TIMEOUT
) -> dict[str, Any]:
    """The answer of a running local cloud. Proxies of the environment are not for it, so none is used."""
    parts = urlsplit(url)
    try:
        if parts.scheme != "http" or not parts.hostname:
            _stop(f"--url {url}: expected http://127.0.0.1:PORT")
        with closing(http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)) as connection:
            connection.request(method, path, body=body)
            answer = connection.getresponse()
            content = msgspec.json.decode(answer.read())
    except msgspec.DecodeError:
        _stop(f"{url}: what answers there is no local cloud")
    except (OSError, ValueError, http.client.HTTPException) as problem:
        _stop(f"{url}: nobody answers ({problem}); start one with: localcloud serve --world FILE")
    if not isinstance(content, dict) or answer.status != http.client.OK:
        _stop(
            content["error"]
            if isinstance(content, dict) and "error" in content
            else f"{url}: what answers there is no local cloud"
        )
    return content
