"""``release`` and ``retire``: what is to become of a shard that the policy does not name any more.

Such a shard is reported as orphaned in every run until a person decides. ``release`` forgets that anything there is
ours: what is shared stays shared. ``retire`` ends everything of ours there, with the guard as always. What can go wrong
is forgetting what is still looked after: so a shard of the policy is not released.
"""

from __future__ import annotations

import sys

import click
from msgspec.structs import replace

from orgshare.cli import statuses
from orgshare.cli.changing import Task, carry_through
from orgshare.cli.pausing import ShardName, names_shard
from orgshare.cli.running import Terminal, command, opened, opened_state, policy_option, who_runs
from orgshare.errors import ConfigurationError
from orgshare.focus import EVERYTHING
from orgshare.ledger import Ledger
from orgshare.policy.model import Owner, Policy
from orgshare.trust import RoleLedger
from orgshare.way.planning import Planned, make_plan
from orgshare.way.runtime import Runtime
from orgshare.wiring import new_run
from orgshare.words import Shard, counted, wide_shard


@click.command()
@click.argument("shard", metavar="SHARD", type=ShardName())
@click.option("--yes", is_flag=True, help="Do not ask.")
@policy_option
@command
def release(terminal: Terminal, *, shard: Shard, yes: bool, policy: str | None) -> int:
    """Forget that anything in an orphaned SHARD is ours: what is shared there stays shared."""
    if not yes and (terminal.json or not sys.stdin.isatty()):
        raise click.UsageError("release asks before it forgets anything: here it needs --yes.")
    of, state = opened_state(terminal, policy)
    _check_orphaned(of, shard)
    role = state.read_role(shard.owner) if shard == wide_shard(shard.owner) else None
    before = state.read(shard)
    known = _known(before.ledger) if role is None else {"principal": len(role.ledger.principals)}
    if not any(known.values()):
        raise ConfigurationError(f"{shard}: the state knows of nothing that is ours there")
    what = ", ".join(counted(number, one) for one, number in known.items())
    if not yes and not terminal.ask(f"forget {what} in {shard}? They stay shared, and nobody looks after them"):
        terminal.show("nothing was done")
        return statuses.DUE
    if role is not None:
        state.write_role(shard.owner, role, RoleLedger(), run=new_run())
    else:
        state.write(shard, before, Ledger(lost=before.ledger.lost), run=new_run())  # the guard goes on counting these
    terminal.answer({"released": {"shard": str(shard), **known}}, [f"{shard}: forgot {what}; they stay shared"])
    return statuses.FINE


@click.command()
@click.option("--shard", metavar="SHARD", type=ShardName(), required=True, help="The shard, such as ecs/OWNER/REGION.")
@click.option("--role", metavar="ARN", help="The role in the owner's account, if the policy does not name the owner.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--wait", metavar="SECONDS", type=click.FloatRange(min=0), default=0.0, help="Go on until nothing is pending."
)
@policy_option
@command
def retire(terminal: Terminal, *, shard: Shard, role: str | None, yes: bool, wait: float, policy: str | None) -> int:
    """End everything of ours in an orphaned SHARD. The guard holds what is much; approve it and retire again."""
    if not yes and (terminal.json or not sys.stdin.isatty()):
        raise click.UsageError("retire asks before it changes anything: here it needs --yes.")

    def only_that(of: Policy) -> Policy:
        _check_orphaned(of, shard)
        known = next((owner for owner in of.owners if owner.account == shard.owner), Owner(shard.owner, ()))
        regions = () if shard == wide_shard(shard.owner) else (shard.region,)
        owner = replace(known, regions=regions, role=role or known.role)
        return replace(of, owners=(owner,), rules=(), unmanaged="keep")  # what others gave is not ours to end

    with opened(terminal, policy, change=only_that) as (runtime, settings):
        wide = shard == wide_shard(shard.owner) and shard.owner in runtime.state.roles()
        if not wide and shard not in runtime.state.shards():
            raise ConfigurationError(f"{shard}: the state knows of nothing that is ours there")
        task = Task(
            runtime=runtime,
            settings=settings,
            make=lambda: _planned(terminal, runtime),
            again=lambda: _planned(terminal, runtime),
            focus=EVERYTHING,
            why=f"orgshare retire --shard {shard} by {who_runs()}",
        )
        return carry_through(terminal, task, then=None, yes=yes, wait=wait, strict=False)


def _planned(terminal: Terminal, runtime: Runtime) -> Planned:
    """A plan in which this shard is all there is: that others are not named here says nothing."""
    with terminal.progress("reading the cloud"):
        planned = make_plan(runtime, EVERYTHING)
    findings = tuple(finding for finding in planned.plan.findings if finding.kind != "orphaned")
    return replace(planned, plan=replace(planned.plan, findings=findings))


def _check_orphaned(policy: Policy, shard: Shard) -> None:
    """Raise ``ConfigurationError`` if the policy names a shard."""
    if names_shard(policy, shard):
        raise ConfigurationError(f"{shard}: the policy names it, so it is looked after; take it out of owners first")


def _known(ledger: Ledger) -> dict[str, int]:
    """How much is ours in a shard; nothing is left out of it."""
    counts = {
        "grant": sum(map(len, ledger.grants.values())),
        "row": sum(map(len, ledger.shares.values())),
        "share": len(ledger.made),
    }
    return {what: number for what, number in counts.items() if number}
