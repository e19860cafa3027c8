"""From decisions and the guard's holds to the plan.

What can go wrong is a loss that is neither in the changes nor held nor said to be incomplete: it would be forgotten
silently. So every loss ends in exactly one of the three.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from orgshare.decide.audience import Resolved
from orgshare.decide.decisions import Cause, Decisions, Facts, ImageDecision, Loss
from orgshare.decide.plan import Change, Finding, Hold, Plan, Summary, in_order
from orgshare.words import Incomplete, Shard

_CAUSES: Mapping[Cause, str] = {
    "departed": "left the organization",
    "audience": "no longer in the audience of a rule",
    "partner": "no longer named by a rule",
    "image": "no rule selects the image any more",
}


def assemble(
    facts: Facts,
    decisions: Decisions,
    holds: tuple[Hold, ...],
    *,
    findings: Iterable[Finding] = (),
    incomplete: Iterable[Incomplete] = (),
) -> Plan:
    """The plan of a run. ``findings`` and ``incomplete`` are what reading alone already showed."""
    held = frozenset(pair for hold in holds for pair in hold.pairs)
    changes: list[Change] = []
    gaps: list[Incomplete] = []
    for decision in decisions.images:
        running = [loss for loss in decision.losses if loss.proven and loss.pair not in held]
        unproven = [loss for loss in decision.losses if not loss.proven and loss.pair not in held]
        if decision.grants:
            changes.append(_grant(decision, decisions.audiences))
        if running or decision.redundant:
            changes.append(_revoke(decision, running))
        if facts.proof.contradicted:
            unproven = [loss for loss in unproven if not loss.hangs_on_listing]
        if unproven:
            accounts = ", ".join(loss.pair.account for loss in unproven)
            why = f"{decision.image.id}: could not be confirmed, so nothing is revoked from {accounts}"
            gaps.append(Incomplete("shard", str(decision.image.shard), why))
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
        findings=tuple(sorted({*findings, *decisions.findings, *(f for d in decisions.images for f in d.findings)})),
        pending=tuple(sorted(p for d in decisions.images for p in d.pending)),
        incomplete=tuple(sorted({*incomplete, *decisions.incomplete, *gaps})),
        summary=Summary(
            images=len(selected),
            accounts=len(frozenset[str]().union(*{d.wanted for d in selected})),
            wanted=sum(len(d.wanted) for d in selected),
            in_step=sum(len(d.wanted & d.has()) for d in selected),
            gained=sum(change.gained for change in changes_in_order),
            lost=sum(change.lost for change in changes_in_order),
        ),
    )


def rules_of(decision: ImageDecision, audiences: tuple[Resolved, ...], account: str) -> tuple[str, ...]:
    """The rules that want the account to have the image."""
    return tuple(audiences[i].rule.name for i in decision.rules if account in audiences[i].wanted)


def _grant(decision: ImageDecision, audiences: tuple[Resolved, ...]) -> Change:
    wanting = [audiences[i] for i in decision.rules]
    rules = tuple(a.rule.name for a in wanting if not a.wanted.isdisjoint(decision.grants))
    return Change(
        action="grant",
        shard=decision.image.shard,
        image=decision.image.id,
        accounts=decision.grants,
        rules=rules,
        why=f"wanted by {_rules(rules)}",
        gained=len(decision.grants),
    )


def _revoke(decision: ImageDecision, running: list[Loss]) -> Change:
    causes = Counter(_CAUSES[loss.cause] for loss in running)
    parts = [f"{number} {cause}" for cause, number in sorted(causes.items())]
    if decision.redundant:
        parts.append(f"{len(decision.redundant)} covered by a resource share as well")
    return Change(
        action="revoke",
        shard=decision.image.shard,
        image=decision.image.id,
        accounts=tuple(sorted((*decision.redundant, *(loss.pair.account for loss in running)))),
        rules=tuple(sorted({rule for loss in running for rule in loss.rules})),
        why="; ".join(parts),
        lost=len(running),
    )


def _with_changes(hold: Hold, decisions: Decisions) -> Hold:
    """The hold with its revocations as changes, for whoever is asked to approve it."""
    pairs = frozenset(hold.pairs)
    by_image: dict[tuple[Shard, str], list[Loss]] = defaultdict(list)
    for loss in decisions.losses():
        if loss.pair in pairs:
            by_image[loss.shard, loss.pair.image].append(loss)
    changes = in_order(
        Change(
            action="revoke",
            shard=shard,
            image=image,
            accounts=tuple(sorted(loss.pair.account for loss in losses)),
            rules=tuple(sorted({rule for loss in losses for rule in loss.rules})),
            why=", ".join(sorted({_CAUSES[loss.cause] for loss in losses})),
            lost=len(losses),
        )
        for (shard, image), losses in by_image.items()
    )
    return Hold(id=hold.id, since=hold.since, why=hold.why, pairs=hold.pairs, changes=changes)


def _rules(names: tuple[str, ...]) -> str:
    return f"rule {names[0]}" if len(names) == 1 else "rules " + ", ".join(names)
