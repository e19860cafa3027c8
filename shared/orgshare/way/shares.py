"""Carrying out what a plan says of one shard's resource shares: create, fill, empty.

A share is created empty, recorded, and filled afterwards: whoever comes next after a crash finds it by its tags, or in
the state. What joins is written down as intended before the call. What leaves keeps its entry until a reading shows
that it is gone.

What can go wrong: filling a share that another run has just changed. So every row was decided on a reading of this
run, one share is served by one thread, and what the cloud calls too early is left to the next run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from orgshare.decide.plan import Change, Finding, Pending, Refusal, first_accounts
from orgshare.decide.refusals import reason_of_setback, remedy_of
from orgshare.decide.shares import AUDIENCE, STATE, Joining
from orgshare.errors import ENDS_WORK, NotPermitted, OrgshareError, Refused, VendorError
from orgshare.execute.associating import ShareOutcome, associate, create_share, disassociate, unknown_rows
from orgshare.ledger import Ledger
from orgshare.ports import ShareService
from orgshare.record.lease import Lease
from orgshare.record.ownership import associations_intended, associations_recorded, creation_recorded
from orgshare.way.planning import Planned
from orgshare.way.runtime import Runtime
from orgshare.words import DEPLOYMENT, NOBODY, Shard, is_account

LONGEST_NAME = 50
"""Characters of a share's name.

https://www.alibabacloud.com/help/en/resource-management/resource-sharing/developer-reference/api-resourcesharing-2020-01-10-createresourceshare
"""


class ShareResult(Struct, frozen=True):
    """What became of the changes to a shard's resource shares."""

    done: tuple[Change, ...] = ()
    failed: tuple[tuple[Change, Exception | None], ...] = ()
    pending: tuple[Pending, ...] = ()
    refused: tuple[Refusal, ...] = ()
    findings: tuple[Finding, ...] = ()


class Shares:
    """The work on one shard's shares during one run, in the order of its methods."""

    def __init__(self, runtime: Runtime, planned: Planned, shard: Shard, changes: Iterable[Change]) -> None:
        self._runtime, self._planned, self._shard = runtime, planned, shard
        self._service: ShareService
        """Set by ``create``, before which nothing is written; nothing is done without a change."""
        self._reading = planned.looked.sharing[shard].shares
        self._decision = planned.decisions.shards[shard]
        changes = tuple(changes)
        self._creating = [change for change in changes if change.action == "create-share"]
        self._joining = [change for change in changes if change.action == "associate"]
        self._leaving = [change for change in changes if change.action == "disassociate"]
        self._created: dict[str, str] = {}
        self._not_created: dict[str, OrgshareError] = {}
        self._not_ready: set[str] = set()
        self._filled: list[tuple[Change, ShareOutcome]] = []
        self._emptied: list[tuple[Change, ShareOutcome]] = []

    def intended(self, ledger: Ledger) -> Ledger:
        """The ledger with everything that is about to join shares that exist."""
        for change in self._joining:
            if change.share:
                ledger = self._intend(ledger, change.share, change)
        return ledger

    def create(self, ledger: Ledger, lease: Lease) -> Ledger:
        """Create the shares that are missing, and record them with what is about to join them. May raise
        ``StopShard``. From here on everything is written as long as the lease allows."""
        if not (self._creating or self._joining or self._leaving):
            return ledger
        self._service = self._runtime.cloud.shares(self._shard, before_write=lease.check)
        if not self._creating:
            return ledger
        known = frozenset(share.id for share in self._reading)
        for change in self._creating:
            try:
                share = create_share(self._service, self._name(change.audience), self._tags(change.audience), known)
            except ENDS_WORK as error:
                self._not_created[change.audience] = error
                # That a permission is lacking says nothing about the service, so it lets nothing go direct.
                if isinstance(error, VendorError) and not isinstance(error, NotPermitted):
                    ledger = creation_recorded(ledger, error, self._planned.now)
                continue
            self._created[change.audience] = share.id
            ledger = creation_recorded(ledger, None, self._planned.now).with_made(share.id)
            if not share.firm:
                self._not_ready.add(share.id)
                continue
            for joining in self._joining:
                if not joining.share and joining.audience == change.audience:
                    ledger = self._intend(ledger, share.id, joining)
        lease.commit(ledger)
        return ledger

    def fill(self) -> None:
        """Let everything join."""
        places = [(change, change.share or self._created.get(change.audience, "")) for change in self._joining]
        work = [(change, share) for change, share in places if share and share not in self._not_ready]
        outcomes = self._runtime.executor.map(lambda item: self._let_in(item[0], item[1]), work)
        self._filled = [(change, outcome) for (change, _), outcome in zip(work, outcomes, strict=True)]

    def _let_in(self, change: Change, share: str) -> ShareOutcome:
        return self._unless_unknown(change, share, ()) or associate(self._service, share, change.images, change.targets)

    def empty(self) -> None:
        """Let go what should leave, unless a share turns out to hold more than was read."""
        self._emptied = list(zip(self._leaving, self._runtime.executor.map(self._let_go, self._leaving), strict=True))

    def _let_go(self, change: Change) -> ShareOutcome:
        filled = [entity for _, outcome in self._filled if outcome.share == change.share for entity in outcome.accepted]
        return self._unless_unknown(change, change.share, filled) or disassociate(
            self._service, change.share, change.images, change.targets
        )

    def _unless_unknown(self, change: Change, share_id: str, filled: Iterable[str]) -> ShareOutcome | None:
        """What becomes of a change where its share holds more than was read; ``None`` where it does not."""
        share = next((share for share in self._reading if share.id == share_id), None)
        if share is None:
            return None  # made in this run
        try:
            unknown = unknown_rows(self._service, share, filled)
        except ENDS_WORK as error:
            return ShareOutcome(share=share_id, failed=error)
        if not unknown:
            return None
        why = f"{min(unknown)} is in {share_id} too, which the listing did not show; the next run looks again"
        return ShareOutcome(share=share_id, early=dict.fromkeys((*change.images, *change.targets), why))

    def recorded(self, ledger: Ledger) -> Ledger:
        """The ledger after these calls."""
        return associations_recorded(ledger, [outcome for _, outcome in self._filled], self._planned.now)

    def result(self) -> ShareResult:
        """What became of each change."""
        created = self._created
        done = [
            replace(change, share=created[change.audience]) for change in self._creating if change.audience in created
        ]
        failed: list[tuple[Change, Exception | None]] = []
        pending: list[Pending] = []
        refused: list[Refusal] = []
        findings: list[Finding] = []
        now = self._planned.now.isoformat()
        pending += [Pending(share, share, "Pending", now) for share in sorted(self._not_ready)]
        for change in (*self._creating, *self._joining):
            error = None if change.share else self._not_created.get(change.audience)
            if isinstance(error, Refused):
                refused += self._refusals(change, dict.fromkeys(change.images, error))
            elif error is not None:
                failed.append((change, error))
        for change, outcome in self._filled:
            taken = outcome.accepted.keys()
            done += _part(replace(change, share=outcome.share), taken)
            pending += [Pending(outcome.share, entity, "Associating", now) for entity in sorted(taken)]
            pending += [
                Pending(outcome.share, entity, f"too early: {why}", now) for entity, why in outcome.early.items()
            ]
            failed += self._left(change, outcome, taken | outcome.refused.keys() | outcome.early.keys())
            refused += self._refusals(change, outcome.refused)
        for change, outcome in self._emptied:
            done += _part(change, outcome.ended)
            pending += [Pending(change.share, entity, "Disassociating", now) for entity in sorted(outcome.ended)]
            pending += [
                Pending(change.share, entity, f"too early: {why}", now) for entity, why in outcome.early.items()
            ]
            failed += self._left(change, outcome, outcome.ended | outcome.refused.keys() | outcome.early.keys())
            findings += [
                Finding("cannot-revoke", entity if entity in change.images else "", "", f"{change.share}: {error}")
                for entity, error in outcome.refused.items()
            ]
        return ShareResult(tuple(done), tuple(failed), tuple(pending), tuple(refused), tuple(findings))

    def _left(
        self, change: Change, outcome: ShareOutcome, settled: Iterable[str]
    ) -> list[tuple[Change, Exception | None]]:
        left = {*change.images, *change.targets} - set(settled)
        return [(part, outcome.failed) for part in _part(change, left)]

    def _refusals(self, change: Change, errors: Mapping[str, Refused]) -> Iterable[Refusal]:
        """An image that was refused is wanted by its whole audience, an account that was refused by all images there.

        Of a folder nobody is named: its members are those that the next run finds to be without the image.
        """
        by_id = {decision.image.id: decision for decision in self._planned.decisions.images}
        for entity, error in errors.items():
            reason = reason_of_setback(error.code)
            accounts = frozenset({entity}) if is_account(entity) else NOBODY
            if entity in by_id:
                accounts = by_id[entity].directory.accounts
            yield Refusal(
                image=entity if entity in by_id else "",
                rules=change.rules,
                reason=reason,
                accounts=first_accounts(accounts),
                accounts_total=len(accounts),
                remedy=f"{remedy_of(reason)}; {error}",
            )

    def _intend(self, ledger: Ledger, share: str, change: Change) -> Ledger:
        joining = Joining(change.audience, share, change.images, change.targets)
        return associations_intended(ledger.with_made(share), self._decision, share, joining, self._planned.now)

    def _name(self, audience: str) -> str:
        return f"{self._runtime.policy.deployment[: LONGEST_NAME - 1 - len(audience)]}-{audience}"

    def _tags(self, audience: str) -> frozenset[tuple[str, str]]:
        state = self._runtime.state.beginning.id
        return frozenset({(DEPLOYMENT, self._runtime.policy.deployment), (STATE, state), (AUDIENCE, audience)})


def _part(change: Change, entities: Iterable[str]) -> list[Change]:
    """The change for some of its images and targets; nothing if there are none."""
    chosen = frozenset(entities)
    images = tuple(image for image in change.images if image in chosen)
    targets = tuple(target for target in change.targets if target in chosen)
    if not images and not targets:
        return []
    if len(images) + len(targets) == len(change.images) + len(change.targets):
        return [change]
    return [replace(change, images=images, targets=targets, gained=0, lost=0)]
