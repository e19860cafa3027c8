"""Who a rule speaks of: an audience resolved against one reading of the organization.

What can go wrong is a word of the policy that names nothing. Taken away from an audience, an unknown id might be the
very account that must not get access, so the rule is frozen: nothing is added for it and nothing is revoked. Added to
an audience, an unknown id gives access to nobody, which is reported; what is lost by it goes through the guard.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date

from msgspec import Struct

from orgshare.policy.model import Audience, Exclusion, Policy, Rule
from orgshare.words import Organization, Tags


class UnknownId(Struct, frozen=True):
    """An id that the policy names and the organization does not have."""

    id: str
    why: str


class Resolved(Struct, frozen=True):
    """A rule's audience: ``wanted`` accounts, of which ``partners`` are outside the organization.

    ``frozen`` says why nothing may be added or revoked for this rule, and is empty when it may.
    """

    rule: Rule
    wanted: frozenset[str]
    partners: frozenset[str] = frozenset()
    frozen: str = ""
    unknown: tuple[UnknownId, ...] = ()
    partner_members: frozenset[str] = frozenset()


class Places(Struct, frozen=True):
    """The organization indexed by folder: each folder's members, those of its subfolders included."""

    organization: Organization
    below: Mapping[str, frozenset[str]]

    def members_of(self, folder: str) -> frozenset[str]:
        """Everybody below a folder; ``root`` stands for Root."""
        if self.organization.is_root(folder):
            return frozenset(self.organization.members)
        return self.below.get(folder, frozenset())

    def knows(self, folder: str) -> bool:
        """Whether the folder exists; one without members is known only because it was asked for."""
        return self.organization.is_root(folder) or folder in self.organization.folders


def places(organization: Organization) -> Places:
    """Index an organization once for all rules."""
    below: dict[str, set[str]] = defaultdict(set)
    for member in organization.members.values():
        for folder in member.folders:
            below[folder].add(member.id)
    return Places(organization, {folder: frozenset(ids) for folder, ids in below.items()})


def resolve_all(policy: Policy, organization: Organization, today: date) -> tuple[Resolved, ...]:
    """Every rule's audience, in the policy's order."""
    where = places(organization)
    outsiders = {p.account for rule in policy.rules for p in rule.audience.partners}
    known_accounts = organization.members.keys() | {organization.management} | outsiders
    known_accounts |= {owner.account for owner in policy.owners}
    never_frozen = _why_frozen("never", policy.never, where, known_accounts)
    return tuple(_resolve(rule, policy.never, where, today, known_accounts, never_frozen) for rule in policy.rules)


def _resolve(
    rule: Rule, never: Exclusion, where: Places, today: date, known_accounts: Iterable[str], never_frozen: str
) -> Resolved:
    audience, organization = rule.audience, where.organization
    wanted = set(_members(audience, where))
    unknown = [
        UnknownId(folder, f"rule {rule.name} names folder {folder}, which the organization does not have")
        for folder in audience.folders
        if not where.knows(folder) and folder not in organization.unread_folders
    ]
    for account in sorted(audience.accounts):
        if account in organization.members or account == organization.management:
            wanted.add(account)
        else:
            unknown.append(
                UnknownId(
                    account,
                    f"rule {rule.name} names account {account}, which is not in the organization; "
                    "an account outside it goes under partners",
                )
            )
    current = {p.account for p in audience.partners if p.until is None or today <= p.until}
    wanted |= current
    for taken_away in (audience.excluded, never):
        wanted -= taken_away.accounts
        for folder in taken_away.folders:
            wanted -= where.members_of(folder)
    frozen = (
        never_frozen
        or _why_frozen("except", audience.excluded, where, known_accounts)
        or _why_unread(rule, organization)
    )
    return Resolved(
        rule=rule,
        wanted=frozenset(wanted),
        partners=frozenset(wanted & current - organization.members.keys()),
        frozen=frozen,
        unknown=tuple(unknown),
        partner_members=frozenset(wanted & current & organization.members.keys()),
    )


def _members(audience: Audience, where: Places) -> frozenset[str]:
    """The members that ``folders`` and ``account_tags`` name together."""
    if not audience.folders and not audience.account_tags:
        return frozenset()
    folders = audience.folders or ("root",)
    named: frozenset[str] = frozenset().union(*(where.members_of(folder) for folder in folders))
    if not audience.account_tags:
        return named
    members = where.organization.members
    return frozenset(a for a in named if tags_match(members[a].tags, audience.account_tags))


def _why_frozen(key: str, exclusion: Exclusion, where: Places, known_accounts: Iterable[str]) -> str:
    for account in sorted(exclusion.accounts.difference(known_accounts)):
        return f"{key} names account {account}, which the organization does not have; correct the id or remove it"
    for folder in sorted(exclusion.folders):
        if not where.knows(folder):
            known = "could not be read" if folder in where.organization.unread_folders else "does not exist"
            return f"{key} names folder {folder}, which {known}; correct the id or remove it"
    return ""


def _why_unread(rule: Rule, organization: Organization) -> str:
    """What of the organization could not be read and bears on the rule: a folder of it, or the subfolders of one."""
    named = {organization.root if organization.is_root(folder) else folder for folder in rule.audience.folders}
    for folder in sorted(organization.unread_folders):
        if folder in named and folder not in organization.folders:
            return f"folder {folder} could not be read"
        if rule.by_directory and not named.isdisjoint(organization.folders.get(folder, ())):
            return f"the subfolders of {folder} could not be read"
    return ""


def tags_match(tags: Tags, wanted: tuple[tuple[str, frozenset[str]], ...]) -> bool:
    """Whether every wanted key is among the tags with one of its values."""
    return all(any((key, value) in tags for value in values) for key, values in wanted)
