"""Rebuilding what the state should know of resource shares and of copies of images, from their tags.

A state that was lost, or put back from an older copy, does not know every share that was made for this deployment. The
tags of a share say for which deployment and for which state it was made, so its rows are taken for ours again. An image
is taken for a copy of ours if its tags say that it was made for this deployment, and of what. Of direct grants the
cloud keeps no such mark: they are everybody's who made them, so nothing that was granted directly and is not in the
state any more is ever revoked as ours.

What can go wrong is taking over what another installation is still looking after: so only shares with the id of one
state are taken, and where there are several, nothing is done until a person has decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from orgshare.copies import Copies, made_for, recovered_copies
from orgshare.decide.shares import STATE
from orgshare.errors import ConfigurationError
from orgshare.ledger import Entry, Ledger
from orgshare.observe.images import list_images
from orgshare.observe.shares import read_sharing
from orgshare.policy.model import Policy
from orgshare.ports import Cloud
from orgshare.record.state import ShardState, State
from orgshare.words import DEPLOYMENT, NOBODY, ResourceShare, Shard


class Recovered(Struct, frozen=True):
    """What was found again: shares and rows in them that the state did not know, and shares that are not there; and
    copies of images."""

    shares: int = 0
    rows: int = 0
    gone: int = 0
    copies: int = 0


def known_shares(state: State) -> Mapping[Shard, frozenset[str]]:
    """The resource shares that a state knows, by shard."""
    ledgers = {shard: state.read(shard).ledger for shard in state.shards()}
    return {shard: ledger.made | ledger.shares.keys() for shard, ledger in ledgers.items()}


def shares_of(
    policy: Policy, cloud: Cloud, known: Mapping[Shard, frozenset[str]]
) -> Mapping[Shard, tuple[ResourceShare, ...]]:
    """The resource shares of every shard of the policy that were made for its deployment. Raises ``VendorError`` or
    ``IncompleteRead``: half of them would be a state that is wrong again. ``known`` ones are asked for if they are not
    listed."""
    found = {}
    for owner in policy.owners:
        for region in owner.regions if owner.regions is not None else cloud.regions(owner.account):
            shard = Shard("ecs", owner.account, region)
            sharing = read_sharing(cloud.shares(shard), shard, known.get(shard, ()))
            ours = known.get(shard, NOBODY)
            found[shard] = tuple(s for s in sharing.shares if (DEPLOYMENT, policy.deployment) in s.tags or s.id in ours)
    return found


def identity_of(shares: Mapping[Shard, tuple[ResourceShare, ...]]) -> str:
    """The id of the state that these shares were made for; empty if there are none. ``ConfigurationError`` if they
    were made for several."""
    tags = [(share.id, dict(share.tags)) for found in shares.values() for share in found]
    of = {tag[STATE]: share for share, tag in tags if tag.get(STATE)}
    if len(of) > 1:
        several = ", ".join(f"{identity} (as {share})" for identity, share in sorted(of.items()))
        raise ConfigurationError(
            f"the resource shares of this deployment were made for {len(of)} states: {several}; take the tag "
            f"{DEPLOYMENT} off those that are not to be looked after any more; nothing was done"
        )
    return next(iter(of), "")


def copies_for(policy: Policy, cloud: Cloud, now: datetime) -> Mapping[Shard, Copies]:
    """The copies of images that were made for a deployment, in the regions that its rules copy to. Raises
    ``VendorError`` or ``IncompleteRead``."""
    found = {}
    for owner in policy.owners:
        for region in owner.regions if owner.regions is not None else cloud.regions(owner.account):
            if policy.copying_to(owner.account, region):
                shard = Shard("ecs", owner.account, region)
                images = list_images(cloud.ecs_images(shard), shard)
                ours = (image for image in images if made_for(image, policy.deployment))
                found[shard] = recovered_copies(ours, now)
    return found


def recover(
    state: State,
    shares: Mapping[Shard, tuple[ResourceShare, ...]],
    copies: Mapping[Shard, Copies],
    *,
    run: str,
    now: datetime,
) -> Recovered:
    """Let the state know every row of these shares that were made for it, and these copies. Raises ``Busy`` where
    another run writes."""
    found = Recovered(copies=_recover_copies(state, copies, run=run))
    for shard, of_shard in sorted(shares.items()):
        before = state.read(shard)
        there = frozenset(share.id for share in of_shard)
        ours = [share for share in of_shard if (STATE, state.beginning.id) in share.tags]
        after, new = _with_rows(before, ours, there, now)
        if after != before.ledger:
            state.write(shard, before, after, run=run)
        found = replace(found, shares=found.shares + new.shares, rows=found.rows + new.rows, gone=found.gone + new.gone)
    return found


def _recover_copies(state: State, copies: Mapping[Shard, Copies], *, run: str) -> int:
    """Let the state know these copies; how many it did not know."""
    number = 0
    for shard, found in sorted(copies.items()):
        before = state.read(shard)
        known = before.ledger.copies
        new = {s: copy for s, copy in found.items() if s not in known or known[s].state != "made"}
        if new:
            state.write(shard, before, before.ledger.with_copies({**known, **new}), run=run)
        number += len(new)
    return number


def _with_rows(
    before: ShardState, ours: Iterable[ResourceShare], there: frozenset[str], now: datetime
) -> tuple[Ledger, Recovered]:
    """The ledger with the rows of shares that it did not know. In those that it knows, what it does not know is
    somebody else's; one that is ``there`` without its tags is not forgotten."""
    ledger = before.ledger
    known = ledger.made | ledger.shares.keys()
    new = rows = 0
    for share in ours:
        if share.id in known:
            ledger = ledger.with_made(share.id)
            continue
        live = [row for row in (*share.images, *share.targets) if row.live]
        new += 1
        rows += len(live)
        entries = {row.entity: Entry("made", now, shared_time=row.created) for row in live}
        ledger = ledger.with_made(share.id).with_rows(share.id, entries)
    gone = known - there
    for share_id in sorted(gone):
        ledger = ledger.with_rows(share_id, {})
    return replace(ledger, made=ledger.made - gone), Recovered(new, rows, len(gone))
