"""What a rule of the policy says of an account, in the policy's own words.

Pure. What can go wrong is a reason that is not the reason: so whether a rule wants the account is taken from the
resolved audience, and only the words for it are found here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from msgspec import Struct

from orgshare.decide.audience import Resolved, tags_match
from orgshare.policy.model import Audience, Exclusion, Policy
from orgshare.words import Organization

MOST = 3
"""So many accounts or folders of a risk are named."""


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


def place_of(audience: Resolved, policy: Policy, organization: Organization, account: str, *, owns: bool) -> Place:
    """What one rule says of an account; ``owns`` is whether the image is its own."""
    rule = audience.rule
    included = _included(rule.audience, organization, account)
    taken = _taken("except", rule.audience.excluded, organization, account)
    taken = taken or _taken("never", policy.never, organization, account)
    until: date | None = None
    if owns:
        why, mend = "the owner is in no audience", ""
    elif account in audience.wanted and included:
        why, until = included
        mend = ""
    elif included and taken:
        why, mend = f"{included[0]}, but {taken} takes it away", f"take it out of {taken}"
    elif included and included[1] is not None:
        why, mend = f"its last day as a partner was {included[1].isoformat()}", "set a later until"
    else:
        why, mend = _not_included(rule.audience, organization, account)
        why = f"{why}; {taken} takes it away too" if taken else why
    wants = account in audience.wanted and not owns
    return Place(rule=rule.name, place=rule.place, wants=wants, why=why, until=until, mend=mend)


def risks_of(audience: Resolved, policy: Policy, folders: tuple[str, ...], account: str, owner: str) -> tuple[str, ...]:
    """What ``accept_moves`` risks: excluded accounts that move into a folder that is shared as a whole.

    ``folders`` are those of the image's targets, in words.
    """
    if not audience.rule.by_directory or not folders:
        return ()
    found = []
    for key, exclusion in (
        (f"rule {audience.rule.name}: except", audience.rule.audience.excluded),
        ("never", policy.never),
    ):
        accounts = sorted(exclusion.accounts - {owner})
        if exclusion.accept_moves and accounts:
            who = "this account" if account in accounts else " or ".join(_first(accounts))
            found.append(
                f"{key}.accept_moves: if {who} moves into {' or '.join(_first(folders))}, which is shared as a whole, "
                "it has the image until the next run"
            )
    return tuple(found)


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


def _first(names: Sequence[str]) -> list[str]:
    """Some names, and how many more there are."""
    return list(names) if len(names) <= MOST else [*names[:MOST], f"{len(names) - MOST} more"]
