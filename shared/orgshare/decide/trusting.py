"""The sharing role of each owner: who has to be in its trust policy, who fits, and which of ours may go.

It is one document for all encrypted images of an owner in all regions, so it is decided after the images. An account
that the document has no place for gets no grant, and is named; nobody is let in who gets nothing.

What can go wrong is an encrypted image that an account has and cannot use, because its principal went too early. So of
ours only those may go for which nothing is known here that needs them, and whoever takes them out reads everything else
first: the other regions, and what people shared by hand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from orgshare.decide.audience import Resolved
from orgshare.decide.decisions import Decisions, ImageDecision, RoleDecision
from orgshare.decide.facts import Facts, RoleFacts
from orgshare.decide.plan import Finding, Reason, Refusal, finding_rows, first_accounts
from orgshare.decide.refusals import remedy_of
from orgshare.trust import Trust, fitting, read_trust, without_accounts
from orgshare.words import NOBODY, Incomplete, Pair, wide_shard


class Trusting(Struct, frozen=True):
    """What became of the images when the sharing roles were looked at, and what the roles need."""

    images: tuple[ImageDecision, ...]
    roles: Mapping[str, RoleDecision]
    findings: tuple[Finding, ...] = ()
    incomplete: tuple[Incomplete, ...] = ()


class _Left(Struct, frozen=True):
    """Accounts that the role cannot be made to let in, and why."""

    accounts: frozenset[str]
    reason: Reason | None
    remedy: str


def decide_roles(facts: Facts, images: Iterable[ImageDecision], audiences: tuple[Resolved, ...]) -> Trusting:
    """What the encrypted images need of their owners' sharing roles; what these cannot give is not granted."""
    images = tuple(images)
    by_owner: dict[str, list[ImageDecision]] = defaultdict(list)
    for decision in images:
        if decision.authorized:
            by_owner[decision.image.shard.owner].append(decision)
    changed: dict[str, ImageDecision] = {}
    roles: dict[str, RoleDecision] = {}
    findings: list[Finding] = []
    incomplete: list[Incomplete] = []
    for owner, of_owner in sorted(by_owner.items()):
        needs = _needs(of_owner)
        if not needs:
            continue
        role = facts.roles.get(owner, RoleFacts(unread="it was not read"))
        if role.unread:
            why = f"the sharing role cannot be read, so no encrypted image is given to anybody new: {role.unread}"
            incomplete.append(Incomplete("shard", str(wide_shard(owner)), why))
        left = _left_out(facts, owner, role, of_owner, frozenset(needs))
        for decision in of_owner:
            mended = decision
            for each in left:
                mended = _without(mended, each, audiences)
                held = each.accounts & decision.direct & decision.authorized
                why = (
                    f"it has an encrypted image and cannot use it, as the sharing role does not trust it: {each.remedy}"
                )
                findings += finding_rows("untrusted", decision.image.id, held, why)
            changed[decision.image.id] = mended
        served = _needs(changed[decision.image.id] for decision in of_owner)
        served = {a: of for a, of in served.items() if not any(a in each.accounts for each in left)}
        trusted = role.trust.accounts if role.trust is not None else NOBODY
        roles[owner] = RoleDecision(
            owner=owner,
            needs=MappingProxyType(served),
            adding=tuple(sorted(served.keys() - trusted)),
            rules=tuple(sorted({audiences[i].rule.name for d in of_owner for i in d.rules})),
        )
    return Trusting(
        images=tuple(changed.get(decision.image.id, decision) for decision in images),
        roles=MappingProxyType(roles),
        findings=tuple(findings),
        incomplete=tuple(incomplete),
    )


def unneeded(facts: Facts, decisions: Decisions, losing: frozenset[Pair]) -> Mapping[str, frozenset[str]]:
    """Owner -> our principals of which nothing is known here that needs them, once the pairs are lost that run now.

    Only a look at whole shards concludes that, in mode enforce, and whoever acts on it reads all regions first.
    """
    if facts.policy.mode != "enforce" or not facts.sweep:
        return {}
    found = {}
    read = {decision.image.id for decision in decisions.images}
    for owner, role in facts.roles.items():
        if role.trust is None:
            continue
        given = {
            Pair(image, account)
            for shard, ledger in facts.ledgers.items()
            if shard.owner == owner
            for image, entries in ledger.grants.items()
            for account, entry in entries.items()
            if image not in read or entry.waits(facts.now)
        }
        needing = {a for d in decisions.images if d.image.shard.owner == owner for a in _needing(d, losing)}
        idle = frozenset(
            account
            for account, ours in role.ledger.principals.items()
            if ours.state == "made"
            and account in removable(role.trust, frozenset({account}))
            and account not in needing
            and not any(Pair(image, account) in given - losing for image in ours.images)
        )
        if idle:
            found[owner] = idle
    return found


def removable(trust: Trust, accounts: frozenset[str]) -> frozenset[str]:
    """Of these accounts, those that a change of ours can let out: nobody else names them too, and not all of them if
    the document would let nobody in any more."""
    going = accounts & trust.accounts
    if not going:
        return NOBODY
    return going - read_trust(without_accounts(trust.document, going)).accounts


def with_removals(decisions: Decisions, removing: Mapping[str, frozenset[str]]) -> Decisions:
    """The decisions with principals of ours that go, by owner."""
    roles = dict(decisions.roles)
    for owner, accounts in removing.items():
        if accounts:
            roles[owner] = replace(roles.get(owner, RoleDecision(owner=owner)), removing=tuple(sorted(accounts)))
    return replace(decisions, roles=MappingProxyType(roles))


def _needs(images: Iterable[ImageDecision]) -> dict[str, frozenset[str]]:
    """Account -> the encrypted images that it gets, or has by a grant and is to have."""
    found: dict[str, set[str]] = defaultdict(set)
    for decision in images:
        for account in decision.authorized & decision.direct | frozenset(decision.grants):
            found[account].add(decision.image.id)
    return {account: frozenset(found[account]) for account in sorted(found)}


def _needing(decision: ImageDecision, losing: frozenset[Pair]) -> Iterable[str]:
    """Who has an encrypted image, may have it, or gets it."""
    if decision.image.keyed:
        having = decision.direct | decision.coverage.possible | {*decision.grants, *decision.asking}
        yield from (account for account in having if Pair(decision.image.id, account) not in losing)


def _left_out(
    facts: Facts, owner: str, role: RoleFacts, images: list[ImageDecision], needed: frozenset[str]
) -> tuple[_Left, ...]:
    if role.unread:
        return (_Left(needed, None, role.unread),)
    if role.trust is None:
        return (_Left(needed, "encrypted-without-role", remedy_of("encrypted-without-role")),)
    denied = needed & role.trust.denied
    missing = needed - role.trust.accounts - denied
    having = NOBODY.union(*(decision.direct & decision.authorized for decision in images))
    ordered = sorted(missing, key=lambda account: (account not in having, account))
    most = facts.policy.owner(owner).trust_policy_length
    full = missing.difference(fitting(role.trust.document, ordered, most))
    remedy = f"{remedy_of('encrypted-role-full')} (now {most} characters, {len(ordered) - len(full)} more accounts fit)"
    parts = (
        _Left(denied, "encrypted-refused", "take it out of the statements of the sharing role that deny it"),
        _Left(frozenset(full), "encrypted-role-full", remedy),
    )
    return tuple(part for part in parts if part.accounts)


def _without(decision: ImageDecision, left: _Left, audiences: tuple[Resolved, ...]) -> ImageDecision:
    """An image without the grants to these accounts, and with the refusal of them."""
    refused = left.accounts.intersection(decision.grants)
    if not refused:
        return decision
    refusals = decision.refusals
    if left.reason is not None:
        refusal = Refusal(
            image=decision.image.id,
            rules=tuple(audiences[index].rule.name for index in decision.rules),
            reason=left.reason,
            accounts=first_accounts(refused),
            accounts_total=len(refused),
            remedy=left.remedy,
        )
        refusals = (*refusals, refusal)
    return replace(decision, grants=tuple(a for a in decision.grants if a not in refused), refusals=refusals)
