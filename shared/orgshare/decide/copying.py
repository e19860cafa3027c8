"""Which images are copied to a region now, and which are not and why. Pure, like everything here.

A rule that copies asks for one copy of each image that it selects. Where there is one, whoever made it, there is
nothing to do; where there was one, a person removed it, and it stays removed.

What can go wrong is a second copy, which costs money and which nobody asked for. So nothing is copied unless all images
of the region were listed, and a copy that was meant to be made and is not to be seen is asked for with the token of
the first try.

https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-copyimage
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType

from msgspec import Struct

from orgshare.copies import Copy, copies_there, copy_tag, is_copy, made_for, tags_of_copy
from orgshare.decide.audience import Resolved
from orgshare.decide.facts import Copying, Facts
from orgshare.decide.plan import Change, Finding, Pending
from orgshare.decide.refusals import refused_as_it_is
from orgshare.decide.selection import Selector
from orgshare.ledger import Ledger, copy_key
from orgshare.policy.model import MODES
from orgshare.words import Image, Incomplete, Shard

AT_ONCE = 5
"""Copies that are made at once into a region; the vendor lets more wait in a queue of its own."""

MOST_TAGS = 20
"""Tags that a copy can be given, two of ours among them."""

UNDER_WAY = ("Creating", "Waiting")


class CopyDecision(Struct, frozen=True, kw_only=True):
    """What is copied into one shard: the ``changes`` with their ``sources``, and what is said of the others. ``again``
    is when those are tried again that the cloud refused."""

    changes: tuple[Change, ...] = ()
    sources: Mapping[str, Image] = MappingProxyType({})
    pending: tuple[Pending, ...] = ()
    findings: tuple[Finding, ...] = ()
    incomplete: tuple[Incomplete, ...] = ()
    again: tuple[datetime, ...] = ()


def decide_copies(facts: Facts, audiences: tuple[Resolved, ...], select: Selector) -> Mapping[Shard, CopyDecision]:
    """Decide for every shard that images are copied to."""
    return {
        shard: _decide(facts, audiences, select, shard, facts.ledgers.get(shard, Ledger()), copying)
        for shard, copying in sorted(facts.copying.items())
    }


def _decide(
    facts: Facts,
    audiences: tuple[Resolved, ...],
    select: Selector,
    shard: Shard,
    ledger: Ledger,
    copying: Copying,
) -> CopyDecision:
    marked = copies_there(copying.there)
    by_id = {image.id: image for image in copying.there}
    free = AT_ONCE - sum(is_copy(image) and image.status in UNDER_WAY for image in copying.there)
    changes: list[Change] = []
    pending: list[Pending] = []
    findings: list[Finding] = []
    incomplete: list[Incomplete] = []
    again: list[datetime] = []
    for source in sorted(copying.sources, key=lambda image: image.id):
        names = _copied_by(facts, audiences, select(source), shard.region)
        if not names or is_copy(source):
            continue
        copy = copying.copies.get(source.id)
        if copy is not None and copy.state != "intended":
            there = by_id.get(copy.id)
            findings += _about(source, shard, copy, there)
            if there is not None and there.status in UNDER_WAY:
                pending.append(being_made(there.id, source.id, shard.region, copy.since))
            if there is None and copy.state == "made" and copy.id not in copying.unread:
                status = (
                    f"a copy of {source.id}, was not found in {shard.region}: the next look tells whether it is gone"
                )
                pending.append(Pending("", copy.id, status, ""))
            continue
        if (other := marked.get(copy_tag(source)[1])) is not None:
            findings.append(_of_others(source, shard, other, facts.policy.deployment))
            continue
        if source.id in copying.unsure:
            why = f"{source.id}: it is not copied to {shard.region}: {copying.unsure[source.id]}"
            incomplete.append(Incomplete("shard", str(shard), why))
        elif why := _why_not(facts, audiences, source, shard, names):
            findings.append(Finding("not-copied", source.id, "", f"it is not copied to {shard.region}: {why}"))
        elif (setback := ledger.setbacks.get(copy_key(source.id))) is not None and setback.waits(facts.now):
            again.append(setback.again())
            why = (
                f"the cloud said {setback.code}: {setback.why}; tried again after {setback.again():%Y-%m-%d %H:%M} UTC"
            )
            findings.append(Finding("not-copied", source.id, "", f"it is not copied to {shard.region}: {why}"))
        elif source.status != "Available":
            status = f"copied to {shard.region} when it is Available"
            pending.append(Pending("", source.id, status, ""))
        elif len(changes) >= free:
            status = f"waits to be copied to {shard.region}: {AT_ONCE} copies are made there at once"
            pending.append(Pending("", source.id, status, ""))
        else:
            why = f"copied from {source.region} to {shard.region}"
            changes.append(Change(action="copy", shard=shard, images=(source.id,), rules=names, why=why))
    chosen = {change.images[0] for change in changes}
    return CopyDecision(
        changes=tuple(changes),
        sources={source.id: source for source in copying.sources if source.id in chosen},
        pending=tuple(pending),
        findings=tuple(findings),
        incomplete=tuple(incomplete),
        again=tuple(again),
    )


def being_made(copy: str, source: str, region: str, since: datetime) -> Pending:
    """A copy that was asked for and cannot be shared yet."""
    return Pending("", copy, f"a copy of {source}, is being made in {region}", since.isoformat())


def _copied_by(facts: Facts, audiences: tuple[Resolved, ...], rules: Iterable[int], region: str) -> tuple[str, ...]:
    """The rules that copy an image to a region; one that only observes, or rests on something unknown, copies
    nothing."""
    shown = facts.policy.mode == "observe"
    return tuple(
        audience.rule.name
        for audience in (audiences[index] for index in rules)
        if region in audience.rule.copy_to and not audience.frozen and (shown or audience.rule.mode != MODES[0])
    )


def _about(source: Image, shard: Shard, copy: Copy, there: Image | None) -> Iterable[Finding]:
    """What a person should know of an image that was copied already."""
    if there is None:
        if copy.state == "gone":
            why = f"its copy {copy.id} in {shard.region} was removed; it is not copied again"
            yield Finding("copy-removed", source.id, "", f"{why} until «orgshare retire {source.id} --undo»")
        return
    if there.status in ("CreateFailed", "UnAvailable"):
        why = f"its copy {there.id} in {shard.region} has the status {there.status}; delete it, and"
        undo = f"«orgshare retire {source.id} --undo»"
        yield Finding("not-copied", source.id, "", f"{why} when runs say that it was removed, {undo}")


def _of_others(source: Image, shard: Shard, there: Image, deployment: str) -> Finding:
    """An image that says it is the copy, and that we neither made nor meant to make."""
    why = f"{there.id} in {shard.region} says that it is a copy of it, but nobody here made it"
    remedy = f"«orgshare init --recover» takes it over; or take the tag {copy_tag(source)[0]} off"
    if not made_for(there, deployment):
        why = f"{there.id} in {shard.region} is a copy of it that was not made for deployment {deployment}"
        remedy = "let only one deployment copy it there"
    return Finding("not-copied", source.id, "", f"{why}, so it is neither shared like it nor made again; {remedy}")


def _why_not(facts: Facts, audiences: tuple[Resolved, ...], source: Image, shard: Shard, names: tuple[str, ...]) -> str:
    """Why an image cannot be copied; empty if nothing stands against it. One that is still being made may be copied
    later."""
    reason = refused_as_it_is(source)
    if reason is not None and reason[0] != "not-available":
        return reason[1]
    if source.encrypted:
        authorizing = any(a.rule.encrypted == "authorize" for a in audiences if a.rule.name in names)
        if not authorizing:
            return "it is encrypted, and no rule that copies it says encrypted: authorize, so nobody would get the copy"
        if shard.region not in dict(facts.policy.owner(shard.owner).kms_keys):
            return f"it is encrypted, and kms_keys of owner {shard.owner} names no key there"
    number = len(tags_of_copy(source, facts.policy.deployment))
    if number > MOST_TAGS:
        return f"with the two tags of a copy it would have {number}, and {MOST_TAGS} are allowed: take some off"
    return ""
