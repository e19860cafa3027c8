"""Why an account can or cannot use an image: the answer of ``explain``, drawn from one run's facts.

Pure, and it decides nothing: who is wanted and what would change is taken from the run's decisions, and only the words
for it are found here, from the policy and the account's place in the organization. What can go wrong is an explanation
of something that is not so; so a clause is given only where the decisions say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from orgshare.decide.audience import Resolved, tags_match
from orgshare.decide.decisions import Cause, ImageDecision, Loss
from orgshare.decide.plan import Change, Hold, Pending, Refusal
from orgshare.policy.model import Audience, Exclusion
from orgshare.way.planning import Planned
from orgshare.words import Image, Organization, Pair

Answer = Literal["YES", "YES, FOR NOW", "NO"]

_CAUSES: Mapping[Cause, str] = {
    "departed": "it left the organization",
    "audience": "it is not in the audience of a rule any more",
    "partner": "no rule names it any more",
    "image": "no rule selects the image any more",
}


class Place(Struct, frozen=True, kw_only=True):
    """What one rule that selects the image says of the account, and where in the policy.

    ``until`` is the last day on which the rule wants it; ``mend`` says how the rule would come to want it.
    """

    rule: str
    place: str
    wants: bool
    why: str
    until: date | None = None
    mend: str = ""

    def where(self) -> str:
        """The rule with its place."""
        return f"{self.rule} ({self.place})" if self.place else self.rule


class Explanation(Struct, frozen=True, kw_only=True):
    """The answer for one pair.

    ``evidence`` says what gives or withholds the access now, ``ahead`` what a run would do next, ``change`` how a
    person gets it to be otherwise. ``held`` are the holds that this pair is in, with the changes of this pair only.
    """

    image: Image
    account: str
    answer: Answer
    wanted: bool
    has: bool
    channels: tuple[str, ...]
    places: tuple[Place, ...]
    evidence: str
    ahead: str
    change: str
    pending: tuple[Pending, ...] = ()
    held: tuple[Hold, ...] = ()

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that want the account to have the image."""
        return tuple(place.rule for place in self.places if place.wants)

    def why(self) -> str:
        """Everything in one line."""
        said = [f"rule {place.where()}: {place.why}" for place in self.places] or ["no rule selects the image"]
        return "; ".join(part for part in (*said, self.evidence, self.ahead) if part)


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
        self.holds = self._holds()
        self.refusal = None if self.has else self._refusal()
        self.audiences = tuple(planned.decisions.audiences[index] for index in decision.rules)
        self.places = tuple(self._place(audience) for audience in self.audiences)

    def explanation(self) -> Explanation:
        decision, account = self.decision, self.account
        ahead, ends = ("", False) if self.always else self._ahead()
        direct = ("direct",) if account in decision.direct else ()
        return Explanation(
            image=self.image,
            account=account,
            answer=("YES, FOR NOW" if ends else "YES") if self.has else "NO",
            wanted=self.wanted,
            has=self.has,
            channels=(*direct, "directory") if account in decision.coverage.possible else direct,
            places=self.places,
            evidence=self._evidence(),
            ahead=ahead,
            change=self._change_now() if self.has else self._change_then(),
            pending=self._pending(),
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
        """The holds of this run and of earlier ones that keep this pair's access."""
        if self.loss is None:
            return ()
        change = Change(
            action="revoke",
            shard=self.loss.shard,
            image=self.pair.image,
            accounts=(self.account,),
            rules=self.loss.rules,
            why=_CAUSES[self.loss.cause],
            lost=1,
        )
        held = [replace(hold, changes=(change,)) for hold in self.planned.plan.held if self.pair in hold.pairs]
        return tuple(held)

    def _refusal(self) -> Refusal | None:
        """The refusal that keeps a wanted account out. Only the first accounts of a refusal are named in it."""
        if not self.wanted or self.account in self.decision.grants:
            return None
        refusals = self.decision.refusals
        named = next((refusal for refusal in refusals if self.account in refusal.accounts), None)
        return named or next((r for r in refusals if r.accounts_total > len(r.accounts)), None)

    def _place(self, audience: Resolved) -> Place:
        rule = audience.rule
        policy, organization = self.planned.facts.policy, self.planned.facts.organization
        included = _included(rule.audience, organization, self.account)
        taken = _taken("except", rule.audience.excluded, organization, self.account)
        taken = taken or _taken("never", policy.never, organization, self.account)
        until: date | None = None
        if self.owns:
            why, mend = "the owner is in no audience", ""
        elif self.account in audience.wanted and included:
            why, until = included
            mend = ""
        elif included and taken:
            why, mend = f"{included[0]}, but {taken} takes it away", f"take it out of {taken}"
        elif included and included[1] is not None:
            why, mend = f"its last day as a partner was {included[1].isoformat()}", "set a later until"
        else:
            why, mend = _not_included(rule.audience, organization, self.account)
            why = f"{why}; {taken} takes it away too" if taken else why
        wants = self.account in audience.wanted and not self.owns
        return Place(rule=rule.name, place=rule.place, wants=wants, why=why, until=until, mend=mend)

    def _end(self) -> date | None:
        """The last day on which a rule wants the pair, or ``None`` if that has no end."""
        ends = [place.until for place in self.places if place.wants]
        return None if None in ends else max((end for end in ends if end is not None), default=None)

    def _ahead(self) -> tuple[str, bool]:
        """What comes next, and whether it ends the access."""
        if self.loss is not None:
            return self._ahead_of_loss(self.loss)
        if self.account in self.decision.grants:
            return (
                "would be granted; mode observe changes nothing" if self.observing else "the next apply grants it"
            ), False
        if self.account in self.decision.redundant:
            return "its direct grant is revoked with the next apply; the resource share stays", False
        if self._under_way():
            return "granted; the cloud does not list it yet", False
        end = self._end()
        if self.has and end is not None:
            return f"access ends after {end.isoformat()}, the last day of the partner", True
        return "", False

    def _ahead_of_loss(self, loss: Loss) -> tuple[str, bool]:
        cause = _CAUSES[loss.cause]
        if self.holds:
            return f"{cause}; held: {self.holds[0].why}", True
        if self.observing:
            return f"{cause}; mode observe revokes nothing", False
        if not loss.proven:
            return f"{cause}, which could not be confirmed; it is revoked once that is certain", True
        return f"{cause}; the next apply revokes it", True

    def _under_way(self) -> Pending | None:
        entity = f"{self.pair.image}/{self.account}"
        return next((pending for pending in self.decision.pending if pending.entity == entity), None)

    def _evidence(self) -> str:
        if self.always is not None:
            return self.always[0]
        said = []
        if self.account in self.decision.direct:
            said.append(self._grant())
        if self.account in self.decision.coverage.possible:
            sure = self.account in self.decision.coverage.sure
            said.append("covered by a resource share" if sure else "a resource share may reach it")
        if not self.has and self.wanted:
            said.append(self._withheld())
        return "; ".join(part for part in said if part)

    def _grant(self) -> str:
        facts = self.planned.facts
        reading = next((r for r in facts.readings if r.image.id == self.image.id and r.grants is not None), None)
        times = {grant.account: grant.shared_time for grant in (reading.grants if reading and reading.grants else ())}
        since = f" at {times[self.account]}" if times.get(self.account) else ""
        if self.account not in self.decision.ours:
            return f"granted{since} by somebody else"
        entry = facts.ledgers[self.image.shard].entries(self.image.id)[self.account]
        return f"granted{since} by orgshare" + (f" for rule {', '.join(sorted(entry.rules))}" if entry.rules else "")

    def _withheld(self) -> str:
        """Why a wanted account does not have the image."""
        if self.refusal is not None:
            return f"refused: {self.refusal.reason}"
        frozen = next((a for a in self.audiences if a.frozen and self.account in a.wanted), None)
        if frozen is not None and self.account not in self.decision.grants:
            return f"nothing is added for rule {frozen.rule.name}: {frozen.frozen}"
        observed = [a.rule.name for a in self.audiences if a.rule.mode == "observe" and self.account in a.wanted]
        if observed and not self.observing and self.account not in self.decision.grants and not self._under_way():
            return f"rule {observed[0]} only observes"
        return "" if self._under_way() else "not granted yet"

    def _change_now(self) -> str:
        """How somebody who can use the image would come to lose it, or to keep it."""
        if self.always is not None:
            return self.always[1]
        if self.holds:
            return f"«orgshare approve {self.holds[0].id}» lets the next apply revoke it; doing nothing keeps it"
        if self.loss is not None:
            return "to keep it, name the account in the audience of a rule that selects the image"
        wanting = [place.where() for place in self.places if place.wants]
        if wanting:
            return f"to end it, take it out of the audience of {_rules(wanting)}, or name it in never.accounts"
        if self.account in self.decision.ours:
            return "mode enforce would revoke it"
        return "orgshare leaves it as it is: whoever granted it can revoke it"

    def _change_then(self) -> str:
        """How somebody who cannot use the image would come to have it."""
        if self.account in self.decision.grants:
            return "set mode to add or enforce" if self.observing else "«orgshare apply» grants it"
        if self.refusal is not None:
            return self.refusal.remedy
        if self._under_way():
            return "nothing: wait until the cloud lists it"
        if self.wanted:
            return "mend what is said above; the next apply grants it then"
        mended = next((place for place in self.places if place.mend), None)
        if mended is not None:
            return f"to share it, {mended.mend} in rule {mended.where()}"
        return "to share it, let a rule select the image and name the account in its audience"

    def _pending(self) -> tuple[Pending, ...]:
        """What is under way or due for this pair."""
        entity = f"{self.pair.image}/{self.account}"
        under_way = self._under_way()
        rows = [] if under_way is None else [under_way]
        if not self.observing and self.account in self.decision.grants:
            rows.append(Pending("", entity, "grant due", ""))
        if not self.observing and self.loss is not None and not self.holds:
            rows.append(Pending("", entity, "revoke due", ""))
        return tuple(rows)


def _included(audience: Audience, organization: Organization, account: str) -> tuple[str, date | None] | None:
    """What of an audience names the account, with the last day, whether or not something takes it away again."""
    member = organization.members.get(account)
    if account in audience.accounts and (member is not None or account == organization.management):
        return "named in accounts", None
    if member is not None and (audience.folders or audience.account_tags):
        folder = next((f for f in audience.folders or ("root",) if organization.within(account, f)), None)
        if folder is not None and tags_match(member.tags, audience.account_tags):
            tags = f" and tagged {_tags(audience)}" if audience.account_tags else ""
            whole = folder in ("root", organization.root)
            return ("a member of the organization" if whole else f"a member of {folder}") + tags, None
    for partner in audience.partners:
        if partner.account == account:
            until = f" until {partner.until.isoformat()}" if partner.until else ""
            name = f" ({partner.name})" if partner.name else ""
            return f"named in partners{name}{until}", partner.until
    return None


def _taken(key: str, exclusion: Exclusion, organization: Organization, account: str) -> str:
    """The key of the policy that takes the account away, or nothing."""
    if account in exclusion.accounts:
        return f"{key}.accounts"
    folder = next((f for f in sorted(exclusion.folders) if organization.within(account, f)), None)
    return f"{key}.folders ({folder})" if folder is not None else ""


def _not_included(audience: Audience, organization: Organization, account: str) -> tuple[str, str]:
    """Why an audience does not name the account, and what would make it so."""
    if account == organization.management:
        return "the management account is no member, only accounts can name it", "name it under accounts"
    member = organization.members.get(account)
    if member is None:
        named = "accounts names it, but it is not in the organization" if account in audience.accounts else ""
        return named or "it is not in the organization and not named in partners", "name it under partners"
    folders = audience.folders or (("root",) if audience.account_tags else ())
    if not folders:
        return "the rule does not name it", "name it under accounts"
    if not any(organization.within(account, folder) for folder in folders):
        inside = "/".join(member.folders)
        return f"it is in {inside}, below none of {', '.join(folders)}", "name it or its folder"
    return f"it is not tagged {_tags(audience)}", "name it under accounts, or tag it so"


def _tags(audience: Audience) -> str:
    return ", ".join(f"{key}: {' or '.join(sorted(values))}" for key, values in audience.account_tags)


def _rules(names: list[str]) -> str:
    return f"rule {names[0]}" if len(names) == 1 else "rules " + " and ".join(names)
