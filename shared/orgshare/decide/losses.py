"""Pairs that would lose their last channel, and what that rests on.

A pair is lost by a call only if the channel is ours (the ledger says so), if nobody wants the pair any more, and if
what took it out of the audience is proven: an account's place in the organization by asking for that account alone,
an image's tags and name by a second reading of that image. A loss without proof is a doubt: the caller gathers the
proof and decides again, or reports the reading as incomplete.

What can go wrong: a fact that was not read is taken for a fact that is not so. So a rule that rests on something
unknown is frozen: nothing that it may want is lost.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Literal

from msgspec import Struct

from orgshare.decide.audience import Resolved
from orgshare.decide.facts import Facts, Proof
from orgshare.decide.selection import why_retired
from orgshare.decide.wants import Want, most_careful
from orgshare.ledger import Entry, Kind
from orgshare.policy.model import Mode
from orgshare.words import Image, Organization, Pair, Shard, is_image

Cause = Literal["departed", "audience", "partner", "image", "retired", "unmanaged", "channel"]


class Loss(Struct, frozen=True, kw_only=True):
    """A pair that loses its last channel. ``proven`` is whether it may.

    ``hangs_on_image``: a rule that wanted the pair does not select the image any more, so the image itself is in doubt.
    ``hangs_on_listing``: the pair might be wanted if the organization were another than its listing says. ``approved``
    is whether a person released it. The cause ``channel`` is no loss in the end: the pair changes its channel, and it
    cannot be seen that it does so without a gap.
    """

    pair: Pair
    shard: Shard
    cause: Cause
    proven: bool
    rules: tuple[str, ...]
    hangs_on_image: bool = False
    hangs_on_listing: bool = False
    approved: bool = False


def ends_grant(loss: Loss, ours: frozenset[str]) -> bool:
    """Whether a loss takes a direct grant away: one of ``ours``, or one by hand that the policy revokes.

    Nobody else's grant is touched, whatever a row of ours takes away beside it.
    """
    return loss.cause == "unmanaged" or (loss.cause != "channel" and loss.pair.account in ours)


class Judged(Struct, frozen=True):
    """What is to become of a pair of ours that nobody wants: a loss, or it stays, because of a mode or a doubt."""

    loss: Loss | None = None
    kept_by: Mode | None = None


UNDECIDED = Judged()


def foreseen(facts: Facts, audiences: Iterable[Resolved], looked_at: Container[Shard]) -> tuple[Loss, ...]:
    """What would be lost in shards that this run does not look at, as far as their ledgers tell.

    Each shard has a worker of its own, but what takes access away in one of them (an organization that changed, or an
    edited policy) does so in all. So each counts what the others are about to lose, and a limit that all of them pass
    together holds in every one. None of this is ever lost by this run.
    """
    of_rule = {audience.rule.name: audience for audience in audiences}
    whole = facts.organization.members.keys()
    found: dict[Pair, Loss] = {}
    for shard, ledger in facts.ledgers.items():
        if shard in looked_at or not any(owner.account == shard.owner for owner in facts.policy.owners):
            continue
        rows = {image: entry.rules for of in ledger.shares.values() for image, entry in of.items() if is_image(image)}
        given = [
            (image, account, entry.rules)
            for image, of in ledger.grants.items()
            for account, entry in of.items()
            if entry.state != "intended" and not _stays_for_now(facts, account, entry)
        ]
        unwanted: dict[tuple[frozenset[str], tuple[str, ...]], frozenset[str]] = {}
        for image, reached in ledger.reached.items():
            of_image = (reached, rows.get(image, ()))
            if of_image not in unwanted:
                known = [of_rule[rule] for rule in of_image[1] if rule in of_rule] or of_rule.values()
                unwanted[of_image] = reached.difference(*(audience.wanted for audience in known))
            lost = reached if image in facts.retired else unwanted[of_image]
            given += [(image, account, of_image[1]) for account in lost]
        for image, account, rules in given:
            # A rule that is gone may have got another name: then nobody knows yet which rules speak of the image.
            known = [of_rule[rule] for rule in rules if rule in of_rule] or of_rule.values()
            kept = any(a.rule.mode != "enforce" for a in known)
            wanted = image not in facts.retired and any(a.frozen or account in a.wanted for a in known)
            if kept or wanted:
                continue
            partner = ledger.entries(image)[account].kind == "partner" if account in ledger.entries(image) else False
            cause: Cause = "audience" if partner or account in whole else "departed"
            cause = "retired" if image in facts.retired else cause
            found[Pair(image, account)] = Loss(
                pair=Pair(image, account), shard=shard, cause=cause, proven=False, rules=rules
            )
    return tuple(found.values())


def _stays_for_now(facts: Facts, account: str, entry: Entry) -> bool:
    """Whether the policy lets a direct grant that nobody wants stay for a time, or for good."""
    left = account not in facts.organization.members and entry.kind == "member"
    stays = facts.policy.on_leave if left else facts.policy.grace
    return stays is None or facts.now < (entry.unwanted or facts.now) + stays


def judge(
    facts: Facts,
    want: Want,
    image: Image,
    account: str,
    rules: tuple[str, ...],
    *,
    modes: Mapping[str, Mode],
    frozen: frozenset[str],
    kind: Kind = "member",
) -> Judged:
    """What is to become of a pair that we gave because of these rules and that nobody wants any more.

    ``modes`` and ``frozen`` are of all rules of the policy, by name.
    """
    retired = bool(why_retired(facts.policy, facts.retired, image))
    if not retired and (want.frozen or frozen.intersection(rules)):
        return UNDECIDED
    former = [modes[name] for name in rules if name in modes]
    mode = want.mode if facts.policy.mode == "observe" else most_careful([want.mode, *former], want.mode)
    if mode != "enforce":
        return Judged(kept_by=mode)
    organization = facts.organization
    cause: Cause = "retired" if retired else _cause(organization, want, kind, account)
    on_image = not want.rules or not set(want.names).issuperset(rules)
    on_image = on_image and image.id not in facts.retired  # that is a person's word, and no reading of the image
    on_listing = cause not in ("image", "retired") and account != organization.management
    return Judged(
        Loss(
            pair=Pair(image.id, account),
            shard=image.shard,
            cause=cause,
            proven=(not on_listing or _confirmed(facts.proof, organization, account))
            and (not on_image or image.id in facts.proof.images),
            rules=rules,
            hangs_on_image=on_image,
            hangs_on_listing=on_listing,
        )
    )


def judge_stranger(facts: Facts, want: Want, image: Image, account: str) -> Judged:
    """What is to become of a grant that somebody else made and nobody wants, where the policy revokes such grants."""
    if want.frozen:
        return UNDECIDED
    if want.mode != "enforce":
        return Judged(kept_by=want.mode)
    on_listing = account != facts.organization.management
    return Judged(
        Loss(
            pair=Pair(image.id, account),
            shard=image.shard,
            cause="unmanaged",
            proven=(not on_listing or _confirmed(facts.proof, facts.organization, account))
            and (bool(want.rules) or image.id in facts.proof.images),
            rules=(),
            hangs_on_image=not want.rules,
            hangs_on_listing=on_listing,
        )
    )


def change_of_channel(image: Image, account: str) -> Loss:
    """A pair whose resource share goes and whose direct grant cannot be told from the share's own row."""
    return Loss(pair=Pair(image.id, account), shard=image.shard, cause="channel", proven=True, rules=())


def _cause(organization: Organization, want: Want, kind: Kind, account: str) -> Cause:
    if not want.rules:
        return "image"
    if account in organization.members:
        return "audience"
    if kind == "partner" or account == organization.management:
        return "partner"
    return "departed"


def _confirmed(proof: Proof, organization: Organization, account: str) -> bool:
    """Whether asking for the account alone showed what the listing said: a place in the organization, or none."""
    asked = proof.placed if account in organization.members else proof.departed
    return account in asked and not proof.contradicted
