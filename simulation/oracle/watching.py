"""The invariants: looked at whenever a run writes to the cloud, to its state, or ends.

Each is one of the rules of the design, checked from outside. A rule that is broken is noted with its name and the
facts; whoever performs the story looks at the notes after every step.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from simulation.oracle.audiences import (
    COPY_OF,
    Document,
    Pair,
    Pairs,
    World,
    authorized_pairs,
    copied_to,
    desktop_places,
    in_regions,
    is_retired,
    rules_for,
    wanted_pairs,
    whole,
)
from simulation.oracle.roles import SharingRoles, is_sealed, let_in, sealed_images

SKEW = 1200.0
"""Seconds by which a vendor's clock may differ: a grant by hand so close to an intention of ours looks the same."""

SETTLED = 900.0
"""Seconds after which a grant is shown by whoever is asked for it, whatever the delays."""

EDGE = 120.0
"""Seconds about the edge of a window in which nobody can say on which side a loss lies."""

ACCOUNTS_A_CALL, ENTITIES_A_CALL = 10, 5
SHARING_IMAGES = (":ModifyImageSharePermission", ":ModifyImagePermission")
DAY = 86_400.0
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY}

RULES = (
    "never widen",
    "whoever is wanted keeps access",
    "ours only",
    "one channel",
    "absence needs proof",
    "guarded revocation",
    "ownership is written down",
    "one writer a shard",
    "nothing while paused",
    "at most ten",
    "nothing into what is held",
    "no more desktops than places",
    "no encrypted desktop",
    "encrypted where a rule says so",
    "let in before the grant",
    "nobody is let out who needs it",
    "nothing retired is shared",
    "copied once",
    "copied where a rule says so",
    "modes are kept",
    "grace is kept",
    "partners wait",
    "it settles",
    "the second plans nothing",
    "no secrets",
    "no run breaks",
)


@dataclass(frozen=True)
class Snapshot:
    """The cloud at an instant: who has what by which channel, and what is in resource shares or about to be."""

    direct: Mapping[str, frozenset[str]]
    covered: Mapping[str, frozenset[str]]
    rows: Mapping[str, tuple[frozenset[str], frozenset[str]]]
    places: Mapping[str, tuple[str, str]]
    roles: Mapping[str, str] = field(default_factory=dict)
    """Owner -> the trust policy of its sharing role, where it has one."""

    def pairs(self) -> set[Pair]:
        """Every pair with access."""
        return _pairs(self.direct) | _pairs(self.covered)

    def entities(self) -> set[Pair]:
        """Every image and target of every share."""
        return {(share, one) for share, (images, targets) in self.rows.items() for one in images | targets}


@dataclass(frozen=True)
class Violation:
    """A rule that was broken, and how."""

    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


@dataclass
class Run:
    """What the oracle knows of a run that is under way."""

    name: str
    policy: Document
    began: float
    worlds: list[World]
    had: set[Pair]
    before_it: tuple[World, ...] = ()
    held: set[Pair] = field(default_factory=set)
    """What waited for a person when it began: of later holds a run that decided before cannot know."""
    lost: set[Pair] = field(default_factory=set)
    counted: set[Pair] = field(default_factory=set)
    """What it lost but for changes of the channel."""
    direct: frozenset[Pair] = frozenset()
    """The direct grants without another channel when it began."""
    lied: bool = False
    """Whether lists lay when it began, and did not show it."""
    misled: bool = False
    """Whether lists lay at any moment of it so far, and did not show it."""
    hindered: bool = False
    """Whether anything failed that may have kept it from reading all."""
    let_in: set[Pair] = field(default_factory=set)
    """(owner, account) that was let in by the owner's sharing role at any moment of it."""
    edited: set[str] = field(default_factory=set)
    """Owners whose sharing role somebody else wrote since it read it."""
    last_request: int = 0
    wrote: bool = False


class Oracle:
    """Told everything that happens; ``violations`` is what was wrong."""

    def __init__(self, policy: Document, world: Document, snapshot: Snapshot, *, now: float) -> None:
        self.violations: list[Violation] = []
        self.looked: Counter[str] = Counter()
        self.policy = policy
        self._document, self._marks = world, frozenset[str]()
        self._gone: dict[str, Document] = {}
        self.world = World(world)
        self._worlds: list[tuple[float, World]] = [(now, self.world)]
        self._runs: dict[str, Run] = {}
        self.by_hand: dict[Pair, float] = dict.fromkeys(_pairs(snapshot.direct), now)
        self.rows_by_hand: dict[Pair, float] = dict.fromkeys(snapshot.entities(), now)
        self.ours: dict[Pair, tuple[str, str]] = {}
        self.our_rows: dict[Pair, tuple[str, str]] = {}
        self.unclear: set[Pair] = set()
        self.newest: dict[str, tuple[str, Document]] = {}
        self._intended: dict[Pair, list[float]] = defaultdict(list)
        self._losses: list[tuple[float, Pair, bool]] = []
        self._totals: list[tuple[float, int]] = []
        self._taken: list[tuple[float, Pair]] = []
        """All that runs took, approved or not: a part of what there was."""
        self._last_wanted: dict[Pair, float] = {}
        self._ever: set[Pair] = set(snapshot.pairs())
        self.sequence = 0
        self._paused: tuple[int, Document] = (0, {})
        self._secrets: set[str] = set()
        self._doubted: set[Pair] = set()
        self.kept_after_leaving: set[Pair] = set()
        self._wanted: dict[tuple[int, int, str], Pairs] = {}
        self._authorized: dict[tuple[int, int, str], Pairs] = {}
        self.roles = SharingRoles(self)
        self.roles.begin(snapshot.roles, now)
        self._combined: dict[tuple[int, int], World] = {}
        self._pinned: list[object] = []
        self.left: set[str] = set()
        self.known: set[str] = set(self.world.members)
        self._looked_at: set[tuple[int, int]] = set()
        self._asked_for: dict[Pair, float] = {}
        self._desktops: set[str] = set()
        self.removed_copies: set[tuple[str, str, str]] = set()
        """(owner, region, tag) of copies that somebody deleted."""
        self._note_desktops()
        self.failing: frozenset[str] = frozenset()
        """Operations that are struck by any fault."""
        self.lying: frozenset[str] = frozenset()
        """Operations whose lists do not show that they lie: two such readings end an ownership rightly."""

    # --- what happens around the program

    def world_changed(self, document: Document, *, now: float) -> None:
        """Somebody changed the organization or its images."""
        self._document = document
        self._note_wanted(now)
        copies = dict(_copies(self.world))
        self.removed_copies |= {copies[image] for image in copies.keys() - document.get("images", {}).keys()}
        self.left |= self.world.members.keys()
        self.known |= self.world.members.keys()
        self._gone |= {i: row for i, row in self.world.images.items() if i not in document.get("images", {})}
        self.world = World(document, self._marks, dict(self._gone))
        self._note_desktops()
        self.left -= self.world.members.keys()
        self._worlds.append((now, self.world))
        for run in self._runs.values():
            run.worlds.append(self.world)
            self._look(run.policy)

    def retired(self, image: str, *, back: bool, now: float) -> None:
        """A person retired an image, or took that back."""
        self._marks = self._marks - {image} if back else self._marks | {image}
        self.world_changed(self._document, now=now)

    def _note_desktops(self) -> None:
        """Images of Elastic Desktop Service, those that are gone too."""
        self._desktops |= {image for image, row in self.world.images.items() if row.get("service") == "eds"}

    def policy_changed(self, policy: Document, *, now: float) -> None:
        """Somebody edited the policy: a run that is under way keeps the one that it began with."""
        self._note_wanted(now)
        self.policy = policy

    def _note_wanted(self, now: float) -> None:
        """What was wanted until now; of what no run could read nobody knows that it was."""
        if (id(self.policy), id(self.world)) not in self._looked_at:
            return
        self._last_wanted.update(dict.fromkeys(self.wanted(self.policy, self.world, now), now))

    def people_did(self, before: Snapshot, after: Snapshot, *, now: float, ambiguous: bool = False) -> None:
        """Somebody granted, revoked or shared by hand. ``ambiguous``: nobody can see when."""
        for pair in _pairs(after.direct) - _pairs(before.direct):
            self.by_hand[pair] = self._asked_for[pair] = now
            self.ours.pop(pair, None)
            entry = self._entry("grants", pair)
            if ambiguous or (entry is not None and entry.get("state") != "made"):
                self.unclear.add(pair)
            else:
                self.unclear.discard(pair)
        for pair in _pairs(before.direct) - _pairs(after.direct):
            self.by_hand.pop(pair, None)
            self.ours.pop(pair, None)
        for row in after.entities() - before.entities():
            self.rows_by_hand[row] = now
        for row in before.entities() - after.entities():
            self.rows_by_hand.pop(row, None)
            self.our_rows.pop(row, None)
        self._ever |= after.pairs()
        self.roles.people_did(before, after, now)

    def secret(self, text: str) -> None:
        """Something that nobody may read in a log, a report or the state."""
        if text:
            self._secrets.add(text)

    def said(self, text: str, where: str) -> None:
        """Something was logged, reported or stored."""
        self.looked["no secrets"] += 1
        for one in self._secrets:
            if one in text:
                self._wrong("no secrets", f"a secret is in {where}")

    # --- runs

    def run_begins(self, name: str, snapshot: Snapshot, *, now: float, lag: float) -> None:
        """A run begins with the policy in force; lists may show it what was so before, by ``lag`` seconds."""
        earlier = [world for at, world in self._worlds if at >= now - lag]
        standing = [world for at, world in self._worlds if at < now - lag]
        before = (*standing[-1:], *earlier)
        # Nobody knows whether a share reaches the management account: it has what is granted to it directly.
        had = {pair for pair in snapshot.pairs() if pair[1] != self.world.management} | _pairs(snapshot.direct)
        self._runs[name] = Run(name, self.policy, now, [self.world], had, before, self.held())
        self._runs[name].direct = frozenset(_pairs(snapshot.direct) - _pairs(snapshot.covered))
        self._runs[name].lied = bool(self.lying)
        self._runs[name].let_in = {(of, account) for of, text in snapshot.roles.items() for account in let_in(text)}
        self._look(self.policy)

    def _look(self, policy: Document) -> None:
        self._looked_at.add((id(policy), id(self.world)))
        self._pinned += [policy, self.world]

    def run_ends(self, name: str) -> None:
        """A run ended, or died."""
        run = self._runs.pop(name)
        self.looked["no run breaks"] += 1
        self._check_whole_audiences(run)
        self._totals = self._totals[-500:]

    def under_way(self) -> list[Run]:
        """The runs that are under way."""
        return list(self._runs.values())

    def asked(self, name: str, operation: str) -> None:
        """A run got an answer."""
        self.sequence += 1
        if name in self._runs:
            run = self._runs[name]
            run.last_request = self.sequence
            if operation == "ram:GetRole" and len(run.policy["owners"]) == 1:
                run.edited.clear()  # it has read now what somebody wrote
            run.misled |= bool(self.lying)
            run.hindered |= bool(self.failing)

    def wrote(
        self, name: str, operation: str, params: Mapping[str, str], before: Snapshot, after: Snapshot, *, now: float
    ) -> None:
        """A run sent a call that writes."""
        run = self._runs[name]
        if not run.wrote:  # what came into force by itself until then, the run may have read
            run.had |= {pair for pair in before.pairs() if pair[1] != self.world.management}
        run.wrote = True
        place = self._place(params, after, before)
        self._check_sizes(run, operation, params)
        self._check_writer(run, operation, place)
        self._check_pause(run, operation, place)
        self._check_gained(run, operation, params, before, after, now)
        self._check_desktops(run, operation, params, before)
        self._check_sealed(run, operation, params, before, after, now)
        self._check_absence(run, operation, params, before, now)
        self._check_lost(run, operation, before, after, now)
        self._note_owners(run, operation, params, before, after)
        self._check_ownership()
        self.roles.check_ownership(after.roles)
        self._ever |= after.pairs()
        self._totals.append((now, len(before.pairs())))

    def copied(self, name: str, params: Mapping[str, str], made: frozenset[str], *, now: float) -> None:
        """A run asked for a copy; ``made`` is the copy that came of it, if one did."""
        run = self._runs[name]
        source, region = params.get("ImageId", ""), params.get("DestinationRegionId", "")
        self.looked["copied where a rule says so"] += 1
        if not any(region in copied_to(run.policy, world, source) for world in self._views(run)):
            self._wrong("copied where a rule says so", f"{name} copies {source} to {region}, which no rule asks for")
        row = self.world.images.get(source, {})
        if is_sealed(row) and not params.get("KMSKeyId"):
            self._wrong("copied where a rule says so", f"{name} copies {source}, encrypted, without a key")
        self.looked["copied once"] += 1
        copies = dict(_copies(self.world))
        for copy in sorted(made & copies.keys()):
            others = sorted(image for image, place in copies.items() if place == copies[copy] and image != copy)
            if others:
                self._wrong("copied once", f"{name} makes {copy} of {source}, of which {others[0]} is a copy there")
            if copies[copy] in self.removed_copies:
                self._wrong("copied once", f"{name} makes {copy} of {source}, whose copy there somebody removed")
        del now

    def stored(self, name: str, data: bytes) -> None:
        """An object was put into the state."""
        self.sequence += 1
        self.said(data.decode("utf-8", "replace"), "the state")
        parts = name.split("/")
        if parts[0] == "pause":
            self._paused = (self.sequence, json.loads(data))
        series = "/".join(parts[:-1])
        if "waiting" in parts or parts[0] not in ("shards", "guard", "pause", "roles"):
            return
        known = self.newest.get(series)
        if known is not None and name > known[0]:
            return
        form = json.loads(data)
        self.newest[series] = (name, form)
        if parts[0] == "roles":
            self.roles.stored(parts[1], form)
        if parts[0] == "shards":
            for image, entries in form.get("grants", {}).items():
                for account, entry in entries.items():
                    if entry["state"] != "made":
                        times = self._intended[image, account]
                        times += [t for t in _moments(entry) if t not in times[-4:]]
            self._check_ownership()
            self._check_nothing_foreign(form)
            self._check_no_foreign_desktop(form)

    # --- the rules

    def wanted(self, policy: Document, world: World, now: float) -> Pairs:
        """What a policy wants in a world."""
        today = datetime.fromtimestamp(now, timezone.utc).date().isoformat()
        key = (id(policy), id(world), today)
        if key not in self._wanted:
            self._wanted[key] = wanted_pairs(policy, world, today)
            self._pinned += [policy, world]
        return self._wanted[key]

    def authorized(self, run: Run, now: float) -> set[Pair]:
        """What a run's policy lets be shared of encrypted images, in the organization at some moment of the run."""
        today = datetime.fromtimestamp(now, timezone.utc).date().isoformat()
        found: set[Pair] = set()
        for world in self._views(run):
            key = (id(run.policy), id(world), today)
            if key not in self._authorized:
                self._authorized[key] = authorized_pairs(run.policy, world, today)
                self._pinned += [run.policy, world]
            found |= self._authorized[key]
        return found

    def known_to_have(self, run: Run, owner: str, account: str, after: Snapshot) -> list[str]:
        """The encrypted images of an owner that an account has, as a run that was told no lies could see.

        Not seen are what others gave lately, and what a resource share gives to who moved lately, or has left.
        """
        if run.misled:
            return []
        found = []
        for image in sealed_images(self.world, owner):
            if account in after.direct.get(image, ()):
                made = self.by_hand.get((image, account))
                if made is None or made <= self._worlds[0][0] or made < run.began - SETTLED:
                    found.append(image)
            elif account in after.covered.get(image, ()) and not self._moves(run, account):
                lately = any(
                    at >= run.began - SETTLED and at > self._worlds[0][0]
                    for (share, _), at in self.rows_by_hand.items()
                    if image in after.rows.get(share, ((), ()))[0]
                )
                if account in self.world.members and not lately:
                    found.append(image)
        return found

    def allowed(self, run: Run, now: float) -> set[Pair]:
        """What a run's policy wants in the organization as it was at some moment of the run, or is still listed."""
        return set().union(*(self.wanted(run.policy, world, now) for world in self._views(run)))

    def needed(self, run: Run, now: float) -> set[Pair]:
        """What a run's policy wants at every moment of it."""
        worlds = self._views(run)
        found = set(self.wanted(run.policy, worlds[0], now))
        for world in worlds[1:]:
            found &= self.wanted(run.policy, world, now)
        return found

    def _views(self, run: Run) -> list[World]:
        """What a run may have read: any organization of its time with any images of its time."""
        images = {id(world.images): world for world in run.worlds}
        views = []
        for world in (*run.before_it, *run.worlds):
            for other in images.values():
                key = (id(world), id(other))
                if key not in self._combined:
                    self._combined[key] = world if world is other else world.with_images(other)
                    self._pinned += [world, other]
                views.append(self._combined[key])
        return views

    def _check_sizes(self, run: Run, operation: str, params: Mapping[str, str]) -> None:
        self.looked["at most ten"] += 1
        numbers = Counter(key.split(".")[0] for key in params if key.count(".") >= 1 and not key.endswith("Type"))
        for key, most in (
            ("AddAccount", ACCOUNTS_A_CALL),
            ("RemoveAccount", ACCOUNTS_A_CALL),
            ("Resources", ENTITIES_A_CALL),
            ("Targets", ENTITIES_A_CALL),
        ):
            if numbers[key] > most:
                self._wrong("at most ten", f"{run.name}: {operation} with {numbers[key]} of {key}")

    def _check_writer(self, run: Run, operation: str, place: str) -> None:
        if not place:
            return  # refused before anybody could see where
        self.looked["one writer a shard"] += 1
        lease = self.newest.get(place, ("", {}))[1].get("lease") or {}
        if lease.get("run") != run.name or not lease.get("seconds"):
            holder = lease.get("run") if lease.get("seconds") else "nobody"
            self._wrong("one writer a shard", f"{run.name} sends {operation} to {place}, which {holder} holds")

    def _check_pause(self, run: Run, operation: str, place: str) -> None:
        self.looked["nothing while paused"] += 1
        number, form = self._paused
        shard = place.removeprefix("shards/")
        if place.startswith("roles/"):
            shard = f"ecs/{place.removeprefix('roles/')}/*"
        if (form.get("everything") or shard in form.get("shards", ())) and number < run.last_request:
            self._wrong("nothing while paused", f"{run.name} sends {operation} to {shard}")
        self.looked["modes are kept"] += run.policy["mode"] != "enforce"
        if run.policy["mode"] == "observe":
            self._wrong("modes are kept", f"{run.name} sends {operation} in mode observe")

    def _check_gained(
        self, run: Run, operation: str, params: Mapping[str, str], before: Snapshot, after: Snapshot, now: float
    ) -> None:
        self.looked["never widen"] += 1
        gained = _pairs(after.direct) - _pairs(before.direct)
        allowed = self.allowed(run, now) if gained else set()
        for pair in sorted(gained - allowed):
            self._wrong("never widen", f"{run.name} grants {_told(pair)}, whom no rule wants")
        if run.policy["safety"].get("partners") == "hold":
            self.looked["partners wait"] += 1
            for image, account in sorted(gained & allowed):
                # Who has just left is no partner yet: lists still show it as a member.
                if any(account in world.members or account == world.management for world in self._views(run)):
                    continue
                if (image, account) not in self._ever and (image, account) not in self.approved(now):
                    self._wrong("partners wait", f"{run.name} grants {_told((image, account))} without approval")
        for share, (images, targets) in after.rows.items():
            old_images, old_targets = before.rows.get(share, (frozenset(), frozenset()))
            joined = (images - old_images) | (targets - old_targets)
            if not joined:
                continue
            self.looked["nothing into what is held"] += 1
            for image in sorted(images):
                for target in sorted(targets):
                    if image in old_images and target in old_targets:
                        continue
                    if not self._lies_in(run, image, target, now):
                        rule = "never widen" if target not in old_targets else "nothing into what is held"
                        self._wrong(rule, f"{run.name} lets {image} and {target} meet in {share}, "
                                    f"and {target} is not in the audience of {image}")  # fmt: skip
        del operation, params

    def _check_absence(self, run: Run, operation: str, params: Mapping[str, str], before: Snapshot, now: float) -> None:
        """Whether a run asks for what was there all the time: then it concluded something from a list that lacked it.

        Where lists lie and do not show it, or a resource share reaches the account too, it may have seen nothing else.
        """
        if not operation.endswith(SHARING_IMAGES):
            return
        image = params.get("ImageId", "")
        for pair in sorted((image, value) for key, value in params.items() if key.startswith("AddAccount.")):
            since, self._asked_for[pair] = self._asked_for.get(pair, now), now
            self.looked["absence needs proof"] += 1
            there = pair in run.direct and pair[1] in before.direct.get(image, ())
            if there and since < run.began - SETTLED and not self.lying and not run.lied:
                self._wrong(
                    "absence needs proof", f"{run.name} grants {_told(pair)} again, which was there all the time"
                )

    def _check_desktops(self, run: Run, operation: str, params: Mapping[str, str], before: Snapshot) -> None:
        """Whether a run asks for more shares of desktop images than there are places, or for an encrypted one.

        What counts is what it could know: all that we gave, as the state has it, and what others gave some time before
        it began, in the regions that it reads. The call is looked at, not what came of it: the cloud may refuse it.
        """
        image = params.get("ImageId", "")
        if not operation.endswith(":ModifyImagePermission") or image not in self.world.images:
            return
        there = _pairs(before.direct)
        asked = {(image, value) for key, value in params.items() if key.startswith("AddAccount.")} - there
        if not asked:
            return
        self.looked["no encrypted desktop"] += 1
        if self.world.images[image].get("encryption", "none") != "none":
            self._wrong("no encrypted desktop", f"{run.name} shares {image}, which is encrypted, {operation}")
        if run.misled:
            return
        self.looked["no more desktops than places"] += 1
        quota, together = desktop_places(run.policy, self.world, image)
        used = {pair for pair in there if pair[0] in together and self._is_known_to(run, pair)}
        if len(used) + len(asked) > quota:
            text = f"{run.name} asks for {_told(min(asked))} and so for {len(used) + len(asked)} shares of {quota}"
            self._wrong("no more desktops than places", text)

    def _check_sealed(
        self, run: Run, operation: str, params: Mapping[str, str], before: Snapshot, after: Snapshot, now: float
    ) -> None:
        """Encrypted images of ECS: only where a rule authorizes it, directly, to whom the role lets in before."""
        if operation == "ram:UpdateRole":
            self.roles.wrote(run, params, before, after)
        elif operation == "ecs:ModifyImageSharePermission":
            image = params.get("ImageId", "")
            asked = {value for key, value in params.items() if key.startswith("AddAccount.")}
            self.roles.shares_with(run, image, frozenset(asked) - before.direct.get(image, frozenset()), now=now)
        for share, (images, _) in after.rows.items():
            for image in sorted(images - before.rows.get(share, (frozenset(), frozenset()))[0]):
                if is_sealed(self.world.images.get(image, {})):
                    self._wrong("encrypted where a rule says so", f"{run.name} puts {image}, encrypted, into {share}")

    def _is_known_to(self, run: Run, pair: Pair) -> bool:
        """Whether a run that read all and was told no lies knows of a share of a desktop image."""
        if pair in self.ours:
            return True
        shown = self._was_shown(pair, run)
        return shown and not run.hindered and in_regions(run.policy, self.world.images[pair[0]])

    def _was_shown(self, pair: Pair, run: Run) -> bool:
        """Whether what somebody gave by hand was there long enough before a run for any list to show it."""
        made = self.by_hand.get(pair, run.began)
        return made <= self._worlds[0][0] or made < run.began - SETTLED

    def _lies_in(self, run: Run, image: str, target: str, now: float) -> bool:
        """Whether everybody whom a target reaches, today and tomorrow, is in the image's audience."""
        today = datetime.fromtimestamp(now, timezone.utc).date().isoformat()
        for world in self._views(run):
            if target.isdigit():
                if (image, target) in self.wanted(run.policy, world, now):
                    return True
                continue
            folder = "root" if target.startswith(("rd-", "r-")) else target
            if (folder == "root" or folder in world.parents) and whole(run.policy, world, image, folder, today):
                return True
        return False

    def _check_lost(self, run: Run, operation: str, before: Snapshot, after: Snapshot, now: float) -> None:
        lost = before.pairs() - after.pairs()
        direct = _pairs(before.direct) - _pairs(after.direct)
        ended = before.entities() - after.entities()
        self.looked["whoever is wanted keeps access"] += 1
        strange = {pair: self.by_hand[pair] for pair in self.by_hand.keys() & lost}
        self._check_ours_only(run, operation, direct, ended, lost, now)
        if not lost:
            return
        approved = self.approved(now)
        run.lost |= lost
        self._taken += [(now, pair) for pair in sorted(lost)]
        needed = self.needed(run, now)
        for pair in sorted(lost & needed - approved):
            if pair[1] != self.world.management:
                self._wrong("whoever is wanted keeps access", f"{run.name}: {operation} takes {_told(pair)}")
        if run.policy["mode"] != "enforce":
            self._wrong("modes are kept", f"{run.name}: {operation} takes {_told(min(lost))} in mode add")
        # Grace and on_leave are for what the policy gave and wants no more. What somebody gave is for `unmanaged`
        # to say; what the run may have read as wanted went because a resource share seemed to reach it as well.
        self._check_grace(run, (direct & lost) - self.allowed(run, now) - strange.keys(), now)
        self.looked["guarded revocation"] += 1
        for pair in sorted(lost & run.held & self.held() - approved):
            self._wrong("guarded revocation", f"{run.name}: {operation} takes {_told(pair)}, which is held")
        run.counted |= lost - self.allowed(run, now)
        counted = {pair for pair in lost - approved - needed if pair[1] != self.world.management}
        counted = {pair for pair in counted if pair in strange or not self._moves(run, pair[1])}
        gone = {pair for pair in counted if self._has_left(run, pair[1])}
        # Of an image that no rule selects any more nobody asks whether its accounts left: it is lost for another cause.
        selected = {pair: {bool(rules_for(run.policy, each, pair[0])) for each in self._views(run)} for pair in gone}
        counted -= {pair for pair, said in selected.items() if len(said) > 1}
        gone = {pair for pair, said in selected.items() if said == {True}}
        counted -= {pair for pair in gone if self._is_uncounted(pair, direct, strange)}
        self._losses += [(now, pair, pair in gone - strange.keys()) for pair in sorted(counted)]
        if counted:
            self._check_limits(run, now, before, self._losses[-len(counted) :])

    def _has_left(self, run: Run, account: str) -> bool:
        return account in self.left or any(
            account not in world.members for world in run.worlds if account in self.known
        )

    def _moves(self, run: Run, account: str) -> bool:
        """Whether an account joined, moved or left so lately that the run may have read it in either place, or in none.

        Then nobody can say for which of the guard's limits its losses count, or that it has anything to lose: by a
        share with the whole organization it has every image before any listing shows it, and where a share does not
        reach it any more it seems to have two channels.
        """
        read = {world.members.get(account, ("",))[0] for world in (*run.before_it, *run.worlds)}
        return len(read) > 1

    def _is_passing(self, run: Run, account: str) -> bool:
        """Whether an account joined or left so lately that the run may have read it as a member, or as none."""
        read = {account in world.members for world in (*run.before_it, *run.worlds)}
        return len(read) > 1

    def _is_uncounted(self, pair: Pair, direct: set[Pair], strange: Mapping[Pair, float]) -> bool:
        """Whether nobody can say for which limit the loss of an account that left counts, or that it is one.

        What somebody granted by hand and looks like ours counts for either; what resource shares still give for a
        while ends by itself.
        """
        return self._looks_ours(pair, strange[pair]) if pair in strange else pair not in direct

    def _check_limits(self, run: Run, now: float, before: Snapshot, just_now: list[tuple[float, Pair, bool]]) -> None:
        just_lost = any(not gone for _, _, gone in just_now)
        just_departed = any(gone for _, _, gone in just_now)
        limits = run.policy["safety"].get("hold_when", {})
        window = seconds(limits.get("window", "24h")) - EDGE
        recent = [(pair, gone) for at, pair, gone in self._losses if at > now - window]
        pairs = {pair for pair, gone in recent if not gone}
        most = limits.get("lost_pairs", 200)
        if just_lost and len(pairs) > most:
            self._wrong("guarded revocation", f"{run.name}: {len(pairs)} pairs lost, more than {most}")
        there_was = before.pairs() | {pair for at, pair in self._taken if at > now - window}
        total = max([len(there_was), *(count for at, count in self._totals if at > now - window)])
        percent = 100 * len(pairs) / max(total, 1)
        if just_lost and percent > limits.get("lost_percent", 20) + 1e-9 and not self._losses_of_others(run, pairs):
            self._wrong("guarded revocation", f"{run.name}: {len(pairs)} of {total} pairs lost")
        departed = {pair[1] for pair, gone in recent if gone}
        row = limits.get("departed", {})
        if just_departed and len(departed) > row.get("accounts", 5):
            self._wrong("guarded revocation", f"{run.name}: {len(departed)} departed accounts lost access")
        if just_departed and row.get("percent", 5) == 0:
            self._wrong("guarded revocation", f"{run.name}: departed accounts lost access, and the limit is 0 %")

    def _losses_of_others(self, run: Run, pairs: set[Pair]) -> bool:
        """Whether losses of earlier runs are among them, under limits that may have been others."""
        return bool(pairs - run.lost)

    def _check_whole_audiences(self, run: Run) -> None:
        by_image: dict[str, set[Pair]] = defaultdict(set)
        for pair in run.had:
            by_image[pair[0]].add(pair)
        for image, pairs in sorted(by_image.items()):
            unapproved = pairs - self.approved(run.began)
            if len(pairs) > 1 and pairs <= run.counted and any(not self._moves(run, a) for _, a in unapproved):
                self._wrong("guarded revocation", f"{run.name}: {image} lost its whole audience of {len(pairs)}")

    def _check_grace(self, run: Run, lost: set[Pair], now: float) -> None:
        safety = run.policy["safety"]
        grace = seconds(safety.get("grace", "0s"))
        on_leave = safety.get("on_leave", "revoke")
        self.looked["grace is kept"] += 1
        for pair in sorted(lost):
            wait = {"revoke": 0.0, "keep": float("inf")}.get(on_leave)
            wait = seconds(on_leave) if wait is None else wait
            if self._is_passing(run, pair[1]):
                wait = min(wait, grace)
            elif not self._has_left(run, pair[1]) or self._is_retired(run, pair[0]):
                wait = grace  # of a retired image nobody keeps anything because it left
            since = now - self._last_wanted.get(pair, float("-inf"))
            if since < wait - EDGE and pair not in self.wanted(run.policy, self.world, now):
                self._wrong("grace is kept", f"{run.name} takes {_told(pair)}, wanted until {since:.0f} s ago")

    def _is_retired(self, run: Run, image: str) -> bool:
        """Whether somebody retired an image before a run ended, or its tags did."""
        return any(image in world.images and is_retired(run.policy, world, image) for world in self._views(run))

    def _check_ours_only(
        self, run: Run, operation: str, direct: set[Pair], ended: set[Pair], lost: set[Pair], now: float
    ) -> None:
        self.looked["ours only"] += 1
        unmanaged = run.policy["safety"].get("unmanaged", "keep")
        allowed = self.needed(run, now) if unmanaged == "revoke" else set()
        for pair in sorted(direct):
            made = self.by_hand.pop(pair, None)
            self.ours.pop(pair, None)
            if made is None or self._looks_ours(pair, made):
                continue
            if unmanaged == "revoke" and (pair not in allowed or pair not in lost):
                continue  # not wanted, or a second channel that a resource share makes needless
            self._wrong("ours only", f"{run.name}: {operation} takes {_told(pair)}, which somebody granted by hand")
        for row in sorted(ended):
            made = self.rows_by_hand.pop(row, None)
            self.our_rows.pop(row, None)
            if made is not None and row not in self.unclear:
                self._wrong("ours only", f"{run.name}: {operation} takes {row[1]} out of {row[0]}, put there by hand")

    def _looks_ours(self, pair: Pair, made: float) -> bool:
        """Whether an intention of ours was written down so close to a grant by hand that they look the same.

        Of a desktop image nothing says when it was shared, so there it is any intention that could not know better.
        """
        if pair[0] in self._desktops:
            return pair in self.unclear
        return pair in self.unclear or any(
            abs(made - since) <= SKEW or since <= made <= since + DAY for since in self._intended.get(pair, ())
        )

    def _note_owners(
        self, run: Run, operation: str, params: Mapping[str, str], before: Snapshot, after: Snapshot
    ) -> None:
        for pair in _pairs(after.direct) - _pairs(before.direct):
            self.ours[pair] = (run.name, operation)
        for row in after.entities() - before.entities():
            self.our_rows[row] = (run.name, operation)
        # What was there by hand and is asked for again may look like ours from now on.
        if operation.endswith(SHARING_IMAGES):
            image = params.get("ImageId", "")
            added = {(image, value) for key, value in params.items() if key.startswith("AddAccount.")}
            self.unclear |= added & self.by_hand.keys()
        elif operation.endswith("AssociateResourceShare"):
            share = params.get("ResourceShareId", "")
            self.unclear |= {(share, value) for value in params.values()} & self.rows_by_hand.keys()

    def _check_ownership(self) -> None:
        self.looked["ownership is written down"] += 1
        self._forget_what_lists_denied()
        for pair, (run, operation) in self.ours.items():
            if pair[0] in self.world.images and self._entry("grants", pair) is None:
                text = f"{_told(pair)}, granted by {run} ({operation}), is not in the newest generation"
                self._wrong("ownership is written down", text)
        for row, (run, operation) in self.our_rows.items():
            if self._entry("shares", row) is None:
                text = f"{row[1]} in {row[0]}, put there by {run} ({operation}), is not in the newest generation"
                self._wrong("ownership is written down", text)

    def _forget_what_lists_denied(self) -> None:
        """What two readings did not show is nobody's any more, though it is there."""
        for operations, rows, kind in (
            (
                (
                    "ecs:DescribeImageSharePermission",
                    "ecs:DescribeImages",
                    "ecd:DescribeImagePermission",
                    "ecd:DescribeImages",
                ),
                self.ours,
                "grants",
            ),
            (("resourcesharing:ListResourceShareAssociations", "ecs:DescribeImages"), self.our_rows, "shares"),
        ):
            lying = any({one, one.partition(":")[0] + ":*", "*"} & self.lying for one in operations)
            for row in list(rows):
                entry = self._entry(kind, row)
                if lying and (entry is None or entry.get("missing")):
                    self._doubted.add(row)
                if entry is None and row in self._doubted:
                    del rows[row]
                    self.unclear.add(row)

    def _check_nothing_foreign(self, form: Document) -> None:
        """Nothing that a person made becomes ours, unless the policy lets it be adopted."""
        self.looked["ours only"] += 1
        for image, entries in form.get("grants", {}).items():
            for account, entry in entries.items():
                pair = (image, account)
                made = self.by_hand.get(pair)
                if made is None or entry["state"] != "made" or self._looks_ours(pair, made):
                    continue
                adopts = any(run.policy["safety"].get("unmanaged") == "adopt" for run in self._runs.values())
                if adopts:
                    self.by_hand.pop(pair)
                    continue
                before = self._intended.get(pair)
                if not before:
                    self._wrong("ours only", f"{_told(pair)} was granted by hand, and the state says that it is ours")

    def _check_no_foreign_desktop(self, form: Document) -> None:
        """The same for desktop images, of which no row says when it was shared: an entry owns whatever is there.

        So none may be written down for what somebody else gave before the run began that writes, as far as it saw it.
        """
        run = self._runs.get((form.get("lease") or {}).get("run", ""))
        for image, entries in form.get("grants", {}).items():
            for account in entries if image in self._desktops else ():
                pair = (image, account)
                made = self.by_hand.get(pair)
                if made is None or pair in self.unclear:
                    continue
                self.looked["ours only"] += 1
                if run is not None and self._was_shown(pair, run) and not run.misled:
                    self._wrong("ours only", f"{_told(pair)} was granted by hand, and the state says that it is ours")
                self.unclear.add(pair)

    # --- reading the state

    def held(self) -> set[Pair]:
        """The pairs that wait for a person, and those that a person rejected."""
        form = self._guard()
        rows = (*form.get("holds", ()), *form.get("rejections", ()))
        return {pair for row in rows for pair in _stored_pairs(row["pairs"])}

    def approved(self, now: float) -> set[Pair]:
        """The pairs that a person released within the last day."""
        form = self._guard()
        return {
            pair
            for approval in form.get("approvals", ())
            if now - _moment(approval["at"]) < DAY
            for pair in _stored_pairs(approval["pairs"])
        }

    def _guard(self) -> Document:
        form = self.newest.get("guard", ("", {}))[1]
        return dict(form.get("record", form))

    def _entry(self, kind: str, row: Pair) -> Document | None:
        for series, (_, form) in self.newest.items():
            if series.startswith("shards/"):
                entry = form.get(kind, {}).get(row[0], {}).get(row[1])
                if entry is not None:
                    return dict(entry)
        return None

    def _place(self, params: Mapping[str, str], *snapshots: Snapshot) -> str:
        """The series of the shard, or of the sharing role, that a call writes to."""
        after, before = snapshots
        if "DestinationRegionId" in params:
            owner = next((w.images[params["ImageId"]]["owner"] for _, w in reversed(self._worlds)
                          if params.get("ImageId") in w.images), "")  # fmt: skip
            return f"shards/ecs/{owner}/{params['DestinationRegionId']}"
        if "NewAssumeRolePolicyDocument" in params:
            owners = sorted(o for o, text in after.roles.items() if before.roles.get(o) != text)
            return f"roles/{owners[0]}" if owners else ""
        image = self.world.images.get(params.get("ImageId", ""))
        for _, world in reversed(self._worlds):
            image = image or world.images.get(params.get("ImageId", ""))
        if image is not None:
            if image.get("service") == "eds":
                return f"shards/eds/{image['owner']}/all"
            return f"shards/ecs/{image['owner']}/{image['region']}"
        made = sorted(after.places.keys() - before.places.keys())
        share = made[0] if made else params.get("ResourceShareId", "")
        for snapshot in snapshots:
            if share in snapshot.places:
                owner, region = snapshot.places[share]
                return f"shards/ecs/{owner}/{region}"
        return ""

    def _wrong(self, rule: str, what: str) -> None:
        found = Violation(rule, what)
        if found not in self.violations:
            self.violations.append(found)

    def wrong(self, rule: str, what: str) -> None:
        """Note what somebody else saw to be wrong."""
        self._wrong(rule, what)

    # --- the end

    def selected(self, image: str) -> frozenset[str]:
        """The names of the rules for an image."""
        return frozenset(rule["name"] for rule in rules_for(self.policy, self.world, image))


def seconds(duration: str) -> float:
    """`15m` in seconds."""
    return int(duration[:-1]) * UNITS[duration[-1]]


def _told(pair: Pair) -> str:
    return f"{pair[0]} to …{pair[1][-4:]}"


def _pairs(users: Mapping[str, Iterable[str]]) -> set[Pair]:
    return {(image, account) for image, accounts in users.items() for account in accounts}


def _stored_pairs(rows: Iterable[Any]) -> Iterable[Pair]:
    """Pairs as the state writes them: one by one, or every image of a group with every account of it."""
    for row in rows:
        first, second = (row["image"], row["account"]) if isinstance(row, Mapping) else row
        images = [first] if isinstance(first, str) else first
        accounts = [second] if isinstance(second, str) else second
        yield from ((image, account) for image in images for account in accounts)


def _moment(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _moments(entry: Document) -> list[float]:
    return [_moment(entry[key]) for key in ("since", "first") if entry.get(key)]


def _copies(world: World) -> Iterable[tuple[str, tuple[str, str, str]]]:
    """The copies in a world, each with its owner, its region, and what it was made from."""
    for image, row in world.images.items():
        if COPY_OF in row.get("tags", {}):
            yield image, (row["owner"], row["region"], row["tags"][COPY_OF])
