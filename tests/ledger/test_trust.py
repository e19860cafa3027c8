"""The trust policy of a sharing role: what it says, how it is changed, and which principals in it are ours."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgshare.ledger import NOT_VISIBLE_YET
from orgshare.trust import (
    Principal,
    RoleLedger,
    fitting,
    intended,
    principal,
    read_trust,
    settled,
    with_accounts,
    without,
    without_accounts,
)
from tests.support.trial import A, B, C, D

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
LATER = NOW + NOT_VISIBLE_YET
ASSUME = "sts:AssumeRole"


def statement(*accounts: str, **changed: Any) -> dict[str, Any]:
    """A statement that lets in these accounts' ECS."""
    services = [principal(account) for account in accounts]
    return {"Effect": "Allow", "Action": ASSUME, "Principal": {"Service": services}, **changed}


def text(*statements: Any, **more: Any) -> str:
    return json.dumps({"Version": "1", "Statement": list(statements), **more})


def let_in(document: str) -> set[str]:
    return set(read_trust(document).accounts)


@pytest.mark.parametrize(
    ("document", "accounts"),
    [
        (text(statement(A, B)), {A, B}),
        (text(statement(A), statement(B)), {A, B}),
        (text(statement(A, Principal={"Service": principal(A)})), {A}),
        (text(statement(A, Action=[ASSUME])), {A}),
        (text(statement(A, Action="*")), {A}),
        (text(statement(A, Action="STS:assumerole")), {A}),
        (text(statement(A, Action="sts:SetSourceIdentity")), set()),
        (text(statement(A, Condition={"Bool": {"acs:MFAPresent": "true"}})), set()),
        (text(statement(A, B), statement(A, Effect="Deny")), {B}),
        (text({"Effect": "Allow", "Action": ASSUME, "Principal": {"Service": "ecs.aliyuncs.com"}}), set()),
        (text({"Effect": "Allow", "Action": ASSUME, "Principal": {"RAM": f"acs:ram::{A}:root"}}), set()),
        (text({"Effect": "Allow", "Action": ASSUME, "Principal": {"Service": f"{A}@oss.aliyuncs.com"}}), set()),
        (text({"Effect": "Allow", "Action": ASSUME, "Principal": "*"}), set()),
        (json.dumps({"Version": "1", "Statement": statement(A)}), {A}),
    ],
)
def test_who_is_let_in(document: str, accounts: set[str]) -> None:
    """Only who is let in without a condition, by the name of its ECS, and denied nowhere."""
    assert let_in(document) == accounts


@pytest.mark.parametrize("document", ["", "please", "[]", "{}", '{"Statement": 1}', '{"Statement": [1]}'])
def test_what_is_no_trust_policy_is_an_error(document: str) -> None:
    """Nothing is concluded from it, and nothing written over it."""
    with pytest.raises(ValueError, match=r"Expecting|no list of statements"):
        read_trust(document)


STRANGE = (
    {"Effect": "Allow", "Action": ASSUME, "Principal": {"Service": ["ecs.aliyuncs.com"]}},
    {"Effect": "Allow", "Action": ASSUME, "Principal": {"RAM": [f"acs:ram::{A}:root"]}},
    {"Effect": "Allow", "Action": ASSUME, "Principal": {"Federated": ["x"]}, "Condition": {"A": {"b": ["c"]}}},
    statement(D, Condition={"Bool": {"acs:SecureTransport": "true"}}),
    statement(D, Effect="Deny"),
    statement(D, Sid="by hand"),
)
accounts = st.lists(st.sampled_from([A, B, C, *(f"{n}" * 16 for n in range(1, 9))]), unique=True, max_size=8)
documents = st.lists(st.sampled_from(STRANGE), max_size=4).flatmap(
    lambda strange: accounts.map(lambda ours: text(*strange, *([statement(*ours)] if ours else []), Note="kept"))
)


@given(documents, accounts)
def test_letting_in_changes_nothing_else(document: str, more: list[str]) -> None:
    """Everybody who was let in is, the new ones are, and every statement of another kind is there as it was."""
    after = with_accounts(document, more)
    assert let_in(after) == let_in(document) | set(more)
    before = json.loads(document)
    kept = json.loads(after)
    assert {key: kept[key] for key in before if key != "Statement"} == {"Version": "1", "Note": "kept"}
    strange = [one for one in before["Statement"] if one in STRANGE]
    assert [one for one in kept["Statement"] if one in STRANGE] == strange
    assert with_accounts(after, more) == after


@given(documents, accounts)
def test_letting_out_undoes_letting_in(document: str, more: list[str]) -> None:
    """Who was added goes again and nobody else, whatever was there before."""
    new = [account for account in more if account not in let_in(document)]
    if not json.loads(document)["Statement"]:
        return
    assert json.loads(without_accounts(with_accounts(document, new), new)) == json.loads(document)


@given(documents, accounts, st.integers(0, 700))
def test_what_fits_is_not_longer_than_it_may_be(document: str, more: list[str], length: int) -> None:
    """The first of them, as many as possible; none where not even one fits."""
    new = [account for account in more if account not in let_in(document)]
    chosen = fitting(document, new, length)
    assert list(chosen) == new[: len(chosen)]
    assert not chosen or len(with_accounts(document, chosen)) <= length
    if len(chosen) < len(new):
        assert len(with_accounts(document, new[: len(chosen) + 1])) > length


def test_who_stands_there_twice_is_taken_out_once() -> None:
    """One of them is not ours."""
    assert let_in(without_accounts(text(statement(A, B), statement(A)), [A])) == {A, B}


def test_the_last_ones_leave_a_document_that_lets_somebody_in() -> None:
    """Nothing is documented about one without a statement."""
    assert let_in(without_accounts(text(statement(A, B, C)), [A, B, C])) == {A}


def test_a_statement_without_anybody_goes() -> None:
    """Other principals of the same statement keep it."""
    mixed = statement(A, Principal={"Service": [principal(A)], "RAM": ["acs:ram::1:root"]})
    after = json.loads(without_accounts(text(statement(B), mixed, statement(C)), [A, B]))
    assert [one["Principal"] for one in after["Statement"]] == [
        {"RAM": ["acs:ram::1:root"]},
        {"Service": [principal(C)]},
    ]


# --- memory


def ledger(**entries: Principal) -> RoleLedger:
    return RoleLedger({{"a": A, "b": B, "c": C}[name]: entry for name, entry in entries.items()})


def test_an_intention_is_for_who_is_not_there() -> None:
    """Who is in the document and is not ours was let in by somebody else."""
    found = intended(
        ledger(b=Principal("made", NOW, ("m-1",))),
        read_trust(text(statement(B, C))),
        {A: frozenset({"m-2"}), B: frozenset({"m-2"}), C: frozenset({"m-2"})},
        [A],
        LATER,
    )
    assert found.principals == {A: Principal("intended", LATER, ("m-2",)), B: Principal("made", NOW, ("m-1", "m-2"))}


def test_what_is_there_was_made() -> None:
    """Also where the run that meant to died before it could say so."""
    before = ledger(a=Principal("intended", NOW), b=Principal("made", NOW, missing=1))
    after = settled(before, read_trust(text(statement(A, B, C))), LATER)
    assert after.principals == {A: Principal("made", NOW), B: Principal("made", NOW)}


def test_what_is_not_there_is_forgotten_at_the_second_reading() -> None:
    """And not before it could be seen."""
    before = ledger(a=Principal("intended", NOW), b=Principal("made", NOW))
    empty = read_trust(text(statement(C)))
    assert settled(before, empty, LATER - timedelta(seconds=1)) == before
    once = settled(before, empty, LATER)
    assert {account: entry.missing for account, entry in once.principals.items()} == {A: 1, B: 1}
    assert settled(once, empty, LATER).principals == {}
    assert settled(once, None, LATER).principals == {}


def test_who_is_denied_is_still_in_the_document() -> None:
    """A person who denies an account has not taken it out."""
    denied = read_trust(text(statement(A), statement(A, Effect="Deny")))
    before = ledger(a=Principal("made", NOW))
    assert settled(before, denied, LATER) == before


def test_ownership_ends_for_who_was_taken_out() -> None:
    """And for nobody else."""
    before = ledger(a=Principal("made", NOW), b=Principal("made", NOW))
    assert without(before, [A, C]).principals.keys() == {B}
