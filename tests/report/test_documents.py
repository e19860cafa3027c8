"""The JSON documents: their keys and order are the contract's, and equal facts give equal bytes."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from orgshare.decide.plan import Finding, Pending, Plan, Summary
from orgshare.guard import Approval, RecordedHold
from orgshare.report.documents import (
    About,
    Remembered,
    apply_document,
    explain_document,
    holds_document,
    not_applied_document,
    plan_document,
    planned_document,
    status_document,
    unread_document,
    unread_status_document,
    who_document,
)
from orgshare.report.explaining import explain
from orgshare.words import Incomplete, Pair
from tests.support.facts import (
    NOW,
    OWNER,
    SHARD,
    STRANGER,
    A,
    B,
    C,
    E,
    facts,
    image,
    ledger,
    made,
    policy,
    reading,
    rule,
)
from tests.support.plans import applied, change, failure, hold, planned, refusal

ABOUT = About("golden-images", "enforce", "rd-1", "sha256:0")

PLAN_KEYS = [
    "schema", "deployment", "mode", "directory", "policy", "digest", "changes", "held", "refused", "findings",
    "pending", "incomplete", "summary",
]  # fmt: skip
CHANGE_KEYS = [
    "action", "service", "owner", "region", "images", "accounts", "targets", "share", "rules", "gained", "lost", "why",
]  # fmt: skip
HOLD_KEYS = ["id", "since", "expires", "why", "lost_pairs", "changes"]

FULL = Plan(
    changes=(change("revoke", "gold", B, why="1 left the organization"), change("grant", "silver", A, C)),
    held=(hold("bronze", A, B, C),),
    refused=(refusal("iron", A, B), refusal("gold", C, reason="over-quota", total=300)),
    findings=(Finding("unmanaged", "m-gold", E, "by hand"), Finding("busy", "", "", "another run")),
    pending=(Pending("", f"m-gold/{A}", "accepted, not listed yet", NOW.isoformat()),),
    incomplete=(Incomplete("shard", str(SHARD), "no answer"), Incomplete("rule", "golden", "unknown folder")),
    summary=Summary(images=3, accounts=4, wanted=9, in_step=5, gained=2, lost=1),
)


def test_a_plan_has_the_contracts_keys_in_its_order() -> None:
    """Every key of a plan and of its rows is there, in the contract's order."""
    document = plan_document(FULL, ABOUT)
    assert list(document) == PLAN_KEYS
    assert [list(row) for row in document["changes"]] == [CHANGE_KEYS, CHANGE_KEYS]
    assert [list(row) for row in document["held"]] == [HOLD_KEYS]
    assert [list(row) for row in document["held"][0]["changes"]] == [CHANGE_KEYS]
    refused = ["image", "rules", "reason", "accounts", "accounts_total", "remedy"]
    assert [list(row) for row in document["refused"]] == [refused, refused]
    finding = ["kind", "image", "account", "why"]
    assert [list(row) for row in document["findings"]] == [finding, finding]
    assert [list(row) for row in document["pending"]] == [["share", "entity", "status", "since"]]
    assert [list(row) for row in document["incomplete"]] == [["rule", "why"], ["shard", "why"]]
    assert list(document["summary"]) == ["images", "accounts", "wanted", "in_step", "gained", "lost"]


def test_a_plan_has_the_facts() -> None:
    """The values of a plan's document are the plan's."""
    document = plan_document(FULL, ABOUT)
    assert document["schema"] == 1
    assert document["digest"] == FULL.digest()
    assert document["changes"][0] == {
        "action": "grant", "service": "ecs", "owner": OWNER, "region": "cn-hangzhou", "images": ["m-silver"],
        "accounts": [A, C], "targets": [], "share": "", "rules": ["golden"], "gained": 2, "lost": 0,
        "why": "wanted by rule golden",
    }  # fmt: skip
    assert document["held"][0]["since"] == "2026-11-21T12:00:00Z"
    assert document["held"][0]["lost_pairs"] == 3
    assert document["pending"][0]["since"] == "2026-11-21T12:00:00Z"
    assert document["summary"] == {"images": 3, "accounts": 4, "wanted": 9, "in_step": 5, "gained": 2, "lost": 1}


def test_changes_are_in_the_order_of_carrying_out() -> None:
    """Grants come before revokes, and within an action images are in order."""
    plan = Plan(changes=tuple(change(a, of, A) for a in ("revoke", "grant") for of in ("silver", "gold", "bronze")))
    rows = plan_document(plan, ABOUT)["changes"]
    assert [(row["action"], row["images"][0]) for row in rows] == [
        ("grant", "m-bronze"), ("grant", "m-gold"), ("grant", "m-silver"),
        ("revoke", "m-bronze"), ("revoke", "m-gold"), ("revoke", "m-silver"),
    ]  # fmt: skip


def _reversed(plan: Plan) -> Plan:
    return replace(
        plan,
        changes=tuple(replace(c, accounts=c.accounts[::-1], rules=c.rules[::-1]) for c in reversed(plan.changes)),
        held=plan.held[::-1],
        refused=plan.refused[::-1],
        findings=plan.findings[::-1],
        pending=plan.pending[::-1],
        incomplete=plan.incomplete[::-1],
    )


def test_equal_plans_are_equal_bytes() -> None:
    """The order in which facts were found leaves no trace in a document."""
    plan = replace(
        FULL,
        changes=(
            change("grant", "gold", A, rules=("b", "a")),
            change("grant", "silver", B),
            change("revoke", "gold", C),
        ),
        held=(hold("bronze", A), hold("silver", B), hold("gold", C)),
    )
    one, other = (json.dumps(plan_document(p, ABOUT)) for p in (plan, _reversed(plan)))
    one, other = (text.replace(p.digest(), "") for text, p in ((one, plan), (other, _reversed(plan))))
    assert one == other


def test_an_apply_adds_what_became_of_it() -> None:
    """The document of a run is the plan's with what was done, what failed and the calls."""
    run = planned(facts(policy(rule(folders=["fd-prod"])), reading(image("gold"))))
    grant = run.plan.changes[0]
    document = apply_document(
        applied(run, done=[grant], failed=[failure(grant, code="Throttling", request="R-1")]),
        calls={"sts:AssumeRole": 1, "ecs:DescribeImages": 3},
    )
    assert list(document) == [*PLAN_KEYS, "done", "failed", "calls"]
    assert list(document["done"][0]) == CHANGE_KEYS
    assert list(document["failed"][0]) == [*CHANGE_KEYS, "code", "request_id", "remedy"]
    assert document["failed"][0]["code"] == "Throttling"
    assert document["failed"][0]["request_id"] == "R-1"
    assert list(document["calls"].items()) == [("ecs:DescribeImages", 3), ("sts:AssumeRole", 1)]


def test_an_apply_that_did_nothing_has_the_same_shape() -> None:
    """A run that stopped before doing anything has the keys of every other."""
    plan = unread_document(policy(rule("one"), rule("two")), "rd-1", "no answer")
    document = not_applied_document(plan, calls={})
    assert list(document) == [*PLAN_KEYS, "done", "failed", "calls"]
    assert document["incomplete"] == [{"rule": "one", "why": "no answer"}, {"rule": "two", "why": "no answer"}]
    assert document["done"] == document["failed"] == []


def test_an_unread_organization_is_said_of_owners_where_there_are_no_rules() -> None:
    """Even a policy without rules says what was not read."""
    assert unread_document(policy(), "rd-1", "no answer")["incomplete"] == [
        {"shard": f"ecs/{OWNER}/*", "why": "no answer"}
    ]


def test_status_lists_access_image_by_image() -> None:
    """Status names everybody who can use an image, how, and whether the grant is ours."""
    run = planned(
        facts(
            policy(rule(folders=["fd-prod"])),
            reading(image("gold"), A, B, STRANGER),
            reading(image("silver"), A),
            reading(image("bronze")),
            known=ledger(gold=made(A, B), silver=made(A)),
        )
    )
    document = status_document(run)
    assert list(document) == ["images", "held", "refused", "findings", "pending", "incomplete", "shards"]
    gold = next(row for row in document["images"] if row["image"] == "m-gold")
    assert list(gold) == ["image", "service", "owner", "region", "rules", "in_step", "access", "retired"]
    assert gold["access"] == [
        {"account": A, "channels": ["direct"], "managed": True},
        {"account": B, "channels": ["direct"], "managed": True},
        {"account": STRANGER, "channels": ["direct"], "managed": False},
    ]
    assert {row["image"]: row["in_step"] for row in document["images"]} == {
        "m-gold": True, "m-silver": False, "m-bronze": False,
    }  # fmt: skip
    assert document["shards"] == [{"shard": str(SHARD), "read_at": "2026-11-21T12:00:00Z"}]


def test_status_says_which_shards_were_not_read() -> None:
    """A shard that could not be listed has no time of reading, and nothing stands for its images."""
    run = planned(facts(policy(rule(folders=["fd-prod"])), reading(image("gold"), A, B)))
    gap = Incomplete("shard", "ecs/1000000000000002/ap-southeast-1", "no answer")
    run = replace(run, looked=replace(run.looked, incomplete=(gap,)))
    assert status_document(run)["shards"] == [
        {"shard": "ecs/1000000000000002/ap-southeast-1", "read_at": None},
        {"shard": str(SHARD), "read_at": "2026-11-21T12:00:00Z"},
    ]


def test_status_without_an_organization_has_the_same_keys() -> None:
    """Even a status that could read nothing has every key."""
    document = unread_status_document(policy(rule()), "rd-1", "no answer")
    assert list(document) == ["images", "held", "refused", "findings", "pending", "incomplete", "shards"]


def test_explain_and_who_have_the_contracts_keys() -> None:
    """Explain and who answer in the contract's keys."""
    run = planned(facts(policy(rule(folders=["fd-prod"])), reading(image("gold"), A), known=ledger(gold=made(A))))
    (decision,) = run.decisions.images
    assert list(explain_document(explain(run, decision, A))) == [
        "image", "account", "wanted", "has", "channels", "rules", "why", "pending", "held",
    ]  # fmt: skip
    assert who_document([decision]) == {"access": [{"image": "m-gold", "account": A, "channels": ["direct"]}]}
    assert who_document([decision], account=B) == {"access": []}


def test_holds_of_the_state_look_like_those_of_a_plan() -> None:
    """A recorded hold has the keys of a plan's hold; one that is approved says until when."""
    pairs = tuple(Pair(f"m-{of}", account) for of in ("gold", "silver") for account in (A, B, C))
    held = RecordedHold("h-1", NOW, "too many", pairs)
    other = RecordedHold("h-0", NOW, "too many", (Pair("m-bronze", A),))
    approval = Approval(pairs, NOW, "ann", "sure")
    document = holds_document([held, other], [approval], Remembered({"m-gold": SHARD}), NOW)
    assert [list(row) for row in document["held"]] == [HOLD_KEYS, HOLD_KEYS]
    assert [(row["id"], row["expires"], row["lost_pairs"]) for row in document["held"]] == [
        ("h-0", None, 1), ("h-1", "2026-11-22T12:00:00Z", 6),
    ]  # fmt: skip
    rows: list[dict[str, Any]] = document["held"][1]["changes"]
    assert [list(row) for row in rows] == [CHANGE_KEYS, CHANGE_KEYS]
    assert [(row["images"], row["owner"], row["accounts"]) for row in rows] == [
        (["m-silver"], "", [A, B, C]), (["m-gold"], OWNER, [A, B, C]),
    ]  # fmt: skip
    assert document["approved"] == [
        {
            "at": "2026-11-21T12:00:00Z",
            "expires": "2026-11-22T12:00:00Z",
            "who": "ann",
            "reason": "sure",
            "lost_pairs": 6,
        }
    ]


def test_a_hold_that_is_approved_in_part_is_not_shown_as_released() -> None:
    """Only an approval of every pair of a hold releases it."""
    pairs = tuple(Pair("m-gold", account) for account in (A, B, C))
    document = holds_document(
        [RecordedHold("h-1", NOW, "w", pairs)], [Approval(pairs[:2], NOW, "ann")], Remembered({}), NOW
    )
    assert document["held"][0]["expires"] is None
    assert [row["lost_pairs"] for row in document["approved"]] == [2]


def test_accounts_and_rules_of_a_change_are_sorted() -> None:
    """A change lists its accounts and rules in order, in whatever order the plan has them."""
    plan = Plan(changes=(change("grant", "gold", C, A, B, rules=("z", "a", "m")),))
    (row,) = plan_document(plan, ABOUT)["changes"]
    assert (row["accounts"], row["rules"]) == ([A, B, C], ["a", "m", "z"])


@pytest.mark.parametrize("later", [timedelta(hours=24), timedelta(days=3)])
def test_an_approval_that_expired_releases_nothing(later: timedelta) -> None:
    """After a day a hold is as if nobody had approved it."""
    pairs = (Pair("m-gold", A), Pair("m-gold", B), Pair("m-gold", C))
    document = holds_document(
        [RecordedHold("h-1", NOW, "w", pairs)], [Approval(pairs, NOW, "ann")], Remembered({}), NOW + later
    )
    assert document["held"][0]["expires"] is None
    assert document["approved"] == []


def test_planned_documents_say_what_they_are_about() -> None:
    """A run's plan names the deployment, the mode, the organization and the policy."""
    run = planned(facts(policy(rule(folders=["fd-prod"]), mode="add"), reading(image("gold"))))
    document = planned_document(run)
    assert [document[key] for key in ("deployment", "mode", "directory")] == ["golden-images", "add", "rd-1"]
