"""The JSON documents: exactly the contract's keys in the contract's order, every list sorted.

Other programs rely on these shapes, so a key is never renamed and never left out; what is empty is an empty list or
text. What can go wrong: two reports of the same facts that differ in their bytes. So nothing here depends on the
order in which things were read.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from orgshare.decide.decisions import ImageDecision
from orgshare.decide.plan import ORDER, Change, Finding, Hold, Pending, Plan, Refusal, Summary, in_order
from orgshare.guard import APPROVAL_STANDS, Approval, RecordedHold
from orgshare.policy.model import Policy
from orgshare.report.channels import channels
from orgshare.report.explaining import Explanation
from orgshare.report.times import moment, written
from orgshare.way.applying import Applied, Failure
from orgshare.way.planning import Planned
from orgshare.words import Incomplete, Pair, Shard

Document = dict[str, Any]

SCHEMA = 1

_LISTS = ("changes", "held", "refused", "findings", "pending", "incomplete", "done", "failed")


class About(Struct, frozen=True):
    """What a report is about: ``policy`` is the policy's digest, ``directory`` the organization's id."""

    deployment: str
    mode: str
    directory: str
    policy: str


def about(policy: Policy, directory: str) -> About:
    """What every report of this policy in this organization is about."""
    return About(policy.deployment, policy.mode, directory, policy.digest)


def plan_document(plan: Plan, about: About) -> Document:
    """A plan."""
    return {
        "schema": SCHEMA,
        "deployment": about.deployment,
        "mode": about.mode,
        "directory": about.directory,
        "policy": about.policy,
        "digest": plan.digest(),
        "changes": [change_row(change) for change in in_order(plan.changes)],
        "held": _sorted(hold_row(hold) for hold in plan.held),
        "refused": _sorted(refusal_row(refusal) for refusal in plan.refused),
        "findings": _sorted(finding_row(finding) for finding in plan.findings),
        "pending": _sorted(pending_row(pending) for pending in plan.pending),
        "incomplete": _sorted(incomplete_row(gap) for gap in plan.incomplete),
        "summary": _summary(plan.summary),
    }


def planned_document(planned: Planned) -> Document:
    """The plan that a run made."""
    return plan_document(planned.plan, about(planned.facts.policy, planned.looked.organization.id))


def unread_document(policy: Policy, directory: str, why: str) -> Document:
    """The plan of a run that could not read the organization."""
    return plan_document(Plan(incomplete=unread(policy, why)), about(policy, directory))


def unread(policy: Policy, why: str) -> tuple[Incomplete, ...]:
    """What is incomplete where the organization cannot be read: every rule, and without rules every owner."""
    rules = tuple(Incomplete("rule", rule.name, why) for rule in policy.rules)
    return rules or tuple(Incomplete("shard", f"ecs/{owner.account}/*", why) for owner in policy.owners)


def apply_document(applied: Applied, *, calls: Mapping[str, int]) -> Document:
    """What a run set out to do, and what became of it. ``calls`` counts every call of the run by its operation."""
    planned = applied.planned
    return {
        **plan_document(applied.plan, about(planned.facts.policy, planned.looked.organization.id)),
        **_outcome(applied.done, applied.failed, calls),
    }


def not_applied_document(plan: Document, *, calls: Mapping[str, int]) -> Document:
    """The report of an apply that carried nothing out, from the plan's document."""
    return {**plan, **_outcome((), (), calls)}


def joined(reports: Sequence[Document]) -> Document:
    """One report of several runs, each in a shard of its own; of one, that one.

    How many accounts there are in audiences is what the run said that saw most of them.
    """
    reports = [each for each in reports if any(each[key] for key in (*_LISTS, "calls"))] or reports[:1]
    if len(reports) == 1:
        return reports[0]
    digests = sorted(report["digest"] for report in reports)
    together = dict(reports[0]) | {"digest": "sha256:" + hashlib.sha256(msgspec.json.encode(digests)).hexdigest()}
    for key in _LISTS:
        rows = {msgspec.json.encode(row): row for report in reports for row in report[key]}
        together[key] = _sorted(rows.values())
    for key in ("changes", "done"):
        together[key].sort(key=lambda row: ORDER.index(row["action"]))
    sums = {key: [report["summary"][key] for report in reports] for key in together["summary"]}
    together["summary"] = {key: max(of) if key == "accounts" else sum(of) for key, of in sums.items()}
    together["calls"] = dict(sorted(sum((Counter(report["calls"]) for report in reports), Counter()).items()))
    return together


def status_document(planned: Planned, *, with_images: bool = True) -> Document:
    """Every image that rules select or that we shared, with everybody who can use it.

    That may be millions of rows: a text that only counts them leaves them out.
    """
    plan = planned_document(planned)
    unread = {gap.name for gap in planned.looked.incomplete if gap.where == "shard"}
    shards = {str(shard): moment(planned.now) for shard in planned.looked.services}
    decisions = sorted(planned.decisions.images, key=lambda decision: decision.image.id)
    return {
        "images": [_image_row(planned, decision) for decision in decisions] if with_images else [],
        **{key: plan[key] for key in ("held", "refused", "findings", "pending", "incomplete")},
        "shards": [
            {"shard": shard, "read_at": shards.get(shard)} for shard in sorted({*shards, *(unread - shards.keys())})
        ],
    }


def unread_status_document(policy: Policy, directory: str, why: str) -> Document:
    """The status where the organization could not be read."""
    plan = unread_document(policy, directory, why)
    lists = {key: plan[key] for key in ("held", "refused", "findings", "pending", "incomplete")}
    return {"images": [], **lists, "shards": []}


def explain_document(explanation: Explanation) -> Document:
    """Whether one account can use one image, and why."""
    return {
        "image": explanation.image.id,
        "account": explanation.account,
        "wanted": explanation.wanted,
        "has": explanation.has,
        "channels": list(explanation.channels),
        "rules": sorted(explanation.rules),
        "why": explanation.why(),
        "pending": _sorted(pending_row(pending) for pending in explanation.pending),
        "held": _sorted(hold_row(hold) for hold in explanation.held),
    }


def who_document(decisions: Iterable[ImageDecision], *, account: str | None = None) -> Document:
    """Every pair with access to these images; of one account only, if it is named."""
    rows = (
        {"image": decision.image.id, "account": each, "channels": channels(decision, each)}
        for decision in decisions
        for each in (decision.has() if account is None else decision.has() & {account})
    )
    return {"access": _sorted(rows)}


class Remembered(Struct, frozen=True):
    """What the ledgers know of what is held: where each image is, which are in resource shares, and direct grants.

    An image that no ledger knows any more is somewhere unnamed.
    """

    shards: Mapping[str, Shard]
    shared: frozenset[str] = frozenset()
    granted: frozenset[Pair] = frozenset()


def holds_document(
    holds: Iterable[RecordedHold], approvals: Iterable[Approval], remembered: Remembered, now: datetime
) -> Document:
    """The holds that the state has, with what they would revoke, and the approvals that stand."""
    standing = [approval for approval in approvals if approval.stands(now)]
    return {
        "held": _sorted(recorded_hold_row(hold, standing, remembered) for hold in holds),
        "approved": [approval_row(approval) for approval in sorted(standing, key=lambda a: (a.at, a.pairs))],
    }


def change_row(change: Change) -> Document:
    """A change. ``targets`` and ``share`` belong to resource shares and are empty for direct grants; a share that has
    yet to be made has no id."""
    return {
        "action": change.action,
        "service": change.shard.service,
        "owner": change.shard.owner,
        "region": change.region,
        "images": sorted(change.images),
        "accounts": sorted(change.accounts),
        "targets": sorted(change.targets),
        "share": change.share,
        "rules": sorted(change.rules),
        "gained": change.gained,
        "lost": change.lost,
        "why": change.why,
    }


def hold_row(hold: Hold) -> Document:
    """A hold. It stands until a person decides or its reason goes, so ``expires`` is null until it is approved."""
    return {
        "id": hold.id,
        "since": moment(hold.since),
        "expires": None,
        "why": hold.why,
        "lost_pairs": 0 if hold.gains else len(hold.pairs),
        "changes": [change_row(change) for change in in_order(hold.changes)],
    }


def recorded_hold_row(hold: RecordedHold, approvals: Iterable[Approval], remembered: Remembered) -> Document:
    """A hold of the state, in the form of a plan's. ``expires`` is the end of the approval that releases it all.

    What is in a resource share and not granted directly is lost by the share; what would be gained would be granted.
    """
    pairs = frozenset(hold.pairs)
    same = (approval for approval in approvals if approval.gains == hold.gains)
    ends = [expires(approval) for approval in same if pairs <= frozenset(approval.pairs)]
    accounts: dict[tuple[str, str], list[str]] = {}
    for pair in hold.pairs:
        by_share = pair.image in remembered.shared and pair not in remembered.granted
        action = "grant" if hold.gains else "disassociate" if by_share else "revoke"
        accounts.setdefault((action, pair.image), []).append(pair.account)
    rows = []
    for (action, image), named in accounts.items():
        shard = remembered.shards.get(image)
        rows.append(
            {
                "action": action,
                "service": shard.service if shard else "",
                "owner": shard.owner if shard else "",
                "region": shard.region if shard else "",
                "images": [image],
                "accounts": sorted(named),
                "targets": [],
                "share": "",
                "rules": [],
                "gained": len(named) if hold.gains else 0,
                "lost": 0 if hold.gains else len(named),
                "why": "held",
            }
        )
    return {
        "id": hold.id,
        "since": moment(hold.since),
        "expires": moment(max(ends)) if ends else None,
        "why": hold.why,
        "lost_pairs": 0 if hold.gains else len(hold.pairs),
        "changes": _sorted(rows),
    }


def approval_row(approval: Approval) -> Document:
    """An approval that stands."""
    return {
        "at": moment(approval.at),
        "expires": moment(expires(approval)),
        "who": approval.who,
        "reason": approval.reason,
        "lost_pairs": 0 if approval.gains else len(approval.pairs),
    }


def failure_row(failure: Failure) -> Document:
    """A change that failed: the change, with the vendor's code and request id, and what to do."""
    return {
        **change_row(failure.change),
        "code": failure.code,
        "request_id": failure.request_id,
        "remedy": failure.remedy,
    }


def refusal_row(refusal: Refusal) -> Document:
    """A refusal."""
    return {
        "image": refusal.image,
        "rules": sorted(refusal.rules),
        "reason": refusal.reason,
        "accounts": sorted(refusal.accounts),
        "accounts_total": refusal.accounts_total,
        "remedy": refusal.remedy,
    }


def finding_row(finding: Finding) -> Document:
    """A finding."""
    return {"kind": finding.kind, "image": finding.image, "account": finding.account, "why": finding.why}


def pending_row(pending: Pending) -> Document:
    """Something under way."""
    return {
        "share": pending.share,
        "entity": pending.entity,
        "status": pending.status,
        "since": written(pending.since),
    }


def incomplete_row(gap: Incomplete) -> Document:
    """Something that was not read, under the key that says what it is."""
    return {gap.where: gap.name, "why": gap.why}


def in_step(decision: ImageDecision) -> bool:
    """Whether everybody who is wanted has the image and nobody of ours has it who is not."""
    return decision.wanted <= decision.has() and not decision.losses


def expires(approval: Approval) -> datetime:
    """When an approval ends."""
    return approval.at + APPROVAL_STANDS


def _outcome(done: Iterable[Change], failed: Iterable[Failure], calls: Mapping[str, int]) -> Document:
    return {
        "done": [change_row(change) for change in in_order(done)],
        "failed": _sorted(failure_row(failure) for failure in failed),
        "calls": dict(sorted(calls.items())),
    }


def _image_row(planned: Planned, decision: ImageDecision) -> Document:
    image = decision.image
    names = [planned.decisions.audiences[index].rule.name for index in decision.rules]
    given = decision.given()
    return {
        "image": image.id,
        "service": image.shard.service,
        "owner": image.shard.owner,
        "region": image.region,
        "rules": sorted(names),
        "in_step": in_step(decision),
        "access": [
            {"account": account, "channels": channels(decision, account), "managed": account in given}
            for account in sorted(decision.has())
        ],
        "retired": decision.retired,
    }


def _summary(summary: Summary) -> Document:
    return {
        "images": summary.images,
        "accounts": summary.accounts,
        "wanted": summary.wanted,
        "in_step": summary.in_step,
        "gained": summary.gained,
        "lost": summary.lost,
    }


def _sorted(rows: Iterable[Document]) -> list[Document]:
    """Rows by the values of their keys, in the order of the keys."""
    return sorted(rows, key=lambda row: [(key, _comparable(value)) for key, value in row.items()])


def _comparable(value: object) -> Any:
    return (value is not None, value if not isinstance(value, list) else str(value))
