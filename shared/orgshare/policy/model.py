"""What a policy means, after loading: names resolved to types, defaults filled in, everything frozen.

``loading`` makes these from YAML and is the only place that knows the file's form. The rest of the program never
sees a raw key. A mistake here would be a default that widens access: every default is the careful one.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Literal

from msgspec import Struct, structs

from orgshare.words import Service

Mode = Literal["observe", "add", "enforce"]
Channel = Literal["auto", "directory", "direct"]
Nested = Literal["unknown", "yes", "no"]
Unmanaged = Literal["keep", "adopt", "revoke"]
Partners = Literal["run", "hold"]
Site = Literal["china", "international"]
Encrypted = Literal["refuse", "authorize"]

MODES: tuple[Mode, ...] = ("observe", "add", "enforce")
"""From the most careful to the least: a rule's own mode can only make it more careful than the deployment."""

ACCOUNTS_PER_IMAGE = 50
"""Accounts that one custom image can be shared with unless Quota Center raised it.

https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-modifyimagesharepermission
"""

TRUST_POLICY_LENGTH = 2048
"""Characters of a role's trust policy. That there is a limit is documented, its number is not: this is the smaller of
those that other policies of RAM have or had (https://www.alibabacloud.com/help/doc-detail/28753.htm).
"""


QuotaScope = Literal["account", "region", "image"]

QUOTA_SCOPES: tuple[QuotaScope, ...] = ("account", "region", "image")

EDS_SHARES = 50
"""Shares of images of Elastic Desktop Service that an account can make "in total", which reads as over all regions.

https://alibabacloud.com/help/en/wuying-workspace/share-or-unshare-a-custom-image
"""


SETTLE = timedelta(minutes=15)
"""How long an account must have been seen in its place before a share with that place is sure to reach it.

How soon a join or a move takes effect in resource shares is not documented.
"""


WINDOW = timedelta(hours=24)
"""For how long what was taken away counts towards the limits of the guard."""


class DirectoryReader(Struct, frozen=True):
    """How the organization is read: as the management account, or through a role in it.

    ``nested_folder_targets`` is whether a folder as a target of a resource share reaches its subfolders too, which is
    not documented. ``settle`` is a duration.
    """

    account: str
    role: str | None = None
    nested_folder_targets: Nested = "unknown"
    settle: timedelta = SETTLE


class Owner(Struct, frozen=True):
    """An account whose images are shared. ``regions`` is ``None`` for every region that the account has.

    ``eds_shares`` is how many shares of images of Elastic Desktop Service fit together into all regions, into one, or
    of one image (``eds_shares_per``). ``only`` is the one service that is looked at, where that is not every one that
    the rules or the state name.
    ``trust_policy_length`` is how many characters the trust policy of its sharing role may have.
    ``site`` is the vendor's site that the account belongs to, if the policy says so. ``kms_keys`` are the keys of the
    account with which copies of encrypted images are encrypted, by region.
    """

    account: str
    regions: tuple[str, ...] | None
    role: str | None = None
    accounts_per_image: int = ACCOUNTS_PER_IMAGE
    eds_shares: int = EDS_SHARES
    eds_shares_per: QuotaScope = "account"
    only: Service | None = None
    site: Site | None = None
    trust_policy_length: int = TRUST_POLICY_LENGTH
    kms_keys: tuple[tuple[str, str], ...] = ()


class ImageSelector(Struct, frozen=True):
    """Which images a rule speaks of: every field that is not empty must match, any of its values will do."""

    services: frozenset[Service] = frozenset({"ecs"})
    owners: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()
    families: frozenset[str] = frozenset()
    tags: tuple[tuple[str, frozenset[str]], ...] = ()


class Partner(Struct, frozen=True):
    """An account outside the organization. ``until`` is the last day (UTC) on which it is wanted.

    ``site`` is the vendor's site that the account belongs to, if the policy says so.
    """

    account: str
    name: str = ""
    until: date | None = None
    site: Site | None = None


class Exclusion(Struct, frozen=True):
    """Accounts and folders (with all their subfolders) that are taken away.

    With ``accept_moves``, folders may be shared with although an excluded account could move into them: it would have
    the images until the next run.
    """

    accounts: frozenset[str] = frozenset()
    folders: frozenset[str] = frozenset()
    accept_moves: bool = False


class Audience(Struct, frozen=True):
    """(``folders`` narrowed by ``account_tags``) plus ``accounts`` plus ``partners``, less ``excluded``.

    Tags alone speak of the whole organization: they come with ``folders=("root",)``.
    """

    folders: tuple[str, ...] = ()
    account_tags: tuple[tuple[str, frozenset[str]], ...] = ()
    accounts: frozenset[str] = frozenset()
    partners: tuple[Partner, ...] = ()
    excluded: Exclusion = Exclusion()


class Rule(Struct, frozen=True):
    """One rule; ``mode`` is already the more careful of its own and the deployment's, ``place`` is file:line.

    ``encrypted`` is what becomes of encrypted images: they are refused, or the sharing role of their owner is kept so
    that those who get them can use them. What the rule selects of ECS is copied to the regions of ``copy_to``, and the
    copies are shared like it.
    """

    name: str
    images: ImageSelector
    audience: Audience
    channel: Channel = "auto"
    mode: Mode = "enforce"
    encrypted: Encrypted = "refuse"
    copy_to: tuple[str, ...] = ()
    place: str = ""

    @property
    def by_directory(self) -> bool:
        """Whether resource shares may serve what it selects: none takes an image of Elastic Desktop Service.

        https://alibabacloud.com/help/en/resource-management/resource-sharing/user-guide/permissions-for-resource-sharing
        """
        return self.channel != "direct" and "ecs" in self.images.services


class Limits(Struct, frozen=True):
    """When the guard holds: any limit that is passed holds; 0 is a limit of none.

    Limits hold for the whole deployment over a rolling ``window``: what was taken away within it counts too.
    """

    lost_pairs: int = 200
    lost_percent: float = 20.0
    departed_accounts: int = 5
    departed_percent: float = 5.0
    window: timedelta = WINDOW


class Policy(Struct, frozen=True):
    """A whole policy. ``digest`` is over the meaning of the file, so comments and order of keys do not change it.

    ``state`` is the absolute path of a folder, or ``oss://bucket/prefix``. ``partners`` is whether the first grant of
    an image to a partner waits for approval. Direct grants stay for a time: those of an account that left the
    organization for ``on_leave`` (for good where it is ``None``), those of any other that is no longer wanted for
    ``grace``. An image with all the tags of ``retire`` is shared with nobody.
    """

    deployment: str
    mode: Mode
    state: str
    directory: DirectoryReader
    owners: tuple[Owner, ...]
    rules: tuple[Rule, ...]
    never: Exclusion = Exclusion()
    limits: Limits = Limits()
    partners: Partners = "run"
    grace: timedelta = timedelta()
    on_leave: timedelta | None = timedelta()
    unmanaged: Unmanaged = "keep"
    retire: tuple[tuple[str, frozenset[str]], ...] = ()
    source: str = ""
    digest: str = ""

    def owner(self, account: str) -> Owner:
        """The owner with this account id; a ``KeyError`` if the policy has none."""
        for owner in self.owners:
            if owner.account == account:
                return owner
        raise KeyError(account)

    def copying_to(self, owner: str, region: str) -> tuple[Rule, ...]:
        """The rules by which images of an owner are copied to a region."""
        return tuple(
            rule
            for rule in self.rules
            if region in rule.copy_to and (not rule.images.owners or owner in rule.images.owners)
        )

    def desktops(self, account: str) -> bool:
        """Whether images of an owner in Elastic Desktop Service are looked at because a rule speaks of them."""
        only = self.owner(account).only
        chosen = (rule.images for rule in self.rules if "eds" in rule.images.services)
        spoken_of = any(not images.owners or account in images.owners for images in chosen)
        return only == "eds" or (only is None and spoken_of)

    def on_another_site(self, owner: str) -> frozenset[str]:
        """The partners that are on another of the vendor's sites than an owner, as far as the policy says so."""
        site = self.owner(owner).site
        partners = (partner for rule in self.rules for partner in rule.audience.partners)
        return frozenset(p.account for p in partners if site and p.site and p.site != site)

    def at_most(self, mode: Mode) -> Policy:
        """This policy, no rule of which does more than ``mode`` allows."""
        return structs.replace(
            self,
            mode=more_careful(self.mode, mode),
            rules=tuple(structs.replace(rule, mode=more_careful(rule.mode, mode)) for rule in self.rules),
        )


def more_careful(one: Mode, other: Mode) -> Mode:
    """The mode of two that allows less."""
    return min(one, other, key=MODES.index)
