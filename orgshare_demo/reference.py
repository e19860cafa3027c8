"""Who should be able to use what, and how, worked out a second time and in another way.

The story must not be checked by the program that it is about. So this reads the policy file and the local cloud's world
as plain data and imports nothing of either. It knows only the keys that the story's policy uses, and says so when it
meets another.

What can go wrong is a reference that asks too little: so it says for each pair the one channel that it should have,
and does not only count whether somebody can use something.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

KNOWN_RULE = {"name", "images", "audience", "channel"}
KNOWN_AUDIENCE = {"folders", "partners", "accounts"}
OUR_TAG = "orgshare:deployment"
"""A resource share without this tag was made by hand."""

Pair = tuple[str, str]


def wanted_access(policy: Mapping[str, Any], world: Mapping[str, Any]) -> dict[Pair, str]:
    """Pairs of image and account that the policy wants and that can be shared, each with its channel.

    A member has an image by the directory if any rule that wants it does not insist on direct grants, or if a resource
    share that was made by hand reaches it anyway; everybody else has it by a direct grant.
    """
    pairs: dict[Pair, str] = {}
    never = set(policy.get("never", {}).get("folders", ()))
    by_hand = _by_hand(world)
    for image, row in world["images"].items():
        plain = row.get("encryption", "none") == "none" and not row.get("public", False)
        if row.get("status", "Available") != "Available" or not plain:
            continue
        for rule in policy["rules"]:
            _refuse("rule", rule.keys() - KNOWN_RULE)
            if not _selects(rule["images"]["tags"], row.get("tags", {})):
                continue
            for account in _audience(rule["audience"], world, never) - {row["owner"]}:
                member = account in world["directory"]["members"]
                shared = member and (rule.get("channel", "auto") != "direct" or (image, account) in by_hand)
                if shared or (image, account) not in pairs:
                    pairs[image, account] = "directory" if shared else "direct"
    return pairs


def _selects(wanted: Mapping[str, Any], tags: Mapping[str, str]) -> bool:
    values = {key: value if isinstance(value, list) else [value] for key, value in wanted.items()}
    return all(tags.get(key) in allowed for key, allowed in values.items())


def _audience(audience: Mapping[str, Any], world: Mapping[str, Any], never: set[str]) -> set[str]:
    _refuse("audience", audience.keys() - KNOWN_AUDIENCE)
    members = world["directory"]["members"]
    above = {account: _folders_above(row.get("folder", "root"), world) for account, row in members.items()}
    named = {account for account, folders in above.items() if folders.intersection(audience.get("folders", ()))}
    named |= set(audience.get("accounts", ())) & members.keys()
    named |= {partner["account"] for partner in audience.get("partners", ())}
    return {account for account in named if never.isdisjoint(above.get(account, ()))}


def _by_hand(world: Mapping[str, Any]) -> set[Pair]:
    """What resource shares give that were made by hand; whether a folder reaches its subfolders, the world says."""
    pairs: set[Pair] = set()
    nested = world.get("switches", {}).get("nested_folder_targets", True)
    for share in world.get("resource_shares", {}).values():
        if OUR_TAG in share.get("tags", {}):
            continue
        targets = set(share["targets"])
        for account, row in world["directory"]["members"].items():
            folders = _folders_above(row.get("folder", "root"), world) if nested else {row.get("folder", "root")}
            if targets & {account, world["directory"]["id"], *folders}:
                pairs |= {(image, account) for image in share["images"]}
    return pairs


def _folders_above(folder: str, world: Mapping[str, Any]) -> set[str]:
    folders = {"root"}
    while folder != "root":
        folders.add(folder)
        folder = world["directory"]["folders"][folder]["parent"]
    return folders


def _refuse(where: str, unknown: Iterable[str]) -> None:
    for key in unknown:
        raise ValueError(f"the reference does not know the key {key} of a {where}")
