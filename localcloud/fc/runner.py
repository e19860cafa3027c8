"""One instance of a function: reads invocations from a pipe, calls the handler, and answers.

Runs in an interpreter of its own, which need not have anything of the local cloud: only the standard library is
imported here, before the function's own code. Two pipes carry it, their numbers are the arguments; standard output and
error are the function's log. A thread reads, so that the end of the pipe is seen while a handler is busy: whoever
started this process is gone then, and it ends itself with whatever the handler has started.

A frame is two lengths (big-endian, four bytes each), a JSON header and a payload.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import signal
import struct
import sys
import threading
import traceback
from types import SimpleNamespace
from typing import Any

_LENGTHS = struct.Struct(">II")


def main(reads: int, writes: int) -> None:
    """Answer invocations until the pipe ends. The first frame says what to import."""
    for pipe in (reads, writes):
        os.set_inheritable(pipe, False)
    waiting: queue.SimpleQueue[tuple[dict[str, Any], bytes]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(reads, waiting), daemon=True).start()
    setup, _ = waiting.get()
    sys.path[:0] = setup["path"]
    while True:
        asked, event = waiting.get()
        try:
            body = _answer(setup, asked, event)
            header = {"error": ""}
        except BaseException as problem:  # noqa: BLE001 - whatever the function's code raises, SystemExit included
            body = json.dumps(_told(problem)).encode()
            header = {"error": "UnhandledInvocationError"}
        sys.stdout.flush()
        sys.stderr.flush()
        _send(writes, header, body)


def _answer(setup: dict[str, Any], asked: dict[str, Any], event: bytes) -> bytes:
    context = _context(setup["runtime"], asked)
    entry = asked["entry"]
    module, _, name = entry.rpartition(".")
    function = getattr(importlib.import_module(module.replace("/", ".")), name)
    if asked["kind"] == "initialize":
        function(context)
        return b""
    print(f"FC Invoke Start RequestId: {asked['request_id']}")  # noqa: T201 - the log is standard output
    try:
        found = function(event, context)
    finally:
        print(f"FC Invoke End RequestId: {asked['request_id']}")  # noqa: T201
    if isinstance(found, (bytes, bytearray)):
        return bytes(found)
    return found.encode() if isinstance(found, str) else json.dumps(found).encode()


def _context(runtime: str, asked: dict[str, Any]) -> SimpleNamespace:
    """The context in the shape of its runtime: https://help.aliyun.com/en/functioncompute/fc/context-1.

    Python 3.12 has neither credentials nor service in it, older ones have no logger.
    """
    about = asked["function"]
    common = {"request_id": asked["request_id"], "region": asked["region"], "account_id": asked["account_id"]}
    function = {key: about[key] for key in ("name", "handler", "memory", "timeout")}
    if runtime == "python3.12":
        return SimpleNamespace(
            **common,
            function=SimpleNamespace(**function, version_id="", qualifier=about["qualifier"]),
            logger=None,
            log_project=about["log_project"],
            log_store=about["log_store"],
        )
    service = {key: about[key] for key in ("log_project", "log_store", "qualifier")}
    return SimpleNamespace(
        **common,
        credentials=SimpleNamespace(**asked["credentials"]),
        function=SimpleNamespace(**function),
        service=SimpleNamespace(name=about["service"], version_id="", **service),
    )


def _told(problem: BaseException) -> dict[str, Any]:
    """An exception as the runtime answers it.

    https://www.alibabacloud.com/help/en/functioncompute/fc/user-guide/error-handling-1-1
    """
    frames = [frame for frame in traceback.extract_tb(problem.__traceback__) if frame.filename != __file__]
    return {
        "errorMessage": str(problem),
        "errorType": type(problem).__name__,
        "stackTrace": [[f'File "{one.filename}"', f"line {one.lineno}", f"in {one.name}", one.line] for one in frames],
    }


def _listen(pipe: int, waiting: queue.SimpleQueue[tuple[dict[str, Any], bytes]]) -> None:
    while True:
        lengths = _read(pipe, _LENGTHS.size)
        header, payload = (_read(pipe, length) for length in _LENGTHS.unpack(lengths))
        waiting.put((json.loads(header), payload))


def _read(pipe: int, length: int) -> bytes:
    parts: list[bytes] = []
    while length:
        part = os.read(pipe, min(length, 1 << 20))
        if not part:
            os.killpg(0, signal.SIGKILL)
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _send(pipe: int, header: dict[str, Any], body: bytes) -> None:
    text = json.dumps(header).encode()
    data = memoryview(_LENGTHS.pack(len(text), len(body)) + text + body)
    while data:
        data = data[os.write(pipe, data) :]


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
