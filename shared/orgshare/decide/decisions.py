"""What is wanted for each image, less what is there: the heart of the program.

Everything that can take access away is decided here twice over. A grant is lost only if it is ours (the ledger says
so), if nobody wants it any more, and if what took it out of the audience is proven: an account's place in the
organization by asking for that account alone, an image's tags and name by a second reading of that image. A loss
without proof is a doubt: the caller gathers the proof and decides again, or reports the reading as incomplete.

What can go wrong: a fact that was not read is taken for a fact that is not so. So unread images are passed over whole,
and a rule that rests on something unknown is frozen: it neither adds nor revokes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

from orgshare.decide.audience import Resolved, resolve_all
from orgshare.decide.plan import Finding, Pending, Reason, Refusal, first_accounts
from orgshare.decide.selection import selector
from orgshare.ledger import Entry, Ledger, RememberedRefusal, managed
from orgshare.policy.model import Mode, Policy
from orgshare.words import Grant, Image, ImageReading, Incomplete, Organization, Pair, Shard

REFUSAL_STANDS = timedelta(minutes=15)
"""How long a refusal of the cloud is believed before the same grant is tried again."""

Cause = Literal["departed", "audience", "partner", "image"]


class Coverage(Struct, frozen=True):
    """Whom an image reaches through another channel: surely, and possibly (which includes surely)."""

    sure: frozenset[str] = frozenset()
    possible: frozenset[str] = frozenset()


NO_COVERAGE = Coverage()


class Proof(Struct, frozen=True):
    """What was asked for once more because access hangs on it.

    ``departed``: accounts that the directory says it does not have. ``placed``: members found where the listing had
    them. ``images``: images whose second reading agreed with the first. ``contradicted`` says how the listing of the
    organization was found to be wrong; then nothing is concluded from it.
    """

    departed: frozenset[str] = frozenset()
    placed: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()
    contradicted: str = ""


class Facts(Struct, frozen=True, kw_only=True):
    """Everything that a decision rests on."""

    policy: Policy
    organization: Organization
    readings: tuple[ImageReading, ...]
    ledgers: Mapping[Shard, Ledger]
    now: datetime
    coverage: Mapping[str, Coverage] = MappingProxyType({})
    proof: Proof = Proof()
    held: frozenset[Pair] = frozenset()


class Loss(Struct, frozen=True, kw_only=True):
    """A pair that loses its last channel if its grant is revoked. ``proven`` is whether it may be.

    ``hangs_on_image``: a rule that wanted the pair does not select the image any more, so the image itself is in
    doubt. ``hangs_on_listing``: the pair might be wanted if the organization were another than its listing says.
    """

    pair: Pair
    shard: Shard
    cause: Cause
    proven: bool
    rules: tuple[str, ...]
    hangs_on_image: bool = False
    hangs_on_listing: bool = False


class ImageDecision(Struct, frozen=True, kw_only=True):
    """One image: who should have it, who has it, and what follows.

    ``redundant`` are grants of ours to accounts that another channel surely covers: revoking them loses nothing.
    ``direct`` are all listed grants, ``ours`` those that are managed. ``quota`` is the number of accounts that the
    image can be shared with. ``undecided`` have a grant of ours that nobody wants and that a frozen rule leaves alone.
    """

    image: Image
    rules: tuple[int, ...]
    wanted: frozenset[str]
    direct: frozenset[str]
    ours: frozenset[str]
    coverage: Coverage
    quota: int
    grants: tuple[str, ...] = ()
    losses: tuple[Loss, ...] = ()
    undecided: frozenset[str] = frozenset()
    redundant: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    findings: tuple[Finding, ...] = ()
    pending: tuple[Pending, ...] = ()

    def has(self) -> frozenset[str]:
        """The accounts that can use the image now."""
        return self.direct | self.coverage.possible


class Decisions(Struct, frozen=True, kw_only=True):
    """The decisions of one run, with the audiences that they rest on."""

    audiences: tuple[Resolved, ...]
    images: tuple[ImageDecision, ...]
    findings: tuple[Finding, ...]
    incomplete: tuple[Incomplete, ...]

    def losses(self) -> tuple[Loss, ...]:
        """Every loss, proven or not."""
        return tuple(loss for image in self.images for loss in image.losses)


class _Run(Struct, frozen=True):
    """What is the same for every image of a run, worked out once."""

    facts: Facts
    audiences: tuple[Resolved, ...]
    modes: Mapping[str, Mode]
    frozen: frozenset[str]
    outsiders: frozenset[str]


class _Want(Struct, frozen=True):
    """What a set of rules wants together; shared by all images that the same rules select."""

    rules: tuple[int, ...]
    names: tuple[str, ...]
    everybody: frozenset[str]
    addable: frozenset[str]
    in_order: tuple[str, ...]
    observed: frozenset[str]
    frozen: str
    mode: Mode


def decide(facts: Facts) -> Decisions:
    """Decide for every image that was read. Pure: equal facts give equal decisions."""
    policy = facts.policy
    audiences = resolve_all(policy, facts.organization, facts.now.date())
    select = selector(policy)
    run = _Run(
        facts=facts,
        audiences=audiences,
        modes={rule.name: rule.mode for rule in policy.rules},
        frozen=frozenset(a.rule.name for a in audiences if a.frozen),
        outsiders=frozenset(p.account for rule in policy.rules for p in rule.audience.partners)
        | {facts.organization.management},
    )
    wants: dict[tuple[tuple[int, ...], str], _Want] = {}
    images = []
    unread = []
    for reading in facts.readings:
        image = reading.image
        if reading.grants is None:
            unread.append(Incomplete("shard", str(image.shard), f"{image.id}: {reading.unread}"))
            continue
        rules = select(image)
        key = (rules, image.shard.owner)
        if key not in wants:
            wants[key] = _want(policy, audiences, rules, image.shard.owner)
        images.append(_decide_image(run, wants[key], image, reading.grants))
    return Decisions(
        audiences=audiences,
        images=tuple(sorted(images, key=lambda d: (d.image.shard, d.image.id))),
        findings=tuple(sorted(_rule_findings(audiences))),
        incomplete=tuple(sorted({*unread, *_rule_gaps(audiences), *_organization_gaps(facts)})),
    )


def _want(policy: Policy, audiences: tuple[Resolved, ...], rules: tuple[int, ...], owner: str) -> _Want:
    chosen = [audiences[index] for index in rules]
    enforced = policy.mode == "observe"  # then the plan shows everything, and nothing is carried out
    everybody = frozenset[str]().union(*(a.wanted for a in chosen)) - {owner}
    addable = frozenset[str]().union(
        *(a.wanted for a in chosen if not a.frozen and (enforced or a.rule.mode != "observe"))
    ) - {owner}
    in_force = frozenset[str]().union(*(a.wanted for a in chosen if enforced or a.rule.mode != "observe"))
    return _Want(
        rules=rules,
        names=tuple(a.rule.name for a in chosen),
        everybody=everybody,
        addable=addable,
        in_order=tuple(sorted(addable)),
        observed=everybody - in_force,
        frozen=next((a.frozen for a in chosen if a.frozen), ""),
        mode="enforce" if enforced else _most_careful([a.rule.mode for a in chosen], policy.mode),
    )


def _most_careful(modes: Iterable[Mode], otherwise: Mode) -> Mode:
    careful: tuple[Mode, ...] = ("observe", "add", "enforce")
    return min(modes, key=careful.index, default=otherwise)


def _decide_image(run: _Run, want: _Want, image: Image, grants: tuple[Grant, ...]) -> ImageDecision:
    facts = run.facts
    ledger = facts.ledgers.get(image.shard, Ledger())
    entries = ledger.entries(image.id)
    coverage = facts.coverage.get(image.id, NO_COVERAGE)
    ours = managed(entries, grants)
    # A listed row of a covered account proves nothing unless it is ours: nobody knows whether such rows are listed.
    direct = frozenset(g.account for g in grants if g.account in ours or g.account not in coverage.possible)
    quota = facts.policy.owner(image.shard.owner).accounts_per_image

    redundant = frozenset(ours & coverage.sure)
    losses, undecided, kept = _losses(run, want, image, entries, ours - redundant)
    freed = len(redundant) + sum(loss.proven and loss.pair not in facts.held for loss in losses)
    under_way = frozenset(
        account
        for account, entry in entries.items()
        if entry.state == "accepted"
        and entry.waits(facts.now)
        and account not in direct
        and account not in coverage.possible
    )
    has = direct | coverage.possible | under_way
    free = quota - len(grants) - len(under_way) + freed
    additions, refusals = _additions(facts.now, want, image, ledger.refusals.get(image.id, ()), has, free, quota)
    return ImageDecision(
        image=image,
        rules=want.rules,
        wanted=want.everybody,
        direct=direct,
        ours=ours,
        coverage=coverage,
        quota=quota,
        grants=additions,
        losses=losses,
        undecided=undecided,
        redundant=tuple(sorted(redundant)),
        refusals=refusals,
        findings=tuple(sorted((*kept, *_image_findings(run, want, image, direct, ours, coverage)))),
        pending=tuple(
            Pending("", f"{image.id}/{a}", "accepted, not listed yet", entries[a].since.isoformat())
            for a in sorted(under_way)
        ),
    )


def _losses(
    run: _Run, want: _Want, image: Image, entries: Mapping[str, Entry], ours: frozenset[str]
) -> tuple[tuple[Loss, ...], frozenset[str], list[Finding]]:
    """Our grants that nobody wants: losses, those of a frozen rule, and findings where a mode keeps them."""
    facts = run.facts
    losses, undecided, kept = [], set(), []
    for account in sorted(ours - want.everybody):
        entry = entries[account]
        if want.frozen or run.frozen.intersection(entry.rules):
            undecided.add(account)
            continue
        former = [run.modes[name] for name in entry.rules if name in run.modes]
        mode = want.mode if facts.policy.mode == "observe" else _most_careful([want.mode, *former], want.mode)
        if mode != "enforce":
            why = f"not wanted any more; kept because the mode is {mode}"
            kept.append(Finding("kept-by-mode", image.id, account, why))
            continue
        cause = _cause(facts.organization, want, entry, account)
        on_image = not want.rules or not set(want.names).issuperset(entry.rules)
        on_listing = cause != "image" and account != facts.organization.management
        losses.append(
            Loss(
                pair=Pair(image.id, account),
                shard=image.shard,
                cause=cause,
                proven=(not on_listing or _confirmed(facts.proof, cause, account))
                and (not on_image or image.id in facts.proof.images),
                rules=entry.rules,
                hangs_on_image=on_image,
                hangs_on_listing=on_listing,
            )
        )
    return tuple(losses), frozenset(undecided), kept


def _cause(organization: Organization, want: _Want, entry: Entry, account: str) -> Cause:
    if not want.rules:
        return "image"
    if account in organization.members:
        return "audience"
    if entry.kind == "partner" or account == organization.management:
        return "partner"
    return "departed"


def _confirmed(proof: Proof, cause: Cause, account: str) -> bool:
    """Whether asking for the account alone showed what the listing said: a place in the organization, or none."""
    return account in (proof.placed if cause == "audience" else proof.departed) and not proof.contradicted


def _additions(
    now: datetime,
    want: _Want,
    image: Image,
    remembered: tuple[RememberedRefusal, ...],
    has: frozenset[str],
    free: int,
    quota: int,
) -> tuple[tuple[str, ...], tuple[Refusal, ...]]:
    """Who gets the image now, and who does not and why."""
    missing = want.addable - has
    if not missing:
        return (), ()
    refused = _refused_as_it_is(image)
    if refused is not None:
        return (), (_refusal(image, want, refused[0], missing, refused[1]),)
    refusals = []
    for refusal in remembered:
        if now - refusal.at >= REFUSAL_STANDS:
            continue
        concerned = missing.intersection(refusal.accounts) if refusal.accounts else missing
        if concerned:
            again = (refusal.at + REFUSAL_STANDS).strftime("%H:%M")
            remedy = f"{remedy_of(refusal.reason)}; the cloud said {refusal.code}; tried again after {again} UTC"
            refusals.append(_refusal(image, want, refusal.reason, concerned, remedy))
            missing -= concerned
    if len(missing) > max(free, 0):
        places = max(free, 0)
        chosen = tuple(_first(want.in_order, missing.__contains__, places))
        left_out = missing.difference(chosen)
        remedy = (
            f"the image can be shared with {quota} accounts; raise the quota «users that can be shared per custom "
            "image» in Quota Center and quotas.accounts_per_image of the owner, or narrow the audience"
        )
        refusals.append(_refusal(image, want, "over-quota", left_out, remedy))
        return chosen, tuple(refusals)
    return tuple(sorted(missing)), tuple(refusals)


def _first(ordered: Iterable[str], wanted: Callable[[str], bool], most: int) -> Iterable[str]:
    taken = 0
    for account in ordered:
        if taken == most:
            return
        if wanted(account):
            taken += 1
            yield account


def _refused_as_it_is(image: Image) -> tuple[Reason, str] | None:
    """The rule of the service that an image's own row already shows to stand against sharing it."""
    if image.alias != "self":
        return "not-own", remedy_of("not-own")
    if image.public:
        return "community", remedy_of("community")
    if image.status == "Deprecated":
        return "deprecated", remedy_of("deprecated")
    if image.status != "Available":
        return "not-available", f"its status is {image.status}; it is shared when it is Available"
    if image.encrypted:
        return "encrypted-refused", remedy_of("encrypted-refused")
    return None


_REMEDIES: dict[str, str] = {
    "not-own": "only its owner can share it: name an image of the owner, or copy it within the owner's account",
    "community": "a community image is visible to everybody and cannot be shared: take it out of the rule",
    "deprecated": "who has it keeps it, nobody new gets it: activate the image or share its successor",
    "encrypted-refused": "encrypted images are not shared in this version: use an unencrypted copy",
    "encrypted-with-service-key": "copy the image with a customer key of your own (CopyImage) and share the copy",
    "encrypted-without-role": "encrypted images are not shared in this version: use an unencrypted copy",
    "over-quota": "raise the quota «users that can be shared per custom image», or narrow the audience",
    "account-refused": "check the account id in the policy",
}


def remedy_of(reason: str) -> str:
    """How a refusal is mended, in one clause."""
    return _REMEDIES.get(reason, "look the code up in the service's documentation")


def _refusal(image: Image, want: _Want, reason: str, accounts: frozenset[str], remedy: str) -> Refusal:
    return Refusal(
        image=image.id,
        rules=want.names,
        reason=reason,  # type: ignore[arg-type]  # remembered reasons were written by this program
        accounts=first_accounts(accounts),
        accounts_total=len(accounts),
        remedy=remedy,
    )


def _image_findings(
    run: _Run, want: _Want, image: Image, direct: frozenset[str], ours: frozenset[str], coverage: Coverage
) -> Iterable[Finding]:
    for account in direct - ours - want.everybody:
        if account in run.facts.organization.members or account in run.outsiders:
            why = "granted by somebody else and no rule wants it; it is left as it is"
            yield Finding("unmanaged", image.id, account, why)
        else:
            why = "neither the organization nor the policy knows this account, and it can use the image"
            yield Finding("unknown-account", image.id, account, why)
    for account in (want.everybody & coverage.possible) - coverage.sure - direct:
        why = "a resource share may or may not reach it; nothing is granted until that is known"
        yield Finding("unsure-coverage", image.id, account, why)
    for account in want.observed - direct - coverage.possible:
        yield Finding("observed-only", image.id, account, "wanted by a rule whose mode is observe")


def _rule_findings(audiences: tuple[Resolved, ...]) -> Iterable[Finding]:
    for audience in audiences:
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
