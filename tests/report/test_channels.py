"""Through which channel an account has an image and why, and what comes of it: ``explain``, ``who`` and ``status``."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pytest
from msgspec.structs import replace
from rich.text import Text

from orgshare.decide.facts import Facts, Proof
from orgshare.decide.planning import assemble
from orgshare.ledger import Ledger, Setback
from orgshare.policy.model import Policy, Rule
from orgshare.report.answer_text import explain_lines, who_can_lines, who_has_lines
from orgshare.report.documents import explain_document, status_document, who_document
from orgshare.report.explaining import Explanation, explain
from orgshare.report.names import names_of
from orgshare.report.overview import Counts, overview
from orgshare.words import ResourceShare
from tests.report.shares import SINCE, by_hand, known, ours, rows, sharing
from tests.support.facts import (
    MANAGEMENT,
    NOW,
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
    policy,
    reading,
    rule,
)
from tests.support.plans import hold, planned

GOLD, SILVER, IRON = image("gold"), image("silver"), image("iron")
EVERYBODY = rule(folders=["root"], channel="auto")
PROD = rule(folders=["fd-prod"], channel="auto")
ALL = rows("m-gold", "m-iron", "m-silver")
LATER = "2026-11-21T11:58:00Z"
LONG_AGO = "2026-11-21T11:30:00Z"


def made_of(
    *rules: Rule,
    shares: Iterable[ResourceShare] = (),
    grants: Iterable[str] = (),
    own: Ledger | None = None,
    enabled: bool = True,
    of: Policy | None = None,
    proof: Proof | None = None,
) -> Facts:
    """Gold is shared directly with ``grants``, silver and iron with nobody; ``own`` is what we made of that."""
    shares = tuple(shares)
    readings = (reading(GOLD, *grants), reading(SILVER), reading(IRON))
    return facts(
        of or policy(*rules),
        *readings,
        known=known(shares, own),
        sharing=sharing(*shares, enabled=enabled),
        proof=proof,
    )


def ask(of: Facts, account: str) -> Explanation:
    """The explanation of gold for one account."""
    run = planned(of)
    return explain(run, next(d for d in run.decisions.images if d.image.id == "m-gold"), account)


def plain(lines: Iterable[Text]) -> list[str]:
    return [line.plain for line in lines]


WHOLE = ours(ALL, rows("rd-1"))
REACHED = "resource share rs-1, made by orgshare for rule golden, reaches it through"


def test_a_share_of_ours_is_told_with_its_rule_its_target_and_since_when() -> None:
    """Who has an image by a share of ours gets a plain yes that names the share and what it reaches the account by."""
    of = made_of(EVERYBODY, shares=[WHOLE])
    run = planned(of)
    got = ask(of, A)
    assert plain(explain_lines(got, names_of(run))) == [
        "YES",
        f"image     m-gold gold (ecs cn-hangzhou, owner {OWNER} name-02)",
        f"account   {A} name-10",
        "rule      golden (policy.yaml:1): wants it, a member of the organization",
        "channel   directory",
        f"evidence  {REACHED} the whole organization since {SINCE}",
        "change    to end it, take it out of the audience of rule golden (policy.yaml:1), or name it in never.accounts",
    ]
    assert (got.has, got.channels, got.pending) == (True, ("directory",), ())


def test_a_folder_and_the_account_itself_are_told_apart() -> None:
    """A target is said in words: a folder that the account is in, or the account alone."""
    targets = rule(folders=["fd-prod"], accounts=[C], channel="auto")
    of = made_of(targets, shares=[ours(ALL, rows("fd-eu", "fd-prod", C))])
    assert ask(of, A).evidence == f"{REACHED} folder fd-prod since {SINCE}"
    assert ask(of, C).evidence == f"{REACHED} the account itself since {SINCE}"
    assert ask(of, B).found == (
        f"{REACHED} folder fd-eu since {SINCE}",
        f"{REACHED} folder fd-prod since {SINCE}; not sure: "
        "it is in fd-eu, and nobody knows whether fd-prod as a target reaches its subfolders",
    )


def test_an_account_that_was_seen_only_lately_is_not_sure() -> None:
    """Coverage of a newcomer is told as unsure, with the time after which it counts."""
    of = made_of(EVERYBODY, shares=[WHOLE])
    got = ask(replace(of, settled=of.settled - {A}, established=of.established - {A}), A)
    assert got.answer == "YES"
    assert got.evidence.endswith(
        "; not sure: it was seen in the organization only since 2026-11-21T12:00:00Z; sure after 2026-11-21T12:15:00Z"
    )


@pytest.mark.parametrize(
    ("target", "account", "doubt"),
    [
        ("rd-1", MANAGEMENT, "it is not documented whether a resource share reaches the management account"),
        ("r-1", A, "it is not documented whether Root's own id works as a target"),
        ("fd-prod", B, "it is in fd-eu, and nobody knows whether fd-prod as a target reaches its subfolders"),
        (STRANGER, STRANGER, "it is outside the organization, and the resource share takes members only"),
    ],
)
def test_what_nobody_knows_is_said_so(target: str, account: str, doubt: str) -> None:
    """Every reason for coverage that is not sure is named."""
    got = ask(made_of(PROD, shares=[by_hand(ALL, rows(target))]), account)
    assert got.evidence.endswith(f"; not sure: {doubt}")
    assert got.channels == ("directory",)


def test_a_share_made_by_hand_is_told_as_somebody_elses() -> None:
    """Access by a share of somebody else is named with its name, and orgshare leaves it as it is."""
    of = made_of(PROD, shares=[by_hand(ALL, rows("fd-test"))])
    got = ask(of, C)
    assert got.evidence == (
        f"resource share rs-hand by-hand, made by somebody else, reaches it through folder fd-test since {SINCE}"
    )
    assert got.change == (
        "orgshare leaves resource share rs-hand by-hand as it is: whoever made it can take the account out of its reach"
    )
    wanted = ask(made_of(PROD, shares=[ours(ALL, rows("fd-eu", "fd-prod")), by_hand(ALL, rows("fd-prod"))]), A)
    assert wanted.change.endswith("; resource share rs-hand by-hand, made by somebody else, would still reach it")


def test_a_target_that_somebody_put_into_our_share_is_said_so() -> None:
    """A way that rests on a row of ours and one of somebody else names both."""
    share = ours(ALL, rows("fd-eu", "fd-prod", "fd-test"))
    mine = known([ours(ALL, rows("fd-eu", "fd-prod"))])
    of = replace(made_of(PROD, shares=[share]), ledgers={GOLD.shard: mine})
    assert ask(of, C).evidence.startswith(
        "resource share rs-1, made by orgshare for rule golden, the target by somebody else, reaches it through folder"
    )


def test_a_double_share_says_what_goes_and_what_stays() -> None:
    """A direct grant of ours beside sure coverage goes with the next apply."""
    of = made_of(EVERYBODY, shares=[WHOLE], grants=[A], own=ledger(gold=made(A)))
    got = ask(of, A)
    assert got.channels == ("direct", "directory")
    assert got.ahead == "double-shared: the next apply revokes its direct grant; resource share rs-1 stays"
    observing = ask(replace(of, policy=policy(EVERYBODY, mode="observe")), A)
    assert observing.ahead == (
        "double-shared: would be revoked: its direct grant; mode observe changes nothing; resource share rs-1 stays"
    )


def test_a_double_share_that_is_not_sure_says_what_it_waits_for() -> None:
    """The direct grant stays until the coverage is sure, and what is missing is named."""
    coming = ours(rows("m-gold", status="Associating", since=LATER) + ALL[1:], rows("rd-1"))
    got = ask(made_of(EVERYBODY, shares=[coming], grants=[A], own=ledger(gold=made(A))), A)
    assert got.channels == ("direct",)
    assert got.ahead == (
        "double-shared: its direct grant goes once resource share rs-1 is sure to reach it "
        f"(m-gold is Associating since {LATER})"
    )
    assert [(p.share, p.entity, p.status, p.since) for p in got.pending] == [("rs-1", "m-gold", "Associating", LATER)]


def test_a_double_share_by_hand_is_left() -> None:
    """A direct grant of somebody else beside a share is reported, and goes only under unmanaged: revoke."""
    of = made_of(EVERYBODY, shares=[WHOLE], grants=[A])
    assert ask(of, A).ahead == "double-shared: somebody else granted it directly too, which orgshare leaves as it is"
    revoking = replace(of, policy=replace(of.policy, unmanaged="revoke"))
    assert ask(revoking, A).ahead == (
        "double-shared: the next apply revokes its direct grant; resource share rs-1 stays"
    )


def test_a_row_that_may_be_the_shares_own_is_no_grant() -> None:
    """Where every covered account is listed, nobody can tell a row from the share's own, and the answer says so."""
    got = ask(made_of(EVERYBODY, shares=[WHOLE], grants=[A, B, C, D, E]), A)
    assert got.channels == ("directory",)
    assert got.found[0] == f"the permission list has it at {SHARED}, perhaps only because of a resource share"


def test_what_the_next_apply_puts_into_a_share_is_named() -> None:
    """Who is about to be reached by a new share learns what joins it."""
    got = ask(made_of(PROD), A)
    assert (got.answer, got.wanted, got.evidence) == ("NO", True, "not shared yet")
    assert got.ahead == "the next apply puts m-gold and folder fd-prod into a new resource share"
    assert [(p.share, p.entity, p.status) for p in got.pending] == [
        ("", "m-gold", "association due"), ("", "fd-prod", "association due"),
    ]  # fmt: skip
    assert got.change == "«orgshare apply» shares it"
    observing = ask(made_of(of=policy(PROD, mode="observe")), A)
    assert observing.ahead == (
        "would be put: m-gold and folder fd-prod into a new resource share; mode observe changes nothing"
    )
    assert (observing.pending, observing.change) == ((), "set mode to add or enforce")


def test_a_target_that_joins_a_share_is_named() -> None:
    """Where only a target is missing, only that is said to join."""
    got = ask(made_of(PROD, shares=[ours(ALL, rows("fd-eu"))]), A)
    assert (got.answer, got.ahead) == ("NO", "the next apply puts folder fd-prod into rs-1")
    assert [(p.share, p.entity) for p in got.pending] == [("rs-1", "fd-prod")]


def test_going_over_to_the_directory_keeps_the_grant_meanwhile() -> None:
    """Who has a direct grant and is about to be associated learns that the grant stays until that is sure."""
    got = ask(made_of(PROD, grants=[A], own=ledger(gold=made(A))), A)
    assert got.ahead == (
        "the next apply puts m-gold and folder fd-prod into a new resource share; "
        "its direct grant stays until that is sure to reach it"
    )


def test_an_association_under_way_is_a_no_that_says_since_when() -> None:
    """Between the call and its effect the answer is no, nothing is granted, and it says what to wait for."""
    coming = ours(rows("m-gold", status="Associating", since=LATER) + ALL[1:], rows("rd-1"))
    got = ask(made_of(EVERYBODY, shares=[coming]), A)
    assert (got.answer, got.has, got.channels) == ("NO", False, ())
    assert got.evidence == (
        "resource share rs-1, made by orgshare for rule golden, may reach it through the whole organization: "
        f"m-gold is Associating since {LATER}"
    )
    assert got.ahead == "nothing is granted directly meanwhile; every apply looks again"
    assert got.change.startswith("nothing: wait until the association is done; «orgshare apply --wait SECONDS»")


def test_an_association_that_is_stuck_is_told() -> None:
    """After a quarter of an hour under way nothing is expected of a row any more, and auto goes direct."""
    stuck = ours(rows("m-gold", status="Associating", since=LONG_AGO) + ALL[1:], rows("rd-1"))
    got = ask(made_of(EVERYBODY, shares=[stuck]), A)
    assert got.found[0].endswith(f"m-gold is Associating since {LONG_AGO}, which is too long to count")
    assert got.found[1].startswith("not by the directory: Associating: under way since ")
    assert got.ahead == "the next apply grants it"


def setbacks(*, lasting: bool) -> Ledger:
    """Gold could not join the share, for the second time."""
    setback = Setback("Failed", "InternalError", NOW - timedelta(minutes=5), 2, lasting=lasting)
    return known([ours(ALL[1:], rows("rd-1"))]).with_setbacks({"rs-1/m-gold": setback})


def test_a_failed_association_has_the_vendors_reason_and_when_it_is_tried_again() -> None:
    """What failed waits, and the answer says why it failed and until when it waits."""
    of = replace(
        made_of(EVERYBODY, shares=[ours(ALL[1:], rows("rd-1"))]), ledgers={GOLD.shard: setbacks(lasting=False)}
    )
    got = ask(of, A)
    assert got.answer == "NO"
    assert got.evidence == "not shared yet; failed at 2026-11-21T11:55:00Z (2 times so far): InternalError"
    assert got.ahead == "tried again after 2026-11-21T12:25:00Z"


def test_a_lasting_failure_is_a_refusal_where_only_the_directory_may_serve() -> None:
    """With channel directory a lasting failure is refused with the vendor's reason and its remedy."""
    only = rule(folders=["root"], channel="directory")
    of = made_of(only, shares=[ours(ALL[1:], rows("rd-1"))])
    got = ask(replace(of, ledgers={GOLD.shard: setbacks(lasting=True)}), A)
    assert (got.answer, got.evidence) == (
        "NO",
        "refused: association-failed; failed at 2026-11-21T11:55:00Z (2 times so far): InternalError",
    )
    assert "InternalError" in got.change
    assert got.ahead == "tried again after 2026-11-21T12:25:00Z"


def test_sharing_that_is_not_enabled_is_said_so() -> None:
    """Without sharing in the organization, directory is refused and auto grants directly and says why."""
    refused = ask(made_of(rule(folders=["root"], channel="directory"), enabled=False), A)
    assert (refused.answer, refused.evidence) == ("NO", "refused: sharing-not-enabled")
    assert "EnableSharingWithResourceDirectory" in refused.change
    direct = ask(made_of(EVERYBODY, enabled=False), A)
    assert direct.ahead == "the next apply grants it"
    assert direct.found[0].startswith("not by the directory: ")
    assert "sharing in the organization is not enabled" in direct.evidence
    has = ask(made_of(EVERYBODY, enabled=False, grants=[A], own=ledger(gold=made(A))), A)
    assert (has.answer, has.ahead) == ("YES", "")


LEFT_OVER = ours(ALL, rows("fd-eu", "fd-prod", "fd-test"))
PLACED = Proof(placed=frozenset({C, D}))


def test_losing_a_share_makes_it_for_now_and_names_what_leaves() -> None:
    """A target that no rule names any more leaves the share, and whoever it reached has the image for now."""
    got = ask(made_of(PROD, shares=[LEFT_OVER], proof=PLACED), C)
    assert (got.answer, got.ahead) == (
        "YES, FOR NOW",
        "it is not in the audience of a rule any more; the next apply takes folder fd-test out of rs-1",
    )
    assert [(p.share, p.entity, p.status) for p in got.pending] == [("rs-1", "fd-test", "disassociation due")]
    assert ask(made_of(PROD, shares=[LEFT_OVER], proof=PLACED), A).answer == "YES"


def test_a_row_stays_while_another_pair_that_it_gives_is_not_certain() -> None:
    """One row carries many pairs: while one of them is in doubt, nobody is told that it goes."""
    got = ask(made_of(PROD, shares=[LEFT_OVER], proof=Proof(placed=frozenset({C}))), C)
    assert got.ahead == (
        "it is not in the audience of a rule any more; it stays in rs-1 for now: "
        "for 3 pairs that fd-test gives it is not certain"
    )
    assert got.pending == ()


def test_a_held_disassociation_names_the_hold() -> None:
    """A pair that would be lost by a share and is held is explained by its hold, as a disassociation."""
    of = made_of(PROD, shares=[LEFT_OVER], proof=PLACED)
    held = hold("gold", C, D, why="2 pairs would lose access")
    run = planned(of)
    run = replace(run, plan=assemble(of, run.decisions, (held,)))
    gold = next(d for d in run.decisions.images if d.image.id == "m-gold")
    got = explain(run, gold, C)
    assert (got.answer, got.ahead.rpartition("; ")[2]) == ("YES, FOR NOW", f"held: {held.why}")
    (row,) = explain_document(got)["held"]
    assert [(c["action"], c["images"], c["accounts"]) for c in row["changes"]] == [("disassociate", ["m-gold"], [C])]
    silver = next(d for d in run.decisions.images if d.image.id == "m-silver")
    assert explain(run, silver, C).ahead.endswith("it stays in rs-1 for now: 2 pairs that fd-test gives are held")


def test_going_over_to_direct_grants_first_and_lets_go_later() -> None:
    """A rule that changed to direct grants while the share still reaches the account, and then the share lets go."""
    direct = rule(folders=["fd-prod"])
    share = ours(rows("m-gold"), rows("fd-eu", "fd-prod"))
    first = ask(made_of(direct, shares=[share]), A)
    assert (first.answer, first.ahead) == ("YES", "the next apply grants it; a later one takes m-gold out of rs-1")
    then = ask(made_of(direct, shares=[share], grants=[A, B], own=ledger(gold=made(A, B))), A)
    assert then.ahead == "the next apply takes m-gold out of rs-1; its direct grant stays"
    half = ask(made_of(direct, shares=[share], grants=[A], own=ledger(gold=made(A))), A)
    assert half.ahead.startswith("it stays in rs-1 for now: account ")


def test_a_share_that_lets_go_names_the_one_that_stays() -> None:
    """Who is reached by a share of ours that ends and by another one learns which of them stays."""
    shares = [ours(rows("m-gold"), rows("fd-prod")), by_hand(rows("m-gold"), rows("fd-eu", "fd-prod"))]
    got = ask(made_of(rule(folders=["fd-prod"]), shares=shares), A)
    assert (got.answer, got.ahead) == (
        "YES",
        "the next apply takes m-gold out of rs-1; resource share rs-hand by-hand stays",
    )


def test_accepted_moves_are_told_as_a_risk() -> None:
    """Where folders are shared around an excluded account, explain says what its move would give it."""
    careful = rule(folders=["root"], without_accounts=[E], channel="auto")
    excluded = replace(careful.audience.excluded, accept_moves=True)
    accepting = replace(careful, audience=replace(careful.audience, excluded=excluded))
    risk = "which is shared as a whole, it has the image until the next run"
    assert ask(made_of(accepting), A).risks == (
        f"rule golden: except.accept_moves: if {E} moves into folder fd-eu or folder fd-prod or folder fd-test, {risk}",
    )
    assert (
        ask(made_of(accepting), E).risks[0].startswith("rule golden: except.accept_moves: if this account moves into")
    )
    assert ask(made_of(careful), A).risks == ()
    never = policy(EVERYBODY, never_accounts=[E])
    never = replace(never, never=replace(never.never, accept_moves=True))
    assert ask(made_of(of=never), A).risks[0].startswith(f"never.accept_moves: if {E} moves into folder fd-eu")
    assert f"{E} moves" in ask(made_of(accepting), A).why()


MIXED = made_of(
    rule(folders=["fd-prod"], partners=[PARTNER], channel="auto"),
    shares=[ours(ALL, rows("fd-eu", "fd-prod")), by_hand(rows("m-gold", "m-silver"), rows(A, "fd-test"))],
    grants=[A, PARTNER, STRANGER],
    own=ledger(gold=made(A) | made(PARTNER, partner=True)),
)


def test_who_groups_the_directory_by_share_and_target() -> None:
    """Everybody is under each way to the image, an account with both channels under both."""
    run = planned(MIXED)
    gold = next(d for d in run.decisions.images if d.image.id == "m-gold")
    assert plain(who_has_lines(run, gold, names_of(run)))[1:] == [
        "6 accounts can use it",
        "  direct",
        f"    {A}  name-10  by orgshare       since {SHARED}  rule golden",
        f"    {PARTNER}           by orgshare       since {SHARED}  rule golden",
        f"    {STRANGER}           by somebody else  since {SHARED}",
        "  directory",
        f"    resource share rs-1, by orgshare, through folder fd-eu, since {SINCE}",
        f"      {B}  name-11",
        f"    resource share rs-1, by orgshare, through folder fd-prod, since {SINCE}",
        f"      {A}  name-10",
        f"      {B}  name-11  not sure: it is in fd-eu, and nobody knows whether fd-prod as a target reaches its "
        "subfolders",
        f"    resource share rs-hand by-hand, by somebody else, through account {A}, since {SINCE}",
        f"      {A}  name-10",
        f"    resource share rs-hand by-hand, by somebody else, through folder fd-test, since {SINCE}",
        f"      {C}  name-12",
        f"      {D}  name-13",
    ]
    assert {row["account"]: row["channels"] for row in who_document([gold])["access"]} == {
        A: ["direct", "directory"], B: ["directory"], C: ["directory"], D: ["directory"], PARTNER: ["direct"],
        STRANGER: ["direct"],
    }  # fmt: skip


def test_who_of_an_account_groups_its_images_by_share_and_target() -> None:
    """What an account can use is told by the way that it has it, an image under each of them."""
    run = planned(MIXED)
    place = f"ecs cn-hangzhou  owner {OWNER}"
    assert plain(who_can_lines(run, A, names_of(run))) == [
        f"{A} name-10 can use 3 images",
        "  direct",
        f"    m-gold  gold  {place}",
        "  directory",
        "    resource share rs-1, by orgshare, through folder fd-prod",
        f"      m-gold    gold    {place}",
        f"      m-iron    iron    {place}",
        f"      m-silver  silver  {place}",
        "    resource share rs-hand by-hand, by somebody else, through the account itself",
        f"      m-gold    gold    {place}",
        f"      m-silver  silver  {place}",
    ]


def test_the_owner_is_no_channel_of_its_own_image() -> None:
    """A share with the whole organization reaches the owner too, who is never told among those who have the image."""
    run = planned(made_of(EVERYBODY, shares=[WHOLE]))
    gold = next(d for d in run.decisions.images if d.image.id == "m-gold")
    assert not any(OWNER in line for line in plain(who_has_lines(run, gold, names_of(run)))[1:])
    assert OWNER not in {row["account"] for row in who_document([gold])["access"]}
    assert explain(run, gold, OWNER).channels == ()


def test_status_counts_by_channel_and_knows_what_is_managed() -> None:
    """Pairs in step are counted by channel, and what anything of ours gives is managed."""
    run = planned(MIXED)
    whole = overview(run).whole
    assert whole == Counts(images=3, wanted=9, in_step=7, by_directory=6, directly=2, due=2)
    gold = next(row for row in status_document(run)["images"] if row["image"] == "m-gold")
    assert [(row["account"], row["channels"], row["managed"]) for row in gold["access"]] == [
        (A, ["direct", "directory"], True),
        (B, ["directory"], True),
        (C, ["directory"], False),
        (D, ["directory"], False),
        (PARTNER, ["direct"], True),
        (STRANGER, ["direct"], False),
    ]
    assert gold["in_step"]


def test_status_counts_what_is_due_and_what_is_under_way() -> None:
    """Nobody who is wanted is counted nowhere: a share to be made is due, one under way is pending."""
    assert overview(planned(made_of(PROD))).whole == Counts(images=3, wanted=6, due=6)
    coming = ours(rows("m-gold", "m-iron", "m-silver", status="Associating", since=LATER), rows("fd-eu", "fd-prod"))
    run = planned(made_of(PROD, shares=[coming]))
    assert overview(run).whole == Counts(images=3, wanted=6, pending=6)
    assert [row["in_step"] for row in status_document(run)["images"]] == [False, False, False]
    waiting = replace(ours(ALL[1:], rows("fd-eu", "fd-prod")), status="Pending")
    assert overview(planned(made_of(PROD, shares=[waiting]))).whole.pending == 6
    refused = planned(made_of(rule(folders=["fd-prod"], channel="directory"), enabled=False))
    assert overview(refused).whole == Counts(images=3, wanted=6, refused=6)
