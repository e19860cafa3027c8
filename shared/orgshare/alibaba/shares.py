"""The resource shares of one owner in one region, as Resource Sharing 2020-01-10 tells and changes them.

https://www.alibabacloud.com/help/en/resource-management/resource-sharing/developer-reference/api-resourcesharing-2020-01-10-listresourceshares
and its neighbours. A request names no region: the client's endpoint does.

What can go wrong lies in what an answer leaves out. The SDK makes an empty list of a list that is absent, and one that
is absent proves nothing: so its client is told here to look at the answer before its models do. Rows stay listed for
days after they are over, and deleted shares too; they are handed on as they are. An answer to a write that cannot be
read is ``NoAnswer``: the write may have been carried out.

The refusals ``AssociateConflict`` and ``DisassociateConflict`` (the opposite is under way) and
``ResourceShareStatusMismatchAction`` (the share itself is changing) pass, but only when the service has finished, which
takes minutes: they are ``Refused`` with their code, are not tried again here, and the caller comes back later.
``DisassociateInvalid`` says that there is nothing to take out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

from orgshare.alibaba.calls import Lane, checking, one_line, required
from orgshare.errors import Malformed, NoAnswer, Refused
from orgshare.ports import PAGE_SIZE, AssociationKind, AssociationRow, TokenPage
from orgshare.words import NO_TAGS, Association, ResourceShare, Tags

Answer = TypeVar("Answer")

MOST_ENTITIES_A_CALL = 5
"""More images, or more targets, in one call are refused, so a longer list is a defect of the caller.

https://www.alibabacloud.com/help/en/resource-management/resource-sharing/developer-reference/api-resourcesharing-2020-01-10-associateresourceshare
"""

IMAGE = "Image"
"""The type of a shared custom image, as Terraform's provider and the vendor's rows spell it.

https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/resources/resource_manager_shared_resource
"""

NO_SUCH_SHARE = "EntityNotExists.ResourceShare"

FAILURES_TOLD = 3
"""Details of a failure that are told: one of the whole directory may have thousands, one for each account."""

_LISTS: Mapping[str, str] = MappingProxyType(
    {
        "ListResourceShares": "ResourceShares",
        "ListResourceShareAssociations": "ResourceShareAssociations",
        "AssociateResourceShare": "ResourceShareAssociations",
    }
)


def sharing_client(config: Any) -> Any:
    """The SDK's client, which raises ``Malformed`` for an answer that lacks its list."""
    from alibabacloud_resourcesharing20200110.client import Client

    return checking(Client, "resourcesharing", _LISTS)(config)


class ResourceShares:
    """``ports.ShareService`` over one client of ``sharing_client``."""

    def __init__(self, client: Any, lane: Lane) -> None:
        from alibabacloud_resourcesharing20200110 import models

        self._client = client
        self._models = models
        self._lane = lane

    def enabled(self) -> bool:
        """Whether sharing within the organization is enabled.

        https://www.alibabacloud.com/help/en/resource-management/developer-reference/api-resourcesharing-2020-01-10-checksharingwithresourcedirectorystatus
        """
        operation = "resourcesharing:CheckSharingWithResourceDirectoryStatus"

        def call() -> bool:
            body = required(self._client.check_sharing_with_resource_directory_status().body, operation, "a body")
            enabled = required(body.enable_sharing_with_rd, operation, "EnableSharingWithRd")
            if not isinstance(enabled, bool):
                raise Malformed(f"{operation}: EnableSharingWithRd is {enabled!r}, not true or false")
            return enabled

        return self._lane.read(operation, call)

    def shares(self, token: str) -> TokenPage[ResourceShare]:
        """One page of the owner's own resource shares, without their rows; deleted ones stay listed for days."""
        return self._list_shares(None, next_token=token or None)

    def share_by_id(self, share: str) -> ResourceShare | None:
        """One of the owner's own resource shares, without its rows; ``None`` if an answer without rows says so."""
        try:
            rows = self._list_shares(share, resource_share_ids=[share]).rows
        except Refused as error:
            if error.code == NO_SUCH_SHARE:
                return None
            raise
        return next((row for row in rows if row.id == share), None)

    def rows(
        self, kind: AssociationKind, token: str, *, share: str | None = None, entity: str | None = None
    ) -> TokenPage[AssociationRow]:
        """One page of images (kind Resource) or targets, of all shares or of one, or of a single image or target; rows
        that are over stay for days.

        Resources that are something else than images are left out; one that does not say what it is may be an image.
        """
        operation = "resourcesharing:ListResourceShareAssociations"
        request = self._models.ListResourceShareAssociationsRequest(
            association_type=kind,
            max_results=PAGE_SIZE,
            next_token=token or None,
            resource_share_ids=None if share is None else [share],
            resource_id=entity if kind == "Resource" else None,
            target=entity if kind == "Target" else None,
        )

        def call() -> TokenPage[AssociationRow]:
            body = required(self._client.list_resource_share_associations(request).body, operation, "a body")
            rows = required(body.resource_share_associations, operation, "ResourceShareAssociations")
            return TokenPage(
                rows=tuple(
                    AssociationRow(
                        share=str(required(row.resource_share_id, operation, "ResourceShareId")),
                        association=_association(row, operation),
                    )
                    for row in rows
                    if kind == "Target" or row.entity_type in (None, "", IMAGE)
                ),
                token=body.next_token or "",
            )

        return self._lane.read(operation, call)

    def create(self, name: str, tags: Tags) -> ResourceShare:
        """An empty resource share that only members of the organization can be targets of. Not idempotent.

        After ``NoAnswer`` it may exist: the tags, which are in the same call, find it again.
        """
        operation = "resourcesharing:CreateResourceShare"
        request = self._models.CreateResourceShareRequest(
            resource_share_name=name,
            allow_external_targets=False,
            tag=[self._models.CreateResourceShareRequestTag(key=key, value=value) for key, value in sorted(tags)],
        )

        def call() -> ResourceShare:
            body = required(self._client.create_resource_share(request).body, operation, "a body")
            return _share(required(body.resource_share, operation, "ResourceShare"), tags, operation)

        return self._write(operation, call)

    def associate(self, share: str, *, images: Sequence[str], targets: Sequence[str]) -> tuple[Association, ...]:
        """Put images and targets into a share, at most five of each; the new rows, which are under way."""
        _check_numbers(images, targets)
        operation = "resourcesharing:AssociateResourceShare"
        request = self._models.AssociateResourceShareRequest(
            resource_share_id=share,
            resources=[
                self._models.AssociateResourceShareRequestResources(resource_id=image, resource_type=IMAGE)
                for image in images
            ],
            targets=list(targets),
        )

        def call() -> tuple[Association, ...]:
            body = required(self._client.associate_resource_share(request).body, operation, "a body")
            rows = required(body.resource_share_associations, operation, "ResourceShareAssociations")
            return tuple(_association(row, operation) for row in rows)

        return self._write(operation, call)

    def disassociate(self, share: str, *, images: Sequence[str], targets: Sequence[str]) -> None:
        """Take images and targets out of a share, at most five of each."""
        _check_numbers(images, targets)
        request = self._models.DisassociateResourceShareRequest(
            resource_share_id=share,
            resources=[
                self._models.DisassociateResourceShareRequestResources(resource_id=image, resource_type=IMAGE)
                for image in images
            ],
            targets=list(targets),
        )
        operation = "resourcesharing:DisassociateResourceShare"
        self._lane.write(operation, lambda: self._client.disassociate_resource_share(request))

    def _list_shares(self, wanted: str | None, **filters: Any) -> TokenPage[ResourceShare]:
        """One page of shares; an answer for one ``wanted`` share that shows others instead is malformed."""
        operation = "resourcesharing:ListResourceShares"
        request = self._models.ListResourceSharesRequest(resource_owner="Self", max_results=PAGE_SIZE, **filters)

        def call() -> TokenPage[ResourceShare]:
            body = required(self._client.list_resource_shares(request).body, operation, "a body")
            rows = required(body.resource_shares, operation, "ResourceShares")
            shares = tuple(_share(row, _tags(row.tags), operation) for row in rows)
            found = wanted is None or any(share.id == wanted for share in shares)
            if not found and (shares or body.next_token):
                raise Malformed(f"{operation}: asked for {wanted}, got something else")
            return TokenPage(rows=shares, token=body.next_token or "")

        return self._lane.read(operation, call)

    def _write(self, operation: str, call: Callable[[], Answer]) -> Answer:
        """Make a call whose answer is needed: one that cannot be read leaves open whether it was carried out."""
        try:
            return self._lane.write(operation, call)
        except Malformed as error:
            raise NoAnswer(f"{error}; it may have been carried out") from error


def _check_numbers(images: Sequence[str], targets: Sequence[str]) -> None:
    if not images and not targets:
        raise ValueError("neither an image nor a target in the call")
    if max(len(images), len(targets)) > MOST_ENTITIES_A_CALL:
        raise ValueError(f"{len(images)} images and {len(targets)} targets in one call: at most 5 of each")


def _share(row: Any, tags: Tags, operation: str) -> ResourceShare:
    return ResourceShare(
        id=str(required(row.resource_share_id, operation, "ResourceShareId")),
        name=row.resource_share_name or "",
        status=required(row.resource_share_status, operation, "ResourceShareStatus"),
        external=row.allow_external_targets is True,
        tags=tags,
    )


def _tags(tags: Any) -> Tags:
    return frozenset((tag.key, tag.value or "") for tag in tags if tag.key is not None) if tags else NO_TAGS


def _association(row: Any, operation: str) -> Association:
    return Association(
        entity=str(required(row.entity_id, operation, "EntityId")),
        status=required(row.association_status, operation, "AssociationStatus"),
        created=required(row.create_time, operation, "CreateTime"),
        updated=row.update_time or "",
        failure=_failure(row),
    )


def _failure(row: Any) -> str:
    """Why an association failed, on one line: the message, then each different detail, the first few of them.

    A detail names its entity where it is another than the row's: an account below a folder that is the target.
    """
    details = [_detail(detail, str(row.entity_id)) for detail in getattr(row, "association_failed_details", None) or ()]
    different = list(dict.fromkeys(detail for detail in details if detail))
    told = [row.association_status_message or "", *different[:FAILURES_TOLD]]
    more = len(different) - FAILURES_TOLD
    return one_line("; ".join(part for part in (*told, f"and {more} more" if more > 0 else "") if part))


def _detail(detail: Any, entity: str) -> str:
    whose = "" if detail.entity_id is None or str(detail.entity_id) == entity else str(detail.entity_id)
    why = (detail.failure_reason, detail.failure_description)
    return ": ".join(part for part in (whose, *why) if part) if any(why) else ""
