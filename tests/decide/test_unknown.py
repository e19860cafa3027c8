"""What the policy names and the organization does not have, and what of it could not be read: said, and to what end."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from msgspec.structs import replace

from orgshare.decide.audience import Resolved, UnknownId, resolve_all
from orgshare.decide.deciding import decide
from orgshare.decide.facts import Facts, Proof
from orgshare.decide.plan import Finding
from orgshare.policy.model import Channel, Rule
from orgshare.words import ImageReading, Incomplete, Organization
from tests.decide.sharing import BRONZE, GOLD, SILVER
from tests.support.facts import ORGANIZATION, PARTNER, SHARD, A, C, E, facts, policy, reading, rule

TODAY = date(2026, 11, 21)
NOBODY_KNOWS = "1000000000000077"


def resolve(one: Rule, where: Organization = ORGANIZATION, **never: list[str]) -> Resolved:
    (found,) = resolve_all(policy(one, **never), where, TODAY)  # type: ignore[arg-type]
    return found


def unread(*folders: str) -> Organization:
    return replace(ORGANIZATION, unread_folders=frozenset(folders))


def of(*rules: Rule) -> Facts:
    return facts(policy(*rules), reading(GOLD), reading(SILVER), reading(BRONZE))


def test_an_unknown_id_of_an_audience_says_which_rule_names_it_and_where_it_belongs() -> None:
    """An account outside is perhaps meant as a partner."""
    assert resolve(rule(folders=["fd-typo", "fd-prod"], accounts=[NOBODY_KNOWS, E])).unknown == (
        UnknownId("fd-typo", "rule golden names folder fd-typo, which the organization does not have"),
        UnknownId(
            NOBODY_KNOWS,
            f"rule golden names account {NOBODY_KNOWS}, which is not in the organization; "
            "an account outside it goes under partners",
        ),
    )


MEND = "correct the id or remove it"


ROOT = rule(folders=["root"])


@pytest.mark.parametrize(
    ("one", "never", "shut", "why"),
    [
        (
            rule(folders=["root"], without_accounts=[NOBODY_KNOWS]),
            {},
            (),
            f"except names account {NOBODY_KNOWS}, which the organization does not have; {MEND}",
        ),
        (
            rule(folders=["root"], without_folders=["fd-typo"]),
            {},
            ("fd-shut",),
            f"except names folder fd-typo, which does not exist; {MEND}",
        ),
        (
            rule(folders=["root"], without_folders=["fd-shut"]),
            {},
            ("fd-shut",),
            f"except names folder fd-shut, which could not be read; {MEND}",
        ),
        (
            ROOT,
            {"never_accounts": [NOBODY_KNOWS]},
            (),
            f"never names account {NOBODY_KNOWS}, which the organization does not have; {MEND}",
        ),
        (ROOT, {"never_folders": ["fd-typo"]}, (), f"never names folder fd-typo, which does not exist; {MEND}"),
    ],
)
def test_an_unknown_id_of_an_exception_says_how_to_mend_it(
    one: Rule, never: dict[str, list[str]], shut: tuple[str, ...], why: str
) -> None:
    """It may be the very account that must not get access."""
    assert resolve(one, unread(*shut), **never).frozen == why


@pytest.mark.parametrize("name", ["root", "r-1"])
def test_an_exception_of_root_is_known_and_leaves_nobody(name: str) -> None:
    """A strange rule, but one that says what it means."""
    found = resolve(rule(folders=["fd-prod"], without_folders=[name]))
    assert (found.frozen, found.wanted) == ("", frozenset())


TREE = "the subfolders of fd-prod could not be read"


@pytest.mark.parametrize(
    ("folder", "channel", "shut", "why"),
    [
        ("fd-new", "direct", "fd-new", "folder fd-new could not be read"),
        ("fd-new", "auto", "fd-new", "folder fd-new could not be read"),
        ("fd-prod", "direct", "fd-prod", ""),
        ("fd-prod", "auto", "fd-prod", TREE),
        ("fd-prod", "directory", "fd-prod", TREE),
        ("root", "auto", "fd-prod", TREE),
        ("r-1", "auto", "fd-prod", TREE),
        ("fd-test", "auto", "fd-prod", ""),
        ("fd-eu", "auto", "fd-prod", ""),
        ("fd-test", "auto", "fd-elsewhere", ""),
        ("fd-test", "direct", "fd-elsewhere", ""),
    ],
)
def test_a_folder_that_could_not_be_read_freezes_what_it_bears_on(
    folder: str, channel: Channel, shut: str, why: str
) -> None:
    """Whom direct grants go to is known from the members; targets are chosen among all subfolders."""
    found = resolve(rule(folders=[folder], channel=channel), unread(shut))
    assert (found.frozen, found.unknown) == (why, ())


def test_findings_of_a_rule_name_the_id() -> None:
    """An unknown account, and a partner that became a member, each by its id."""
    found = decide(of(rule(folders=["fd-prod"], accounts=[NOBODY_KNOWS], partners=[C, PARTNER]))).findings
    assert found == (
        Finding(
            "partner-is-member",
            "",
            C,
            "rule golden names it as a partner, but it is a member: it is treated as a member",
        ),
        Finding(
            "unknown-id",
            "",
            NOBODY_KNOWS,
            f"rule golden names account {NOBODY_KNOWS}, which is not in the organization; "
            "an account outside it goes under partners",
        ),
    )


def test_a_frozen_rule_is_incomplete_and_says_what_follows() -> None:
    """The other rules go on."""
    frozen = rule("typo", folders=["root"], without_folders=["fd-typo"])
    decisions = decide(of(frozen, rule(accounts=[A])))
    assert decisions.incomplete == (
        Incomplete(
            "rule",
            "typo",
            f"except names folder fd-typo, which does not exist; {MEND}; "
            "until then nothing is added or revoked for this rule",
        ),
    )
    assert {decision.grants for decision in decisions.images} == {(A,)}


def test_a_listing_that_was_found_wrong_makes_every_rule_incomplete() -> None:
    """Nothing is concluded from it; what is missing is added all the same."""
    wrong = replace(
        of(rule("one", accounts=[A]), rule("two", accounts=[C])), proof=Proof(contradicted="one is missing")
    )
    decisions = decide(wrong)
    why = "one is missing; nothing is revoked on the strength of this reading"
    assert decisions.incomplete == (Incomplete("rule", "one", why), Incomplete("rule", "two", why))
    assert {decision.grants for decision in decisions.images} == {(A, C)}


def test_an_image_that_could_not_be_read_is_incomplete_with_its_shard() -> None:
    """And nothing is decided about it."""
    found = decide(
        facts(policy(rule(accounts=[A])), reading(GOLD), ImageReading(SILVER, None, "no answer"), reading(BRONZE))
    )
    assert found.incomplete == (Incomplete("shard", str(SHARD), "m-silver: no answer"),)
    assert [decision.image.name for decision in found.images] == ["bronze", "gold"]


def test_an_image_of_which_nobody_knows_whether_it_is_encrypted_is_given_to_nobody_new() -> None:
    """That is incomplete with its shard, and no refusal; who has it keeps it, and its neighbours go on."""
    unsure = replace(reading(GOLD, A), unsure="its snapshots could not be read")
    found = decide(facts(policy(rule(accounts=[A, C, E])), unsure, reading(SILVER, A), reading(BRONZE)))
    assert found.incomplete == (Incomplete("shard", str(SHARD), "m-gold: its snapshots could not be read"),)
    assert [(d.image.name, d.direct, d.grants, d.refusals, d.retired, d.losses) for d in found.images] == [
        ("bronze", frozenset(), (A, C, E), (), "", ()),
        ("gold", frozenset({A}), (), (), "", ()),
        ("silver", frozenset({A}), (C, E), (), "", ()),
    ]


def test_a_rule_that_keeps_direct_grants_only_is_told_without_an_account() -> None:
    """Once for a rule with channel auto, by the keys that keep something."""
    keeping = of(rule("one", folders=["fd-prod"], channel="auto"), rule("two", folders=["fd-prod"]))
    keeping = replace(keeping, policy=replace(keeping.policy, grace=timedelta(days=1), on_leave=None))
    why = "rule one: safety.grace and safety.on_leave keep direct grants only; what resource shares give ends at once"
    assert decide(keeping).findings == (Finding("direct-only", "", "", why),)
