"""What a shard last saw: what its last pass rested on, so that a cheap look can tell whether anything is due there.

A view is the organization as far as audiences rest on it: where each member is, and those of its tags that a rule
reads. It has a digest, and a shard keeps the digest of the view that its last whole pass rested on. Whoever looks again
makes a view of one listing: where the digests are the same, nothing changed, and where they differ, the two views say
which accounts it was. What was never seen by anybody, such as a move there and back, left no trace to be mended.

What can go wrong is a view that a shard is said to have seen and whose changes nobody carried out. So it moves forward
only with a pass that looked at all that changed and came to its end, and it is written down with the shard's ledger, in
one generation, by whoever holds the shard.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from orgshare.policy.model import Policy
from orgshare.words import NO_TAGS, Organization, Tags

FIRST_AGAIN, LONGEST_AGAIN = timedelta(minutes=5), timedelta(hours=1)
"""How soon a shard is looked at again where something was left: each time twice as long."""


class Standing(Struct, frozen=True, array_like=True):
    """Where a member is, from Root down, and its tags that count."""

    folders: tuple[str, ...]
    tags: Tags = NO_TAGS


class View(Struct, frozen=True):
    """The members of an organization, each with what audiences rest on."""

    members: Mapping[str, Standing]

    def changed(self, before: View) -> frozenset[str]:
        """The accounts that are new, gone, elsewhere, or tagged otherwise than before."""
        accounts = self.members.keys() | before.members.keys()
        return frozenset(a for a in accounts if self.members.get(a) != before.members.get(a))


def view_of(organization: Organization, policy: Policy) -> View:
    """What audiences of a policy rest on in an organization."""
    keys = {key for rule in policy.rules for key, _ in rule.audience.account_tags}
    return View(
        {
            account: Standing(member.folders, frozenset(tag for tag in member.tags if tag[0] in keys))
            for account, member in sorted(organization.members.items())
        }
    )


class Saw(Struct, frozen=True, omit_defaults=True):
    """What the last pass over a whole shard that came to its end rested on; empty where there was none.

    ``organization`` is the digest of a view, ``policy`` that of the policy, ``approvals`` that of what people had
    approved. ``again`` is when something is to be looked at that only time brings about, or that was left undone, and
    ``times`` how often in a row that was so. ``tried`` is what a pass rested on that did not come to its end.
    """

    organization: str = ""
    policy: str = ""
    approvals: str = ""
    again: datetime | None = None
    times: int = 0
    tried: tuple[str, str, str] | None = None

    def all(self) -> tuple[str, str, str]:
        """Everything that it rested on."""
        return self.organization, self.policy, self.approvals


NEVER = Saw()


def waits_for(times: int) -> timedelta:
    """How long until the next look at what was left, after so many looks in a row."""
    doubled: int = 2 ** min(times, 10)
    return min(FIRST_AGAIN * doubled, LONGEST_AGAIN)


def after_whole(
    before: Saw, rested_on: tuple[str, str, str], now: datetime, *, left: bool, until: datetime | None
) -> Saw:
    """After a pass over the whole shard that came to its end.

    ``left`` is whether anything is still under way, ``until`` the next time of the policy that changes something.
    """
    if not left:
        return Saw(*rested_on, again=until)
    soon = now + waits_for(before.times)
    return Saw(*rested_on, again=soon if until is None else min(soon, until), times=before.times + 1)


def after_part(
    before: Saw, organization: str, now: datetime, *, left: bool, until: datetime | None, followed: bool
) -> Saw:
    """After a pass over a part of the shard: it ``followed`` what changed in the organization, or something else."""
    times = [before.again, until, now + FIRST_AGAIN if left else None]
    again = min((time for time in times if time is not None), default=None)
    organization = organization if followed else before.organization
    return Saw(organization, before.policy, before.approvals, again, before.times, before.tried)


def after_failure(before: Saw, tried: tuple[str, str, str], now: datetime) -> Saw:
    """After a pass over all that was due that did not come to its end: what it rested on was not seen."""
    again = now + waits_for(before.times)
    if before.again is not None and now < before.again:
        again = min(again, before.again)
    return Saw(before.organization, before.policy, before.approvals, again, before.times + 1, tried)


def after_failed_part(before: Saw, now: datetime) -> Saw:
    """After a pass over something else that did not come to its end: what is due anyway is as due as before."""
    soon = now + FIRST_AGAIN
    return replace(before, again=soon if before.again is None else min(before.again, soon))
