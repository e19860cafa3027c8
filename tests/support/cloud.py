"""A local cloud for tests: a world in a line, clients of the official SDKs, and requests signed by hand.

Every account of such a world has an access key `KEY` followed by its id, with the secret `local`.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from alibabacloud_ecd20200930 import models as ecd_models
from alibabacloud_ecd20200930.client import Client as EcdClient
from alibabacloud_ecs20140526 import models as ecs_models
from alibabacloud_ecs20140526.client import Client as EcsClient
from alibabacloud_ram20150501 import models as ram_models
from alibabacloud_ram20150501.client import Client as RamClient
from alibabacloud_resourcemanager20200331 import models as directory_models
from alibabacloud_resourcemanager20200331.client import Client as DirectoryClient
from alibabacloud_resourcesharing20200110 import models as sharing_models
from alibabacloud_resourcesharing20200110.client import Client as SharingClient
from alibabacloud_sts20150401 import models as sts_models
from alibabacloud_sts20150401.client import Client as StsClient
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.utils import Utils
from alibabacloud_tea_openapi.utils_models import Config

from localcloud import HttpRequest, HttpResponse, LocalCloud, ManualClock

MANAGEMENT = "1000000000000001"
OWNER = "1000000000000002"
SHOP = "1000000000000003"
BANK = "1000000000000004"
LAB = "1000000000000005"
PARTNER = "2000000000000001"
PARTNER_2 = "2000000000000002"
UNKNOWN = "9000000000000009"

REGION = "cn-hangzhou"
FAR = "ap-southeast-1"
START = datetime(2026, 11, 21, 12, 0, 0, tzinfo=timezone.utc).timestamp()

ONE, TWO, THREE = "m-one", "m-two", "m-three"

Row = dict[str, Any]


def image(name: str, **fields: Any) -> dict[str, Any]:
    """An image of OWNER in REGION."""
    return {"owner": OWNER, "region": REGION, "name": name, **fields}


def desk(name: str, **fields: Any) -> dict[str, Any]:
    """An image of Elastic Desktop Service of OWNER in REGION."""
    return image(name, service="eds", **fields)


def world(**parts: Any) -> dict[str, Any]:
    """Management, an owner and three members in folders two levels deep, two partners outside, three plain images.

    A part that is given replaces the usual one, None leaves it out; keys for all accounts are added.
    """
    document: dict[str, Any] = {
        "directory": {
            "id": "rd-local1",
            "management": MANAGEMENT,
            "folders": {
                "fd-prod": {"name": "prod", "parent": "root"},
                "fd-eu": {"name": "eu", "parent": "fd-prod"},
                "fd-test": {"name": "test", "parent": "root"},
            },
            "members": {
                OWNER: {"name": "images", "folder": "root"},
                SHOP: {"name": "shop", "folder": "fd-prod", "tags": {"env": "prod", "team": "a"}},
                BANK: {"name": "bank", "folder": "fd-eu", "tags": {"env": "prod"}},
                LAB: {"name": "lab", "folder": "fd-test", "tags": {"env": "test"}},
            },
        },
        "outsiders": [PARTNER, PARTNER_2],
        "images": {ONE: image("one"), TWO: image("two"), THREE: image("three")},
        **parts,
    }
    document = {key: part for key, part in document.items() if part is not None}
    directory = document.get("directory", {})
    accounts = {*directory.get("members", {}), *document["outsiders"]}
    if directory:
        accounts.add(directory["management"])
    keys = {key_of(account): {"secret": "local", "account": account} for account in sorted(accounts)}
    return {**document, "access_keys": {**keys, **parts.get("access_keys", {})}}


def organization(**fields: Any) -> dict[str, Any]:
    """The usual directory, sharing resources, with some of its keys replaced."""
    return {**world()["directory"], "sharing_enabled": True, **fields}


INSIDE = {SHOP, BANK, LAB}
"""The members of the usual organization but for the owner."""


SHARING_ROLE = f"acs:ram::{OWNER}:role/AliyunECSShareEncryptImageDefaultRole"


def trusting(*principals: str, kind: str = "Service") -> dict[str, Any]:
    """A trust policy of one statement."""
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {kind: list(principals)}}
    return {"Version": "1", "Statement": [statement]}


def allowing(*actions: str) -> dict[str, Any]:
    """A policy that allows these actions on everything."""
    return {"Version": "1", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}


def ecs_of(account: str) -> str:
    """An account's ECS, as a trust policy names it."""
    return f"{account}@ecs.aliyuncs.com"


def by_hand(**fields: Any) -> dict[str, Any]:
    """A resource share of OWNER in REGION that somebody made by hand."""
    return {"owner": OWNER, "region": REGION, "name": "by-hand", **fields}


def many_members(count: int) -> list[str]:
    """Ids for a crowd of members."""
    return [f"1{number:015d}" for number in range(5_000, 5_000 + count)]


def key_of(account: str) -> str:
    """The access key of an account in such a world."""
    return f"KEY{account}"


def start(document: Mapping[str, Any] | None = None, *, clock: ManualClock | None = None) -> LocalCloud:
    """A cloud whose clock stands at START and whose chance is the same in each run."""
    return LocalCloud.from_world(document or world(), clock=clock or ManualClock(START), random=random.Random(1))


class Clients:
    """Clients of the official SDKs for one caller; `config` goes to each (`http_proxy`, `endpoint`)."""

    def __init__(
        self,
        account: str = OWNER,
        *,
        key: str = "",
        secret: str = "local",
        token: str | None = None,
        region: str = REGION,
        **config: Any,
    ) -> None:
        self._config = {
            "access_key_id": key or key_of(account),
            "access_key_secret": secret,
            "security_token": token,
            "region_id": region,
            "protocol": "http",
            **config,
        }
        self.region = region

    @property
    def ecs(self) -> Any:
        return EcsClient(Config(**self._config))

    @property
    def ecd(self) -> Any:
        return EcdClient(Config(**self._config))

    @property
    def directory(self) -> Any:
        return DirectoryClient(Config(**self._config))

    @property
    def sharing(self) -> Any:
        return SharingClient(Config(**self._config))

    @property
    def ram(self) -> Any:
        return RamClient(Config(**self._config))

    @property
    def sts(self) -> Any:
        return StsClient(Config(**self._config))

    # --- short forms of what most tests do

    def images(self, **query: Any) -> list[str]:
        """Ids of the images that one call of DescribeImages shows."""
        query = {"region_id": self.region, "page_size": 100, **query}
        body = self.ecs.describe_images(ecs_models.DescribeImagesRequest(**query)).body.to_map()
        return [row["ImageId"] for row in body["Images"]["Image"]]

    def image(self, image_id: str) -> dict[str, Any]:
        """The row of one image, whatever its status."""
        request = ecs_models.DescribeImagesRequest(region_id=self.region, image_id=image_id, status="ALL")
        (row,) = self.ecs.describe_images(request).body.to_map()["Images"]["Image"]
        return dict(row)

    def share(self, image_id: str, *add: str, remove: tuple[str, ...] = (), **more: Any) -> None:
        """ModifyImageSharePermission."""
        self.ecs.modify_image_share_permission(
            ecs_models.ModifyImageSharePermissionRequest(
                region_id=self.region,
                image_id=image_id,
                add_account=list(add) or None,
                remove_account=list(remove) or None,
                **more,
            )
        )

    def shared_with(self, image_id: str) -> list[str]:
        """The accounts on the first hundred rows of DescribeImageSharePermission."""
        return [str(row["AliyunId"]) for row in self.permission(image_id, page_size=100)["Accounts"]["Account"]]

    def permission(self, image_id: str, **query: Any) -> dict[str, Any]:
        """The whole answer of DescribeImageSharePermission."""
        request = ecs_models.DescribeImageSharePermissionRequest(region_id=self.region, image_id=image_id, **query)
        return dict(self.ecs.describe_image_share_permission(request).body.to_map())

    def desks(self, **query: Any) -> list[str]:
        """Ids of the images of Elastic Desktop Service that one call shows."""
        return [row["ImageId"] for row in self.desk_rows(**query)["Images"]]

    def desk_rows(self, **query: Any) -> dict[str, Any]:
        """The whole answer of its DescribeImages."""
        request = ecd_models.DescribeImagesRequest(**{"region_id": self.region, "max_results": 100, **query})
        return dict(self.ecd.describe_images(request).body.to_map())

    def share_desk(self, image_id: str, *add: str, remove: tuple[str, ...] = ()) -> None:
        """ModifyImagePermission, where ids are integers."""
        self.ecd.modify_image_permission(
            ecd_models.ModifyImagePermissionRequest(
                region_id=self.region,
                image_id=image_id,
                add_account=[int(one) for one in add] or None,
                remove_account=[int(one) for one in remove] or None,
            )
        )

    def desk_shared_with(self, image_id: str) -> list[Any]:
        """DescribeImagePermission, as it is answered."""
        request = ecd_models.DescribeImagePermissionRequest(region_id=self.region, image_id=image_id)
        return list(self.ecd.describe_image_permission(request).body.ali_uids)

    def delete_desks(self, *images: str) -> None:
        """DeleteImages."""
        self.ecd.delete_images(ecd_models.DeleteImagesRequest(region_id=self.region, image_id=list(images)))

    def accounts(self, **query: Any) -> list[dict[str, Any]]:
        """The rows of one call of ListAccounts."""
        request = directory_models.ListAccountsRequest(**{"page_size": 100, **query})
        return list(self.directory.list_accounts(request).body.to_map()["Accounts"]["Account"])

    def open_share(
        self, name: str = "one", *, images: Iterable[str] = (), targets: Iterable[str] = (), **more: Any
    ) -> str:
        """CreateResourceShare; the id of the new share."""
        request = sharing_models.CreateResourceShareRequest(
            resource_share_name=name,
            **_parts(sharing_models.CreateResourceShareRequestResources, images, targets),
            **more,
        )
        return str(self.sharing.create_resource_share(request).body.resource_share.resource_share_id)

    def associate(self, share: str, *, images: Iterable[str] = (), targets: Iterable[str] = ()) -> list[Row]:
        """AssociateResourceShare; the rows of its answer."""
        request = sharing_models.AssociateResourceShareRequest(
            resource_share_id=share,
            **_parts(sharing_models.AssociateResourceShareRequestResources, images, targets),
        )
        return list(self.sharing.associate_resource_share(request).body.to_map()["ResourceShareAssociations"])

    def disassociate(
        self, share: str, *, images: Iterable[str] = (), targets: Iterable[str] = (), **more: Any
    ) -> list[Row]:
        """DisassociateResourceShare; the rows of its answer."""
        request = sharing_models.DisassociateResourceShareRequest(
            resource_share_id=share,
            **_parts(sharing_models.DisassociateResourceShareRequestResources, images, targets),
            **more,
        )
        return list(self.sharing.disassociate_resource_share(request).body.to_map()["ResourceShareAssociations"])

    def shares(self, owner: str = "Self", **query: Any) -> list[Row]:
        """The rows of one call of ListResourceShares."""
        request = sharing_models.ListResourceSharesRequest(**{"resource_owner": owner, "max_results": 100, **query})
        return list(self.sharing.list_resource_shares(request).body.to_map()["ResourceShares"])

    def rows(self, kind: str, **query: Any) -> list[Row]:
        """The rows of one call of ListResourceShareAssociations; kind is Resource or Target."""
        request = sharing_models.ListResourceShareAssociationsRequest(
            **{"association_type": kind, "max_results": 100, **query}
        )
        body = self.sharing.list_resource_share_associations(request).body.to_map()
        return list(body["ResourceShareAssociations"])

    def states(self, kind: str, **query: Any) -> list[tuple[str, str]]:
        """(entity, status) of the same rows."""
        return [(row["EntityId"], row["AssociationStatus"]) for row in self.rows(kind, **query)]

    def role(self, name: str) -> dict[str, Any]:
        """GetRole; the role with its trust policy as data."""
        found = dict(self.ram.get_role(ram_models.GetRoleRequest(role_name=name)).body.role.to_map())
        return {**found, "AssumeRolePolicyDocument": msgspec.json.decode(found["AssumeRolePolicyDocument"])}

    def make_role(self, name: str, document: object, **more: Any) -> dict[str, Any]:
        """CreateRole."""
        text = document if isinstance(document, str) else msgspec.json.encode(document).decode()
        request = ram_models.CreateRoleRequest(role_name=name, assume_role_policy_document=text, **more)
        return dict(self.ram.create_role(request).body.role.to_map())

    def change_role(self, name: str, document: object = None, **more: Any) -> dict[str, Any]:
        """UpdateRole."""
        text = msgspec.json.encode(document).decode() if document is not None else None
        request = ram_models.UpdateRoleRequest(role_name=name, new_assume_role_policy_document=text, **more)
        return dict(self.ram.update_role(request).body.role.to_map())

    def attach(self, role: str, policy: str, kind: str = "Custom") -> None:
        """AttachPolicyToRole."""
        self.ram.attach_policy_to_role(
            ram_models.AttachPolicyToRoleRequest(policy_type=kind, policy_name=policy, role_name=role)
        )

    def attached(self, role: str) -> list[tuple[str, str]]:
        """(type, name) of each policy of ListPoliciesForRole."""
        body = self.ram.list_policies_for_role(ram_models.ListPoliciesForRoleRequest(role_name=role)).body
        return [(one.policy_type, one.policy_name) for one in body.policies.policy]

    def snapshots(self, **query: Any) -> dict[str, dict[str, Any]]:
        """Snapshot -> its row, of one call of DescribeSnapshots."""
        query = {"region_id": self.region, "page_size": 100, **query}
        body = self.ecs.describe_snapshots(ecs_models.DescribeSnapshotsRequest(**query)).body.to_map()
        return {row["SnapshotId"]: dict(row) for row in body["Snapshots"]["Snapshot"]}

    def assume(self, role: str, session: str = "test", **more: Any) -> Clients:
        """Clients of the role's session."""
        request = sts_models.AssumeRoleRequest(role_arn=role, role_session_name=session, **more)
        credentials = self.sts.assume_role(request).body.credentials
        config = {
            **self._config,
            "key": credentials.access_key_id,
            "secret": credentials.access_key_secret,
            "token": credentials.security_token,
        }
        for taken in ("access_key_id", "access_key_secret", "security_token", "region_id"):
            config.pop(taken)
        return Clients(region=self.region, **config)


def _parts(resource: Any, images: Iterable[str], targets: Iterable[str]) -> dict[str, Any]:
    """What goes into a resource share or out of it; each request has a class of its own for its resources."""
    return {
        "resources": [resource(resource_id=one, resource_type="Image") for one in images] or None,
        "targets": list(targets) or None,
    }


@contextlib.contextmanager
def refused(code: str, status: int) -> Iterator[Any]:
    """What happens within is refused with exactly this code and HTTP status."""
    with pytest.raises(AlibabaCloudException) as caught:
        yield caught
    assert (caught.value.code, caught.value.status_code) == (code, status)


def channels(cloud: LocalCloud) -> dict[str, set[str]]:
    """The oracle as image -> accounts."""
    found: dict[str, set[str]] = {}
    for row in cloud.access():
        assert row["channels"] == ["direct"]
        found.setdefault(row["image"], set()).add(row["account"])
    return found


def covered(cloud: LocalCloud) -> dict[str, set[str]]:
    """Image -> who has it by resource shares, as the oracle knows it."""
    return {name: set(ways["directory"]) for name, ways in cloud.channels().items() if "directory" in ways}


def all_three(accounts: set[str]) -> dict[str, set[str]]:
    """These accounts for each of the three images."""
    return dict.fromkeys((ONE, TWO, THREE), accounts)


def iso(moment: float) -> str:
    """A UTC time as clients write it."""
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def acs3(
    action: str,
    params: Mapping[str, str] | None = None,
    *,
    account: str = OWNER,
    secret: str = "local",
    version: str = "2014-05-26",
    host: str = "ecs-cn-hangzhou.aliyuncs.com",
    body: bytes = b"",
    method: str = "POST",
    nonce: str | None = None,
    stamp: float | None = None,
    headers: Mapping[str, str] | None = None,
    path: str = "/",
) -> HttpRequest:
    """A request signed with the official SDK's own ACS3 code, for tests that then spoil it."""
    query = dict(params or {})
    sent = {
        "host": host,
        "x-acs-action": action,
        "x-acs-version": version,
        "x-acs-date": iso(time.time() if stamp is None else stamp),
        "x-acs-signature-nonce": nonce or f"{random.getrandbits(128):032x}",
        "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
        **(headers or {}),
    }
    signed = _ToSign(method, path, query, sent)
    hashed = sent["x-acs-content-sha256"]
    sent["authorization"] = Utils.get_authorization(signed, "ACS3-HMAC-SHA256", hashed, key_of(account), secret)
    if body:
        sent["content-type"] = "application/x-www-form-urlencoded"
    return HttpRequest(method=method, host=host, path=path, query=urlencode(query), headers=sent, body=body)


class _ToSign:
    """What the SDK's signing function reads of a request."""

    def __init__(self, method: str, path: str, query: dict[str, str], headers: dict[str, str]) -> None:
        self.method = method
        self.pathname = path
        self.query = query
        self.headers = dict(headers)


def version_1(
    action: str,
    params: Mapping[str, str] | None = None,
    *,
    account: str = OWNER,
    secret: str = "local",
    version: str = "2014-05-26",
    host: str = "ecs-cn-hangzhou.aliyuncs.com",
    method: str = "GET",
    in_form: bool = False,
    stamp: float | None = None,
    nonce: str | None = None,
) -> HttpRequest:
    """A request signed with the official SDK's own code for the older signature, in the query or in a form."""
    sent = {
        "Action": action,
        "Version": version,
        "AccessKeyId": key_of(account),
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": nonce or f"{random.getrandbits(128):032x}",
        "Timestamp": iso(time.time() if stamp is None else stamp),
        **(params or {}),
    }
    sent = {key: value for key, value in sent.items() if value is not None}
    sent["Signature"] = Utils.get_rpcsignature(sent, method, secret)
    headers = {"host": host}
    if in_form:
        headers["content-type"] = "application/x-www-form-urlencoded"
        return HttpRequest(method, host, "/", "", headers, urlencode(sent).encode())
    return HttpRequest(method, host, "/", urlencode(sent), headers)


def answered(response: HttpResponse) -> dict[str, Any]:
    """The JSON of an answer."""
    return dict(msgspec.json.decode(response.body))


def outcome(response: HttpResponse) -> tuple[int, str]:
    """(status, code) of an answer; the code is empty on success."""
    return response.status, answered(response).get("Code", "")
