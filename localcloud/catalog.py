"""The products that are served, their versions, hosts and operations.

A request is routed by its Action and Version, as one port serves all products; the host, where it is a vendor host,
must agree. Object storage and Simple Message Queue have neither: their requests are known by their host or their
signature, and what they ask for by their method and path.

Host forms: https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-endpoint and the
endpoint rules of the official SDKs (`ecs-cn-hangzhou` has a hyphen and serves several old regions).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

DOMAIN = ".aliyuncs.com"


@dataclass(frozen=True, slots=True)
class Product:
    """One API product in one version."""

    name: str
    title: str
    version: str
    operations: tuple[str, ...]


PRODUCTS: Mapping[str, Product] = {
    product.name: product
    for product in (
        Product(
            "ecd",
            "Ecd",
            "2020-09-30",
            ("DeleteImages", "DescribeImagePermission", "DescribeImages", "DescribeRegions", "ModifyImagePermission"),
        ),
        Product(
            "ecs",
            "Ecs",
            "2014-05-26",
            (
                "CopyImage",
                "CreateImage",
                "DeleteImage",
                "DescribeImageSharePermission",
                "DescribeImages",
                "DescribeRegions",
                "DescribeSnapshots",
                "ListTagResources",
                "ModifyImageSharePermission",
                "TagResources",
                "UntagResources",
            ),
        ),
        Product(
            "resourcemanager",
            "ResourceManager",
            "2020-03-31",
            (
                "AcceptHandshake",
                "CreateFolder",
                "CreateResourceAccount",
                "DeleteFolder",
                "GetAccount",
                "GetFolder",
                "GetHandshake",
                "GetResourceDirectory",
                "InviteAccountToResourceDirectory",
                "ListAccounts",
                "ListAccountsForParent",
                "ListAncestors",
                "ListFoldersForParent",
                "ListHandshakesForResourceDirectory",
                "ListTagResources",
                "MoveAccount",
                "RemoveCloudAccount",
                "TagResources",
                "UntagResources",
            ),
        ),
        Product(
            "resourcesharing",
            "ResourceSharing",
            "2020-01-10",
            (
                "AcceptResourceShareInvitation",
                "AssociateResourceShare",
                "CheckSharingWithResourceDirectoryStatus",
                "CreateResourceShare",
                "DeleteResourceShare",
                "DescribeRegions",
                "DisassociateResourceShare",
                "EnableSharingWithResourceDirectory",
                "ListResourceShareAssociations",
                "ListResourceShareInvitations",
                "ListResourceShares",
                "ListSharedResources",
                "ListSharedTargets",
                "RejectResourceShareInvitation",
                "UpdateResourceShare",
            ),
        ),
        Product(
            "ram",
            "Ram",
            "2015-05-01",
            ("AttachPolicyToRole", "CreateRole", "GetRole", "ListPoliciesForRole", "UpdateRole"),
        ),
        Product("sts", "Sts", "2015-04-01", ("AssumeRole", "GetCallerIdentity")),
    )
}

OPERATIONS: frozenset[str] = frozenset(
    f"{product.name}:{operation}" for product in PRODUCTS.values() for operation in product.operations
)
"""Every operation that is called by its name, as `ecs:DescribeImages`."""

OBJECT_STORAGE = Product(
    "oss",
    "OSS",
    "2019-05-17",
    (
        "DeleteObject",
        "GetBucketInfo",
        "GetBucketLocation",
        "GetBucketVersioning",
        "GetObject",
        "ListObjectsV2",
        "PutObject",
    ),
)
OBJECT_OPERATIONS: frozenset[str] = frozenset(
    f"{OBJECT_STORAGE.name}:{operation}" for operation in OBJECT_STORAGE.operations
)
"""Every operation of object storage, as `oss:PutObject`."""

FUNCTION_COMPUTE = Product("fc", "FC", "2023-03-30", ("InvokeFunction",))
"""Of its older version, 2016-08-15, the same operation is served."""
FUNCTION_OPERATIONS: frozenset[str] = frozenset(
    f"{FUNCTION_COMPUTE.name}:{operation}" for operation in FUNCTION_COMPUTE.operations
)
"""Every operation of Function Compute, as `fc:InvokeFunction`."""

_FUNCTION_HOST = re.compile(
    r"fcv3(?:-vpc)?\.([a-z0-9-]+?)\.aliyuncs\.com|([1-9][0-9]*)\.([a-z0-9-]+?)(?:-internal)?\.fc\.aliyuncs\.com"
)
MESSAGE_QUEUE = Product("mns", "MNS", "2015-06-06", ("GetTopicAttributes", "PublishMessage", "SendMessage"))
MESSAGE_OPERATIONS: frozenset[str] = frozenset(
    f"{MESSAGE_QUEUE.name}:{operation}" for operation in MESSAGE_QUEUE.operations
)
"""Every operation of Simple Message Queue, as `mns:PublishMessage`."""

_MESSAGE_HOST = re.compile(r"([1-9][0-9]*)\.mns\.([a-z0-9-]+?)(?:-internal)?\.aliyuncs\.com")
_OBJECT_HOST = re.compile(r"(?:([a-z0-9-]+)\.)?oss-([a-z0-9-]+?)(?:-internal)?\.aliyuncs\.com")


def product_of_version(version: str) -> Product | None:
    """The product with this API version (versions are unique among those served)."""
    return next((product for product in PRODUCTS.values() if product.version == version), None)


def object_host(host: str) -> tuple[str, str] | None:
    """(bucket, region) of a host of object storage, without a bucket if it names none; None for any other host.

    `BUCKET.oss-cn-hangzhou.aliyuncs.com` and, from within the cloud, `BUCKET.oss-cn-hangzhou-internal.aliyuncs.com`:
    https://www.alibabacloud.com/help/en/oss/user-guide/regions-and-endpoints
    """
    found = _OBJECT_HOST.fullmatch(host.partition(":")[0].lower())
    return (found[1] or "", found[2]) if found else None


def function_host(host: str) -> tuple[str, str] | None:
    """(account, region) of a host of Function Compute, without an account if it names none; None for any other host.

    `fcv3.cn-hangzhou.aliyuncs.com`, and `ACCOUNT.cn-hangzhou.fc.aliyuncs.com`, which 2.0 has and 3.0 takes as well:
    https://www.alibabacloud.com/help/en/functioncompute/fc/developer-reference/endpoints
    """
    found = _FUNCTION_HOST.fullmatch(host.partition(":")[0].lower())
    return (found[2] or "", found[1] or found[3]) if found else None


def message_host(host: str) -> tuple[str, str] | None:
    """(account, region) of a host of Simple Message Queue; None for any other host.

    https://help.aliyun.com/en/mns/product-overview/regions-and-endpoints
    """
    found = _MESSAGE_HOST.fullmatch(host.partition(":")[0].lower())
    return (found[1], found[2]) if found else None


def host_parts(host: str) -> tuple[str, str]:
    """(product, region) that a host names; ("", "") for anything but a vendor host, and no region if central.

    `ecs.cn-beijing.aliyuncs.com`, `ecs-cn-hangzhou.aliyuncs.com` and `ecs-vpc.cn-beijing.aliyuncs.com` name a
    region; `ecs.aliyuncs.com` and `resourcemanager.aliyuncs.com` do not.
    """
    name = host.partition(":")[0].lower()
    if not name.endswith(DOMAIN):
        return "", ""
    first, _, rest = name[: -len(DOMAIN)].partition(".")
    if first in PRODUCTS or "-" not in first:
        return first, rest
    product, _, tail = first.partition("-")
    return product, rest or tail
