"""What a run makes of a shard's ledger, as pure functions: before its calls, and after them.

Before the first call, every grant that is about to be made is written down as intended (write-ahead): should the run
die at any instant, whoever comes next knows that the grant is ours. Afterwards each becomes what the reading showed.

What can go wrong: ending an entry whose grant is still there. An entry ends when the cloud refused it, or when our
revoke was accepted and the same grant is not listed any more; in every doubt it stays, and the next run looks again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from datetime import datetime
from types import MappingProxyType

from msgspec.structs import replace

from orgshare.copies import Copies, Copy, token_of
from orgshare.decide.decisions import Decisions, ImageDecision, ShardDecision
from orgshare.decide.facts import Facts
from orgshare.decide.losses import Loss
from orgshare.decide.plan import Reason
from orgshare.decide.planning import rules_of
from orgshare.decide.refusals import stands
from orgshare.decide.shares import CREATE, Joining, audience_key
from orgshare.errors import NotPermitted, Refused, VendorError
from orgshare.execute.associating import ShareOutcome
from orgshare.execute.sharing import OF_THE_IMAGE, Outcome
from orgshare.ledger import Entry, Ledger, Lost, RememberedRefusal, Setback, copy_key, row_key, settle
from orgshare.words import NOBODY, Grant, Image

_REASONS: Mapping[str, Reason] = {
    "AssumeRoleError": "encrypted-without-role",
    "InvalidOperation.ServiceKeyEncryptedImageUnsupported": "encrypted-with-service-key",
    "InvalidParameter.KMSKeyId.CMKUnauthorized": "encrypted-without-role",
    "InvalidParameter.KMSKeyId.CMKNotEnabled": "encrypted-refused",
    "OperationDeined.FullImage": "encrypted-refused",
    "OperationDeined.EncryptedSnapshot": "encrypted-refused",
    "OperationDenied.InvalidImageStatus": "deprecated",
    "IncorrectImageStatus": "not-available",
    "QuotaExceed.ShareImageUser": "over-quota",
    "QuotaExceed.ShareImage": "over-quota",
    "InvalidAccount.NotFound": "account-refused",
    "InvalidAccount.Forbbiden": "account-refused",
    "InvalidImageId.BidMismatch": "marketplace-across-sites",
    "Image.Public": "community",
}
"""The vendor's codes (spelt as the vendor spells them) and what they mean to a person.

https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-modifyimagesharepermission
"""


NO_ACCOUNTS: Mapping[str, frozenset[str]] = MappingProxyType({})


def reason_of(code: str) -> Reason:
    """What a refusal's code means; ``refused`` for one that is not known."""
    return _REASONS.get(code, "refused")


def settled(
    ledger: Ledger,
    facts: Facts,
    decisions: Decisions,
    images: Iterable[ImageDecision],
    readings: Mapping[str, tuple[Grant, ...]],
) -> Ledger:
    """The ledger of a shard after this run's readings: what was seen, what was not, and who wants it now.

    A row of an account that a resource share may reach too says nothing about our grant unless it has that grant's own
    time: it may be the share's.
    """
    members = facts.organization.members
    for decision in images:
        image = decision.image.id
        if facts.sweep and (decision.strangers or image in ledger.strangers):
            ledger = ledger.with_strangers(image, decision.strangers)
        adopted = _adopted(ledger, facts, decisions, decision, readings[image])
        if image not in ledger.grants and not adopted:
            continue
        before = ledger.entries(image)
        entries = settle(before, readings[image], facts.now)
        listed = {grant.account: grant.shared_time for grant in readings[image]}
        for account in listed.keys() & before.keys() & decision.coverage.perhaps():
            if not listed[account] or listed[account] != before[account].shared_time:
                entries[account] = before[account]
        entries.update(adopted)
        concluded = NOBODY if facts.proof.contradicted else decision.ours - decision.undecided
        for account, entry in entries.items():
            if account in decision.wanted:
                entries[account] = replace(
                    entry,
                    kind="member" if account in members else "partner",
                    rules=rules_of(decision, decisions.audiences, account),
                    unwanted=None,
                )
            elif entry.unwanted is None and account in concluded:
                entries[account] = replace(entry, unwanted=facts.now)
        ledger = ledger.with_entries(image, entries)
    plain = {reading.image.id for reading in facts.readings if reading.image.encrypted is False}
    there = {reading.image.id for reading in facts.readings}
    for image, refusals in ledger.refusals.items():
        encrypted = image not in plain and (image in there or not facts.sweep)
        standing = tuple(refusal for refusal in refusals if stands(refusal, facts.now, encrypted=encrypted))
        if standing != refusals:
            ledger = ledger.with_refusals(image, standing)
    return ledger


def _adopted(
    ledger: Ledger, facts: Facts, decisions: Decisions, decision: ImageDecision, grants: tuple[Grant, ...]
) -> dict[str, Entry]:
    """Grants by hand that become ours, because the policy wants them and says so.

    A row of an account that a resource share may reach may be the share's own; one without a time could not be told
    from the next one; and a grant of ours that may only be late stands in its way.
    """
    if facts.policy.unmanaged != "adopt" or not facts.sweep or facts.policy.mode == "observe":
        return {}
    entries = ledger.entries(decision.image.id)
    by_hand = (decision.direct & decision.wanted) - decision.ours - decision.coverage.perhaps()
    adopting = [decisions.audiences[i] for i in decision.rules]
    wanted = NOBODY.union(*(a.wanted for a in adopting if a.rule.mode != "observe" and not a.frozen))
    return {
        grant.account: Entry("made", facts.now, shared_time=grant.shared_time, adopted=True)
        for grant in grants
        if grant.account in by_hand & wanted
        and grant.shared_time
        and not (grant.account in entries and entries[grant.account].waits(facts.now))
    }


def settled_rows(ledger: Ledger, decision: ShardDecision, images: Iterable[ImageDecision]) -> Ledger:
    """The ledger with the rules that stand behind our rows now; what should leave keeps those it was made for."""
    homes = {image.image.id: image for image in images if image.home}
    keys = {image.home: audience_key(image.directory.targets) for image in homes.values()}
    for share, entries in ledger.shares.items():
        rows = {}
        for entity, entry in entries.items():
            image = homes.get(entity)
            rules = entry.rules
            if image is not None and image.home == share:
                rules = decision.image_rules[entity]
            elif share in keys:
                rules = decision.target_rules.get((keys[share], entity), rules)
            rows[entity] = entry if rules == entry.rules else replace(entry, rules=rules)
        ledger = ledger.with_rows(share, rows)
    return ledger


def intended(
    ledger: Ledger,
    facts: Facts,
    decisions: Decisions,
    granting: Iterable[ImageDecision],
    running: Iterable[Loss],
    *,
    before: Ledger,
) -> Ledger:
    """The ledger with every grant that is about to be made, and every pair that is about to be lost in the shard.

    ``before`` is the ledger before this run's readings: they may have ended a grant that is only asked for once more,
    and that would be as it was if they were wrong.
    """
    lost = {
        loss.pair: Lost(facts.now, loss.rules, departed=loss.cause == "departed", approved=loss.approved)
        for loss in running
    }
    ledger = ledger.with_lost(lost, facts.policy.limits.window)
    members = facts.organization.members
    for decision in granting:
        entries = dict(ledger.entries(decision.image.id))
        for account in decision.grants:
            known = entries.get(account) or before.entries(decision.image.id).get(account)
            entries[account] = replace(
                known.intended_again(facts.now) if known is not None else Entry("intended", facts.now),
                kind="member" if account in members else "partner",
                rules=rules_of(decision, decisions.audiences, account),
            )
        ledger = ledger.with_entries(decision.image.id, entries)
    return ledger


def associations_intended(
    ledger: Ledger, decision: ShardDecision, share: str, joining: Joining, now: datetime
) -> Ledger:
    """The ledger with every row that is about to be made in a share."""
    entries = dict(ledger.rows(share))
    rules = {image: decision.image_rules.get(image, ()) for image in joining.images}
    rules |= {target: decision.target_rules.get((joining.audience, target), ()) for target in joining.targets}
    for entity, names in rules.items():
        known = entries.get(entity)
        entries[entity] = replace(
            known.intended_again(now) if known is not None else Entry("intended", now), rules=names
        )
    return ledger.with_rows(share, entries)


def associations_recorded(ledger: Ledger, outcomes: Iterable[ShareOutcome], now: datetime) -> Ledger:
    """The ledger after the calls that put images and targets into shares.

    What was refused was never made and waits before it is tried again; what is only too early is tried by the next run.
    """
    for outcome in outcomes:
        entries = dict(ledger.rows(outcome.share))
        setbacks: dict[str, Setback | None] = {}
        for entity, created in outcome.accepted.items():
            entry = entries.get(entity)
            if entry is not None:  # a row that is older than our intention was there all along, and is somebody else's
                time = created if entry.owns(Grant(entity, created)) else entry.shared_time
                entries[entity] = replace(entry, state="accepted", shared_time=time)
        for entity, error in outcome.refused.items():
            if outcome.failed is None:  # or nobody read back whether it is in all the same
                entries.pop(entity, None)
            key = row_key(outcome.share, entity)
            setbacks[key] = _set_back(ledger.setbacks.get(key), error, now)
        ledger = ledger.with_rows(outcome.share, entries).with_setbacks(setbacks)
    return ledger


def creation_recorded(ledger: Ledger, error: VendorError | None, now: datetime) -> Ledger:
    """The ledger after a share was created, or could not be."""
    if error is None:
        return ledger.with_setbacks({CREATE: None}) if CREATE in ledger.setbacks else ledger
    return ledger.with_setbacks({CREATE: _set_back(ledger.setbacks.get(CREATE), error, now)})


def _set_back(before: Setback | None, error: VendorError, now: datetime) -> Setback:
    """A refusal by the cloud's rules stays until somebody does something, so it lasts."""
    times = before.times + 1 if before is not None else 1
    lasting = isinstance(error, Refused)
    return Setback(error.code or "no answer", str(error), now, times, lasting=lasting)


def copies_intended(ledger: Ledger, sources: Iterable[Image], region: str, state: str, now: datetime) -> Ledger:
    """The ledger with the images that are about to be copied to its ``region``. What was meant to be copied before, and
    is not to be seen, keeps its token: should that call have been carried out, the next one makes nothing."""
    copies = dict(ledger.copies)
    for source in sources:
        copies.setdefault(source.id, Copy(source.region, now, token_of(state, source, region, now)))
    return ledger.with_copies(copies)


def copies_recorded(
    ledger: Ledger, before: Copies, made: Mapping[str, str], errors: Mapping[str, Exception], now: datetime
) -> Ledger:
    """The ledger after these calls: ``made`` names the copies. A call that the cloud did not carry out for certain
    leaves no intention, unless there was one ``before``: nobody knows what became of that."""
    copies = dict(ledger.copies)
    setbacks: dict[str, Setback | None] = {}
    for source, copy in made.items():
        copies[source] = replace(copies[source], state="made", id=copy, missing=0)
        if copy_key(source) in ledger.setbacks:
            setbacks[copy_key(source)] = None
    for source, error in errors.items():
        if isinstance(error, Refused):
            setbacks[copy_key(source)] = _set_back(ledger.setbacks.get(copy_key(source)), error, now)
        if isinstance(error, Refused | NotPermitted) and source not in before:
            del copies[source]
    return ledger.with_copies(copies).with_setbacks(setbacks)


def recorded(
    ledger: Ledger,
    outcomes: Iterable[Outcome],
    now: datetime,
    *,
    covered: Mapping[str, frozenset[str]] = NO_ACCOUNTS,
    perhaps: Mapping[str, frozenset[str]] = NO_ACCOUNTS,
    rowless: Mapping[str, frozenset[str]] = NO_ACCOUNTS,
    existing: Set[str] = NOBODY,
) -> Ledger:
    """The ledger after the calls of a run that grant and revoke.

    ``covered`` are the accounts of each image that a resource share surely reaches, ``perhaps`` those that one may
    reach: a row of theirs may be the share's own. Only of those that were read as ``rowless`` before the calls does it
    say when ours was made, as far as that reading can be believed. An accepted revoke ends our grant to any of these,
    whatever is listed afterwards; so does the answer that there is no such account, where the organization says that it
    is one of the ``existing`` ones: then it is the grant that is not there.
    """
    for outcome in outcomes:
        reachable = perhaps.get(outcome.image, NOBODY)
        unclear = reachable - rowless.get(outcome.image, NOBODY)
        listed = {grant.account: grant for grant in outcome.grants or ()}
        entries = dict(ledger.entries(outcome.image))
        for account in outcome.accepted:
            row = listed.get(account) if account not in unclear else None
            entries[account] = _accepted(entries[account], row, now, alone=account not in reachable)
        refused = dict(outcome.refused)
        for account, error in refused.items():
            if _never_made(entries[account], error):
                entries.pop(account)
        for account in outcome.revoked:
            grant = listed.get(account)
            ended = account in unclear or account in covered.get(outcome.image, NOBODY)
            if ended or grant is None or account not in entries or not entries[account].owns(grant):
                entries.pop(account, None)
        for account, error in outcome.unremovable:
            if error.code != "InvalidAccount.NotFound" or account not in entries:
                continue
            # Where a share surely reaches the account, no row but one of our grant's time tells of a grant.
            grant = listed.get(account)
            untold = grant is None or grant.shared_time != entries[account].shared_time
            if account in unclear & existing or (untold and account in covered.get(outcome.image, NOBODY)):
                entries.pop(account)
        ledger = ledger.with_entries(outcome.image, entries)
        if refused:
            kept = ledger.refusals.get(outcome.image, ())
            ledger = ledger.with_refusals(outcome.image, (*kept, *_remembered(refused, now)))
    return ledger


def _accepted(entry: Entry, grant: Grant | None, now: datetime, *, alone: bool) -> Entry:
    """The entry after its grant was asked for and perhaps listed; ``alone`` is whether no share may have made the row.

    A grant that is older than our intention was there all along, unseen, and is somebody else's. Where the row may be
    a share's after all, its time is remembered as perhaps ours: a later one may be, too.
    """
    accepted = replace(entry, state="accepted")
    if grant is None or not entry.owns(grant):
        return accepted
    return accepted.seen(grant, now) if alone else replace(accepted, missing=0, shared_time=grant.shared_time)


def _never_made(entry: Entry, error: Refused) -> bool:
    """Whether a refusal says that the account has no grant of ours, neither by this call nor by an earlier one.

    A code that says nothing of the kind may mean that the account has the image already: nobody knows what adding
    twice answers. Such an entry goes as others do, when readings do not show its grant.
    """
    unseen = not entry.shared_time and entry.first is None
    return unseen and error.code in _REASONS and error.code != "InvalidAccount.Forbbiden"


def _remembered(refused: Mapping[str, Refused], now: datetime) -> Iterable[RememberedRefusal]:
    by_code: dict[str, list[str]] = defaultdict(list)
    for account, error in refused.items():
        by_code[error.code].append(account)
    for code, accounts in sorted(by_code.items()):
        of_all = code in OF_THE_IMAGE
        yield RememberedRefusal(reason_of(code), code, now, () if of_all else tuple(sorted(accounts)))


def absences(ledger: Ledger, absent: Iterable[str], present: Iterable[str]) -> Ledger:
    """The ledger after a sweep that asked for images by id: absent in two sweeps, an image leaves the ledger."""
    for image in absent:
        ledger = ledger.with_absence(image, ledger.absent.get(image, 0) + 1)
    for image in present:
        if image in ledger.absent:
            ledger = ledger.with_absence(image, 0)
    return ledger
