"""``release`` and ``retire``: what is to become of what orgshare shared and is to share no more.

``retire IMAGE`` takes one image out of every channel, so that it can be deleted, and remembers it, so that no later run
shares it again. With ``--copies`` it does the same with all copies that were made of it, and deletes them. A shard that
the policy does not name any more is reported as orphaned in every run until a person
decides: ``release`` forgets that anything there is ours, and what is shared stays shared; ``retire --shard`` ends
everything of ours there. Both retire with the guard as always.

What can go wrong is forgetting what is still looked after: so a shard of the policy is not released. And an image that
is retired while nobody can say so: the mark is written only once its plan could be made, and everybody is told of it.
And a copy that is deleted while somebody has it: so what is deleted was read again after the run.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import click
from msgspec.structs import replace

from orgshare.cli import statuses
from orgshare.cli.asking import check_ids
from orgshare.cli.changing import Closing, Task, carry_through
from orgshare.cli.pausing import ShardName, names_shard
from orgshare.cli.running import Terminal, command, opened, opened_state, policy_option, who_runs
from orgshare.errors import ConfigurationError, OrgshareError
from orgshare.focus import EVERYTHING, Focus, Selection
from orgshare.ledger import Ledger
from orgshare.policy.model import Owner, Policy
from orgshare.report.documents import Document
from orgshare.report.names import names_of
from orgshare.report.retiring import blockers, retired_document, retired_lines
from orgshare.retired import Retirement
from orgshare.trust import RoleLedger
from orgshare.way.applying import Applied
from orgshare.way.asking import check_images, look_at_image
from orgshare.way.copying import copies_of, delete_copy, forget_removed
from orgshare.way.planning import Planned, make_plan
from orgshare.way.runtime import Runtime, asking_the_state
from orgshare.wiring import new_run
from orgshare.words import EVERY_REGION, Shard, counted, wide_shard


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
    what = ", ".join(counted(number, one, "copies" if one == "copy" else None) for one, number in known.items())
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
@click.argument("image", metavar="[IMAGE]", required=False)
@click.option("--undo", is_flag=True, help="Let IMAGE be shared again.")
@click.option("--copies", is_flag=True, help="Retire the copies of IMAGE, too, and delete them.")
@click.option("--reason", metavar="TEXT", default="", help="Why IMAGE is retired; it is kept with the mark.")
@click.option("--shard", metavar="SHARD", type=ShardName(), help="An orphaned shard, such as ecs/OWNER/REGION.")
@click.option("--role", metavar="ARN", help="The role in that shard's owner, if the policy does not name the owner.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--wait", metavar="SECONDS", type=click.FloatRange(min=0), default=0.0, help="Go on until nothing is pending."
)
@policy_option
@command
def retire(
    terminal: Terminal,
    *,
    image: str | None,
    undo: bool,
    copies: bool,
    reason: str,
    shard: Shard | None,
    role: str | None,
    yes: bool,
    wait: float,
    policy: str | None,
) -> int:
    """Take IMAGE out of every channel, so that it can be deleted; or end everything of ours in an orphaned --shard.

    The guard holds what is much; approve it and retire again. IMAGE stays retired until --undo, and where its copies
    were removed, none is made until then.
    """
    if (image is None) == (shard is None):
        raise click.UsageError("Give an IMAGE or --shard SHARD, one of the two.")
    if shard is not None and (undo or reason or copies):
        raise click.UsageError("--undo, --copies and --reason are for an IMAGE.")
    if undo and copies:
        raise click.UsageError("--undo speaks of the copies as well: leave --copies out.")
    if image is not None and role is not None:
        raise click.UsageError("--role is for a --shard: the owner of an image is in the policy.")
    if not yes and (terminal.json or not sys.stdin.isatty()):
        raise click.UsageError("retire asks before it changes anything: here it needs --yes.")
    if shard is not None:
        return _retire_shard(terminal, shard, role=role, yes=yes, wait=wait, policy=policy)
    check_ids(image or "", None)
    if undo:
        return _take_back(terminal, image or "", yes=yes, policy=policy)
    return _retire_image(terminal, image or "", copies=copies, reason=reason, yes=yes, wait=wait, policy=policy)


def _retire_image(
    terminal: Terminal, image: str, *, copies: bool, reason: str, yes: bool, wait: float, policy: str | None
) -> int:
    with opened(terminal, policy) as (runtime, settings):
        with asking_the_state():
            known = copies_of(runtime.state, image) if copies else {}
        made = {shard: copy.id for shard, copy in known.items() if copy.state == "made"}
        mark = Retirement(runtime.now(), who_runs(), reason)
        marks = dict.fromkeys([image, *made.values()], mark)
        focus = Focus((Selection(images=frozenset(marks)),))
        question = f"retire {image}, so that no run shares it any more"
        if made:
            question += f", and delete {counted(len(made), 'copy', 'copies')} of it ({', '.join(made.values())})"

        def make() -> Planned:
            with terminal.progress("reading the cloud"):
                planned = make_plan(runtime, focus, retiring=marks)
                check_images(planned, [] if made else [image])  # the copies may be all that is left
            return planned

        def remember() -> None:
            with asking_the_state():
                runtime.state.update_retired(lambda before: {**marks, **before}, run=runtime.run)

        def closing(applied: Applied) -> Closing:
            return _both_closings(
                _what_is_in_the_way(runtime, image, applied),
                _deleted_copies(runtime, image, made) if copies else Closing({}),
            )

        task = Task(
            runtime=runtime,
            settings=settings,
            make=make,
            again=make,
            focus=focus,
            why=f"orgshare retire {image} by {who_runs()}",
            question=question,
            agreed=remember,
            closing=closing,
        )
        return carry_through(terminal, task, then=None, yes=yes, wait=wait, strict=False)


def _what_is_in_the_way(runtime: Runtime, image: str, applied: Applied) -> Closing:
    """What still shares an image after the run, by a reading of its own."""
    if runtime.policy.mode == "observe":
        return Closing(
            {}, (f"{image} is not retired: mode observe writes nothing, neither to the cloud nor the state",)
        )
    try:
        shard = next((r.image.shard for r in applied.planned.looked.readings if r.image.id == image), None)
        planned, decision = look_at_image(runtime, image, shard)
    except OrgshareError as error:
        why = f"what still shares it cannot be read: {error}"
        return Closing({"retired": {"image": image, "deletable": False, "blocked_by": [], "why": why}}, (why,))
    found = blockers(planned, decision)
    lines = retired_lines(decision.image, found, names_of(applied.planned, decision.image))
    return Closing({"retired": retired_document(decision.image, decision.retired, found)}, lines)


def _both_closings(one: Closing, other: Closing) -> Closing:
    """The keys and the lines of both."""
    return Closing({**one.document, **other.document}, (*one.lines, *other.lines))


def _deleted_copies(runtime: Runtime, image: str, made: Mapping[Shard, str]) -> Closing:
    """Delete every copy that was retired and that nobody has any more, and say what stands between the others and it.
    One that was not known before the run is left: a run that had made its plan before may have copied the image."""
    rows: list[Document] = []
    lines: list[str] = []
    try:
        with asking_the_state():
            known = copies_of(runtime.state, image)
    except OrgshareError as error:
        return Closing({"copies": rows}, (f"{image}: what copies there are cannot be read: {error}",))
    for shard, copy in sorted(known.items()):
        if copy.state == "gone":
            continue
        if copy.id and made.get(shard) == copy.id:
            why = _delete(runtime, shard, image, copy.id)
        else:
            why = "it was made meanwhile, or may have been: retire the image with --copies again after the next run"
        what = copy.id or f"the copy in {shard.region}"
        rows.append({"image": copy.id, "region": shard.region, "deleted": not why, "why": why})
        lines.append(f"{what}: not deleted: {why}" if why else f"{what}: deleted, it was the copy in {shard.region}")
    return Closing({"copies": rows}, tuple(lines or [f"{image}: no copy of it is known"]))


def _delete(runtime: Runtime, shard: Shard, image: str, copy: str) -> str:
    """Delete a copy, if nobody has it by a reading of its own; why it was not deleted, if it was not."""
    if runtime.policy.mode == "observe":
        return "mode observe deletes nothing"
    try:
        planned, decision = look_at_image(runtime, copy, shard)
        found = blockers(planned, decision)
        if found:
            return retired_lines(decision.image, found, names_of(planned, decision.image))[1].strip()
        delete_copy(runtime, shard, image, copy, planned.looked.states[shard])
    except OrgshareError as error:
        return str(error)
    return ""


def _take_back(terminal: Terminal, image: str, *, yes: bool, policy: str | None) -> int:
    """End the mark of an image and of its copies: the next run shares them as the rules say, and copies the image anew
    where a copy was removed."""
    _, state = opened_state(terminal, policy)
    mark, copies = state.retired().get(image), copies_of(state, image)
    regions = sorted(shard.region for shard, copy in copies.items() if copy.state == "gone")
    if mark is None and not regions:
        raise ConfigurationError(
            f"image {image}: nobody retired it with this command; if a tag of it does, take the tag away"
        )
    to_do = [*(["share it again as the rules say"] if mark else []),
             *([f"copy it again to {', '.join(regions)}"] if regions else [])]  # fmt: skip
    if not yes and not terminal.ask(f"{image} is {mark or 'not retired'}; {' and '.join(to_do)}?"):
        terminal.show("nothing was done")
        return statuses.DUE
    run, over = new_run(), {image, *(copy.id for copy in copies.values())}
    state.update_retired(lambda marks: {i: of for i, of in marks.items() if i not in over}, run=run)
    forget_removed(state, image, run=run)
    shared = f"{image}: not retired any more; the next run shares it as the rules say, «orgshare apply» at once"
    copied = f"{image}: the next run copies it to {', '.join(regions)} again, if the rules say so"
    document = {"image": image, "undone": True, "why": str(mark or ""), "copied_again": regions}
    terminal.answer({"retired": document}, [*([shared] if mark else []), *([copied] if regions else [])])
    return statuses.FINE


def _retire_shard(
    terminal: Terminal, shard: Shard, *, role: str | None, yes: bool, wait: float, policy: str | None
) -> int:
    def only_that(of: Policy) -> Policy:
        _check_orphaned(of, shard)
        known = next((owner for owner in of.owners if owner.account == shard.owner), Owner(shard.owner, ()))
        role_alone = shard == wide_shard(shard.owner)
        regions = () if role_alone else None if shard.region == EVERY_REGION else (shard.region,)
        owner = replace(known, regions=regions, role=role or known.role, only=shard.service)
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
        "copy": ledger.copied(),
    }
    return {what: number for what, number in counts.items() if number}
