"""Execute and record: from a plan to a changed cloud, with ownership written down before and after.

Shard by shard: the intentions are committed, the images are shared in parallel, and what the readings then showed is
committed. A shard whose state somebody else writes to at this moment is left to them.

What can go wrong: a run that dies. Whatever was made by then was intended in the state before, so the next run knows
it for its own, sees what is missing, and finishes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from orgshare.decide.decisions import ImageDecision, remedy_of
from orgshare.decide.plan import Change, Finding, Pending, Plan, Refusal, first_accounts, in_order
from orgshare.errors import Busy, VendorError
from orgshare.execute.sharing import Outcome, Work, carry_out
from orgshare.focus import Focus
from orgshare.guard import remember
from orgshare.record.ownership import absences, intended, reason_of, recorded, settled
from orgshare.way.planning import Planned, make_plan
from orgshare.way.runtime import Runtime
from orgshare.words import Shard


class Failure(Struct, frozen=True, kw_only=True):
    """A change that was not carried out, with the vendor's code and request id where there are any."""

    change: Change
    code: str
    request_id: str
    remedy: str


class Applied(Struct, frozen=True, kw_only=True):
    """What a run did. ``plan`` is what it set out to do, completed by what the cloud refused on the way."""

    planned: Planned
    plan: Plan
    done: tuple[Change, ...] = ()
    failed: tuple[Failure, ...] = ()


class _ShardResult(Struct, frozen=True):
    outcomes: tuple[Outcome, ...] = ()
    busy: str = ""


def apply(runtime: Runtime, focus: Focus) -> Applied:
    """Plan and carry it out, as far as the mode allows."""
    return carry_out_plan(runtime, make_plan(runtime, focus))


def carry_out_plan(runtime: Runtime, planned: Planned) -> Applied:
    """Carry out a plan that was just made. In mode ``observe`` nothing is written, neither cloud nor state."""
    if runtime.policy.mode == "observe":
        return Applied(planned=planned, plan=planned.plan)
    try:
        runtime.state.update_guard(
            lambda record: remember(record, planned.plan.held, planned.judged, began_with=planned.record),
            run=runtime.run,
            now=planned.now,
        )
    except Busy as error:
        return Applied(planned=planned, plan=_with(planned.plan, findings=[Finding("busy", "", "", str(error))]))
    changes: dict[Shard, dict[str, list[Change]]] = defaultdict(lambda: defaultdict(list))
    for change in planned.plan.changes:
        changes[change.shard][change.image].append(change)
    results = {
        shard: _carry_out_shard(runtime, planned, shard, changes.get(shard, {}))
        for shard in sorted(planned.looked.services)
    }
    return _report(planned, results)


def _carry_out_shard(
    runtime: Runtime, planned: Planned, shard: Shard, changes: Mapping[str, list[Change]]
) -> _ShardResult:
    before = planned.looked.states[shard]
    decisions = tuple(d for d in planned.decisions.images if d.image.shard == shard)
    readings = {r.image.id: r.grants for r in planned.looked.readings if r.grants is not None}
    ledger = settled(before.ledger, planned.facts, planned.decisions, decisions, readings)
    ledger = absences(
        ledger,
        planned.looked.absent & before.ledger.grants.keys(),
        planned.looked.present & before.ledger.grants.keys(),
    )
    ledger = intended(ledger, planned.facts, planned.decisions, [d for d in decisions if d.grants])
    number = before.number
    outcomes: tuple[Outcome, ...] = ()
    try:
        if ledger != before.ledger or changes:
            number = runtime.state.commit(shard, number, ledger, run=runtime.run, now=runtime.now())
        if changes:
            service = planned.looked.services[shard]
            by_id = {d.image.id: d for d in decisions}
            works = [_work(by_id[image], wanted, len(readings[image])) for image, wanted in sorted(changes.items())]
            outcomes = tuple(runtime.executor.map(lambda work: carry_out(service, work), works))
            after = recorded(ledger, outcomes, planned.now)
            if after != ledger:
                runtime.state.commit(shard, number, after, run=runtime.run, now=runtime.now())
    except Busy as error:
        return _ShardResult(outcomes, str(error))
    return _ShardResult(outcomes)


def _work(decision: ImageDecision, changes: Iterable[Change], rows: int) -> Work:
    accounts = {change.action: change.accounts for change in changes}
    return Work(
        image=decision.image.id,
        add=accounts.get("grant", ()),
        remove=accounts.get("revoke", ()),
        rows=rows,
        quota=decision.quota,
    )


def _report(planned: Planned, results: Mapping[Shard, _ShardResult]) -> Applied:
    outcomes = {outcome.image: outcome for result in results.values() for outcome in result.outcomes}
    busy = [Finding("busy", "", "", result.busy) for result in results.values() if result.busy]
    done: list[Change] = []
    failed: list[Failure] = []
    pending: list[Pending] = []
    refused: list[Refusal] = []
    unremovable: list[Finding] = []
    for change in planned.plan.changes:
        outcome = outcomes.get(change.image)
        if outcome is None:
            continue
        carried, left, error = _what_became(change, outcome)
        if carried:
            done.append(_part(change, carried))
        if left:
            failed.append(_failure(_part(change, left), error))
        pending += _not_seen_yet(planned, change, outcome)
        if change.action == "grant":
            refused += _refusals(change, outcome)
        else:
            unremovable += [
                Finding("cannot-revoke", change.image, account, str(reason)) for account, reason in outcome.unremovable
            ]
    plan = _with(planned.plan, findings=[*busy, *unremovable], pending=pending, refused=refused)
    return Applied(
        planned=planned,
        plan=plan,
        done=in_order(done),
        failed=tuple(sorted(failed, key=lambda f: (f.change.action, f.change.shard, f.change.image))),
    )


def _what_became(change: Change, outcome: Outcome) -> tuple[list[str], list[str], Exception | None]:
    """The accounts of a change that were served, those that were given up, and the error that ended it."""
    if change.action == "grant":
        served, settled_otherwise = outcome.accepted, dict(outcome.refused).keys()
    else:
        served, settled_otherwise = outcome.revoked | outcome.gone, dict(outcome.unremovable).keys()
    carried = [account for account in change.accounts if account in served]
    left = [account for account in change.accounts if account not in served and account not in settled_otherwise]
    return carried, left, outcome.failed


def _part(change: Change, accounts: list[str]) -> Change:
    """The change for some of its accounts. Redundant revocations lose nothing, so a loss is never more than planned."""
    if len(accounts) == len(change.accounts):
        return change
    return replace(
        change,
        accounts=tuple(accounts),
        gained=len(accounts) if change.action == "grant" else 0,
        lost=min(change.lost, len(accounts)),
    )


def _failure(change: Change, error: Exception | None) -> Failure:
    if isinstance(error, VendorError):
        return Failure(
            change=change,
            code=error.code,
            request_id=error.request_id,
            remedy=f"{error}; the next run goes on",
        )
    return Failure(change=change, code="", request_id="", remedy=f"{error}; the next run goes on")


def _not_seen_yet(planned: Planned, change: Change, outcome: Outcome) -> Iterable[Pending]:
    """What the cloud accepted and the reading afterwards does not show."""
    listed = {grant.account for grant in outcome.grants or ()}
    if change.action == "grant":
        waiting, status = outcome.accepted - listed, "accepted, not listed yet"
    else:
        waiting, status = (outcome.revoked | outcome.gone) & listed, "revoked, still listed"
    if outcome.grants is None:
        status = "accepted, not read back"
    for account in change.accounts:
        if account in waiting:
            yield Pending("", f"{change.image}/{account}", status, planned.now.isoformat())


def _refusals(change: Change, outcome: Outcome) -> Iterable[Refusal]:
    by_code: dict[str, list[str]] = defaultdict(list)
    texts = {}
    for account, error in outcome.refused:
        by_code[error.code].append(account)
        texts[error.code] = str(error)
    for code, accounts in sorted(by_code.items()):
        reason = reason_of(code)
        yield Refusal(
            image=change.image,
            rules=change.rules,
            reason=reason,
            accounts=first_accounts(accounts),
            accounts_total=len(accounts),
            remedy=f"{remedy_of(reason)}; {texts[code]}",
        )


def _with(
    plan: Plan,
    *,
    findings: Iterable[Finding] = (),
    pending: Iterable[Pending] = (),
    refused: Iterable[Refusal] = (),
) -> Plan:
    return replace(
        plan,
        findings=tuple(sorted({*plan.findings, *findings})),
        pending=tuple(sorted({*plan.pending, *pending})),
        refused=tuple(sorted((*plan.refused, *refused), key=lambda r: (r.image, r.reason, r.accounts))),
    )
