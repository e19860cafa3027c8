"""Stories: plain data that says all that happens, made from a seed, told in lines that a person and a program can read.

Nothing in a story depends on what the program does, so it can be cut anywhere and performed again: a step that makes
no sense in its place (an account leaves that is not there) is passed over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

MANAGEMENT = "1000000000000001"
OWNER = "1000000000000002"
OWNER_2 = "1000000000000003"
A, B, C, D, E = (f"100000000000001{n}" for n in range(5))
MEMBERS = (A, B, C, D, E)
CROWD = tuple(f"100000000000002{n}" for n in range(9))
NEWCOMERS = ("4000000000000001", "4000000000000002")
PARTNER = "2000000000000001"
STRANGER = "3000000000000001"
UNKNOWN = "9000000000000009"
REGION, FAR = "cn-hangzhou", "ap-southeast-1"

FOLDERS = {"fd-prod": "root", "fd-eu": "fd-prod", "fd-south": "fd-eu", "fd-test": "root"}
SPARE = ("fd-new1", "fd-new2")
IMAGES = ("m-gold", "m-silver", "m-bronze")
FAR_IMAGES = ("m-far1", "m-far2", "m-far3")
OTHER_IMAGES = ("m-own1", "m-own2", "m-own3")
SEALED = ("m-silver", "m-far1", "m-own1")
"""Images that are encrypted with a key of their owner in stories that have such; "m-bronze" may be so, too."""

BASE_ROLE = {
    "Version": "1",
    "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ecs.aliyuncs.com"}},
    ],
}
"""What a person made of a sharing role: nothing of it is about accounts."""

DESKS = ("m-desk1", "m-desk2")
FAR_DESK, OTHER_DESK, SECRET_DESK, THEIR_DESK = "m-desk3", "m-desk4", "m-desk5", "m-desk6"
"""Images of Elastic Desktop Service: of the owner in either region, of another owner, encrypted, received."""

SETTLE = 16 * 60

AUDIENCES: tuple[dict[str, Any], ...] = (
    {"folders": ["root"]},
    {"folders": ["fd-prod"]},
    {"folders": ["fd-prod"]},
    {"folders": ["fd-prod", "fd-test"]},
    {"folders": ["fd-test"]},
    {"folders": ["root"], "except": {"folders": ["fd-eu"]}},
    {"folders": ["fd-prod"], "except": {"accounts": [B]}},
    {"folders": ["fd-prod"], "except": {"folders": ["fd-south"]}},
    {"folders": ["root"], "except": {"accounts": [A], "accept_moves": True}},
    {"folders": ["root"], "account_tags": {"env": "prod"}},
    {"accounts": [A, C, D]},
    {"accounts": [A, B]},
    {"folders": ["fd-eu"], "accounts": [D], "partners": [PARTNER]},
    {"partners": [{"account": PARTNER, "name": "Globex", "until": "2026-11-22"}], "accounts": [E]},
    {"folders": ["fd-pord"], "accounts": [B, C]},
    {"accounts": [A, MANAGEMENT, UNKNOWN]},
)
"""What rules name: whole folders, parts of folders, accounts, partners, and slips of the keyboard."""

CHANNELS = ("auto", "auto", "directory", "direct", "direct")
SELECTIONS: tuple[dict[str, Any], ...] = (
    {"tags": {"share": "org"}},
    {"tags": {"share": "org"}},
    {"ids": ["m-gold"]},
    {"ids": ["m-silver", "m-bronze", "m-far1"]},
    {"name": "*o*"},
    {"tags": {"share": "org"}, "region": REGION},
)
DESK_SELECTIONS: tuple[dict[str, Any], ...] = (
    {"service": "eds", "name": "desk*"},
    {"service": "eds", "name": "desk*"},
    {"service": "eds", "ids": ["m-desk2", "m-desk3"]},
    {"service": "eds", "ids": ["m-desk2", "m-desk4"]},
    {"service": "eds", "name": "*", "region": REGION},
    {"service": ["ecs", "eds"], "name": ["*o*", "desk*"]},
)
SCOPES = ("account", "region", "image")
"""Within what the quota of Elastic Desktop Service is counted: over all regions, in each, or for each image."""

WIDE = {"lost_pairs": 10**6, "lost_percent": 100, "departed": {"accounts": 10**6, "percent": 100}, "window": "24h"}
LIMITS: tuple[dict[str, Any], ...] = (
    WIDE,
    WIDE,
    {**WIDE, "lost_pairs": 0},
    {**WIDE, "lost_pairs": 1, "window": "1h"},
    {**WIDE, "lost_pairs": 3},
    {**WIDE, "lost_percent": 0},
    {**WIDE, "lost_percent": 30},
    {**WIDE, "departed": {"accounts": 0, "percent": 100}},
    {**WIDE, "departed": {"accounts": 1, "percent": 100}},
    {**WIDE, "departed": {"accounts": 10**6, "percent": 0}},
)
NEVERS: tuple[dict[str, Any], ...] = (
    {}, {}, {}, {"folders": ["fd-south"]}, {"accounts": [C]}, {"accounts": [UNKNOWN]}, {"folders": ["fd-gone"]},
)  # fmt: skip
SWITCHES: Mapping[str, tuple[Any, ...]] = {
    "covered_in_permission_list": (False, True),
    "covered_count_to_quota": (False, True),
    "covered_block_delete": (False, True),
    "covered_self_shared": (True, False),
    "management_covered": (False, True),
    "nested_folder_targets": (True, False),
    "root_folder_target": ("refused", "accepted"),
    "repeated_association": ("ok", "error"),
    "partial_association": ("none", "some"),
    "remove_unshared": ("ok", "error"),
    "is_self_shared": ("bool", "string", "absent"),
    "management_in_lists": (False, True),
    "repeated_add": ("ok", "error", "refresh"),
    "over_ten": ("first", "ignored"),
    "add_and_remove": ("add", "remove"),
    "partial_apply": ("none", "some"),
    "deprecated_removal": ("ok", "error"),
    "disk_encryption_shown": (False, True),
    "aliyun_id": ("string", "number"),
    "bucket_elsewhere": ("AccessDenied", "PermanentRedirect"),
    "eds_beyond_cap": ("first", "ignored", "error"),
    "eds_several_at_once": ("accepted", "refused"),
    "eds_received_type": ("CUSTOM", "SHARED"),
    "encrypted_snapshots_listed": (True, False),
    "share_role_permission": ("checked", "unchecked"),
}
"""Every switch of the local cloud and its positions."""

READS = (
    "resourcemanager:ListAccounts",
    "resourcemanager:ListAccounts",
    "resourcemanager:GetAccount",
    "resourcemanager:ListFoldersForParent",
    "ecs:DescribeImages",
    "ecs:DescribeImageSharePermission",
    "ecs:DescribeImageSharePermission",
    "resourcesharing:ListResourceShares",
    "resourcesharing:ListResourceShareAssociations",
)
CALLS = (
    "*", "ecs:ModifyImageSharePermission", "resourcesharing:AssociateResourceShare",
    "resourcesharing:DisassociateResourceShare", "resourcesharing:CreateResourceShare", "ecs:*",
)  # fmt: skip
DESK_READS = ("ecd:DescribeImages", "ecd:DescribeImagePermission", "ecd:DescribeImagePermission")
SEALED_READS = ("ram:GetRole", "ecs:DescribeSnapshots", "ecs:DescribeSnapshots")
SEALED_CALLS = ("ram:UpdateRole", "ram:*")
DESK_CALLS = ("ecd:ModifyImagePermission", "ecd:*")
COPY_CALLS = ("ecs:CopyImage", "ecs:CopyImage")
COPY_KEY = "key-far"
PLACES = tuple(
    f"{when} {place}"
    for place in (
        "ecs:ModifyImageSharePermission",
        "ecd:ModifyImagePermission",
        "ecs:CopyImage",
        "ram:UpdateRole",
        "put roles",
        "resourcesharing:CreateResourceShare",
        "resourcesharing:AssociateResourceShare",
        "resourcesharing:DisassociateResourceShare",
        "put shards",
        "put guard",
        "put organization",
        "put history",
        "put runs",
        "delete shards",
    )
    for when in ("before", "after")
)
"""Where a run may die: before and after each kind of write, to the cloud and to the state."""
LIES = ("truncated-page", "empty-list", "wrong-total", "missing-field", "malformed")
FAILURES = ("no-answer", "lost-answer", "throttle", "error")
FAULTS = (*LIES, *FAILURES)

Step = dict[str, Any]


def is_silent(operation: str, fault: str) -> bool:
    """Whether a list does not show that it lies: an empty one never does, a short one where it has no total."""
    without_total = _by_token(operation) or operation.startswith("ecd:")
    return fault == "empty-list" or (fault == "truncated-page" and without_total)


def _by_token(operation: str) -> bool:
    return operation.startswith(("resourcesharing:", "*"))


def _struck(operation: str, fault: str, every: int) -> dict[str, Any]:
    """A fault, as a story has it.

    Rows of resource shares have no total and can be asked for in no other way than by their list, whole or for one row.
    One that left out the same in every answer would be the truth for everybody, people too: so it lies every second
    time at most.
    """
    every = max(every, 2) if is_silent(operation, fault) and _by_token(operation) else every
    return {"operation": operation, "fault": fault, "every": every}


@dataclass(frozen=True)
class Story:
    """A setting and what happens in it. ``seed`` also gives the ids that the cloud makes up."""

    seed: int
    setting: dict[str, Any]
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = field(default=(), compare=False)


def world_of(setting: Mapping[str, Any]) -> dict[str, Any]:
    """The world that a story begins in."""
    members: dict[str, Any] = {
        OWNER: {"name": "images", "folder": "root"},
        A: {"name": "a", "folder": "fd-prod", "tags": {"env": "prod"}},
        B: {"name": "b", "folder": "fd-eu", "tags": {"env": "prod"}},
        C: {"name": "c", "folder": "fd-south"},
        D: {"name": "d", "folder": "fd-test", "tags": {"env": "test"}},
        E: {"name": "e", "folder": "root", "tags": {"env": "prod"}},
    }
    if setting["owners"] > 1:
        members[OWNER_2] = {"name": "images-2", "folder": "root"}
    members |= {account: {"name": f"n{account[-2:]}", "folder": "fd-prod"} for account in CROWD[: setting["crowd"]]}
    images = {name: _image(name, OWNER, REGION) for name in IMAGES}
    if setting["regions"] > 1:
        images |= {name: _image(name, OWNER, FAR) for name in FAR_IMAGES}
    if setting["owners"] > 1:
        images |= {name: _image(name, OWNER_2, REGION) for name in OTHER_IMAGES}
    if setting["desktops"]:
        images |= _desks(setting)
    for name, kind in setting["encryption"].items():
        if name in images:
            images[name]["encryption"] = kind
    document: dict[str, Any] = {
        "directory": {
            "id": "rd-story",
            "management": MANAGEMENT,
            "sharing_enabled": True,
            "folders": {key: {"name": key[3:], "parent": parent} for key, parent in FOLDERS.items()},
            "members": members,
        },
        "outsiders": [PARTNER, STRANGER, *NEWCOMERS],
        "access_keys": {
            "LOCALMANAGEMENT": {"secret": "hush-management", "account": MANAGEMENT},
            "LOCALIMAGES": {"secret": "hush-images", "account": OWNER},
        },
        "roles": {
            f"acs:ram::{MANAGEMENT}:role/reader": {"trusts": [OWNER]},
            f"acs:ram::{OWNER_2}:role/orgshare": {"trusts": [OWNER]},
        },
        "images": images,
        "regions": [REGION, FAR],
        "grants": _desks_given(setting) if setting["desktops"] else {},
        "quotas": {
            "accounts_per_image": setting["quota"],
            "eds_shares": setting["desk_quota"],
            "eds_shares_per": setting["desk_scope_meant"],
            "trust_policy_length": setting["role_length"],
        },
        "delays": setting["delays"],
        "switches": setting["switches"],
    }
    if setting["store"] == "oss":
        document["buckets"] = {"story": {"owner": OWNER, "region": REGION}}
    if setting["encryption"] and setting["role"] != "missing":
        owners = [OWNER, OWNER_2][: setting["owners"]]
        document["roles"] |= {sharing_role(owner): role_of(setting["role"]) for owner in owners}
    if setting["owners"] < 2:
        del document["roles"][f"acs:ram::{OWNER_2}:role/orgshare"]
    return document


def sharing_role(owner: str) -> str:
    """The ARN of an owner's sharing role."""
    return f"acs:ram::{owner}:role/AliyunECSShareEncryptImageDefaultRole"


def ecs_of(account: str) -> str:
    """An account's ECS, as trust policies name it."""
    return f"{account}@ecs.aliyuncs.com"


def lets_in(account: str) -> dict[str, Any]:
    """A statement of its own that lets one account in, as a person may write it."""
    return {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": [ecs_of(account)]}}


def role_of(kind: str) -> dict[str, Any]:
    """A sharing role: one that may not use the key is of no use, one in which a person let somebody in is."""
    more = [lets_in(A)] if kind == "used" else []
    role: dict[str, Any] = {"trust_policy": {**BASE_ROLE, "Statement": [*BASE_ROLE["Statement"], *more]}}
    return {**role, "policies": []} if kind == "keyless" else role


def _image(name: str, owner: str, region: str, **more: Any) -> dict[str, Any]:
    row = {"owner": owner, "region": region, "name": name[2:], "tags": {"share": "org"}}
    return {**row, **more}


def desk(name: str, owner: str, region: str, **more: Any) -> dict[str, Any]:
    """An image of Elastic Desktop Service, as a world has it."""
    return {"service": "eds", "owner": owner, "region": region, "name": name, **more}


def _desks(setting: Mapping[str, Any]) -> dict[str, Any]:
    desks = {name: desk(name[2:], OWNER, REGION) for name in DESKS}
    desks |= {SECRET_DESK: desk("desk5", OWNER, REGION, encryption="cmk"), THEIR_DESK: desk("desk6", E, REGION)}
    if setting["regions"] > 1:
        desks[FAR_DESK] = desk("desk3", OWNER, FAR)
    if setting["owners"] > 1:
        desks[OTHER_DESK] = desk("desk4", OWNER_2, REGION)
    return desks


def _desks_given(setting: Mapping[str, Any]) -> dict[str, list[str]]:
    """What people gave before the story begins, as far as there are places."""
    given = {THEIR_DESK: [OWNER]}
    if setting["desks_given"]:
        given[DESKS[0]] = [A, STRANGER][: setting["desk_quota"]]
    return given


def quotas_of(setting: Mapping[str, Any]) -> dict[str, Any]:
    """The quotas of an owner, as the policy has them."""
    return {
        "accounts_per_image": setting["quota"],
        "eds_shares": setting["desk_quota"],
        "eds_shares_per": setting["desk_scope"],
        "trust_policy_length": setting["role_length"],
    }


def policy_of(setting: Mapping[str, Any]) -> dict[str, Any]:
    """The policy that a story begins with."""
    regions = [REGION, FAR][: setting["regions"]]
    owners: list[dict[str, Any]] = [{"account": OWNER, "regions": regions, "quotas": quotas_of(setting)}]
    if setting["copy_key"]:
        owners[0]["kms_keys"] = {FAR: COPY_KEY}
    if setting["owners"] > 1:
        owners.append(
            {
                "account": OWNER_2,
                "regions": [REGION],
                "role": f"acs:ram::{OWNER_2}:role/orgshare",
                "quotas": quotas_of(setting),
            }
        )
    return {
        "version": 1,
        "deployment": "story",
        "mode": "enforce",
        "state": "file:state",
        "directory": {
            "account": MANAGEMENT,
            "role": f"acs:ram::{MANAGEMENT}:role/reader",
            "nested_folder_targets": setting["nested"],
        },
        "owners": owners,
        "never": {},
        **({"retire": {"tags": {"lifecycle": "retired"}}} if setting["retiring"] else {}),
        "rules": setting["rules"],
        "safety": setting["safety"],
    }


# --- from a seed


def story_of(seed: int) -> Story:
    """The story of a seed."""
    return _Author(seed).story()


class _Author:
    """Makes up one story."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = Random(f"story {seed}")
        self._made = 0
        self._retired = ""
        self._copies = "CopyImage" in self._favourite() or self._random.random() < 0.15
        self._desktops = "ecd:" in self._favourite() or self._random.random() < 0.3
        self._sealed = any(one in self._favourite() for one in ("ram:", "roles")) or self._random.random() < 0.25

    def story(self) -> Story:
        random = self._random
        setting = self._setting()
        steps: list[Step] = [self._run(plain=random.random() < 0.6)]
        if any(one in self._favourite() for one in ("Create", "Associate", "ecd:", "ecs:", "ram:", "roles", "history")):
            steps[0]["runs"][0] |= {"dies": 1, "at": self._favourite()}
        if random.random() < 0.8:
            steps += [_wait(SETTLE), self._run(plain=True)]
        for _ in range(random.randint(2, 5)):
            steps += self._chapter()
        if random.random() < 0.3:
            steps += self._rush()
        seldom = any(one in self._favourite() for one in ("Disassociate", "guard", "delete", "Create"))
        if seldom or random.random() < 0.6:
            steps += self._drama()
            steps += self._drama() if seldom else []
        return Story(self._seed, setting, tuple(steps))

    def _one(self, choices: Sequence[Any]) -> Any:
        return choices[self._random.randrange(len(choices))]

    def _setting(self) -> dict[str, Any]:
        random = self._random
        switches = {key: self._one(positions) for key, positions in SWITCHES.items()}
        said = random.random() < 0.4
        nests = switches["nested_folder_targets"]
        crowded = random.random() < 0.12
        scope = self._one((*SCOPES, "account"))
        return {
            "store": "oss" if self._seed % 10 == 0 else "memory",
            "owners": 2 if random.random() < 0.12 else 1,
            "regions": 2 if random.random() < 0.35 or self._copies else 1,
            "copy_key": int(self._copies and random.random() < 0.7),
            "crowd": len(CROWD) if crowded else 0,
            "quota": 50 if crowded else self._one((50, 50, 50, 3)),
            "desktops": int(self._desktops),
            "desk_quota": self._one((2, 4, 6, 9, 50)),
            "desk_scope": scope,
            "desks_given": random.randrange(2),
            "encryption": self._encryption() if self._sealed else {},
            "role": self._one(("plain", "plain", "plain", "used", "used", "keyless", "missing")),
            "role_length": self._one((2048, 2048, 300)),
            "retiring": random.randrange(2),
            "desk_scope_meant": self._one(SCOPES) if random.random() < 0.1 else scope,
            "nested": ("yes" if nests else "no") if said else "unknown",
            "delays": {
                "association": self._one((0, 90)),
                "coverage": self._one((0, 0, 300)),
                "membership": self._one((0, 0, 120)),
                "share": self._one((0, 0, 0, 60)),
                "image": self._one((0, 60)),
            },
            "switches": switches,
            "rules": (rules := self._rules(random.choice((1, 1, 2)))),
            "safety": self._safety(careful=all(rule["channel"] != "directory" for rule in rules)),
        }

    def _rules(self, number: int, *, modes: bool = False) -> list[dict[str, Any]]:
        rules = []
        for place in range(number):
            rule = {
                "name": f"rule-{place}",
                "images": self._one(SELECTIONS),
                "audience": self._one(AUDIENCES),
                "channel": self._channel(),
            }
            if self._sealed and self._random.random() < 0.85:
                rule["encrypted"] = self._one(("authorize", "authorize", "authorize", "authorize", "refuse"))
            if self._copies and self._random.random() < 0.85:
                rule["copy_to"] = [FAR]
            if modes and self._random.random() < 0.1:
                rule["mode"] = "add"
            rules.append(rule)
        if self._desktops and self._random.random() < 0.9:
            rules.append(
                {
                    "name": "desks",
                    "images": self._one(DESK_SELECTIONS),
                    "audience": self._one(AUDIENCES),
                    "channel": self._one(("auto", "direct")),
                }
            )
        return rules

    def _encryption(self) -> dict[str, str]:
        sealed = dict.fromkeys(SEALED, "cmk")
        return {**sealed, "m-bronze": self._one(("none", "cmk", "service-key")), "m-gold": self._one(("none", "cmk"))}

    def _channel(self) -> str:
        """The channel of a rule, which is the one by which most runs of this story die if they do at such a call."""
        channel = self._one(CHANNELS)
        favourite = self._favourite()
        if self._random.random() < 0.7 and "resourcesharing:" in favourite:
            return "directory"
        if self._sealed and channel == "directory":
            return "auto"
        return "direct" if "ecs:" in favourite else str(channel)

    def _reads(self) -> tuple[str, ...]:
        return (
            *READS,
            *(DESK_READS * 2 if self._desktops else ()),
            *(SEALED_READS * 2 if self._sealed else ()),
        )

    def _calls(self) -> tuple[str, ...]:
        return (*CALLS, *(DESK_CALLS if self._desktops else ()), *(SEALED_CALLS if self._sealed else ()),
                *(COPY_CALLS * 2 if self._copies else ()))  # fmt: skip

    def _safety(self, *, careful: bool = True) -> dict[str, Any]:
        """Limits and habits; ``careful`` ones keep grants longer, which shares to the directory cannot."""
        safety: dict[str, Any] = {"hold_when": self._one(LIMITS)}
        if "guard" in self._favourite():
            safety["hold_when"] = {**WIDE, "lost_pairs": 0}
        if self._random.random() < 0.25:
            safety["unmanaged"] = self._one(("adopt", "revoke"))
        if careful and self._random.random() < 0.15:
            safety["grace"] = self._one(("10m", "2h"))
        if careful and self._random.random() < 0.15:
            safety["on_leave"] = self._one(("keep", "1h"))
        if self._random.random() < 0.15:
            safety["partners"] = "hold"
        return safety

    def _chapter(self) -> list[Step]:
        """A few things that happen, and runs that may notice them."""
        random = self._random
        happening = [self._happening() for _ in range(random.choice((1, 1, 2)))]
        if random.random() < 0.15:
            happening.append({"kind": "fault", **_struck(self._one((*self._reads(), *self._calls())), self._one(FAULTS),
                                                         random.randint(1, 4))})  # fmt: skip
        steps = happening
        if random.random() < 0.3:
            steps.append(self._deliver())
        if random.random() < 0.85:
            steps.append(self._run())
            if "lie" in steps[-1] and random.random() < 0.5:
                # The same lie once more: what two readings say is believed sooner than what one says.
                steps += [_wait(60), {**self._run(plain=True), "lie": steps[-1]["lie"]}]
        if random.random() < 0.35:
            steps.append(_wait(self._one((30, 120, SETTLE, SETTLE, 3600, 25 * 3600))))
        if random.random() < 0.25:
            steps.append({"kind": self._one(("approve", "approve", "reject"))})
        if random.random() < 0.1:
            steps.append({"kind": "no-fault"})
        return steps

    def _drama(self) -> list[Step]:
        """A change that a person has to approve, carried out by runs that die on the way."""
        runs = [self._run(plain=True) for _ in range(2)]
        if self._random.random() < 0.8:
            for run in runs:
                run["runs"][0] |= {"dies": 1, "at": self._favourite()}
        if "delete" in self._favourite():
            # Signals beside a shard are deleted by whoever finds them after another run held it.
            runs[0] |= {"runs": [dict(runs[0]["runs"][0]) for _ in range(3)], "turns": self._seed, "pace": 0.4}
        edit = self._edit()
        if "Disassociate" in self._favourite():
            edit = {"kind": "policy", "what": "audience", "number": 0, "audience": self._one(AUDIENCES)}
        return [edit, runs[0], {"kind": "approve"}, runs[1], _wait(self._one((120, SETTLE)))]

    def _favourite(self) -> str:
        """The place where most runs of this story die: each has its own, so that all are tried."""
        return PLACES[self._seed % len(PLACES)]

    def _happening(self) -> Step:
        kinds: tuple[tuple[int, Callable[[], Step]], ...] = (
            (3, lambda: {"kind": "move", "account": self._one(MEMBERS), "folder": self._folder()}),
            (2, lambda: {"kind": "leave", "account": self._one(MEMBERS)}),
            (1, lambda: {"kind": "join", "account": self._one((*NEWCOMERS, PARTNER)), "folder": self._folder(),
                         "how": self._one(("created", "invited"))}),
            (1, lambda: {"kind": "there-and-back", "account": self._one(MEMBERS), "folder": self._folder(),
                         "after": self._one((1, 60))}),
            (1, lambda: {"kind": "tag-account", "account": self._one(MEMBERS),
                         "env": self._one(("prod", "test", None))}),
            (1, lambda: {"kind": "rename-folder", "folder": self._one(tuple(FOLDERS))}),
            (1, lambda: {"kind": "create-folder", "folder": self._one(SPARE),
                         "parent": self._one(("root", "fd-prod"))}),
            (1, lambda: {"kind": "delete-folder", "folder": self._one(("fd-south", "fd-test", *SPARE))}),
            (2, self._new_image),
            (2 if self._desktops else 0, self._new_desk),
            (5 if self._sealed else 0, self._writing_a_role),
            (1 if self._sealed else 0, lambda: {"kind": "delete-role", "owner": OWNER}),
            (1 if self._sealed else 0, lambda: {"kind": "make-role", "owner": OWNER,
                                                "as": self._one(("plain", "used", "keyless"))}),
            (1, lambda: {"kind": "image-status", "image": self._image(),
                         "status": self._one(("Deprecated", "Available"))}),
            (1, lambda: {"kind": "delete-image", "image": self._image()}),
            (2 if self._copies else 0, lambda: {"kind": "delete-copy", "number": self._random.randrange(4)}),
            (1, lambda: {"kind": "tag-image", "image": self._image(), "share": self._one(("org", "lab"))}),
            (1, lambda: {"kind": "retire", "image": self._image()}),
            (1, lambda: {"kind": "take-back", "image": self._retired or self._image()}),
            (1, lambda: {"kind": "retire-tag-image", "image": self._image(),
                         "lifecycle": self._one(("retired", "retired", None))}),
            (1, lambda: {"kind": "rename-image", "image": self._image(), "name": self._one(("zinc", "iron-o"))}),
            (2, lambda: {"kind": "grant", "image": self._image(), "account": self._one((*MEMBERS, STRANGER, PARTNER))}),
            (1, lambda: {"kind": "revoke", "number": self._random.randrange(8)}),
            (1, lambda: {"kind": "regrant", "number": self._random.randrange(8)}),
            (2, self._hand_share),
            (1, lambda: {"kind": "unshare", "share": self._one(("rs-hand1", "rs-hand2"))}),
            (1, lambda: {"kind": "end-row", "number": self._random.randrange(8)}),
            (7, self._edit),
            (1, lambda: {"kind": "pause", "shard": self._one(
                (None, f"ecs/{OWNER}/{REGION}", f"eds/{OWNER}/all", f"ecs/{OWNER}/*"))}),
            (1, lambda: {"kind": "resume"}),
            (1, lambda: {"kind": "sharing", "enabled": self._one((True, False))}),
            (1, lambda: {"kind": "lose-events"}),
        )  # fmt: skip
        chosen = self._random.choices([make for _, make in kinds], [weight for weight, _ in kinds])[0]
        step = chosen()
        if step["kind"] == "retire":
            self._retired = step["image"]
        return step

    def _writing_a_role(self) -> Step:
        """What another writer of a sharing role does."""
        owner = self._one((OWNER, OWNER, OWNER, OWNER_2))
        kind = self._one(("let-in", "let-in", "let-out", "let-out", "rewrite-role"))
        step: Step = {"kind": kind, "owner": owner}
        if kind == "let-out":
            return {**step, "number": self._random.randrange(6)}
        return {**step, "account": self._one((*MEMBERS, PARTNER))}

    def _rush(self) -> list[Step]:
        """Several runs at once that all have much to do, and time enough for a lease to run out meanwhile."""
        edit = {"kind": "policy", "what": "audience", "number": 0, "audience": self._one(AUDIENCES)}
        runs: list[dict[str, Any]] = [{"start": self._one(("timer", "apply"))} for _ in range(self._one((2, 3)))]
        runs[0]["stalls"] = self._one((1, 1, 2))
        turns: Step = {
            "kind": "run",
            "runs": runs,
            "turns": self._random.randrange(10**6),
            "pace": self._one((0.4, 1.0)),
        }
        meanwhile = {"meanwhile": [_wait(400)]} if self._random.random() < 0.5 else {}
        return [edit, {"kind": "approve"}, {**turns, **meanwhile}]

    def _folder(self) -> str:
        return str(self._one(("root", *FOLDERS)))

    def _image(self) -> str:
        if self._desktops and self._random.random() < 0.4:
            return str(self._one((*DESKS, *DESKS, FAR_DESK, OTHER_DESK, "m-newdesk1")))
        return str(self._one((*IMAGES, *IMAGES, *FAR_IMAGES, "m-new1", "m-own1")))

    def _new_image(self) -> Step:
        self._made += 1
        return {
            "kind": "new-image",
            "image": f"m-new{self._made}",
            "region": self._one((REGION, REGION, FAR)),
            "status": self._one(("Available", "Available", "Creating")),
            "share": self._one(("org", "org", "lab")),
            **({"encryption": self._one(("none", "cmk", "cmk", "service-key"))} if self._sealed else {}),
        }

    def _new_desk(self) -> Step:
        self._made += 1
        return {
            "kind": "new-desk",
            "image": f"m-newdesk{self._made}",
            "region": self._one((REGION, REGION, FAR)),
            "status": self._one(("Available", "Available", "Creating")),
            "encryption": self._one(("none", "none", "cmk")),
        }

    def _number(self) -> int:
        """The number of a rule; there may be none of it."""
        return self._random.randrange(3 if self._desktops else 2)

    def _hand_share(self) -> Step:
        random = self._random
        return {
            "kind": "share-by-hand",
            "share": self._one(("rs-hand1", "rs-hand2")),
            "images": sorted(random.sample(IMAGES, random.randint(1, 3))),
            "targets": sorted(
                random.sample(("rd-story", "fd-prod", "fd-test", "fd-south", A, D), random.randint(1, 2))
            ),
        }

    def _edit(self) -> Step:
        """Another policy: all its rules, one rule's audience or channel, the safety, the mode, the owners."""
        random = self._random
        what = random.choices(
            ("rules", "audience", "channel", "remove", "safety", "mode", "never", "regions", "owner", "copy_to"),
            (3, 4, 4, 1, 3, 1, 1, 1, 1, 3 if self._copies else 0),
        )[0]
        step: Step = {"kind": "policy", "what": what}
        if what == "rules":
            step["rules"] = self._rules(random.choice((1, 2, 2)), modes=True)
        elif what == "audience":
            step |= {"number": self._number(), "audience": self._one(AUDIENCES)}
        elif what == "channel":
            step |= {"number": self._number(), "channel": self._one(("auto", "directory", "direct"))}
        elif what == "remove":
            step["number"] = self._number()
        elif what == "copy_to":
            step |= {"number": self._number(), "copy_to": self._one(([FAR], [FAR], []))}
        elif what == "safety":
            step["safety"] = self._safety()
        elif what == "mode":
            step["mode"] = self._one(("add", "observe", "enforce"))
        elif what == "never":
            step["never"] = self._one(NEVERS)
        elif what == "regions":
            step["regions"] = self._one(([REGION], [FAR], [REGION, FAR], "all"))
        return step

    # --- runs

    def _run(self, *, plain: bool = False) -> Step:
        random = self._random
        if plain:
            return {"kind": "run", "runs": [{"start": "timer"}]}
        number = random.choices((1, 2, 3), (6, 4, 1))[0]
        runs = [self._one_run() for _ in range(number)]
        step: Step = {"kind": "run", "runs": runs}
        if number > 1 or random.random() < 0.3:
            step |= {"turns": random.randrange(10**6), "pace": self._one((0.1, 0.4, 1.0))}
            meanwhile = []
            if random.random() < 0.4:
                meanwhile.append(self._happening())
            if random.random() < 0.3:
                meanwhile.append(_wait(self._one((30, 400))))
            if self._sealed and random.random() < 0.3:
                meanwhile.append(self._writing_a_role())
            if meanwhile:
                step["meanwhile"] = meanwhile
        if random.random() < 0.25:
            read, lie = self._one(self._reads()), self._one((*LIES, "empty-list", "truncated-page"))
            step["lie"] = _struck(read, lie, self._one((1, 1, 2)))
        return step

    def _one_run(self) -> dict[str, Any]:
        random = self._random
        run: dict[str, Any] = {"start": self._one(("timer", "timer", "apply", "apply", "worker", "event"))}
        if run["start"] == "worker":
            run["of"] = self._one(("shard", "account", "image", *(("desks",) if self._desktops else ())))
            run["account"], run["image"] = self._one(MEMBERS), self._one(IMAGES)
            if self._desktops and random.random() < 0.5:
                run["image"] = self._one(DESKS)
        if random.random() < 0.3:
            run["dies"] = random.randint(1, 14)
        elif random.random() < 0.2:
            run |= {"dies": 1, "at": self._favourite()}
        if random.random() < 0.05:
            run["deadline"] = self._one((2.0, 25.0))
        return run

    def _deliver(self) -> Step:
        return {"kind": "deliver", "which": self._one(("oldest", "newest")), "copies": self._one((1, 1, 2)),
                "keep": self._random.random() < 0.3, "turns": self._random.randrange(10**6)}  # fmt: skip


def _wait(seconds: int) -> Step:
    return {"kind": "wait", "seconds": seconds}


# --- as text


def short(account: object) -> str:
    """The end of an account's id, which tells it from the others."""
    text = str(account)
    return f"…{text[-4:]}" if text.isdigit() and len(text) > 8 else text


def told(step: Step) -> str:
    """A step in words."""
    kind = step["kind"]
    maker = _TELLING.get(kind)
    return maker(step) if maker is not None else f"{kind}"


def _compact(value: object) -> str:
    text = json.dumps(value, sort_keys=True)
    for long in (MANAGEMENT, OWNER, OWNER_2, *MEMBERS, *CROWD, *NEWCOMERS, PARTNER, STRANGER, UNKNOWN):
        text = text.replace(long, short(long))
    return text.replace('"', "")


def _policy_told(step: Step) -> str:
    what = step["what"]
    if what in ("audience", "channel", "copy_to"):
        return f"the policy: rule {step['number']} gets {what} {_compact(step[what])}"
    if what == "remove":
        return f"the policy: rule {step['number']} is removed"
    if what == "owner":
        return "the policy: the last owner is removed, or is back"
    return f"the policy: {what} {_compact(step[what])}"


def _run_told(step: Step) -> str:
    parts = []
    for run in step["runs"]:
        text = {"timer": "a sweep by timer", "apply": "a sweep by hand", "event": "the next event"}.get(run["start"])
        if text is None:
            text = f"a worker for {run['of']}" + {"shard": "", "desks": "", "account": f" {short(run['account'])}",
                                                  "image": f" {run['image']}"}[run["of"]]  # fmt: skip
        if "at" in run:
            text += f" that dies {run['at']}"
        elif "dies" in run:
            text += f" that dies at the {run['dies']}th instant of its writes"
        if "stalls" in run:
            text += f" that stands still when it wrote the {run['stalls']}th generation, until the others are over,"
        if "deadline" in run:
            text += f" with {run['deadline']:g} s of time"
        parts.append(text)
    line = "run: " + " and ".join(parts)
    if step.get("lie"):
        lie = step["lie"]
        line += f", while each {lie['every']}th {lie['operation']} answers with {lie['fault']}"
    if step.get("meanwhile"):
        line += ", meanwhile " + " and ".join(told(other) for other in step["meanwhile"])
    return line


_TELLING: Mapping[str, Callable[[Step], str]] = {
    "move": lambda s: f"account {short(s['account'])} moves to {s['folder']}",
    "leave": lambda s: f"account {short(s['account'])} leaves the organization",
    "join": lambda s: f"account {short(s['account'])} joins in {s['folder']} ({s['how']})",
    "there-and-back": lambda s: (
        f"account {short(s['account'])} moves to {s['folder']} and {s['after']} s later back again"
    ),
    "tag-account": lambda s: f"account {short(s['account'])} gets the tag env={s['env']}",
    "rename-folder": lambda s: f"folder {s['folder']} gets another name",
    "create-folder": lambda s: f"folder {s['folder']} is made in {s['parent']}",
    "delete-folder": lambda s: f"folder {s['folder']} is deleted, its members move up",
    "new-image": lambda s: (
        f"image {s['image']} is made in {s['region']}, {s['status']}, share={s['share']}"
        f"{', encryption ' + s['encryption'] if 'encryption' in s else ''}"
    ),
    "let-in": lambda s: f"somebody lets {short(s['account'])} in by the sharing role of {short(s['owner'])}",
    "let-out": lambda s: f"somebody takes number {s['number']} out of the sharing role of {short(s['owner'])}",
    "rewrite-role": lambda s: f"somebody rewrites the sharing role of {short(s['owner'])} for {short(s['account'])}",
    "delete-role": lambda s: f"somebody deletes the sharing role of {short(s['owner'])}",
    "make-role": lambda s: f"somebody makes the sharing role of {short(s['owner'])}, {s['as']}",
    "new-desk": lambda s: (
        f"desktop image {s['image']} is made in {s['region']}, {s['status']}, encryption {s['encryption']}"
    ),
    "image-status": lambda s: f"image {s['image']} becomes {s['status']}",
    "delete-image": lambda s: f"image {s['image']} is deleted",
    "delete-copy": lambda s: f"somebody deletes copy number {s['number']}",
    "tag-image": lambda s: f"image {s['image']} gets the tag share={s['share']}",
    "retire": lambda s: f"somebody retires {s['image']}",
    "take-back": lambda s: f"somebody takes back that {s['image']} is retired",
    "retire-tag-image": lambda s: f"image {s['image']} gets the tag lifecycle={s['lifecycle']}",
    "rename-image": lambda s: f"image {s['image']} is called {s['name']}",
    "grant": lambda s: f"somebody grants {s['image']} to {short(s['account'])} by hand",
    "revoke": lambda s: f"somebody revokes grant number {s['number']} by hand",
    "regrant": lambda s: f"somebody revokes grant number {s['number']} by hand and makes it again",
    "share-by-hand": lambda s: (
        f"somebody shares {', '.join(s['images'])} with {', '.join(map(short, s['targets']))} as {s['share']}"
    ),
    "unshare": lambda s: f"somebody deletes {s['share']}",
    "end-row": lambda s: f"somebody takes entry number {s['number']} out of a share of ours",
    "policy": _policy_told,
    "pause": lambda s: f"somebody pauses {s['shard'] or 'everything'}",
    "resume": lambda _: "somebody resumes",
    "approve": lambda _: "somebody approves all that is held",
    "reject": lambda _: "somebody rejects all that is held",
    "sharing": lambda s: f"sharing in the organization is {'enabled' if s['enabled'] else 'disabled'}",
    "lose-events": lambda _: "all events under way are lost",
    "fault": lambda s: f"from now on each {s['every']}th {s['operation']} answers with {s['fault']}",
    "no-fault": lambda _: "the faults end",
    "wait": lambda s: f"{s['seconds']} s pass",
    "deliver": lambda s: (
        f"the {s['which']} event is delivered{' twice at once' if s['copies'] > 1 else ''}"
        f"{', and will be again' if s['keep'] else ''}"
    ),
    "run": _run_told,
}
KINDS = frozenset(_TELLING)


def written(story: Story) -> str:
    """The story as text, which ``read`` reads back: words for people, then what they stand for."""
    lines = [f"# seed {story.seed}", f"setting | {json.dumps(story.setting, sort_keys=True)}"]
    notes = story.notes or ("",) * len(story.steps)
    for step, note in zip(story.steps, notes, strict=True):
        lines.append(f"{note or told(step)} | {json.dumps(step, sort_keys=True)}")
    return "\n".join(lines) + "\n"


def read(text: str) -> Story:
    """A story from its text."""
    seed, setting, steps = 0, {}, []
    for line in text.splitlines():
        if line.startswith("# seed "):
            seed = int(line.removeprefix("# seed "))
        elif line.startswith("setting | "):
            setting = json.loads(line.partition(" | ")[2])
        elif " | {" in line:
            steps.append(json.loads(line[line.index(" | {") + 3 :]))
    return Story(seed, setting, tuple(steps))
