"""Small organizations, images and policies for tests of the pure layers, written as briefly as a test reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from types import MappingProxyType

from orgshare.decide.coverage import Coverage
from orgshare.decide.facts import Facts, Proof
from orgshare.ledger import Entry, Kind, Ledger
from orgshare.policy.model import (
    Audience,
    Channel,
    DirectoryReader,
    Exclusion,
    ImageSelector,
    Limits,
    Mode,
    Owner,
    Partner,
    Policy,
    Rule,
)
from orgshare.words import (
    Association,
    Grant,
    Image,
    ImageReading,
    Member,
    Organization,
    Pair,
    ResourceShare,
    Shard,
    Sharing,
    folders_on_paths,
)

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=timezone.utc)
SHARED = "2026-11-01T00:00:00Z"
JUST_NOW = "2026-11-21T11:59:00.000Z"
STATE = "0123456789abcdef"

MANAGEMENT = "1000000000000001"
OWNER = "1000000000000002"
SHARD = Shard("ecs", OWNER, "cn-hangzhou")

A, B, C, D, E = (f"100000000000001{n}" for n in range(5))
PARTNER = "2000000000000001"
STRANGER = "3000000000000001"


def member(account: str, *folders: str, **tags: str) -> Member:
    """A member in the last of these folders below Root."""
    return Member(account, ("r-1", *folders), name=f"name-{account[-2:]}", tags=frozenset(tags.items()))


def organization(*members: Member, folders: Iterable[str] = (), unread: Iterable[str] = ()) -> Organization:
    """An organization of these members; ``folders`` are known besides those on their paths."""
    return Organization(
        id="rd-1",
        management=MANAGEMENT,
        root="r-1",
        members=MappingProxyType({m.id: m for m in members}),
        folders=MappingProxyType({**folders_on_paths(members), **{f: ("r-1", f) for f in folders}, "r-1": ("r-1",)}),
        unread_folders=frozenset(unread),
    )


ORGANIZATION = organization(
    member(OWNER),
    member(A, "fd-prod", env="prod"),
    member(B, "fd-prod", "fd-eu", env="prod"),
    member(C, "fd-test", env="test"),
    member(D, "fd-test"),
    member(E),
)


def image(
    name: str,
    *,
    shard: Shard = SHARD,
    status: str = "Available",
    family: str = "",
    tags: Mapping[str, str] | None = None,
    public: bool = False,
    encrypted: bool | None = None,
    alias: str = "self",
) -> Image:
    """An own, available, unencrypted image tagged ``share: org`` unless said otherwise."""
    return Image(
        id=f"m-{name}",
        shard=shard,
        name=name,
        status=status,
        family=family,
        tags=frozenset(({"share": "org"} if tags is None else tags).items()),
        public=public,
        encrypted=encrypted,
        alias=alias,
    )


def reading(of: Image, *accounts: str, at: str = SHARED) -> ImageReading:
    """An image that is shared with these accounts."""
    return ImageReading(of, tuple(Grant(account, at) for account in accounts))


def rule(
    name: str = "golden",
    *,
    folders: Iterable[str] = (),
    accounts: Iterable[str] = (),
    partners: Iterable[Partner | str] = (),
    tags: Mapping[str, str] | None = None,
    without_accounts: Iterable[str] = (),
    without_folders: Iterable[str] = (),
    images: ImageSelector | None = None,
    mode: Mode = "enforce",
    channel: Channel = "direct",
) -> Rule:
    """A rule over images tagged ``share: org``, unless ``images`` says otherwise; it uses direct grants."""
    return Rule(
        name=name,
        images=images or ImageSelector(tags=(("share", frozenset({"org"})),)),
        audience=Audience(
            folders=tuple(folders),
            account_tags=tuple((key, frozenset({value})) for key, value in (tags or {}).items()),
            accounts=frozenset(accounts),
            partners=tuple(p if isinstance(p, Partner) else Partner(p) for p in partners),
            excluded=Exclusion(frozenset(without_accounts), frozenset(without_folders)),
        ),
        channel=channel,
        mode=mode,
        place="policy.yaml:1",
    )


def policy(
    *rules: Rule,
    mode: Mode = "enforce",
    quota: int = 50,
    limits: Limits | None = None,
    never_accounts: Iterable[str] = (),
    never_folders: Iterable[str] = (),
) -> Policy:
    """A policy of one owner in one region."""
    return Policy(
        deployment="golden-images",
        mode=mode,
        state="state",
        directory=DirectoryReader(MANAGEMENT),
        owners=(Owner(OWNER, ("cn-hangzhou",), accounts_per_image=quota),),
        rules=rules,
        never=Exclusion(frozenset(never_accounts), frozenset(never_folders)),
        limits=limits or Limits(),
    )


def made(*accounts: str, rules: tuple[str, ...] = ("golden",), partner: bool = False) -> dict[str, Entry]:
    """Ledger entries of grants of ours, as ``reading`` lists them."""
    kind: Kind = "partner" if partner else "member"
    return {a: Entry("made", NOW, kind, rules, shared_time=SHARED) for a in accounts}


def ledger(**entries: Mapping[str, Entry]) -> Ledger:
    """A ledger; the keys are image names (``gold`` stands for ``m-gold``)."""
    return Ledger(MappingProxyType({f"m-{name}": MappingProxyType(dict(e)) for name, e in entries.items()}))


def by_hand(coverage: Mapping[str, Coverage]) -> Sharing:
    """Shares that somebody else made, one for each image and each degree of certainty, with accounts as targets."""
    shares = []
    for name, covered in sorted(coverage.items()):
        for degree, status, accounts in (
            ("sure", "Associated", covered.sure),
            ("possible", "Associating", covered.possible - covered.sure),
        ):
            targets = tuple(Association(account, status, JUST_NOW) for account in sorted(accounts))
            row = Association(name, "Associated", JUST_NOW)
            shares.append(ResourceShare(id=f"rs-{name}-{degree}", external=True, images=(row,), targets=targets))
    return Sharing(tuple(shares))


def facts(
    of: Policy,
    *readings: ImageReading,
    known: Ledger | None = None,
    where: Organization = ORGANIZATION,
    coverage: Mapping[str, Coverage] | None = None,
    sharing: Sharing | None = None,
    proof: Proof | None = None,
    held: Iterable[Pair] = (),
) -> Facts:
    """Facts of one shard. ``coverage`` is what shares made by hand reach; everybody is settled."""
    return Facts(
        policy=of,
        organization=where,
        readings=readings,
        ledgers={SHARD: known or Ledger()},
        sharing={SHARD: sharing or by_hand(coverage or {})},
        now=NOW,
        state=STATE,
        sweep=True,
        settled=frozenset(where.members),
        established=frozenset(where.members),
        proof=proof or Proof(),
        held=frozenset(held),
    )
