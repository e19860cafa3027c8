"""Deciding for everything that was read: facts in, decisions out.

Pure: equal facts give equal decisions, whatever the order in which they were read. Images that could not be read are
passed over whole, because a fact that was not read is not a fact that is not so; and a rule that rests on something
unknown is frozen: it neither adds nor revokes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta

from msgspec.structs import replace

from orgshare.decide.audience import Resolved, resolve_all
from orgshare.decide.copying import decide_copies
from orgshare.decide.coverage import Reach
from orgshare.decide.decisions import Decisions, ImageDecision
from orgshare.decide.facts import Facts
from orgshare.decide.plan import Finding
from orgshare.decide.selection import selector, why_retired
from orgshare.decide.shard import Case, Run, decide_shard
from orgshare.decide.trusting import decide_roles
from orgshare.decide.wants import Want, want
from orgshare.words import Image, Incomplete, Shard


def decide(facts: Facts) -> Decisions:
    """Decide for every image that was read."""
    policy, organization = facts.policy, facts.organization
    audiences = resolve_all(policy, organization, facts.now.date())
    select = selector(policy, facts.retired)
    everybody = frozenset(organization.members)
    in_place = everybody - facts.elsewhere.keys()  # who moved lately has yet to arrive, whoever else is only new to us
    run = Run(
        facts=facts,
        audiences=audiences,
        modes={rule.name: rule.mode for rule in policy.rules},
        frozen=frozenset(a.rule.name for a in audiences if a.frozen),
        outsiders=frozenset(p.account for rule in policy.rules for p in rule.audience.partners)
        | {organization.management},
        reach=make_reach(facts),
        in_time=make_reach(replace(facts, settled=in_place, established=everybody)),
    )
    wants: dict[tuple[tuple[int, ...], str, str, bool], Want] = {}
    cases: dict[Shard, list[Case]] = defaultdict(list)
    others: dict[Shard, dict[str, Want]] = defaultdict(dict)
    unread = []

    def wanted(image: Image) -> Want:
        rules = select(image)
        of = image.shard
        key = (rules, of.owner, of.service, image.keyed)
        if key not in wants:
            wants[key] = want(policy, audiences, organization, rules, of.owner, of.service, keyed=image.keyed)
        return wants[key]

    beside: dict[Shard, list[Image]] = defaultdict(list)
    for image in (*facts.passed_over, *facts.unselected):
        beside[image.shard].append(image)
    for image in facts.passed_over:
        others[image.shard][image.id] = wanted(image)
    for reading in facts.readings:
        image = reading.image
        if reading.grants is None:
            unread.append(Incomplete("shard", str(image.shard), f"{image.id}: {reading.unread}"))
            beside[image.shard].append(image)
            others[image.shard][image.id] = wanted(image)
        else:
            retired = why_retired(policy, facts.retired, image)
            cases[image.shard].append(Case(image, reading.grants, wanted(image), retired, reading.unsure))
            if reading.unsure:
                unread.append(Incomplete("shard", str(image.shard), f"{image.id}: {reading.unsure}"))
    images: list[ImageDecision] = []
    shards = {}
    for shard in sorted(cases.keys() | _with_shares(facts) | facts.copying.keys()):
        found = sorted(cases[shard], key=lambda case: case.id)
        decided, shards[shard] = decide_shard(run, shard, found, others[shard], beside[shard])
        images += decided
    trusting = decide_roles(facts, images, audiences)
    copies = decide_copies(facts, audiences, select)
    return Decisions(
        audiences=audiences,
        images=trusting.images,
        shards=shards,
        roles=trusting.roles,
        copies=copies,
        findings=tuple(
            sorted(
                {
                    *_rule_findings(facts, audiences),
                    *trusting.findings,
                    *(f for s in shards.values() for f in s.findings),
                    *(f for c in copies.values() for f in c.findings),
                }
            )
        ),
        incomplete=tuple(
            sorted(
                {
                    *unread,
                    *trusting.incomplete,
                    *_rule_gaps(audiences),
                    *_organization_gaps(facts),
                    *(gap for s in shards.values() for gap in s.incomplete),
                    *(gap for c in copies.values() for gap in c.incomplete),
                }
            )
        ),
    )


def _with_shares(facts: Facts) -> frozenset[Shard]:
    """The shards of a sweep with resource shares of ours, which may hold something when all their images are gone."""
    ours = (shard for shard, ledger in facts.ledgers.items() if ledger.shares or ledger.made)
    return frozenset(ours) & facts.sharing.keys() if facts.sweep else frozenset()


def make_reach(facts: Facts) -> Reach:
    """Whom each target reaches. Of those who vanished from the listing, the ones that left for certain do not count."""
    elsewhere = {a: folders for a, folders in facts.elsewhere.items() if a not in facts.proof.departed}
    nested = facts.policy.directory.nested_folder_targets
    return Reach(facts.organization, nested, facts.settled, facts.established, elsewhere)


def _rule_findings(facts: Facts, audiences: tuple[Resolved, ...]) -> Iterable[Finding]:
    keeping = {"grace": facts.policy.grace, "on_leave": facts.policy.on_leave}
    keys = " and ".join(f"safety.{key}" for key, time in keeping.items() if time != timedelta())
    for audience in audiences:
        if keys and audience.rule.channel == "auto" and audience.rule.by_directory:
            why = f"rule {audience.rule.name}: {keys} keep direct grants only; what resource shares give ends at once"
            yield Finding("direct-only", "", "", why)
        for unknown in audience.unknown:
            yield Finding("unknown-id", "", unknown.id, unknown.why)
        for account in audience.partner_members:
            why = f"rule {audience.rule.name} names it as a partner, but it is a member: it is treated as a member"
            yield Finding("partner-is-member", "", account, why)


def _rule_gaps(audiences: tuple[Resolved, ...]) -> Iterable[Incomplete]:
    return (
        Incomplete("rule", a.rule.name, f"{a.frozen}; until then nothing is added or revoked for this rule")
        for a in audiences
        if a.frozen
    )


def _organization_gaps(facts: Facts) -> Iterable[Incomplete]:
    if facts.proof.contradicted:
        why = f"{facts.proof.contradicted}; nothing is revoked on the strength of this reading"
        yield from (Incomplete("rule", rule.name, why) for rule in facts.policy.rules)
