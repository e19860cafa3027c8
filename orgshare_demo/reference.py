"""Who should be able to use what, and how, worked out a second time and in another way.

The story must not be checked by the program that it is about. So this reads the policy file and the local cloud's world
as plain data and imports nothing of either. It knows only the keys that the story's policy uses, and says so when it
meets another.

What can go wrong is a reference that asks too little: so it says for each pair the one channel that it should have,
and does not only count whether somebody can use something. Who can use an encrypted image is not told by who has it:
so it says as well who needs the owner's key and whom the sharing role lets use it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

KNOWN_RULE = {"name", "images", "audience", "channel", "encrypted"}
KNOWN_IMAGES = {"service", "name", "tags"}
KNOWN_AUDIENCE = {"folders", "partners", "accounts"}
OUR_TAG = "orgshare:deployment"
"""A resource share without this tag was made by hand."""

SHARING_ROLE = "AliyunECSShareEncryptImageDefaultRole"
ECS_OF = "@ecs.aliyuncs.com"

Pair = tuple[str, str]


def wanted_access(policy: Mapping[str, Any], world: Mapping[str, Any]) -> dict[Pair, str]:
    """Pairs of image and account that the policy wants and that can be shared, each with its channel.

    A member has an image by the directory if any rule that wants it does not insist on direct grants, or if a resource
    share that was made by hand reaches it anyway; everybody else has it by a direct grant. Only images of ECS that are
    not encrypted go into resource shares. Nobody is to have an image that is retired.
    """
    pairs: dict[Pair, str] = {}
    never = set(policy.get("never", {}).get("folders", ()))
    by_hand = _by_hand(world)
    for image, row in world["images"].items():
        if row.get("status", "Available") != "Available" or row.get("public", False) or _retired(policy, row):
            continue
        for rule in policy["rules"]:
            _refuse("rule", rule.keys() - KNOWN_RULE)
            if not _selects(rule["images"], row) or not _may_share(rule, row):
                continue
            by_rule = _goes_into_shares(row) and rule.get("channel", "auto") != "direct"
            for account in _audience(rule["audience"], world, never) - {row["owner"]}:
                shared = (image, account) in by_hand or (by_rule and account in world["directory"]["members"])
                if shared or (image, account) not in pairs:
                    pairs[image, account] = "directory" if shared else "direct"
    return pairs


def needing_the_key(pairs: Iterable[Pair], world: Mapping[str, Any]) -> set[str]:
    """The accounts that have an encrypted image, and so need its owner's key."""
    return {account for image, account in pairs if _encryption(world["images"][image]) != "none"}


def let_in(world: Mapping[str, Any]) -> set[str]:
    """The accounts whose ECS the sharing role of the owner lets use its keys."""
    (role,) = (row for arn, row in world["roles"].items() if arn.endswith(f":role/{SHARING_ROLE}"))
    statements = role.get("trust_policy", {}).get("Statement", ())
    named = {name for one in statements for name in one["Principal"].get("Service", ())}
    return {name.removesuffix(ECS_OF) for name in named if name.endswith(ECS_OF)}


def _selects(images: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether a rule speaks of an image; of one of ECS unless it names another service."""
    _refuse("selection of images", images.keys() - KNOWN_IMAGES)
    service = row.get("service", "ecs") == images.get("service", "ecs")
    return service and fnmatchcase(row["name"], images.get("name", "*")) and _has(row, images.get("tags", {}))


def _retired(policy: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    return "retire" in policy and _has(row, policy["retire"]["tags"])


def _has(row: Mapping[str, Any], tags: Mapping[str, Any]) -> bool:
    values = {key: value if isinstance(value, list) else [value] for key, value in tags.items()}
    return all(row.get("tags", {}).get(key) in allowed for key, allowed in values.items())


def _may_share(rule: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Under the service's own key an image is shared with nobody, under one of its owner if the rule says so."""
    return _encryption(row) == "none" or (_encryption(row) == "cmk" and rule.get("encrypted") == "authorize")


def _goes_into_shares(row: Mapping[str, Any]) -> bool:
    return row.get("service", "ecs") == "ecs" and _encryption(row) == "none"


def _encryption(row: Mapping[str, Any]) -> str:
    return str(row.get("encryption", "none"))


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
