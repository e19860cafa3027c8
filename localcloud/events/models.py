"""Who gets to know of what happened: buses with their rules, trails into buckets, notices of objects.

Events are told to the default bus of their account and region, and from there to the functions whose pattern lets them
pass. On the way they may get lost, come twice or late, as the world says: at least once and in no order is all that
the vendor promises. Trails collect audit records and write them into a bucket after their delay, which is an object
like any other, and is told of like any other.

Nothing is told while no function and no trail is there to hear of it.
"""

from __future__ import annotations

import gzip
import hashlib
import heapq
import itertools
import json
import random as random_module
import uuid
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from localcloud.ecs.models import EcsModel
from localcloud.errors import ApiError
from localcloud.events.records import Written, audit_record, call_event, image_event, object_event
from localcloud.fc.models import FunctionModel
from localcloud.oss.models import StorageModel
from localcloud.resourcemanager.models import DirectoryModel
from localcloud.world import VENDOR_OWNERS, Bucket, Events, Trail

_MEMBERSHIP = "resourcemanager"
_DESKTOPS = "ecd"
"""Its calls are recorded (https://www.alibabacloud.com/help/en/actiontrail/latest/ecd); no page says that EventBridge
has them."""
_TRAIL_TYPE = "application/gzip"
_NOWHERE = ("", "", "")


class EventModel:
    """Everything that is told, and has not arrived yet."""

    def __init__(
        self,
        *,
        ecs: EcsModel,
        directory: DirectoryModel,
        storage: StorageModel,
        functions: FunctionModel,
        random: random_module.Random,
    ) -> None:
        self.settings = Events()
        self._ecs = ecs
        self._directory = directory
        self._storage = storage
        self._functions = functions
        self._random = random
        self._numbers = itertools.count()
        self._on_the_way: list[tuple[float, int, str, Any]] = []
        self._states: dict[str, tuple[str, str, str]] = {}
        self._changing: dict[str, float] = {}
        self._collected: dict[tuple[str, str, str], list[dict[str, Any]]] = {}

    def begin(self, now: float) -> None:
        """Take the images as they are: of what was there before, nothing is told."""
        self._ecs.touched.clear()
        for image in self._ecs.images.values():
            self._states[image.id] = (image.status(now), image.spec.owner, image.spec.region)

    @property
    def _heard(self) -> bool:
        return bool(self._functions.stack.functions or self.settings.trails)

    # --- telling

    def tell_of_call(self, call: Written) -> None:
        """A call that was to change something was made."""
        if not self._heard:
            return
        settings = self.settings
        region = call.region or settings.membership_region
        record = audit_record(call, event_id=self._new_id(), with_answer=settings.answers)
        record["acsRegion"] = region
        self._collect(record, call.principal.account, region, call.now)
        if call.product.name != _DESKTOPS and (call.product.name != _MEMBERSHIP or settings.membership):
            event = call_event(call, record, event_id=self._new_id())
            event |= {"aliyunregionid": region, "subject": f"acs:{call.product.name}:{region}:{call.principal.account}"}
            self._send("bus", event, call.now)

    def tell_of_images(self, now: float) -> None:
        """Tell of every image that is in another state than when last told of."""
        touched = list(self._ecs.touched)
        self._ecs.touched.clear()
        touched += [one for one, due in self._changing.items() if due <= now]
        for image_id in dict.fromkeys(touched):
            self._changing.pop(image_id, None)
            image = self._ecs.images.get(image_id)
            before = self._states.get(image_id, _NOWHERE)
            if image is None:
                self._states.pop(image_id, None)
                after = ("Deleted", *before[1:])
            else:
                after = (image.status(now), image.spec.owner, image.spec.region)
                self._states[image_id] = after
                moments = [due for due in (image.starts, image.ready) if due > now]
                if moments:
                    self._changing[image_id] = min(moments)
            if after != before and (image is not None or before != _NOWHERE):
                self._tell_of_image(image_id, after, now)

    def tell_of_object(
        self, name: str, bucket: Bucket, place: tuple[str, str], *, principal: str, request_id: str, now: float
    ) -> None:
        """An object was made or removed: `ObjectCreated:PutObject` of (bucket, key)."""
        where, key = place
        wanted = [one for one in self._functions.stack.objects if one.wants(name, where, key)]
        if not wanted:
            return
        thing = self._storage.thing(where, key)
        for trigger in wanted:
            event = object_event(
                name,
                bucket=where,
                owner=bucket.owner,
                region=bucket.region,
                key=key,
                etag=thing.etag if thing is not None else "",
                size=len(thing.content) if thing is not None else 0,
                principal=principal,
                request_id=request_id,
                rule=trigger.name,
                now=now,
            )
            self._send("object", (trigger, event), now)

    def _tell_of_image(self, image: str, state: tuple[str, str, str], now: float) -> None:
        status, owner, region = state
        if self._heard and owner not in VENDOR_OWNERS:
            self._send("bus", image_event(image, status, owner, region, event_id=self._new_id(), now=now), now)

    def _send(self, kind: str, what: Any, now: float) -> None:
        """Put on the way, if it does not get lost, once or twice."""
        settings, random = self.settings, self._random
        if settings.lose and random.random() < settings.lose:
            return
        copies = 2 if settings.duplicate and random.random() < settings.duplicate else 1
        for _ in range(copies):
            heapq.heappush(self._on_the_way, (now + settings.delay, next(self._numbers), kind, what))

    # --- arriving

    def next_due(self) -> float | None:
        """When something arrives, or an image is in another state, next."""
        first = [self._on_the_way[0][0]] if self._on_the_way else []
        changing = list(self._changing.values()) if self._heard else []
        return min([*first, *changing], default=None)

    def deliver(self, now: float) -> None:
        """Let arrive what is due."""
        self.tell_of_images(now)
        while self._on_the_way and self._on_the_way[0][0] <= now:
            _, _, kind, what = heapq.heappop(self._on_the_way)
            if kind == "bus":
                self._arrive(what, now)
            elif kind == "object":
                trigger, event = what
                self._functions.enqueue_from_storage(trigger, json.dumps(event).encode(), now=now)
            else:
                self._write_trail(what, now)

    def _arrive(self, event: Mapping[str, Any], now: float) -> None:
        """An event is on its bus: its rules, and its way to another account's bus, see it."""
        account, region = event["aliyunaccountid"], event["aliyunregionid"]
        stack = self._functions.stack
        if (account, region) == (stack.account, stack.region):
            for rule in stack.buses:
                if rule.pattern.matches(event):
                    text = json.dumps(event).encode()
                    self._functions.enqueue_from_bus(
                        rule.function,
                        text,
                        self._functions.request_id(),
                        trigger=rule.name,
                        asynchronous=rule.asynchronous,
                        retry=rule.retry,
                        now=now,
                    )
        receiver = self.settings.forward.get(account)
        if receiver is not None and event["aliyunoriginalaccountid"] == account:
            self._arrive({**event, "aliyunaccountid": receiver}, now)

    # --- trails

    def _collect(self, record: dict[str, Any], account: str, region: str, now: float) -> None:
        for name, trail in self.settings.trails.items():
            inside = trail.organization and account in self._directory.truth.members
            if not inside and account != trail.account:
                continue
            key = (name, account, region)
            if key not in self._collected:
                self._collected[key] = []
                heapq.heappush(self._on_the_way, (now + trail.delay, next(self._numbers), "trail", key))
            self._collected[key].append(record)

    def _write_trail(self, key: tuple[str, str, str], now: float) -> None:
        """Where files of a trail lie, and what they are called:

        https://alibabacloud.com/help/en/actiontrail/support/what-is-the-storage-path-of-an-event-that-is-delivered-to-an-oss-bucket
        """
        name, account, region = key
        records = self._collected.pop(key)
        trail = self.settings.trails.get(name)
        try:
            bucket = self._storage.bucket_named(trail.bucket) if trail is not None else None
        except ApiError:
            bucket = None
        if trail is None or bucket is None:
            return
        content = gzip.compress(json.dumps(records).encode(), mtime=0)
        path = self._path(trail, account, region, records, content, now)
        self._storage.put_thing(trail.bucket, path, content, _TRAIL_TYPE, new=False, now=now)
        self.tell_of_object(
            "ObjectCreated:PutObject",
            bucket,
            (trail.bucket, path),
            principal=trail.account,
            request_id=self._new_id(),
            now=now,
        )

    def _path(
        self, trail: Trail, account: str, region: str, records: list[dict[str, Any]], content: bytes, now: float
    ) -> str:
        day = datetime.fromtimestamp(now, timezone.utc)
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        organization = (self._directory.id, account) if trail.organization else ()
        parts = (
            *([trail.prefix] if trail.prefix else []),
            "AliyunLogs",
            "Actiontrail",
            *organization,
            region,
            f"{day:%Y/%m/%d}",
            f"Actiontrail_{region}_{day:%Y%m%d%H%M%S}_1002_{len(records)}_{len(content)}_{md5}.gz",
        )
        return "/".join(parts)

    def _new_id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))
