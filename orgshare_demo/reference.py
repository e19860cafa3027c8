"""Who should be able to use what, worked out a second time and in another way.

The story must not be checked by the program that it is about. So this reads the policy file and the local cloud's world
as plain data and imports nothing of either. It knows only the keys that the story's policy uses, and says so when it
meets another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KNOWN_AUDIENCE = {"folders", "partners", "accounts"}


def wanted_access(policy: Mapping[str, Any], world: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Pairs of image and account that the policy wants and that can be shared directly."""
    pairs: set[tuple[str, str]] = set()
    never = set(policy.get("never", {}).get("folders", ()))
    for image, row in world["images"].items():
        plain = row.get("encryption", "none") == "none" and not row.get("public", False)
        if row.get("status", "Available") != "Available" or not plain:
            continue
        for rule in policy["rules"]:
            if all(row.get("tags", {}).get(key) == value for key, value in rule["images"]["tags"].items()):
                accounts = _audience(rule["audience"], world, never) - {row["owner"]}
                pairs |= {(image, account) for account in accounts}
    return pairs


def _audience(audience: Mapping[str, Any], world: Mapping[str, Any], never: set[str]) -> set[str]:
    unknown = audience.keys() - KNOWN_AUDIENCE
    if unknown:
        raise ValueError(f"the reference does not know the key {unknown.pop()}")
    members = world["directory"]["members"]
    above = {account: _folders_above(row["folder"], world) for account, row in members.items()}
    named = {account for account, folders in above.items() if folders.intersection(audience.get("folders", ()))}
    named |= set(audience.get("accounts", ())) & members.keys()
    named |= {partner["account"] for partner in audience.get("partners", ())}
    return {account for account in named if never.isdisjoint(above.get(account, ()))}


def _folders_above(folder: str, world: Mapping[str, Any]) -> set[str]:
    folders = {"root"}
    while folder != "root":
        folders.add(folder)
        folder = world["directory"]["folders"][folder]["parent"]
    return folders
