"""Plans and runs as text, as far as they change resource shares: whole lines, as a person reads them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace
from rich.text import Text

from orgshare.decide.plan import Change, Finding, Pending, Plan, Summary
from orgshare.guard import RecordedHold
from orgshare.report.answer_text import holds_lines
from orgshare.report.documents import About, Document, Remembered, holds_document, plan_document
from orgshare.report.names import Names
from orgshare.report.plan_text import outcome_lines, plan_lines, report_lines
from orgshare.words import Pair
from tests.support.facts import NOW, OWNER, SHARD, A, B, C, image
from tests.support.plans import change, hold, names, refusal

ABOUT = About("golden-images", "enforce", "rd-1", "sha256:0")
IMAGES = [image("bronze"), image("gold"), image("silver")]
NAMES = replace(names(*IMAGES, **{f"_{A}": "shop", f"_{B}": "shop-eu"}), whole=frozenset({"rd-1", "r-1"}))
PLACE = f", ecs cn-hangzhou, owner {OWNER} images"
THREE = ("m-bronze", "m-gold", "m-silver")
WANTED = "wanted by rule golden"


def plain(lines: Iterable[Text]) -> list[str]:
    return [line.plain for line in lines]


def sharing(action: Any, *, share: str = "", audience: str = "", why: str = WANTED, **fields: Any) -> Change:
    """A change of a resource share."""
    return Change(action=action, shard=SHARD, share=share, audience=audience, rules=("golden",), why=why, **fields)


CREATE = sharing("create-share", audience="a1", why="a resource share for 3 targets")
FILL = sharing("associate", audience="a1", images=THREE, targets=(A, "fd-eu", "rd-1"), gained=6)
EMPTY = sharing(
    "disassociate", share="rs-old", images=THREE, targets=("fd-test",), lost=2, why="2 left the organization"
)


def document(plan: Plan) -> Document:
    return plan_document(plan, ABOUT)


def test_a_plan_tells_share_by_share_what_joins_and_what_leaves() -> None:
    """Shares come before images, targets are said in words, and pairs gained and lost are counted for each."""
    grants = tuple(change("grant", of, C) for of in ("gold", "silver", "bronze"))
    summary = Summary(images=3, accounts=3, wanted=9, in_step=2, gained=9, lost=2)
    plan = Plan(changes=(EMPTY, *grants, FILL, CREATE), summary=summary)
    assert plain(plan_lines(document(plan), NAMES)) == [
        f"new resource share{PLACE}",
        f"  + m-bronze          image   bronze                  {WANTED}",
        "  + m-gold            image   gold",
        "  + m-silver          image   silver",
        f"  + {A}  target  shop",
        "  + fd-eu             target",
        "  + rd-1              target  the whole organization",
        "  + 6 pairs gained",
        "",
        f"resource share rs-old{PLACE}",
        "  - m-bronze  image   bronze  2 left the organization",
        "  - m-gold    image   gold",
        "  - m-silver  image   silver",
        "  - fd-test   target",
        "  - 2 pairs lost",
        "",
        *(line for of in ("bronze", "gold", "silver") for line in (f"m-{of} {of}{PLACE}", f"  + {C}  {WANTED}", "")),
        "to do: 6 changes of 3 images and 2 resource shares, + 9 pairs gained, - 2 pairs lost, "
        "2 of 9 pairs in step now",
    ]


def test_two_new_shares_are_two_blocks() -> None:
    """Shares that have no id yet are not taken for one."""
    other = sharing("associate", audience="a2", images=("m-iron",), targets=("fd-test",), gained=2)
    plan = Plan(changes=(CREATE, replace(CREATE, audience="a2"), FILL, other))
    lines = plain(plan_lines(document(plan), NAMES))
    assert lines.count(f"new resource share{PLACE}") == 2
    assert lines[-1].startswith("to do: 4 changes of 4 images and 2 resource shares, ")


def test_targets_alone_are_a_change_of_a_share() -> None:
    """A share that only gets another target is counted, though no image is touched."""
    plan = Plan(changes=(sharing("associate", share="rs-1", targets=("fd-eu", "fd-prod", "fd-test")),))
    lines = plain(plan_lines(document(plan), NAMES))
    assert lines[:2] == [f"resource share rs-1{PLACE}", f"  + fd-eu    target  {WANTED}"]
    assert lines[-1] == "to do: 1 change of 1 resource share, 0 of 0 pairs in step now"


MANY = tuple(f"m-{number:04}" for number in range(1000))


def test_a_thousand_images_are_not_a_thousand_lines() -> None:
    """Images and targets of a share are shortened, and all shown with detail."""
    targets = tuple(f"10000000000005{number:02}" for number in range(40))
    plan = Plan(changes=(CREATE, replace(FILL, images=MANY, targets=targets)))
    lines = plain(plan_lines(document(plan), NAMES))
    assert len(lines) == 22
    assert lines[9] == "  + and 992 more images"
    assert lines[18] == "  + and 32 more targets"
    detailed = plain(plan_lines(document(plan), NAMES, detail=True))
    assert sum(line.startswith("  + m-") for line in detailed) == 1000
    assert sum("  target" in line for line in detailed) == 40


def test_what_is_under_way_is_told_by_share_and_shortened() -> None:
    """A thousand rows of one share do not hide what else is under way; images and targets have their names."""
    pending = [Pending("rs-1", of, "Associating", "2026-11-21T12:00:00.000Z") for of in MANY]
    pending += [
        Pending("rs-2", "m-gold", "Disassociating", "2026-11-21T12:00:00+00:00"),
        Pending("rs-2", "rd-1", "Associating", ""),
        Pending("rs-3", "rs-3", "Pending", ""),
        *(Pending("rs-4", of, f"stays for now: account {A} would not have {of} by anything else", "") for of in MANY),
    ]
    lines = plain(plan_lines(document(Plan(pending=tuple(pending))), NAMES))
    assert (lines[0], len(lines)) == ("under way", 24)
    rows = [line.split(maxsplit=3) for line in lines]
    assert rows[1] == ["rs-1", "m-0000", "Associating", "since 2026-11-21 12:00 UTC"]
    assert lines[9].split() == ["rs-1", "and", "992", "more"]
    assert {" ".join(line.split()) for line in lines[10:13]} == {
        "rs-2 m-gold gold Disassociating since 2026-11-21 12:00 UTC",
        "rs-2 rd-1 the whole organization Associating",
        "rs-3 the share itself Pending",
    }
    assert lines[-3].split() == ["rs-4", "and", "992", "more"]


def test_refusals_of_many_images_alike_are_said_once() -> None:
    """Where a thousand images are refused for one reason, the reason is one line; what differs stays apart."""
    alike = tuple(
        replace(refusal("x", A, B, reason="sharing-not-enabled"), image=of, remedy="let it be enabled") for of in MANY
    )
    plan = Plan(refused=(*alike, refusal("gold", A), refusal("silver", A, B, C)))
    lines = plain(plan_lines(document(plan), NAMES))
    assert len(lines) < 25
    assert "and 992 more images" in lines
    assert "  ! 2 accounts each  sharing-not-enabled: let it be enabled" in lines
    assert lines[lines.index(f"m-gold gold{PLACE}") + 1] == "  ! 1 account  deprecated: mend it so"
    assert len(plain(plan_lines(document(plan), NAMES, detail=True))) > 1000


def test_a_refused_target_belongs_to_no_image() -> None:
    """A target that the cloud refused is told under the shares."""
    plan = Plan(refused=(replace(refusal("x", A, reason="association-failed"), image=""),))
    assert plain(plan_lines(document(plan), NAMES))[:2] == [
        "resource shares",
        "  ! 1 account  association-failed: mend it so",
    ]


def test_new_kinds_of_findings_are_told() -> None:
    """What a person should know of channels stands with all other findings."""
    kinds: tuple[Any, ...] = ("double-shared", "channel-fallback", "channel-conflict", "foreign-deployment")
    plan = Plan(findings=tuple(Finding(kind, "m-gold", A, f"why {kind}") for kind in kinds))
    lines = plain(plan_lines(document(plan), NAMES))
    assert lines[1:5] == [f"  {kind:<18}  m-gold  {A}  shop  why {kind}" for kind in sorted(kinds)]


def test_a_hold_says_what_a_share_would_take() -> None:
    """Pairs that are lost by a share are told apart from direct grants, and each image counts once."""
    held = hold("gold", A, B)
    by_share = [replace(change("revoke", of, B, C), action="disassociate") for of in ("gold", "silver", "bronze")]
    plan = Plan(held=(replace(held, changes=(*held.changes, *by_share)),))
    lines = plain(plan_lines(document(plan), NAMES))
    assert lines[1].startswith(f"  ~ {held.id}  2 pairs of 3 images, ")
    assert lines[2:6] == [
        "      ~  m-bronze  bronze  2 accounts  by a resource share",
        "      ~  m-gold    gold    2 accounts  by a resource share",
        "      ~  m-gold    gold    2 accounts",
        "      ~  m-silver  silver  2 accounts  by a resource share",
    ]
    detailed = plain(plan_lines(document(plan), NAMES, detail=True))
    assert f"        ~ {B}  shop-eu  by a resource share" in detailed


def test_a_hold_of_the_state_knows_what_a_share_gives() -> None:
    """What the ledgers have in a resource share and not as a grant is a disassociation."""
    pairs = tuple(Pair(of, account) for of in THREE for account in (A, B, C))
    shards = dict.fromkeys(THREE, SHARD)
    granted = frozenset({Pair("m-gold", A), Pair("m-silver", A)})
    known = Remembered(shards, frozenset({"m-gold", "m-bronze"}), granted)
    held = holds_document([RecordedHold("h-1", NOW, "too many", pairs)], [], known, NOW)
    assert [(c["action"], c["images"], c["accounts"]) for c in held["held"][0]["changes"]] == [
        ("disassociate", ["m-bronze"], [A, B, C]),
        ("disassociate", ["m-gold"], [B, C]),
        ("revoke", ["m-gold"], [A]),
        ("revoke", ["m-silver"], [A, B, C]),
    ]
    lines = plain(holds_lines(held, [], Names(), now=NOW, detail=False))
    assert lines[0].startswith("~ h-1  9 pairs of 3 images")
    assert lines[1] == "    ~  m-bronze  3 accounts  by a resource share"


def ran(**of: Any) -> Document:
    """A run that made and filled one share, and let another go in part."""
    plan = document(Plan(changes=(CREATE, FILL, EMPTY)))
    done = document(Plan(changes=(replace(CREATE, share="rs-new"), replace(FILL, share="rs-new"))))["changes"]
    return {**plan, "done": done, "failed": [], "calls": {}, **of}


def test_a_run_tells_the_share_that_it_made() -> None:
    """A share that was made has its id, is said to be new, and is told with what joined it."""
    lines = plain(report_lines(ran(), NAMES))
    assert lines[:2] == [
        f"new resource share rs-new{PLACE}", f"  + m-bronze          image   bronze                  {WANTED}",
    ]  # fmt: skip
    assert lines[-1] == "done: 2 of 3 changes, + 6 pairs gained"
    alone = plain(report_lines(ran(done=document(Plan(changes=(replace(CREATE, share="rs-new"),)))["changes"]), NAMES))
    assert alone[0] == f"new resource share rs-new{PLACE}"


def test_a_failed_change_of_a_share_is_named() -> None:
    """What failed about a share says which share, what was to be done, and the vendor's code."""
    changes = (CREATE, replace(FILL, share="rs-1"), replace(EMPTY, targets=()))
    cause = {"code": "NoPermission", "request_id": "R-1", "remedy": "no permission; the next run goes on"}
    rows = [{**row, **cause} for row in document(Plan(changes=changes))["changes"]]
    said = "NoPermission (request R-1): no permission; the next run goes on"
    assert plain(outcome_lines(ran(failed=rows), NAMES))[:4] == [
        "failed",
        f"  new resource share: create-share: {said}",
        f"  resource share rs-1: associate for 3 images and 3 targets: {said}",
        f"  resource share rs-old: disassociate for 3 images: {said}",
    ]


def test_change_rows_have_images_targets_and_share() -> None:
    """The JSON of a change has its share, sorted images and targets; a share to be made has no id."""
    create, fill, empty = document(Plan(changes=(EMPTY, FILL, CREATE)))["changes"]
    assert [row["action"] for row in (create, fill, empty)] == ["create-share", "associate", "disassociate"]
    assert (fill["share"], fill["images"], fill["targets"], fill["accounts"]) == (
        "", list(THREE), [A, "fd-eu", "rd-1"], [],
    )  # fmt: skip
    assert (empty["share"], empty["lost"], create["images"]) == ("rs-old", 2, [])


def test_times_of_the_vendor_are_written_like_all_others() -> None:
    """Whoever told a time, a report has it in whole seconds of UTC."""
    times = ["2026-11-21T12:00:00.123Z", "2026-11-21T12:00:00+00:00", "2026-11-21T12:00:00Z", "soon"]
    plan = Plan(pending=tuple(Pending("rs-1", f"m-{n}", "Associating", time) for n, time in enumerate(times)))
    assert [row["since"] for row in document(plan)["pending"]] == [*["2026-11-21T12:00:00Z"] * 3, "soon"]
