"""The local cloud itself: one function from request to answer, and what tests and stories do to it from outside.

`handle` is synchronous and takes a lock, so any number of threads may call it, and every caller of `on_write` sees
the state between two calls, never inside one. Only a function runs without the lock, as it calls back. What happens
by itself (`localcloud.driving`) happens when a manual clock is moved, or while the cloud is served. Time and chance
are passed in. Beside the vendor's APIs it answers a few paths under `/_localcloud/` (see `localcloud.control`), which
no client that is meant for the real cloud may use.
"""

from __future__ import annotations

import random as random_module
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from localcloud import control
from localcloud.clock import Clock, ManualClock, RealClock
from localcloud.driving import Driver
from localcloud.fc.exchange import Invoke, asks_for_functions
from localcloud.fc.instances import Starter
from localcloud.fc.models import Invocation
from localcloud.gateway import Gateway, LogEntry
from localcloud.http import HttpRequest, HttpResponse
from localcloud.mns.models import Message
from localcloud.sts.models import Session
from localcloud.world import World, WorldError, load_world, merged, parse_world, world_document


class LocalCloud:
    """A cloud in memory that starts from a world."""

    def __init__(
        self,
        world: World,
        *,
        clock: Clock | None = None,
        random: random_module.Random | None = None,
        real_time: Callable[[], float] = time.time,
        start_instance: Starter | None = None,
    ) -> None:
        self.clock: Clock = clock or RealClock()
        self.broken: list[Exception] = []
        """What callbacks of `on_write` have raised, in order."""
        self._lock = threading.RLock()
        self._gateway = Gateway(world, clock=self.clock, random=random or random_module.Random(), real_time=real_time)
        self._driver = Driver(self._gateway, self._lock, start_instance)

    @classmethod
    def from_world(
        cls,
        world: World | Mapping[str, Any] | str | Path,
        *,
        clock: Clock | None = None,
        random: random_module.Random | None = None,
        real_time: Callable[[], float] = time.time,
        start_instance: Starter | None = None,
    ) -> LocalCloud:
        """A cloud from a world: frozen, as plain data, or a file; WorldError if it is none.

        `random` decides ids, keys and faults by probability; seed it where runs must be equal. `real_time` is what
        the time stamps of signatures are compared with, whichever clock rules the rest.
        """
        if isinstance(world, (str, Path)):
            world = load_world(world)
        elif not isinstance(world, World):
            world = parse_world(world)
        return cls(world, clock=clock, random=random, real_time=real_time, start_instance=start_instance)

    @property
    def calls(self) -> Counter[str]:
        """How often each operation was called with a good signature, as `ecs:DescribeImages`."""
        return self._gateway.calls

    def handle(self, request: HttpRequest) -> HttpResponse:
        """The answer to a request, and what the carrier should do with it."""
        if request.path.startswith(control.PREFIX):
            return control.answer(self, request)
        with self._lock:
            answer = self._gateway.answer(request)
        if isinstance(answer, Invoke):
            answer = self._driver.invoke(answer)
        if answer.kills:
            self._driver.kill(answer.kills)
        self._driver.wake()
        return answer

    def waits(self, request: HttpRequest) -> bool:
        """Whether the answer to a request may have to wait for a function, so that a carrier must not wait with it."""
        return asks_for_functions(request) or request.path == f"{control.PREFIX}clock"

    def begin(self, url: str) -> None:
        """Functions reach this cloud at a URL from now on; on a real clock, things happen by themselves as well."""
        self._driver.begin(url)

    def close(self) -> None:
        """End every process that runs a function, and whatever happens by itself."""
        self._driver.close()

    def drain(self) -> None:
        """Let happen what is due by now: events arrive, timers fire, functions run, until nothing is left."""
        self._driver.drain()

    def messages(self, mailbox: str = "") -> list[Message]:
        """What was sent to topics and queues, oldest first; only to `topics/NAME` or `queues/NAME` if it is named."""
        with self._lock:
            return self._gateway.models.messages.messages(mailbox)

    def invocations(self, function: str = "") -> list[Invocation]:
        """What became of every try to run a function, oldest first; the last ten thousand are known."""
        with self._lock:
            return [one for one in self._gateway.models.functions.invocations if function in ("", one.function)]

    def waiting(self) -> list[Mapping[str, Any]]:
        """The asynchronous invocations that are still to be run, in the order of their time."""
        with self._lock:
            return self._gateway.models.functions.waiting()

    def access(self, image: str | None = None, account: str | None = None) -> list[dict[str, Any]]:
        """The oracle: who can use which image through which channel, straight from the state.

        Rows `{"image", "account", "channels"}`, sorted, only pairs with access. Owners and community images are no
        shares and do not appear. A direct share counts at once, whatever delay hides it from lists; a resource share
        counts while what it needs is associated, as far as it follows the organization by now.
        """
        with self._lock:
            ecs, sharing, now = self._gateway.models.ecs, self._gateway.models.sharing, self.clock.now()
            if image is not None:
                images = {image}
            elif account is not None:
                images = {*ecs.received(account), *sharing.covering(account, now)}
            else:
                images = {*ecs.granted(), *sharing.coverage(now)}
            rows = []
            for one in sorted(images):
                direct, covered = ecs.grants(one), sharing.covered(one, now)
                everybody = direct.keys() | covered if account is None else {account}
                for who in sorted(everybody):
                    ways = [way for way, having in (("direct", direct), ("directory", covered)) if who in having]
                    if ways:
                        rows.append({"image": one, "account": who, "channels": ways})
            return rows

    def users(self) -> dict[str, frozenset[str]]:
        """Who can use each image, as `access` finds it, without a row for each pair: to look after every write."""
        # Thousands of images may have equal sets of thousands of accounts, so each union is made once.
        unions: dict[tuple[frozenset[str], ...], frozenset[str]] = {}
        found: dict[str, frozenset[str]] = {}
        for image, ways in self.channels().items():
            sets = tuple(ways.values())
            if len(sets) > 1 and sets not in unions:
                unions[sets] = frozenset().union(*sets)
            found[image] = unions[sets] if len(sets) > 1 else sets[0]
        return found

    def channels(self) -> dict[str, dict[str, frozenset[str]]]:
        """Image -> channel (`direct`, `directory`) -> who has it that way; what nobody has is left out."""
        with self._lock:
            ecs, sharing = self._gateway.models.ecs, self._gateway.models.sharing
            found = {image: {"direct": frozenset(grants)} for image, grants in ecs.granted().items()}
            for image, covered in sharing.coverage(self.clock.now()).items():
                found.setdefault(image, {})["directory"] = covered
            return found

    def world(self) -> World:
        """The state as a world from which the same cloud could start (without times, temporary keys and objects)."""
        with self._lock:
            models, world = self._gateway.models, self._gateway.world
            directory, outsiders = models.directory.document()
            images, grants = models.ecs.document()
            return World(
                directory=directory,
                outsiders=outsiders,
                access_keys=world.access_keys,
                roles={
                    arn: role for arn, role in models.identity.roles.items() if arn not in models.functions.stack.roles
                },
                policies=world.policies,
                images=images,
                grants=grants,
                resource_shares=models.sharing.share_documents(self.clock.now()),
                buckets=world.buckets,
                functions=world.functions,
                events=world.events,
                mailboxes=world.mailboxes,
                quotas=world.quotas,
                flow_control=world.flow_control,
                latency=world.latency,
                delays=world.delays,
                switches=world.switches,
                faults=world.faults,
                regions=world.regions,
                sites=world.sites,
            )

    def patch(self, part: Mapping[str, Any], *, source: str = "world") -> None:
        """Merge a part of a world (null removes, lists and `faults` replace); WorldError changes nothing.

        An account that is taken out of the members goes on existing outside; one that is put in comes from there.
        An image that is taken out is taken out of its resource shares, and what is put into a resource share is
        associated at once. A bucket that is taken out is gone with its objects; one whose owner or region is
        another starts empty.
        """
        with self._lock:
            if not isinstance(part, Mapping):
                raise WorldError(f"{source}: expected a mapping")
            before = self.world()
            document = merged(world_document(before), part)
            _check_versioning(before, document, source=source)
            _move_between(before, document)
            _take_out_of_shares(before, document)
            self._gateway.take(parse_world(document, source=source), new_faults="faults" in part)
            self._gateway.written()
        self._driver.wake()

    def advance(self, seconds: float) -> float:
        """Move the manual clock and say what time it is; TypeError if the clock is real.

        Whatever happens meanwhile happens in the order of its time, each with the clock at its moment, and is over
        when this returns.
        """
        if not isinstance(self.clock, ManualClock):
            raise TypeError("the clock is real; only a manual clock can be moved")
        return self._driver.advance(self.clock, seconds)

    def keys_for_service(self, service: str, role: str, *, name: str, seconds: int) -> Session:
        """The temporary key that a service (`fc.aliyuncs.com`) takes in a role for what it runs.

        The role has to trust the service: ApiError, NoPermission or EntityNotExist.Role, otherwise.
        """
        with self._lock:
            models = self._gateway.models
            return models.identity.assume_for_service(
                service, role, name, seconds=seconds, now=self.clock.now(), random=models.random
            )

    def on_write(self, callback: Callable[[LocalCloud], None]) -> None:
        """Call back with this cloud after every call that may have changed something, and after each patch.

        What is put into object storage or deleted there changes nothing of who can use what, so it is not among
        these calls.
        The state cannot change meanwhile. What the callback raises reaches the caller of `handle`; as SDKs turn
        any exception into a failed call, which a careful client survives, it is also kept in `broken`, and
        `in_process` raises it again at its end.
        """

        def call() -> None:
            try:
                callback(self)
            except Exception as problem:
                self.broken.append(problem)
                raise

        self._gateway.write_hooks.append(call)

    def on_request(self, callback: Callable[[LogEntry], None]) -> None:
        """Call back with the log entry of every request to a vendor API, refused ones included."""
        self._gateway.request_hooks.append(callback)


def _move_between(before: World, document: dict[str, Any]) -> None:
    """Accounts that left the directory are outside from now on, those that joined are not."""
    directory = document.get("directory")
    members = directory.get("members") if isinstance(directory, Mapping) else None
    inside = {key for key in members if isinstance(key, str)} if isinstance(members, Mapping) else set()
    if isinstance(directory, Mapping) and isinstance(directory.get("management"), str):
        inside.add(directory["management"])
    outsiders = document.get("outsiders", ())
    if not isinstance(outsiders, (list, tuple)):
        return
    left = sorted(
        set(before.accounts()) - set(before.outsiders) - inside - {one for one in outsiders if isinstance(one, str)}
    )
    joined = inside - before.accounts() | (inside & set(before.outsiders))
    document["outsiders"] = [*(one for one in outsiders if one not in joined), *left]


def _check_versioning(before: World, document: Mapping[str, Any], *, source: str) -> None:
    """Versioning can be suspended but not undone: https://www.alibabacloud.com/help/en/oss/user-guide/versioning."""
    buckets = document.get("buckets")
    for name, bucket in buckets.items() if isinstance(buckets, Mapping) else ():
        known = before.buckets.get(name)
        if known is None or known.versioning == "none" or not isinstance(bucket, Mapping):
            continue
        same = (bucket.get("owner"), bucket.get("region")) == (known.owner, known.region)
        if same and bucket.get("versioning", "none") == "none":
            raise WorldError(f"{source}: buckets.{name}.versioning: a bucket that had versioning stays suspended")


def _take_out_of_shares(before: World, document: dict[str, Any]) -> None:
    """Images that are gone are in no resource share."""
    images, shares = document.get("images", {}), document.get("resource_shares")
    if not isinstance(images, Mapping) or not isinstance(shares, Mapping):
        return
    gone = before.images.keys() - images.keys()
    for share in shares.values():
        if isinstance(share, dict) and isinstance(share.get("images"), (list, tuple)):
            share["images"] = [one for one in share["images"] if one not in gone]
