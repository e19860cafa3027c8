"""What a shard is said to have seen after a pass: written down with its ledger, by the run that finished.

What can go wrong is a pass that is taken for finished. So whatever could not be read, asked for, or done in the shard
leaves what it saw before as it is, and sets a time at which it is due again; only a pass over the whole shard, or over
all that changed in the organization since, moves it forward.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, time, timedelta, timezone

import msgspec

from orgshare.decide.plan import Pending
from orgshare.guard import GuardRecord
from orgshare.policy.model import Policy
from orgshare.saw import Saw, after_failed_part, after_failure, after_part, after_whole, view_of
from orgshare.way.planning import Planned
from orgshare.way.runtime import Runtime
from orgshare.words import Shard

RestedOn = tuple[str, str, str]
"""The digests of the organization's view, of the policy, and of what people approved."""


def what_it_rests_on(runtime: Runtime, planned: Planned) -> RestedOn:
    """What a run rests on; the view of the organization is kept for whoever compares with it."""
    known = frozenset(ledger.saw.organization for ledger in planned.looked.ledgers().values())
    view = runtime.state.keep_view(view_of(planned.facts.organization, runtime.policy), known=known)
    return view, runtime.policy.digest, approvals_digest(planned.record)


def approvals_digest(record: GuardRecord) -> str:
    """What people have approved, in short; empty where it is nothing."""
    if not record.approvals:
        return ""
    return hashlib.sha256(msgspec.json.encode(record.approvals)).hexdigest()[:16]


def saw_after(planned: Planned, shard: Shard, on: RestedOn, *, left: bool = False, failed: bool = False) -> Saw:
    """What a shard saw, after a pass in which something was ``left`` under way or ``failed``."""
    looked, now = planned.looked, planned.now
    before = looked.states[shard].ledger.saw
    if failed or _is_unsure(planned, shard):
        all_that_is_due = shard in looked.whole | looked.begun | looked.followed
        return after_failure(before, on, now) if all_that_is_due else after_failed_part(before, now)
    left = left or any(not pending.until for pending in _pending(planned, shard))
    until = min([*_times(planned, shard), *_ends_of_partners(planned.facts.policy, now)], default=None)
    if shard not in looked.whole | looked.begun:
        return after_part(before, on[0], now, left=left, until=until, followed=shard in looked.followed)
    return after_whole(before, on, now, left=left, until=until)


def _is_unsure(planned: Planned, shard: Shard) -> bool:
    """Whether anything of the shard, or that all shards rest on, could not be read or asked for."""
    names = {str(shard), f"{shard.service}/{shard.owner}/*"}
    unread = any(gap.where == "rule" or gap.name in names for gap in planned.plan.incomplete)
    return unread or bool(planned.facts.proof.contradicted or planned.looked.organization.unread_folders)


def _pending(planned: Planned, shard: Shard) -> Iterable[Pending]:
    """What of the plan is under way in a shard."""
    looked = planned.looked
    shares = {share.id for share in looked.sharing[shard].shares} if shard in looked.sharing else set()
    shares |= looked.states[shard].ledger.made
    images = {decision.image.id for decision in planned.decisions.images if decision.image.shard == shard}
    if shard in planned.decisions.copies:
        yield from planned.decisions.copies[shard].pending
    for pending in planned.plan.pending:
        if pending.share in shares or pending.entity.partition("/")[0] in images:
            yield pending


def _times(planned: Planned, shard: Shard) -> list[datetime]:
    """When grants end that stay for a time, and when copies are tried again that the cloud refused."""
    decisions = (decision for decision in planned.decisions.images if decision.image.shard == shard)
    copies = planned.decisions.copies.get(shard)
    again = copies.again if copies is not None else ()
    return [*(until for decision in decisions for until in decision.lingering.values()), *again]


def _ends_of_partners(policy: Policy, now: datetime) -> list[datetime]:
    """When partners are not wanted any more: after the end of their last day."""
    last_days = {partner.until for rule in policy.rules for partner in rule.audience.partners if partner.until}
    ends = (datetime.combine(day, time(), timezone.utc) + timedelta(days=1) for day in last_days)
    return [end for end in ends if end > now]
