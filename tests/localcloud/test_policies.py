"""What policies say about a call, as a function of documents alone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.policies import (
    Asked,
    Policy,
    PolicyError,
    common_facts,
    read_policy,
    read_trust_policy,
    trusted,
    verdict,
)
from tests.support.cloud import MANAGEMENT, OWNER, SHOP, START

IMAGE = f"acs:ecs:cn-hangzhou:{OWNER}:image/m-gold"
OBJECT = f"acs:oss:cn-hangzhou:{OWNER}:acme/state/a:b"


def statement(effect: str = "Allow", action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    """One statement of a document."""
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def policy(*statements: dict[str, Any]) -> Policy:
    """A policy of these statements."""
    return read_policy({"Version": "1", "Statement": list(statements)})


def asked(action: str = "ecs:DescribeImages", *resources: str, **facts: str) -> Asked:
    """A call; a double underscore in the name of a fact stands for its colon."""
    named = {key.replace("__", ":"): value for key, value in facts.items()}
    return Asked(action, resources or (IMAGE,), {**common_facts(START), **named})


def test_nothing_is_allowed_that_no_policy_allows() -> None:
    """Without policies, and with policies for other things, the answer is an implicit deny."""
    assert verdict([], asked()) == "ImplicitDeny"
    assert verdict([policy(statement(action="ecs:CopyImage"))], asked()) == "ImplicitDeny"


def test_an_explicit_deny_wins_wherever_it_stands() -> None:
    """Before or after an allow, in the same policy or another."""
    allow, deny = statement(), statement("Deny", "ecs:Describe*")
    for policies in ([policy(allow, deny)], [policy(deny, allow)], [policy(allow), policy(deny)]):
        assert verdict(policies, asked()) == "ExplicitDeny"
        assert verdict(policies, asked("ecs:CopyImage")) == "Allow"


@pytest.mark.parametrize(
    ("action", "covered"),
    [
        ("*", True),
        ("ecs:*", True),
        ("ecs:Describe*", True),
        ("ecs:DescribeImage?", True),
        ("ECS:describeimages", True),
        (["oss:*", "ecs:DescribeImages"], True),
        ("ecs:DescribeImage", False),
        ("ecs:Describe?", False),
        ("ecs:DescribeImagesX", False),
        ("oss:*", False),
    ],
)
def test_actions_have_wildcards_and_no_case(action: Any, covered: bool) -> None:
    """`*` is any text, `?` one character, over the whole name; NotAction covers the rest."""
    expected = "Allow" if covered else "ImplicitDeny"
    assert verdict([policy(statement(action=action))], asked()) == expected
    rest = {"Effect": "Allow", "NotAction": action, "Resource": "*"}
    assert (verdict([policy(rest)], asked()) == "Allow") is not covered


@pytest.mark.parametrize(
    ("pattern", "resource", "covered"),
    [
        ("*", IMAGE, True),
        ("acs:ecs:*:*:*", IMAGE, True),
        (f"acs:ecs:*:{OWNER}:image/*", IMAGE, True),
        (f"acs:ecs:cn-*:{OWNER}:image/m-gol?", IMAGE, True),
        (f"acs:ecs:*:{SHOP}:image/*", IMAGE, False),
        (f"acs:ecs:ap-*:{OWNER}:image/*", IMAGE, False),
        (f"acs:ecs:*:{OWNER}:image/m-silver", IMAGE, False),
        (f"acs:ecs:*:{OWNER}:image/M-GOLD", IMAGE, False),
        ("acs:*:*", "acs:x:y:z:w", None),
        ("acs:oss:*:*:acme/state/*", OBJECT, True),
        ("acs:oss:*:*:acme/*", OBJECT, True),
        ("acs:oss:*:*:acme", OBJECT, False),
        ("acs:oss:*:*:acme/sta", OBJECT, False),
        (f"acs:ram:*:{MANAGEMENT}:role/reader", f"acs:ram::{MANAGEMENT}:role/reader", True),
        (f"acs:ram::{MANAGEMENT}:role/reader", f"acs:ram::{MANAGEMENT}:role/reader", True),
        (f"acs:ram::{MANAGEMENT}:role/reader", f"acs:ram::{MANAGEMENT}:role/reader2", False),
        # A single image is allowed, so listing all of them is not.
        (f"acs:ecs:*:{OWNER}:image/m-*", f"acs:ecs:cn-hangzhou:{OWNER}:image/*", False),
        # What cannot be granted for single resources takes a policy for all.
        ("acs:resourcesharing:*:*:*", "*", False),
        ("*", "*", True),
    ],
)
def test_resources_are_matched_segment_by_segment(pattern: str, resource: str, covered: bool | None) -> None:
    """Wildcards in every segment, in the given case; fewer than five segments are no resource."""
    if covered is None:
        with pytest.raises(PolicyError, match="Resource: expected"):
            policy(statement(resource=pattern))
        return
    said = verdict([policy(statement(resource=pattern))], asked("x:Y", resource))
    assert said == ("Allow" if covered else "ImplicitDeny")


def test_a_call_about_several_resources_needs_all_of_them() -> None:
    """One that is not allowed is enough to refuse it, one that is denied too."""
    gold, silver = statement(resource=IMAGE), f"acs:ecs:cn-hangzhou:{OWNER}:image/m-silver"
    assert verdict([policy(gold)], asked("ecs:TagResources", IMAGE, silver)) == "ImplicitDeny"
    both = policy(gold, statement(resource=silver))
    assert verdict([both], asked("ecs:TagResources", IMAGE, silver)) == "Allow"
    denied = policy(statement("Deny", resource=silver))
    assert verdict([both, denied], asked("ecs:TagResources", IMAGE, silver)) == "ExplicitDeny"


@pytest.mark.parametrize(
    ("condition", "facts", "met"),
    [
        ({"StringEquals": {"oss:Prefix": ["a", "b"]}}, {"oss__Prefix": "b"}, True),
        ({"StringEquals": {"oss:Prefix": "B"}}, {"oss__Prefix": "b"}, False),
        ({"StringEqualsIgnoreCase": {"oss:Prefix": "B"}}, {"oss__Prefix": "b"}, True),
        ({"StringEquals": {"oss:Prefix": "b"}}, {}, False),
        ({"StringNotEquals": {"oss:Prefix": "b"}}, {}, True),
        ({"StringNotEquals": {"oss:Prefix": ["a", "b"]}}, {"oss__Prefix": "b"}, False),
        ({"StringNotEqualsIgnoreCase": {"oss:Prefix": "B"}}, {"oss__Prefix": "b"}, False),
        ({"StringLike": {"oss:Prefix": "state/*"}}, {"oss__Prefix": "state/shards/"}, True),
        ({"StringLike": {"oss:Prefix": "state/?"}}, {"oss__Prefix": "state/"}, False),
        ({"StringNotLike": {"oss:Prefix": "state/*"}}, {"oss__Prefix": "other"}, True),
        ({"Bool": {"acs:SecureTransport": False}}, {}, True),
        ({"Bool": {"acs:SecureTransport": "true"}}, {}, False),
        ({"IpAddress": {"acs:SourceIp": ["10.0.0.0/8", "127.0.0.1"]}}, {}, True),
        ({"IpAddress": {"acs:SourceIp": "10.0.0.0/8"}}, {}, False),
        ({"NotIpAddress": {"acs:SourceIp": "127.0.0.0/8"}}, {}, False),
        ({"DateLessThan": {"acs:CurrentTime": "2026-11-21T12:00:00Z"}}, {}, False),
        ({"DateLessThanEquals": {"acs:CurrentTime": "2026-11-21T12:00:00Z"}}, {}, True),
        ({"DateGreaterThan": {"acs:CurrentTime": "2026-11-21T11:59:59Z"}}, {}, True),
        ({"DateGreaterThanEquals": {"acs:CurrentTime": "2026-11-21T12:00:01Z"}}, {}, False),
        ({"DateEquals": {"acs:CurrentTime": "2026-11-21T12:00:00Z"}}, {}, True),
        ({"DateNotEquals": {"acs:CurrentTime": "2026-11-21T12:00:00Z"}}, {}, False),
        ({"Bool": {"acs:MFAPresent": False}, "StringEquals": {"oss:Prefix": "a"}}, {"oss__Prefix": "b"}, False),
        (
            {"StringEquals": {"oss:Prefix": "a", "oss:Delimiter": "/"}},
            {"oss__Prefix": "a", "oss__Delimiter": "/"},
            True,
        ),
        ({"StringEquals": {"oss:Prefix": "a", "oss:Delimiter": "/"}}, {"oss__Prefix": "a"}, False),
    ],
)
def test_conditions(condition: dict[str, Any], facts: dict[str, str], met: bool) -> None:
    """Any value of a key, but every key and every operator; without the key only what is negated holds."""
    found = verdict([policy(statement(Condition=condition))], asked("oss:ListObjects", "*", **facts))
    assert found == ("Allow" if met else "ImplicitDeny")


# --- always and never

names = st.sampled_from(["ecs:DescribeImages", "ecs:CopyImage", "oss:PutObject", "sts:AssumeRole"])
actions = st.one_of(names, st.sampled_from(["*", "ecs:*", "ecs:Describe*", "*:*Image*", "o?s:*"]))
arns = st.sampled_from([IMAGE, OBJECT, f"acs:ecs:cn-hangzhou:{OWNER}:image/m-silver", "*"])
patterns = st.one_of(arns, st.sampled_from(["acs:ecs:*:*:*", "acs:oss:*:*:acme/*", f"acs:*:*:{OWNER}:*"]))
conditions = st.sampled_from([{}, {"Bool": {"acs:MFAPresent": True}}, {"IpAddress": {"acs:SourceIp": "127.0.0.0/8"}}])
statements = st.builds(
    lambda effect, key, action, resource, condition: {
        "Effect": effect,
        key: action,
        "Resource": resource,
        "Condition": condition,
    },
    st.sampled_from(["Allow", "Deny"]),
    st.sampled_from(["Action", "NotAction"]),
    st.lists(actions, min_size=1, max_size=3),
    st.lists(patterns, min_size=1, max_size=3),
    conditions,
)
calls = st.builds(asked, names, arns, arns)


@given(st.lists(statements, min_size=1, max_size=6), calls)
def test_who_is_denied_is_denied_whatever_else_is_allowed(rows: list[dict[str, Any]], call: Asked) -> None:
    """Everything that the Deny statements alone deny is denied beside any Allow statements, in any order."""
    denying = [row for row in rows if row["Effect"] == "Deny"]
    denied = bool(denying) and verdict([policy(*denying)], call) == "ExplicitDeny"
    everything = [*rows, statement()]
    assert (verdict([policy(*everything)], call) == "ExplicitDeny") is denied
    assert (verdict([policy(row) for row in reversed(everything)], call) == "ExplicitDeny") is denied


@given(st.lists(statements, min_size=1, max_size=6), calls, st.data())
def test_taking_an_allow_away_never_allows_more(rows: list[dict[str, Any]], call: Asked, data: st.DataObject) -> None:
    """What is allowed without a statement that allows is allowed with it."""
    gone = data.draw(st.integers(0, len(rows) - 1))
    less = [row for index, row in enumerate(rows) if index != gone or row["Effect"] == "Deny"]
    if less and verdict([policy(*less)], call) == "Allow":
        assert verdict([policy(*rows)], call) == "Allow"


@given(st.lists(statements, min_size=1, max_size=4), calls)
def test_what_is_read_is_what_is_evaluated(rows: list[dict[str, Any]], call: Asked) -> None:
    """A document that is written out and read again says the same."""
    made = policy(*rows)
    again = read_policy(msgspec.to_builtins(made))
    assert again == made
    assert verdict([again], call) == verdict([made], call)


# --- trust policies


def trust(effect: str = "Allow", **more: Any) -> dict[str, Any]:
    """One statement of a trust policy."""
    return {"Effect": effect, "Action": "sts:AssumeRole", **more}


def test_a_trust_policy_names_accounts_users_roles_and_services() -> None:
    """Whoever is named by any of its names is trusted, and a deny wins here too."""
    rows = [
        trust(Principal={"RAM": [f"acs:ram::{OWNER}:root"], "Service": "fc.aliyuncs.com"}),
        trust("Deny", Principal={"RAM": f"acs:ram::{OWNER}:role/bad"}),
        trust(Principal={"RAM": f"acs:ram::{SHOP}:root"}, Condition={"StringEquals": {"sts:ExternalId": "x1"}}),
        {**trust(Principal={"RAM": f"acs:ram::{MANAGEMENT}:root"}), "Action": "sts:TagSession"},
    ]
    made = read_trust_policy({"Version": "1", "Statement": rows})
    root = f"acs:ram::{OWNER}:root"
    assert trusted(made, [root], {}) == "Allow"
    assert trusted(made, [root, f"acs:ram::{OWNER}:role/good"], {}) == "Allow"
    assert trusted(made, [root, f"acs:ram::{OWNER}:role/bad"], {}) == "ExplicitDeny"
    assert trusted(made, ["fc.aliyuncs.com"], {}) == "Allow"
    assert trusted(made, ["ecs.aliyuncs.com"], {}) == "ImplicitDeny"
    assert trusted(made, [f"acs:ram::{SHOP}:root"], {}) == "ImplicitDeny"
    assert trusted(made, [f"acs:ram::{SHOP}:root"], {"sts:ExternalId": "x1"}) == "Allow"
    assert trusted(made, [f"acs:ram::{MANAGEMENT}:root"], {}) == "ImplicitDeny"
