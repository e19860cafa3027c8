"""Execute and record: from a plan to a changed cloud, with ownership written down before and after.

Shard by shard: the intentions are committed; resource shares are created, recorded and filled; grants are made and
revoked, image by image in parallel; what should leave a share leaves it; what the readings then showed is committed. A
shard whose state somebody else writes to at this moment is left to them.

What can go wrong: a run that dies. Whatever was made by then was intended in the state before, so the next run knows
it for its own, sees what is missing, and finishes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from orgshare.decide.decisions import ImageDecision
from orgshare.decide.plan import Change, Finding, Pending, Plan, Refusal, first_accounts, in_order
from orgshare.decide.refusals import remedy_of
from orgshare.errors import Busy, VendorError
from orgshare.execute.sharing import Outcome, Work, carry_out
from orgshare.focus import Focus
from orgshare.guard import remember
from orgshare.ledger import Ledger
from orgshare.record.ownership import absences, intended, reason_of, recorded, settled, settled_rows
from orgshare.seen import see
from orgshare.way.planning import Planned, make_plan
from orgshare.way.runtime import Runtime
from orgshare.way.shares import ShareResult, Shares
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
    shares: ShareResult = ShareResult()
    busy: str = ""


def apply(runtime: Runtime, focus: Focus) -> Applied:
    """Plan and carry it out, as far as the mode allows."""
    return carry_out_plan(runtime, make_plan(runtime, focus))


def carry_out_plan(runtime: Runtime, planned: Planned) -> Applied:
    """Carry out a plan that was just made. In mode ``observe`` nothing is written, neither cloud nor state."""
    if runtime.policy.mode == "observe":
        return Applied(planned=planned, plan=planned.plan)
    facts = planned.facts
    try:
        runtime.state.update_seen(
            lambda before: see(before, facts.organization, facts.proof.departed, planned.now),
            run=runtime.run,
            now=planned.now,
        )
        runtime.state.update_guard(
            lambda record: remember(record, planned.plan.held, planned.judged, began_with=planned.record),
            run=runtime.run,
            now=planned.now,
        )
    except Busy as error:
        return Applied(planned=planned, plan=_with(planned.plan, findings=[Finding("busy", "", "", str(error))]))
    changes: dict[Shard, list[Change]] = defaultdict(list)
    for change in planned.plan.changes:
        changes[change.shard].append(change)
    results = {
        shard: _carry_out_shard(runtime, planned, shard, changes.get(shard, []))
        for shard in sorted(planned.looked.services)
    }
    return _report(planned, results)


def _carry_out_shard(runtime: Runtime, planned: Planned, shard: Shard, changes: list[Change]) -> _ShardResult:
    before = planned.looked.states[shard]
    decisions = tuple(d for d in planned.decisions.images if d.image.shard == shard)
    readings = {r.image.id: r.grants for r in planned.looked.readings if r.grants is not None}
    ledger = _settled(planned, shard, decisions)
    granting = [d for d in decisions if d.grants]
    ledger = intended(ledger, planned.facts, planned.decisions, granting)
    shares = Shares(runtime, planned, shard, changes)
    ledger = shares.intended(ledger)
    number = before.number
    outcomes: tuple[Outcome, ...] = ()
    try:
        if ledger != before.ledger or changes:
            number = runtime.state.commit(shard, number, ledger, run=runtime.run, now=runtime.now())
        if changes:
            ledger, number = shares.create(ledger, number)
            shares.fill()
            works = _works(changes, decisions, readings)
            service = planned.looked.services[shard]
            outcomes = tuple(runtime.executor.map(lambda work: carry_out(service, work), works))
            shares.empty()
            covered = {d.image.id: d.staying.sure for d in decisions}
            after = shares.recorded(recorded(ledger, outcomes, planned.now, covered))
            if after != ledger:
                runtime.state.commit(shard, number, after, run=runtime.run, now=runtime.now())
    except Busy as error:
        return _ShardResult(outcomes, shares.result(), str(error))
    return _ShardResult(outcomes, shares.result())


def _settled(planned: Planned, shard: Shard, decisions: tuple[ImageDecision, ...]) -> Ledger:
    """The shard's ledger after everything that this run read."""
    readings = {r.image.id: r.grants for r in planned.looked.readings if r.grants is not None}
    before = planned.looked.states[shard].ledger
    decided = planned.decisions.shards.get(shard)
    ledger = settled_rows(decided.ledger, decided, decisions) if decided is not None else before
    ledger = settled(ledger, planned.facts, planned.decisions, decisions, readings)
    return absences(
        ledger,
        planned.looked.absent & before.grants.keys(),
        planned.looked.present & before.grants.keys(),
    )


def _works(
    changes: Iterable[Change], decisions: tuple[ImageDecision, ...], readings: Mapping[str, tuple[object, ...]]
) -> list[Work]:
    """The direct grants and revokes, image by image."""
    accounts: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
    for change in changes:
        if change.action in ("grant", "revoke"):
            accounts[change.images[0]][change.action] = change.accounts
    by_id = {decision.image.id: decision for decision in decisions}
    return [
        Work(
            image=image,
            add=wanted.get("grant", ()),
            remove=wanted.get("revoke", ()),
            rows=len(readings[image]),
            quota=by_id[image].quota,
        )
        for image, wanted in sorted(accounts.items())
    ]


def _report(planned: Planned, results: Mapping[Shard, _ShardResult]) -> Applied:
    outcomes = {outcome.image: outcome for result in results.values() for outcome in result.outcomes}
    busy = [Finding("busy", "", "", result.busy) for result in results.values() if result.busy]
    done: list[Change] = []
    failed: list[Failure] = []
    pending: list[Pending] = []
    refused: list[Refusal] = []
    unremovable: list[Finding] = []
    for change in planned.plan.changes:
        if change.action not in ("grant", "revoke"):
            continue
        image = change.images[0]
        outcome = outcomes.get(image)
        if outcome is None:
            continue
        carried, left, error = _what_became(change, outcome)
        if carried:
            done.append(_part(change, carried))
        if left:
            failed.append(failure(_part(change, left), error))
        pending += _not_seen_yet(planned, change, outcome)
        if change.action == "grant":
            refused += _refusals(change, outcome)
        else:
            unremovable += [
                Finding("cannot-revoke", image, account, str(reason)) for account, reason in outcome.unremovable
            ]
    for result in results.values():
        done += result.shares.done
        failed += [failure(change, error) for change, error in result.shares.failed]
        pending += result.shares.pending
        refused += result.shares.refused
    findings = [*busy, *unremovable, *(f for result in results.values() for f in result.shares.findings)]
    plan = _with(planned.plan, findings=findings, pending=pending, refused=refused)
    return Applied(
        planned=planned,
        plan=plan,
        done=in_order(done),
        failed=tuple(sorted(failed, key=lambda f: (f.change.action, f.change.shard, f.change.images, f.change.share))),
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


def failure(change: Change, error: Exception | None) -> Failure:
    """What is said of a change that was not carried out."""
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
    image = change.images[0]
    listed = {grant.account for grant in outcome.grants or ()}
    if change.action == "grant":
        waiting, status = outcome.accepted - listed, "accepted, not listed yet"
    else:
        # The row of an account that a resource share reaches may be the share's own.
        reached = next(d.staying.possible for d in planned.decisions.images if d.image.id == image)
        waiting, status = ((outcome.revoked | outcome.gone) & listed) - reached, "revoked, still listed"
    if outcome.grants is None:
        status = "accepted, not read back"
    for account in change.accounts:
        if account in waiting:
            yield Pending("", f"{image}/{account}", status, planned.now.isoformat())


def _refusals(change: Change, outcome: Outcome) -> Iterable[Refusal]:
    by_code: dict[str, list[str]] = defaultdict(list)
    texts = {}
    for account, error in outcome.refused:
        by_code[error.code].append(account)
        texts[error.code] = str(error)
    for code, accounts in sorted(by_code.items()):
        reason = reason_of(code)
        yield Refusal(
            image=change.images[0],
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
