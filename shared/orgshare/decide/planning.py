"""From decisions and the guard's holds to the plan.

What can go wrong is a loss that is neither in the changes nor held nor said to be incomplete: it would be forgotten
silently. So every loss ends in exactly one of the three, and a row that may not leave its share yet is said to wait.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from msgspec.structs import replace

from orgshare.decide.audience import Resolved
from orgshare.decide.decisions import Cut, Decisions, ImageDecision, RoleDecision, ShardDecision
from orgshare.decide.facts import Facts
from orgshare.decide.losses import Cause, Loss, ends_grant
from orgshare.decide.plan import Change, Finding, Hold, Pending, Plan, Summary, finding_rows, in_order
from orgshare.words import Incomplete, Pair, counted, wide_shard

NOTHING: frozenset[Pair] = frozenset()
NO_IMAGES: frozenset[str] = frozenset()

_CAUSES: Mapping[Cause, str] = MappingProxyType(
    {
        "departed": "left the organization",
        "audience": "no longer in the audience of a rule",
        "partner": "no longer named by a rule",
        "image": "no rule selects the image any more",
        "retired": "the image is retired",
        "unmanaged": "granted by somebody else and wanted by no rule",
        "channel": "changed to a direct grant",
    }
)


def assemble(
    facts: Facts,
    decisions: Decisions,
    holds: tuple[Hold, ...],
    *,
    rejected: frozenset[Pair] = NOTHING,
    findings: Iterable[Finding] = (),
    incomplete: Iterable[Incomplete] = (),
) -> Plan:
    """The plan of a run. ``findings`` and ``incomplete`` are what reading alone already showed.

    ``rejected`` are pairs of which a person said that they stay as they are: neither carried out nor held.
    """
    held = waiting(holds) | rejected
    changes: list[Change] = []
    gaps: list[Incomplete] = []
    pending: list[Pending] = []
    seen: list[Finding] = []
    for decision in decisions.images:
        unproven = [loss for loss in decision.losses if not loss.proven and loss.pair not in held]
        direct = _directly(decision, held)
        seen += _rejections(decision, rejected)
        if decision.grants:
            changes.append(_grant(decision, decisions.audiences))
        if direct or decision.redundant:
            changes.append(_revoke(decision, direct))
        if facts.proof.contradicted:
            unproven = [loss for loss in unproven if not loss.hangs_on_listing]
        if unproven:
            accounts = ", ".join(loss.pair.account for loss in unproven)
            why = f"{decision.image.id}: could not be confirmed, so nothing is revoked from {accounts}"
            gaps.append(Incomplete("shard", str(decision.image.shard), why))
    losses = {loss.pair: loss for loss in decisions.losses()}
    for shard in decisions.shards.values():
        sharing = _Sharing(shard, [d for d in decisions.images if d.image.shard == shard.shard], losses, held)
        changes += sharing.changes()
        pending += sharing.pending()
        seen += sharing.findings()
    for role in decisions.roles.values():
        changes += _of_role(role)
    for copies in decisions.copies.values():
        changes += copies.changes
        pending += copies.pending
    changes_in_order = in_order(changes)
    selected = [decision for decision in decisions.images if decision.rules]
    return Plan(
        changes=changes_in_order,
        held=tuple(_with_changes(hold, decisions) for hold in holds),
        refused=tuple(
            sorted(
                (r for d in decisions.images for r in d.refusals),
                key=lambda r: (r.image, r.reason, r.accounts),
            )
        ),
        findings=tuple(
            sorted({*findings, *seen, *decisions.findings, *(f for d in decisions.images for f in d.findings)})
        ),
        pending=tuple(sorted({*pending, *(p for d in decisions.images for p in d.pending)})),
        incomplete=tuple(sorted({*incomplete, *decisions.incomplete, *gaps})),
        summary=Summary(
            images=len(selected),
            accounts=len(frozenset[str]().union(*{d.wanted for d in selected})),
            wanted=sum(len(d.wanted) for d in selected),
            in_step=sum(d.served for d in selected),
            gained=sum(change.gained for change in changes_in_order),
            lost=sum(change.lost for change in changes_in_order),
        ),
    )


def waiting(holds: Iterable[Hold]) -> frozenset[Pair]:
    """The pairs that are held and so not lost."""
    return frozenset(pair for hold in holds if not hold.gains for pair in hold.pairs)


def running(decisions: Decisions, held: frozenset[Pair]) -> tuple[Loss, ...]:
    """The losses that the plan's own revokes and disassociations bring about; whoever only changes channel loses
    nothing. ``held`` are all pairs that wait for a person, or that a person rejected."""
    losses = {loss.pair: loss for loss in decisions.losses()}
    cuts = (cut for shard in decisions.shards.values() for cut in shard.cuts if _runs(cut, losses, held))
    found = {pair for cut in cuts for pair in cut.pairs}
    found |= {loss.pair for decision in decisions.images for loss in _directly(decision, held)}
    return tuple(losses[pair] for pair in sorted(found) if losses[pair].cause != "channel")


def _directly(decision: ImageDecision, held: frozenset[Pair]) -> list[Loss]:
    """The losses of an image that a revoke brings about. A grant that stays for a time outlives the share beside it,
    and one that goes because a share reaches the account as well is no loss."""
    ending = decision.ours - decision.lingering.keys() - decision.kept - set(decision.redundant)
    return [loss for loss in decision.losses if loss.proven and loss.pair not in held and ends_grant(loss, ending)]


def _runs(cut: Cut, losses: Mapping[Pair, Loss], held: frozenset[Pair]) -> bool:
    return cut.block is None and all(losses[p].proven and p not in held for p in cut.pairs)


def _rejections(decision: ImageDecision, rejected: frozenset[Pair]) -> Iterable[Finding]:
    """What stays as it is because a person said so."""
    lost = {loss.pair.account for loss in decision.losses if loss.pair in rejected}
    asking = {account for account in decision.asking if Pair(decision.image.id, account) in rejected}
    until = "until its cause changes or it is wanted again"
    yield from finding_rows("rejected", decision.image.id, lost, f"a person rejected taking it away: it stays {until}")
    why = "a person rejected its first grant: nothing is granted as long as the policy says the same"
    yield from finding_rows("rejected", decision.image.id, asking, why)


def rules_of(decision: ImageDecision, audiences: tuple[Resolved, ...], account: str) -> tuple[str, ...]:
    """The rules that want the account to have the image."""
    return tuple(audiences[i].rule.name for i in decision.rules if account in audiences[i].wanted)


class _Sharing:
    """The changes to the resource shares of one shard."""

    def __init__(
        self,
        shard: ShardDecision,
        images: list[ImageDecision],
        losses: Mapping[Pair, Loss],
        held: frozenset[Pair],
    ) -> None:
        self.shard, self.images, self.losses, self.held = shard, images, losses, held
        self.running = [cut for cut in shard.cuts if _runs(cut, losses, held)]

    def changes(self) -> Iterable[Change]:
        shard = self.shard.shard
        for joining in self.shard.arrangement.joining:
            place = joining.share or f"new {joining.audience}"
            served = [d for d in self.images if d.home == place]
            # An image whose own row is stuck gains nothing by what joins beside it.
            stuck = self.shard.arrangement.setbacks.keys() - set(joining.images)
            gaining = [d for d in served if d.image.id not in stuck]
            names = tuple(sorted({n for d in served for n in self.shard.image_rules[d.image.id]}))
            if not joining.share:
                yield Change(
                    action="create-share",
                    shard=shard,
                    targets=joining.targets,
                    audience=joining.audience,
                    rules=names,
                    why=f"a resource share for {counted(len(joining.targets), 'target')}",
                )
            yield Change(
                action="associate",
                shard=shard,
                images=joining.images,
                targets=joining.targets,
                share=joining.share,
                audience=joining.audience,
                rules=names,
                why=f"wanted by {_rules(names)}",
                gained=sum(len(d.promised.difference(d.direct, d.grants)) for d in gaining),
            )
        told: set[Pair] = set()
        by_share: dict[str, list[Cut]] = defaultdict(list)
        for cut in self.running:
            by_share[cut.share].append(cut)
        for share, cuts in by_share.items():
            lost = {pair for cut in cuts for pair in cut.pairs} - told
            told |= lost
            causes = Counter(self.losses[pair].cause for pair in lost)
            parts = [f"{number} {_CAUSES[cause]}" for cause, number in sorted(causes.items())]
            yield Change(
                action="disassociate",
                shard=shard,
                images=tuple(sorted(cut.entity for cut in cuts if not cut.is_target)),
                targets=tuple(sorted(cut.entity for cut in cuts if cut.is_target)),
                share=share,
                rules=tuple(sorted({rule for pair in lost for rule in self.losses[pair].rules})),
                why="; ".join(parts) or "everybody who is wanted is reached otherwise",
                lost=sum(number for cause, number in causes.items() if cause != "channel"),
            )

    def pending(self) -> Iterable[Pending]:
        yield from self.shard.pending
        for cut in self.shard.cuts:
            if cut.block == "waiting":
                yield Pending(cut.share, cut.entity, f"stays for now: {cut.blocked}", "")
            elif cut.block is None and cut not in self.running and not cut.pairs <= self.held:
                yield Pending(
                    cut.share, cut.entity, "stays for now: part of what it gives is held or not confirmed", ""
                )

    def findings(self) -> Iterable[Finding]:
        for cut in self.shard.cuts:
            if cut.block == "conflict":
                image = "" if cut.is_target else cut.entity
                yield Finding("channel-conflict", image, "", f"{cut.entity} stays in {cut.share}: {cut.blocked}")


def _grant(decision: ImageDecision, audiences: tuple[Resolved, ...]) -> Change:
    wanting = [audiences[i] for i in decision.rules]
    rules = tuple(a.rule.name for a in wanting if not a.wanted.isdisjoint(decision.grants))
    covered = decision.coverage.associated.intersection(decision.grants)
    instead = f"; {len(covered)} of them before a resource share ends" if covered else ""
    return Change(
        action="grant",
        shard=decision.image.shard,
        images=(decision.image.id,),
        within=decision.image.within,
        accounts=decision.grants,
        rules=rules,
        why=f"wanted by {_rules(rules)}{instead}",
        gained=len(decision.grants) - len(covered),
    )


def _revoke(decision: ImageDecision, running: list[Loss]) -> Change:
    causes = Counter(_CAUSES[loss.cause] for loss in running)
    parts = [f"{number} {cause}" for cause, number in sorted(causes.items())]
    if decision.redundant:
        parts.append(f"{len(decision.redundant)} covered by a resource share as well")
    return Change(
        action="revoke",
        shard=decision.image.shard,
        images=(decision.image.id,),
        within=decision.image.within,
        accounts=tuple(sorted((*decision.redundant, *(loss.pair.account for loss in running)))),
        rules=tuple(sorted({rule for loss in running for rule in loss.rules})),
        why="; ".join(parts),
        lost=len(running),
    )


def _of_role(role: RoleDecision) -> Iterable[Change]:
    """What changes in the trust policy of a sharing role. It gives and takes no pair: grants and revokes do."""
    images = NO_IMAGES.union(*(role.needs[account] for account in role.adding))
    if role.adding:
        yield Change(
            action="trust",
            shard=wide_shard(role.owner),
            images=tuple(sorted(images)),
            accounts=role.adding,
            rules=role.rules,
            why=f"they get {counted(len(images), 'encrypted image')}",
        )
    if role.removing:
        why = "no encrypted image of any region is shared with them any more"
        yield Change(action="distrust", shard=wide_shard(role.owner), accounts=role.removing, why=why)


def _with_changes(hold: Hold, decisions: Decisions) -> Hold:
    """The hold with its revocations, or its grants, as changes, for whoever is asked to approve it."""
    pairs = frozenset(hold.pairs)
    if hold.gains:
        return replace(hold, changes=in_order(_first_grants(decisions, pairs)))
    shares = {pair: cut.share for shard in decisions.shards.values() for cut in shard.cuts for pair in cut.pairs}
    changes = []
    for decision in decisions.images:
        parts: dict[str, list[Loss]] = defaultdict(list)
        for loss in decision.losses:
            if loss.pair in pairs:
                place = "" if ends_grant(loss, decision.ours) else shares.get(loss.pair, "")
                parts[place].append(loss)
        for share, part in parts.items():
            changes.append(
                Change(
                    action="disassociate" if share else "revoke",
                    shard=decision.image.shard,
                    images=(decision.image.id,),
                    within=decision.image.within,
                    accounts=tuple(sorted(loss.pair.account for loss in part)),
                    share=share,
                    rules=tuple(sorted({rule for loss in part for rule in loss.rules})),
                    why=", ".join(sorted({_CAUSES[loss.cause] for loss in part})),
                    lost=len(part),
                )
            )
    return replace(hold, changes=in_order(changes))


def _first_grants(decisions: Decisions, pairs: frozenset[Pair]) -> Iterable[Change]:
    for decision in decisions.images:
        accounts = tuple(a for a in decision.asking if Pair(decision.image.id, a) in pairs)
        if accounts:
            yield _grant(replace(decision, grants=accounts), decisions.audiences)


def _rules(names: tuple[str, ...]) -> str:
    return f"rule {names[0]}" if len(names) == 1 else "rules " + ", ".join(names)
