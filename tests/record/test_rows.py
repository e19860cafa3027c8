"""What a run makes of rows in resource shares, and that a state keeps them, old states included."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

import pytest
from msgspec.structs import replace

from orgshare.decide.deciding import decide
from orgshare.decide.decisions import ShardDecision
from orgshare.decide.facts import Facts
from orgshare.decide.shares import CREATE, STATE, Arrangement, Joining, audience_key
from orgshare.errors import NoAnswer, Refused, TryAgain
from orgshare.execute.associating import ShareOutcome
from orgshare.guard import GuardRecord
from orgshare.ledger import Entry, Ledger, Lost, RememberedRefusal, Setback, own_rows, settle_shares
from orgshare.policy.model import ImageSelector
from orgshare.record.ownership import associations_intended, associations_recorded, creation_recorded, settled_rows
from orgshare.record.state import State, begin, open_state
from orgshare.record.store import DirectoryStore
from orgshare.seen import Place, Seen
from orgshare.words import DEPLOYMENT, Association, ResourceShare, Sharing
from tests.support import facts as support
from tests.support.facts import (
    JUST_NOW,
    NOW,
    SHARD,
    SHARED,
    A,
    B,
    C,
    D,
    E,
    facts,
    image,
    ledger,
    made,
    policy,
    reading,
    rule,
)

SHARE = "rs-1"
GOLD, SILVER, BRONZE = image("gold"), image("silver"), image("bronze")
NAMES = ("m-gold", "m-silver", "m-bronze")
OURS = frozenset({(DEPLOYMENT, "golden-images"), (STATE, support.STATE)})
INVALID = Refused("it does not fit", code="InvalidTarget", request_id="r")


def rows(of: Iterable[str], *, state: str = "made", rules: tuple[str, ...] = ("golden",)) -> dict[str, Entry]:
    time = JUST_NOW if state == "made" else ""
    return {entity: Entry(state, NOW, rules=rules, shared_time=time) for entity in of}  # type: ignore[arg-type]


def with_rows(entries: Mapping[str, Entry], setbacks: Mapping[str, Setback] = MappingProxyType({})) -> Ledger:
    return Ledger(shares=MappingProxyType({SHARE: dict(entries)}), setbacks=setbacks)


def decision(
    images: Mapping[str, tuple[str, ...]], targets: Mapping[tuple[str, str], tuple[str, ...]]
) -> ShardDecision:
    return ShardDecision(
        shard=SHARD,
        arrangement=Arrangement(),
        ledger=Ledger(),
        shares=(),
        image_rules=images,
        target_rules=targets,
    )


# --- before the calls


def test_every_row_that_is_about_to_be_made_is_intended_with_its_rules() -> None:
    """Images with those that want them, targets with those of their audience; rows that are there stay as they are."""
    of = decision({"m-gold": ("one",), "m-silver": ("one", "two")}, {("key", A): ("one",), ("other", A): ("two",)})
    joining = Joining("key", SHARE, ("m-gold", "m-silver"), (A, B))
    found = associations_intended(with_rows(rows([C])), of, SHARE, joining, NOW)
    assert dict(found.rows(SHARE)) == {
        **rows([C]),
        "m-gold": Entry("intended", NOW, rules=("one",)),
        "m-silver": Entry("intended", NOW, rules=("one", "two")),
        A: Entry("intended", NOW, rules=("one",)),
        B: Entry("intended", NOW),
    }


def test_what_was_intended_before_and_never_seen_keeps_its_first_time() -> None:
    """It may still appear with the time of that asking."""
    before = with_rows(rows(["m-gold", A, B], state="intended"))
    later = NOW + timedelta(hours=2)
    found = associations_intended(before, decision({}, {}), SHARE, Joining("key", SHARE, ("m-gold",), (A,)), later)
    assert {e: (x.since, x.first) for e, x in found.rows(SHARE).items()} == {
        "m-gold": (later, NOW), A: (later, NOW), B: (NOW, None),
    }  # fmt: skip


# --- after the calls


def test_what_was_taken_is_accepted_with_the_time_of_its_row() -> None:
    """What the work did not come to stays intended: whether it is in has to be looked for."""
    outcome = ShareOutcome(share=SHARE, accepted={"m-gold": JUST_NOW, A: "", "m-stray": JUST_NOW})
    found = associations_recorded(with_rows(rows(["m-gold", A, B], state="intended")), [outcome], NOW)
    assert {e: (x.state, x.shared_time) for e, x in found.rows(SHARE).items()} == {
        "m-gold": ("accepted", JUST_NOW),
        A: ("accepted", ""),
        B: ("intended", ""),
    }
    assert found.setbacks == {}


def test_what_was_refused_was_never_made_and_waits_longer_each_time() -> None:
    """Until somebody does something it stays refused, so it lasts; other shares and entities are not touched."""
    earlier = Setback("InvalidTarget", "x", NOW - timedelta(hours=9), 3, lasting=True)
    before = with_rows(rows(["m-gold", A, B], state="intended"), {f"{SHARE}/{A}": earlier, "rs-2/m-gold": earlier})
    found = associations_recorded(before, [ShareOutcome(share=SHARE, refused={"m-gold": INVALID, A: INVALID})], NOW)
    assert set(found.rows(SHARE)) == {B}
    assert dict(found.setbacks) == {
        f"{SHARE}/m-gold": Setback("InvalidTarget", "it does not fit", NOW, 1, lasting=True),
        f"{SHARE}/{A}": Setback("InvalidTarget", "it does not fit", NOW, 4, lasting=True),
        "rs-2/m-gold": earlier,
    }


def test_what_was_refused_and_could_not_be_read_back_stays_ours() -> None:
    """The share may have taken it all the same: then the row is ours, and the next reading shows it."""
    outcome = ShareOutcome(share=SHARE, refused={"m-gold": INVALID, A: INVALID}, failed=TryAgain("throttled"))
    found = associations_recorded(with_rows(rows(["m-gold", A, B], state="intended")), [outcome], NOW)
    assert set(found.rows(SHARE)) == {"m-gold", A, B}
    assert set(found.setbacks) == {f"{SHARE}/m-gold", f"{SHARE}/{A}"}
    row = Association("m-gold", "Associated", JUST_NOW)
    share = ResourceShare(id=SHARE, images=(row,))
    assert own_rows([row], settle_shares(found, [share], NOW).rows(SHARE)) == {"m-gold"}


def test_a_row_that_was_there_before_our_intention_does_not_become_ours() -> None:
    """Read back after a refusal, it is a person's that no reading had shown; ours is one that appeared since."""
    outcome = ShareOutcome(share=SHARE, accepted={"m-gold": SHARED, A: SHARED, B: JUST_NOW})
    found = associations_recorded(with_rows(rows(["m-gold", A, B], state="intended")), [outcome], NOW)
    there = [Association(e, "Associated", time) for e, time in (("m-gold", SHARED), (A, SHARED), (B, JUST_NOW))]
    assert own_rows(there, found.rows(SHARE)) == {B}


def test_what_was_too_early_stays_intended_and_does_not_wait() -> None:
    """The next run tries it again."""
    outcome = ShareOutcome(share=SHARE, accepted={A: JUST_NOW}, early={"m-gold": "AssociateConflict"})
    found = associations_recorded(with_rows(rows(["m-gold", A, B], state="intended")), [outcome], NOW)
    assert (found.rows(SHARE)["m-gold"].state, found.setbacks) == ("intended", {})


def test_several_outcomes_are_recorded_one_after_the_other() -> None:
    """Each in its own share."""
    before = with_rows(rows(["m-gold", A], state="intended")).with_rows("rs-2", rows(["m-gold", B], state="intended"))
    outcomes = [
        ShareOutcome(share=SHARE, accepted={"m-gold": JUST_NOW}, refused={A: INVALID}),
        ShareOutcome(share="rs-2", accepted={B: JUST_NOW}, refused={"m-gold": INVALID}),
    ]
    found = associations_recorded(before, outcomes, NOW)
    assert {share: set(entries) for share, entries in found.shares.items()} == {SHARE: {"m-gold"}, "rs-2": {B}}
    assert set(found.setbacks) == {f"{SHARE}/{A}", "rs-2/m-gold"}


def test_a_share_that_could_not_be_made_waits_until_one_is_made() -> None:
    """A refusal lasts, a lost answer may pass; each failure in turn makes the wait longer."""
    quota = Refused("full", code="QuotaExceeded.ResourceShare.Count")
    once = creation_recorded(with_rows(rows([A])), NoAnswer("lost"), NOW)
    assert once.setbacks == {CREATE: Setback("no answer", "lost", NOW)}
    twice = creation_recorded(once, quota, NOW + timedelta(hours=1))
    assert twice.setbacks == {
        CREATE: Setback("QuotaExceeded.ResourceShare.Count", "full", NOW + timedelta(hours=1), 2, lasting=True)
    }
    assert creation_recorded(twice, None, NOW) == with_rows(rows([A]))
    assert creation_recorded(with_rows(rows([A])), None, NOW) == with_rows(rows([A]))


# --- the rules behind rows


def looked(of: Facts, share: ResourceShare) -> Facts:
    return replace(of, sharing={SHARD: Sharing((share,))})


def share(images: Iterable[str], targets: Iterable[str]) -> ResourceShare:
    def row(entity: str) -> Association:
        return Association(entity, "Associated", JUST_NOW)

    return ResourceShare(id=SHARE, tags=OURS, images=tuple(map(row, images)), targets=tuple(map(row, targets)))


def test_rows_follow_the_rules_that_want_them_now_and_keep_the_last_when_none_does() -> None:
    """A renamed rule is followed; what is to leave still knows for whom it was made."""
    one = share(NAMES, ["fd-test", A, E])
    old = rows([*NAMES, "fd-test", A, E], rules=("old",))
    of = facts(
        policy(
            rule("first", folders=["fd-test"], channel="directory"), rule("second", accounts=[A], channel="directory")
        ),
        *map(reading, (GOLD, SILVER, BRONZE)),
        known=with_rows(old),
    )
    decisions = decide(looked(of, one))
    found = settled_rows(with_rows(old), decisions.shards[SHARD], decisions.images).rows(SHARE)
    assert {entity: entry.rules for entity, entry in found.items()} == {
        **dict.fromkeys(NAMES, ("first", "second")),
        "fd-test": ("first",),
        A: ("second",),
        E: ("old",),
    }
    assert {entity: replace(entry, rules=()) for entity, entry in found.items()} == {
        entity: replace(entry, rules=()) for entity, entry in old.items()
    }


def test_an_image_in_a_second_share_keeps_the_rules_there_until_it_left() -> None:
    """It is at home in the other one, for the rules that want it now."""
    shares = (share(NAMES, ["fd-test"]), replace(share(NAMES, ["fd-test", E]), id="rs-2"))
    old = rows([*NAMES, "fd-test", E], rules=("old",))
    known = with_rows({e: x for e, x in old.items() if e != E}).with_rows("rs-2", old)
    of = facts(
        policy(rule("new", folders=["fd-test"], channel="directory")),
        *map(reading, (GOLD, SILVER, BRONZE)),
        known=known,
    )
    decisions = decide(replace(of, sharing={SHARD: Sharing(shares)}))
    found = settled_rows(known, decisions.shards[SHARD], decisions.images)
    assert {x.rules for x in found.rows(SHARE).values()} == {("new",)}
    assert found.rows("rs-2") == old


def test_the_rules_of_a_share_that_nothing_calls_home_stay() -> None:
    """Its images belong elsewhere now."""
    one = share(NAMES, ["fd-test"])
    old = rows([*NAMES, "fd-test"], rules=("old",))
    only = ImageSelector(ids=frozenset({"m-none"}))
    of = facts(
        policy(rule(folders=["fd-test"], channel="directory", images=only)), *map(reading, (GOLD, SILVER, BRONZE)),
        known=with_rows(old),
    )  # fmt: skip
    decisions = decide(looked(of, one))
    assert settled_rows(with_rows(old), decisions.shards[SHARD], decisions.images) == with_rows(old)


def test_what_is_intended_of_a_decision_knows_its_rules_too() -> None:
    """From the plan of a real decision to the ledger: a new share with three images and its target."""
    of = facts(
        policy(rule("one", folders=["fd-test"], channel="directory"), rule("two", folders=["fd-test"], channel="auto")),
        *map(reading, (GOLD, SILVER, BRONZE)),
    )
    decisions = decide(replace(of, sharing={SHARD: Sharing()}))
    shard = decisions.shards[SHARD]
    (joining,) = shard.arrangement.joining
    assert joining.audience == audience_key(["fd-test"])
    found = associations_intended(Ledger(), shard, SHARE, joining, NOW).rows(SHARE)
    assert {e: x.rules for e, x in found.items()} == dict.fromkeys([*NAMES, "fd-test"], ("one", "two"))


# --- the state


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "state", lambda: NOW)


@pytest.fixture
def state(store: DirectoryStore) -> State:
    return begin(store, deployment="golden", directory="rd-1", identity="one", now=NOW)


FULL = Ledger(
    grants=ledger(gold=made(A, B), silver=made(C)).grants,
    refusals=MappingProxyType({"m-gold": (RememberedRefusal("over-quota", "QuotaExceed.ShareImageUser", NOW, (C,)),)}),
    absent=MappingProxyType({"m-silver": 1}),
    shares=MappingProxyType(
        {
            SHARE: {**rows(["m-gold", "m-silver", A]), **rows(["m-bronze", "fd-test"], state="intended")},
            "rs-2": {"rd-1": Entry("accepted", NOW, missing=1, first=NOW - timedelta(hours=1))},
        }
    ),
    setbacks=MappingProxyType(
        {
            CREATE: Setback("QuotaExceeded.ResourceShare.Count", "full", NOW, 3, lasting=True),
            f"{SHARE}/m-gold": Setback("Failed", "no reason", NOW, 1, JUST_NOW),
            f"{SHARE}/{A}": Setback("Failed", "", NOW + timedelta(microseconds=1), 2, JUST_NOW, lasting=True),
        }
    ),
    strangers=MappingProxyType({"m-gold": {D: SHARED, E: ""}, "m-silver": {D: JUST_NOW}}),
    lost=MappingProxyType({"m-gold": {D: Lost(NOW, ("golden",), departed=True), E: Lost(NOW, approved=True)}}),
    made=frozenset({SHARE, "rs-2", "rs-empty"}),
    reached=MappingProxyType({"m-gold": frozenset({A, B}), "m-silver": frozenset({A, B}), "m-bronze": frozenset({C})}),
)


def test_rows_setbacks_and_strangers_come_back_as_they_were(store: DirectoryStore, state: State) -> None:
    """From a fresh object too; and nothing of what was read can be changed."""
    state.write(SHARD, state.read(SHARD), FULL, run="r1")
    again = open_state(store, "golden").read(SHARD)
    assert (again.ledger, again.number) == (FULL, 1)
    for mapping in (again.ledger.shares[SHARE], again.ledger.strangers["m-gold"], again.ledger.setbacks):
        with pytest.raises(TypeError):
            mapping["x"] = None  # type: ignore[index]


def test_an_empty_ledger_writes_none_of_it(store: DirectoryStore, state: State) -> None:
    """Whoever reads the state by eye sees only what there is."""
    state.write(SHARD, state.read(SHARD), ledger(gold=made(A, B, C)), run="r1")
    (item,) = store.listed(f"shards/{SHARD}").objects
    written = json.loads(store.get(item.name) or b"")
    assert set(written) == {"format", "run", "lease", "grants"}


def test_a_state_from_before_resource_shares_still_reads(store: DirectoryStore, state: State) -> None:
    """Its grants are ours as before, and nothing is known of shares."""
    entry = {"state": "made", "since": "2026-11-01T00:00:00Z", "rules": ["golden"], "shared_time": SHARED}
    old = {
        "format": 1,
        "written": "2026-11-20T00:00:00Z",
        "run": "old",
        "grants": {"m-gold": {A: entry, B: {**entry, "kind": "partner"}}, "m-silver": {C: entry}},
        "refusals": {"m-gold": [{"reason": "refused", "code": "x", "at": "2026-11-20T00:00:00Z"}]},
        "absent": {"m-silver": 1},
    }
    assert store.put_new(f"shards/{SHARD}/{10**12 - 2:012d}.json", json.dumps(old).encode())
    found = state.read(SHARD)
    assert {name: set(entries) for name, entries in found.ledger.grants.items()} == {"m-gold": {A, B}, "m-silver": {C}}
    assert (found.number, found.ledger.absent) == (1, {"m-silver": 1})
    assert (found.ledger.shares, found.ledger.setbacks, found.ledger.strangers) == ({}, {}, {})
    state.write(SHARD, found, FULL, run="new")
    assert state.read(SHARD).ledger == FULL


def test_a_state_that_never_saw_the_organization_remembers_nobody(state: State) -> None:
    """So nobody is settled, and nobody has vanished."""
    assert state.seen() == Seen()
    assert (state.seen().settled(NOW, timedelta(0)), state.seen().vanished()) == (frozenset(), {})


def test_where_members_were_seen_comes_back_as_it_was(store: DirectoryStore, state: State) -> None:
    """Also who vanished; seeing the same again writes nothing, and the guard's record is apart."""
    day = timedelta(days=1)
    seen = Seen(
        MappingProxyType(
            {
                A: Place("fd-prod", NOW, NOW - day),
                B: Place("fd-eu", NOW - day, NOW - 2 * day),
                C: Place("r-1", NOW - day, NOW - day, gone=NOW),
            }
        ),
        MappingProxyType({"fd-prod": ("r-1", "fd-prod"), "fd-eu": ("r-1", "fd-prod", "fd-eu"), "r-1": ("r-1",)}),
    )
    for _ in range(2):
        state.update_seen(lambda _: seen, run="r1")
    again = open_state(store, "golden")
    assert again.seen() == seen
    assert again.seen().vanished() == {C: ("r-1",)}
    assert len(store.listed("organization").objects) == 1
    assert (again.guard(), again.shards()) == (GuardRecord(), ())


def test_who_was_overtaken_while_seeing_keeps_what_the_faster_one_saw(state: State) -> None:
    """It has read later; the next run sees again."""

    def place(folder: str) -> Seen:
        return Seen(MappingProxyType({A: Place(folder, NOW, NOW)}), MappingProxyType({folder: ("r-1", folder)}))

    def overtaken(_: Seen) -> Seen:
        state.update_seen(lambda _: place("fd-faster"), run="other")
        return place("fd-slower")

    state.update_seen(overtaken, run="r")
    assert state.seen() == place("fd-faster")
