"""Clients, credentials and roles: everything that is reached with one set of credentials.

Each account is reached through its own role if the policy names one. Temporary credentials that are about to expire
are renewed before the call that would use them, so however long a run is, no call is made with credentials that are
over. A local cloud is reached as an HTTP proxy, so the SDKs' own
endpoint rules stay in use.

What can go wrong: credentials in a log. Nothing here puts a key or token into a message.
"""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from types import MappingProxyType, SimpleNamespace
from typing import Any

from msgspec import Struct

from orgshare import __version__
from orgshare.alibaba.calls import OURSELVES, Calls, Lane, required
from orgshare.alibaba.desktops import EcdImages, desktop_client
from orgshare.alibaba.desktops import regions as desktop_regions
from orgshare.alibaba.directory import ResourceDirectory
from orgshare.alibaba.images import EcsImages, regions
from orgshare.alibaba.roles import SharingRoles
from orgshare.alibaba.shares import ResourceShares, sharing_client
from orgshare.policy.model import Policy
from orgshare.ports import (
    BeforeCall,
    Directory,
    ImageService,
    PagedImages,
    RegionalImages,
    RoleService,
    ShareService,
    at_once,
)
from orgshare.words import Shard, desktops_of

ROLE_SESSION = timedelta(hours=1)
RENEW_BEFORE = timedelta(minutes=10)

CENTRAL_REGION = "cn-hangzhou"
"""The region named where a service has one central endpoint."""

CONNECT_TIMEOUT, READ_TIMEOUT = 5_000, 10_000
"""Milliseconds, as the SDK takes them."""


def silence_sdks() -> None:
    """Keep the SDKs from printing requests with their signatures, as ``DEBUG=sdk`` in an environment makes them do."""
    for name in ("darabonba-core", "Tea", "alibabacloud_credentials", "urllib3"):
        logger = logging.getLogger(name)
        if _say_nothing not in logger.filters:
            logger.addFilter(_say_nothing)


def _say_nothing(_: logging.LogRecord) -> bool:
    return False


SDKS: Mapping[str, str] = MappingProxyType(
    {
        "ecd": "alibabacloud_ecd20200930.client",
        "ecs": "alibabacloud_ecs20140526.client",
        "fc": "alibabacloud_fc20230330.client",
        "fc2": "fc2",
        "oss": "alibabacloud_oss_v2",
        "ram": "alibabacloud_ram20150501.client",
        "resourcemanager": "alibabacloud_resourcemanager20200331.client",
        "resourcesharing": "alibabacloud_resourcesharing20200110.client",
        "sts": "alibabacloud_sts20150401.client",
    }
)
"""The module of each product's SDK whose import is what takes the time."""


def load_sdks(products: Iterable[str]) -> None:
    """Import the SDKs of these products, which takes most of a second, before the first call needs them."""
    for product in products:
        importlib.import_module(SDKS[product])


class Credentials(Struct, frozen=True):
    """An access key, temporary if it has a token. Its text form shows nothing of it."""

    key: str
    secret: str
    token: str | None = None
    expires: datetime | None = None

    def __repr__(self) -> str:
        return "Credentials(…)"


class _Renewed:
    """What the SDK asks for the credentials of each call: those that are good now."""

    def __init__(self, now: Callable[[], Credentials]) -> None:
        self._now = now

    def get_credential(self) -> Any:
        """The credentials, with the fields that the SDK reads."""
        known = self._now()
        return SimpleNamespace(
            type="sts" if known.token else "access_key",
            access_key_id=known.key,
            access_key_secret=known.secret,
            security_token=known.token,
            provider_name=None,
        )


class AlibabaCloud:
    """``ports.Cloud``. One object serves one run, from any number of threads.

    ``calls`` may serve other calls of the run too: what is counted and paced is counted and paced for all of them.
    """

    def __init__(
        self,
        policy: Policy,
        credentials: Credentials,
        *,
        local_cloud: str | None,
        run: str,
        now: Callable[[], datetime],
        calls: Calls,
    ) -> None:
        silence_sdks()
        self._policy = policy
        self._credentials = credentials
        self._local_cloud = local_cloud
        self._run = run
        self._agent = f"orgshare/{__version__} run/{run}"
        self._session = f"orgshare-{run}"
        self._now = now
        self._calls = calls
        self._roles: dict[str, Credentials] = {}
        self._who: tuple[str, str] | None = None
        self._desktop_images: dict[str, dict[str, str]] = {}
        self._desktop_regions: dict[str, tuple[str, ...]] = {}
        self._lock = threading.RLock()

    def calls(self) -> Mapping[str, int]:
        """How often each operation was called so far."""
        return self._calls.counts()

    def lacking(self) -> tuple[str, ...]:
        """The permissions that calls were refused for so far."""
        return self._calls.lacking()

    def caller(self) -> str:
        """The account and principal whose credentials these are."""
        return self._identity()[1]

    def account(self) -> str:
        """The account whose credentials these are."""
        return self._identity()[0]

    def directory(self) -> Directory:
        """The organization, through its reader role if the policy names one."""
        from alibabacloud_resourcemanager20200331.client import Client

        lane = self._calls.lane(
            self._policy.directory.account, CENTRAL_REGION, who=self._policy.directory.role or OURSELVES
        )
        return ResourceDirectory(Client(self._config(self._policy.directory.role, CENTRAL_REGION)), lane)

    def images(self, shard: Shard, *, before_write: BeforeCall = at_once) -> ImageService:
        """The images of one shard, through the owner's role if the policy names one."""
        if shard.service == "eds":
            return self.desktop_images(shard.owner, before_write=before_write)
        return self.ecs_images(shard, before_write=before_write)

    def ecs_images(self, shard: Shard, *, before_write: BeforeCall = at_once) -> PagedImages:
        """The same of a shard of ECS."""
        lane = self._lane(shard.owner, shard.region, before_write)
        return EcsImages(self._ecs(shard.owner, shard.region), lane, shard)

    def desktop_images(self, owner: str, *, before_write: BeforeCall = at_once) -> RegionalImages:
        """The same of an owner's Elastic Desktop Service."""

        def regional(region: str) -> tuple[Any, Lane]:
            return self._desktop(owner, region, before_write)

        places = self._desktop_images.setdefault(owner, {})
        regions = self.desktop_regions(owner)
        elsewhere = [region for region in self._with_desktops(owner) if region not in regions]
        return EcdImages(regional, desktops_of(owner), regions, places, elsewhere=elsewhere)

    def shares(self, shard: Shard, *, before_write: BeforeCall = at_once) -> ShareService:
        """The resource shares of one shard, through the owner's role if the policy names one."""
        config = self._config(self._policy.owner(shard.owner).role, shard.region)
        return ResourceShares(sharing_client(config), self._lane(shard.owner, shard.region, before_write))

    def role(self, owner: str, *, before_write: BeforeCall = at_once) -> RoleService:
        """The sharing role of an owner, through the owner's role if the policy names one."""
        from alibabacloud_ram20150501.client import Client

        config = self._config(self._policy.owner(owner).role, CENTRAL_REGION)
        return SharingRoles(Client(config), self._lane(owner, CENTRAL_REGION, before_write))

    def read_object(self, bucket: str, name: str, *, region: str | None, most: int) -> bytes | None:
        """A file of a trail that was put into a bucket."""
        from orgshare.alibaba.storage import TRAIL, ObjectStorage  # it builds on this module

        storage = ObjectStorage(
            bucket,
            "",
            credentials=self._credentials,
            calls=self._calls,
            run=self._run,
            local_cloud=self._local_cloud,
            region=region or "",
            called=f"trail file oss://{bucket}/{name}",
            use=TRAIL,
        )
        try:
            return storage.get(name, most=most)
        finally:
            storage.close()

    def regions(self, owner: str) -> tuple[str, ...]:
        """The regions that the owner's account has."""
        return regions(self._ecs(owner, CENTRAL_REGION), self._lane(owner, CENTRAL_REGION, at_once))

    def desktop_regions(self, owner: str) -> tuple[str, ...]:
        """Of the owner's regions those that have Elastic Desktop Service."""
        wanted = self._policy.owner(owner).regions
        return tuple(region for region in self._with_desktops(owner) if wanted is None or region in wanted)

    def _with_desktops(self, owner: str) -> tuple[str, ...]:
        """All regions that have the service; asked for once a run."""
        with self._lock:
            if owner not in self._desktop_regions:
                client, lane = self._desktop(owner, CENTRAL_REGION, at_once)
                self._desktop_regions[owner] = desktop_regions(client, lane, CENTRAL_REGION)
            return self._desktop_regions[owner]

    def _desktop(self, owner: str, region: str, before_write: BeforeCall) -> tuple[Any, Lane]:
        config = self._config(self._policy.owner(owner).role, region)
        return desktop_client(config), self._lane(owner, region, before_write)

    def _lane(self, owner: str, region: str, before_write: BeforeCall) -> Lane:
        who = self._policy.owner(owner).role or OURSELVES
        return self._calls.lane(owner, region, who=who, before_write=before_write)

    def _identity(self) -> tuple[str, str]:
        """Account and ARN of our own credentials, asked for once a run."""
        with self._lock:
            if self._who is None:
                self._who = self._ask_who()
            return self._who

    def _ask_who(self) -> tuple[str, str]:
        from alibabacloud_sts20150401.client import Client

        operation = "sts:GetCallerIdentity"
        client = Client(self._config(None, CENTRAL_REGION))

        def call() -> tuple[str, str]:
            body = required(client.get_caller_identity().body, operation, "a body")
            return str(required(body.account_id, operation, "AccountId")), str(required(body.arn, operation, "Arn"))

        return self._calls.lane("", CENTRAL_REGION).read(operation, call)

    def _ecs(self, owner: str, region: str) -> Any:
        from alibabacloud_ecs20140526.client import Client

        return Client(self._config(self._policy.owner(owner).role, region))

    def _as(self, role: str | None) -> Credentials:
        """Credentials of a role, assumed anew when they are about to expire; our own if there is no role."""
        if role is None:
            return self._credentials
        with self._lock:
            known = self._roles.get(role)
            if known is None or known.expires is None or known.expires - self._now() < RENEW_BEFORE:
                known = self._roles[role] = self._assume(role)
            return known

    def _assume(self, role: str) -> Credentials:
        from alibabacloud_sts20150401 import models
        from alibabacloud_sts20150401.client import Client

        operation = "sts:AssumeRole"
        client = Client(self._config(None, CENTRAL_REGION))
        request = models.AssumeRoleRequest(
            role_arn=role,
            role_session_name=self._session,
            duration_seconds=int(ROLE_SESSION.total_seconds()),
        )

        def call() -> Credentials:
            body = required(client.assume_role(request).body, operation, "a body")
            given = required(body.credentials, operation, "Credentials")
            expires = required(given.expiration, operation, "Expiration")
            return Credentials(
                key=required(given.access_key_id, operation, "AccessKeyId"),
                secret=required(given.access_key_secret, operation, "AccessKeySecret"),
                token=required(given.security_token, operation, "SecurityToken"),
                expires=datetime.strptime(expires, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc),
            )

        return self._calls.lane("", CENTRAL_REGION).read(operation, call, on=role)

    def _config(self, role: str | None, region: str) -> Any:
        """How a client calls as a role, or with our own credentials. The role is taken at once, so that whoever opens
        something is told where it cannot be."""
        from alibabacloud_tea_openapi.utils_models import Config

        self._as(role)
        return Config(
            credential=_Renewed(lambda: self._as(role)),
            region_id=region,
            user_agent=self._agent,
            protocol="http" if self._local_cloud else "https",
            http_proxy=self._local_cloud,
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
        )
