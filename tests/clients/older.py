"""A program that calls every operation with the older SDK (aliyun-python-sdk-core): signature version 1.

    python -m tests.clients.older FORM ENDPOINT

FORM is `json`, `xml` or `form` (the parameters travel in a form); ENDPOINT is `HOST:PORT`, or `-` where HTTP_PROXY is
to be used. It prints the answers in order as JSON; in XML form they are texts. It is a program of its own because the
older SDK, once imported, puts log handlers and warnings of its own into the process.
"""

from __future__ import annotations

import importlib
import json
import logging
import sys
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as Xml

from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.auth.credentials import StsTokenCredential
from aliyunsdkcore.client import AcsClient

REGION, FAR = "cn-hangzhou", "ap-southeast-1"
MANAGEMENT, OWNER, SHOP, BANK, LAB = (f"100000000000000{number}" for number in range(1, 6))
PARTNER = "2000000000000001"
READER = f"acs:ram::{MANAGEMENT}:role/reader"

PACKAGES = {
    "ecs": "aliyunsdkecs.request.v20140526",
    "resourcemanager": "aliyunsdkresourcemanager.request.v20200331",
    "resourcesharing": "aliyunsdkresourcesharing.request.v20200110",
    "sts": "aliyunsdksts.request.v20150401",
}


Answers = list[tuple[str, Any]]


class Caller:
    """One account, or a session of a role; what it gets is added to `answers`."""

    def __init__(self, form: str, endpoint: str, client: AcsClient, answers: Answers) -> None:
        self._form = form
        self._endpoint = endpoint
        self._client = client
        self._answers = answers

    def __call__(self, product: str, action: str, **values: Any) -> Mapping[str, Any]:
        """The answer, whose keys lead to texts in XML; a refusal is noted with its code and status."""
        request = getattr(importlib.import_module(f"{PACKAGES[product]}.{action}Request"), f"{action}Request")()
        for name, value in values.items():
            getattr(request, f"set_{name}")(value)
        # STS and Resource Sharing would use HTTPS.
        request.set_protocol_type("http")
        if self._endpoint != "-":
            request.set_endpoint(self._endpoint)
        if self._form == "form":
            request.set_method("POST")
            for name, value in request.get_query_params().items():
                request.add_body_params(name, value)
            request.set_query_params({})
        try:
            answer, shown = self._send(request)
        except ServerException as refusal:
            answer, shown = {}, [refusal.get_http_status(), refusal.get_error_code()]
        self._answers.append((f"{product}:{action}", shown))
        return answer

    def _send(self, request: Any) -> tuple[Mapping[str, Any], Any]:
        if self._form != "xml":
            answer = json.loads(self._client.do_action_with_exception(request))
            return answer, answer
        request.set_accept_format("XML")
        # do_action_with_exception would ask for JSON, whatever was set.
        status, _, body, _ = self._client._implementation_of_do_action(request)
        text = body.decode()
        root = Xml.fromstring(text)
        if root.tag == "Error":
            raise ServerException(root.findtext("Code"), root.findtext("Message"), http_status=status)
        assert root.tag == f"{request.get_action_name()}Response", text
        return _mapping(root), text


def _mapping(element: Xml.Element) -> Mapping[str, Any]:
    return {child.tag: _mapping(child) if len(child) else child.text or "" for child in element}


def everything(form: str, endpoint: str) -> Answers:
    """Calls every operation, in an order that works; the last calls are refused."""
    answers: Answers = []

    def caller(key: str, secret: str = "local", credential: Any = None) -> Caller:
        ids = {} if credential else {"ak": key, "secret": secret}
        return Caller(form, endpoint, AcsClient(**ids, region_id=REGION, credential=credential), answers)

    owner, manager, partner = (caller(f"KEY{account}") for account in (OWNER, MANAGEMENT, PARTNER))
    tag = [{"Key": "env", "Value": "the second one"}]

    owner("ecs", "DescribeRegions")
    owner("ecs", "DescribeImages", ImageOwnerAlias="self")
    owner("ecs", "ModifyImageSharePermission", ImageId="m-one", AddAccounts=[LAB], RemoveAccounts=[SHOP])
    owner("ecs", "ModifyImageSharePermission", ImageId="m-two", RemoveAccounts=[SHOP, BANK, LAB])
    owner("ecs", "ModifyImageSharePermission", ImageId="m-three", AddAccounts=[SHOP, BANK, LAB, PARTNER])
    owner("ecs", "DescribeImageSharePermission", ImageId="m-three")
    made = owner("ecs", "CreateImage", InstanceId="i-1", ImageName="made", Description="a + b = c & ~d/é*", Tags=tag)
    owner("ecs", "CopyImage", ImageId=made["ImageId"], DestinationRegionId=FAR, DestinationImageName="copy")
    image = {"ResourceType": "image", "ResourceIds": [made["ImageId"]]}
    owner("ecs", "TagResources", **image, Tags=[{"Key": "team", "Value": "b"}])
    owner("ecs", "ListTagResources", **image)
    owner("ecs", "UntagResources", **image, TagKeys=["team"])
    owner("ecs", "DescribeImages", ImageId=made["ImageId"])
    owner("ecs", "DescribeSnapshots", SnapshotIds='["s-one"]')
    owner("ecs", "DeleteImage", ImageId=made["ImageId"], Force=True)

    owner("sts", "GetCallerIdentity")
    keys = owner("sts", "AssumeRole", RoleArn=READER, RoleSessionName="session")["Credentials"]
    session = caller(
        "", credential=StsTokenCredential(keys["AccessKeyId"], keys["AccessKeySecret"], keys["SecurityToken"])
    )
    session("sts", "GetCallerIdentity")
    session("resourcemanager", "ListAccounts", IncludeTags=True, PageSize=2)

    manager("resourcemanager", "GetResourceDirectory")
    manager("resourcemanager", "GetAccount", AccountId=SHOP, IncludeTags=True)
    manager("resourcemanager", "GetFolder", FolderId="fd-eu")
    manager("resourcemanager", "ListAncestors", ChildId=BANK)
    manager("resourcemanager", "ListAccountsForParent", ParentFolderId="fd-prod")
    manager("resourcemanager", "ListFoldersForParent")
    folder = manager("resourcemanager", "CreateFolder", FolderName="new", ParentFolderId="fd-test")["Folder"]
    manager("resourcemanager", "DeleteFolder", FolderId=folder["FolderId"])
    account = manager("resourcemanager", "CreateResourceAccount", DisplayName="a new one")["Account"]
    member = {"ResourceType": "Account", "ResourceId": [account["AccountId"]]}
    manager("resourcemanager", "TagResources", **member, Tag=tag)
    manager("resourcemanager", "ListTagResources", **member)
    manager("resourcemanager", "UntagResources", **member, All=True)
    manager("resourcemanager", "MoveAccount", AccountId=account["AccountId"], DestinationFolderId="fd-test")
    invitation = manager(
        "resourcemanager",
        "InviteAccountToResourceDirectory",
        TargetEntity=PARTNER,
        TargetType="Account",
        Note="welcome to <the> organization",
    )["Handshake"]
    manager("resourcemanager", "GetHandshake", HandshakeId=invitation["HandshakeId"])
    partner("resourcemanager", "AcceptHandshake", HandshakeId=invitation["HandshakeId"])
    manager("resourcemanager", "ListHandshakesForResourceDirectory")
    manager("resourcemanager", "RemoveCloudAccount", AccountId=LAB)
    share_everything(owner, manager, caller(f"KEY{LAB}"))

    owner("ecs", "DescribeImageSharePermission", ImageId="m-nowhere")
    owner("ecs", "DeleteImage", ImageId="m-three")
    owner("resourcemanager", "ListAccounts")
    caller(f"KEY{OWNER}", "other")("sts", "GetCallerIdentity")
    caller("NOBODY")("sts", "GetCallerIdentity")
    return answers


def share_everything(owner: Caller, manager: Caller, outsider: Caller) -> None:
    """The same for resource shares: what stays is m-one and m-two, shared with a folder and its subfolder."""
    product = "resourcesharing"
    images = [{"ResourceId": name, "ResourceType": "Image"} for name in ("m-one", "m-two", "m-three")]
    owner(product, "DescribeRegions", AcceptLanguage="en-US")
    manager(product, "EnableSharingWithResourceDirectory")
    owner(product, "CheckSharingWithResourceDirectoryStatus")
    made = owner(
        product, "CreateResourceShare", ResourceShareName="new", Resourcess=images[:1], Targetss=["fd-prod", "fd-test"]
    )
    share = made["ResourceShare"]["ResourceShareId"]
    owner(product, "AssociateResourceShare", ResourceShareId=share, Resourcess=images[1:])
    owner(
        product,
        "DisassociateResourceShare",
        ResourceShareId=share,
        Resourcess=images[2:],
        Targetss=["fd-test"],
        ResourceOwner="Self",
    )
    owner(product, "UpdateResourceShare", ResourceShareId=share, ResourceShareName="other")
    for answer in ("Accept", "Reject"):
        opened = owner(
            product, "CreateResourceShare", ResourceShareName=answer, AllowExternalTargets=True, Targetss=[LAB]
        )
        asking = opened["ResourceShare"]["ResourceShareId"]
        found = outsider(product, "ListResourceShareInvitations", ResourceShareIdss=[asking])
        rows = found["ResourceShareInvitations"]
        invitation = (rows[0] if isinstance(rows, list) else rows)["ResourceShareInvitationId"]
        outsider(product, f"{answer}ResourceShareInvitation", ResourceShareInvitationId=invitation)
        owner(product, "DeleteResourceShare", ResourceShareId=asking)
    owner(product, "ListResourceShares", ResourceOwner="Self", MaxResults=2)
    for kind in ("Resource", "Target"):
        owner(product, "ListResourceShareAssociations", AssociationType=kind, ResourceShareIdss=[share])
    owner(product, "ListSharedResources", ResourceOwner="Self")
    owner(product, "ListSharedTargets", ResourceOwner="Self")


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    json.dump(everything(*sys.argv[1:]), sys.stdout)
