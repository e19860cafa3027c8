"""Instances of functions: processes that are started, used one request at a time, used again, and ended.

An instance has the environment that the template and the platform set, and nothing of this process. Its code is a
folder, or a zip that is unpacked once; layers are unpacked and their `python/` is importable, as on Function Compute.
With `packages: layers` it has the interpreter's standard library beside them and no installed package, so what is
missing in a layer is missing here; `packages: interpreter` lets the interpreter's own packages stand in.

How it can go wrong: a process that outlives its cloud. `end` kills each by its process group, which holds what the
handler has started as well, and one whose pipe closes, because this process died, ends itself. A handler that is late
is killed with its process, and the next invocation starts another.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from localcloud.ros.stack import Function
from localcloud.sts.models import Session

RUNNER = Path(__file__).with_name("runner.py")
UNHANDLED = "UnhandledInvocationError"
_LENGTHS = struct.Struct(">II")
_ENDED = b'{"errorMessage":"the cloud has ended"}'
_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True)
class Ask:
    """One invocation, or the one call of the initializer."""

    kind: str
    request_id: str
    event: bytes
    session: Session | None
    qualifier: str = "LATEST"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it; `error` is empty if the handler returned. `log` is what was written meanwhile."""

    body: bytes
    error: str = ""
    log: str = ""
    lost: bool = False
    """Whether the instance cannot be used again."""


class Instance(Protocol):
    """Something that runs a function's code."""

    def call(self, ask: Ask) -> Outcome:
        """Run the handler, and before the first time the initializer."""

    def end(self) -> None:
        """Be gone, now."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What an instance is started with."""

    function: Function
    session: Session | None
    environment: Mapping[str, str]
    packages: str
    python: str
    patience: float = 1.0


Starter = Callable[[Launch, "Workshop"], Instance]


class Workshop:
    """The folder of a cloud's own in which zips are unpacked and logs are written; gone with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._root: Path | None = None
        self._unpacked: dict[Path, Path] = {}
        self._count = 0

    def folder(self, name: str) -> Path:
        """A new folder."""
        with self._lock:
            self._count += 1
            made = self._top() / f"{self._count}-{name}"
            made.mkdir()
            return made

    def unpacked(self, path: Path) -> Path:
        """A folder as it is, a zip's content."""
        if path.is_dir():
            return path
        with self._lock:
            known = self._unpacked.get(path)
            if known is None:
                known = self._top() / f"code-{len(self._unpacked)}"
                with zipfile.ZipFile(path) as packed:
                    packed.extractall(known)
                self._unpacked[path] = known
            return known

    def cache(self) -> Path:
        """Where compiled code of unpacked zips goes, so that only the first instance compiles it."""
        with self._lock:
            return self._top() / "compiled"

    def close(self) -> None:
        """Remove everything."""
        with self._lock:
            if self._root is not None:
                shutil.rmtree(self._root, ignore_errors=True)
            self._root = None
            self._unpacked.clear()

    def _top(self) -> Path:
        if self._root is None:
            self._root = Path(tempfile.mkdtemp(prefix="localcloud-"))
        return self._root


class Pool:
    """The instances of all functions."""

    def __init__(self, start: Starter | None = None) -> None:
        self._start = start or start_process
        self._workshop = Workshop()
        self._lock = threading.Lock()
        self._idle: list[tuple[Function, Session | None, Instance]] = []
        self._busy: dict[Instance, tuple[Session | None, ...]] = {}
        self._closings = 0

    def count(self) -> int:
        """How many instances there are."""
        with self._lock:
            return len(self._idle) + len(self._busy)

    def run(self, launch: Launch, ask: Ask, *, now: float, most: int) -> Outcome:
        """Run an invocation in an idle instance of the function or in a new one.

        Its credentials have to outlast the invocation by the cloud's clock, so an instance whose do not is ended; so
        is the longest idle one if there are `most` of them already. An instance has the credentials that it was
        started with, in its environment, and those of the invocation.
        """
        instance, session = self._taken(launch.function, now)
        with self._lock:
            closings = self._closings
        if instance is None:
            self._make_room(most)
            session = launch.session
            instance = self._start(launch, self._workshop)
        with self._lock:
            self._busy[instance] = (session, ask.session)
            closed = self._closings != closings
        outcome = Outcome(_ENDED, UNHANDLED, lost=True) if closed else instance.call(ask)
        with self._lock:
            alive = self._busy.pop(instance, None) is not None
            keep = alive and not outcome.lost and self._closings == closings
            if keep:
                self._idle.append((launch.function, session, instance))
        if not keep:
            instance.end()
        return outcome

    def kill(self, access_key: str) -> None:
        """End the instance that runs an invocation with this key; the invocation ends as one whose process exited."""
        with self._lock:
            found = [one for one, sessions in self._busy.items() if any(_has(each, access_key) for each in sessions)]
            for one in found:
                del self._busy[one]
        for one in found:
            one.end()

    def close(self) -> None:
        """End every instance; an invocation that is under way ends as one whose process exited."""
        with self._lock:
            self._closings += 1
            instances = [*(one for _, _, one in self._idle), *self._busy]
            self._idle.clear()
        for one in instances:
            one.end()
        self._workshop.close()

    def _taken(self, function: Function, now: float) -> tuple[Instance | None, Session | None]:
        spent: list[Instance] = []
        found: tuple[Instance | None, Session | None] = (None, None)
        with self._lock:
            kept = []
            for row in reversed(self._idle):
                whose, session, instance = row
                expires = session.expires if session is not None else float("inf")
                if whose.key == function.key and (whose != function or expires < now + function.timeout):
                    spent.append(instance)
                elif whose == function and found[0] is None:
                    found = (instance, session)
                else:
                    kept.append(row)
            self._idle = kept[::-1]
        for one in spent:
            one.end()
        return found

    def _make_room(self, most: int) -> None:
        with self._lock:
            full = len(self._idle) + len(self._busy) >= most
            oldest = self._idle.pop(0)[2] if full and self._idle else None
        if oldest is not None:
            oldest.end()


def _has(session: Session | None, access_key: str) -> bool:
    return session is not None and session.access_key == access_key


def start_process(launch: Launch, workshop: Workshop) -> Instance:
    """An instance that is a process."""
    return ProcessInstance(launch, workshop)


class ProcessInstance:
    """An interpreter of its own that runs `runner.py`."""

    def __init__(self, launch: Launch, workshop: Workshop) -> None:
        function = launch.function
        self._function = function
        self._patience = launch.patience
        self._ready = False
        self._ended = threading.Lock()
        self._in_use = threading.Lock()
        home = workshop.folder(function.short_name)
        code = workshop.unpacked(function.code)
        layers = [workshop.unpacked(layer) / "python" for layer in function.layers]
        flags = ["-I", "-u"]
        if launch.packages == "layers":
            flags += ["-S", "-X", f"pycache_prefix={workshop.cache()}"]
        else:
            flags += ["-B"]
        reads, their_end = os.pipe()
        their_start, writes = os.pipe()
        self._log_path = home / "log"
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - this very interpreter, or the one the world names
                [
                    shutil.which(launch.python) or launch.python or sys.executable,
                    *flags,
                    str(RUNNER),
                    str(their_start),
                    str(their_end),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=code,
                env=_environment(launch, code, home),
                pass_fds=(their_start, their_end),
                start_new_session=True,
            )
        os.close(their_start)
        os.close(their_end)
        self._reads, self._writes = reads, writes
        self._log = self._log_path.open("rb")
        path = [str(code), *(str(one) for one in layers)]
        with contextlib.suppress(BrokenPipeError):
            self._send({"path": path, "runtime": function.runtime}, b"")

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def call(self, ask: Ask) -> Outcome:
        """Run the initializer once, then the handler."""
        with self._in_use:
            return self._called(ask)

    def _called(self, ask: Ask) -> Outcome:
        function = self._function
        if not self._ready:
            if function.initializer:
                first = Ask("initialize", ask.request_id, b"", ask.session, ask.qualifier)
                begun = self._exchange(first, function.initializer, function.initializer_timeout)
                if begun.error:
                    return Outcome(begun.body, begun.error, begun.log, lost=True)
            self._ready = True
        return self._exchange(ask, function.handler, function.timeout)

    def end(self) -> None:
        """Kill the process and what it has started, and wait for it."""
        if not self._ended.acquire(blocking=False):
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        with self._in_use:  # whoever waits for an answer sees the end of the pipe first
            os.close(self._reads)
            os.close(self._writes)
            self._log.close()

    def _exchange(self, ask: Ask, entry: str, seconds: int) -> Outcome:
        began = time.monotonic()
        try:
            self._send(self._header(ask, entry), ask.event)
            header, body = self._receive(began + seconds * self._patience)
        except TimeoutError:
            return self._failed(f"Function time out after {seconds} seconds")
        except (EOFError, OSError, ValueError):
            spent = int(1000 * (time.monotonic() - began))
            return self._failed(
                f"Process exited unexpectedly before completing request (duration: {spent}ms, maxMemoryUsage: 0MB)"
            )
        return Outcome(body, header["error"], self._written())

    def _failed(self, why: str) -> Outcome:
        """https://www.alibabacloud.com/help/en/functioncompute/fc/error-handling-nodejs has both messages' form."""
        log = self._written()
        return Outcome(json.dumps({"errorMessage": why}).encode(), UNHANDLED, log, lost=True)

    def _header(self, ask: Ask, entry: str) -> dict[str, Any]:
        function, session = self._function, ask.session
        return {
            "kind": ask.kind,
            "entry": entry,
            "request_id": ask.request_id,
            "region": function.region,
            "account_id": function.account,
            "credentials": {
                "access_key_id": session.access_key if session else "",
                "access_key_secret": session.secret if session else "",
                "security_token": session.token if session else "",
            },
            "function": {
                "name": function.short_name,
                "handler": function.handler,
                "memory": function.memory,
                "timeout": function.timeout,
                "service": function.service,
                "qualifier": ask.qualifier,
                "log_project": function.log_project,
                "log_store": function.log_store,
            },
        }

    def _send(self, header: Mapping[str, Any], body: bytes) -> None:
        text = json.dumps(header).encode()
        data = memoryview(_LENGTHS.pack(len(text), len(body)) + text + body)
        while data:
            data = data[os.write(self._writes, data) :]

    def _receive(self, deadline: float) -> tuple[dict[str, Any], bytes]:
        lengths = _LENGTHS.unpack(self._read(_LENGTHS.size, deadline))
        header, body = (self._read(length, deadline) for length in lengths)
        return json.loads(header), body

    def _read(self, length: int, deadline: float) -> bytes:
        poll = select.poll()
        poll.register(self._reads, select.POLLIN)
        parts: list[bytes] = []
        while length:
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(max(1, int(left * 1000))):
                raise TimeoutError
            part = os.read(self._reads, min(length, 1 << 20))
            if not part:
                raise EOFError
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def _written(self) -> str:
        """What was written to the log since the last time."""
        return self._log.read().decode("utf-8", "replace")


def _environment(launch: Launch, code: Path, home: Path) -> dict[str, str]:
    """https://www.alibabacloud.com/help/en/functioncompute/fc/environment-variables, and what any process needs."""
    function, session = launch.function, launch.session
    platform = {
        "PATH": _PATH,
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "TMPDIR": str(home),
        "FC_FUNC_CODE_PATH": str(code),
        "FC_ACCOUNT_ID": function.account,
        "FC_FUNCTION_HANDLER": function.handler,
        "FC_FUNCTION_MEMORY_SIZE": str(function.memory),
        "FC_FUNCTION_NAME": function.short_name,
        "FC_REGION": function.region,
        "FC_INSTANCE_ID": f"c-{home.name}",
    }
    if function.service:
        platform |= {"FC_SERVICE_NAME": function.service, "FC_QUALIFIER": "LATEST"}
    if session is not None:
        platform |= {
            "ALIBABA_CLOUD_ACCESS_KEY_ID": session.access_key,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": session.secret,
            "ALIBABA_CLOUD_SECURITY_TOKEN": session.token,
        }
    return {**dict(function.environment), **launch.environment, **platform}
