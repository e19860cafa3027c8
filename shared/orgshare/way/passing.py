"""Following a signal in as many passes as it takes, so that none is lost to a shard that another run holds.

A signal that found a shard held is put beside it, and whoever holds the shard looks there after letting go; so either
the holder sees the signal, or the run that left it sees that the shard is free. What waits beside a shard is followed
by every later run that looks at it, too.

What can go wrong: two runs that hand one signal to each other for ever. So the passes are counted; what still waits
after the last is found by the next run. And what a later pass looks at is never less than what the first one did, so
that the last report tells of everything; a later pass that fails takes nothing from what was done before it.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from orgshare.decide.plan import Change, Finding, in_order
from orgshare.errors import Busy, OrgshareError, OutOfTime
from orgshare.focus import Focus, focus_of
from orgshare.record.state import Waiting
from orgshare.signals import Signal, merge
from orgshare.way.applying import Applied, apply
from orgshare.way.runtime import Runtime, asking_the_state
from orgshare.words import Incomplete, Shard, desktops_of

PASSES = 5

LONGEST_BREATH = 30.0

Waits = Mapping[Shard, tuple[Waiting, ...]]


def follow(runtime: Runtime, signal: Signal) -> Applied:
    """Carry out what a signal asks for, and then what waits beside the shards that it concerns.

    In this order: what waits may be more than there is time for. Raises as ``apply`` does; what the signal asked for
    then waits beside its shards if the time was over.
    """
    focus = focus_of(signal)
    if runtime.policy.mode == "observe":
        return apply(runtime, focus)  # the state is left alone, so what waits there goes on waiting
    try:
        applied = apply(runtime, focus)
    except OutOfTime:
        with asking_the_state():
            for shard in _concerned(runtime, focus):
                runtime.state.leave(shard, _beside(signal, shard), by=runtime.run)
        raise
    return go_on(runtime, signal, focus, applied, {})


def go_on(runtime: Runtime, signal: Signal, focus: Focus, applied: Applied, waits: Waits) -> Applied:
    """After a pass over a focus: leave the signal beside shards that were held, follow what others left beside ours.

    ``waits`` is what waited before the pass, and was followed by it. An empty signal is left nowhere: whoever asked
    for the pass is there to see that a shard was held. Raises nothing of its own: what was done is to be reported.
    """
    for _ in range(PASSES):
        try:
            with asking_the_state():
                forget(runtime, applied, waits)
                for shard in applied.stopped if not signal.empty else ():
                    runtime.state.leave(shard, _beside(signal, shard), by=runtime.run)
                free = [shard for shard in applied.planned.looked.services if is_free(runtime, applied, shard)]
                followed = waits
                waits = {shard: found for shard in free if (found := runtime.state.waiting(shard))}
            if not waits or waits == followed:
                break  # nothing waits, or what waits could not be followed
            again = [asked_beside(shard, found) for shard, found in waits.items()]
            focus = Focus(tuple(dict.fromkeys((*focus.selections, *(s for each in again for s in each.selections)))))
            applied = both(applied, apply(runtime, focus))
        except OrgshareError as error:
            return _cut_short(applied, error)
    return applied


def asked_beside(shard: Shard, waiting: tuple[Waiting, ...]) -> Focus:
    """What signals ask for that wait beside a shard: there, whatever else they name."""
    return focus_of(merge(each.signal for each in waiting)).within(shard)


def breath(passes: int) -> float:
    """Seconds to wait before one more pass after so many: of what keeps coming, the more is followed at once."""
    return min(2.0**passes, LONGEST_BREATH)


def _cut_short(applied: Applied, error: OrgshareError) -> Applied:
    """What was done, where the pass after it came to nothing: what waits is found by the next run."""
    plan, shards = applied.plan, sorted(applied.planned.looked.services)
    if isinstance(error, OutOfTime):
        findings = tuple(sorted({*plan.findings, Finding("out-of-time", "", "", str(error))}))
        return replace(applied, plan=replace(plan, findings=findings))
    why = f"signals that may have come meanwhile were not followed: {error}"
    gaps = {Incomplete("shard", str(shard), why) for shard in shards}
    return replace(applied, plan=replace(plan, incomplete=tuple(sorted({*plan.incomplete, *gaps}))))


def waiting_for(runtime: Runtime, focus: Focus) -> Waits:
    """The signals that wait beside the shards that a focus takes."""
    with asking_the_state():
        shards = _shards(runtime, focus)
        found = zip(shards, runtime.executor.map(runtime.state.waiting, shards), strict=True)
        return {shard: waiting for shard, waiting in found if waiting}


def _shards(runtime: Runtime, focus: Focus) -> tuple[Shard, ...]:
    return tuple(shard for shard in runtime.state.shards() if focus.takes_shard(shard))


def _concerned(runtime: Runtime, focus: Focus) -> tuple[Shard, ...]:
    """The shards that a focus takes: those that the state knows, and those that the policy names before any run did."""
    named = {Shard("ecs", owner.account, region) for owner in runtime.policy.owners for region in owner.regions or ()}
    named |= {desktops_of(o.account) for o in runtime.policy.owners if runtime.policy.desktops(o.account)}
    return tuple(sorted(shard for shard in named.union(runtime.state.shards()) if focus.takes_shard(shard)))


def is_free(runtime: Runtime, applied: Applied, shard: Shard) -> bool:
    """Whether a shard that was done, or found held, is nobody's now; one that was ended for another reason stays so."""
    error = applied.stopped.get(shard)
    if error is None:
        return True
    return isinstance(error, Busy) and not runtime.state.read(shard).holder


def _beside(signal: Signal, shard: Shard) -> Signal:
    """What a signal asks of one shard."""
    return Signal(shards=frozenset({shard}), why=signal.why) if signal.everything else signal


def forget(runtime: Runtime, applied: Applied, waits: Waits) -> None:
    """Forget what was followed to its end: where something was not read or not done, it waits on."""
    unread = {gap.name for gap in applied.plan.incomplete} | {str(each.change.shard) for each in applied.failed}
    done = {shard for shard in applied.planned.looked.services if shard not in applied.stopped}
    done = {shard for shard in done if not unread & {str(shard), f"{shard.service}/{shard.owner}/*"}}
    for shard in done & waits.keys():
        for each in waits[shard]:
            runtime.state.forget(each)


def both(first: Applied, second: Applied) -> Applied:
    """One report of two passes: everything that was set out for and done, and what the second found to be left."""
    changes = _union((*first.plan.changes, *second.plan.changes))
    return replace(second, plan=replace(second.plan, changes=changes), done=_union((*first.done, *second.done)))


def _union(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """Changes with those of one action that speak of one image or one share made one."""
    merged: dict[tuple[object, ...], Change] = {}
    for change in changes:
        direct = change.action in ("grant", "revoke")
        alone = direct or change.action == "copy"
        key = (change.action, change.shard, change.images if alone else change.audience or change.share)
        before = merged.get(key)
        if before is None:
            merged[key] = change
            continue
        new = len(change.parts() - before.parts())
        merged[key] = replace(
            change,
            images=tuple(sorted({*before.images, *change.images})),
            accounts=tuple(sorted({*before.accounts, *change.accounts})),
            targets=tuple(sorted({*before.targets, *change.targets})),
            rules=tuple(sorted({*before.rules, *change.rules})),
            gained=before.gained + (min(new, change.gained) if direct else change.gained),
            lost=before.lost + (min(new, change.lost) if direct else change.lost),
        )
    return in_order(merged.values())
