"""Deciding for the images of one shard together, because they may stand in the same resource shares.

What the rules want is arranged in shares first. Then each image is decided for itself: which direct grants it needs,
which of ours are redundant, who would lose access. What leaves a share goes last, and only if everybody who is wanted
is reached otherwise.

What can go wrong: two channels for one pair, or none for a moment. So a grant is made only where not even possible
coverage stays, one of ours goes only where sure coverage stays, and everything else waits for the next run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from orgshare.decide.audience import Resolved
from orgshare.decide.coverage import NO_COVERAGE, NOTHING, Coverage, Reach, coverage_of_images, is_stuck
from orgshare.decide.cuts import Cuts, Standing, cuts_of
from orgshare.decide.decisions import ImageDecision, ShardDecision
from orgshare.decide.facts import Facts
from orgshare.decide.losses import Judged, Loss, ends_grant, judge, judge_stranger
from orgshare.decide.places import Places, make_places
from orgshare.decide.plan import MOST_ROWS, Finding, FindingKind, Pending, Reason, Refusal, finding_rows
from orgshare.decide.refusals import direct_additions, reason_of_setback, refused, refused_as_it_is, remedy_of
from orgshare.decide.shares import Wish, arrange, audience_key, is_ours, unseen, why_doubtful, with_unlisted
from orgshare.decide.targets import DirectoryAudience, directory_audience
from orgshare.decide.wants import Want
from orgshare.ledger import Ledger, Setback, managed, row_key, settle_shares
from orgshare.policy.model import Mode
from orgshare.words import (
    DEPLOYMENT,
    NOBODY,
    Grant,
    Image,
    Incomplete,
    Organization,
    Pair,
    ResourceShare,
    Shard,
    Sharing,
    counted,
    is_account,
)

FEW = 5
"""So many accounts of a retired image are named in one line."""


class Run(Struct, frozen=True):
    """What is the same for every image of a run, worked out once.

    ``in_time`` is whom targets reach for certain once everybody who did not move lately has been there for long enough.
    """

    facts: Facts
    audiences: tuple[Resolved, ...]
    modes: Mapping[str, Mode]
    frozen: frozenset[str]
    outsiders: frozenset[str]
    reach: Reach
    in_time: Reach


class Case(Struct, frozen=True):
    """One image, the grants that were read, and what is wanted. ``retired`` says who or what retired it.

    ``unsure`` is why nobody knows whether it is encrypted; then nothing of it is given to anybody new.
    """

    image: Image
    grants: tuple[Grant, ...]
    want: Want
    retired: str = ""
    unsure: str = ""

    @property
    def id(self) -> str:
        """The image's id."""
        return self.image.id


class Ground(Struct, frozen=True):
    """What is the same for all images with the same rules in the same shares, worked out once for thousands of them.

    ``fallback`` are accounts that the directory should serve and lastingly cannot, for ``reason`` and ``why``;
    ``eligible`` may get a direct grant, and ``moving`` are those of them whom only rows that should leave still reach.
    ``uncertain`` ones are eligible too, and what stays may never be as sure to reach them as what should leave.
    ``missing`` are eligible and reached by nothing that stays, ``unserved`` fell back and may not go direct either,
    ``barred`` are wanted and reached by nothing at all. ``promised`` should be reached by the directory and are not
    yet. ``shared`` are those whom rows of ours reach or may reach, and ``reached`` is how many of the wanted ones are.
    """

    want: Want
    coverage: Coverage
    staying: Coverage
    fallback: frozenset[str]
    reason: Reason
    why: str
    eligible: frozenset[str]
    moving: frozenset[str]
    uncertain: frozenset[str]
    missing: frozenset[str]
    unserved: frozenset[str]
    barred: frozenset[str]
    promised: frozenset[str]
    shared: frozenset[str]
    unsure: frozenset[str]
    observed: frozenset[str]
    reached: int


def decide_shard(
    run: Run, shard: Shard, cases: Sequence[Case], others: Mapping[str, Want], beside: Sequence[Image] = ()
) -> tuple[list[ImageDecision], ShardDecision]:
    """Decide for all images of a shard that were read. Of ``others`` it is only known what is wanted, and of those
    ``beside`` only what their rows say.

    A row that would take what a person wants to stay does not leave, so everybody goes on by it: then nobody needs a
    direct grant instead, and one that was made for the change is one channel too many.
    """
    work = _Shard(run, shard, cases, others)
    facts = run.facts
    cuts = work.cuts()
    rejected = tuple(cut for cut in cuts.cuts if not facts.rejected.isdisjoint(cut.pairs))
    if rejected:
        work = _Shard(run, shard, cases, others, kept=frozenset((cut.share, cut.entity) for cut in rejected))
        cuts = work.cuts().with_rejected(rejected, cuts)
    work.places = make_places(run.facts.policy, shard, work.used(cases, cuts), beside, work.ledger)
    images = [work.decision(case, cuts) for case in cases]
    each = {
        index: directory_audience([run.audiences[index]], facts.policy, facts.organization, shard.owner)
        for index in {index for case in cases if case.want.directory.targets for index in case.want.rules}
    }
    return images, ShardDecision(
        shard=shard,
        arrangement=work.arrangement,
        ledger=work.ledger,
        shares=work.shares,
        cuts=cuts.cuts,
        image_rules={case.id: case.want.names for case in cases},
        target_rules=_target_rules(run, cases, each),
        findings=tuple(work.findings()),
        pending=tuple(work.pending()),
        incomplete=tuple(work.gaps()),
    )


def _target_rules(
    run: Run, cases: Sequence[Case], each: Mapping[int, DirectoryAudience]
) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """The rules behind each target of each audience: those in whose own audience it lies, or all where none has it."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for wanted in {id(case.want): case.want for case in cases}.values():
        key = audience_key(wanted.directory.targets)
        for target in wanted.directory.targets:
            alone = tuple(run.audiences[i].rule.name for i in wanted.rules if each[i].admits(target))
            found[key, target] = tuple(sorted({*found.get((key, target), ()), *(alone or wanted.names)}))
    return found


class _Shard:
    """One shard with everything that is the same for all its images."""

    def __init__(
        self,
        run: Run,
        shard: Shard,
        cases: Sequence[Case],
        others: Mapping[str, Want],
        *,
        kept: frozenset[tuple[str, str]] = NOTHING,
    ) -> None:
        """``kept`` are rows that stay where they should not, because a person wants what they give to stay."""
        facts = run.facts
        sharing = facts.sharing[shard]
        self.run, self.facts, self.shard = run, facts, shard
        self.places = Places(facts.policy.owner(shard.owner).accounts_per_image)
        self.abroad = facts.policy.on_another_site(shard.owner)
        self.cases = {case.id: case for case in cases}
        self._grounds: dict[object, Ground] = {}
        self.ledger = settle_shares(facts.ledgers.get(shard, Ledger()), sharing.shares, facts.now, sharing.deleted)
        own = {"deployment": facts.policy.deployment, "state": facts.state}
        self.doubt = why_doubtful(sharing, self.ledger, **own)
        self.unseen = unseen(sharing, self.ledger)
        self.shares = with_unlisted(sharing.shares, self.ledger)
        self.closed = _why_closed(facts.organization, shard, sharing)
        self.arrangement = arrange(
            {image: Wish(w.directory, fixed=bool(w.frozen), looked=False) for image, w in others.items()}
            | {case.id: _wish(case) for case in cases},
            Sharing(self.shares, enabled=self.closed is None),
            self.ledger,
            now=facts.now,
            **own,
        )
        if self.doubt:
            self.arrangement = replace(self.arrangement, joining=(), leaving=frozenset())
        # Images whose home gets something: what they are to have is on its way.
        filling = {each.share or f"new {each.audience}" for each in self.arrangement.joining}
        coming = {image for image, home in self.arrangement.homes.items() if home in filling}
        self.coming = coming | self.arrangement.awaited
        self.coverage = coverage_of_images(self.shares, run.reach, facts.now)
        self.own = coverage_of_images(_only(self.shares, self.arrangement.own), run.reach, facts.now)
        self.leaving = self.arrangement.leaving - kept
        self.staying = self._without(self.leaving)
        self.in_time = self._in_time(NOTHING) if self.leaving else {}
        self.in_time_staying = self._in_time(self.leaving) if self.leaving else {}
        stays = {case.id: why for case in cases if (why := self._why_not_direct(case))} if self.leaving else {}
        self.stays: Mapping[str, str] = stays
        self.shut_in: Mapping[tuple[str, str], str] = {}
        if stays:
            self.shut_in = {row: by for row in self.leaving if (by := self._whom_it_serves(row, stays.keys()))}
            self.leaving -= self.shut_in.keys()
            self.staying = self._without(self.leaving)
            self.in_time_staying = self._in_time(self.leaving) if self.leaving else {}
            self._grounds.clear()

    def _in_time(self, leaving: frozenset[tuple[str, str]]) -> Mapping[str, Coverage]:
        """What is covered once everybody who did not move lately has been in their place for long enough."""
        return coverage_of_images(self.shares, self.run.in_time, self.facts.now, without=leaving)

    def _without(self, leaving: frozenset[tuple[str, str]]) -> Mapping[str, Coverage]:
        if not leaving:
            return self.coverage
        return coverage_of_images(self.shares, self.run.reach, self.facts.now, without=leaving)

    def _whom_it_serves(self, row: tuple[str, str], images: Set[str]) -> str:
        """The first of these images from which the end of a row would take something, if there is one."""
        share_id, entity = row
        if entity in images:
            return entity
        share = next(share for share in self.shares if share.id == share_id)
        if not any(target.entity == entity for target in share.targets):
            return ""
        return min((image.entity for image in share.images if image.live and image.entity in images), default="")

    def judge(self, image: str, account: str, rules: tuple[str, ...]) -> Judged:
        """What is to become of a pair that a resource share of ours gives and nobody wants."""
        case, run = self.cases[image], self.run
        return judge(self.facts, case.want, case.image, account, rules, modes=run.modes, frozen=run.frozen)

    def cuts(self) -> Cuts:
        """What may leave the resource shares, and who would lose by it."""
        organization = self.facts.organization
        return cuts_of(
            self.shares,
            self.leaving,
            self.standings() if self.leaving else {},
            {case.id: case.image for case in self.cases.values()},
            reach=self.run.reach,
            ledger=self.ledger,
            aside=frozenset({self.shard.owner, organization.management}),
            unread=organization.unread_folders,
            judge=self.judge,
        )

    def standings(self) -> dict[str, Standing]:
        """How the accounts of each image stand while rows of it are about to end."""
        alike: dict[object, Standing] = {}
        found = {}
        for case in self.cases.values():
            image = self._image(case)
            plain = not image.listed and not image.under_way
            key = (id(image.ground), case.id in self.coming) if plain else case.id
            if key not in alike:
                alike[key] = image.standing()
            found[case.id] = alike[key]
        return found

    def used(self, cases: Sequence[Case], cuts: Cuts) -> Mapping[Image, int]:
        """How many places each image takes when what is lost and can go is gone; only where images share them."""
        if self.shard.service == "ecs":
            return {}
        return {case.image: self._image(case).stays(cuts) for case in cases}

    def decision(self, case: Case, cuts: Cuts) -> ImageDecision:
        """What follows for an image, which takes its places from what is left."""
        decision = self._image(case).decision(cuts)
        self.places.take(case.image, len(decision.grants))
        return decision

    def _why_not_direct(self, case: Case) -> str:
        """Why the image stays in its resource shares, where somebody would have to go over to a direct grant and cannot
        get one for certain."""
        ground = self.ground(case)
        if not ground.moving and not ground.uncertain:
            return ""
        image = self._image(case)
        if left := ground.uncertain - image.certain:
            return (
                f"another resource share may or may not reach account {min(left)}, so it gets no direct grant instead"
            )
        unclear = (ground.moving & image.listed.keys()) - image.surely_ours
        if unclear and case.want.mode != "enforce":
            seen = f"it cannot be seen whether account {min(unclear)} has a direct grant already"
            return f"{seen}, and mode {case.want.mode} allows no gap"
        _, refusals = image.additions(ground.moving - image.listed.keys() - image.ours)
        if refusals or (ground.moving and refused_as_it_is(case.image) is not None):
            return "direct grants could not serve everybody who has it"
        return ""

    def _image(self, case: Case) -> _Image:
        return _Image(self, case, self.ground(case))

    def ground(self, case: Case) -> Ground:
        """What the image has in common with all that have the same rules and stand in the same shares."""
        want = case.want
        coverage = self.coverage.get(case.id, NO_COVERAGE)
        staying = self.staying.get(case.id, NO_COVERAGE)
        own = self.own.get(case.id, NO_COVERAGE)
        home, setback = self.arrangement.homes.get(case.id, ""), self.arrangement.setbacks.get(case.id)
        key = (id(want), id(coverage), id(staying), id(own), home, setback)
        if key not in self._grounds:
            self._grounds[key] = self._ground(case, coverage, staying, own)
        return self._grounds[key]

    def _ground(self, case: Case, coverage: Coverage, staying: Coverage, own: Coverage) -> Ground:
        want, members = case.want, self.facts.organization.members
        fallback, reason, why = self.fallback(case)
        eligible = (want.addable - want.directory.accounts) | (fallback & want.direct)
        covered = want.everybody & coverage.associated
        return Ground(
            want=want,
            coverage=coverage,
            staying=staying,
            fallback=fallback,
            reason=reason,
            why=why,
            eligible=eligible,
            moving=(coverage.possible - staying.possible) & eligible,
            uncertain=(self._sure_in_time(case.id) & eligible & staying.associated) - self.facts.elsewhere.keys(),
            missing=eligible - staying.possible,
            unserved=(fallback & want.addable) - want.direct - staying.possible,
            barred=want.addable - staying.possible - coverage.possible,
            promised=want.directory.accounts - coverage.possible,
            shared=own.possible - {self.shard.owner, self.facts.organization.management},
            unsure=frozenset(a for a in covered - coverage.sure if a in self.facts.settled or a not in members),
            observed=want.observed - coverage.possible,
            reached=len(covered),
        )

    def _sure_in_time(self, image: str) -> frozenset[str]:
        """Who will be surely reached, but not by what stays."""
        staying = self.in_time_staying.get(image, NO_COVERAGE).sure
        return self.in_time.get(image, NO_COVERAGE).sure - staying

    def fallback(self, case: Case) -> tuple[frozenset[str], Reason, str]:
        """Accounts that the directory should serve and lastingly cannot, and why."""
        audience = case.want.directory
        if not audience.targets:
            return NOBODY, "refused", ""
        if self.closed is not None:
            return audience.accounts, *self.closed
        setback = self.arrangement.setbacks.get(case.id)
        if setback is not None:
            return audience.accounts, *_of_setback(setback)
        unreached = self.arrangement.unreached.get(self.arrangement.homes.get(case.id, ""), NOBODY)
        if not unreached:
            return NOBODY, "refused", ""
        left = audience.accounts - self.run.reach.of_all(sorted(audience.targets - unreached)).possible
        home = self.arrangement.homes[case.id]
        setbacks = (self.ledger.setbacks.get(row_key(home, target)) for target in sorted(unreached))
        known = next((setback for setback in setbacks if setback is not None), None)
        if known is None:
            return left, "association-failed", f"{sorted(unreached)[0]} has been associating with {home} for too long"
        return left, *_of_setback(known)

    def findings(self) -> Iterable[Finding]:
        """What a person should know about the shares themselves."""
        policy, state = self.facts.policy, self.facts.state
        if self.closed is not None and any(self.fallback(c)[0] & c.want.direct for c in self.cases.values()):
            why = f"{self.shard}: {self.closed[1]}; rules with channel auto use direct grants there"
            yield Finding("channel-fallback", "", "", why)
        filled = {share.id: {row.entity for row in share.images if row.live} for share in self.shares}
        for (share_id, entity), image in self.shut_in.items():
            if entity != image and not filled[share_id] <= self.stays.keys():
                why = f"{entity} stays in {share_id}, also for other images, because {image} stays"
                yield Finding("channel-conflict", "", "", f"{why}: {self.stays[image]}")
        for share in self.shares:
            name = dict(share.tags).get(DEPLOYMENT)
            if name == policy.deployment and not is_ours(share, policy.deployment, state):
                why = f"resource share {share.id} names this deployment, but another state; it is never touched"
                yield Finding("foreign-deployment", "", "", why)
            held = [e for e in self.ledger.rows(share.id) if not is_ours(share, policy.deployment, state)]
            if held and share.live:
                why = f"resource share {share.id} lost its tags and has {len(held)} rows of ours: nothing is done there"
                yield Finding("channel-conflict", "", "", f"{why}; give it its tags back, or end it by hand")
            rows = {row.entity for row in share.targets if row.live}
            if is_ours(share, policy.deployment, state):
                by_hand = {row for row in rows if (share.id, row) not in self.arrangement.own}
                inside = [self.cases[r.entity] for r in share.images if r.live and r.entity in self.cases]
                for target in sorted(by_hand):
                    if any(not case.want.directory.admits(target) for case in inside):
                        why = f"somebody put {target} into {share.id}, which is ours: nothing new joins it meanwhile"
                        yield Finding("channel-conflict", "", target if is_account(target) else "", why)
            for row in share.images + share.targets:
                if share.live and is_stuck(row, self.facts.now):
                    why = f"{row.entity} has been associating with {share.id} since {row.updated or row.created}"
                    yield Finding("unsure-coverage", row.entity if row.entity in self.cases else "", "", why)

    def gaps(self) -> Iterable[Incomplete]:
        """What the shard's state is in doubt about."""
        if self.doubt:
            why = f"{self.doubt}: nothing is taken away here and no resource share is changed"
            yield Incomplete("shard", str(self.shard), f"{why}; run «orgshare init --recover»")

    def pending(self) -> Iterable[Pending]:
        """What is under way in shares of ours, and what will be tried again."""
        policy, now = self.facts.policy, self.facts.now
        for share in self.shares:
            if not is_ours(share, policy.deployment, self.facts.state):
                continue
            if share.status == "Pending":
                yield Pending(share.id, share.id, share.status, "")
            for row in share.images + share.targets:
                if row.live and not row.firm and not is_stuck(row, now):
                    yield Pending(share.id, row.entity, row.status, row.updated or row.created)
        for key, setback in self.ledger.setbacks.items():
            share_id, _, entity = key.rpartition("/")
            if setback.waits(now) and not setback.lasting:
                again = setback.again().strftime("%H:%M")
                status = f"{_why(setback)}; tried again after {again} UTC"
                yield Pending(share_id, entity, status, setback.at.isoformat())


class _Unwanted:
    """Grants on one image that nobody wants, by account.

    ``losses`` go, ``lingering`` ones stay until the time given with them, ``kept`` ones for good, those ``by_mode`` as
    long as a mode says so. Of the ``undecided`` it is not known, and ``strangers`` are not ours.
    """

    def __init__(self) -> None:
        self.losses: dict[str, Loss] = {}
        self.lingering: dict[str, datetime] = {}
        self.kept: set[str] = set()
        self.by_mode: dict[str, Mode] = {}
        self.undecided: set[str] = set()
        self.strangers: dict[str, str] = {}


class _Image:
    """One image of a shard: the grants that it has sorted out, and what its accounts need."""

    def __init__(self, work: _Shard, case: Case, ground: Ground) -> None:
        self.work, self.case, self.ground, self.facts = work, case, ground, work.facts
        self.image, self.want = case.image, case.want
        self.coverage, self.staying = ground.coverage, ground.staying
        self.entries = work.ledger.entries(case.id)
        self.listed = {grant.account: grant.shared_time for grant in case.grants}
        self.ours = managed(self.entries, case.grants)
        # Of an account that a resource share may reach, only the time of the row says that it is our grant.
        self.surely_ours = frozenset(
            account
            for account in self.ours
            if account not in self.coverage.perhaps()
            or (self.listed[account] and self.listed[account] == self.entries[account].shared_time)
        )
        self.evident = self._evident()
        # A listed row of a covered account proves nothing unless it is ours: nobody knows whether such rows are listed.
        self.direct = frozenset(
            a for a in self.listed if a in self.ours or a not in self.coverage.possible or a in self.evident
        )
        self.under_way = frozenset(
            account
            for account, entry in self.entries.items()
            if entry.state == "accepted"
            and entry.waits(self.facts.now)
            and account not in self.direct
            and account not in self.staying.possible
        )

    def _evident(self) -> frozenset[str]:
        """Covered accounts whose row seems to be a grant, because other covered accounts have no row."""
        listed = frozenset(account for account in self.listed if account in self.coverage.sure)
        others = len(self.coverage.sure) - (self.image.shard.owner in self.coverage.sure)
        return listed - self.ours if len(listed) < others else NOBODY

    @property
    def certain(self) -> frozenset[str]:
        """Who has a direct grant beyond doubt.

        What seems to be one because others have no row may be the share's own after all: the others may just have left,
        and still be listed as members.
        """
        return (self.direct - self.ours - self.evident - self.coverage.elsewhere) | self.surely_ours

    def standing(self) -> Standing:
        coverage, staying = self.coverage, self.staying
        known = self.work.in_time.get(self.case.id, NO_COVERAGE).sure
        known_to_stay = self.work.in_time_staying.get(self.case.id, NO_COVERAGE).sure
        # Whoever moved lately may still be reached where it was, and by nothing else yet.
        as_now = ((known_to_stay - coverage.sure) | (staying.associated - known)) - coverage.elsewhere
        soon = self.want.directory.accounts if self.case.id in self.work.coming else NOBODY
        return Standing(
            reached=coverage.possible,
            wanted=self.want.everybody,
            safe=staying.sure | self.certain | as_now,
            coming=staying.possible | soon | self.under_way | self.ground.moving,
            unclear=frozenset((self.ground.moving & self.listed.keys()) - self.surely_ours),
            kept=staying.sure | self.certain,
        )

    def additions(self, missing: frozenset[str], freed: int = 0) -> tuple[tuple[str, ...], tuple[Refusal, ...]]:
        """Which of these accounts get a direct grant now, and why others do not."""
        remembered = self.work.ledger.refusals.get(self.case.id, ())
        places = self.work.places
        free = places.free(self.image, len(self.direct) + len(self.under_way) - freed)
        return direct_additions(
            self.facts.now,
            self.want,
            self.image,
            remembered,
            missing,
            free,
            places.too_many(),
            elsewhere=self._on_another_site(),
        )

    def stays(self, cuts: Cuts) -> int:
        """How many places the image takes when what is lost and can go is gone."""
        return len(self.direct) + len(self.under_way) - self._freed(*self._ending(cuts))

    def _ending(self, cuts: Cuts) -> tuple[frozenset[str], _Unwanted]:
        """Grants that go because sure coverage stays, and what becomes of what nobody wants, by whatever channel."""
        redundant = self._redundant()
        unwanted = self._unwanted(redundant)
        for loss in cuts.losses.get(self.case.id, ()):
            unwanted.losses.setdefault(loss.pair.account, loss)
        unwanted.by_mode.update(cuts.kept.get(self.case.id, {}))
        return redundant, unwanted

    def _freed(self, redundant: frozenset[str], unwanted: _Unwanted) -> int:
        """How many grants go in this run."""
        ending = self.ours - unwanted.lingering.keys() - unwanted.kept - redundant
        return len(redundant & self.direct) + sum(
            loss.proven and loss.pair not in self.facts.held and ends_grant(loss, ending)
            for loss in unwanted.losses.values()
        )

    def _on_another_site(self) -> frozenset[str]:
        """Accounts that an image from the Marketplace cannot be shared with, as far as the policy says."""
        return self.work.abroad if self.image.product_code else NOBODY

    def decision(self, cuts: Cuts) -> ImageDecision:
        image, want = self.image, self.want
        redundant, unwanted = self._ending(cuts)
        losses = unwanted.losses
        grants, asking, refusals = self._additions(self._freed(redundant, unwanted))
        return ImageDecision(
            image=image,
            rules=want.rules,
            wanted=want.everybody,
            directory=want.directory,
            direct=self.direct,
            ours=self.ours,
            shared=self.ground.shared,
            promised=self.ground.promised,
            authorized=want.addable if image.keyed else NOBODY,
            served=self.ground.reached
            + sum(a in want.everybody and a not in self.coverage.associated for a in self.direct),
            coverage=self.coverage,
            staying=self.staying,
            quota=self.work.places.quota,
            home=self.work.arrangement.homes.get(image.id, ""),
            grants=grants,
            losses=tuple(losses[account] for account in sorted(losses)),
            undecided=frozenset(unwanted.undecided) | cuts.undecided.get(image.id, NOBODY),
            redundant=tuple(sorted(redundant)),
            asking=asking,
            lingering=unwanted.lingering,
            kept=frozenset(unwanted.kept),
            retired=self.case.retired,
            strangers=unwanted.strangers,
            refusals=refusals,
            findings=tuple(sorted(self._findings(unwanted, redundant))),
            pending=tuple(self._pending(unwanted.lingering)),
        )

    def _redundant(self) -> frozenset[str]:
        """Grants that go because sure coverage stays; none where the state is in doubt, or of a community image."""
        if self.work.doubt or self.image.public:
            return NOBODY
        by_hand = self.evident if self.facts.policy.unmanaged == "revoke" else NOBODY
        return (self.ours | by_hand) & self.staying.sure

    def _additions(self, freed: int) -> tuple[tuple[str, ...], tuple[str, ...], tuple[Refusal, ...]]:
        """Who gets a direct grant now, who would if a person approved, and who does not get one and why."""
        want, image, ground = self.want, self.image, self.ground
        if image.id in self.work.unseen or self.case.unsure:
            return (), (), ()  # a share that cannot be seen may reach anybody
        has = self.direct | self.under_way
        sealed = self._sealed_off(has)
        barred = refused_as_it_is(image)
        if barred is not None:
            left = ground.barred - has
            return (), (), (*([refused(image, want, barred[0], left, barred[1])] if left else []), *sealed)
        # Of those who go over to a direct grant, only an account without any row can be seen to get one.
        wait = frozenset(a for a in ground.moving if a in self.listed or a not in self.coverage.associated)
        missing = ground.missing - has - wait
        asking = self._asking(missing - self._on_another_site())
        grants, refusals = self.additions(missing - asking, freed)
        unserved = ground.unserved - has
        if unserved:
            remedy = f"{ground.why}: {remedy_of(ground.reason)}"
            refusals = (*refusals, refused(image, want, ground.reason, unserved, remedy))
        return grants, tuple(sorted(asking)), (*refusals, *sealed)

    def _sealed_off(self, has: frozenset[str]) -> tuple[Refusal, ...]:
        """Who is wanted and may not get the image because it is encrypted, whatever else stands against it."""
        want, found = self.want, []
        for left_out, remedy in (
            (want.unauthorized, remedy_of("encrypted-refused")),
            (want.unreachable, "it is encrypted, and then it is shared directly only: set channel: auto or direct"),
        ):
            without = left_out - has - self.coverage.possible
            if without:
                found.append(refused(self.image, want, "encrypted-refused", without, remedy))
        return tuple(found)

    def _asking(self, missing: frozenset[str]) -> frozenset[str]:
        """Partners whose first grant of the image a person has to approve; what we granted before is none.

        What was only intended, however often, and is not there, is no grant yet, nor is what somebody else granted and
        we adopted.
        """
        if self.facts.policy.partners != "hold":
            return NOBODY
        known = self.entries.items()
        ours = {a: entry for a, entry in known if not entry.adopted}
        granted = {a for a, e in ours.items() if e.state != "intended" or e.shared_time}
        first = (missing & self.want.partners) - granted
        return frozenset(a for a in first if Pair(self.case.id, a) not in self.facts.released)

    def _unwanted(self, redundant: frozenset[str]) -> _Unwanted:
        """What becomes of grants that nobody wants."""
        run, want, unwanted = self.work.run, self.want, _Unwanted()
        if self.work.doubt:
            unwanted.undecided = {*self.ours, *self.ground.shared} - want.everybody
            return unwanted
        if self.image.public:  # its permissions cannot be changed while it is public, and they outlive that
            unwanted.undecided = {*self.ours} - want.everybody
            return unwanted
        judged: dict[str, Judged] = {}
        for account in self.ours - redundant - want.everybody:
            entry = self.entries[account]
            judged[account] = judge(
                self.facts, want, self.image, account, entry.rules, modes=run.modes, frozen=run.frozen, kind=entry.kind
            )
        if self.facts.policy.unmanaged == "revoke":
            seen = self.work.ledger.strangers.get(self.case.id, MappingProxyType({}))
            for account in self.direct - self.ours - redundant - want.everybody - self.coverage.elsewhere:
                unwanted.strangers[account] = self.listed[account]
                if self.facts.sweep and seen.get(account) == self.listed[account]:
                    judged[account] = judge_stranger(self.facts, want, self.image, account)
        for account, found in judged.items():
            if found.loss is not None:
                self._lose(found.loss, unwanted)
            elif found.kept_by is not None:
                unwanted.by_mode[account] = found.kept_by
            elif account in self.ours:
                unwanted.undecided.add(account)
        return unwanted

    def _lose(self, loss: Loss, unwanted: _Unwanted) -> None:
        """A loss, unless the policy lets a grant of ours stay for a time that is not over, or for good."""
        account, policy = loss.pair.account, self.facts.policy
        left = loss.cause == "departed" or (loss.cause == "image" and self._seems_to_have_left(account))
        stays = policy.on_leave if left else policy.grace
        if left and loss.cause == "image" and stays is not None:
            stays = max(stays, policy.grace)  # nobody asked whether it really left
        if account not in self.ours:
            unwanted.losses[account] = loss
        elif stays is None:
            unwanted.kept.add(account)
        elif self.facts.now < (until := (self.entries[account].unwanted or self.facts.now) + stays):
            unwanted.lingering[account] = until
        else:
            unwanted.losses[account] = loss

    def _seems_to_have_left(self, account: str) -> bool:
        """Whether an account that we granted the image as a member is none any more."""
        organization = self.facts.organization
        aside = account in organization.members or account == organization.management
        return not aside and self.entries[account].kind == "member" if account in self.entries else False

    def _findings(self, unwanted: _Unwanted, redundant: frozenset[str]) -> Iterable[Finding]:
        want, members = self.want, self.facts.organization.members
        if self.case.retired and (has := self._who_has_it()):
            yield Finding("retired", self.image.id, "", f"{self.case.retired}; {has}")
        if self.image.product_code and want.everybody:
            why = "it comes from the Marketplace: whoever makes instances of it pays its fee there, if it has one"
            yield Finding("billed", self.image.id, "", f"{why} (product {self.image.product_code})")
        if self.image.public and (waiting := self.ours - want.everybody):
            why = "not wanted any more; grants of a community image cannot be changed, so it goes when that is private"
            yield from self._rows("community", waiting, why)
        for mode in sorted(set(unwanted.by_mode.values())):
            accounts = {account for account, by in unwanted.by_mode.items() if by == mode}
            yield from self._rows("kept-by-mode", accounts, f"not wanted any more; kept because the mode is {mode}")
        why = "it left the organization, and safety.on_leave keeps its direct grant"
        yield from self._rows("kept-on-leave", unwanted.kept, why)
        strange = self.direct - self.ours - want.everybody - self.coverage.elsewhere
        known = {account for account in strange if account in members or account in self.work.run.outsiders}
        left = (
            "it is revoked once it was seen twice" if self.facts.policy.unmanaged == "revoke" else "it is left as it is"
        )
        yield from self._rows("unmanaged", known, f"granted by somebody else and no rule wants it; {left}")
        why = "neither the organization nor the policy knows this account, and it can use the image"
        yield from self._rows("unknown-account", strange - known, why)
        double = self.evident - redundant
        yield from self._rows(
            "double-shared", double, "granted by somebody else, and a resource share reaches it as well"
        )
        why = "a resource share may or may not reach it; nothing is granted until that is known"
        yield from self._rows("unsure-coverage", self.ground.unsure - self.direct, why)
        why = "a resource share may or may not reach it; its direct grant stays until that is known"
        yield from self._rows("unsure-coverage", self.ground.unsure & self.ours, why)
        observed = self.ground.observed - self.direct
        yield from self._rows("observed-only", observed, "wanted by a rule whose mode is observe")
        if self.work.closed is None and (instead := self.ground.fallback & want.direct):
            why = f"{self.ground.why}; {len(instead)} accounts may get direct grants instead"
            yield Finding("channel-fallback", self.image.id, "", why)
        if self.case.id in self.work.stays:
            why = f"it stays in its resource share, because {self.work.stays[self.case.id]}"
            yield Finding("channel-conflict", self.image.id, "", why)

    def _who_has_it(self) -> str:
        """Of an image that is retired: who still has it by us, and who has it by somebody else."""
        ours = self.ours | self.ground.shared
        others = (self.direct | self.coverage.associated) - ours - {self.image.shard.owner}
        said = [f"{_some(ours)} would lose it"] if ours else []
        said += [f"{_some(others)} has it by somebody else" if len(others) == 1 else
                 f"{_some(others)} have it by somebody else"] if others else []  # fmt: skip
        return "; ".join(said)

    def _rows(self, kind: FindingKind, accounts: frozenset[str] | set[str], why: str) -> Iterable[Finding]:
        return finding_rows(kind, self.image.id, accounts, why)

    def _lingering(self, lingering: Mapping[str, datetime]) -> Iterable[Pending]:
        """Grants that stay for a time: a row for each account, or one for all that stay equally long."""
        alike: dict[tuple[str, str], list[str]] = defaultdict(list)
        for account, until in lingering.items():
            first = self.entries[account].unwanted or self.facts.now
            alike[until.strftime("%Y-%m-%dT%H:%M:%SZ"), first.isoformat()].append(account)
        for (end, since), accounts in sorted(alike.items()):
            rows = [f"{self.image.id}/{account}" for account in sorted(accounts)]
            if len(rows) > MOST_ROWS:
                status = f"{len(rows)} direct grants of accounts that are not wanted any more: kept until {end}"
                yield Pending("", self.image.id, status, since, end)
            else:
                status = f"not wanted any more: its direct grant is kept until {end}"
                yield from (Pending("", row, status, since, end) for row in rows)

    def _pending(self, lingering: Mapping[str, datetime]) -> Iterable[Pending]:
        entries = self.entries
        yield from self._lingering(lingering)
        for account in sorted(self.under_way):
            entity = f"{self.image.id}/{account}"
            yield Pending("", entity, "accepted, not listed yet", entries[account].since.isoformat())
        members, settled = self.facts.organization.members, self.facts.settled
        waiting = (self.ours & self.staying.possible) - self.staying.sure
        soon = {a for a in waiting if a not in self.staying.associated or (a in members and a not in settled)}
        if soon:
            grants = "1 direct grant ends" if len(soon) == 1 else f"{len(soon)} direct grants end"
            status = f"{grants} once the resource share is sure to reach those accounts"
            yield Pending("", self.image.id, status, "")


def _some(accounts: frozenset[str]) -> str:
    """How many accounts, and the first of them."""
    first = ", ".join(sorted(accounts)[:FEW])
    more = f" and {len(accounts) - FEW} more" if len(accounts) > FEW else ""
    return f"{counted(len(accounts), 'account')} ({first}{more})"


def _wish(case: Case) -> Wish:
    return Wish(
        audience=case.want.directory,
        fixed=bool(case.want.frozen),
        joins=refused_as_it_is(case.image) is None and not case.unsure,
    )


def _only(shares: Iterable[ResourceShare], own: frozenset[tuple[str, str]]) -> Iterable[ResourceShare]:
    """The shares as far as they are ours."""
    places = {share for share, _ in own}
    for share in shares:
        if share.id in places:
            yield replace(
                share,
                images=tuple(row for row in share.images if (share.id, row.entity) in own),
                targets=tuple(row for row in share.targets if (share.id, row.entity) in own),
            )


def _why_closed(organization: Organization, shard: Shard, sharing: Sharing) -> tuple[Reason, str] | None:
    """Why nothing of an owner can be shared through the directory."""
    if shard.owner not in organization.members and shard.owner != organization.management:
        return "owner-outside", f"owner {shard.owner} is not in the organization"
    if not sharing.enabled:
        return "sharing-not-enabled", "sharing in the organization is not enabled"
    return None


def _of_setback(setback: Setback) -> tuple[Reason, str]:
    return reason_of_setback(setback.code), _why(setback)


def _why(setback: Setback) -> str:
    """Why something did not succeed, with its code once."""
    return setback.why if setback.code in setback.why else f"{setback.code}: {setback.why}"
