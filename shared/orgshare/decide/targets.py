"""Which targets a resource share needs to reach an audience: the fewest that never reach anybody else.

A folder is a target only if the policy includes it whole, whoever its members are today, because whoever joins it
tomorrow gets the images without any call of ours. An audience that depends on what an account is (its tags, or an
account that is taken away) gets account targets only: such an account may change or move at any time.

What can go wrong is a target that widens: so folders are judged by the policy alone and never by who is in them, and
where it is not known whether a folder as a target reaches its subfolders, it is used only if both answers are right.

Targets may be the organization's id, folders and member accounts
(https://www.alibabacloud.com/help/en/resource-management/resource-sharing/developer-reference/api-resourcesharing-2020-01-10-associateresourceshare);
whether Root's own id works is not documented, so it is never used.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from orgshare.decide.audience import Resolved
from orgshare.policy.model import Exclusion, Nested, Policy, Rule
from orgshare.words import NOBODY, Organization, is_folder


class DirectoryAudience(Struct, frozen=True):
    """What resource shares may reach for some rules together, and the targets that do it.

    ``accounts`` are the members that are wanted, ``reach`` the folders (and the organization) that would be good
    targets, and ``targets`` those that were chosen. With ``everybody``, any folder would be one, known or not.
    """

    accounts: frozenset[str] = NOBODY
    reach: frozenset[str] = NOBODY
    targets: frozenset[str] = NOBODY
    everybody: bool = False

    def admits(self, target: str) -> bool:
        """Whether a target reaches nobody but this audience, today and tomorrow."""
        return target in self.accounts or target in self.reach or (self.everybody and is_folder(target))


NO_AUDIENCE = DirectoryAudience()


def trees_needed(policy: Policy) -> frozenset[str]:
    """The folders of which every subfolder has to be known, because targets are chosen among them.

    Root alone needs none where nothing is taken away from it: then the organization itself is the target.
    """
    needed: set[str] = set()
    aside = frozenset(owner.account for owner in policy.owners) | {policy.directory.account}
    for rule in policy.rules:
        if not rule.by_directory or _by_account(rule, policy.never, aside):
            continue
        taken = (rule.audience.excluded, policy.never)
        broken = any(exclusion.folders or exclusion.accounts for exclusion in taken)
        for folder in rule.audience.folders:
            if broken or (folder != "root" and policy.directory.nested_folder_targets != "yes"):
                needed.add(folder)
    return frozenset(needed)


def directory_audience(
    audiences: Sequence[Resolved], policy: Policy, organization: Organization, owner: str
) -> DirectoryAudience:
    """What these rules together let resource shares of this owner reach."""
    nested = policy.directory.nested_folder_targets
    wanted = frozenset[str]().union(*(audience.wanted for audience in audiences))
    accounts = frozenset(account for account in wanted if account in organization.members) - {owner}
    included: set[str] = set()
    for audience in audiences:
        included.update(_included(audience.rule, policy.never, organization, owner))
    not_whole = {above for folder, chain in organization.folders.items() if folder not in included for above in chain}
    whole = included - not_whole
    if organization.root in whole:
        chosen = {organization.id}
    elif nested == "yes":
        chosen = {folder for folder in whole if whole.isdisjoint(organization.folders[folder][:-1])}
    else:
        chosen = (included if nested == "no" else whole) - {organization.root}
    everybody = frozenset({organization.id, organization.root})
    return DirectoryAudience(
        accounts=accounts,
        reach=frozenset(included - everybody if nested == "no" else whole)
        | (everybody if organization.root in whole else NOBODY),
        targets=frozenset(chosen) | _single(accounts, chosen, organization, nested),
        everybody=organization.root in whole,
    )


def _single(accounts: frozenset[str], chosen: set[str], organization: Organization, nested: Nested) -> frozenset[str]:
    """The accounts that no chosen folder reaches."""
    if organization.id in chosen:
        return NOBODY
    members = organization.members
    if nested == "yes":
        return frozenset(account for account in accounts if chosen.isdisjoint(members[account].folders))
    return frozenset(account for account in accounts if members[account].folders[-1] not in chosen)


def _included(rule: Rule, never: Exclusion, organization: Organization, owner: str) -> Iterable[str]:
    """The folders whose own members the rule includes, whoever they are."""
    if _by_account(rule, never, frozenset({owner, organization.management})):
        return
    named = {organization.root if organization.is_root(folder) else folder for folder in rule.audience.folders}
    taken = {
        organization.root if organization.is_root(folder) else folder
        for exclusion in (rule.audience.excluded, never)
        for folder in exclusion.folders
    }
    taken_away = frozenset[str]().union(rule.audience.excluded.accounts, never.accounts) - {owner}
    if taken_away - organization.members.keys() - {organization.management}:
        return  # whoever is outside may join anywhere, or is only missing from the listing
    homes = {organization.members[a].folders[-1] for a in taken_away if a in organization.members}
    if organization.management in taken_away:
        # It is in no folder, but nobody knows whether the organization as a target reaches it.
        homes.add(organization.root)
    for folder, chain in organization.folders.items():
        if folder not in homes and not named.isdisjoint(chain) and taken.isdisjoint(chain):
            yield folder


def _by_account(rule: Rule, never: Exclusion, aside: frozenset[str]) -> bool:
    """Whether the rule's audience depends on what single accounts are, and not only on where they are.

    ``aside`` are the owner, who has its images anyway, and the management account, which cannot move into a folder.
    """
    return bool(rule.audience.account_tags) or any(
        exclusion.accounts - aside and not exclusion.accept_moves for exclusion in (rule.audience.excluded, never)
    )
