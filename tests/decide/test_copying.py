"""Which images are copied where, by pure deciding: once each, at most five at once, and everything else by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from orgshare.copies import (
    COPY_OF,
    Copies,
    Copy,
    Source,
    as_last_seen,
    copies_there,
    copy_tag,
    is_copy,
    recovered_copies,
    settle_copies,
    tags_of_copy,
    token_of,
    with_sources,
)
from orgshare.decide.copying import AT_ONCE, MOST_TAGS, CopyDecision
from orgshare.decide.deciding import decide
from orgshare.decide.facts import Copying, Facts
from orgshare.decide.plan import Change, Finding, Pending
from orgshare.decide.planning import assemble
from orgshare.decide.selection import selector
from orgshare.errors import NoAnswer, NotPermitted, Refused
from orgshare.ledger import FIRST_WAIT, Ledger, Setback, copy_key
from orgshare.observe.images import same_selection
from orgshare.policy.model import ImageSelector, Owner, Policy, Rule
from orgshare.record.ownership import copies_intended, copies_recorded
from orgshare.words import DEPLOYMENT, Image, Incomplete, Origin, Shard, Sharing
from tests.support.facts import NOW, OWNER, SHARD, STATE, facts, image, policy, rule

FAR = Shard("ecs", OWNER, "ap-southeast-1")
NEAR = SHARD.region
GOLD, SILVER, BRONZE = image("gold"), image("silver"), image("bronze")
PLAIN = replace(GOLD, encrypted=False)


def copying_rule(*, to: Iterable[str] = (FAR.region,), encrypted: Any = "refuse", **options: Any) -> Rule:
    made = rule(**{"folders": ["root"], **options})
    return replace(made, copy_to=tuple(to), encrypted=encrypted)


def policy_of(*rules: Rule, keys: Mapping[str, str] | None = None, **options: Any) -> Policy:
    owner = Owner(OWNER, (NEAR, FAR.region), kms_keys=tuple((keys or {}).items()))
    return replace(policy(*(rules or (copying_rule(),)), **options), owners=(owner,))


def copied(of: Image, name: str, **changes: Any) -> Image:
    """An image of the other region that says it is a copy."""
    made = image(name, shard=FAR)
    return replace(made, tags=tags_of_copy(of, "golden-images"), **changes)


def entry(name: str = "", *, state: Any = "made", **changes: Any) -> Copy:
    return Copy(NEAR, NOW, "token", state, name and f"m-{name}", **changes)


def facts_of(
    *sources: Image,
    of: Policy | None = None,
    there: Iterable[Image] = (),
    copies: Copies | None = None,
    unsure: Mapping[str, str] | None = None,
    unread: Iterable[str] = (),
    **ledger: Any,
) -> Facts:
    there = tuple(there)
    known = Ledger(copies=MappingProxyType(dict(copies or {})), **ledger)
    settled = settle_copies(known.copies, there, "golden-images", frozenset(unread))
    found = facts(of or policy_of())
    return replace(
        found,
        ledgers={**found.ledgers, FAR: known},
        sharing={**found.sharing, FAR: Sharing()},
        copying={FAR: Copying(sources, there, settled, unsure or {}, frozenset(unread))},
    )


def decided(*sources: Image, **options: Any) -> CopyDecision:
    return decide(facts_of(*sources, **options)).copies[FAR]


def change(of: Image, *rules: str) -> Change:
    why = f"copied from {NEAR} to {FAR.region}"
    return Change(action="copy", shard=FAR, images=(of.id,), rules=rules or ("golden",), why=why)


def not_copied(of: Image, why: str) -> Finding:
    return Finding("not-copied", of.id, "", f"it is not copied to {FAR.region}: {why}")


# --- what is copied


def test_every_selected_image_without_a_copy_is_copied_in_the_order_of_ids() -> None:
    """One change each, with the image as it was read; an image that no rule selects is not copied."""
    other = image("other", tags={"share": "none"})
    found = decided(SILVER, GOLD, other, BRONZE)
    assert found == CopyDecision(
        changes=(change(BRONZE), change(GOLD), change(SILVER)),
        sources={one.id: one for one in (BRONZE, GOLD, SILVER)},
    )


def test_all_rules_that_copy_there_are_named_and_no_others() -> None:
    """A rule that copies elsewhere, only observes, or rests on something unknown copies nothing there."""
    rules = (
        copying_rule(name="one"),
        copying_rule(name="two", to=("cn-beijing", FAR.region)),
        copying_rule(name="elsewhere", to=("cn-beijing",)),
        copying_rule(name="watching", mode="observe"),
        copying_rule(name="frozen", without_folders=["fd-unknown"]),
        rule(name="plain", folders=["root"]),
    )
    where = facts_of(GOLD, of=policy_of(*rules))
    where = replace(where, organization=replace(where.organization, unread_folders=frozenset({"fd-unknown"})))
    assert decide(where).copies[FAR].changes == (change(GOLD, "one", "two"),)


@pytest.mark.parametrize(("whole", "copies"), [("observe", True), ("enforce", False)])
def test_what_a_rule_that_observes_would_copy_is_shown_where_all_observe(whole: Any, copies: bool) -> None:
    """As everything that enforcing would do."""
    found = decided(GOLD, of=policy_of(copying_rule(mode="observe"), mode=whole))
    assert found.changes == ((change(GOLD),) if copies else ())


def test_five_are_copied_at_once_those_under_way_among_them() -> None:
    """Copies that are being made or wait count, finished ones and images that are no copies do not."""
    sources = [image(f"{n}") for n in range(9)]
    there = [
        copied(sources[7], "x", status="Creating"),
        copied(sources[8], "y", status="Waiting"),
        copied(image("done"), "z"),
        image("own", shard=FAR, status="Creating"),
    ]
    found = decided(*sources, there=there)
    assert [c.images for c in found.changes] == [(f"m-{n}",) for n in range(AT_ONCE - 2)]
    status = f"waits to be copied to {FAR.region}: 5 copies are made there at once"
    assert found.pending == tuple(Pending("", f"m-{n}", status, "") for n in range(AT_ONCE - 2, 7))
    assert found.sources.keys() == {"m-0", "m-1", "m-2"}


def test_an_image_that_is_being_made_is_copied_when_it_is_ready() -> None:
    """It waits, and takes nobody's place."""
    found = decided(replace(GOLD, status="Creating"), SILVER)
    assert found.pending == (Pending("", GOLD.id, f"copied to {FAR.region} when it is Available", ""),)
    assert found.changes == (change(SILVER),)


def test_a_plan_has_what_is_decided_of_copies() -> None:
    """Changes, what is under way, findings and gaps, each in its place."""
    found = facts_of(
        GOLD, replace(SILVER, status="Waiting"), replace(BRONZE, public=True), image("u"), unsure={"m-u": "nobody says"}
    )
    plan = assemble(found, decide(found), ())
    assert [c.images for c in plan.changes] == [(GOLD.id,)]
    assert [p.entity for p in plan.pending] == [SILVER.id]
    assert [(f.kind, f.image) for f in plan.findings] == [("not-copied", BRONZE.id)]
    gap = f"m-u: it is not copied to {FAR.region}: nobody says"
    assert Incomplete("shard", str(FAR), gap) in plan.incomplete


# --- what is not copied, and why


@pytest.mark.parametrize("known", [True, False])
def test_an_image_with_a_copy_is_not_copied_again(known: bool) -> None:
    """Whether the ledger knows it for ours, or only its tag says what it is."""
    found = decided(GOLD, there=[copied(GOLD, "copy")], copies={GOLD.id: entry("copy")} if known else {})
    assert found.changes == ()
    why = (
        f"m-copy in {FAR.region} says that it is a copy of it, but nobody here made it, so it is neither shared like "
        f"it nor made again; «orgshare init --recover» takes it over; or take the tag {COPY_OF} off"
    )
    assert found.findings == (() if known else (Finding("not-copied", GOLD.id, "", why),))


@pytest.mark.parametrize("copies", [{}, {GOLD.id: entry(state="intended")}], ids=["unknown", "intended"])
def test_what_another_deployment_copied_is_not_ours_and_not_made_again(copies: Copies) -> None:
    """Though a copy was meant to be made here, too; a person is told of both deployments."""
    theirs = replace(image("copy", shard=FAR), tags=tags_of_copy(GOLD, "other"))
    found = decided(GOLD, there=[theirs], copies=copies)
    assert found.changes == ()
    why = (
        f"m-copy in {FAR.region} is a copy of it that was not made for deployment golden-images, so it is neither "
        "shared like it nor made again; let only one deployment copy it there"
    )
    assert found.findings == (Finding("not-copied", GOLD.id, "", why),)


def test_an_image_beside_one_that_others_copied_is_copied() -> None:
    """What somebody else's copy says is about one image."""
    found = decided(GOLD, SILVER, there=[copied(GOLD, "copy")])
    assert (found.changes, [f.image for f in found.findings]) == ((change(SILVER),), [GOLD.id])


def test_a_copy_of_a_call_without_an_answer_is_found_by_its_tags() -> None:
    """It is being made, and asked for no more; one that was made for another deployment is not it."""
    there = copied(GOLD, "copy", status="Creating")
    found = decided(GOLD, there=[there], copies={GOLD.id: entry(state="intended")})
    status = f"a copy of {GOLD.id}, is being made in {FAR.region}"
    assert found == CopyDecision(pending=(Pending("", "m-copy", status, NOW.isoformat()),))
    theirs = replace(there, tags=tags_of_copy(GOLD, "another"))
    other = decided(GOLD, there=[theirs], copies={GOLD.id: entry(state="intended")})
    assert ([f.image for f in other.findings], other.changes) == ([GOLD.id], ())


def test_of_a_copy_that_could_not_be_read_nothing_is_concluded() -> None:
    """Neither that it may be gone, nor that it is."""
    for missing in (0, 1):
        assert decided(GOLD, copies={GOLD.id: entry("copy", missing=missing)}, unread=["m-copy"]) == CopyDecision()


def test_a_plan_has_the_copies_of_every_shard() -> None:
    """Of two regions, what is copied and what waits."""
    there, waits = Shard("ecs", OWNER, "cn-beijing"), replace(SILVER, status="Waiting")
    found = facts_of(GOLD, waits, of=policy_of(copying_rule(to=(FAR.region, there.region))))
    of = found.copying[FAR]
    sharing, ledgers = {**found.sharing, there: Sharing()}, {**found.ledgers, there: Ledger()}
    both = replace(found, copying={FAR: of, there: of}, sharing=sharing, ledgers=ledgers)
    plan = assemble(both, decide(both), ())
    assert [c.shard for c in plan.changes] == [FAR, there]
    assert [p.status for p in plan.pending] == [
        f"copied to {region} when it is Available" for region in (FAR.region, there.region)
    ]


def test_a_copy_that_lost_its_tag_is_still_the_copy() -> None:
    """The ledger knows its id, so it is told of it as of any other; the next image is copied."""
    there = image("copy", shard=FAR, status="CreateFailed")
    found = decided(GOLD, SILVER, there=[there], copies={GOLD.id: entry("copy")})
    assert [(f.kind, f.image, "m-copy" in f.why) for f in found.findings] == [("not-copied", GOLD.id, True)]
    assert found.changes == (change(SILVER),)
    assert decided(GOLD, there=[image("copy", shard=FAR)], copies={GOLD.id: entry("copy")}) == CopyDecision()


def test_a_shard_that_the_state_does_not_know_yet_is_copied_to() -> None:
    """The first run there has no ledger."""
    found = facts_of(GOLD)
    ledgers = {shard: known for shard, known in found.ledgers.items() if shard != FAR}
    assert decide(replace(found, ledgers=ledgers)).copies[FAR].changes == (change(GOLD),)


def test_a_copy_that_is_not_listed_is_not_made_again() -> None:
    """Neither when a reading misses it, which is said, nor when it is gone; then a person is told."""
    status = f"a copy of {GOLD.id}, was not found in {FAR.region}: the next look tells whether it is gone"
    missed = CopyDecision(pending=(Pending("", "m-copy", status, ""),))
    assert decided(GOLD, copies={GOLD.id: entry("copy")}) == missed
    why = f"its copy m-copy in {FAR.region} was removed; it is not copied again until «orgshare retire m-gold --undo»"
    gone = (Finding("copy-removed", GOLD.id, "", why),)
    assert decided(GOLD, copies={GOLD.id: entry("copy", missing=1)}) == CopyDecision(findings=gone)
    assert decided(GOLD, copies={GOLD.id: entry("copy", state="gone", missing=2)}) == CopyDecision(findings=gone)


def test_a_copy_that_was_intended_and_is_not_to_be_seen_is_asked_for_again() -> None:
    """Its token is in the ledger."""
    assert decided(GOLD, copies={GOLD.id: entry(state="intended")}).changes == (change(GOLD),)


@pytest.mark.parametrize("status", ["CreateFailed", "UnAvailable"])
def test_a_copy_that_failed_is_named(status: str) -> None:
    """With what a person does about it; one that is fine is not."""
    copies = {GOLD.id: entry("copy"), SILVER.id: entry("other")}
    found = decided(
        GOLD,
        SILVER,
        there=[copied(GOLD, "copy", status=status), copied(SILVER, "other", status="Creating")],
        copies=copies,
    )
    why = (
        f"its copy m-copy in {FAR.region} has the status {status}; delete it, and when runs say that it was removed, "
        "«orgshare retire m-gold --undo»"
    )
    assert found.findings == (Finding("not-copied", GOLD.id, "", why),)
    assert [pending.entity for pending in found.pending] == ["m-other"]


def test_a_copy_is_not_copied_on() -> None:
    """Whoever made it."""
    assert decided(replace(copied(SILVER, "x"), shard=SHARD)) == CopyDecision()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"public": True}, "a community image is visible to everybody and cannot be shared: take it out of the rule"),
        (
            {"status": "Deprecated"},
            "who has it keeps it, nobody new gets it: activate the image or share its successor",
        ),
        (
            {"encrypted": True},
            "it is encrypted, and no rule that copies it says encrypted: authorize, so nobody would get the copy",
        ),
    ],
)
def test_an_image_that_the_service_does_not_share_is_not_copied(changes: dict[str, Any], why: str) -> None:
    """The reason is that of sharing it."""
    assert decided(replace(GOLD, **changes), SILVER) == CopyDecision(
        changes=(change(SILVER),), sources={SILVER.id: SILVER}, findings=(not_copied(GOLD, why),)
    )


def test_an_encrypted_image_needs_a_key_in_the_region() -> None:
    """And a rule among those that copy it which authorizes."""
    sealed = replace(GOLD, encrypted=True)
    both = (copying_rule(name="a", encrypted="authorize"), copying_rule(name="b"))
    lacking = f"it is encrypted, and kms_keys of owner {OWNER} names no key there"
    for keys, findings in (({}, (not_copied(GOLD, lacking),)), ({FAR.region: "key"}, ())):
        found = decided(sealed, of=policy_of(*both, keys=keys))
        assert (found.findings, found.changes) == (findings, () if findings else (change(GOLD, "a", "b"),))
    elsewhere = decided(sealed, of=policy_of(*both, keys={NEAR: "key"}))
    assert elsewhere.findings == (not_copied(GOLD, lacking),)
    other = rule(name="other", folders=["root"])
    only_other = policy_of(copying_rule(), replace(other, encrypted="authorize"), keys={FAR.region: "key"})
    assert decided(sealed, of=only_other).changes == ()


def test_a_copy_has_room_for_eighteen_tags_of_its_image() -> None:
    """Two are ours; those that only the vendor can set do not count."""
    tags = {f"t{n}": "x" for n in range(MOST_TAGS - 3)} | {"share": "org"}
    full = image("gold", tags={**tags, "acs:rm:rgId": "rg", "aliyun.com/x": "y"})
    assert decided(full).changes == (change(GOLD),)
    why = "with the two tags of a copy it would have 21, and 20 are allowed: take some off"
    assert decided(image("gold", tags={**tags, "one": "more"})).findings == (not_copied(GOLD, why),)


def test_what_the_cloud_refused_is_tried_again_after_a_wait() -> None:
    """And named until then."""
    late, early = Setback("Code", "no", NOW - FIRST_WAIT), Setback("Code", "no", NOW)
    assert decided(GOLD, setbacks={copy_key(GOLD.id): late}).changes == (change(GOLD),)
    again = f"{early.again():%Y-%m-%d %H:%M} UTC"
    assert decided(GOLD, setbacks={copy_key(GOLD.id): late}).again == ()
    found = decided(GOLD, SILVER, setbacks={copy_key(GOLD.id): early})
    assert found.again == (early.again(),)
    assert found.findings == (not_copied(GOLD, f"the cloud said Code: no; tried again after {again}"),)
    assert found.changes == (change(SILVER),)


# --- what selects a copy


def shown(of: Image, *rules: Rule) -> list[str]:
    return [rules[index].name for index in selector(policy_of(*rules))(of)]


COPY = replace(image("copy", shard=FAR, tags={"share": "org"}), name="gold")
BY_ID = ImageSelector(ids=frozenset({"m-gold"}), regions=frozenset({NEAR}))


def test_a_copy_is_selected_as_its_source_would_be_in_its_region() -> None:
    """By the source's tags and family as they are now, not by its own."""
    source = image("gold", family="acme", tags={"share": "lab"})
    of = replace(COPY, origin=Origin("m-gold", NEAR, source))
    lab = rule("lab", images=ImageSelector(tags=(("share", frozenset({"lab"})),)))
    family = rule("family", images=ImageSelector(families=frozenset({"acme"}), regions=frozenset({FAR.region})))
    near = rule("near", images=ImageSelector(families=frozenset({"acme"}), regions=frozenset({NEAR})))
    own = rule("own", images=ImageSelector(ids=frozenset({"m-copy"})))
    assert shown(of, rule("org"), lab, family, near, own) == ["lab", "family", "own"]


def test_the_rule_that_copies_there_selects_the_copy_of_whatever_it_selects() -> None:
    """Though it names another region and another id; one that copies elsewhere does not."""
    of = replace(COPY, origin=Origin("m-gold", NEAR, GOLD))
    here, elsewhere = (
        copying_rule(name="here", images=BY_ID),
        copying_rule(name="else", images=BY_ID, to=["cn-beijing"]),
    )
    assert shown(of, elsewhere, here) == ["here"]
    assert shown(replace(of, origin=Origin("m-silver", NEAR, SILVER)), here) == []


def test_a_copy_whose_source_is_gone_stands_for_itself() -> None:
    """With its own tags and name; a rule that names the source by its id still has it."""
    of = replace(COPY, origin=Origin("m-gold", NEAR, None))
    here = copying_rule(name="here", images=BY_ID)
    family = rule("family", images=ImageSelector(families=frozenset({"acme"})))
    named = rule("named", images=ImageSelector(names=("gold",), regions=frozenset({FAR.region})))
    assert shown(of, rule("org"), here, family, named) == ["org", "here", "named"]


def test_what_a_source_had_lost_before_it_was_gone_its_copy_has_not_either() -> None:
    """Both have to match: the copy as it is, so that a person can take it out, and the source as it was last seen."""
    of = replace(COPY, origin=Origin("m-gold", NEAR, None, image("gold", tags={"share": "lab"})))
    lab = rule("lab", images=ImageSelector(tags=(("share", frozenset({"lab"})),)))
    own = rule("own", images=ImageSelector(ids=frozenset({"m-copy"})))
    assert shown(of, rule("org"), lab, copying_rule(name="here", images=BY_ID), own) == ["here", "own"]
    last = image("gold", tags={"share": "org"})
    assert shown(replace(of, origin=Origin("m-gold", NEAR, None, last)), rule("org"), lab) == ["org"]


def test_two_readings_of_a_copy_agree_if_those_of_its_source_do() -> None:
    """A loss that rests on either is proven by both."""
    of = replace(COPY, origin=Origin("m-gold", NEAR, GOLD))
    assert same_selection(of, replace(of, status="Deprecated"))
    assert same_selection(COPY, replace(COPY, status="Deprecated"))
    retagged = replace(GOLD, tags=frozenset())
    for other in (
        replace(of, origin=Origin("m-gold", NEAR, retagged)),
        replace(of, origin=Origin("m-gold", NEAR, None)),
        replace(of, origin=None),
        replace(of, tags=frozenset()),
    ):
        assert not same_selection(of, other)


# --- what is remembered


def test_a_copy_is_known_by_its_tag_only_if_it_was_intended() -> None:
    """One that nobody meant to make is nobody's."""
    there = [copied(GOLD, "copy"), copied(SILVER, "posing")]
    after = settle_copies({GOLD.id: entry(state="intended")}, there, "golden-images")
    assert after == {GOLD.id: entry("copy")}
    elsewhere = replace(entry(state="intended"), region="cn-beijing")
    assert settle_copies({GOLD.id: elsewhere}, there, "golden-images") == {GOLD.id: elsewhere}


def test_a_copy_is_gone_after_two_readings_and_back_when_it_is_seen() -> None:
    """However long it was gone."""
    there, nothing = [image("copy", shard=FAR)], [image("own", shard=FAR)]
    copies: Copies = {GOLD.id: entry("copy")}
    gone = entry("copy", state="gone", missing=2)
    for expected in (entry("copy", missing=1), gone, gone):
        copies = settle_copies(copies, nothing, "golden-images")
        assert copies == {GOLD.id: expected}
    assert settle_copies(copies, there, "golden-images") == {GOLD.id: entry("copy")}
    assert settle_copies({GOLD.id: entry("copy", missing=1)}, there, "golden-images") == {GOLD.id: entry("copy")}
    assert settle_copies({GOLD.id: entry(state="intended")}, nothing, "golden-images") == {
        GOLD.id: entry(state="intended")
    }


@given(st.lists(st.sampled_from(["seen", "missed", "asked"]), max_size=12))
def test_whatever_readings_show_an_image_is_asked_for_with_one_token_until_it_is_made(steps: list[str]) -> None:
    """Never two copies: after the first intention no other token is used, and after a copy was seen none at all."""
    state = Ledger()
    tokens: set[str] = set()
    exists = False
    for number, step in enumerate(steps):
        now = NOW + timedelta(minutes=number)
        there = [copied(GOLD, "copy")] if exists and step != "missed" else []
        found = replace(facts_of(GOLD, there=there, copies=state.copies), now=now)
        state = state.with_copies(settle_copies(state.copies, there, "golden-images"))
        for made in decide(found).copies[FAR].changes:
            state = copies_intended(state, [GOLD], FAR.region, STATE, now)
            tokens.add(state.copies[made.images[0]].token)
            exists = exists or step == "asked"
    assert len(tokens) <= 1


def test_an_intention_keeps_its_token_and_names_where_the_image_is() -> None:
    """A second try is the same request; another image, region, state or time is another one."""
    first = copies_intended(Ledger(), [GOLD, SILVER], FAR.region, STATE, NOW)
    later = NOW + timedelta(hours=1)
    assert copies_intended(first, [GOLD], FAR.region, STATE, later) == first
    tokens = {
        token_of(STATE, GOLD, FAR.region, NOW),
        token_of(STATE, SILVER, FAR.region, NOW),
        token_of(STATE, GOLD, "cn-beijing", NOW),
        token_of("another", GOLD, FAR.region, NOW),
        token_of(STATE, GOLD, FAR.region, later),
    }
    assert len(tokens) == 5
    assert first.copies[GOLD.id] == Copy(NEAR, NOW, token_of(STATE, GOLD, FAR.region, NOW))
    assert all(len(token) == 40 and token.isascii() for token in tokens), "at most 64 characters are allowed"


def test_what_a_copy_was_made_from_is_remembered_as_it_was_last_seen() -> None:
    """With what rules go by; a reading without it keeps what was known."""
    was = image("gold", family="acme", tags={"share": "org", "b": "1"})
    known = with_sources({GOLD.id: entry("copy"), SILVER.id: entry("other")}, {GOLD.id: was})
    seen = Source("gold", "acme", (("b", "1"), ("share", "org")))
    assert known == {GOLD.id: entry("copy", seen=seen), SILVER.id: entry("other")}
    assert with_sources(known, {}) == known
    now = image("gold", tags={})
    assert with_sources(known, {GOLD.id: now})[GOLD.id].seen == Source("gold", "", ())
    copy = image("copy", shard=FAR, status="Deprecated")
    assert as_last_seen(known[SILVER.id], SILVER.id, copy) is None
    last = as_last_seen(known[GOLD.id], GOLD.id, copy)
    assert last == replace(was, shard=FAR, within=NEAR, status="Deprecated")
    assert (Ledger().copied(), Ledger(copies=known).copied()) == (0, 2)
    gone = {**known, GOLD.id: entry("copy", state="gone", missing=2)}
    assert Ledger(copies=gone).copied() == 1


def test_what_copies_say_of_themselves() -> None:
    """The tag names region and id of the source; the vendor's own tags and those of an older copy are left out."""
    source = replace(GOLD, tags=frozenset({("share", "org"), ("acs:x", "y"), ("aliyun", "z"), (COPY_OF, "a/m-b")}))
    assert copy_tag(source) == (COPY_OF, f"{NEAR}/m-gold")
    assert tags_of_copy(source, "dep") == {("share", "org"), (COPY_OF, f"{NEAR}/m-gold"), (DEPLOYMENT, "dep")}
    one, other = copied(GOLD, "b"), copied(GOLD, "a")
    assert (is_copy(one), is_copy(GOLD)) == (True, False)
    assert copies_there([one, other, SILVER]) == {f"{NEAR}/m-gold": other}
    assert recovered_copies([one], NOW) == {"m-gold": Copy(NEAR, NOW, "", "made", "m-b")}
    odd = replace(one, id="m-z", tags=frozenset({(COPY_OF, "not/a/place")}))
    assert recovered_copies([one, odd], NOW) == recovered_copies([one], NOW)


def test_calls_that_were_not_carried_out_for_certain_leave_no_intention() -> None:
    """Those that nobody knows of do, and so do refusals of what was intended before; a refusal is remembered."""
    before = copies_intended(Ledger(), [GOLD], FAR.region, STATE, NOW)
    others = [SILVER, BRONZE, image("denied"), image("made")]
    intended = copies_intended(before, others, FAR.region, STATE, NOW)
    errors = {
        GOLD.id: Refused("no", code="Code"),
        SILVER.id: Refused("no", code="Code"),
        BRONZE.id: NoAnswer("silence", code=""),
        "m-denied": NotPermitted("denied", remedy="allow it", code="Forbidden"),
    }
    known = intended.with_setbacks({copy_key("m-made"): Setback("Code", "no", NOW)})
    after = copies_recorded(known, before.copies, {"m-made": "m-copy"}, errors, NOW)
    assert {source: copy.state for source, copy in after.copies.items()} == {
        GOLD.id: "intended", BRONZE.id: "intended", "m-made": "made",
    }  # fmt: skip
    assert after.copies["m-made"].id == "m-copy"
    assert after.setbacks.keys() == {copy_key(GOLD.id), copy_key(SILVER.id)}
