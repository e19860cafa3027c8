"""Which permissions this program takes, of whom, and on what: what the templates grant and no more.

One list for the templates, the README, ``doctor`` and messages. It is minimal, and that is tried out: with exactly
these permissions everything works, and without any one of them something fails (``make least-privilege``).

What can go wrong: a call that is not in the list is refused in production and nowhere else, so a test holds the list
against the operations that the adapters name.

Actions have the names of their operations but for listing objects
(https://www.alibabacloud.com/help/en/oss/user-guide/authorization-syntax-and-elements). Calls of Resource Sharing
cannot be granted for single resources; of the calls of the resource directory the pages show it for some only, and the
reader may see all of it anyway: both are granted for ``*``. So are those of Elastic Desktop Service
(https://www.alibabacloud.com/help/en/wuying-workspace/developer-reference/api-ecd-2020-09-30-describeimages).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal

from msgspec import Struct

Bearer = Literal["owner", "directory", "runner", "functions"]
"""Who needs a permission: the role in an owner's account, the role in the management account, or who runs orgshare:
the functions' roles or a person. Without a role of its own, an account's permissions are the runner's too. What
functions need besides is theirs alone: a person invokes no worker, and is told on the screen."""

EVERYTHING = "*"
IMAGES = "acs:ecs:*:{account}:image/*"
SNAPSHOTS = "acs:ecs:*:{account}:snapshot/*"
KEY_ROLE = "acs:ram:*:{account}:role/AliyunECSShareEncryptImageDefaultRole"
BUCKET = "acs:oss:*:*:{bucket}"
OBJECTS = "acs:oss:*:*:{objects}"
ROLE = "{role}"
WORKER = "{worker}"
MESSAGES = "{topic}/messages"


class Permission(Struct, frozen=True):
    """An action and what it is needed on: a name in braces stands for what a deployment chooses."""

    action: str
    on: str


PERMISSIONS: Mapping[Bearer, tuple[Permission, ...]] = MappingProxyType(
    {
        "owner": (
            Permission("ecs:DescribeRegions", EVERYTHING),
            Permission("ecs:DescribeImages", IMAGES),
            Permission("ecs:DescribeImageSharePermission", IMAGES),
            Permission("ecs:DescribeSnapshots", SNAPSHOTS),
            Permission("ecs:ModifyImageSharePermission", IMAGES),
            Permission("ecs:CopyImage", IMAGES),
            Permission("ecd:DescribeRegions", EVERYTHING),
            Permission("ecd:DescribeImages", EVERYTHING),
            Permission("ecd:DescribeImagePermission", EVERYTHING),
            Permission("ecd:ModifyImagePermission", EVERYTHING),
            Permission("ram:GetRole", KEY_ROLE),
            Permission("ram:UpdateRole", KEY_ROLE),
            Permission("resourcesharing:CheckSharingWithResourceDirectoryStatus", EVERYTHING),
            Permission("resourcesharing:ListResourceShares", EVERYTHING),
            Permission("resourcesharing:ListResourceShareAssociations", EVERYTHING),
            Permission("resourcesharing:CreateResourceShare", EVERYTHING),
            Permission("resourcesharing:AssociateResourceShare", EVERYTHING),
            Permission("resourcesharing:DisassociateResourceShare", EVERYTHING),
        ),
        "directory": (
            Permission("resourcemanager:GetResourceDirectory", EVERYTHING),
            Permission("resourcemanager:ListAccounts", EVERYTHING),
            Permission("resourcemanager:GetAccount", EVERYTHING),
            Permission("resourcemanager:GetFolder", EVERYTHING),
            Permission("resourcemanager:ListFoldersForParent", EVERYTHING),
        ),
        "runner": (
            Permission("sts:AssumeRole", ROLE),
            Permission("oss:PutObject", OBJECTS),
            Permission("oss:GetObject", OBJECTS),
            Permission("oss:DeleteObject", OBJECTS),
            Permission("oss:ListObjects", BUCKET),
            Permission("oss:GetBucketVersioning", BUCKET),
        ),
        "functions": (
            Permission("fc:InvokeFunction", WORKER),
            Permission("mns:PublishMessage", MESSAGES),
        ),
    }
)
"""``ecs:DescribeRegions`` is needed for ``regions: all`` and for ``encrypted: authorize``, what is of RAM for the
latter only, ``ecs:CopyImage`` for rules with ``copy_to``, what begins with ``ecd`` for rules that speak of images of
Elastic Desktop Service, the object storage's for a state that lies there."""

BY_HAND = frozenset({"oss:GetBucketVersioning"})
"""What ``init`` and ``doctor`` alone call, with the permissions of the person who sets an installation up."""

OPTIONAL = frozenset({"mns:GetTopicAttributes", "ecs:DeleteImage"})
"""Calls that nothing rests on, so that nothing grants them: ``doctor`` asks for the topic, and where it may not, it
says that it did not look; ``retire --copies`` deletes, and where it may not, it names what is left to be deleted. No
function deletes an image."""

FREE = frozenset({"sts:GetCallerIdentity"})
"""Operations that need no permission.

https://help.aliyun.com/en/ram/developer-reference/api-sts-2015-04-01-getcalleridentity
"""


def action_of(operation: str) -> str:
    """The action of an operation: both versions of the listing of objects have one."""
    return "oss:ListObjects" if operation == "oss:ListObjectsV2" else operation


def policy_document(
    bearer: Bearer,
    *,
    account: str = "",
    roles: Iterable[str] = (),
    bucket: str = "",
    prefix: str = "",
    worker: str = "",
    topic: str = "",
) -> dict[str, Any]:
    """The RAM policy with exactly what a bearer needs: a statement for each thing that actions are needed on.

    ``account`` is the owner's, ``roles`` are all that the policy names, ``bucket`` and ``prefix`` are the state's.
    ``worker`` is the function as ``acs:fc:...``, ``topic`` where a person is told as ``acs:mns:...``.
    """
    objects = f"{bucket}/{prefix}/*" if prefix else f"{bucket}/*"
    wanted: dict[tuple[str, ...], list[str]] = {}
    for permission in PERMISSIONS[bearer]:
        if permission.on == ROLE:
            resources = tuple(sorted(roles))
        else:
            named = {"account": account, "bucket": bucket, "objects": objects, "worker": worker, "topic": topic}
            resources = (permission.on.format(**named),)
        wanted.setdefault(resources, []).append(permission.action)
    return {
        "Version": "1",
        "Statement": [
            {"Effect": "Allow", "Action": actions, "Resource": list(resources)}
            for resources, actions in wanted.items()
            if resources
        ],
    }
