"""What resource shares mean for one account and one image: what reaches it, what is about to, and what stands against.

Pure words for one pair, taken from what was decided for the image and for its shard. What can go wrong is a promise:
so what comes next is only said where the decisions have it, and what something waits for is named.
"""

from __future__ import annotations

from collections.abc import Iterable

from orgshare.decide.decisions import Cut, ImageDecision
from orgshare.decide.plan import Pending
from orgshare.decide.shares import CREATE, Joining
from orgshare.ledger import Setback
from orgshare.report.channels import Way, Ways, target_named
from orgshare.report.times import moment, since
from orgshare.way.planning import Planned
from orgshare.words import counted


class ByDirectory:
    """One pair, as far as resource shares go.

    ``standing`` ways reach the account, ``coming`` ones are under way in either direction, ``stuck`` ones have been so
    for too long. ``cuts`` are rows of ours that should end, of those that reach it. ``joining`` is what the next apply
    puts into the image's share so that it reaches the account. ``wanted`` is whether the directory should serve it.
    """

    def __init__(self, planned: Planned, decision: ImageDecision, account: str) -> None:
        self.planned, self.decision, self.account = planned, decision, account
        self.image, self.organization = decision.image.id, planned.facts.organization
        self.observing = planned.facts.policy.mode == "observe"
        self.sharing = planned.decisions.shards[decision.image.shard]
        self.ways = Ways(planned)
        ways = self.ways.to(decision.image, account)
        self.standing = tuple(way for way in ways if way.stands)
        self.coming = tuple(way for way in ways if not way.stands and not way.stuck)
        self.stuck = tuple(way for way in ways if way.stuck)
        self.cuts = tuple(self._cuts())
        self.wanted = account in decision.directory.accounts
        self.joining = self._joining() if self.wanted and account not in decision.coverage.possible else None

    def _cuts(self) -> Iterable[tuple[Way, Cut]]:
        ending = {(cut.share, cut.entity): cut for cut in self.sharing.cuts}
        for way in self.standing:
            for row in (way.image, way.target):
                cut = ending.get((way.share.id, row.entity))
                if cut is not None:
                    yield way, cut

    def _joining(self) -> tuple[Joining, tuple[str, ...]] | None:
        for joining in self.sharing.arrangement.joining:
            if self.decision.home == (joining.share or f"new {joining.audience}"):
                image = (self.image,) if self.image in joining.images else ()
                targets = self.ways.reaching(joining.targets, self.account)
                return (joining, (*image, *targets)) if image or targets else None
        return None

    def evidence(self) -> Iterable[str]:
        """Every way that reaches the account or may, with what makes it unsure."""
        for way in self.standing:
            then = f" since {way.since()}" if way.since() else ""
            doubts = self._doubts(way)
            unsure = f"; not sure: {'; '.join(doubts)}" if doubts else ""
            yield f"{_made(way)} reaches it through {self._through(way)}{then}{unsure}"
        for way in self.coming:
            yield f"{_made(way)} may reach it through {self._through(way)}: {'; '.join(self._doubts(way))}"
        for way in self.stuck:
            rows = "; ".join(way.under_way())
            yield f"{_made(way)} should reach it through {self._through(way)}: {rows}, which is too long to count"
        for why in self._fallbacks():
            yield f"not by the directory: {why}"

    def failures(self) -> Iterable[str]:
        """What went wrong about the share that should reach the account, with the vendor's reason."""
        found: dict[str, None] = {}
        for setback in self._setbacks() if self.wanted else ():
            times = f" ({setback.times} times so far)" if setback.times > 1 else ""
            code = "" if setback.code == "Failed" else f"{setback.code}: "
            found[f"failed at {moment(setback.at)}{times}: {code}{setback.why}"] = None
        return tuple(found)

    def ahead(self, *, has: bool, refused: bool) -> str:
        """What comes next of all this, if anything."""
        found = self._double() or self._changing() or self._joins()
        if found or not self.wanted or self.account in self.decision.coverage.associated:
            return found
        if self.coming:
            return "nothing is granted directly meanwhile; every apply looks again"
        return "" if self.stuck else self._waits(said=has or refused)

    def _joins(self) -> str:
        if self.joining is None:
            return ""
        joining, entities = self.joining
        named = " and ".join(self._named(entity) for entity in entities)
        what = f"{named} into {joining.share or 'a new resource share'}"
        direct = "; its direct grant stays until that is sure to reach it" if self.account in self.decision.ours else ""
        return self._next(f"put: {what}", f"puts {what}") + direct

    def blocked(self) -> str:
        """Why a row that should end stays for now, if so."""
        for _, cut in self.cuts:
            why = cut.blocked or self._kept(cut)
            if why:
                return f"it stays in {cut.share} for now: {why}"
        return ""

    def _kept(self, cut: Cut) -> str:
        """Why a row stays because of other pairs that it gives."""
        held = cut.pairs & {pair for hold in self.planned.plan.held for pair in hold.pairs}
        if held:
            return f"{counted(len(held), 'pair')} that {cut.entity} gives {'is' if len(held) == 1 else 'are'} held"
        unproven = cut.pairs & {loss.pair for loss in self.planned.decisions.losses() if not loss.proven}
        return f"for {counted(len(unproven), 'pair')} that {cut.entity} gives it is not certain" if unproven else ""

    def leaving(self) -> str:
        """What leaves which share, in words."""
        said = {f"{self._named(cut.entity, of_pair=False)} out of {cut.share}" for _, cut in self.cuts}
        return " and ".join(sorted(said))

    def by_hand(self) -> str:
        """The resource shares of others that reach the account now."""
        return _listed({way.name for way in self.standing if not way.ours})

    def pending(self) -> Iterable[Pending]:
        """What is under way for this pair, and what is due."""
        rows = {
            (way.share.id, row.entity): row for way in self.coming for row in (way.image, way.target) if not row.firm
        }
        for (share, entity), row in rows.items():
            yield Pending(share, entity, row.status, since(row))
        if self.joining is not None and not self.observing:
            joining, entities = self.joining
            for entity in entities:
                yield Pending(joining.share, entity, "association due", "")

    def _double(self) -> str:
        """Of an account with both channels: what goes, what stays, and what it waits for."""
        decision, account = self.decision, self.account
        if account in decision.redundant:
            goes = self._next("revoked: its direct grant", "revokes its direct grant")
            return f"double-shared: {goes}; {self._staying()} stays"
        if account not in decision.direct or account not in decision.staying.possible:
            return ""
        sure = f"once {self._staying()} is sure to reach it"
        if account in decision.ours:
            doubts = sorted({doubt for way in (*self.standing, *self.coming) for doubt in self._doubts(way)})
            return f"double-shared: its direct grant goes {sure}" + (f" ({'; '.join(doubts)})" if doubts else "")
        if self.planned.facts.policy.unmanaged == "revoke":
            return f"double-shared: the direct grant of somebody else goes {sure}"
        return "double-shared: somebody else granted it directly too, which orgshare leaves as it is"

    def _changing(self) -> str:
        """Of an account whose resource share lets go of it and that keeps the image: what stays."""
        blocked = self.blocked()
        if not self.cuts or blocked:
            return blocked
        if self.account in self.decision.direct:
            stays = "its direct grant"
        elif self.account in self.decision.staying.possible:
            stays = self._staying()
        else:
            return ""
        out = self.leaving()
        return f"{self._next(f'taken: {out}', f'takes {out}')}; {stays} stays"

    def _waits(self, *, said: bool) -> str:
        """What the account waits for where nothing is under way or due for it; ``said`` is whether that may be all."""
        waiting = [setback.again() for setback in self._setbacks() if setback.waits(self.planned.now)]
        if waiting:
            return f"tried again after {moment(max(waiting))}"
        own = {share for share, entity in self.sharing.arrangement.own if entity == self.image}
        for share in self.sharing.shares:
            if share.id == self.decision.home and not share.firm:
                return f"waits for {share.id}, which is {share.status}"
            row = next((row for row in share.images if row.entity == self.image), None)
            if row is not None and share.id in own and row.live and not row.firm:
                return f"waits until {self.image} is not {row.status} in {share.id} any more"
        return "" if said or any(self._fallbacks()) else "waits for what is under way in its resource shares"

    def _fallbacks(self) -> Iterable[str]:
        """Why direct grants take the place of resource shares, as far as that is decided."""
        if self.wanted and self.account not in self.decision.coverage.possible:
            for finding in (*self.sharing.findings, *self.decision.findings):
                if finding.kind == "channel-fallback":
                    yield finding.why

    def _setbacks(self) -> tuple[Setback, ...]:
        targets = self.ways.reaching(self.decision.directory.targets, self.account)
        keys = {f"{self.decision.home}/{target}" for target in targets}
        known = sorted(self.sharing.ledger.setbacks.items())
        return tuple(
            setback
            for key, setback in known
            if key in keys or key.rpartition("/")[2] == self.image or (key == CREATE and not self.standing)
        )

    def _staying(self) -> str:
        ending = {way.share.id for way, _ in self.cuts}
        return _listed({way.name for way in (*self.standing, *self.coming) if way.share.id not in ending})

    def _doubts(self, way: Way) -> tuple[str, ...]:
        return self.ways.doubts(way, self.account)

    def _through(self, way: Way) -> str:
        return self._named(way.target.entity)

    def _named(self, entity: str, *, of_pair: bool = True) -> str:
        if entity == self.image:
            return entity
        return target_named(entity, self.organization, self.account if of_pair else "")

    def _next(self, would: str, does: str) -> str:
        return f"would be {would}; mode observe changes nothing" if self.observing else f"the next apply {does}"


def _made(way: Way) -> str:
    rules = f" for {'rule' if len(way.rules) == 1 else 'rules'} {', '.join(way.rules)}" if way.rules else ""
    by, comma, beside = way.by.partition(",")
    return f"resource share {way.name}, made {by}{rules}{comma}{beside},"


def _listed(names: Iterable[str]) -> str:
    """``resource share a`` or ``resource shares a and b``, or nothing."""
    each = sorted(names)
    if not each:
        return ""
    return f"resource share {each[0]}" if len(each) == 1 else f"resource shares {' and '.join(each)}"
