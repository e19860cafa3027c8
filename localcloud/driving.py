"""What happens by itself: events arrive, timers fire, functions run.

The models say what is due; somebody has to ask them. With a manual clock that is whoever moves it or calls `drain`:
one thing after the other, in this thread, over when the call returns, so that runs can be equal. With a real clock a
thread asks while the cloud is served, and runs functions beside one another.

The cloud's lock is held while a model decides and never while a function runs, which calls back into the cloud. What
drives is a lock of its own, so that two who move the clock do not mix.
"""

from __future__ import annotations

import json
import threading
import weakref
import zipfile
from concurrent.futures import Future, ThreadPoolExecutor

from localcloud.clock import ManualClock
from localcloud.fc.exchange import Invoke
from localcloud.fc.instances import UNHANDLED, Launch, Outcome, Pool, Starter
from localcloud.fc.models import Run
from localcloud.gateway import Gateway
from localcloud.http import HttpResponse

_LONGEST_PAUSE = 60.0
_URL = "{url}"


class Driver:
    """Runs what is due."""

    def __init__(self, gateway: Gateway, lock: threading.RLock, start: Starter | None) -> None:
        self._gateway = gateway
        self._lock = lock
        self._driving = threading.RLock()
        self._pool = Pool(start)
        self._url = ""
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._runners: ThreadPoolExecutor | None = None
        weakref.finalize(self, self._pool.close)

    def begin(self, url: str) -> None:
        """Functions find the cloud at this URL; on a real clock, things happen from now on."""
        self._url = url
        if isinstance(self._gateway.clock, ManualClock) or self._thread is not None:
            return
        self._ending.clear()
        most = self._gateway.models.functions.most_instances
        self._runners = ThreadPoolExecutor(most, thread_name_prefix="localcloud-function")
        self._thread = threading.Thread(target=self._drive, name="localcloud-driver", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and every instance; another `begin` begins anew."""
        self._ending.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._pool.close()
        if self._runners is not None:
            self._runners.shutdown(cancel_futures=True)
            self._runners = None
        self._url = ""

    def wake(self) -> None:
        """Something may be due."""
        self._wake.set()

    def invoke(self, invoke: Invoke) -> HttpResponse:
        """The answer to a synchronous invocation that has begun."""
        outcome = self._run(invoke.run)
        with self._lock:
            self._gateway.models.functions.finish(invoke.run, outcome, now=self._gateway.clock.now())
            return invoke.exchange.answered(outcome)

    def kill(self, access_key: str) -> None:
        """End the instance that was given this key, if there is one; not under the lock, which its end may wait for."""
        self._pool.kill(access_key)

    def drain(self) -> None:
        """Let happen all that is due by now, one after the other."""
        with self._driving:
            while (run := self._next()) is not None:
                self._perform(run)

    def advance(self, clock: ManualClock, seconds: float) -> float:
        """Move the clock from one moment at which something is due to the next; the time afterwards."""
        with self._driving:
            if not seconds >= 0:
                raise ValueError("a clock moves forward only")
            end = clock.now() + seconds
            self.drain()
            while True:
                with self._lock:
                    due = self._gateway.next_due()
                    if due is None or due > end:
                        clock.advance_to(end)
                        break
                    clock.advance_to(max(due, clock.now()))
                self.drain()
            self.drain()
            return clock.now()

    def _next(self) -> Run | None:
        with self._lock:
            self._gateway.tick()
            return self._gateway.models.functions.take_due(self._gateway.clock.now())

    def _perform(self, run: Run) -> None:
        outcome = self._run(run)
        with self._lock:
            self._gateway.models.functions.finish(run, outcome, now=self._gateway.clock.now())
        self._wake.set()

    def _run(self, run: Run) -> Outcome:
        """Run a function, without the lock. What goes wrong here is told like an error of the function."""
        functions = self._gateway.models.functions
        stack = functions.stack
        try:
            environment = {key: self._located(key, value) for key, value in stack.environment}
            launch = Launch(run.function, run.session, environment, stack.packages, stack.python, stack.patience)
            now = self._gateway.clock.now()
            return self._pool.run(launch, run.ask, now=now, most=functions.most_instances)
        except (OSError, ValueError, zipfile.BadZipFile) as problem:
            return Outcome(json.dumps({"errorMessage": f"not started: {problem}"}).encode(), UNHANDLED)

    def _located(self, key: str, value: str) -> str:
        if _URL in value and not self._url:
            raise ValueError(f"functions.environment.{key} asks for {_URL}, and this cloud is not served at any")
        return value.replace(_URL, self._url)

    def _drive(self) -> None:
        """The thread of a real clock."""
        while not self._ending.is_set():
            self._wake.clear()
            runs: list[Run] = []
            while (run := self._next()) is not None:
                runs.append(run)
            for run in runs:
                self._submit(run)
            with self._lock:
                due = self._gateway.next_due()
                now = self._gateway.clock.now()
            pause = _LONGEST_PAUSE if due is None else min(max(due - now, 0.0), _LONGEST_PAUSE)
            self._wake.wait(pause)

    def _submit(self, run: Run) -> None:
        """Run beside others; what the end of all comes before waits again."""
        assert self._runners is not None

        def ended(future: Future[None]) -> None:
            if future.cancelled():
                with self._lock:
                    self._gateway.models.functions.give_back(run)

        self._runners.submit(self._perform, run).add_done_callback(ended)
