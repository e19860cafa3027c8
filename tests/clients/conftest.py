"""A cloud behind a real socket for foreign clients, and an environment that names no proxy and no key."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from localcloud import LocalCloud
from localcloud.server import serving
from tests.support.cloud import BANK, LAB, MANAGEMENT, ONE, OWNER, PARTNER, SHOP, TWO, start, world

READER = f"acs:ram::{MANAGEMENT}:role/reader"


@pytest.fixture(autouse=True)
def _no_ambient_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("ALIBABA_CLOUD_", "ALICLOUD_")):
            monkeypatch.delenv(name)


def new_cloud() -> LocalCloud:
    """Three images, two of them shared, and a role of the management account; each such cloud is like the other."""
    return start(
        world(roles={READER: {"trusts": [OWNER]}}, grants={ONE: [SHOP, BANK, PARTNER], TWO: [SHOP, BANK, LAB]})
    )


@pytest.fixture
def cloud() -> LocalCloud:
    """Such a cloud."""
    return new_cloud()


@pytest.fixture
def url(cloud: LocalCloud) -> Iterator[str]:
    """The same cloud at a port."""
    with serving(cloud) as served:
        yield served
