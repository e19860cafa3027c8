"""``pause`` and ``resume``: letting nothing be written to the cloud for a while.

Every run asks before every call that writes, so a run that is under way stops at its next call, and records what it
did. What can go wrong is a pause that is forgotten: so every report of a run that it stopped says who paused and since
when.
"""

from __future__ import annotations

import click

from orgshare.cli import statuses
from orgshare.cli.running import Terminal, command, opened_state, policy_option, who_runs
from orgshare.errors import ConfigurationError
from orgshare.policy.model import Policy
from orgshare.record.state import State
from orgshare.wiring import new_run, utc_now
from orgshare.words import Shard, desktops_of, wide_shard


class ShardName(click.ParamType):  # type: ignore[type-arg]  # generic for the type checker only
    """A shard by its name."""

    name = "shard"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Shard:
        """The shard; a usage error says what was expected."""
        try:
            return Shard.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.option("--shard", metavar="SHARD", type=ShardName(), help="Only this shard, such as ecs/OWNER/REGION.")
@policy_option
@command
def pause(terminal: Terminal, *, shard: Shard | None, policy: str | None) -> int:
    """Let nothing be written to the cloud until resume. Reading goes on."""
    of, state = opened_state(terminal, policy)
    if shard is not None and shard not in state.shards() and not names_shard(of, shard):
        raise ConfigurationError(f"{shard}: neither the policy nor the state knows it; correct its owner or region")
    state.pause(shard, run=new_run(), who=who_runs(), now=utc_now())
    return _said(terminal, state)


@click.command()
@click.option("--shard", metavar="SHARD", type=ShardName(), help="Only this shard, such as ecs/OWNER/REGION.")
@policy_option
@command
def resume(terminal: Terminal, *, shard: Shard | None, policy: str | None) -> int:
    """End a pause; without --shard every one."""
    _, state = opened_state(terminal, policy)
    state.resume(shard, run=new_run(), who=who_runs(), now=utc_now())
    return _said(terminal, state)


def names_shard(policy: Policy, shard: Shard) -> bool:
    """Whether a policy names a shard: its owner, and its region or all of them.

    While it names the owner, what its rules do not name of Elastic Desktop Service any more is revoked as everywhere,
    and so is what its sharing role has of ours.
    """
    owners = [owner for owner in policy.owners if owner.account == shard.owner]
    wide = shard in (wide_shard(shard.owner), desktops_of(shard.owner))
    return any(wide or owner.regions is None or shard.region in owner.regions for owner in owners)


def _said(terminal: Terminal, state: State) -> int:
    everything, shards = state.paused(), state.paused_shards()
    document = {"paused": {"everything": bool(everything), "shards": list(shards)}}
    lines = [everything] if everything else []
    lines += [f"paused: {shard}" for shard in shards]
    terminal.answer(document, lines or ["nothing is paused"])
    return statuses.FINE
