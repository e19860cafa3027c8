"""Settings from the environment, read once at the edge.

What can go wrong: a setting for a trial that stays in force. So a local cloud must be on the loopback, and every
command says which cloud it speaks to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from orgshare.alibaba.cloud import Credentials
from orgshare.alibaba.messages import Topic
from orgshare.errors import ConfigurationError
from orgshare.policy.model import MODES, Mode

POLICY = "ORGSHARE_POLICY"
MODE = "ORGSHARE_MODE"
LOCAL_CLOUD = "ORGSHARE_LOCAL_CLOUD"
LEASE_SECONDS = "ORGSHARE_LEASE"
NOTICES = "ORGSHARE_NOTICES"
WORKER = "ORGSHARE_WORKER"
KEY, SECRET, TOKEN = (
    "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "ALIBABA_CLOUD_SECURITY_TOKEN",
)
"""The names that the vendor's own credentials library reads, and that its runtimes set for a function.

https://help.aliyun.com/en/functioncompute/fc/context-1
"""

LEASE = 300.0
"""Seconds that a lease lives unless it is renewed, which happens three times as often."""

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Settings(Struct, frozen=True):
    """``policy`` is a file's path or ``oss://bucket/key``, ``local_cloud`` a URL or ``None`` for the real cloud.

    ``lease`` is how many seconds a lease lives unless it is renewed, ``notices`` where a person is told. ``mode``
    makes a run at least that careful, whatever the policy says: what a template deploys observes until somebody changes
    both. ``worker`` is the function that does the work of single shards, ``name`` or, of Function Compute 2.0,
    ``service/name``; without it that is done in this process. ``account`` and ``region`` are where this function runs,
    empty outside Function Compute.
    """

    policy: str
    local_cloud: str | None
    credentials: Credentials
    lease: float = LEASE
    notices: Topic | None = None
    mode: Mode = "enforce"
    worker: str | None = None
    account: str = ""
    region: str = ""


def read_settings(environment: Mapping[str, str], *, policy: str | None = None, context: Any = None) -> Settings:
    """The settings, a policy given by hand before the environment's. Raises ``ConfigurationError``.

    ``context`` is Function Compute's: its credentials are used where the environment has none. The Python 3.12
    runtime sets the environment only, older ones set both (https://help.aliyun.com/en/functioncompute/fc/context-1).
    """
    path = policy or environment.get(POLICY)
    if not path:
        raise ConfigurationError(f"no policy: give --policy FILE or set {POLICY}")
    return Settings(
        policy=path,
        local_cloud=_local_cloud(environment),
        credentials=_credentials(environment, context),
        lease=_lease(environment),
        notices=_notices(environment),
        mode=_mode(environment),
        worker=_worker(environment),
        account=str(getattr(context, "account_id", None) or ""),
        region=str(getattr(context, "region", None) or ""),
    )


def _local_cloud(environment: Mapping[str, str]) -> str | None:
    url = environment.get(LOCAL_CLOUD)
    if not url:
        return None
    try:
        parts = urlsplit(url)
        sound = parts.scheme == "http" and parts.hostname in LOOPBACK and parts.port and parts.path in {"", "/"}
    except ValueError:
        sound = False
    if not sound:
        raise ConfigurationError(f"{LOCAL_CLOUD}={url}: expected http://127.0.0.1:PORT, an address of this machine")
    return url.rstrip("/")


def _mode(environment: Mapping[str, str]) -> Mode:
    text = environment.get(MODE) or "enforce"
    for mode in MODES:
        if text == mode:
            return mode
    raise ConfigurationError(f"{MODE}={text}: expected one of {', '.join(MODES)}")


def _lease(environment: Mapping[str, str]) -> float:
    text = environment.get(LEASE_SECONDS)
    if not text:
        return LEASE
    if not text.isdecimal() or not 1 <= int(text) <= 86_400:
        raise ConfigurationError(f"{LEASE_SECONDS}={text}: expected whole seconds from 1 to 86400, such as 300")
    return float(text)


def _notices(environment: Mapping[str, str]) -> Topic | None:
    text = environment.get(NOTICES)
    try:
        return Topic.parse(text) if text else None
    except ValueError as error:
        raise ConfigurationError(f"{NOTICES}={text}: {error}") from error


def _worker(environment: Mapping[str, str]) -> str | None:
    name = environment.get(WORKER)
    if not name:
        return None
    if not re.fullmatch(r"([A-Za-z_][A-Za-z0-9_-]{0,127}/)?[A-Za-z_][A-Za-z0-9_$-]{0,127}", name):
        raise ConfigurationError(
            f"{WORKER}={name}: expected the name of a function, such as orgshare-worker, or SERVICE/FUNCTION for "
            "Function Compute 2.0"
        )
    return name


def _credentials(environment: Mapping[str, str], context: Any) -> Credentials:
    key, secret = environment.get(KEY), environment.get(SECRET)
    if key and secret:
        return Credentials(key, secret, environment.get(TOKEN) or None)
    given = getattr(context, "credentials", None)
    if given is not None and given.access_key_id and given.access_key_secret:
        return Credentials(given.access_key_id, given.access_key_secret, given.security_token or None)
    raise ConfigurationError(f"no credentials: set {KEY} and {SECRET} (and {TOKEN} for temporary ones)")
