"""What stands between a retired image and its deletion, and how it is deleted when nothing does.

The service does not delete an image that is shared
(https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-deleteimage: ImageUseShared; for Elastic Desktop
Service https://www.alibabacloud.com/help/en/wuying-workspace/share-or-unshare-a-custom-image). Whether one that is
in a resource share counts as such is not documented, so it counts here. What can go wrong is a deletion that is called
free too early: so this is told from a reading made after the run, and what could not be read is told as such.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from orgshare.decide.decisions import ImageDecision
from orgshare.report.documents import Document
from orgshare.report.lines import counted
from orgshare.report.names import Names
from orgshare.report.times import moment
from orgshare.way.planning import Planned
from orgshare.words import Image, Pair, ResourceShare


class Blocker(Struct, frozen=True, kw_only=True):
    """Something that still shares the image: a direct grant of an ``account``, a ``share``, or neither: it is public.

    ``ours`` is whether orgshare made it.
    """

    account: str = ""
    share: str = ""
    ours: bool = False
    why: str = ""


def blockers(planned: Planned, decision: ImageDecision) -> tuple[Blocker, ...]:
    """What still shares an image: the grants by account, then the resource shares, then whether it is public."""
    return (*_grants(planned, decision), *_shares(planned, decision), *_public(decision.image))


def retired_document(image: Image, retired: str, found: Iterable[Blocker]) -> Document:
    """What has come of retiring an image."""
    rows = [{"account": b.account, "share": b.share, "ours": b.ours, "why": b.why} for b in found]
    return {
        "image": image.id,
        "service": image.shard.service,
        "owner": image.shard.owner,
        "region": image.region,
        "why": retired,
        "deletable": not rows,
        "blocked_by": rows,
    }


def retired_lines(image: Image, found: tuple[Blocker, ...], names: Names) -> tuple[str, ...]:
    """The same in words."""
    if not found:
        free = f"{image.id}: nobody has it by any channel, so it can be deleted, as owner {image.shard.owner}: aliyun"
        if image.shard.service == "eds":
            return (f"{free} ecd DeleteImages --RegionId {image.region} --ImageId.1 {image.id}",)
        return (
            f"{free} ecs DeleteImage --RegionId {image.region} --ImageId {image.id}",
            "  (add --Force true if instances of the owner itself still use it)",
        )
    head = f"{image.id}: cannot be deleted yet, {counted(len(found), 'thing')} in the way:"
    return (head, *(f"  {_named(blocker, names)}: {blocker.why}" for blocker in found))


def _named(blocker: Blocker, names: Names) -> str:
    if blocker.account:
        return f"account {names.named_account(blocker.account)}"
    return f"resource share {blocker.share}" if blocker.share else "everybody"


def _grants(planned: Planned, decision: ImageDecision) -> Iterable[Blocker]:
    for account in sorted(decision.direct - {decision.image.shard.owner}):
        ours = account in decision.ours
        yield Blocker(account=account, ours=ours, why=_why_granted(planned, decision, account, ours=ours))


def _why_granted(planned: Planned, decision: ImageDecision, account: str, *, ours: bool) -> str:
    pair = Pair(decision.image.id, account)
    if said := _waiting(planned, frozenset({pair})):
        return said
    if ours and account in decision.lingering:
        return f"its direct grant is kept until {moment(decision.lingering[account])} (safety.grace)"
    if any(f.kind == "kept-by-mode" and f.image == pair.image and f.account in ("", account)
           for f in decision.findings):  # fmt: skip
        return "the mode keeps what it has: in mode enforce it goes"
    if ours and decision.image.public:
        return "it goes when the image is private again"
    if ours or account in decision.strangers:
        return "the next run takes it away"
    return "granted by somebody else: whoever granted it can unshare it"


def _shares(planned: Planned, decision: ImageDecision) -> Iterable[Blocker]:
    shard = planned.decisions.shards.get(decision.image.shard)
    for share in shard.shares if shard is not None else ():
        row = next((row for row in share.images if row.entity == decision.image.id and row.live), None)
        if row is None or not share.live or shard is None:
            continue
        ours = (share.id, row.entity) in shard.arrangement.own
        if not ours:
            why = f"put there by somebody else{_name(share)}: whoever did can take it out"
        elif row.status == "Disassociating":
            why = "it is on its way out: wait until it is"
        else:
            cut = next((c for c in shard.cuts if (c.share, c.entity) == (share.id, row.entity)), None)
            pairs = cut.pairs if cut is not None else frozenset()
            blocked = cut.blocked if cut is not None else ""
            why = _waiting(planned, pairs) or blocked or "the next run takes it out"
        yield Blocker(share=share.id, ours=ours, why=why)


def _public(image: Image) -> Iterable[Blocker]:
    if image.public:
        yield Blocker(why="it is a community image: make it private first")


def _waiting(planned: Planned, pairs: frozenset[Pair]) -> str:
    """The hold that any of some pairs is in, or that a person rejected it."""
    held = [hold for hold in planned.plan.held if not pairs.isdisjoint(hold.pairs)]
    if held:
        named = ", ".join(hold.id for hold in held)
        return f"held as {named}: «orgshare approve {held[0].id}» lets the next run take it away"
    if not pairs.isdisjoint(planned.rejected):
        return "a person rejected taking it away: revoke it by hand, or undo the retirement and retire it again"
    return ""


def _name(share: ResourceShare) -> str:
    return f" ({share.name})" if share.name else ""
