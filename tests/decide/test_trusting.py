"""Whom a sharing role has to let in for the encrypted images, and of whom nothing is known that needs it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest
from msgspec.structs import replace

from orgshare.decide.deciding import decide
from orgshare.decide.decisions import Decisions
from orgshare.decide.facts import Facts, RoleFacts
from orgshare.decide.trusting import removable, unneeded
from orgshare.policy.model import Mode
from orgshare.trust import Principal, RoleLedger, read_trust
from orgshare.words import Image, Pair
from tests.support.facts import NOW, A, B, C, D, E, facts, image, policy, reading, rule

EVERYBODY = (A, B, C, D, E)
OWNER = image("gold").shard.owner


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
    """The first in their order fit; whoever has the image already comes before them."""
    found = authorized(SEALED, having=(E,))
    (owner,) = found.policy.owners
    length = len(json.dumps(json.loads(role(A, E).trust.document), separators=(",", ":"))) + 120  # type: ignore[union-attr]
    found = replace(found, policy=replace(found.policy, owners=(replace(owner, trust_policy_length=length),)))
    decided = decide(found)
    adding = decided.roles[OWNER].adding
    assert E in adding
    assert 1 < len(adding) < len(EVERYBODY)
    (refusal,) = decided.images[0].refusals
    assert refusal.reason == "encrypted-role-full"
    assert {*refusal.accounts, *adding} == set(EVERYBODY)
    assert set(decided.images[0].grants) == set(adding) - {E}


def test_who_has_an_image_and_is_not_let_in_is_told_of() -> None:
    """Whatever the reason, it cannot use what it has."""
    decided = decide(authorized(SEALED, having=(A,), role=RoleFacts()))
    assert {(f.kind, f.image, f.account) for f in decided.findings if f.kind == "untrusted"} == {
        ("untrusted", "m-gold", A)
    }


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
