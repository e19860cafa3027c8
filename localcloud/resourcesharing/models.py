"""Resource shares, what is associated with them, and whom they reach.

Everything here is asynchronous: a row goes from Associating to Associated or Failed, from Disassociating to
Disassociated, and what is over stays listed for days beside a new row for the same entity. All of that is reckoned
from the clock, nothing happens in the background: a status that was stored would be wrong as soon as time passes.

An account has an image through a share while the image's row and the row of a target that reaches the account are
Associated and the share is Active. Whom a target reaches follows the organization
(https://www.alibabacloud.com/help/doc-detail/25463.htm), seen `delays.coverage` late. Sets of accounts are kept for
each choice of targets and handed out as they are, since tests ask for all images after every write.
"""

from __future__ import annotations

import math
import random as random_module
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from localcloud.call import Settings, new_id
from localcloud.clock import parse_iso
from localcloud.ecs.models import EcsModel, share_role
from localcloud.errors import ApiError
from localcloud.resourcemanager.models import DirectoryModel, View
from localcloud.resourcesharing.errors import ERRORS
from localcloud.sts.models import IdentityModel
from localcloud.world import ROOT_ID, ResourceShare

KEPT_SECONDS = 72 * 3600
"""How long what is over stays listed: 48 to 96 hours, says the vendor
(https://www.alibabacloud.com/help/en/resource-management/resource-sharing/developer-reference/api-resourcesharing-2020-01-10-listresourceshareassociations)."""

INVITATION_SECONDS = 7 * 86_400
"""How long an invitation is valid:
https://alibabacloud.com/help/en/resource-management/resource-sharing/developer-reference/api-resourcesharing-2020-01-10-acceptresourceshareinvitation"""

STUCK_SECONDS = 30 * 86_400

RESOURCE_TYPE = "Image"
PERMISSION = "AliyunRSDefaultPermissionImage"
"""The one permission for images:
https://alibabacloud.com/help/en/resource-management/resource-sharing/user-guide/permissions-for-resource-sharing"""

Kind = Literal["Resource", "Target"]
Entity = tuple[Kind, str]
ShareStatus = Literal["Active", "Pending", "Deleting", "Deleted"]
AssociationStatus = Literal["Associating", "Associated", "Failed", "Disassociating", "Disassociated"]
InvitationStatus = Literal["Pending", "Accepted", "Cancelled", "Rejected", "Expired"]


class Association(msgspec.Struct, eq=False):
    """A row: one image or target of a share, once associated, and what becomes of it with time."""

    serial: int
    share: str
    kind: Kind
    entity: str
    created: float
    ready: float
    failure: str = ""
    """What is answered as its cause if it becomes Failed when it is ready; empty if it becomes Associated."""
    ends: float = math.inf
    ended: float = math.inf
    external: bool = False

    def state(self, now: float) -> AssociationStatus:
        """Its status at a time."""
        if now >= self.ended:
            return "Disassociated"
        if now >= self.ends:
            return "Disassociating"
        if now < self.ready:
            return "Associating"
        return "Failed" if self.failure else "Associated"

    def updated(self, now: float) -> float:
        """When its status last changed."""
        past = (moment for moment in (self.ended, self.ends, self.ready) if moment <= now)
        return next(past, self.created)

    def stop(self, *, now: float, delay: float) -> None:
        """Begin to disassociate."""
        self.ends, self.ended = now, now + delay


class Invitation(msgspec.Struct, eq=False):
    """An account outside the organization is asked to take part in a share."""

    id: str
    association: Association
    sender: str
    receiver: str
    created: float
    expires: float
    answered: InvitationStatus = "Pending"

    def answer_at(self, now: float) -> InvitationStatus:
        """Its status at a time: a pending invitation expires by itself."""
        return "Expired" if self.answered == "Pending" and now >= self.expires else self.answered


class Share(msgspec.Struct, eq=False):
    """A resource share and all its rows, those that are over included, in the order in which they were made."""

    id: str
    owner: str
    region: str
    name: str
    allow_external: bool
    tags: Mapping[str, str]
    resource_group: str
    created: float
    updated: float
    ready: float
    stated: str = ""
    """When it was made, as the world says it; empty if it does not."""
    ends: float = math.inf
    ended: float = math.inf
    rows: dict[Entity, list[Association]] = {}

    def phase(self, now: float) -> ShareStatus:
        """Its status at a time."""
        if now >= self.ended:
            return "Deleted"
        if now >= self.ends:
            return "Deleting"
        return "Pending" if now < self.ready else "Active"

    def newest(self, entity: Entity) -> Association | None:
        """The row that counts for an entity; older ones are over."""
        rows = self.rows.get(entity)
        return rows[-1] if rows else None

    def current(self, kind: Kind, states: Sequence[AssociationStatus], now: float) -> list[Association]:
        """The newest rows of one kind that have one of these statuses."""
        newest = (rows[-1] for (one, _), rows in self.rows.items() if one == kind)
        return [row for row in newest if row.state(now) in states]


LIVE: tuple[AssociationStatus, ...] = ("Associating", "Associated")
STANDING: tuple[AssociationStatus, ...] = ("Associated",)


class SharingModel:
    """All resource shares of all accounts and regions, and whom they reach."""

    def __init__(
        self,
        shares: Mapping[str, ResourceShare],
        *,
        ecs: EcsModel,
        directory: DirectoryModel,
        identity: IdentityModel,
        settings: Settings,
        now: float,
    ) -> None:
        self._ecs = ecs
        self._directory = directory
        self._identity = identity
        self._settings = settings
        self._shares: dict[str, Share] = {}
        self._owned: dict[tuple[str, str], list[str]] = {}
        self._naming: dict[str, set[str]] = {}
        self.invitations: dict[str, Invitation] = {}
        self._serial = 0
        self._view: View | None = None
        self._reached: dict[tuple[object, ...], frozenset[str]] = {}
        self.adopt(shares, now=now)

    # --- reading

    def shares_of(self, owner: str, *, region: str, now: float) -> list[Share]:
        """An account's shares in a region in the order of their making, those deleted within the last days included."""
        self._forget(owner, region, now)
        return [self._shares[one] for one in self._owned.get((owner, region), ())]

    def own_share(self, share_id: str, *, owner: str, region: str, now: float) -> Share:
        """The caller's own share; another account's, or another region's, does not exist for it."""
        self._forget(owner, region, now)
        share = self._shares.get(share_id)
        if share is None or (share.owner, share.region) != (owner, region):
            raise ERRORS.error("EntityNotExists.ResourceShare")
        return share

    def shares_with(self, account: str, *, region: str, now: float) -> list[Share]:
        """The shares of others that reach an account in a region."""
        return [
            share
            for share in self._shares.values()
            if share.region == region and share.phase(now) == "Active" and account in self._reach(share, now)
        ]

    def association_of(self, share: Share, now: float) -> Iterator[Association]:
        """All rows of a share that are still listed."""
        return (row for rows in share.rows.values() for row in rows if not _faded(row, now))

    # --- whom shares reach

    def covered(self, image_id: str, now: float) -> frozenset[str]:
        """The accounts that have an image through shares."""
        found = [self._reach(share, now) for share in self._holding(image_id, now)]
        return found[0] if len(found) == 1 else frozenset().union(*found)

    def covered_since(self, image_id: str, now: float) -> dict[str, float]:
        """The same, each with the time at which the first association that covers it took effect."""
        since: dict[str, float] = {}
        for share in self._holding(image_id, now):
            image = share.rows["Resource", image_id][-1]
            for row in share.current("Target", STANDING, now):
                moment = max(image.ready, row.ready)
                for account in self._reach_of(share.owner, ((row.entity, row.external),), now):
                    since[account] = min(since.get(account, math.inf), moment)
        return since

    def coverage(self, now: float) -> dict[str, frozenset[str]]:
        """Image -> the accounts that have it through shares; images of one share have the same set, not a copy."""
        sets: dict[str, list[frozenset[str]]] = {}
        for share in self._shares.values():
            if share.phase(now) == "Active" and (reached := self._reach(share, now)):
                for row in share.current("Resource", STANDING, now):
                    sets.setdefault(row.entity, []).append(reached)
        unions: dict[frozenset[frozenset[str]], frozenset[str]] = {}
        found: dict[str, frozenset[str]] = {}
        for image_id, several in sets.items():
            if len(several) == 1:
                found[image_id] = several[0]
                continue
            key = frozenset(several)
            if key not in unions:
                unions[key] = frozenset().union(*several)
            found[image_id] = unions[key]
        return found

    def covering(self, account: str, now: float) -> set[str]:
        """The images that an account has through shares."""
        return {
            row.entity
            for share in self._shares.values()
            if share.phase(now) == "Active" and account in self._reach(share, now)
            for row in share.current("Resource", STANDING, now)
        }

    def shares_image(self, image_id: str, states: Sequence[AssociationStatus], now: float) -> bool:
        """Whether an image has such a row in a share that is not deleted."""
        rows = (
            self._shares[one].newest(("Resource", image_id))
            for one in self._naming.get(image_id, ())
            if self._shares[one].phase(now) in ("Active", "Pending")
        )
        return any(row is not None and row.state(now) in states for row in rows)

    def _holding(self, image_id: str, now: float) -> list[Share]:
        """The active shares with which an image is associated."""
        found = []
        for share_id in self._naming.get(image_id, ()):
            share = self._shares[share_id]
            row = share.newest(("Resource", image_id))
            if row is not None and row.state(now) == "Associated" and share.phase(now) == "Active":
                found.append(share)
        return found

    def _reach(self, share: Share, now: float) -> frozenset[str]:
        """The accounts that the targets of a share reach, whatever the share's own status."""
        targets = sorted((row.entity, row.external) for row in share.current("Target", STANDING, now))
        return self._reach_of(share.owner, tuple(targets), now)

    def _reach_of(self, owner: str, targets: tuple[tuple[str, bool], ...], now: float) -> frozenset[str]:
        view = self._directory.reached(now)
        if view is not self._view:
            self._view = view
            self._reached.clear()
        switches = self._settings.switches
        everybody = (switches.nested_folder_targets, switches.root_folder_target, switches.management_covered)
        key = (owner, targets, *everybody, self._directory.management)
        known = self._reached.get(key)
        if known is None:
            found: set[str] = set()
            for target, external in targets:
                found.update([target] if external else self._accounts_of(target, view))
            known = self._reached[key] = frozenset(found - {owner})
        return known

    def _accounts_of(self, target: str, view: View) -> Iterable[str]:
        """Whom a target within the organization reaches; the owner is taken out later."""
        switches = self._settings.switches
        if target.startswith("fd-"):
            return self._accounts_in(target, view)
        if target.startswith(("rd-", "r-")):
            works = target == view.directory or (target == ROOT_ID and switches.root_folder_target == "accepted")
            if not works:
                return ()
            return [*view.members, self._directory.management] if switches.management_covered else view.members
        return (target,) if target in view.members else ()

    def _accounts_in(self, folder: str, view: View) -> Iterator[str]:
        yield from view.members_of.get(folder, ())
        if self._settings.switches.nested_folder_targets:
            for below in view.folders_of.get(folder, ()):
                yield from self._accounts_in(below, view)

    # --- changing

    def open_share(self, share: Share, wanted: Sequence[Entity], *, now: float) -> None:
        """Make a share and associate what it starts with; a refusal makes nothing, whatever the switches."""
        self._check_organization(share)
        count = sum(self._shares[one].phase(now) != "Deleted" for one in self._all_of(share.owner))
        if count >= self._settings.quotas.resource_shares:
            raise ERRORS.error("QuotaExceeded.ResourceShare.Count")
        fitting, refused = self._sift(share, wanted, {}, now)
        if refused is not None:
            raise refused
        self._put(share)
        for entity in fitting:
            self._begin(share, entity, now=now, fault="")

    def associate(
        self, share: Share, wanted: Sequence[Entity], *, now: float, fault: str
    ) -> tuple[list[Association], ApiError | None]:
        """Associate entities: their rows, and the refusal if there is one.

        With `partial_association: none` a refusal changes nothing; with `some` the other entities are associated.
        """
        self._check_active(share, now)
        self._check_organization(share)
        taken = {entity: self._taken(share, entity, now) for entity in wanted}
        fitting, refused = self._sift(share, wanted, taken, now)
        if refused is not None and self._settings.switches.partial_association == "none":
            return [], refused
        rows = []
        for entity in fitting:
            known = share.newest(entity)
            live = known is not None and known.state(now) in LIVE
            rows.append(known if known is not None and live else self._begin(share, entity, now=now, fault=fault))
        return rows, refused

    def disassociate(
        self, share: Share, wanted: Sequence[Entity], *, now: float
    ) -> tuple[list[Association], ApiError | None]:
        """Begin to disassociate entities: their rows, and the refusal if there is one, as for `associate`."""
        self._check_active(share, now)
        if not share.allow_external and not self._in_organization(share.owner):
            raise ERRORS.error("AccountNotInResourceDirectory")
        problems = {entity: self._unreleasable(share, entity, now) for entity in wanted}
        refused = next((problem for problem in problems.values() if problem is not None), None)
        if refused is not None and self._settings.switches.partial_association == "none":
            return [], refused
        rows = [share.rows[entity][-1] for entity in wanted if problems[entity] is None]
        for row in rows:
            self._end(row, now=now)
        return rows, refused

    def leave_share(self, share_id: str, account: str, *, region: str, now: float) -> list[Association]:
        """An account from outside goes out of a share; one that the organization brought in cannot."""
        share = self._shares.get(share_id)
        if share is None or share not in self.shares_with(account, region=region, now=now):
            raise ERRORS.error("EntityNotExists.ResourceShare")
        row = share.newest(("Target", account))
        if row is None or not row.external or row.state(now) != "Associated":
            raise ERRORS.error("LeavingFailed.Account")
        self._end(row, now=now)
        return [row]

    def rename(self, share: Share, name: str, *, allow_external: bool | None, now: float) -> None:
        """Give a share another name; accounts from outside must be gone before it is closed to them.

        What is refused then is documented only as not permitted.
        """
        self._check_active(share, now)
        if allow_external is False and any(row.external for row in share.current("Target", LIVE, now)):
            raise ERRORS.error("OperationNotPermitted")
        share.name, share.updated = name, now
        if allow_external is not None:
            share.allow_external = allow_external

    def close(self, share: Share, *, now: float) -> None:
        """Delete a share, which disassociates everything; not while something else is under way."""
        self._check_active(share, now)
        under_way = [
            *share.current("Resource", ("Associating", "Disassociating"), now),
            *share.current("Target", ("Associating", "Disassociating"), now),
        ]
        if any(self._invitation_for(row, now) is None for row in under_way):
            raise ERRORS.error("DeleteResourceShareConflict")
        self._delete(share, now=now, delay=self._settings.delays.association)

    def invitation_of(self, invitation_id: str, *, receiver: str, now: float) -> Invitation:
        """An invitation that waits for this account's answer."""
        found = self.invitations.get(invitation_id)
        if found is None or found.receiver != receiver or found.answer_at(now) == "Cancelled":
            raise ERRORS.error("EntityNotExists.ResourceShareInvitation")
        match found.answer_at(now):
            case "Accepted":
                raise ERRORS.error("InvitationStatus.AlreadyAccepted")
            case "Rejected":
                raise ERRORS.error("InvitationStatus.AlreadyRejected")
            case "Expired":
                raise ERRORS.error("InvitationStatus.Expired")
        return found

    def accept_invitation(self, invitation: Invitation, *, now: float) -> None:
        """The account takes part as soon as the association is done."""
        invitation.answered = "Accepted"
        invitation.association.ready = now + self._settings.delays.association
        invitation.association.failure = ""

    def reject_invitation(self, invitation: Invitation, *, now: float) -> None:
        """The account takes no part."""
        invitation.answered = "Rejected"
        invitation.association.ready = now

    def lose_image(self, image_id: str, *, now: float) -> None:
        """An image is gone: its rows are over at once."""
        for share_id in self._naming.get(image_id, ()):
            row = self._shares[share_id].newest(("Resource", image_id))
            if row is not None and row.state(now) not in ("Failed", "Disassociated"):
                row.stop(now=now, delay=0.0)

    def share_named(self, share_id: str) -> Share:
        """A share that is known to exist."""
        return self._shares[share_id]

    def new_share_id(self, random: random_module.Random) -> str:
        """An id that no share has."""
        share_id = f"rs-{new_id(random, 12)}"
        while share_id in self._shares:
            share_id = f"rs-{new_id(random, 12)}"
        return share_id

    # --- what may be associated

    def _check_active(self, share: Share, now: float) -> None:
        if share.phase(now) != "Active":
            raise ERRORS.error("ResourceShareStatusMismatchAction")

    def _check_organization(self, share: Share) -> None:
        """A share that is not open to all needs the organization, and that it shares."""
        if share.allow_external:
            return
        problem = self._without_organization(share.owner)
        if problem is not None:
            raise problem

    def _without_organization(self, owner: str) -> ApiError | None:
        if not self._in_organization(owner):
            return ERRORS.error("AccountNotInResourceDirectory")
        if not self._directory.sharing_enabled:
            return ERRORS.error("NotEnableSharingWithResourceDirectory")
        return None

    def _in_organization(self, account: str) -> bool:
        directory = self._directory
        return bool(directory.id) and (account == directory.management or account in directory.truth.members)

    def _sift(
        self, share: Share, wanted: Sequence[Entity], taken: Mapping[Entity, ApiError | None], now: float
    ) -> tuple[list[Entity], ApiError | None]:
        """What of this may be associated, and why the first of the others may not; `taken` may know that already."""
        shared = {
            row.entity
            for share_id in self._all_of(share.owner)
            if self._shares[share_id].phase(now) != "Deleted"
            for row in self._shares[share_id].current("Resource", (*LIVE, "Disassociating"), now)
        }
        fitting: list[Entity] = []
        refused: ApiError | None = None
        for entity in wanted:
            problem = taken.get(entity)
            known = share.newest(entity)
            if problem is None and (known is None or known.state(now) not in LIVE):
                problem = self._unfit(share, entity, shared, now)
            if problem is None:
                fitting.append(entity)
                if entity[0] == "Resource":
                    shared.add(entity[1])
            elif refused is None:
                refused = problem
        return fitting, refused

    def _taken(self, share: Share, entity: Entity, now: float) -> ApiError | None:
        """Why an entity cannot be associated for what it is in this share already."""
        known = share.newest(entity)
        state = known.state(now) if known is not None else ""
        if state == "Disassociating":
            return ERRORS.error("AssociateConflict")
        if state in LIVE:
            # Nothing is documented for this. The switch takes the one code for an association in a wrong state that
            # is not about services; a client that meets it has to look what is there.
            repeated = self._settings.switches.repeated_association == "error"
            return ERRORS.error("AssociateConflict") if repeated else None
        return None

    def _unfit(self, share: Share, entity: Entity, shared: set[str], now: float) -> ApiError | None:
        kind, name = entity
        if kind == "Target":
            return self._unfit_target(share, name)
        if not self._shareable(share, name, now):
            return ERRORS.error("InvalidParameter.Resources")
        if name not in shared and len(shared) >= self._settings.quotas.shared_resources:
            return ERRORS.error("QuotaExceeded.SharedResource.Count")
        return None

    def _shareable(self, share: Share, image_id: str, now: float) -> bool:
        """Own custom images of the share's region, ready, neither public nor under a service key.

        As for direct shares (https://www.alibabacloud.com/help/doc-detail/25463.htm); which of the documented codes
        is answered otherwise is not written, so all have the one for bad resources. An image under a customer's key
        needs the role that lets receivers use it; what that role must say for an organization is not known.
        """
        image = self._ecs.find(image_id, region=share.region)
        if image is None or image.spec.owner != share.owner:
            return False
        if image.spec.public or image.spec.encryption == "service-key" or image.status(now) != "Available":
            return False
        return image.spec.encryption != "cmk" or share_role(share.owner) in self._identity.roles

    def _unfit_target(self, share: Share, target: str) -> ApiError | None:
        if target == share.owner:
            return ERRORS.error("ShareWithYourself")
        if self._inside(target):
            problem = self._without_organization(share.owner)
            if problem is not None:
                return problem
        elif not (share.allow_external and target.isdigit()):
            return ERRORS.error("InvalidTarget")
        elif not self._directory.exists(target):
            return ERRORS.error("InvalidParameter.Targets")
        sites = self._settings.sites
        if sites.get(target, "china") != sites.get(share.owner, "china"):
            return ERRORS.error("InvalidTarget.SiteMismatch")
        return None

    def _inside(self, target: str) -> bool:
        """Whether this is the organization, a folder or a member of it."""
        directory, truth = self._directory, self._directory.truth
        if target == ROOT_ID:
            return self._settings.switches.root_folder_target == "accepted" and target in truth.folders
        return target in truth.folders or target in truth.members or target == directory.id

    def _unreleasable(self, share: Share, entity: Entity, now: float) -> ApiError | None:
        row = share.newest(entity)
        state = row.state(now) if row is not None else ""
        invited = row is not None and self._invitation_for(row, now) is not None
        if state == "Associating" and not invited:
            return ERRORS.error("DisassociateConflict")
        return None if state in LIVE else ERRORS.error("DisassociateInvalid")

    # --- keeping the books

    def _all_of(self, owner: str) -> Iterator[str]:
        return (one for (who, _), ids in self._owned.items() if who == owner for one in ids)

    def _put(self, share: Share) -> None:
        self._shares[share.id] = share
        self._owned.setdefault((share.owner, share.region), []).append(share.id)

    def _begin(self, share: Share, entity: Entity, *, now: float, fault: str) -> Association:
        """A new row, and an invitation if an account from outside must be asked."""
        kind, name = entity
        external = kind == "Target" and name.isdigit() and name not in self._directory.truth.members
        row = self._new_row(share, entity, created=now, external=external)
        if fault == "stuck-association":
            row.ready = now + STUCK_SECONDS
        elif external:
            invitation_id = f"i-{share.id[3:]}{row.serial:06d}"
            expires = now + INVITATION_SECONDS
            self.invitations[invitation_id] = Invitation(invitation_id, row, share.owner, name, now, expires)
            row.ready, row.failure = expires, "Unavailable"
        else:
            row.ready = now + self._settings.delays.association
            row.failure = "InternalError" if fault == "fail-association" else ""
        return row

    def _new_row(self, share: Share, entity: Entity, *, created: float, external: bool) -> Association:
        kind, name = entity
        self._serial += 1
        row = Association(self._serial, share.id, kind, name, created, created, external=external)
        share.rows.setdefault(entity, []).append(row)
        if kind == "Resource":
            self._naming.setdefault(name, set()).add(share.id)
        return row

    def _end(self, row: Association, *, now: float) -> None:
        row.stop(now=now, delay=self._settings.delays.association)
        invitation = self._invitation_for(row, now)
        if invitation is not None:
            invitation.answered = "Cancelled"

    def _invitation_for(self, row: Association, now: float) -> Invitation | None:
        """The invitation that this row waits for."""
        waiting = (one for one in self.invitations.values() if one.association is row)
        return next((one for one in waiting if one.answer_at(now) == "Pending"), None) if row.external else None

    def _delete(self, share: Share, *, now: float, delay: float) -> None:
        share.ends, share.ended, share.updated = now, now + delay, now
        for kind in ("Resource", "Target"):
            for row in share.current(kind, (*LIVE, "Disassociating"), now):
                self._end(row, now=now)
                row.ended = now + delay

    def _forget(self, owner: str, region: str, now: float) -> None:
        """Drop what is over for so long that it is listed no more."""
        for share_id in list(self._owned.get((owner, region), ())):
            share = self._shares[share_id]
            if now >= share.ended + KEPT_SECONDS:
                self._drop_share(share)
                continue
            for entity in [one for one, rows in share.rows.items() if _faded(rows[0], now)]:
                kept = [row for row in share.rows[entity] if not _faded(row, now)]
                if kept:
                    share.rows[entity] = kept
                else:
                    self._drop_rows(share, entity)

    def _drop_rows(self, share: Share, entity: Entity) -> None:
        del share.rows[entity]
        if entity[0] == "Resource":
            self._naming[entity[1]].discard(share.id)

    def _drop_share(self, share: Share) -> None:
        for entity in list(share.rows):
            self._drop_rows(share, entity)
        for asked in [one.id for one in self.invitations.values() if one.association.share == share.id]:
            del self.invitations[asked]
        del self._shares[share.id]
        self._owned[share.owner, share.region].remove(share.id)

    # --- changes from outside

    def adopt(self, shares: Mapping[str, ResourceShare], *, now: float) -> None:
        """Take over other shares: everything in them is associated at once, what is in none of them is over at once."""
        for share in list(self._shares.values()):
            if share.phase(now) in ("Active", "Pending") and share.id not in shares:
                self._delete(share, now=now, delay=0.0)
        for share_id, spec in shares.items():
            known = self._shares.get(share_id)
            gone = known is not None and known.phase(now) in ("Deleting", "Deleted")
            if known is not None and (gone or (known.owner, known.region) != (spec.owner, spec.region)):
                self._drop_share(known)
                known = None
            self._adopt_one(known or self._opened(share_id, spec, now), spec, now=now)

    def _opened(self, share_id: str, spec: ResourceShare, now: float) -> Share:
        created = parse_iso(spec.created) if spec.created else now
        share = Share(
            id=share_id,
            owner=spec.owner,
            region=spec.region,
            name=spec.name,
            allow_external=spec.allow_external,
            tags=spec.tags,
            resource_group=spec.resource_group,
            created=created,
            updated=created,
            ready=created,
            stated=spec.created,
        )
        self._put(share)
        return share

    def _adopt_one(self, share: Share, spec: ResourceShare, *, now: float) -> None:
        if (share.name, share.allow_external) != (spec.name, spec.allow_external):
            share.updated = now
        share.name, share.allow_external, share.tags = spec.name, spec.allow_external, spec.tags
        share.resource_group = spec.resource_group
        fresh = not share.rows
        wanted: list[Entity] = [("Resource", one) for one in spec.images]
        wanted += [("Target", one) for one in spec.targets]
        for kind in ("Resource", "Target"):
            for row in share.current(kind, LIVE, now):
                if (kind, row.entity) not in wanted:
                    self._end(row, now=now)
                    row.ended = now
        for entity in wanted:
            known = share.newest(entity)
            if known is None or known.state(now) not in LIVE:
                name = entity[1]
                outside = name.isdigit() and name not in self._directory.truth.members
                created = share.created if fresh else now
                self._new_row(share, entity, created=created, external=share.allow_external and outside)

    def share_documents(self, now: float) -> dict[str, ResourceShare]:
        """The shares that are not deleted, with what is or is being associated, as part of a world."""
        return {
            share.id: ResourceShare(
                owner=share.owner,
                region=share.region,
                name=share.name,
                images=tuple(row.entity for row in share.current("Resource", LIVE, now)),
                targets=tuple(row.entity for row in share.current("Target", LIVE, now)),
                tags=dict(share.tags),
                allow_external=share.allow_external,
                resource_group=share.resource_group,
                created=share.stated,
            )
            for share in self._shares.values()
            if share.phase(now) in ("Active", "Pending")
        }


def _faded(row: Association, now: float) -> bool:
    """Whether a row is over for so long that it is listed no more."""
    failed = row.state(now) == "Failed" and now >= row.ready + KEPT_SECONDS
    return failed or now >= row.ended + KEPT_SECONDS
