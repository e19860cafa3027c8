"""Anything in any order, by direct grants: people, organization, policy, faults, crashes, and every kind of run.

Who should have what is worked out here a second time, from the world and the policy file alone. Every write to the
cloud is looked at when it happens: what a run gives has to be wanted, what it takes must not be, nor be a person's,
nor wait for approval. From time to time everything is put in order and left to settle: then every wanted pair that can
be shared has access, nothing of ours is left with anybody else, and a further sweep plans nothing.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from localcloud import LocalCloud
from localcloud.inprocess import in_process
from orgshare.errors import StopRun
from orgshare.focus import EVERYTHING, Focus, focus_of
from orgshare.guard import approve
from orgshare.record.state import open_state
from orgshare.record.store import DirectoryStore
from orgshare.signals import ImageAt, Signal
from orgshare.way.applying import Applied, apply
from orgshare.words import Shard
from tests.support.plans import pairs_of
from tests.support.trial import (
    LEASE_IS_OVER,
    MANAGEMENT,
    OTHER_REGION,
    OWNER,
    PARTNER,
    REGION,
    STRANGER,
    A,
    B,
    C,
    D,
    E,
    Trial,
    policy,
    world,
)

Pairs = set[tuple[str, str]]
NOBODY = "2999999999999999"
"""An account that the cloud does not know."""

PARENTS = {"fd-prod": "root", "fd-eu": "fd-prod", "fd-test": "root"}
PEOPLE = (A, B, C, D, E)
FOLDERS = ("root", "fd-prod", "fd-eu", "fd-test")
WIDE = {"lost_pairs": 10**6, "lost_percent": 100, "departed": {"accounts": 10**6, "percent": 100}}
TIGHT = {"lost_pairs": 1, "lost_percent": 60, "departed": {"accounts": 1, "percent": 100}}
SKEW = 1500
"""Seconds after which a grant is certainly older than an intention that is written then."""

accounts = st.sampled_from(PEOPLE)
anybody = st.sampled_from((*PEOPLE, PARTNER, STRANGER))
folders = st.sampled_from(FOLDERS)
tag_sets = st.sampled_from(({}, {"share": "org"}, {"share": "lab"}, {"share": "org", "tier": "1"}))
statuses = st.sampled_from(("Available", "Available", "Available", "Deprecated", "UnAvailable"))
modes = st.sampled_from(("enforce", "enforce", "enforce", "enforce", "add", "observe"))


def some(of: st.SearchStrategy[str], most: int = 2) -> st.SearchStrategy[list[str]]:
    return st.lists(of, min_size=1, max_size=most, unique=True)


selectors = st.one_of(
    st.sampled_from(({"share": "org"}, {"share": "lab"}, {"tier": "1"})).map(lambda tags: {"tags": tags}),
    st.just({"name": "g*"}),
    st.just({"ids": ["m-gold", "m-silver"]}),
)
exceptions = st.one_of(some(accounts).map(lambda a: {"accounts": a}), some(folders, 1).map(lambda f: {"folders": f}))
partner_lists = st.one_of(
    st.just([PARTNER]),
    st.just([NOBODY]),
    st.just([{"account": PARTNER, "until": "2026-11-21"}]),
)
audiences = st.fixed_dictionaries(
    {},
    optional={
        "folders": some(folders),
        "account_tags": st.just({"env": "prod"}),
        "accounts": some(st.sampled_from((*PEOPLE, MANAGEMENT))),
        "partners": partner_lists,
        "except": exceptions,
    },
).filter(lambda audience: bool(audience.keys() - {"except"}))
rules: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(("one", "two", "three")),
            "images": selectors,
            "audience": audiences,
            "channel": st.just("direct"),
        },
        optional={"mode": st.just("add")},
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda one: str(one["name"]),
)
slips = st.sampled_from(("throttle", "error", "no-answer", "lost-answer", "malformed", "missing-field",
                         "truncated-page", "wrong-total"))  # fmt: skip
lies = st.sampled_from(
    ("resourcemanager:ListAccounts", "ecs:DescribeImages", "ecs:DescribeImageSharePermission", "ecs:DescribeRegions")
)
switches = st.fixed_dictionaries(
    {
        "is_self_shared": st.sampled_from(("bool", "string", "absent")),
        "repeated_add": st.sampled_from(("ok", "error", "refresh")),
        "add_and_remove": st.sampled_from(("add", "remove")),
        "partial_apply": st.sampled_from(("none", "some")),
        "deprecated_removal": st.sampled_from(("ok", "error")),
        "management_in_lists": st.booleans(),
        "aliyun_id": st.sampled_from(("string", "number")),
    }
)


class Died(BaseException):
    """The process is gone."""


class DyingStore(DirectoryStore):
    """A store whose process dies just before or after the n-th object is put."""

    def __init__(self, trial: Trial, number: int, *, after: bool) -> None:
        super().__init__(trial.folder / "state", trial.now)
        self._left, self._after = number, after

    def put_new(self, name: str, data: bytes) -> bool:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise Died
        put = super().put_new(name, data)
        if self._left == 0:
            raise Died
        return put


class Story(RuleBasedStateMachine):
    """One deployment and everybody who does something to it."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.folder = Path(tempfile.mkdtemp())
        start = world()
        start["images"]["m-far"] = {**start["images"]["m-gold"], "region": OTHER_REGION, "name": "far"}
        start["regions"] = [REGION, OTHER_REGION]
        self.trial = Trial(self.folder, world=start)
        self.stack.enter_context(in_process(self.trial.cloud, sleep=lambda _: None))
        self.trial.begin()
        self.policy = policy(owners=[{"account": OWNER, "regions": [REGION, OTHER_REGION]}])
        self.number = 0
        self.by_hand: Pairs = set()
        self.ours: Pairs = set()
        self.unclear: Pairs = set()
        self.last: Pairs = set()
        self.wrong: list[str] = []
        self.running = False
        self.lying = False
        self.held: Pairs = set()
        self.taken: Pairs = set()
        self.approved: Pairs = set()
        self.trial.cloud.on_write(self.look)
        self.interrupt: Callable[[], None] | None = None
        self.trial.cloud.on_request(lambda _: self.interrupt() if self.interrupt else None)

    def teardown(self) -> None:
        self.stack.close()
        shutil.rmtree(self.folder)

    # --- what is looked at when something was written

    def look(self, cloud: LocalCloud) -> None:
        now = {(row["image"], row["account"]) for row in cloud.access()}
        gained, lost = now - self.last, self.last - now
        self.last = now
        if not self.running:
            self.by_hand |= gained
        else:
            wanted = self.wanted()
            self.ours |= gained
            self.taken |= lost
            self.wrong += [f"{pair} was given, but nobody wants it" for pair in gained - wanted]
            self.wrong += [f"{pair} was taken, but is wanted" for pair in lost & wanted]
            self.wrong += [f"{pair} was taken, but a person made it" for pair in lost & self.by_hand - self.unclear]
            self.wrong += [f"{pair} was taken, but waits for approval" for pair in lost & self.held - self.approved]
            self.wrong += [f"{pair} was taken in a careful mode" for pair in lost if self.policy["mode"] != "enforce"]
            quota = self.policy["owners"][0].get("quotas", {}).get("accounts_per_image", 50)
            self.wrong += [
                f"{image} has more than {quota}"
                for image in {image for image, _ in gained}
                if len({account for of, account in now if of == image}) > quota and not self.lying
            ]
            self.wrong += [f"{pair} was given in mode observe" for pair in gained if self.policy["mode"] == "observe"]
        self.by_hand -= lost
        self.ours -= lost

    @invariant()
    def nothing_was_wrong(self) -> None:
        assert not self.wrong, self.wrong

    # --- who should have what, apart from the program

    def document(self) -> dict[str, Any]:
        """The world as plain data."""
        seen = self.trial.cloud.world()
        assert seen.directory is not None
        return {
            "members": {a: (m.folder, dict(m.tags)) for a, m in seen.directory.members.items()},
            "images": {i: image for i, image in seen.images.items() if image.owner == OWNER},
            "accounts": seen.accounts(),
        }

    def wanted(self) -> Pairs:
        seen = self.document()
        pairs: Pairs = set()
        for one in self.policy["rules"]:
            wanted = self.audience(one["audience"], seen["members"])
            for image, row in seen["images"].items():
                if selects(one["images"], image, row.name, row.tags):
                    pairs |= {(image, account) for account in wanted}
        return pairs

    def audience(self, audience: Mapping[str, Any], members: Mapping[str, tuple[str, dict[str, str]]]) -> set[str]:
        named: set[str] = set()
        tags = audience.get("account_tags", {})
        if "folders" in audience or tags:
            for account, (folder, own) in members.items():
                inside = not chain(folder).isdisjoint(audience.get("folders", ["root"]))
                if inside and all(own.get(key) == value for key, value in tags.items()):
                    named.add(account)
        named |= set(audience.get("accounts", ())) & {*members, MANAGEMENT}
        for partner in audience.get("partners", ()):
            row = {"account": partner} if isinstance(partner, str) else partner
            if "until" not in row or self.trial.now().date().isoformat() <= row["until"]:
                named.add(row["account"])
        for exception in (audience.get("except", {}), self.policy.get("never", {})):
            named -= set(exception.get("accounts", ()))
            named -= {a for a, (f, _) in members.items() if not chain(f).isdisjoint(exception.get("folders", ()))}
        return named - {OWNER}

    # --- people, the organization and the policy

    @initialize(limits=st.sampled_from((WIDE, TIGHT)))
    def begin(self, limits: dict[str, Any]) -> None:
        self.policy["safety"] = {"hold_when": limits}
        self.write_policy()

    def write_policy(self) -> None:
        self.trial.write_policy(self.policy)

    def patch(self, **part: Any) -> None:
        """Something from outside, never in the same second as anything else."""
        self.trial.cloud.advance(1)
        self.trial.cloud.patch(part)

    @rule(account=accounts, folder=folders, tagged=st.booleans())
    def joins_or_moves(self, account: str, folder: str, tagged: bool) -> None:
        tags = {"env": "prod"} if tagged else {"env": None}
        self.patch(directory={"members": {account: {"name": "n", "folder": folder, "tags": tags}}})

    @rule(account=accounts)
    def leaves(self, account: str) -> None:
        if account in self.document()["members"]:
            self.patch(directory={"members": {account: None}})

    @rule(folder=folders)
    def the_partner_joins(self, folder: str) -> None:
        self.patch(directory={"members": {PARTNER: {"name": "p", "folder": folder}}})

    @rule()
    def the_partner_leaves(self) -> None:
        if PARTNER in self.document()["members"]:
            self.patch(directory={"members": {PARTNER: None}})

    @rule(tags=tag_sets, name=st.sampled_from(("gun", "zinc")), far=st.booleans())
    def an_image_appears(self, tags: dict[str, str], name: str, far: bool) -> None:
        self.number += 1
        region = OTHER_REGION if far else REGION
        row = {"service": "ecs", "owner": OWNER, "region": region, "name": f"{name}{self.number}", "tags": tags}
        self.patch(images={f"m-{self.number}": row})

    @precondition(lambda self: len(self.document()["images"]) > 2)
    @rule(data=st.data())
    def an_image_vanishes(self, data: st.DataObject) -> None:
        image = self.draw_image(data)
        self.patch(grants={image: None}, images={image: None})

    @rule(data=st.data(), tags=tag_sets)
    def an_image_is_retagged(self, data: st.DataObject, tags: dict[str, str]) -> None:
        image = self.draw_image(data)
        self.patch(images={image: {"tags": {"share": None, "tier": None, **tags}}})

    @rule(data=st.data(), status=statuses)
    def an_image_changes_its_status(self, data: st.DataObject, status: str) -> None:
        self.patch(images={self.draw_image(data): {"status": status}})

    @rule(data=st.data(), account=anybody)
    def a_person_shares(self, data: st.DataObject, account: str) -> None:
        self.a_person_shares_with(self.draw_image(data), account)

    def a_person_shares_with(self, image: str, account: str) -> None:
        new = (image, account) not in self.last
        if new and self.intended(image, account):
            self.unclear.add((image, account))
        elif new:
            self.unclear.discard((image, account))
        if account in self.document()["accounts"]:
            self.trial.cloud.advance(1)
            self.trial.grant_by_hand(image, account)
            self.let_be_seen()

    @precondition(lambda self: self.last)
    @rule(data=st.data())
    def a_person_unshares(self, data: st.DataObject) -> None:
        image, account = data.draw(st.sampled_from(sorted(self.last)))
        self.trial.cloud.advance(1)
        self.trial.revoke_by_hand(image, account)
        self.let_be_seen()

    @precondition(lambda self: self.last)
    @rule(data=st.data())
    def a_person_replaces_a_grant(self, data: st.DataObject) -> None:
        """Removed and made anew it looks the same, but for its time."""
        image, account = data.draw(st.sampled_from(sorted(self.last)))
        if account in self.document()["accounts"]:
            self.trial.cloud.advance(1)
            self.trial.revoke_by_hand(image, account)
            self.a_person_shares_with(image, account)

    @rule(changed=rules, mode=modes, limits=st.sampled_from((WIDE, TIGHT)), never=st.one_of(st.just({}), exceptions))
    def the_policy_is_edited(
        self, changed: list[dict[str, Any]], mode: str, limits: dict[str, Any], never: dict[str, Any]
    ) -> None:
        careful = {"enforce": ("enforce", "add"), "add": ("add",), "observe": ()}[mode]
        edited = [{k: v for k, v in one.items() if k != "mode" or v in careful} for one in deepcopy(changed)]
        self.policy.update(rules=edited, mode=mode, safety={"hold_when": limits}, never=never)
        self.write_policy()

    @rule(data=st.data())
    def a_rule_is_renamed_or_removed(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.policy["rules"]) - 1))
        if len(self.policy["rules"]) > 1 and data.draw(st.booleans()):
            del self.policy["rules"][place]
        else:
            self.number += 1
            self.policy["rules"][place]["name"] = f"renamed{self.number}"
        self.write_policy()

    @rule(regions=st.sampled_from(([REGION], [REGION, OTHER_REGION], "all")), quota=st.sampled_from((2, 3, 50)))
    def the_owner_is_described_otherwise(self, regions: Any, quota: int) -> None:
        self.policy["owners"] = [{"account": OWNER, "regions": regions, "quotas": {"accounts_per_image": quota}}]
        self.write_policy()

    @rule(seconds=st.sampled_from((30, 1000, 24 * 3600)))
    def time_passes(self, seconds: float) -> None:
        self.trial.cloud.advance(seconds)

    @rule(chosen=switches, quota=st.sampled_from((2, 3, 50)), lag=st.sampled_from((0, 0, 60)))
    def the_vendor_is_otherwise(self, chosen: dict[str, Any], quota: int, lag: int) -> None:
        self.let_be_seen()
        self.patch(switches=chosen, quotas={"accounts_per_image": quota}, delays={"share": lag})

    @rule(kind=slips, every=st.integers(2, 7))
    def calls_begin_to_fail(self, kind: str, every: int) -> None:
        self.patch(faults=[{"operation": "*", "kind": kind, "every": every}])

    @rule()
    def calls_succeed_again(self) -> None:
        self.patch(faults=[])

    # --- runs

    @rule()
    def a_sweep(self) -> None:
        self.run(EVERYTHING)

    @rule(account=anybody)
    def a_membership_event(self, account: str) -> None:
        self.run(focus_of(Signal(accounts=frozenset({account}))))

    @rule(data=st.data())
    def an_image_event(self, data: st.DataObject) -> None:
        image = self.draw_image(data)
        self.run(focus_of(Signal(images=frozenset({ImageAt(image, None, None)}))))

    @rule(calls=st.integers(1, 25))
    def a_sweep_that_dies_at_a_call(self, calls: int) -> None:
        left = calls

        def die() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Died

        self.run(EVERYTHING, interrupt=die)

    @rule(puts=st.integers(1, 4), after=st.booleans())
    def a_sweep_that_dies_at_a_write_to_its_state(self, puts: int, after: bool) -> None:
        self.run(EVERYTHING, store=DyingStore(self.trial, puts, after=after))

    @rule(calls=st.integers(1, 15))
    def two_sweeps_at_once(self, calls: int) -> None:
        left = calls

        def other() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                self.interrupt = None
                self.attempt(EVERYTHING)

        self.run(EVERYTHING, interrupt=other)

    @precondition(lambda self: PARTNER not in self.document()["members"])
    @rule(operation=lies)
    def a_reading_lies_once(self, operation: str) -> None:
        """Rows and total are both short, consistently, for one run; the next is honest.

        Not while the partner is a member: under an excluded folder, only the listing tells that it must not get access.
        """
        self.let_be_seen()
        self.trial.cloud.advance(SKEW)
        faults = self.trial.cloud.world().faults
        self.patch(faults=[{"operation": operation, "kind": "empty-list", "every": 1}])
        self.lying = True
        self.run(EVERYTHING)
        self.lying = False
        self.patch(faults=[])
        self.run(EVERYTHING)
        self.patch(faults=[{k: v for k, v in fault.items() if v is not None} for fault in map(fields, faults)])

    @rule()
    def a_person_approves(self) -> None:
        state, now = self.trial.state(), self.trial.now()
        for hold in state.guard().holds:
            self.approved |= {(pair.image, pair.account) for pair in hold.pairs}
            state.update_guard(partial(approve, hold=hold, now=now, who="me", reason=""), run="x")

    @rule()
    def everything_is_put_in_order_and_settles(self) -> None:
        self.put_in_order()
        before = set(self.ours)
        for _ in range(8):
            applied = self.run(EVERYTHING)
            assert applied is not None
            self.a_person_approves()
            if not (applied.plan.changes or applied.plan.held or applied.plan.pending):
                break
        else:
            raise AssertionError(f"never settled: {applied.plan}")
        assert self.run(EVERYTHING, plan_only=True) == ()
        seen = self.document()
        shareable = {i for i, image in seen["images"].items() if image.status == "Available"}
        wanted = {(i, a) for i, a in self.wanted() if a in seen["accounts"]}
        due = {(i, a) for i, a in wanted if i in shareable}
        assert due <= self.last, f"missing: {due - self.last}"
        strange = self.ours - wanted - self.unclear
        assert not strange, f"left behind: {strange}"
        kept = before & wanted
        assert kept <= self.last, f"lost: {kept - self.last}"

    # --- how it is done

    def put_in_order(self) -> None:
        """No faults, no lag, no quota, no careful mode, wide limits, and nothing that freezes a rule."""
        self.let_be_seen()
        self.patch(
            faults=[], delays={"share": 0}, quotas={"accounts_per_image": 50}, switches={"deprecated_removal": "ok"}
        )
        self.trial.cloud.advance(3600)
        audiences = [one["audience"] for one in self.policy["rules"]]
        known = self.document()["members"].keys() | {MANAGEMENT, OWNER}
        known |= {PARTNER for audience in audiences if PARTNER in str(audience.get("partners"))}
        for exception in (self.policy.get("never", {}), *(audience.get("except", {}) for audience in audiences)):
            if "accounts" in exception:
                exception["accounts"] = [account for account in exception["accounts"] if account in known]
        for one in self.policy["rules"]:
            one.pop("mode", None)
        self.policy.update(
            mode="enforce",
            safety={"hold_when": WIDE},
            owners=[{"account": OWNER, "regions": [REGION, OTHER_REGION]}],
        )
        self.write_policy()

    def run(
        self,
        focus: Focus,
        *,
        interrupt: Callable[[], None] | None = None,
        store: DirectoryStore | None = None,
        plan_only: bool = False,
    ) -> Any:
        """A run that may fail or die; ``None`` if it did."""
        guard = self.trial.state().guard()
        self.held = {(pair.image, pair.account) for hold in guard.holds for pair in hold.pairs}
        self.taken = set()
        self.running, self.interrupt = True, interrupt
        owned = set(self.ours)
        try:
            if plan_only:
                return self.trial.plan().plan.changes
            applied = self.attempt(focus, store=store)
        except Died:
            self.trial.cloud.advance(LEASE_IS_OVER)
            return None
        finally:
            self.running, self.interrupt = False, None
        self.check_limits(owned)
        if applied is not None and interrupt is None:
            self.check_report(applied)
        return applied

    def attempt(self, focus: Focus, *, store: DirectoryStore | None = None) -> Applied | None:
        state = open_state(store, "trial") if store is not None else self.trial.state()
        try:
            return apply(self.trial.runtime(state=state), focus)
        except StopRun:
            return None

    def check_limits(self, owned: Pairs) -> None:
        """No image lost its whole audience, and no more was taken than may be, but for what was approved."""
        members = self.document()["members"]
        taken = self.taken - self.approved
        if self.policy["safety"]["hold_when"] is TIGHT:
            assert sum(account in members for _, account in taken) <= TIGHT["lost_pairs"]
        doubtful = {image for image, _ in self.unclear}  # somebody may be left there by a grant that is taken for ours
        for image in {image for image, _ in taken} - doubtful:
            had = {pair for pair in owned if pair[0] == image}
            whole = had <= self.taken
            assert not (whole and len(had) > 1), f"{image} lost its whole audience"

    def check_report(self, applied: Applied) -> None:
        """What is said to be done is so in the cloud."""
        for change in applied.done:
            pairs = {(change.images[0], account) for account in change.accounts}
            if change.action == "grant":
                assert pairs <= self.last
            else:
                assert not pairs & self.last
        settled = {(c.action, p) for c in applied.done for p in pairs_of(c)}
        settled |= {(f.change.action, p) for f in applied.failed for p in pairs_of(f.change)}
        planned = {(c.action, p) for c in applied.plan.changes for p in pairs_of(c)}
        assert settled <= planned
        busy = any(finding.kind == "busy" for finding in applied.plan.findings)
        refused = {(r.image, a) for r in applied.plan.refused for a in r.accounts}
        stuck = {(f.image, f.account) for f in applied.plan.findings if f.kind == "cannot-revoke"}
        if self.policy["mode"] != "observe" and not busy:
            left = {(p.image, p.account) for _, p in planned - settled}
            assert left <= refused | stuck, f"neither done, failed nor refused: {left - refused - stuck}"
        self.check_losses(applied)

    def check_losses(self, applied: Applied) -> None:
        """Whoever loses something is in the changes, held, or said to be unconfirmed, and only one of these."""
        plan, facts = applied.plan, applied.planned.facts
        changed = {pair for change in plan.changes if change.action == "revoke" for pair in pairs_of(change)}
        held = {pair for hold in plan.held for pair in hold.pairs}
        doubted = {
            loss.pair
            for loss in applied.planned.decisions.losses()
            if any(
                gap.why.startswith(f"{loss.pair.image}: could not be confirmed") and loss.pair.account in gap.why
                for gap in plan.incomplete
            )
        }
        if facts.proof.contradicted:
            assert any(facts.proof.contradicted in gap.why for gap in plan.incomplete)
            lied = {loss.pair for loss in applied.planned.decisions.losses() if loss.hangs_on_listing}
            doubted |= lied - held
        for loss in applied.planned.decisions.losses():
            found = (loss.pair in changed) + (loss.pair in held) + (loss.pair in doubted)
            assert found == 1, f"{loss} is in {found} places"

    def intended(self, image: str, account: str) -> bool:
        """Whether the state says that this grant was about to be made, so that a person's would be taken for it."""
        state = self.trial.state()
        for region in (REGION, OTHER_REGION):
            entry = state.read(Shard("ecs", OWNER, region)).ledger.entries(image).get(account)
            if entry is not None and entry.state != "made":
                return True
        return False

    def let_be_seen(self) -> None:
        """People act slowly: what they do is visible, and older than what comes next."""
        if self.trial.cloud.world().delays.share:
            self.trial.cloud.advance(SKEW)

    def draw_image(self, data: st.DataObject) -> str:
        image: str = data.draw(st.sampled_from(sorted(self.document()["images"])))
        return image


def chain(folder: str) -> set[str]:
    """A folder and all above it."""
    above = {folder}
    while folder != "root":
        folder = PARENTS[folder]
        above.add(folder)
    return above


def selects(wanted: Mapping[str, Any], image: str, name: str, tags: Mapping[str, str]) -> bool:
    """The three kinds of selectors that stories use."""
    if "ids" in wanted:
        return image in wanted["ids"]
    if "name" in wanted:
        return name.startswith(wanted["name"].removesuffix("*"))
    return all(tags.get(key) == value for key, value in wanted["tags"].items())


def fields(fault: Any) -> dict[str, Any]:
    return {name: getattr(fault, name) for name in fault.__struct_fields__}


TestStory = Story.TestCase
TestStory.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
