"""Status, who and holds as text: whole lines of small examples."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace
from rich.text import Text

from orgshare.decide.coverage import Coverage
from orgshare.decide.facts import Proof
from orgshare.decide.planning import assemble
from orgshare.guard import Approval, RecordedHold
from orgshare.report.answer_text import holds_lines, status_lines, who_can_lines, who_has_lines
from orgshare.report.documents import Remembered, holds_document, status_document
from orgshare.report.names import names_of
from orgshare.report.overview import Counts, overview
from orgshare.way.planning import Planned
from orgshare.words import Image, ImageReading, Pair, Shard
from tests.support.facts import (
    NOW,
    OWNER,
    SHARD,
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
    policy,
    reading,
    rule,
)
from tests.support.plans import hold, planned

PROD, TEST = rule("prod", folders=["fd-prod"]), rule("test", folders=["fd-test"])


def plain(lines: Iterable[Text]) -> list[str]:
    """The lines without colour."""
    return [line.plain for line in lines]


def mixed() -> Planned:
    """Gold is in step, silver lacks one and has a held one, iron is refused, dark could not be read."""
    of = facts(
        policy(PROD, TEST),
        reading(image("gold"), A, B, C, D),
        reading(image("silver"), A, B, C, E),
        reading(image("iron", status="Deprecated"), A),
        ImageReading(image("dark"), None, "no answer"),
        known=ledger(gold=made(A, B, C, D), silver=made(A, B, C, E, rules=("prod",)), iron=made(A)),
        proof=Proof(placed=frozenset({E})),
    )
    run = planned(of)
    return replace(run, plan=assemble(of, run.decisions, (hold("silver", E),)))


def test_an_overview_counts_rules_shards_and_images_alike() -> None:
    """Every pair that is wanted is in step, due, pending or refused, in each of the three tables."""
    seen = overview(mixed())
    assert {row.name: row.counts for row in seen.images} == {
        "m-dark": Counts(unread=1),
        "m-gold": Counts(images=1, wanted=4, in_step=4, directly=4),
        "m-iron": Counts(images=1, wanted=4, in_step=1, directly=1, refused=3),
        "m-silver": Counts(images=1, wanted=4, in_step=3, directly=3, due=1, held=1),
    }
    assert {row.name: row.counts for row in seen.rules} == {
        "prod": Counts(images=3, wanted=6, in_step=5, directly=5, refused=1, held=1, unread=1),
        "test": Counts(images=3, wanted=6, in_step=3, directly=3, due=1, refused=2, unread=1),
    }
    assert [(row.name, row.counts) for row in seen.shards] == [(str(SHARD), seen.whole)]
    assert seen.whole == Counts(images=3, wanted=12, in_step=8, directly=8, due=1, refused=3, held=1, unread=1)
    assert [row.name for row in seen.images if row.quiet] == ["m-gold"]


def test_an_overview_counts_refusals_of_a_rule_that_are_not_named() -> None:
    """A refusal names a hundred accounts at most; a rule's share of the rest is counted all the same."""
    of = facts(policy(PROD, TEST, quota=1), reading(image("gold")))
    run = planned(of)
    (decision,) = run.decisions.images
    (refusal,) = decision.refusals
    cut = replace(decision, refusals=(replace(refusal, accounts=refusal.accounts[:1]),))
    run = replace(run, decisions=replace(run.decisions, images=(cut,)))
    assert {row.name: (row.counts.due, row.counts.refused) for row in overview(run).rules} == {
        "prod": (1, 1), "test": (0, 2),
    }  # fmt: skip


def test_status_is_three_tables_and_what_needs_a_person() -> None:
    """Status reads as tables of rules, shards and images, then what is held and unread, then the counts."""
    run = mixed()
    held = hold("silver", E)
    assert plain(status_lines(overview(run), status_document(run), names_of(run))) == [
        "rule  images  wanted  in step  by directory  directly  due  pending  refused  held  unread",
        "prod       3       6        5             0         5    0        0        1     1       1",
        "test       3       6        3             0         3    1        0        2     0       1",
        "",
        f"shard{'':29}images  wanted  in step  by directory  directly  due  pending  refused  held  unread",
        f"{SHARD}       3      12        8             0         8    1        0        3     1       1"
        "  read 2026-11-21T12:00:00Z",
        "",
        "image     wanted  in step  by directory  directly  due  pending  refused  held  unread",
        "m-dark         0        0             0         0    0        0        0     0       1  dark",
        "m-gold         4        4             0         4    0        0        0     0       0  gold",
        "m-iron         4        1             0         1    0        0        3     0       0  iron",
        "m-silver       4        3             0         3    1        0        0     1       0  silver",
        "",
        "held: they keep access until a person decides",
        f"  ~ {held.id}  1 pair of 1 image, since 2026-11-21 12:00 UTC: too many",
        "      ~  m-silver  silver  1 account",
        f"    «orgshare holds {held.id}» shows who, «orgshare approve {held.id}» releases exactly these",
        "",
        "incomplete: nothing was concluded here",
        f"  {SHARD}  m-dark: no answer",
        "",
        "3 images, 8 of 12 pairs in step (8 directly), 1 due, 3 refused, 1 held, 1 image unread",
    ]


def test_status_of_many_images_lists_those_with_something_to_see() -> None:
    """Of more than forty images those that are in step are counted."""
    images = [image(f"gold-{n:02}") for n in range(45)]
    readings = [reading(each, A, B) for each in images[:-3]] + [reading(each, A) for each in images[-3:]]
    run = planned(facts(policy(PROD), *readings))
    lines = plain(status_lines(overview(run), status_document(run), names_of(run)))
    assert [line.split()[0] for line in lines if line.startswith("m-gold")] == ["m-gold-42", "m-gold-43", "m-gold-44"]
    assert "and 42 more images in step" in lines
    assert lines[-1] == "45 images, 87 of 90 pairs in step (87 directly), 3 due"


def test_who_lists_everybody_by_channel() -> None:
    """Direct grants are told with who made them, the directory by share and target, what is under way apart."""
    cover = {"m-gold": Coverage(sure=frozenset({D}), possible=frozenset({D, E}))}
    run = planned(
        facts(
            policy(PROD),
            reading(image("gold"), A, B, STRANGER),
            known=ledger(gold=made(A, B, rules=("prod",))),
            coverage=cover,
        )
    )
    (decision,) = run.decisions.images
    assert plain(who_has_lines(run, decision, names_of(run))) == [
        f"m-gold gold, ecs cn-hangzhou, owner {OWNER} name-02",
        "4 accounts can use it",
        "  direct",
        f"    {A}  name-10  by orgshare       since {SHARED}  rule prod",
        f"    {B}  name-11  by orgshare       since {SHARED}  rule prod",
        f"    {STRANGER}           by somebody else  since {SHARED}",
        "  directory",
        f"    resource share rs-m-gold-sure, by somebody else, through account {D}, since 2026-11-21T11:59:00Z",
        f"      {D}  name-13",
        "  under way",
        f"    resource share rs-m-gold-possible, by somebody else, through account {E}  "
        f"{E} is Associating since 2026-11-21T11:59:00Z  1 account",
    ]


def test_who_says_that_a_community_image_is_everybodys() -> None:
    """A list of accounts would be misleading for an image that everybody can use."""
    run = planned(facts(policy(PROD), reading(image("gold", public=True))))
    lines = plain(who_has_lines(run, run.decisions.images[0], names_of(run)))
    assert lines[1] == "0 accounts can use it and everybody else: it is a community image"


def test_who_lists_every_image_of_an_account() -> None:
    """What an account can use is told image by image, and nothing of what it cannot."""
    run = planned(
        facts(policy(PROD), *(reading(image(n), *a) for n, a in (("gold", [A]), ("silver", [A, B]), ("iron", [B]))))
    )
    assert plain(who_can_lines(run, A, names_of(run))) == [
        f"{A} name-10 can use 2 images",
        "  direct",
        f"    m-gold    gold    ecs cn-hangzhou  owner {OWNER}",
        f"    m-silver  silver  ecs cn-hangzhou  owner {OWNER}",
    ]
    assert plain(who_can_lines(run, C, names_of(run))) == [f"{C} name-12 can use 0 images"]


PAIRS = tuple(Pair(f"m-{of}", account) for of in ("gold", "iron", "silver") for account in (A, B, C))
RECORDED = RecordedHold("h-1", NOW, "too many", PAIRS)
KNOWN = Remembered({f"m-{of}": Shard("ecs", OWNER, "cn-hangzhou") for of in ("gold", "iron", "silver")})


def test_holds_of_the_state_say_that_nothing_happens_by_itself() -> None:
    """A hold that nobody approved is said to be safe to leave alone."""
    document = holds_document([RECORDED], [], KNOWN, NOW)
    run = planned(facts(policy(PROD), reading(image("gold"))))
    assert plain(holds_lines(document, [], names_of(run), now=NOW, detail=False)) == [
        "~ h-1  9 pairs of 3 images, since 2026-11-21 12:00 UTC: too many",
        "    ~  m-gold    gold  3 accounts",
        "    ~  m-iron          3 accounts",
        "    ~  m-silver        3 accounts",
        "    they keep access until a person decides; «orgshare approve h-1» releases exactly these, "
        "«orgshare reject h-1» drops them until the facts change",
    ]
    assert plain(holds_lines(holds_document([], [], KNOWN, NOW), [], names_of(run), now=NOW, detail=False)) == [
        "nothing is held"
    ]


def test_one_hold_shows_every_account() -> None:
    """With its id a hold shows who would lose what."""
    document = holds_document([RECORDED], [], KNOWN, NOW)
    run = planned(facts(policy(PROD), reading(image("gold"))))
    assert plain(holds_lines(document, [], names_of(run), now=NOW, detail=True))[1:5] == [
        f"    m-gold gold, ecs cn-hangzhou, owner {OWNER} name-02",
        f"      ~ {A}  name-10",
        f"      ~ {B}  name-11",
        f"      ~ {C}  name-12",
    ]


def test_an_approved_hold_says_until_when_and_by_whom() -> None:
    """A released hold says what the next apply does and until when, and who approved it and why."""
    approval = Approval(PAIRS, NOW, "ann", "we sold that company")
    document = holds_document([RECORDED], [approval], KNOWN, NOW)
    run = planned(facts(policy(PROD), reading(image("gold"))))
    assert plain(holds_lines(document, [approval], names_of(run), now=NOW, detail=False))[-2:] == [
        "    approved: the next apply revokes what it still wants to revoke, until 2026-11-22T12:00:00Z",
        "approved by ann at 2026-11-21T12:00:00Z until 2026-11-22T12:00:00Z: 9 pairs (we sold that company)",
    ]


def test_holds_of_many_images_are_counted() -> None:
    """A hold over three hundred images shows some of them and counts the rest."""
    pairs = tuple(Pair(f"m-{n:03}", A) for n in range(300))
    document = holds_document([RecordedHold("h-1", NOW, "too many", pairs)], [], KNOWN, NOW)
    run = planned(facts(policy(PROD), reading(image("gold"))))
    lines = plain(holds_lines(document, [], names_of(run), now=NOW, detail=False))
    assert (len(lines), lines[9]) == (11, "    ~ and 292 more images")


def test_names_come_from_organization_policy_and_images() -> None:
    """Members, partners and the management account are shown by name, and images by theirs."""
    where = names_of(
        planned(facts(policy(PROD), reading(image("gold")))), Image(id="m-x", shard=SHARD, name="x", status="A")
    )
    assert (where.account(A), where.account("1000000000000001"), where.account("5")) == (
        "name-10",
        "management account",
        "",
    )
    assert (where.image("m-gold"), where.image("m-x"), where.image("m-y")) == ("gold", "x", "")
