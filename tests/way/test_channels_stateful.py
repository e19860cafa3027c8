"""Anything that happens to an organization, its images, its shares and its policy, in any order: one channel for all.

The reference below knows the policy's audiences and the world's hand-made shares, and nothing of the program.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition
from hypothesis.stateful import rule as step

from localcloud import LocalCloud
from localcloud.inprocess import in_process
from localcloud.world import Switches, world_document
from orgshare.way.applying import Applied
from tests.support.trial import (
    MANAGEMENT,
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
    rule,
    world,
)  # fmt: skip

IMAGES = ("m-gold", "m-silver", "m-bronze")
FOLDERS = {
    "fd-prod": "root", "fd-eu": "fd-prod", "fd-south": "fd-eu", "fd-test": "root", "fd-empty": "root",
    "fd-hollow": "fd-prod",
}  # fmt: skip
MEMBERS = (A, B, C, D, E)
NEWCOMERS = ("4000000000000001", "4000000000000002")
SETTLE = 16 * 60
ROUNDS = 12

AUDIENCES: tuple[dict[str, Any], ...] = (
    {"folders": ["root"]},
    {"folders": ["fd-prod"]},
    {"folders": ["fd-prod", "fd-empty"]},
    {"folders": ["root"], "except": {"folders": ["fd-eu"]}},
    {"folders": ["fd-prod"], "except": {"accounts": [B]}},
    {"folders": ["root"], "except": {"accounts": [A], "accept_moves": True}},
    {"folders": ["root"], "account_tags": {"env": "prod"}},
    {"accounts": [A, C, D]},
    {"folders": ["fd-eu"], "accounts": [D], "partners": [PARTNER]},
    {"partners": [PARTNER]},
)
CHANNELS = ("auto", "auto", "directory", "direct")
SELECTIONS: tuple[dict[str, Any], ...] = (
    {"tags": {"share": "org"}}, {"ids": ["m-gold"]}, {"ids": ["m-silver", "m-bronze"]}, {"name": "*o*"},
)  # fmt: skip

Users = Mapping[str, frozenset[str]]

switches = st.fixed_dictionaries(
    {
        "covered_in_permission_list": st.booleans(),
        "nested_folder_targets": st.booleans(),
        "is_self_shared": st.sampled_from(["bool", "string", "absent"]),
        "covered_self_shared": st.booleans(),
        "repeated_add": st.sampled_from(["ok", "error", "refresh"]),
        "remove_unshared": st.sampled_from(["ok", "error"]),
        "repeated_association": st.sampled_from(["ok", "error"]),
        "partial_association": st.sampled_from(["none", "some"]),
        "management_covered": st.booleans(),
        "aliyun_id": st.sampled_from(["string", "number"]),
        "management_in_lists": st.booleans(),
        "over_ten": st.sampled_from(["first", "ignored"]),
        "add_and_remove": st.sampled_from(["add", "remove"]),
        "partial_apply": st.sampled_from(["none", "some"]),
        "deprecated_removal": st.sampled_from(["ok", "error"]),
        "disk_encryption_shown": st.booleans(),
        "encrypted_snapshots_listed": st.booleans(),
        "share_role_permission": st.sampled_from(["checked", "unchecked"]),
        "covered_count_to_quota": st.booleans(),
        "covered_block_delete": st.booleans(),
        "root_folder_target": st.sampled_from(["refused", "accepted"]),
        "bucket_elsewhere": st.sampled_from(["AccessDenied", "PermanentRedirect"]),
    }
)


OF_PERMISSIONS = {"access_denied_detail", "root_assumes_roles"}
"""Nobody lacks a permission in these stories; tests/localcloud/test_permissions.py asks both."""

OF_DESKTOPS = {"eds_beyond_cap", "eds_several_at_once", "eds_received_type"}
"""Nobody has Elastic Desktop Service in these stories; tests/way/test_desktops.py asks them together with others."""


@given(switches)
def test_every_switch_of_the_local_cloud_is_tried(positions: dict[str, Any]) -> None:
    """A question that the vendor leaves open and that is not asked here would be answered by luck."""
    assert set(positions) | OF_PERMISSIONS | OF_DESKTOPS == set(Switches.__struct_fields__)


class Organization(RuleBasedStateMachine):
    """A world that changes, a policy that changes, and runs that are to bring the two together."""

    def __init__(self) -> None:
        super().__init__()
        self.open = ExitStack()
        self.folder = Path(self.open.enter_context(TemporaryDirectory()))
        self.wrong: list[str] = []
        self.before: Users = {}
        self.running = False
        self.gap_agreed = False
        self.granted_by_hand: set[tuple[str, str]] = set()
        self.hand_shares: dict[str, dict[str, Any]] = {}
        self.made = 0
        self.lag = 0
        self.moved_at: dict[str, float] = {}

    def teardown(self) -> None:
        self.open.close()

    @initialize(
        positions=switches,
        said=st.booleans(),
        delay=st.sampled_from([0, 90]),
        lag=st.sampled_from([0, 300]),
        first=st.lists(
            st.tuples(st.sampled_from(AUDIENCES), st.sampled_from(CHANNELS), st.sampled_from(SELECTIONS)),
            min_size=1, max_size=2,
        ),
    )  # fmt: skip
    def begin(
        self,
        positions: dict[str, Any],
        said: bool,
        delay: int,
        lag: int,
        first: list[tuple[dict[str, Any], str, dict[str, Any]]],
    ) -> None:
        """Any position of any switch; the policy may say how folder targets nest, and then it is true."""
        self.lag = lag
        nests = positions["nested_folder_targets"]
        self.nested = ("yes" if nests else "no") if said else "unknown"
        base = world()
        members = {
            OWNER: {"name": "images", "folder": "root"},
            A: {"name": "a", "folder": "fd-prod", "tags": {"env": "prod"}},
            B: {"name": "b", "folder": "fd-eu", "tags": {"env": "prod"}},
            C: {"name": "c", "folder": "fd-south"},
            D: {"name": "d", "folder": "fd-test"},
            E: {"name": "e", "folder": "root", "tags": {"env": "prod"}},
        }
        folders = {key: {"name": key[3:], "parent": parent} for key, parent in FOLDERS.items()}
        self.trial = Trial(
            self.folder,
            world={
                **base,
                "directory": {**base["directory"], "folders": folders, "members": members},
                "outsiders": [PARTNER, STRANGER, *NEWCOMERS],
                "switches": positions,
                "delays": {"association": delay, "coverage": lag},
            },
            policy=self._policy(first),
        )
        self.open.enter_context(in_process(self.trial.cloud))
        self.trial.cloud.on_write(self.watch)
        self.settle()

    def _policy(self, rules: Iterable[tuple[dict[str, Any], str, dict[str, Any]]]) -> dict[str, Any]:
        chosen = list(rules)
        self.chosen = [(audience, selection) for audience, _, selection in chosen]
        self.channels = {channel for _, channel, _ in chosen}
        document = policy(
            rules=[
                rule(f"rule-{number}", selection, channel=channel, **audience)
                for number, (audience, channel, selection) in enumerate(chosen)
            ]
        )
        document["directory"]["nested_folder_targets"] = self.nested
        return document

    # --- the reference: who should have what, and what people made

    def wanted(self) -> set[tuple[str, str]]:
        """Every pair that a rule names, read off the world as it is."""
        state = self.trial.cloud.world()
        directory = state.directory
        assert directory is not None
        pairs = set()
        for audience, selection in self.chosen:
            accounts = {a for a in audience.get("accounts", ()) if a in directory.members}
            named = audience.get("folders", ["root"] if "account_tags" in audience else [])
            for account, member in directory.members.items():
                chain = self._chain(member.folder)
                tags = audience.get("account_tags", {})
                if set(named) & set(chain) and all(member.tags.get(key) == value for key, value in tags.items()):
                    accounts.add(account)
            accounts |= set(audience.get("partners", ()))
            taken = audience.get("except", {})
            accounts -= set(taken.get("accounts", ()))
            accounts -= {
                a for a, m in directory.members.items() if set(taken.get("folders", ())) & set(self._chain(m.folder))
            }
            for image_id, image in state.images.items():
                if self._selects(selection, image_id, image.name):
                    pairs |= {(image_id, account) for account in accounts - {image.owner}}
        return pairs

    def _chain(self, folder: str) -> list[str]:
        chain = [folder]
        while chain[-1] != "root":
            chain.append(FOLDERS[chain[-1]])
        return chain

    @staticmethod
    def _selects(selection: dict[str, Any], image: str, name: str) -> bool:
        if "ids" in selection:
            return image in selection["ids"]
        return "o" in name if "name" in selection else True

    def covered_by_hand(self) -> set[tuple[str, str]]:
        """What the hand-made shares reach, as the switches have it."""
        state = self.trial.cloud.world()
        assert state.directory is not None
        nests = state.switches.nested_folder_targets
        pairs = set()
        for share in self.hand_shares.values():
            for target in share["targets"]:
                for account, member in state.directory.members.items():
                    folders = self._chain(member.folder) if nests else [member.folder]
                    if target in {"rd-trial", account, *folders}:
                        pairs |= {(image, account) for image in share["images"] if account != OWNER}
        return pairs

    # --- what is looked at after every write

    def watch(self, cloud: LocalCloud) -> None:
        if not self.running:
            return
        now = cloud.users()
        wanted = self.wanted_now
        for image in {*self.before, *now}:
            lost = self.before.get(image, frozenset()) - now.get(image, frozenset())
            gained = now.get(image, frozenset()) - self.before.get(image, frozenset())
            kept = {account for account in lost if (image, account) in wanted}
            if kept and not self.gap_agreed:
                self.wrong.append(f"{image}: {sorted(kept)} lost it for a moment")
            # Whom the cloud still counts where it was, and the management account, are its own affair.
            lagging = {a for a, moved in self.moved_at.items() if cloud.clock.now() - moved < self.lag}
            stray = {a for a in gained - lagging if (image, a) not in wanted and a != MANAGEMENT}
            if stray:
                self.wrong.append(f"{image}: {sorted(stray)} got it, whom no rule wants")
        self.before = now

    def run(self) -> Applied:
        self.wanted_now = self.wanted()
        self.before = self.trial.cloud.users()
        self.running = True
        applied = self.trial.apply()
        self.running = False
        self.gap_agreed = False
        assert not applied.failed, applied.failed
        return applied

    @invariant()
    def nothing_was_wrong(self) -> None:
        assert not self.wrong, self.wrong

    # --- what happens

    def patch(self, **part: Any) -> None:
        self.trial.patch(**part)

    @step(account=st.sampled_from(NEWCOMERS + MEMBERS), folder=st.sampled_from(["root", *FOLDERS]))
    def join_or_move(self, account: str, folder: str) -> None:
        self.moved_at[account] = self.trial.cloud.clock.now()
        tags = {"env": "prod"} if account in NEWCOMERS else {}
        self.patch(directory={"members": {account: {"name": account, "folder": folder, "tags": tags}}})

    @step(account=st.sampled_from(NEWCOMERS + MEMBERS))
    def leave(self, account: str) -> None:
        self.moved_at[account] = self.trial.cloud.clock.now()
        self.patch(directory={"members": {account: None}})

    @step(number=st.integers(1, 2))
    def add_images(self, number: int) -> None:
        for _ in range(number):
            self.made += 1
            row = {"owner": OWNER, "region": REGION, "name": f"o-{self.made}", "tags": {"share": "org"}}
            self.patch(images={f"m-new{self.made}": row})

    @step(image=st.sampled_from(IMAGES), account=st.sampled_from((*MEMBERS, STRANGER)))
    def grant_by_hand(self, image: str, account: str) -> None:
        """Only where nothing of ours is: a second grant to one account would be the same row."""
        grants = self.trial.cloud.world().grants
        if account not in grants.get(image, ()):
            self.patch(grants={image: [*grants.get(image, ()), account]})
            self.granted_by_hand.add((image, account))

    @step(
        name=st.sampled_from(["rs-hand1", "rs-hand2"]),
        images=st.sets(st.sampled_from(IMAGES), min_size=1),
        reaching=st.sets(st.sampled_from(["rd-trial", "fd-prod", "fd-test", "fd-south", A, D]), min_size=1, max_size=2),
    )
    def share_by_hand(self, name: str, images: set[str], reaching: set[str]) -> None:
        members = world_document(self.trial.cloud.world())["directory"]["members"]
        targets = {target for target in reaching if not target.isdigit() or target in members}
        share = {
            "owner": OWNER, "region": REGION, "name": "by-hand", "images": sorted(images), "targets": sorted(targets),
        }  # fmt: skip
        self.hand_shares[name] = share
        self.patch(resource_shares={name: share})

    @step(name=st.sampled_from(["rs-hand1", "rs-hand2"]))
    def end_share_by_hand(self, name: str) -> None:
        if self.hand_shares.pop(name, None):
            self.patch(resource_shares={name: None})

    @step(
        rules=st.lists(
            st.tuples(st.sampled_from(AUDIENCES), st.sampled_from(CHANNELS), st.sampled_from(SELECTIONS)), max_size=3
        ),
        sweeps=st.integers(0, 3),
    )
    def change_policy(self, rules: list[tuple[dict[str, Any], str, dict[str, Any]]], sweeps: int) -> None:
        """Another policy, and what follows from it: approved each time, with or without time to take effect."""
        self.trial.write_policy(self._policy(rules))
        for number in range(sweeps):
            self.approve()
            self.trial.cloud.advance((1, 120, SETTLE)[number])

    @step(channel=st.sampled_from(CHANNELS), audience=st.sampled_from(AUDIENCES), sweeps=st.integers(1, 3))
    def change_one_rule(self, channel: str, audience: dict[str, Any], sweeps: int) -> None:
        """The first rule gets another channel or audience, the others stay."""
        others = [(kept, "auto", selection) for kept, selection in self.chosen[1:]]
        first = self.chosen[0][1] if self.chosen else SELECTIONS[0]
        self.change_policy([(audience, channel, first), *others], sweeps)

    @step(enabled=st.booleans())
    def enable_sharing(self, enabled: bool) -> None:
        self.patch(directory={"sharing_enabled": enabled})

    @step(seconds=st.sampled_from([1, 30, 120, SETTLE]))
    def time_passes(self, seconds: int) -> None:
        self.trial.cloud.advance(seconds)

    @step()
    def sweep(self) -> None:
        self.run()

    @step()
    def approve(self) -> None:
        self.gap_agreed = any(
            loss.cause == "channel" for loss in self.trial.plan().decisions.losses()
        )  # a person agrees to a gap
        self.trial.approve_all()
        self.run()

    @precondition(lambda self: not self.wrong)
    @step()
    def settle(self) -> None:
        """Sweeps until nothing is pending; then everything is as it should be, and one sweep more plans nothing.

        What the cloud itself is late with is waited for first: no call of ours makes it faster.
        """
        self.trial.cloud.advance(self.lag)
        for _ in range(ROUNDS):
            applied = self.run()
            if applied.plan.held:
                self.gap_agreed = any("change to direct" in hold.why for hold in applied.plan.held)
                self.trial.approve_all()
            elif not applied.plan.changes and not applied.plan.pending:
                break
            self.trial.cloud.advance(SETTLE)
        else:
            note(f"{applied.plan.changes} {applied.plan.pending} {applied.plan.held}")
            raise AssertionError(f"not settled after {ROUNDS} sweeps")
        assert not self.wrong, self.wrong
        self.check(applied)
        again = self.trial.plan().plan
        assert again.changes == ()

    def check(self, applied: Applied) -> None:
        wanted, by_hand = self.wanted(), self.covered_by_hand()
        refused = {(r.image, account) for r in applied.plan.refused for account in r.accounts}
        unsure = {(f.image, f.account) for f in applied.plan.findings if f.kind == "unsure-coverage"}
        conflicts = [finding for finding in applied.plan.findings if finding.kind == "channel-conflict"]
        shares = self.trial.cloud.world().resource_shares
        channels = self.trial.cloud.channels()
        frozen = {gap.name for gap in applied.plan.incomplete if gap.where == "rule"}
        for image, row in self.trial.cloud.world().images.items():
            selecting = {
                f"rule-{n}" for n, (_, chosen) in enumerate(self.chosen) if self._selects(chosen, image, row.name)
            }
            if selecting & frozen:
                continue  # an excepted account is not in the organization: nothing is concluded for that rule
            # What stays because somebody who is wanted has nothing else is said for this image, or for a share with it.
            conflict = any(
                image == each.image
                or (not each.image and any(s in each.why and image in shares[s].images for s in shares))
                for each in conflicts
            )
            direct = channels.get(image, {}).get("direct", frozenset())
            directory = channels.get(image, {}).get("directory", frozenset())
            for account in direct | directory | {account for of, account in wanted if of == image}:
                pair = (image, account)
                if account == MANAGEMENT:
                    continue  # whether a share reaches it is a switch
                if pair in wanted:
                    assert account in direct | directory or pair in refused | unsure, f"{pair} is without a channel"
                    doubled = account in direct and account in directory
                    assert not doubled or pair in self.granted_by_hand | unsure, f"{pair} has two channels"
                else:
                    assert account not in direct or pair in self.granted_by_hand, f"{pair} was left with a grant"
                    assert account not in directory or pair in by_hand or conflict, f"{pair} was left with a share"
        grants = self.trial.cloud.world().grants
        for image, account in self.granted_by_hand:
            assert account in grants.get(image, ()), f"a hand-made grant of {image} to {account} is gone"
        members = self.trial.cloud.world().directory
        assert members is not None
        for name, share in self.hand_shares.items():
            assert sorted(shares[name].images) == share["images"]
            assert set(shares[name].targets) <= set(share["targets"])


TestOrganization = Organization.TestCase
TestOrganization.settings = settings(
    max_examples=20, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck)
)
