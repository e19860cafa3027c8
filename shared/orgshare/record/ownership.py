"""What a run makes of a shard's ledger, as pure functions: before its calls, and after them.

Before the first call, every grant that is about to be made is written down as intended (write-ahead): should the run
die at any instant, whoever comes next knows that the grant is ours. Afterwards each becomes what the reading showed.

What can go wrong: ending an entry whose grant is still there. An entry ends when the cloud refused it, or when our
revoke was accepted and the same grant is not listed any more; in every doubt it stays, and the next run looks again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec.structs import replace

from orgshare.decide.decisions import REFUSAL_STANDS, Decisions, Facts, ImageDecision
from orgshare.decide.plan import Reason
from orgshare.decide.planning import rules_of
from orgshare.errors import Refused
from orgshare.execute.sharing import OF_THE_IMAGE, Outcome
from orgshare.ledger import Entry, Ledger, RememberedRefusal, settle
from orgshare.words import Grant

_REASONS: Mapping[str, Reason] = {
    "AssumeRoleError": "encrypted-without-role",
    "InvalidOperation.ServiceKeyEncryptedImageUnsupported": "encrypted-with-service-key",
    "InvalidParameter.KMSKeyId.CMKUnauthorized": "encrypted-refused",
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
    """The ledger of a shard after this run's readings: what was seen, what was not, and who wants it now."""
    members = facts.organization.members
    for decision in images:
        image = decision.image.id
        if image not in ledger.grants:
            continue
        entries = settle(ledger.entries(image), readings[image], facts.now)
        for account, entry in entries.items():
            if account in decision.wanted:
                entries[account] = replace(
                    entry,
                    kind="member" if account in members else "partner",
                    rules=rules_of(decision, decisions.audiences, account),
                )
        ledger = ledger.with_entries(image, entries)
    for image, refusals in ledger.refusals.items():
        standing = tuple(refusal for refusal in refusals if facts.now - refusal.at < REFUSAL_STANDS)
        if standing != refusals:
            ledger = ledger.with_refusals(image, standing)
    return ledger


def intended(ledger: Ledger, facts: Facts, decisions: Decisions, granting: Iterable[ImageDecision]) -> Ledger:
    """The ledger with every grant that is about to be made."""
    members = facts.organization.members
    for decision in granting:
        entries = dict(ledger.entries(decision.image.id))
        for account in decision.grants:
            known = entries.get(account)
            entries[account] = replace(
                known.intended_again(facts.now) if known is not None else Entry("intended", facts.now),
                kind="member" if account in members else "partner",
                rules=rules_of(decision, decisions.audiences, account),
            )
        ledger = ledger.with_entries(decision.image.id, entries)
    return ledger


def recorded(ledger: Ledger, outcomes: Iterable[Outcome], now: datetime) -> Ledger:
    """The ledger after the calls of a run."""
    for outcome in outcomes:
        listed = {grant.account: grant for grant in outcome.grants or ()}
        entries = dict(ledger.entries(outcome.image))
        for account in outcome.accepted:
            entries[account] = _accepted(entries[account], listed.get(account), now)
        refused = dict(outcome.refused)
        for account, error in refused.items():
            if _never_made(entries[account], error):
                entries.pop(account)
        for account in outcome.revoked:
            grant = listed.get(account)
            if grant is None or account not in entries or not entries[account].owns(grant):
                entries.pop(account, None)
        ledger = ledger.with_entries(outcome.image, entries)
        if refused:
            kept = ledger.refusals.get(outcome.image, ())
            ledger = ledger.with_refusals(outcome.image, (*kept, *_remembered(refused, now)))
    return ledger


def _accepted(entry: Entry, grant: Grant | None, now: datetime) -> Entry:
    """A grant that is older than our intention was there all along, unseen, and is somebody else's."""
    accepted = replace(entry, state="accepted")
    return accepted.seen(grant, now) if grant is not None and entry.owns(grant) else accepted


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
