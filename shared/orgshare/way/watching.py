"""The watch: one listing of the organization, compared with what each shard last saw, and work only where it differs.

No documented event tells of membership, so this look is what guarantees that a change is found, and an event only makes
it come sooner. It reads the organization's listing, the newest generation of each shard, and nothing of the images.

A shard is due where signals wait beside it; where it was never looked at whole; where the policy or what people
approved is another one; where the time came for which something was waiting; and where the accounts that changed since
it last looked are in an audience of its rules, before or now, or have anything in it through us. A folder that got
another name touches nothing, nor does an account that was closed and is still listed: it is a member, whatever its
status. Folders without members are in no listing, so of those a sweep tells.

What can go wrong is a difference that is taken for done. So the watch writes down nothing of what it saw: that is for
the worker that finished, and where one died or was turned away, the next watch finds the same difference. Where the
same was tried and failed, it waits for the time that was set, and so does what waits beside such a shard. A listing
that could not be read to its end raises and concludes nothing; one that lies asks for a look that asks for each account
alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from msgspec import Struct
from msgspec.structs import replace

from orgshare.decide.audience import resolve_all
from orgshare.errors import CredentialsRefused, VendorError
from orgshare.ledger import Ledger
from orgshare.observe.organization import read_organization
from orgshare.policy.model import Policy, Rule
from orgshare.ports import Workers
from orgshare.record.forms import view_digest
from orgshare.record.state import check_directory
from orgshare.saw import Saw, View, view_of
from orgshare.signals import NOTHING, Signal, worker_request
from orgshare.way.finishing import RestedOn, approvals_digest
from orgshare.way.look import asking_the_directory, named_shards
from orgshare.way.passing import PASSES, breath
from orgshare.way.runtime import Runtime, asking_the_state
from orgshare.way.waking import Woken, wake
from orgshare.words import EVERY_REGION, Incomplete, Member, Organization, Shard, folders_on_paths


class Watched(Struct, frozen=True):
    """What came of a watch: how often the organization was listed, which workers were woken, and what is unread."""

    looks: int = 0
    woken: Woken = Woken()
    incomplete: tuple[Incomplete, ...] = ()


def ask_for_look(runtime: Runtime, workers: Workers) -> Watched:
    """See to it that a worker looks, for an event: a thousand of them ask for a few looks.

    Where none can be invoked, look at once.
    """
    marks = runtime.state.marks()
    with asking_the_state():
        if not marks.ask(lambda _: None, run=runtime.run):
            return Watched()
    try:
        workers.invoke(worker_request(Signal(organization=True)))
    except (VendorError, CredentialsRefused):
        return watch(runtime, workers)
    return Watched()


def watch(runtime: Runtime, workers: Workers) -> Watched:
    """Look, unless somebody is at it just now, who will look once more.

    Raises ``StopRun`` where the organization cannot be read or nothing could be written down.
    """
    marks = runtime.state.marks()
    with asking_the_state():
        marks.ask(lambda _: None, run=runtime.run)
    watched = Watched()
    for _ in range(PASSES):
        with asking_the_state():
            if not marks.claim(runtime.run, stands=runtime.lease):
                return watched
        try:
            while watched.looks < PASSES:
                with asking_the_state():
                    if not marks.asked():
                        break
                if watched.looks:
                    runtime.sleep(breath(watched.looks))
                with asking_the_state():
                    marks.take()
                wanted, incomplete = due(runtime)
                woken = watched.woken.and_then(wake(runtime, workers, wanted))
                watched = Watched(watched.looks + 1, woken, incomplete)
        finally:
            with asking_the_state():
                marks.let_go()
        with asking_the_state():
            if watched.looks >= PASSES or not marks.asked():
                return watched
    return watched


def due(runtime: Runtime) -> tuple[Mapping[Shard, Signal], tuple[Incomplete, ...]]:
    """The shards at which there is something to look, with what and why; and the owners whose regions are unread."""
    state, now = runtime.state, runtime.now()
    with asking_the_directory():
        organization = read_organization(runtime.cloud.directory(), (), (), runtime.executor)
    check_directory(state, organization.id)
    with asking_the_state():
        remembered = state.shards()
    shards, incomplete = named_shards(runtime, remembered)
    with asking_the_state():
        shards = state.unpaused(shards)
        waiting = dict(zip(shards, runtime.executor.map(state.waiting, shards), strict=True))
        ledgers = {s: read.ledger for s, read in zip(shards, runtime.executor.map(state.read, shards), strict=True)}
        saws = {ledger.saw.organization for ledger in ledgers.values()}
        views = {digest: view for digest in sorted(saws) if (view := state.view(digest)) is not None}
        approvals = approvals_digest(state.guard())
    view = view_of(organization, runtime.policy)
    on = (view_digest(view)[0], runtime.policy.digest, approvals)
    audiences = _Audiences(runtime.policy, organization, now.date())
    wanted: dict[Shard, Signal] = {}
    for shard in shards:
        saw = ledgers[shard].saw
        come = saw.again is not None and saw.again <= now
        if saw.tried == on and not come:
            continue  # all this was tried already, and what was left waits for its time
        in_parts = any(each.signal.parts for each in waiting[shard])
        if not in_parts and (why := _why_whole(saw, on, views, come=come)):
            wanted[shard] = Signal(shards=frozenset({shard}), why=(f"watch: {why}",))
        elif not in_parts and (why := audiences.touched(shard, ledgers[shard], views[saw.organization], view)):
            wanted[shard] = Signal(organization=True, why=(f"watch: {why}",))
        elif waiting[shard]:
            wanted[shard] = NOTHING
    return wanted, tuple(incomplete)


def _why_whole(saw: Saw, on: RestedOn, views: Mapping[str, View], *, come: bool) -> str:
    """Why a shard is to be looked at whole; empty where it need not."""
    if saw.organization not in views:
        return "it was not looked at whole yet"
    if saw.policy != on[1]:
        return "the policy was edited"
    if saw.approvals != on[2]:
        return "people approved something"
    return "the time has come for what was left" if come else ""


class _Audiences:
    """Who the rules speak of in each view of an organization, resolved once for all shards."""

    def __init__(self, policy: Policy, organization: Organization, today: date) -> None:
        self._policy, self._organization, self._today = policy, organization, today
        self._known: dict[int, tuple[View, Mapping[str, frozenset[str]]]] = {}

    def touched(self, shard: Shard, ledger: Ledger, before: View, now: View) -> str:
        """What of the difference between two views bears on a shard, for a person; empty if nothing does."""
        changed = now.changed(before)
        if not changed:
            return ""
        if shard.owner in changed:
            return f"owner {shard.owner} changed in the organization"
        concerned = {account for of in ledger.grants.values() for account in of}.union(*ledger.reached.values())
        for rule in self._policy.rules:
            if _may_select(rule, shard):
                concerned |= self._wanted(before)[rule.name] | self._wanted(now)[rule.name]
        touching = sorted(changed & concerned)
        more = f" and {len(touching) - 1} more" if len(touching) > 1 else ""
        return f"account {touching[0]}{more} changed in the organization" if touching else ""

    def _wanted(self, view: View) -> Mapping[str, frozenset[str]]:
        if id(view) not in self._known:
            members = {a: Member(a, of.folders, tags=of.tags) for a, of in view.members.items()}
            folders = folders_on_paths(members.values())
            organization = replace(self._organization, members=members, folders=folders)
            resolved = resolve_all(self._policy, organization, self._today)
            self._known[id(view)] = (view, {audience.rule.name: audience.wanted for audience in resolved})
        return self._known[id(view)][1]


def _may_select(rule: Rule, shard: Shard) -> bool:
    """Whether a rule can select an image of a shard, or a copy that was made there."""
    images = rule.images
    return (
        shard.service in images.services
        and (not images.owners or shard.owner in images.owners)
        and (not images.regions or shard.region in (EVERY_REGION, *images.regions, *rule.copy_to))
    )
