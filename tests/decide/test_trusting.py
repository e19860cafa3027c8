"""Whom a sharing role has to let in for the encrypted images, and of whom nothing is known that needs it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest
from msgspec.structs import replace

from orgshare.decide.coverage import Coverage
from orgshare.decide.deciding import decide
from orgshare.decide.decisions import Decisions, RoleDecision
from orgshare.decide.facts import Facts, RoleFacts
from orgshare.decide.plan import Finding, Reason, Refusal
from orgshare.decide.refusals import remedy_of
from orgshare.decide.trusting import removable, unneeded, with_removals
from orgshare.ledger import Entry, Ledger
from orgshare.policy.model import Mode, Owner
from orgshare.trust import Principal, RoleLedger, read_trust
from orgshare.words import Image, Incomplete, Pair, Shard, Sharing, wide_shard
from tests.support.facts import (
    NOW,
    SHARD,
    STRANGER,
    A,
    B,
    C,
    D,
    E,
    by_hand,
    facts,
    image,
    policy,
    reading,
    rule,
)

EVERYBODY = (A, B, C, D, E)
OWNER = image("gold").shard.owner
OTHER = "1000000000000003"
GONE = "1000000000000077"


def role(*accounts: str, ours: Mapping[str, str] | None = None, **more: Any) -> RoleFacts:
    """A role that lets these accounts in; ``ours`` says of some for which image we put them in."""
    names = ["ecs.aliyuncs.com", *(f"{account}@ecs.aliyuncs.com" for account in accounts)]
    statement = {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Service": names}}
    principals = {
        account: Principal(state="made", since=NOW - timedelta(days=1), images=(of,))
        for account, of in (ours or {}).items()
    }
    ledger = RoleLedger(principals=MappingProxyType(principals))
    return RoleFacts(trust=read_trust(json.dumps({"Version": "1", "Statement": [statement]})), ledger=ledger, **more)


def authorized(*images: Image, having: tuple[str, ...] = (), mode: Mode = "enforce", **role_of: RoleFacts) -> Facts:
    """Facts about images that everybody is to have and some have, under a rule that authorizes encrypted ones."""
    one = replace(rule("all", folders=["root"]), encrypted="authorize")
    found = facts(policy(one, mode=mode), *(reading(each, *having) for each in images))
    return replace(found, roles=MappingProxyType({OWNER: role_of.get("role", role())}))


def grants(decided: Decisions) -> dict[str, tuple[str, ...]]:
    return {decision.image.id: tuple(sorted(decision.grants)) for decision in decided.images}


SEALED, PLAIN = image("gold", encrypted=True), image("silver", encrypted=False)


def test_who_gets_an_encrypted_image_is_added_and_nobody_else() -> None:
    """Whom the role has already is needed and not added."""
    decided = decide(authorized(SEALED, PLAIN, role=role(A, "1000000000000077")))
    assert grants(decided) == {"m-gold": EVERYBODY, "m-silver": EVERYBODY}
    assert decided.roles[OWNER].adding == (B, C, D, E)
    assert decided.roles[OWNER].needs == {account: frozenset({"m-gold"}) for account in EVERYBODY}
    assert decided.roles[OWNER].removing == ()


def test_plain_images_ask_nothing_of_the_role() -> None:
    """A role that cannot be read does not matter to them either."""
    decided = decide(authorized(PLAIN, role=RoleFacts(unread="no answer")))
    assert (grants(decided), dict(decided.roles), decided.incomplete) == ({"m-silver": EVERYBODY}, {}, ())


@pytest.mark.parametrize(("unread", "reasons"), [("no answer", set()), ("", {"encrypted-without-role"})])
def test_without_a_role_nobody_new_gets_an_encrypted_image(unread: str, reasons: set[str]) -> None:
    """A role that is missing is a refusal, and one that could not be read is said to be unread; plain ones go on."""
    decided = decide(authorized(SEALED, PLAIN, role=RoleFacts(unread=unread)))
    assert grants(decided) == {"m-gold": (), "m-silver": EVERYBODY}
    assert {refusal.reason for decision in decided.images for refusal in decision.refusals} == reasons
    assert any("no answer" in gap.why for gap in decided.incomplete) == bool(unread)


def test_who_does_not_fit_is_refused_by_name_and_who_has_an_image_goes_first() -> None:
    """The first in their order fit; whoever has the image already comes before them. It is said how many fit."""
    found = authorized(SEALED, having=(E,))
    (owner,) = found.policy.owners
    length = len(json.dumps(json.loads(role(A, E).trust.document), separators=(",", ":"))) + 120  # type: ignore[union-attr]
    found = replace(found, policy=replace(found.policy, owners=(replace(owner, trust_policy_length=length),)))
    decided = decide(found)
    adding = decided.roles[OWNER].adding
    assert E in adding
    assert 1 < len(adding) < len(EVERYBODY)
    (refusal,) = decided.images[0].refusals
    left = tuple(account for account in EVERYBODY if account not in adding)
    assert refusal == Refusal(
        image="m-gold",
        rules=("all",),
        reason="encrypted-role-full",
        accounts=left,
        accounts_total=len(left),
        remedy=f"{remedy_of('encrypted-role-full')} (now {length} characters, {len(adding)} more accounts fit)",
    )
    assert remedy_of("encrypted-role-full").startswith("the trust policy of the sharing role has no place for them: ")
    assert set(decided.images[0].grants) == set(adding) - {E}


def test_who_has_an_image_and_is_not_let_in_is_told_of() -> None:
    """Whatever the reason, it cannot use what it has."""
    decided = decide(authorized(SEALED, having=(A,), role=RoleFacts()))
    assert {(f.kind, f.image, f.account) for f in decided.findings if f.kind == "untrusted"} == {
        ("untrusted", "m-gold", A)
    }


DENYING = {"Action": "sts:AssumeRole", "Effect": "Deny", "Principal": {"Service": [f"{B}@ecs.aliyuncs.com"]}}
DENIED = RoleFacts(trust=read_trust(json.dumps({"Version": "1", "Statement": [DENYING]})))
SILVER, BRONZE = image("silver", encrypted=True), image("bronze", encrypted=True)


@pytest.mark.parametrize(
    ("of", "reason", "left", "remedy"),
    [
        (RoleFacts(unread="no answer"), None, EVERYBODY, "no answer"),
        (
            RoleFacts(),
            "encrypted-without-role",
            EVERYBODY,
            "create the role AliyunECSShareEncryptImageDefaultRole in the owner's account, with a policy that lets it "
            "use the key, and let the rule say encrypted: authorize, so that the role is kept to trust whoever gets "
            "the image",
        ),
        (DENIED, "encrypted-refused", (B,), "take it out of the statements of the sharing role that deny it"),
    ],
)
def test_whom_the_role_cannot_let_in_is_told_with_what_helps(
    of: RoleFacts, reason: Reason | None, left: tuple[str, ...], remedy: str
) -> None:
    """Of each image: who lacks it is refused it, and who has it cannot use it. A stranger who has it is no concern."""
    found = authorized(SEALED, SILVER, BRONZE, role=of)
    having = (reading(SEALED, B), reading(SILVER, B, C, STRANGER), reading(BRONZE))
    decided = decide(replace(found, readings=having))
    has = {"m-bronze": frozenset[str](), "m-gold": frozenset({B}), "m-silver": frozenset({B, C})}
    why = f"it has an encrypted image and cannot use it, as the sharing role does not trust it: {remedy}"
    assert [f for f in decided.findings if f.kind == "untrusted"] == [
        Finding("untrusted", name, account, why) for name in has for account in sorted(has[name]) if account in left
    ]
    refused = {name: tuple(a for a in left if a not in has[name]) for name in has}
    assert [refusal for decision in decided.images for refusal in decision.refusals] == [
        Refusal(
            image=name,
            rules=("all",),
            reason=reason,
            accounts=accounts,
            accounts_total=len(accounts),
            remedy=remedy,
        )
        for name, accounts in refused.items()
        if reason is not None and accounts
    ]
    assert grants(decided) == {
        name: tuple(a for a in EVERYBODY if a not in has[name] and a not in left) for name in has
    }
    gets = {a: frozenset(n for n in has if a not in left) for a in EVERYBODY if a not in left}
    assert decided.roles == {OWNER: RoleDecision(owner=OWNER, needs=gets, adding=tuple(gets), rules=("all",))}


def owned_by_another(of: Facts, *readings: Image, role: RoleFacts | None = None) -> Facts:
    """The same with images of a second owner, and perhaps with its role."""
    shard = Shard("ecs", OTHER, "cn-hangzhou")
    return replace(
        of,
        policy=replace(of.policy, owners=(*of.policy.owners, Owner(OTHER, ("cn-hangzhou",)))),
        readings=(*of.readings, *(reading(replace(each, shard=shard)) for each in readings)),
        sharing={**of.sharing, shard: Sharing()},
        ledgers={**of.ledgers, shard: Ledger()},
        roles={**of.roles, **({OTHER: role} if role is not None else {})},
    )


def test_an_owner_whose_role_nobody_needs_hides_no_other() -> None:
    """Its image is deprecated and nobody has it. The role of the next owner was not read, and that is said."""
    found = owned_by_another(authorized(replace(SEALED, status="Deprecated")), SILVER, BRONZE)
    decided = decide(found)
    why = "the sharing role cannot be read, so no encrypted image is given to anybody new: it was not read"
    assert decided.incomplete == (Incomplete("shard", str(wide_shard(OTHER)), why),)
    assert decided.roles == {OTHER: RoleDecision(owner=OTHER, rules=("all",))}
    assert grants(decided) == {"m-bronze": (), "m-gold": (), "m-silver": ()}


def test_who_gets_no_place_of_an_image_is_not_let_in_for_it() -> None:
    """Two can have each image; who is wanted beyond them gets nothing, so nothing is needed for them."""
    found = authorized(SEALED, SILVER, BRONZE)
    (owner,) = found.policy.owners
    decided = decide(replace(found, policy=replace(found.policy, owners=(replace(owner, accounts_per_image=2),))))
    names = frozenset({"m-bronze", "m-gold", "m-silver"})
    expected = RoleDecision(owner=OWNER, needs={A: names, B: names}, adding=(A, B), rules=("all",))
    assert decided.roles == {OWNER: expected}
    assert expected.of_images(frozenset({"m-gold", "m-other"})) == {A: {"m-gold"}, B: {"m-gold"}}
    assert expected.of_images(frozenset({"m-other"})) == {}


def test_principals_that_go_are_added_to_what_is_decided() -> None:
    """To the role of an owner that needs something, to one of which nothing else was decided, and to no other."""
    decided = decide(authorized(SEALED, PLAIN))
    (role_of_owner,) = decided.roles.values()
    assert with_removals(decided, {OWNER: frozenset({D, C}), OTHER: frozenset({E}), "3": frozenset()}) == replace(
        decided,
        roles={
            OWNER: replace(role_of_owner, removing=(C, D)),
            OTHER: RoleDecision(owner=OTHER, removing=(E,)),
        },
    )


@pytest.mark.parametrize(
    ("elsewhere", "entry", "ours", "needed"),
    [
        (True, Entry("made", NOW), "m-tin", True),
        (True, Entry("accepted", NOW), "m-tin", True),
        (True, Entry("made", NOW), "m-gold", False),
        (False, Entry("made", NOW), "m-gold", False),
        (False, Entry("accepted", NOW), "m-gold", True),
        (False, Entry("accepted", NOW - timedelta(days=1)), "m-gold", False),
    ],
)
def test_who_may_have_an_image_that_was_not_seen_to_have_it_does_not_go(
    elsewhere: bool, entry: Entry, ours: str, needed: bool
) -> None:
    """Of an image that was not read the ledger tells, and of one that was read what may not be visible yet.

    What it tells of the images of another owner does not matter, nor does an image that the account was not let in for,
    nor a pair that goes in this run.
    """
    name = "m-tin" if elsewhere else "m-gold"
    shard = Shard("ecs", OWNER, "eu-west-1") if elsewhere else SHARD
    found = authorized(SEALED, SILVER, BRONZE, role=role(A, GONE, ours={GONE: ours}))
    known = {**found.ledgers, shard: Ledger(MappingProxyType({name: {GONE: entry}}))}
    stranger = Shard("ecs", OTHER, "cn-hangzhou")
    foreign = {**found.ledgers, stranger: Ledger(MappingProxyType({ours: {GONE: Entry("accepted", NOW)}}))}
    idle = {OWNER: frozenset({GONE})}
    here, other = replace(found, ledgers=known), replace(found, ledgers=foreign)
    assert unneeded(here, decide(here), frozenset()) == ({} if needed else idle)
    assert unneeded(here, decide(here), frozenset({Pair(name, GONE)})) == idle
    assert unneeded(other, decide(other), frozenset()) == idle


def test_who_has_or_gets_an_encrypted_image_by_whatever_channel_does_not_go() -> None:
    """By a share that somebody made, by a grant, or by one that is to come; who only gets a plain image may go."""
    lets_in = role(*EVERYBODY, GONE, STRANGER, ours=dict.fromkeys((*EVERYBODY, GONE, STRANGER), "m-old"))
    of = authorized(SEALED, having=(A, B), role=lets_in)
    of = replace(of, sharing={SHARD: by_hand({"m-gold": Coverage(frozenset({STRANGER}), frozenset({STRANGER}))})})
    assert unneeded(of, decide(of), frozenset()) == {OWNER: {GONE}}
    plain = authorized(PLAIN, having=(A, B), role=lets_in)
    assert unneeded(plain, decide(plain), frozenset()) == {OWNER: {*EVERYBODY, GONE, STRANGER}}


def test_an_owner_without_a_role_hides_no_other() -> None:
    """What is idle in the role of the next one may go."""
    of = owned_by_another(authorized(SEALED, role=RoleFacts()), SILVER, role=role(A, GONE, ours={GONE: "m-silver"}))
    assert unneeded(of, decide(of), frozenset()) == {OTHER: {GONE}}


def test_ours_that_nothing_needs_may_go() -> None:
    """Not those of others, and not one that gets or has an encrypted image."""
    gone = "1000000000000077"
    found = authorized(SEALED, having=(A,), role=role(A, gone, "1000000000000078", ours={A: "m-gold", gone: "m-gold"}))
    assert unneeded(found, decide(found), frozenset()) == {OWNER: {gone}}


@pytest.mark.parametrize("losing", [False, True])
def test_who_loses_its_image_in_this_run_may_go(losing: bool) -> None:
    """And who keeps it, because the loss is held, may not."""
    gone = "1000000000000077"
    found = authorized(SEALED, having=(*EVERYBODY, gone), role=role(*EVERYBODY, gone, ours={gone: "m-gold"}))
    pairs = frozenset({Pair("m-gold", gone)}) if losing else frozenset[Pair]()
    assert unneeded(found, decide(found), pairs) == ({OWNER: {gone}} if losing else {})


@pytest.mark.parametrize("mode", ["add", "observe"])
def test_a_careful_mode_lets_nobody_out(mode: Mode) -> None:
    """Nor does a look at a part."""
    gone = "1000000000000077"
    of = role(gone, ours={gone: "m-gold"})
    careful, part = authorized(SEALED, mode=mode, role=of), replace(authorized(SEALED, role=of), sweep=False)
    for found in (careful, part):
        assert unneeded(found, decide(found), frozenset()) == {}


def test_what_another_statement_names_too_does_not_go() -> None:
    """Nor the last one, because the document would let nobody in."""
    both = json.loads(role(A, B).trust.document)  # type: ignore[union-attr]
    again = json.loads(role(A).trust.document)["Statement"]  # type: ignore[union-attr]
    trust = read_trust(json.dumps({**both, "Statement": [*both["Statement"], *again]}))
    assert removable(trust, frozenset({A, B, C})) == {B}
    alone = {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Service": [f"{A}@ecs.aliyuncs.com"]}}
    assert removable(read_trust(json.dumps({"Version": "1", "Statement": [alone]})), frozenset({A})) == frozenset()
