"""The official SDKs as a program would use them beyond single calls: asynchronously, and with a session of a role.

That they can call every operation, in three ways, is tested in tests/localcloud.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest
from alibabacloud_ecs20140526 import models as ecs_models

from localcloud import LocalCloud
from tests.clients.conftest import READER
from tests.clients.running import oracle
from tests.support.cloud import BANK, LAB, ONE, PARTNER, REGION, SHOP, THREE, TWO, Clients, channels

AFTERWARDS = {ONE: {LAB, PARTNER}, TWO: {BANK, LAB, PARTNER}, THREE: {SHOP, BANK, LAB, PARTNER}}


@pytest.mark.parametrize("through", ["proxy", "endpoint"])
def test_asynchronous_calls(cloud: LocalCloud, url: str, through: str) -> None:
    """Three images change at once through the SDK's asynchronous client, which has an HTTP library of its own."""
    config = {"http_proxy": url} if through == "proxy" else {"endpoint": urlsplit(url).netloc}
    client = Clients(**config).ecs
    changes: dict[str, dict[str, list[str]]] = {
        ONE: {"add_account": [LAB], "remove_account": [SHOP, BANK]},
        TWO: {"add_account": [PARTNER], "remove_account": [SHOP]},
        THREE: {"add_account": [SHOP, BANK, LAB, PARTNER]},
    }

    async def change() -> None:
        requests = [
            ecs_models.ModifyImageSharePermissionRequest(region_id=REGION, image_id=image_id, **accounts)
            for image_id, accounts in changes.items()
        ]
        await asyncio.gather(*(client.modify_image_share_permission_async(request) for request in requests))

    asyncio.run(change())
    assert channels(cloud) == oracle(url) == AFTERWARDS


def test_a_session_of_a_role_over_a_socket(url: str) -> None:
    """Temporary keys sign calls that list the organization; the owner's own keys may not."""
    session = Clients(http_proxy=url).assume(READER)
    assert {row["AccountId"] for row in session.accounts()} >= {SHOP, BANK, LAB}
    assert session.sts.get_caller_identity().body.identity_type == "AssumedRoleUser"
