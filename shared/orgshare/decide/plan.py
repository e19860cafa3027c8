"""The plan: wanted less actual, as data, in one order, so that equal plans are equal bytes.

A plan says what would be done and why; it does nothing. What can go wrong is a plan that reads differently from what
is then carried out: ``execute`` takes its work from these changes only, and every report is rendered from them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from heapq import nsmallest
from typing import Literal

import msgspec
from msgspec import Struct

from orgshare.words import Incomplete, Pair, Shard

Action = Literal["trust", "create-share", "associate", "grant", "disassociate", "revoke", "copy", "distrust"]

ORDER: tuple[str, ...] = (
    "trust", "create-share", "associate", "grant", "disassociate", "revoke", "copy", "distrust",
)  # fmt: skip
"""The order in which changes are listed and carried out."""

MOST_ROWS = 20
"""Findings of one kind about one image: more accounts than this are one finding that counts them."""

FIRST_ACCOUNTS = 100
"""How many of the accounts of a refusal are named; their number is always given."""

Reason = Literal[
    "not-own", "not-available", "deprecated", "community", "encrypted-with-service-key", "encrypted-without-role",
    "encrypted-refused", "encrypted-role-full", "marketplace-across-sites", "over-quota", "account-refused", "refused",
    "sharing-not-enabled", "owner-outside", "share-quota", "association-failed", "across-sites",
]  # fmt: skip

FindingKind = Literal[
    "unmanaged", "unknown-account", "unknown-id", "busy", "unsure-coverage", "partner-is-member", "cannot-revoke",
    "kept-by-mode", "observed-only", "orphaned", "selects-nothing", "double-shared", "channel-fallback",
    "channel-conflict", "foreign-deployment", "rejected", "direct-only", "kept-on-leave", "paused", "out-of-time",
    "not-permitted", "retired", "billed", "community", "untrusted", "not-copied", "copy-removed",
]  # fmt: skip


class Change(Struct, frozen=True, kw_only=True):
    """One step of a plan. ``gained`` and ``lost`` count pairs of access.

    A grant or a revoke speaks of one image and all its ``accounts``. To trust and to distrust speaks of the sharing
    role of an owner, of the ``accounts`` whose ECS it lets in or does not any more, and of the ``images`` that they are
    let in for. To copy speaks of one image of another region, and its ``targets`` are the copy in the shard, once it is
    made. The others speak of a resource share: all ``images`` and ``targets`` that are associated or disassociated. A
    share that has yet to be made has no id, but the ``audience`` that it is made for. ``within`` is the image's region
    where its shard has several.
    """

    action: Action
    shard: Shard
    images: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    share: str = ""
    audience: str = ""
    within: str = ""
    rules: tuple[str, ...] = ()
    why: str = ""
    gained: int = 0
    lost: int = 0

    @property
    def region(self) -> str:
        """Where it is carried out."""
        return self.within or self.shard.region

    def parts(self) -> frozenset[tuple[str, ...]]:
        """Everything that the change touches, each for itself, so that two plans can be compared."""
        place = (self.action, self.share or self.audience)
        if self.action in ("grant", "revoke"):
            return frozenset((*place, image, account) for image in self.images for account in self.accounts)
        if self.action in ("trust", "distrust"):
            return frozenset((*place, self.shard.owner, account) for account in self.accounts)
        if self.action == "copy":
            return frozenset((*place, self.shard.region, image) for image in self.images)
        return frozenset((*place, entity) for entity in (self.audience, *self.images, *self.targets))


class Refusal(Struct, frozen=True, kw_only=True):
    """Accounts that are wanted and do not get the image, with the rule of the service that stands against it."""

    image: str
    rules: tuple[str, ...]
    reason: Reason
    accounts: tuple[str, ...]
    accounts_total: int
    remedy: str


class Finding(Struct, frozen=True, order=True):
    """Something that a person should know. Nothing is done about it."""

    kind: FindingKind
    image: str
    account: str
    why: str


class Pending(Struct, frozen=True, order=True):
    """Something under way: ``entity`` is image/account, or an image or target of a share.

    ``until`` is a time of the policy that it waits for; nothing that a run does brings it about sooner.
    """

    share: str
    entity: str
    status: str
    since: str
    until: str = ""


class Hold(Struct, frozen=True, kw_only=True):
    """Pairs that wait for a person: to lose their access, or with ``gains`` to get it.

    ``id`` is over the sorted pairs only; ``since`` is the first run's time. ``cause`` is why the pairs would be lost.
    """

    id: str
    since: datetime
    why: str
    pairs: tuple[Pair, ...]
    changes: tuple[Change, ...] = ()
    cause: str = ""
    gains: bool = False


class Summary(Struct, frozen=True):
    """Counts: images that rules select, accounts in audiences, and pairs of both."""

    images: int = 0
    accounts: int = 0
    wanted: int = 0
    in_step: int = 0
    gained: int = 0
    lost: int = 0


class Plan(Struct, frozen=True, kw_only=True):
    """What would change, what is held, what is refused, and what a person should know."""

    changes: tuple[Change, ...] = ()
    held: tuple[Hold, ...] = ()
    refused: tuple[Refusal, ...] = ()
    findings: tuple[Finding, ...] = ()
    pending: tuple[Pending, ...] = ()
    incomplete: tuple[Incomplete, ...] = ()
    summary: Summary = Summary()

    def digest(self) -> str:
        """``sha256:`` of the changes and the held pairs: the same facts give the same digest, wording aside."""
        facts = (
            [(c.action, c.shard, c.share or c.audience, c.images, c.targets, c.accounts) for c in self.changes],
            sorted(pair for hold in self.held if not hold.gains for pair in hold.pairs),
            sorted(pair for hold in self.held if hold.gains for pair in hold.pairs),
        )
        return "sha256:" + hashlib.sha256(msgspec.json.encode(facts)).hexdigest()


def in_order(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Changes in the order in which they are listed and carried out."""
    return tuple(sorted(changes, key=lambda c: (ORDER.index(c.action), c.shard, c.images, c.share, c.audience)))


def finding_rows(kind: FindingKind, image: str, accounts: frozenset[str] | set[str], why: str) -> Iterable[Finding]:
    """A finding for each account of an image, or one that counts them where they are many."""
    if len(accounts) <= MOST_ROWS:
        yield from (Finding(kind, image, account, why) for account in accounts)
    else:
        yield Finding(kind, image, "", f"{len(accounts)} accounts, the first {min(accounts)}: {why}")


def pairs_id(pairs: Iterable[Pair]) -> str:
    """A short name for a set of pairs, the same whenever the pairs are."""
    return "h-" + hashlib.sha256(msgspec.json.encode(sorted(pairs))).hexdigest()[:12]


def first_accounts(accounts: Iterable[str]) -> tuple[str, ...]:
    """The accounts that a refusal names."""
    return tuple(nsmallest(FIRST_ACCOUNTS, accounts))
