"""Why an account can or cannot use an image: the answer of ``explain``, drawn from one run's facts.

Pure, and it decides nothing: who is wanted and what would change is taken from the run's decisions, and only the words
for it are found here. What can go wrong is an explanation of something that is not so; so a clause is given only where
the decisions say the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from orgshare.decide.decisions import ImageDecision
from orgshare.decide.losses import Cause, Loss
from orgshare.decide.plan import Change, Hold, Pending, Refusal
from orgshare.decide.planning import rules_of
from orgshare.report.by_directory import ByDirectory
from orgshare.report.channels import channels, target_named
from orgshare.report.placing import Place, place_of, risks_of
from orgshare.report.times import moment
from orgshare.way.planning import Planned
from orgshare.words import Image, Pair, is_account

Answer = Literal["YES", "YES, FOR NOW", "NO"]

_CAUSES: Mapping[Cause, str] = {
    "departed": "it left the organization",
    "audience": "it is not in the audience of a rule any more",
    "partner": "no rule names it any more",
    "image": "no rule selects the image any more",
    "retired": "the image is retired",
    "unmanaged": "somebody else granted it and no rule wants it",
    "channel": "it goes over to a direct grant",
}


class Explanation(Struct, frozen=True, kw_only=True):
    """The answer for one pair.

    ``found`` says what gives or withholds the access now, ``ahead`` what a run would do next, ``risks`` what the policy
    accepts, ``change`` how a person gets it to be otherwise. ``retired`` says who or what retired the image. ``held``
    are the holds that this pair is in, with the changes of this pair only.
    """

    image: Image
    account: str
    answer: Answer
    wanted: bool
    has: bool
    channels: tuple[str, ...]
    places: tuple[Place, ...]
    found: tuple[str, ...]
    ahead: str
    change: str
    retired: str = ""
    risks: tuple[str, ...] = ()
    pending: tuple[Pending, ...] = ()
    held: tuple[Hold, ...] = ()

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that want the account to have the image."""
        return tuple(place.rule for place in self.places if place.wants)

    @property
    def no_rule(self) -> str:
        """Why no rule speaks of the image."""
        return f"the image is {self.retired}, so no rule counts" if self.retired else "no rule selects the image"

    @property
    def evidence(self) -> str:
        """What gives or withholds the access now, in one line."""
        return "; ".join(self.found)

    def why(self) -> str:
        """Everything in one line."""
        said = [f"rule {place.where()}: {place.why}" for place in self.places] or [self.no_rule]
        return "; ".join(part for part in (*said, self.evidence, self.ahead, *self.risks) if part)


def explain(planned: Planned, decision: ImageDecision, account: str) -> Explanation:
    """The answer for one account and one image that this run looked at."""
    return _Pair(planned, decision, account).explanation()


class _Pair:
    """One pair with everything that the run knows of it."""

    def __init__(self, planned: Planned, decision: ImageDecision, account: str) -> None:
        self.planned, self.decision, self.account = planned, decision, account
        self.image = decision.image
        self.pair = Pair(decision.image.id, account)
        self.loss = next((loss for loss in decision.losses if loss.pair == self.pair), None)
        self.owns = account == self.image.shard.owner
        self.always = self._always()
        self.has = self.always is not None or account in decision.has()
        self.wanted = account in decision.wanted
        self.observing = planned.facts.policy.mode == "observe"
        self.by_directory = ByDirectory(planned, decision, account)
        self.asking = account in decision.asking
        self.until = decision.lingering.get(account)
        self.rejected = self.pair in planned.rejected
        self.holds = self._holds()
        self.refusal = None if self.has else self._refusal()
        self.audiences = tuple(planned.decisions.audiences[index] for index in decision.rules)
        self.places = tuple(
            place_of(each, planned.facts.policy, planned.facts.organization, account, owns=self.owns)
            for each in self.audiences
        )

    def explanation(self) -> Explanation:
        ahead, ends = ("", False) if self.always else self._ahead()
        return Explanation(
            image=self.image,
            account=self.account,
            answer=("YES, FOR NOW" if ends else "YES") if self.has else "NO",
            wanted=self.wanted,
            has=self.has,
            channels=() if self.owns else tuple(channels(self.decision, self.account)),
            places=self.places,
            found=tuple(part for part in self._found() if part),
            ahead=ahead,
            change=self._change_now() if self.has else self._change_then(),
            retired=self.decision.retired,
            risks=() if self.always else self._risks(),
            pending=tuple(self._pending()),
            held=self.holds,
        )

    def _always(self) -> tuple[str, str] | None:
        """What gives the account the image whatever the policy says, and how that could be changed."""
        if self.owns:
            return "the account owns the image", "nothing: an owner always has its own images"
        if self.image.public:
            return "a community image: everybody can use it", "only its owner can make the image private again"
        return None

    def _holds(self) -> tuple[Hold, ...]:
        """The holds that keep this pair's access, or keep the pair from it."""
        if self.asking:
            return tuple(replace(hold, changes=(self._first(),)) for hold in self._with_pair())
        if self.loss is None:
            return ()
        direct = self.account in self.decision.direct and self.loss.cause != "channel"
        change = Change(
            action="revoke" if direct else "disassociate",
            shard=self.loss.shard,
            images=(self.pair.image,),
            accounts=(self.account,),
            rules=self.loss.rules,
            why=_CAUSES[self.loss.cause],
            lost=1,
        )
        return tuple(replace(hold, changes=(change,)) for hold in self._with_pair())

    def _with_pair(self) -> Iterable[Hold]:
        return (hold for hold in self.planned.plan.held if self.pair in hold.pairs)

    def _first(self) -> Change:
        """The first grant to a partner, which waits for a person."""
        rules = rules_of(self.decision, self.planned.decisions.audiences, self.account)
        return Change(
            action="grant",
            shard=self.image.shard,
            images=(self.pair.image,),
            accounts=(self.account,),
            rules=rules,
            why="wanted, and the first grant of the image to this partner",
            gained=1,
        )

    def _refusal(self) -> Refusal | None:
        """The refusal that keeps a wanted account out. Only the first accounts of a refusal are named in it."""
        by_directory = self.by_directory
        waiting = by_directory.coming or by_directory.joining or self.asking
        if not self.wanted or self.account in self.decision.grants or waiting:
            return None
        refusals = self.decision.refusals
        named = next((refusal for refusal in refusals if self.account in refusal.accounts), None)
        return named or next((r for r in refusals if r.accounts_total > len(r.accounts)), None)

    def _end(self) -> date | None:
        """The last day on which a rule wants the pair, or ``None`` if that has no end."""
        ends = [place.until for place in self.places if place.wants]
        return None if None in ends else max((end for end in ends if end is not None), default=None)

    def _ahead(self) -> tuple[str, bool]:
        """What comes next, and whether it ends the access."""
        if self.loss is not None:
            return self._ahead_of_loss(self.loss)
        if self.until is not None:
            return f"no longer wanted: its direct grant is kept until {moment(self.until)}, and revoked then", True
        if self.asking:
            return "", False
        said = self._granting() or self.by_directory.ahead(has=self.has, refused=self.refusal is not None)
        if said:
            return said, False
        end = self._end()
        if self.has and end is not None:
            return f"access ends after {end.isoformat()}, the last day of the partner", True
        return "", False

    def _granting(self) -> str:
        """The direct grant that is due, or not to be seen yet."""
        if self.account not in self.decision.grants:
            return "granted; the cloud does not list it yet" if self._under_way() else ""
        if self.observing:
            return "would be granted; mode observe changes nothing"
        later = f"; a later one takes {self.by_directory.leaving()}" if self.by_directory.cuts else ""
        return f"the next apply grants it{later}"

    def _ahead_of_loss(self, loss: Loss) -> tuple[str, bool]:
        cause, ends = _CAUSES[loss.cause], loss.cause != "channel"
        if self.holds:
            return f"{cause}; held: {self.holds[0].why}", ends
        if self.observing or self.rejected:
            stays = "a person rejected taking it away, so it stays until that changes"
            return f"{cause}; {stays if self.rejected else 'mode observe revokes nothing'}", False
        if not loss.proven:
            return f"{cause}, which could not be confirmed; it is revoked once that is certain", True
        if self.by_directory.blocked():
            return f"{cause}; {self.by_directory.blocked()}", ends
        if self.by_directory.cuts:
            return f"{cause}; the next apply takes {self.by_directory.leaving()}", ends
        return f"{cause}; the next apply revokes it", True

    def _under_way(self) -> Pending | None:
        entity = f"{self.pair.image}/{self.account}"
        return next((p for p in self.decision.pending if p.entity == entity and not p.until), None)

    def _found(self) -> Iterable[str]:
        if self.always is not None:
            yield self.always[0]
            return
        times = self._listed()
        if self.account in self.decision.direct:
            yield self._grant(times)
        elif self.account in times:
            yield f"the permission list has it{_at(times[self.account])}, perhaps only because of a resource share"
        yield from self.by_directory.evidence()
        if not self.has and self.wanted:
            yield self._withheld()

    def _listed(self) -> Mapping[str, str]:
        """Everybody in the image's permission list, with the time."""
        readings = self.planned.facts.readings
        reading = next((r for r in readings if r.image.id == self.image.id and r.grants is not None), None)
        return {grant.account: grant.shared_time for grant in (reading.grants if reading and reading.grants else ())}

    def _grant(self, times: Mapping[str, str]) -> str:
        at = _at(times.get(self.account, ""))
        if self.account not in self.decision.ours:
            return f"granted{at} by somebody else"
        entry = self.planned.facts.ledgers[self.image.shard].entries(self.image.id)[self.account]
        kept = "; it left the organization, and safety.on_leave keeps it" if self.account in self.decision.kept else ""
        rules = f" for rule {', '.join(sorted(entry.rules))}" if entry.rules else ""
        return f"granted{at} by orgshare{rules}{kept}"

    def _withheld(self) -> str:
        """Why a wanted account does not have the image."""
        if self.asking:
            said = f"held: {self.holds[0].why}" if self.holds else "a person rejected the first grant to this partner"
            return f"not granted yet; {said}"
        by_directory, failures = self.by_directory, self.by_directory.failures()
        if self.refusal is not None:
            return "; ".join((f"refused: {self.refusal.reason}", *failures))
        frozen = next((a for a in self.audiences if a.frozen and self.account in a.wanted), None)
        if frozen is not None and self.account not in self.decision.grants:
            return f"nothing is added for rule {frozen.rule.name}: {frozen.frozen}"
        observed = [a.rule.name for a in self.audiences if a.rule.mode == "observe" and self.account in a.wanted]
        if observed and not self.observing and self.account not in self.decision.grants and not self._under_way():
            return f"rule {observed[0]} only observes"
        if self._under_way() or by_directory.coming or by_directory.stuck:
            return ""
        directory = by_directory.wanted and self.account not in self.decision.grants
        return "; ".join(("not shared yet" if directory else "not granted yet", *failures))

    def _change_now(self) -> str:
        """How somebody who can use the image would come to lose it, or to keep it."""
        if self.always is not None:
            return self.always[1]
        if self.holds:
            gap = self.loss is not None and self.loss.cause == "channel"
            does = "change it to a direct grant, perhaps with a gap" if gap else "revoke it"
            return f"«orgshare approve {self.holds[0].id}» lets the next apply {does}; doing nothing keeps it"
        if self.rejected or self.account in self.decision.kept:
            ends = "it is held anew when its cause changes; to end it now, revoke it by hand"
            return ends if self.rejected else "safety.on_leave: revoke would end it"
        if self.loss is not None or self.until is not None:
            named = "name the account in the audience of a rule that selects the image"
            return f"to keep it, {self._taken_back() if self.decision.retired else named}"
        wanting, by_hand = [place.where() for place in self.places if place.wants], self.by_directory.by_hand()
        if wanting:
            beside = f"; {by_hand}, made by somebody else, would still reach it" if by_hand else ""
            return f"to end it, take it out of the audience of {_rules(wanting)}, or name it in never.accounts{beside}"
        return self._change_by_others(by_hand)

    def _change_by_others(self, by_hand: str) -> str:
        if by_hand:
            return f"orgshare leaves {by_hand} as it is: whoever made it can take the account out of its reach"
        if self.account in self.decision.given():
            return "mode enforce would revoke it"
        return "orgshare leaves it as it is: whoever granted it can revoke it"

    def _change_then(self) -> str:
        """How somebody who cannot use the image would come to have it."""
        if self.asking:
            again = "take it out of the audience and put it back after a run: then a person is asked again"
            return f"«orgshare approve {self.holds[0].id}» lets the next apply grant it" if self.holds else again
        joining = self.by_directory.joining is not None
        if self.account in self.decision.grants or joining:
            does = "shares it" if joining else "grants it"
            return "set mode to add or enforce" if self.observing else f"«orgshare apply» {does}"
        if self.refusal is not None:
            return self.refusal.remedy
        waiting = self._waiting()
        if waiting or self.wanted:
            return waiting or "mend what is said above; the next apply grants it then"
        return f"to share it, {self._to_share()}"

    def _to_share(self) -> str:
        """What of the policy, or of what is remembered, keeps the account from being wanted."""
        mended = next((place for place in self.places if place.mend), None)
        if mended is not None:
            return f"{mended.mend} in rule {mended.where()}"
        if self.decision.retired:
            return self._taken_back()
        return "let a rule select the image and name the account in its audience"

    def _taken_back(self) -> str:
        """How an image that is retired comes back."""
        marked = self.image.id in self.planned.facts.retired
        return f"«orgshare retire {self.image.id} --undo»" if marked else "take the tag away that retires the image"

    def _waiting(self) -> str:
        if self._under_way():
            return "nothing: wait until the cloud lists it"
        if self.by_directory.coming:
            return "nothing: wait until the association is done; «orgshare apply --wait SECONDS» waits for it"
        return ""

    def _risks(self) -> tuple[str, ...]:
        facts = self.planned.facts
        whole = sorted(target for target in self.decision.directory.targets if not is_account(target))
        folders = tuple(target_named(target, facts.organization) for target in whole)
        found = (
            risk
            for audience in self.audiences
            for risk in risks_of(audience, facts.policy, folders, self.account, self.image.shard.owner)
        )
        return tuple(dict.fromkeys(found))

    def _pending(self) -> Iterable[Pending]:
        """What is under way or due for this pair."""
        if self.always is not None:
            return
        entity = f"{self.pair.image}/{self.account}"
        under_way = self._under_way()
        if under_way is not None:
            yield under_way
        yield from self.by_directory.pending()
        if self.observing:
            return
        if self.account in self.decision.grants:
            yield Pending("", entity, "grant due", "")
        if self.until is not None:
            why = "not wanted any more: its direct grant is kept"
            entry = self.planned.facts.ledgers[self.image.shard].entries(self.image.id)[self.account]
            since = entry.unwanted or self.planned.now
            yield Pending("", entity, f"{why} until {moment(self.until)}", since.isoformat(), moment(self.until))
        if self.loss is not None and not self.holds and not self.rejected and not self.by_directory.blocked():
            for _, cut in self.by_directory.cuts:
                yield Pending(cut.share, cut.entity, "disassociation due", "")
            if self.account in self.decision.direct or not self.by_directory.cuts:
                yield Pending("", entity, "revoke due", "")


def _at(time: str) -> str:
    return f" at {time}" if time else ""


def _rules(names: list[str]) -> str:
    return f"rule {names[0]}" if len(names) == 1 else "rules " + " and ".join(names)
