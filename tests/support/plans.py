"""Plans and runs made by hand, for tests of what is reported of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from orgshare.decide.deciding import decide
from orgshare.decide.facts import Facts
from orgshare.decide.plan import Action, Change, Hold, Plan, Refusal, pairs_id
from orgshare.decide.planning import assemble
from orgshare.guard import GuardRecord
from orgshare.record.state import ShardState
from orgshare.report.names import Names
from orgshare.seen import Seen
from orgshare.way.applying import Applied, Failure
from orgshare.way.look import Looked
from orgshare.way.planning import Planned
from orgshare.words import Image, Pair
from tests.support.facts import NOW, OWNER, SHARD, image


def change(
    action: Action, of: str, *accounts: str, why: str = "wanted by rule golden", rules: Iterable[str] = ("golden",)
) -> Change:
    """A change of ``m-<of>`` with its pairs counted."""
    return Change(
        action=action,
        shard=SHARD,
        images=(f"m-{of}",),
        accounts=accounts,
        rules=tuple(rules),
        why=why,
        gained=len(accounts) if action == "grant" else 0,
        lost=len(accounts) if action == "revoke" else 0,
    )


def pairs_of(of: Change) -> set[Pair]:
    """The pairs that a grant or a revoke touches."""
    return {Pair(image, account) for image in of.images for account in of.accounts}


def hold(of: str, *accounts: str, why: str = "too many") -> Hold:
    """A hold of revokes of one image."""
    pairs = tuple(Pair(f"m-{of}", account) for account in accounts)
    revoke = change("revoke", of, *accounts, why="no longer in the audience of a rule")
    return Hold(id=pairs_id(pairs), since=NOW, why=why, pairs=pairs, changes=(revoke,))


def refusal(of: str, *accounts: str, reason: str = "deprecated", total: int | None = None) -> Refusal:
    """A refusal of one image."""
    return Refusal(
        image=f"m-{of}",
        rules=("golden",),
        reason=reason,  # type: ignore[arg-type]
        accounts=accounts,
        accounts_total=len(accounts) if total is None else total,
        remedy="mend it so",
    )


def failure(
    of: Change, *, code: str = "", request: str = "", remedy: str = "no answer; the next run goes on"
) -> Failure:
    """A change that failed."""
    return Failure(change=of, code=code, request_id=request, remedy=remedy)


def names(*rows: Image, **accounts: str) -> Names:
    """Names of images, and of accounts given as ``_1000=...``."""
    by_id = {account.lstrip("_"): name for account, name in accounts.items()}
    return Names(by_id | {OWNER: "images"}, {row.id: row for row in rows or (image("gold"), image("silver"))})


def planned(of: Facts, plan: Plan | None = None, *, unselected: tuple[Image, ...] = ()) -> Planned:
    """What a run made of these facts; ``plan`` instead of its own plan."""
    decisions = decide(of)
    looked = Looked(
        organization=of.organization,
        directory=cast("Any", None),  # nothing here reads
        services=cast("Any", dict.fromkeys(of.ledgers)),
        share_services=cast("Any", dict.fromkeys(of.ledgers)),
        sharing=of.sharing,
        seen=Seen(),
        contradicted="",
        states={shard: ShardState(ledger, 1) for shard, ledger in of.ledgers.items()},
        readings=of.readings,
        unselected=unselected,
    )
    return Planned(
        plan=plan or assemble(of, decisions, ()),
        facts=of,
        decisions=decisions,
        looked=looked,
        judged=lambda _: True,
        record=GuardRecord(),
        now=of.now,
    )


def applied(of: Planned, *, done: Iterable[Change] = (), failed: Iterable[Failure] = ()) -> Applied:
    """A run that carried the plan out like this."""
    return Applied(planned=of, plan=of.plan, done=tuple(done), failed=tuple(failed))
