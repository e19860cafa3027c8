"""Execute and record: from a plan to a changed cloud, with ownership written down before and after.

Shard by shard: the lease is taken with the intentions written down; resource shares are created, recorded and filled;
grants are made and revoked, image by image in parallel; what should leave a share leaves it; what the readings then
showed is written down, with the history, and the lease let go. A shard that another run holds is left to it, one that
is paused to whoever paused it.

What can go wrong: a run that dies. Whatever was made by then was intended in the state before, so the next run knows
it for its own, sees what is missing, and finishes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from orgshare.decide.decisions import ImageDecision
from orgshare.decide.plan import Change, Finding, Pending, Plan, Refusal, first_accounts, in_order
from orgshare.decide.refusals import remedy_of
from orgshare.errors import Busy, CredentialsRefused, OrgshareError, OutOfTime, Paused, StopShard, VendorError
from orgshare.execute.sharing import Batches, Outcome, Work, both, carry_out
from orgshare.focus import Focus
from orgshare.guard import remember
from orgshare.ledger import Ledger, Lost
from orgshare.ports import ImageService
from orgshare.record.history import write_history
from orgshare.record.lease import Lease
from orgshare.record.ownership import absences, intended, reason_of, recorded, settled, settled_rows
from orgshare.seen import see
from orgshare.way.copying import Copying, CopyResult
from orgshare.way.finishing import RestedOn, saw_after, what_it_rests_on
from orgshare.way.planning import Planned, make_plan
from orgshare.way.runtime import Runtime, asking_the_state
from orgshare.way.shares import ShareResult, Shares
from orgshare.way.trusting import RoleResult, Roles
from orgshare.words import Incomplete, Shard

Losses = Mapping[str, Mapping[str, Lost]]
NO_LOSSES: Losses = MappingProxyType({})
NOTHING_WITHHELD: Mapping[str, frozenset[str]] = MappingProxyType({})


class Failure(Struct, frozen=True, kw_only=True):
    """A change that was not carried out, with the vendor's code and request id where there are any."""

    change: Change
    code: str
    request_id: str
    remedy: str


class Applied(Struct, frozen=True, kw_only=True):
    """What a run did. ``plan`` is what it set out to do, completed by what the cloud refused on the way.

    ``stopped`` are the shards in which work was ended before its end, and why.
    """

    planned: Planned
    plan: Plan
    done: tuple[Change, ...] = ()
    failed: tuple[Failure, ...] = ()
    stopped: Mapping[Shard, StopShard] = MappingProxyType({})


class _ShardResult(Struct, frozen=True):
    """What became of one shard; ``stopped`` says why nothing more was written there before its end. ``withheld`` are
    grants of encrypted images to accounts that the sharing role does not let in, and what stood in the way."""

    outcomes: tuple[Outcome, ...] = ()
    withheld: Mapping[str, frozenset[str]] = NOTHING_WITHHELD
    withholding: OrgshareError | None = None
    shares: ShareResult = ShareResult()
    copies: CopyResult = CopyResult()
    stopped: StopShard | None = None

    def errors(self) -> tuple[Exception, ...]:
        """What ended work on an image or a share."""
        found = (
            *(outcome.failed for outcome in self.outcomes),
            *(error for _, error in self.shares.failed),
            *(error for _, error in self.copies.failed),
        )
        return tuple(error for error in found if error is not None)

    def failed(self) -> bool:
        """Whether anything was not done that was to be done, and that another run may do."""
        return bool(self.errors() or self.withheld) or any(outcome.grants is None for outcome in self.outcomes)

    def left(self) -> bool:
        """Whether anything was begun that is not seen to be done."""
        return bool(self.shares.pending or self.copies.pending) or any(_unseen(outcome) for outcome in self.outcomes)


def _unseen(outcome: Outcome) -> bool:
    """Whether the reading after the calls on an image does not show them yet."""
    listed = {grant.account for grant in outcome.grants or ()}
    return bool(outcome.accepted - listed) or not (outcome.revoked | outcome.gone).isdisjoint(listed)


def apply(runtime: Runtime, focus: Focus) -> Applied:
    """Plan and carry it out, as far as the mode allows."""
    return carry_out_plan(runtime, make_plan(runtime, focus))


def carry_out_plan(runtime: Runtime, planned: Planned) -> Applied:
    """Carry out a plan that was just made. In mode ``observe`` nothing is written, neither cloud nor state."""
    if runtime.policy.mode == "observe":
        return Applied(planned=planned, plan=planned.plan)
    facts = planned.facts
    try:
        with asking_the_state():
            runtime.state.update_seen(
                lambda before: see(before, facts.organization, facts.proof.departed, planned.now), run=runtime.run
            )
            runtime.state.update_guard(
                lambda record: remember(
                    record, planned.plan.held, planned.judged, began_with=planned.record, rejected=planned.rejected
                ),
                run=runtime.run,
            )
            rested_on = what_it_rests_on(runtime, planned)
    except Busy as error:
        plan = _with(planned.plan, findings=[Finding("busy", "", "", str(error))])
        return Applied(planned=planned, plan=plan, stopped=dict.fromkeys(planned.looked.services, error))
    changes: dict[Shard, list[Change]] = defaultdict(list)
    for change in planned.plan.changes:
        changes[change.shard].append(change)
    results: dict[Shard, _ShardResult] = {}
    roles = Roles(runtime, planned)
    lost = {shard: ledger.lost for shard, ledger in planned.looked.ledgers().items()}
    for shard in sorted(planned.looked.services):
        results[shard] = _carry_out_shard(runtime, planned, shard, changes.get(shard, []), lost, rested_on, roles)
        if any(loss.shard == shard for loss in planned.running):
            with asking_the_state():
                lost[shard] = runtime.state.read(shard).ledger.lost
    return _report(planned, results, roles.finish(), runtime.lacking())


def _others_took(runtime: Runtime, shard: Shard, lost: Mapping[Shard, Losses]) -> bool:
    """Whether pairs were taken away in another shard since the guard reckoned with all of them.

    What is taken away is written down first, so of two runs in two shards one sees the other's.
    """
    others = [other for other in runtime.state.shards() if other != shard]
    found = runtime.executor.map(lambda other: runtime.state.read(other).ledger.lost, others)
    return any(now != lost.get(other, NO_LOSSES) for other, now in zip(others, found, strict=True))


def _carry_out_shard(
    runtime: Runtime,
    planned: Planned,
    shard: Shard,
    changes: list[Change],
    lost: Mapping[Shard, Losses],
    rested_on: RestedOn,
    roles: Roles,
) -> _ShardResult:
    """Write down what was read and what is intended, and do it as long as the lease allows. ``lost`` is what the guard
    knew to be lost in each shard, ``rested_on`` what this run rests on."""
    before = planned.looked.states[shard]
    decisions = tuple(d for d in planned.decisions.images if d.image.shard == shard)
    settled_ledger = _settled(planned, shard, decisions)
    try:
        if not changes:
            saw = saw_after(planned, shard, rested_on)
            settled_ledger = settled_ledger.with_saw(saw)
            if settled_ledger != before.ledger:
                _write_down(runtime, planned, shard, settled_ledger)
            return _ShardResult()
        if why := runtime.state.paused(shard):
            raise Paused(f"{shard}: {why}; nothing is written there until «orgshare resume»")
        _open(runtime, shard)
        granting = [d for d in decisions if d.grants]
        running = [loss for loss in planned.running if loss.shard == shard]
        ledger = intended(settled_ledger, planned.facts, planned.decisions, granting, running, before=before.ledger)
        shares = Shares(runtime, planned, shard, changes)
        copying = Copying(runtime, planned, shard, changes)
        ledger = copying.intended(shares.intended(ledger))
        lease = runtime.state.take(
            shard, before, ledger, run=runtime.run, seconds=runtime.lease, clocks=runtime.clocks()
        )
        if running and _others_took(runtime, shard, lost):
            lease.release(settled_ledger)
            why = "another run took access away meanwhile, so the limits have to be reckoned again"
            raise Busy(f"{shard}: {why}; nothing is done there in this run")
    except VendorError as error:
        return _ShardResult(stopped=StopShard(f"{shard}: the state does not answer: {error}"))
    except StopShard as error:
        return _ShardResult(stopped=error)
    return _with_lease(runtime, planned, shard, changes, decisions, shares, copying, ledger, lease, rested_on, roles)


def _open(runtime: Runtime, shard: Shard) -> None:
    """Raise ``StopShard`` where the owner's role cannot be taken any more: before anything is intended there."""
    try:
        runtime.cloud.images(shard)
    except (VendorError, CredentialsRefused) as error:
        raise StopShard(f"{shard}: {error}; nothing is done there in this run") from error


def _with_lease(
    runtime: Runtime,
    planned: Planned,
    shard: Shard,
    changes: list[Change],
    decisions: tuple[ImageDecision, ...],
    shares: Shares,
    copying: Copying,
    ledger: Ledger,
    lease: Lease,
    rested_on: RestedOn,
    roles: Roles,
) -> _ShardResult:
    outcomes: tuple[Outcome, ...] = ()
    withheld, error = NOTHING_WITHHELD, None
    try:
        changes, withheld, error = _let_in(shard, changes, decisions, roles)
        ledger = shares.create(ledger, lease)
        shares.fill()
        service = runtime.cloud.images(shard, before_write=lease.check)
        outcomes = _carried_out(runtime, service, _works(changes, decisions, planned))
        shares.empty()
        copying.make(ledger, lease)
        covered = {d.image.id: d.staying.sure for d in decisions}
        perhaps = {d.image.id: d.coverage.perhaps() for d in decisions}
        asked = [r for r in planned.looked.readings if r.asked and r.image.id in perhaps]
        rowless = {r.image.id: perhaps[r.image.id] - {grant.account for grant in r.grants or ()} for r in asked}
        organization = planned.facts.organization
        existing = organization.members.keys() | {organization.management}
        after = recorded(
            ledger, outcomes, planned.now, covered=covered, perhaps=perhaps, rowless=rowless, existing=existing
        )
        after = copying.recorded(shares.recorded(after))
        result = _ShardResult(outcomes, withheld, error, shares.result(), copying.result())
        after = after.with_saw(saw_after(planned, shard, rested_on, left=result.left(), failed=result.failed()))
        _remember(runtime, planned, shard, after)
        lease.release(after)
    except StopShard as stop:
        return _ShardResult(outcomes, withheld, error, shares.result(), copying.result(), stop)
    except VendorError as silence:
        stopped = StopShard(f"{shard}: the state does not answer: {silence}")
        return _ShardResult(outcomes, withheld, error, shares.result(), copying.result(), stopped)
    except (Exception, KeyboardInterrupt):
        lease.let_go()
        raise
    return replace(result, stopped=next((error for error in result.errors() if isinstance(error, StopShard)), None))


def _carried_out(runtime: Runtime, service: ImageService, works: list[Work]) -> tuple[Outcome, ...]:
    """Do the work on all images of a shard. Where images share a quota, everything that goes makes room first."""
    if not any(work.batches for work in works):
        return tuple(runtime.executor.map(lambda work: carry_out(service, work), works))
    found: dict[str, Outcome] = {}
    parts = [part for work in works for part in work.apart()]
    for chosen in ([part for part in parts if part.remove], [part for part in parts if part.add]):
        for outcome in runtime.executor.map(lambda work: carry_out(service, work), chosen):
            before = found.get(outcome.image)
            found[outcome.image] = outcome if before is None else both(before, outcome)
    return tuple(found[image] for image in sorted(found))


def _let_in(
    shard: Shard, changes: list[Change], decisions: tuple[ImageDecision, ...], roles: Roles
) -> tuple[list[Change], Mapping[str, frozenset[str]], OrgshareError | None]:
    """Let the sharing role let in whoever gets encrypted images: the changes without the grants to those that it does
    not let in, these grants by image, and what stood in the way."""
    giving = {d.image.id: frozenset(d.grants) for d in decisions if d.authorized and d.grants}
    if not giving:
        return changes, NOTHING_WITHHELD, None
    needs: dict[str, set[str]] = defaultdict(set)
    for image, accounts in giving.items():
        for account in accounts:
            needs[account].add(image)
    found = roles.let_in(shard.owner, {account: frozenset(images) for account, images in sorted(needs.items())})
    withheld = {image: left for image, accounts in giving.items() if (left := accounts - found.accounts)}
    kept: list[Change] = []
    for change in changes:
        left_out = withheld.get(change.images[0], frozenset()) if change.action == "grant" else frozenset()
        kept += [change] if not left_out else _part_without(change, left_out)
    return kept, withheld, found.error


def _part_without(change: Change, accounts: frozenset[str]) -> list[Change]:
    left = [account for account in change.accounts if account not in accounts]
    return [_part(change, left)] if left else []


def _write_down(runtime: Runtime, planned: Planned, shard: Shard, ledger: Ledger) -> None:
    """Write down what was only read. A run that was overtaken takes its history back: the faster one has its own."""
    before = planned.looked.states[shard]
    put = _remember(runtime, planned, shard, ledger)
    try:
        runtime.state.write(shard, before, ledger, run=runtime.run)
    except Busy:
        if put:
            runtime.state.store.delete(put)
        raise


def _remember(runtime: Runtime, planned: Planned, shard: Shard, after: Ledger) -> str:
    """Add to the history what is about to be written down; the name of what was added."""
    before = planned.looked.states[shard]
    store = runtime.state.store
    return write_history(store, shard, before.number + 1, before.ledger, after, run=runtime.run, now=planned.now)


def _settled(planned: Planned, shard: Shard, decisions: tuple[ImageDecision, ...]) -> Ledger:
    """The shard's ledger after everything that this run read."""
    readings = {r.image.id: r.grants for r in planned.looked.readings if r.grants is not None}
    before = planned.looked.states[shard].ledger
    decided = planned.decisions.shards.get(shard)
    ledger = settled_rows(decided.ledger, decided, decisions) if decided is not None else before
    ledger = settled(ledger, planned.facts, planned.decisions, decisions, readings)
    ledger = ledger.with_reached({d.image.id: d.shared & d.coverage.associated for d in decisions})
    if shard in planned.facts.copying:
        copying = planned.facts.copying[shard]
        ledger = ledger.with_copies(copying.copies)
    return absences(
        ledger,
        planned.looked.absent & before.grants.keys(),
        planned.looked.present & before.grants.keys(),
    )


def _works(changes: Iterable[Change], decisions: tuple[ImageDecision, ...], planned: Planned) -> list[Work]:
    """The direct grants and revokes, image by image."""
    accounts: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
    for change in changes:
        if change.action in ("grant", "revoke"):
            accounts[change.images[0]][change.action] = change.accounts
    by_id = {decision.image.id: decision for decision in decisions}
    readings = {r.image.id: r.grants for r in planned.looked.readings if r.grants is not None}
    finding_out = Batches()
    return [
        Work(
            image=image,
            add=wanted.get("grant", ()),
            remove=wanted.get("revoke", ()),
            rows=len(readings[image]),
            quota=by_id[image].quota,
            covered=by_id[image].coverage.perhaps(),
            batches=finding_out if by_id[image].image.shard.service == "eds" else None,
        )
        for image, wanted in sorted(accounts.items())
    ]


def _report(
    planned: Planned,
    results: Mapping[Shard, _ShardResult],
    roles: tuple[RoleResult, ...],
    lacking: Iterable[Finding],
) -> Applied:
    outcomes = {outcome.image: outcome for result in results.values() for outcome in result.outcomes}
    stopped = [result.stopped for result in results.values() if result.stopped is not None]
    done: list[Change] = []
    failed: list[Failure] = []
    pending: list[Pending] = []
    refused: list[Refusal] = []
    unremovable: list[Finding] = []
    busy: list[StopShard] = []
    withheld = {image: (of, r.withholding) for r in results.values() for image, of in r.withheld.items()}
    for wanted in planned.plan.changes:
        if wanted.action not in ("grant", "revoke"):
            continue
        change, image = wanted, wanted.images[0]
        if wanted.action == "grant" and image in withheld:
            left_out, why = withheld[image]
            if isinstance(why, StopShard):
                busy.append(why)
            else:
                failed.append(failure(_part(wanted, sorted(left_out)), why))
            change = _part(wanted, [account for account in wanted.accounts if account not in left_out])
        outcome = outcomes.get(image)
        if outcome is None:
            continue
        carried, left, error = _what_became(change, outcome)
        if carried:
            done.append(_part(change, carried))
        if left and not isinstance(error, StopShard):
            failed.append(failure(_part(change, left), error))
        pending += _not_seen_yet(planned, change, outcome)
        if change.action == "grant":
            refused += _refusals(change, outcome)
        else:
            unremovable += [
                Finding("cannot-revoke", image, account, str(reason)) for account, reason in outcome.unremovable
            ]
    for role in roles:
        done += role.done
        failed += [failure(change, error) for change, error in role.failed if not isinstance(error, StopShard)]
        busy += [error for _, error in role.failed if isinstance(error, StopShard)]
        pending += role.pending
    for result in results.values():
        done += result.shares.done
        failed += [failure(c, error) for c, error in result.shares.failed if not isinstance(error, StopShard)]
        pending += result.shares.pending
        refused += result.shares.refused
        done += result.copies.done
        failed += [failure(c, error) for c, error in result.copies.failed if not isinstance(error, StopShard)]
        pending += result.copies.pending
    findings = [
        *_stops([*stopped, *busy]),
        *lacking,
        *unremovable,
        *(f for result in results.values() for f in result.shares.findings),
    ]
    incomplete = [Incomplete("shard", str(shard), str(r.stopped)) for shard, r in results.items() if _unwritten(r)]
    incomplete += [gap for role in roles for gap in role.incomplete]
    plan = _with(planned.plan, findings=findings, pending=pending, refused=refused, incomplete=incomplete)
    return Applied(
        planned=planned,
        plan=plan,
        done=in_order(done),
        failed=tuple(sorted(failed, key=lambda f: (f.change.action, f.change.shard, f.change.images, f.change.share))),
        stopped={shard: result.stopped for shard, result in results.items() if result.stopped is not None},
    )


def _stops(stopped: Iterable[StopShard]) -> Iterable[Finding]:
    """Why work in a shard was ended before its end, where that is for nobody to mend."""
    for error in stopped:
        if isinstance(error, Busy):
            yield Finding("busy", "", "", str(error))
        elif isinstance(error, Paused):
            yield Finding("paused", "", "", str(error))
        elif isinstance(error, OutOfTime):
            yield Finding("out-of-time", "", "", str(error))


def _unwritten(result: _ShardResult) -> bool:
    """Whether a shard's work was ended because its state did not answer."""
    return result.stopped is not None and not isinstance(result.stopped, (Busy, Paused, OutOfTime))


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
    incomplete: Iterable[Incomplete] = (),
) -> Plan:
    return replace(
        plan,
        findings=tuple(sorted({*plan.findings, *findings})),
        pending=tuple(sorted({*plan.pending, *pending})),
        refused=tuple(sorted((*plan.refused, *refused), key=lambda r: (r.image, r.reason, r.accounts))),
        incomplete=tuple(sorted({*plan.incomplete, *incomplete})),
    )
