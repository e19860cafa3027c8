"""Which principals of ours may leave a sharing role: those that no encrypted image of the owner needs, in any region.

What a run has read says only who may be needed by nothing. So before anything is planned all regions of the account are
read, those that the policy does not name as well, and once more before it is done. A pair that is held stays, and then
it is needed; a pair that this run takes away is not.

What can go wrong is a region that cannot be read. Then nothing is taken out, and it is said which.
"""

from __future__ import annotations

from orgshare.decide.coverage import NO_COVERAGE, coverage_of_images
from orgshare.decide.deciding import make_reach
from orgshare.decide.decisions import Decisions
from orgshare.decide.facts import Facts
from orgshare.decide.planning import running
from orgshare.decide.trusting import unneeded, with_removals
from orgshare.errors import UNREAD
from orgshare.observe.keys import read_keyed
from orgshare.way.look import Looked
from orgshare.way.runtime import Runtime
from orgshare.words import Incomplete, Pair, Shard, Sharing, wide_shard


def without_unneeded(
    runtime: Runtime, looked: Looked, facts: Facts, decisions: Decisions, held: frozenset[Pair]
) -> tuple[Decisions, tuple[Incomplete, ...]]:
    """The decisions with the principals of ours that may go, and what could not be read of it. ``held`` pairs stay."""
    losing = frozenset(loss.pair for loss in running(decisions, held))
    idle = unneeded(facts, decisions, losing)
    removing: dict[str, frozenset[str]] = {}
    gaps: list[Incomplete] = []
    for owner, accounts in sorted(idle.items()):
        if looked.roles[owner].state.holder:
            continue
        pairs, unread = holders(runtime, facts, owner)
        if unread is not None:
            gaps.append(unread)
            continue
        removing[owner] = accounts - {pair.account for pair in pairs - losing}
    return with_removals(decisions, removing), tuple(gaps)


def holders(runtime: Runtime, facts: Facts, owner: str) -> tuple[frozenset[Pair], Incomplete | None]:
    """Every pair of an encrypted image of an owner and an account that has it, or may; or what could not be read.

    What a share reaches counts if either reading of this run shows it: this one, or the one that was decided on. Its
    rows have no total, so one reading alone may lack some and look complete.
    """
    pairs: set[Pair] = set()
    reach = make_reach(facts)
    try:
        shards = [Shard("ecs", owner, region) for region in runtime.cloud.regions(owner)]
    except UNREAD as error:
        return frozenset(), _unread(wide_shard(owner), error)

    def read(shard: Shard) -> frozenset[Pair] | Incomplete:
        ledger = facts.ledgers.get(shard)
        known = ledger.shares.keys() | ledger.made if ledger is not None else ()
        try:
            images = runtime.cloud.ecs_images(shard)
            found = read_keyed(shard, images, lambda: runtime.cloud.shares(shard), known)
        except UNREAD as error:
            return _unread(shard, error)
        readings = found.shares, facts.sharing.get(shard, Sharing()).shares
        coverages = [coverage_of_images(shares, reach, facts.now) for shares in readings]
        return frozenset(
            Pair(image, account)
            for image, granted in found.granted.items()
            for account in granted.union(*(coverage.get(image, NO_COVERAGE).possible for coverage in coverages))
        )

    for answer in runtime.executor.map(read, shards):
        if isinstance(answer, Incomplete):
            return frozenset(), answer
        pairs |= answer
    return frozenset(pairs), None


def _unread(shard: Shard, error: Exception) -> Incomplete:
    return Incomplete("shard", str(shard), f"it cannot be read, so nobody leaves the sharing role: {error}")
