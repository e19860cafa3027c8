"""Trials with images of Elastic Desktop Service, in two regions, beside one of ECS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.support.trial import OTHER_REGION, OWNER, REGION, Trial, policy, rule, world

NEAR, NEAR_2, FAR = "m-desk-1", "m-desk-2", "m-desk-far"
DESKS = (NEAR, NEAR_2, FAR)
OWNERS = [{"account": OWNER, "regions": [REGION, OTHER_REGION]}]


def desk(name: str, **fields: Any) -> dict[str, Any]:
    return {"service": "eds", "owner": OWNER, "region": REGION, "name": name, **fields}


def desks(**changes: Any) -> dict[str, Any]:
    """Two images of Elastic Desktop Service in one region and one in another, and one of ECS."""
    images = {
        NEAR: desk("desk-1"),
        NEAR_2: desk("desk-2"),
        FAR: desk("desk-far", region=OTHER_REGION),
        "m-gold": {"owner": OWNER, "region": REGION, "name": "gold", "tags": {"share": "org"}},
    }
    return world(**{"images": {**images, **changes.pop("more_images", {})}, **changes})


def desk_rule(name: str = "desks", *, channel: str = "auto", **audience: Any) -> dict[str, Any]:
    return rule(name, {"service": "eds", "name": "desk-*"}, channel=channel, **audience)


def desk_policy(*rules: dict[str, Any], quotas: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    owners = [{**OWNERS[0], **({"quotas": dict(quotas)} if quotas else {})}]
    return policy(**{"owners": owners, "rules": list(rules) or [desk_rule(), rule()], **changes})


def crowd(count: int, **changes: Any) -> tuple[list[str], dict[str, Any]]:
    """So many members in prod beside the usual ones, in the order of their ids."""
    accounts = [str(4000000000000000 + number) for number in range(count)]
    document = desks(**changes)
    members = {account: {"name": f"n{account[-2:]}", "folder": "fd-prod"} for account in accounts}
    keep = {OWNER: document["directory"]["members"][OWNER]}
    document["directory"] = {**document["directory"], "members": {**keep, **members}}
    return accounts, document


def have(trial: Trial) -> dict[str, set[str]]:
    """Who can use each image of Elastic Desktop Service."""
    return {image: accounts for image, accounts in trial.access().items() if image.startswith("m-desk")}


def everywhere(*accounts: str) -> dict[str, set[str]]:
    return {image: set(accounts) for image in DESKS}
