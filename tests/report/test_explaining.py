"""Why an account can or cannot use an image: the answer, the reasons, and how to change it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

import pytest
from msgspec.structs import replace

from orgshare.decide.coverage import Coverage
from orgshare.decide.facts import Facts, Proof
from orgshare.decide.planning import assemble
from orgshare.ledger import Entry
from orgshare.policy.model import Partner, Policy, Rule
from orgshare.report.answer_text import explain_lines
from orgshare.report.explaining import Explanation, explain
from orgshare.words import ImageReading, Member, Organization
from tests.support.facts import (
    MANAGEMENT,
    NOW,
    ORGANIZATION,
    OWNER,
    PARTNER,
    SHARED,
    STRANGER,
    A,
    B,
    C,
    D,
    E,
    facts,
    image,
    ledger,
    made,
    member,
    organization,
    policy,
    reading,
    rule,
)
from tests.support.plans import hold, names, planned

GOLD = image("gold")


def ask(of: Facts, account: str) -> Explanation:
    """The explanation for one account and the first image."""
    run = planned(of)
    return explain(run, run.decisions.images[0], account)


def places(of: Explanation) -> list[tuple[str, bool, str]]:
    return [(place.rule, place.wants, place.why) for place in of.places]


def test_who_is_wanted_and_has_it_gets_a_plain_yes() -> None:
    """A wanted account with a grant of ours: YES, the rule with its place, the grant, and how to end it."""
    got = ask(facts(policy(rule(folders=["fd-prod"])), reading(GOLD, A, B), known=ledger(gold=made(A, B))), A)
    assert (got.answer, got.wanted, got.has, got.channels, got.rules) == ("YES", True, True, ("direct",), ("golden",))
    assert places(got) == [("golden", True, "a member of fd-prod")]
    assert got.evidence == f"granted at {SHARED} by orgshare for rule golden"
    assert got.ahead == ""
    assert got.change == (
        "to end it, take it out of the audience of rule golden (policy.yaml:1), or name it in never.accounts"
    )


def _rules(*rules: Rule, never_accounts: Iterable[str] = (), never_folders: Iterable[str] = ()) -> Policy:
    return policy(*rules, never_accounts=never_accounts, never_folders=never_folders)


PROD = rule(folders=["fd-prod"])


@pytest.mark.parametrize(
    ("of", "account", "why"),
    [
        (_rules(PROD), A, "a member of fd-prod"),
        (_rules(PROD), B, "a member of fd-prod"),
        (_rules(rule(folders=["root"])), E, "a member of the organization"),
        (_rules(rule(folders=["root"], tags={"env": "prod"})), A, "a member of the organization and tagged env: prod"),
        (_rules(rule(folders=["fd-test"], tags={"env": "test"})), C, "a member of fd-test and tagged env: test"),
        (_rules(rule(accounts=[D])), D, "named in accounts"),
        (_rules(rule(accounts=[MANAGEMENT])), MANAGEMENT, "named in accounts"),
        (_rules(rule(partners=[PARTNER])), PARTNER, "named in partners"),
        (
            _rules(rule(partners=[Partner(PARTNER, "Globex", date(2027, 3, 31))])),
            PARTNER,
            "named in partners (Globex) until 2027-03-31",
        ),
    ],
)
def test_what_makes_an_account_wanted(of: Policy, account: str, why: str) -> None:
    """The words of the policy that want the account are named."""
    got = ask(facts(of, reading(GOLD)), account)
    assert got.wanted
    assert places(got) == [("golden", True, why)]


@pytest.mark.parametrize(
    ("of", "account", "why", "change"),
    [
        (_rules(PROD), C, "it is in r-1/fd-test, below none of fd-prod", "name it or its folder"),
        (_rules(rule(accounts=[A])), C, "the rule does not name it", "name it under accounts"),
        (
            _rules(rule(folders=["root"], tags={"env": "prod"})), D,
            "it is not tagged env: prod", "name it under accounts, or tag it so",
        ),
        (
            _rules(PROD), STRANGER,
            "it is not in the organization and not named in partners", "name it under partners",
        ),
        (
            _rules(rule(accounts=[A, STRANGER])), STRANGER,
            "accounts names it, but it is not in the organization", "name it under partners",
        ),
        (
            _rules(rule(folders=["root"])), MANAGEMENT,
            "the management account is no member, only accounts can name it", "name it under accounts",
        ),
        (
            _rules(rule(folders=["fd-prod"], without_accounts=[A])), A,
            "a member of fd-prod, but except.accounts takes it away", "take it out of except.accounts",
        ),
        (
            _rules(rule(folders=["fd-prod"], without_folders=["fd-eu"])), B,
            "a member of fd-prod, but except.folders (fd-eu) takes it away", "take it out of except.folders (fd-eu)",
        ),
        (
            _rules(PROD, never_accounts=[A]), A,
            "a member of fd-prod, but never.accounts takes it away", "take it out of never.accounts",
        ),
        (
            _rules(rule(folders=["root"]), never_folders=["fd-test"]), D,
            "a member of the organization, but never.folders (fd-test) takes it away",
            "take it out of never.folders (fd-test)",
        ),
        (
            _rules(rule(folders=["fd-prod"], without_folders=["fd-test"])), C,
            "it is in r-1/fd-test, below none of fd-prod; except.folders (fd-test) takes it away too",
            "name it or its folder",
        ),
        (
            _rules(rule(partners=[Partner(PARTNER, "Globex", date(2026, 11, 20))])), PARTNER,
            "its last day as a partner was 2026-11-20", "set a later until",
        ),
    ],
)  # fmt: skip
def test_what_makes_an_account_not_wanted(of: Policy, account: str, why: str, change: str) -> None:
    """Without access the reason is named, and where the policy would have to change."""
    got = ask(facts(of, reading(GOLD)), account)
    assert (got.answer, got.wanted, got.has) == ("NO", False, False)
    assert places(got) == [("golden", False, why)]
    assert got.change == f"to share it, {change} in rule golden (policy.yaml:1)"


def test_every_rule_that_selects_the_image_is_told() -> None:
    """With several rules each says what it makes of the account, in the policy's order."""
    of = _rules(rule("test", folders=["fd-test"]), rule("prod", folders=["fd-prod"]), rule("all", folders=["root"]))
    got = ask(facts(of, reading(GOLD, A), known=ledger(gold=made(A, rules=("prod", "all")))), A)
    assert places(got) == [
        ("test", False, "it is in r-1/fd-prod, below none of fd-test"),
        ("prod", True, "a member of fd-prod"),
        ("all", True, "a member of the organization"),
    ]
    assert got.rules == ("prod", "all")
    assert got.change.startswith("to end it, take it out of the audience of rules prod (policy.yaml:1) and all (")


def test_an_image_that_no_rule_selects_is_explained_too() -> None:
    """Without a rule the answer still comes from who has access."""
    of = facts(_rules(PROD), reading(image("gold", tags={}), STRANGER))
    got = ask(of, STRANGER)
    assert (got.answer, got.places, got.evidence) == ("YES", (), f"granted at {SHARED} by somebody else")
    assert got.change == "orgshare leaves it as it is: whoever granted it can revoke it"
    assert got.why() == f"no rule selects the image; granted at {SHARED} by somebody else"
    assert ask(of, A).change == "to share it, let a rule select the image and name the account in its audience"


def test_the_owner_always_has_its_image() -> None:
    """The owner of an image has it whatever any rule says."""
    got = ask(facts(_rules(rule(folders=["root"])), reading(GOLD)), OWNER)
    assert (got.answer, got.wanted, got.has, got.evidence) == ("YES", False, True, "the account owns the image")
    assert places(got) == [("golden", False, "the owner is in no audience")]


def test_everybody_has_a_community_image() -> None:
    """A community image is visible to everybody, so the answer is yes for a stranger too."""
    got = ask(facts(_rules(PROD), reading(image("gold", public=True))), STRANGER)
    assert (got.answer, got.has, got.channels) == ("YES", True, ())
    assert got.evidence == "a community image: everybody can use it"


def test_a_partners_last_day_makes_it_for_now() -> None:
    """Access that ends with a partner's last day is for now, unless another rule wants it without end."""
    ends = rule("short", partners=[Partner(PARTNER, "Globex", date(2026, 12, 31))])
    longer = rule("longer", partners=[Partner(PARTNER, "Globex", date(2027, 3, 31))])
    known = ledger(gold=made(PARTNER, partner=True, rules=("short",)))
    got = ask(facts(_rules(ends, longer), reading(GOLD, PARTNER), known=known), PARTNER)
    assert (got.answer, got.ahead) == ("YES, FOR NOW", "access ends after 2027-03-31, the last day of the partner")
    forever = ask(facts(_rules(ends, rule("ever", partners=[PARTNER])), reading(GOLD, PARTNER), known=known), PARTNER)
    assert (forever.answer, forever.ahead) == ("YES", "")


def _losing(account: str, *, proof: Proof | None = None, where: Organization = ORGANIZATION) -> Facts:
    return facts(
        _rules(PROD), reading(GOLD, A, B, account), known=ledger(gold=made(A, B, account)), proof=proof, where=where
    )


def test_a_planned_revoke_makes_it_for_now() -> None:
    """An account that the next run takes the image from has it for now."""
    got = ask(_losing(C, proof=Proof(placed=frozenset({C}))), C)
    assert (got.answer, got.wanted, got.has) == ("YES, FOR NOW", False, True)
    assert got.ahead == "it is not in the audience of a rule any more; the next apply revokes it"
    assert [pending.status for pending in got.pending] == ["revoke due"]
    assert got.change == "to keep it, name the account in the audience of a rule that selects the image"


def test_a_revoke_that_could_not_be_confirmed_is_said_to_wait() -> None:
    """A departure that nobody could confirm is not announced as certain."""
    gone = organization(member(OWNER), member(A, "fd-prod"), member(B, "fd-prod"))
    got = ask(_losing(C, where=gone), C)
    assert got.ahead == "it left the organization, which could not be confirmed; it is revoked once that is certain"
    assert got.answer == "YES, FOR NOW"


def test_a_held_revoke_makes_it_for_now_and_names_the_hold() -> None:
    """A held pair keeps its access, and the answer says why and how it would be released."""
    of = _losing(C, proof=Proof(placed=frozenset({C})))
    held = hold("gold", A, C, why="2 pairs would lose access, more than 1 (safety.hold_when.lost_pairs)")
    run = planned(of)
    run = replace(run, plan=assemble(of, run.decisions, (held,)))
    got = explain(run, run.decisions.images[0], C)
    assert (got.answer, got.ahead) == (
        "YES, FOR NOW",
        f"it is not in the audience of a rule any more; held: {held.why}",
    )
    assert [(h.id, len(h.pairs), h.changes[0].accounts) for h in got.held] == [(held.id, 2, (C,))]
    assert got.pending == ()
    assert got.change == f"«orgshare approve {held.id}» lets the next apply revoke it; doing nothing keeps it"
    assert explain(run, run.decisions.images[0], A).answer == "YES"


def test_a_mode_that_never_revokes_makes_it_a_plain_yes() -> None:
    """Where the mode keeps a grant, the access is not for now."""
    careful = policy(rule(folders=["fd-prod"], mode="add"), mode="add")
    got = ask(facts(careful, reading(GOLD, A, C), known=ledger(gold=made(A, C))), C)
    assert (got.answer, got.wanted, got.change) == ("YES", False, "mode enforce would revoke it")
    observe = policy(rule(folders=["fd-prod"], mode="observe"), mode="observe")
    got = ask(facts(observe, reading(GOLD, A, C), known=ledger(gold=made(A, C))), C)
    assert (got.answer, got.ahead) == (
        "YES",
        "it is not in the audience of a rule any more; mode observe revokes nothing",
    )
    assert got.pending == ()


def test_a_planned_grant_is_a_no_that_says_what_comes() -> None:
    """Who is about to get the image does not have it."""
    got = ask(facts(_rules(PROD), reading(GOLD, A), known=ledger(gold=made(A))), B)
    assert (got.answer, got.wanted, got.has) == ("NO", True, False)
    assert (got.evidence, got.ahead) == ("not granted yet", "the next apply grants it")
    assert [(pending.entity, pending.status) for pending in got.pending] == [(f"m-gold/{B}", "grant due")]
    assert got.change == "«orgshare apply» grants it"


def test_a_grant_that_is_not_listed_yet_is_under_way() -> None:
    """Between the accepted call and its visibility the answer is no, with what is under way."""
    entry = Entry("accepted", NOW - timedelta(minutes=1), "member", ("golden",))
    got = ask(facts(_rules(PROD), reading(GOLD), known=ledger(gold={A: entry})), A)
    assert (got.answer, got.ahead) == ("NO", "granted; the cloud does not list it yet")
    assert [pending.status for pending in got.pending] == ["accepted, not listed yet"]
    assert got.change == "nothing: wait until the cloud lists it"


def test_a_refusal_is_named_with_its_remedy() -> None:
    """A wanted account that the service refuses gets the reason and the remedy."""
    got = ask(facts(_rules(PROD), reading(image("gold", status="Deprecated"))), A)
    assert (got.answer, got.evidence) == ("NO", "refused: deprecated")
    assert got.change.startswith("who has it keeps it, nobody new gets it")


def test_whoever_the_quota_left_out_is_told_so_even_where_it_is_not_named() -> None:
    """A refusal names a hundred accounts; the hundred and first is answered in the same way."""
    crowd = [member(f"10000000000{n:05}", "fd-prod") for n in range(120)]
    of = policy(rule(folders=["fd-prod"]), quota=3)
    got = ask(facts(of, reading(GOLD), where=organization(*crowd)), crowd[119].id)
    assert (got.answer, got.wanted, got.evidence) == ("NO", True, "refused: over-quota")
    first = ask(facts(of, reading(GOLD), where=organization(*crowd)), crowd[0].id)
    assert first.ahead == "the next apply grants it"


def test_a_frozen_rule_says_what_froze_it() -> None:
    """Where a rule rests on an unknown id, a wanted account learns which."""
    got = ask(facts(_rules(rule(folders=["fd-prod"], without_accounts=["9000000000000001"])), reading(GOLD)), A)
    assert got.answer == "NO"
    assert got.evidence.startswith("nothing is added for rule golden: except names account 9000000000000001")


def test_a_rule_that_observes_says_so() -> None:
    """Where only a rule of mode observe wants the account, nothing is granted and the answer says why."""
    got = ask(facts(policy(rule(folders=["fd-prod"], mode="observe")), reading(GOLD)), A)
    assert (got.answer, got.evidence, got.ahead) == ("NO", "rule golden only observes", "")


def test_a_resource_share_is_a_channel() -> None:
    """An account that a resource share reaches has the image through the directory; what is under way is no channel."""
    cover = {"m-gold": Coverage(sure=frozenset({A}), possible=frozenset({A, B}))}
    of = facts(_rules(PROD), reading(GOLD, A), known=ledger(gold=made(A)), coverage=cover)
    got = ask(of, A)
    assert got.channels == ("direct", "directory")
    assert got.evidence == (
        f"granted at {SHARED} by orgshare for rule golden; resource share rs-m-gold-sure, made by somebody else, "
        "reaches it through the account itself since 2026-11-21T11:59:00Z"
    )
    assert got.ahead == ("double-shared: the next apply revokes its direct grant; resource share rs-m-gold-sure stays")
    coming = ask(of, B)
    assert (coming.answer, coming.has, coming.channels) == ("NO", False, ())
    assert coming.evidence == (
        "resource share rs-m-gold-possible, made by somebody else, may reach it through the account itself: "
        f"{B} is Associating since 2026-11-21T11:59:00Z"
    )


def test_the_text_begins_with_the_answer_alone() -> None:
    """The first line is the answer, and everything that follows is aligned behind its label."""
    got = ask(facts(_rules(PROD), reading(GOLD, A, B), known=ledger(gold=made(A, B))), A)
    assert [line.plain for line in explain_lines(got, names(GOLD, **{f"_{A}": "shop"}))] == [
        "YES",
        f"image     m-gold gold (ecs cn-hangzhou, owner {OWNER} images)",
        f"account   {A} shop",
        "rule      golden (policy.yaml:1): wants it, a member of fd-prod",
        "channel   direct",
        f"evidence  granted at {SHARED} by orgshare for rule golden",
        "change    to end it, take it out of the audience of rule golden (policy.yaml:1), or name it in never.accounts",
    ]


def test_the_text_of_a_no_says_that_there_is_no_channel() -> None:
    """Without access the channel is none, and what does not apply has no line."""
    unselected = ImageReading(image("gold", tags={}), ())
    got = ask(facts(_rules(PROD), unselected), A)
    assert [line.plain for line in explain_lines(got, names(GOLD))] == [
        "NO",
        f"image    m-gold gold (ecs cn-hangzhou, owner {OWNER} images)",
        f"account  {A}",
        "rule     no rule selects the image",
        "channel  none",
        "change   to share it, let a rule select the image and name the account in its audience",
    ]


def test_a_partner_that_became_a_member_is_a_member() -> None:
    """What wants a former partner first is its place in the organization."""
    where = organization(member(OWNER), Member(PARTNER, ("r-1", "fd-prod"), name="Globex"))
    of = _rules(rule(folders=["fd-prod"], partners=[Partner(PARTNER, "Globex", date(2026, 12, 31))]))
    got = ask(facts(of, reading(GOLD, PARTNER), known=ledger(gold=made(PARTNER)), where=where), PARTNER)
    assert (got.answer, places(got)) == ("YES", [("golden", True, "a member of fd-prod")])
