"""Plans and runs as text: whole lines, as a person reads them."""

from __future__ import annotations

import io
from collections.abc import Iterable

import pytest
from msgspec.structs import replace
from rich.console import Console
from rich.text import Text

from orgshare.decide.plan import Finding, Pending, Plan, Summary
from orgshare.report.documents import About, Document, apply_document, plan_document
from orgshare.report.names import NO_NAMES, printable
from orgshare.report.plan_text import outcome_lines, plan_lines, report_lines
from orgshare.words import Incomplete
from tests.support.facts import OWNER, SHARD, STRANGER, A, B, C, D, E, facts, image, policy, reading, rule
from tests.support.plans import applied, change, failure, hold, names, planned, refusal

ABOUT = About("golden-images", "enforce", "rd-1", "sha256:0")
NAMES = names(image("gold"), image("silver"), image("bronze"), **{f"_{A}": "shop", f"_{B}": "shop-eu", f"_{C}": "lab"})
PLACE = f", ecs cn-hangzhou, owner {OWNER} images"


def plain(lines: Iterable[Text]) -> list[str]:
    """The lines without colour."""
    return [line.plain for line in lines]


def document(plan: Plan, mode: str = "enforce") -> Document:
    return plan_document(plan, replace(ABOUT, mode=mode))


def test_a_plan_tells_image_by_image_who_gains_loses_and_is_refused() -> None:
    """Each image has one block with gained, lost and refused accounts, their names, and the reasons."""
    plan = Plan(
        changes=(
            change("grant", "silver", A, C),
            change("grant", "gold", A, B, why="wanted by rules golden, extra"),
            change("revoke", "gold", C, D, E, why="2 left the organization; 1 no longer named by a rule"),
        ),
        refused=(refusal("bronze", A, B, C), refusal("gold", D, reason="over-quota")),
        summary=Summary(images=3, accounts=5, wanted=9, in_step=2, gained=4, lost=3),
    )
    assert plain(plan_lines(document(plan), NAMES)) == [
        f"m-bronze bronze{PLACE}",
        "  ! 3 accounts  deprecated: mend it so",
        "",
        f"m-gold gold{PLACE}",
        f"  + {A}  shop     wanted by rules golden, extra",
        f"  + {B}  shop-eu",
        f"  - {C}  lab      2 left the organization; 1 no longer named by a rule",
        f"  - {D}",
        f"  - {E}",
        "  ! 1 account  over-quota: mend it so",
        "",
        f"m-silver silver{PLACE}",
        f"  + {A}  shop  wanted by rule golden",
        f"  + {C}  lab",
        "",
        "to do: 3 changes of 2 images, + 4 pairs gained, - 3 pairs lost, ! 4 pairs refused, 2 of 9 pairs in step now",
    ]


def test_a_plan_without_changes_is_one_line() -> None:
    """Where everything is in step there is nothing else to read."""
    plan = Plan(summary=Summary(images=3, accounts=4, wanted=12, in_step=12))
    assert plain(plan_lines(document(plan), NAMES)) == ["in step: 3 images, 12 pairs, nothing to do"]


def test_one_of_something_is_not_plural() -> None:
    """Counts of one read as one."""
    plan = Plan(changes=(change("grant", "gold", A),), summary=Summary(images=1, wanted=1, gained=1))
    assert plain(plan_lines(document(plan), NAMES))[-1] == (
        "to do: 1 change of 1 image, + 1 pair gained, 0 of 1 pair in step now"
    )


@pytest.mark.parametrize(
    ("plan", "last"),
    [
        (Plan(refused=(refusal("gold", A, B, total=7),)), ", ! 7 pairs refused"),
        (Plan(held=(hold("gold", A, B, C),)), ", ~ 3 pairs held"),
        (Plan(pending=(Pending("", "m-gold/1", "s", ""),)), ", 1 under way"),
        (Plan(incomplete=(Incomplete("rule", "golden", "w"),)), ", 1 incomplete"),
        (Plan(), ""),
    ],
)  # fmt: skip
def test_nothing_to_do_is_not_in_step(plan: Plan, last: str) -> None:
    """A plan that does nothing although something is not as it should be says so in its last line."""
    plan = replace(plan, summary=Summary(images=3, accounts=4, wanted=12, in_step=5))
    assert plain(plan_lines(document(plan), NAMES))[-1] == f"nothing to do: 3 images, 5 of 12 pairs in step{last}"


def test_mode_observe_is_said_in_the_last_line() -> None:
    """A plan of mode observe does not read as if it would be carried out."""
    plan = Plan(changes=(change("grant", "gold", A, B),), summary=Summary(images=1, wanted=2, gained=2))
    last = plain(plan_lines(document(plan, "observe"), NAMES))[-1]
    assert last == (
        "to do, if the mode were not observe: 1 change of 1 image, + 2 pairs gained, 0 of 2 pairs in step now"
    )


ACCOUNTS = tuple(f"10000000000001{n:02}" for n in range(45))


def test_long_lists_end_with_how_many_more_there_are() -> None:
    """After eight accounts the rest is counted, and with detail every account is there."""
    plan = Plan(changes=(change("grant", "gold", *ACCOUNTS),))
    lines = plain(plan_lines(document(plan), NAMES))
    assert len([line for line in lines if line.startswith("  + 1")]) == 8
    assert lines[-3] == "  + and 37 more"
    every = plain(plan_lines(document(plan), NAMES, detail=True))
    assert [line[4:20] for line in every if line.startswith("  + ")] == list(ACCOUNTS)


def test_one_account_more_is_shown_and_not_counted() -> None:
    """A line that would only say "and 1 more" shows that one."""
    lines = plain(plan_lines(document(Plan(changes=(change("grant", "gold", *ACCOUNTS[:9]),))), NAMES))
    assert lines[-3] == f"  + {ACCOUNTS[8]}"


def test_a_refusal_of_more_than_it_names_counts_the_rest() -> None:
    """A refusal is counted, and named only with detail, at most a hundred accounts of it."""
    plan = Plan(refused=(refusal("gold", *ACCOUNTS[:20], total=500),))
    assert plain(plan_lines(document(plan), NAMES))[-3] == "  ! 500 accounts  deprecated: mend it so"
    assert plain(plan_lines(document(plan), NAMES, detail=True))[-3] == "  ! and 480 more"


def test_what_is_held_says_why_and_how_to_go_on() -> None:
    """A hold tells how much, since when, why, which images, and the two commands that go on from it."""
    held = hold("gold", A, B, C, why="3 pairs would lose access, more than 2 (safety.hold_when.lost_pairs)")
    assert plain(plan_lines(document(Plan(held=(held,))), NAMES)) == [
        "held: they keep access until a person decides",
        f"  ~ {held.id}  3 pairs of 1 image, since 2026-11-21 12:00 UTC: {held.why}",
        "      ~  m-gold  gold  3 accounts",
        f"    «orgshare holds {held.id}» shows who, «orgshare approve {held.id}» releases exactly these",
        "",
        "nothing to do: 0 images, 0 of 0 pairs in step, ~ 3 pairs held",
    ]
    assert plain(plan_lines(document(Plan(held=(held,))), NAMES, detail=True))[1:6] == [
        f"  ~ {held.id}  3 pairs of 1 image, since 2026-11-21 12:00 UTC: {held.why}",
        f"      m-gold gold{PLACE}",
        f"        ~ {A}  shop",
        f"        ~ {B}  shop-eu",
        f"        ~ {C}  lab",
    ]


def test_what_belongs_to_no_image_has_sections_of_its_own() -> None:
    """What is under way, found and unread follows the images."""
    plan = Plan(
        findings=(
            Finding("unmanaged", "m-gold", A, "granted by somebody else"),
            Finding("unknown-account", "m-silver", STRANGER, "nobody knows it"),
            Finding("busy", "", "", "another run"),
        ),
        pending=(
            Pending("", f"m-gold/{A}", "accepted, not listed yet", "2026-11-21T12:00:00+00:00"),
            Pending("", f"m-silver/{B}", "accepted, not listed yet", "2026-11-21T11:59:30+00:00"),
        ),
        incomplete=(Incomplete("shard", str(SHARD), "no answer"), Incomplete("rule", "golden", "unknown folder")),
    )
    assert plain(plan_lines(document(plan), NAMES))[:-2] == [
        "under way",
        f"  m-gold/{A}    accepted, not listed yet  since 2026-11-21 12:00 UTC",
        f"  m-silver/{B}  accepted, not listed yet  since 2026-11-21 11:59:30 UTC",
        "",
        "findings",
        f"  busy{'':47}another run",
        f"  unknown-account  m-silver  {STRANGER}        nobody knows it",
        f"  unmanaged        m-gold    {A}  shop  granted by somebody else",
        "",
        "incomplete: nothing was concluded here",
        "  rule golden                       unknown folder",
        f"  {SHARD}  no answer",
    ]


def test_many_findings_of_one_kind_are_counted() -> None:
    """A thousand hand-made grants do not hide the one unknown account."""
    findings = [Finding("unmanaged", "m-gold", account, "by hand") for account in ACCOUNTS]
    plan = Plan(findings=(*findings, Finding("unknown-account", "m-gold", STRANGER, "nobody knows it")))
    lines = plain(plan_lines(document(plan), NO_NAMES))
    assert "  unmanaged        and 37 more" in lines
    assert f"  unknown-account  m-gold       {STRANGER}  nobody knows it" in lines


def test_ids_stand_alone_where_names_are_not_known() -> None:
    """Without names the columns close up, and the place of an image comes from the change."""
    plan = Plan(changes=(change("grant", "gold", A, B, C),), refused=(refusal("iron", A, B, C),))
    assert plain(plan_lines(document(plan), NO_NAMES))[:7] == [
        f"m-gold, ecs cn-hangzhou, owner {OWNER}",
        f"  + {A}  wanted by rule golden",
        f"  + {B}",
        f"  + {C}",
        "",
        "m-iron",
        "  ! 3 accounts  deprecated: mend it so",
    ]


def _run() -> Document:
    """A run that did one of two changes."""
    run = planned(
        facts(
            policy(rule(folders=["fd-prod"])),
            reading(image("gold")),
            reading(image("silver")),
            reading(image("bronze")),
        )
    )
    grants = {c.images[0]: c for c in run.plan.changes}
    return apply_document(
        applied(
            run,
            done=[grants["m-gold"], grants["m-bronze"]],
            failed=[failure(grants["m-silver"], code="InternalError", request="R-1")],
        ),
        calls={"ecs:DescribeImages": 3, "sts:AssumeRole": 1},
    )


def test_the_outcome_counts_what_was_done_and_names_what_failed() -> None:
    """After a run its failures are named with the vendor's code and request id, and done is n of m."""
    assert plain(outcome_lines(_run(), NAMES)) == [
        "failed",
        "  m-silver silver: grant for 2 accounts: InternalError (request R-1): no answer; the next run goes on",
        "",
        "done: 2 of 3 changes, + 4 pairs gained, 1 failed",
        "4 calls: 3 ecs:DescribeImages, 1 sts:AssumeRole",
    ]


def test_the_outcome_does_not_repeat_the_plan() -> None:
    """What the plan showed before is not shown again; what is new is."""
    run = _run()
    run["refused"] = document(Plan(refused=(refusal("iron", A, B, C), refusal("gold", D))))["refused"]
    shown = {"refused": [row for row in run["refused"] if row["image"] == "m-iron"]}
    lines = plain(outcome_lines(run, NAMES, shown=shown))
    assert lines[:2] == [f"m-gold gold{PLACE}", "  ! 1 account  deprecated: mend it so"]
    assert not any("m-iron" in line for line in lines)


def test_a_report_alone_tells_what_was_done() -> None:
    """A run of which no plan was shown tells its changes image by image."""
    lines = plain(report_lines(_run(), NO_NAMES))
    assert lines[:3] == [f"m-bronze, ecs cn-hangzhou, owner {OWNER}", f"  + {A}  wanted by rule golden", f"  + {B}"]
    assert lines[-2] == "done: 2 of 3 changes, + 4 pairs gained, 1 failed"


@pytest.mark.parametrize(
    ("change_of", "last"),
    [
        ({"mode": "observe"}, "mode observe: nothing was changed, apply is plan"),
        ({"changes": [], "done": [], "failed": []}, "done: nothing was to be changed"),
    ],
)
def test_a_run_that_did_nothing_says_why(change_of: Document, last: str) -> None:
    """The last line of a run without changes says whether there were none or the mode forbade them."""
    assert plain(outcome_lines({**_run(), **change_of, "failed": [], "calls": {}}, NAMES)) == [last]


def test_names_cannot_steer_the_terminal() -> None:
    """What is not printable in a name is replaced, and a name of any length stays short."""
    assert printable("a\x1b[2Jb\nc") == "a?[2Jb?c"
    assert printable("x" * 1000) == "x" * 59 + "…"


def test_colour_only_repeats_the_symbols() -> None:
    """In a terminal gained is green, lost red, held yellow and refused magenta, and the text is the same."""
    plan = Plan(
        changes=(change("grant", "gold", A, B), change("revoke", "gold", C)),
        held=(hold("silver", A, B, C),),
        refused=(refusal("bronze", D),),
    )
    lines = plan_lines(document(plan), NAMES)
    terminal = Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=200)
    for line in lines:
        terminal.print(line)
    printed = str(getattr(terminal.file, "getvalue")())  # noqa: B009
    for code, text in ((32, f"+ {A}"), (31, f"- {C}"), (35, "! 1 account")):
        assert f"\x1b[{code}m{text}\x1b[0m" in printed
    assert f"\x1b[33m~ {hold('silver', A, B, C).id}\x1b[0m" in printed


def test_columns_of_wide_characters_are_aligned() -> None:
    """A Chinese name takes two columns a character, and what follows it is aligned."""
    wide = names(image("gold"), **{f"_{A}": "商店", f"_{B}": "lab"})
    plan = Plan(changes=(change("grant", "gold", A, B), change("revoke", "gold", C, D)))
    lines = plain(plan_lines(document(plan), wide))
    assert lines[1] == f"  + {A}  商店  wanted by rule golden"
    assert lines[3] == f"  - {C}        wanted by rule golden"
