"""Observe: read everything that a focus asks for, and nothing that needs no reading.

The organization is read first, because without it nothing can be decided. Images are listed per shard; the
permissions of an image are read if a rule selects it or the ledger knows it, unless the image says clearly that it is
shared with nobody and the ledger has no grant on it.

What can go wrong: one owner's or region's failure taken for everybody's, or everybody's for one. A shard that cannot be
listed is reported and left alone; an organization that cannot be read stops the run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import MappingProxyType
from zlib import crc32

from msgspec import Struct
from msgspec.structs import replace

from orgshare.decide.audience import Resolved, resolve_all
from orgshare.decide.coverage import NO_COVERAGE, Coverage, Reach, coverage_of_images
from orgshare.decide.facts import Copying, RoleFacts
from orgshare.decide.plan import Finding
from orgshare.decide.selection import Selector, selector, why_retired
from orgshare.decide.targets import trees_needed
from orgshare.errors import (
    UNREAD,
    ConfigurationError,
    IncompleteRead,
    NoAnswer,
    NobodyAnswers,
    NotPermitted,
    Refused,
    StopRun,
    VendorError,
)
from orgshare.focus import Focus, Selection, all_of
from orgshare.ledger import Entry, Ledger
from orgshare.observe.encryption import with_encryption
from orgshare.observe.images import ASKED_BY_ID, ask_by_id, list_images, list_regions, read_grants
from orgshare.observe.organization import read_organization, why_contradicted
from orgshare.observe.shares import read_sharing
from orgshare.policy.model import Policy
from orgshare.ports import Directory, ImageService, PagedImages, RegionalImages, ShareService
from orgshare.record.state import RoleState, ShardState, check_directory
from orgshare.retired import NONE_RETIRED, Retirements
from orgshare.saw import View, view_of
from orgshare.seen import Seen
from orgshare.trust import SHARING_ROLE, read_trust, settled
from orgshare.way.runtime import Runtime, asking_the_state
from orgshare.way.sources import read_sources
from orgshare.words import (
    EVERY_REGION,
    NOBODY,
    Image,
    ImageReading,
    Incomplete,
    Organization,
    Shard,
    Sharing,
    desktops_of,
    is_folder,
)


class LookedRole(Struct, frozen=True):
    """The sharing role of an owner: the generation of the state that was read before anything else, and what was found
    in the cloud."""

    state: RoleState
    facts: RoleFacts


class Looked(Struct, frozen=True, kw_only=True):
    """What was read. ``present`` are all images that were seen, ``absent`` those of the ledger that were asked for by
    their ids in shards that were looked at whole, and not found.

    ``left_roles`` are sharing roles of owners that the policy does not name, with how many principals there are ours.
    ``whole`` are the shards that were looked at whole, in ``followed`` ones all that changed in the organization;
    ``everything`` is whether all shards of the policy were looked at whole. Those in ``begun`` will have been, when the
    signals that wait beside them are followed.
    """

    organization: Organization
    directory: Directory
    roles: Mapping[str, LookedRole] = MappingProxyType({})
    left_roles: Mapping[str, int] = MappingProxyType({})
    services: Mapping[Shard, ImageService]
    share_services: Mapping[Shard, ShareService]
    sharing: Mapping[Shard, Sharing]
    seen: Seen
    contradicted: str
    states: Mapping[Shard, ShardState]
    readings: tuple[ImageReading, ...]
    unselected: tuple[Image, ...] = ()
    passed_over: tuple[Image, ...] = ()
    copying: Mapping[Shard, Copying] = MappingProxyType({})
    findings: tuple[Finding, ...] = ()
    incomplete: tuple[Incomplete, ...] = ()
    absent: frozenset[str] = frozenset()
    present: frozenset[str] = frozenset()
    whole: frozenset[Shard] = frozenset()
    followed: frozenset[Shard] = frozenset()
    begun: frozenset[Shard] = frozenset()
    everything: bool = False

    def ledgers(self) -> Mapping[Shard, Ledger]:
        """Every shard's ledger."""
        return {shard: state.ledger for shard, state in self.states.items()}


class _Listing(Struct, frozen=True):
    """One shard's images as far as the focus asks for them; ``error`` says why there are none.

    ``absent`` and ``unread`` were asked for by their ids: they are not there, or could not be read, and why. ``gaps``
    are the regions of the shard that could not be listed, and why. In the ``left`` regions, which the policy does not
    name, the ledger knows images. ``complete`` is whether all images of the shard were listed. ``without_origin`` are
    copies of which nobody knows what they were made from, and why.
    """

    shard: Shard
    service: ImageService | None
    shares: ShareService | None = None
    sharing: Sharing | None = None
    images: tuple[Image, ...] = ()
    absent: frozenset[str] = frozenset()
    unread: Mapping[str, str] = MappingProxyType({})
    gaps: Mapping[str, str] = MappingProxyType({})
    left: frozenset[str] = frozenset()
    error: str = ""
    complete: bool = False
    copying: Copying | None = None
    without_origin: Mapping[str, str] = MappingProxyType({})


def look(runtime: Runtime, focus: Focus, now: datetime, retired: Retirements = NONE_RETIRED) -> Looked:
    """Read what the focus asks for. Images that are ``retired``, or are so by their tags, are read like selected ones.

    Raises ``StopRun`` or ``ConfigurationError`` when there is no run to be had.
    """
    policy = runtime.policy
    with asking_the_state():
        # Before the ledgers: whoever writes a grant down touches the role after it.
        role_states, left_roles = _role_states(runtime)
        seen = runtime.state.seen()
        remembered = runtime.state.shards()
        known = dict(zip(remembered, runtime.executor.map(runtime.state.read, remembered), strict=True))
    entities = {e for state in known.values() for rows in state.ledger.shares.values() for e in rows}
    directory, organization, contradicted = _organization(runtime, frozenset(filter(is_folder, entities)))
    check_directory(runtime.state, organization.id)
    audiences = resolve_all(policy, organization, now.date())
    select = selector(policy, retired)
    _check_accounts(runtime, organization)
    named, incomplete = named_shards(runtime, remembered)
    shards = [shard for shard in named if focus.takes_shard(shard)]
    states = known | {shard: ShardState(Ledger(), 0) for shard in shards if shard not in known}
    followed = frozenset(shard for shard in shards if any(each.changed for each in focus.of_shard(shard)))
    focus = _what_changed(runtime, focus, followed, organization, states)
    listings = tuple(runtime.executor.map(lambda shard: _list(runtime, focus, shard, states[shard].ledger), shards))
    listings = _with_sources(runtime, focus, listings, states, select, named)
    sharing = {li.shard: li.sharing for li in listings if li.service is not None and li.sharing is not None}
    whole = frozenset(shard for shard in shards if focus.takes_whole(shard))
    everything = focus.is_sweep() or whole.issuperset(named)
    reach = Reach(organization, policy.directory.nested_folder_targets, NOBODY, NOBODY)
    by_account = any(selection.accounts for selection in focus.selections)
    covered = {s: coverage_of_images(each.shares, reach, now) for s, each in sharing.items()} if by_account else {}
    readings, passed_over, unselected = _readings(runtime, focus, listings, states, audiences, select, covered, retired)
    readings = _without_received(readings, states)
    services = {li.shard: li.service for li in listings if li.service is not None}
    authorizing = frozenset(index for index, rule in enumerate(policy.rules) if rule.encrypted == "authorize")
    readings = find_encryption(runtime, services, readings, lambda image: not authorizing.isdisjoint(select(image)))
    asked = _roles_asked_for(policy, services, readings, role_states, sweep=whole >= services.keys())
    roles = {owner: _role(runtime, owner, role_states[owner], now) for owner in sorted(asked)}
    incomplete += [Incomplete("shard", str(li.shard), li.error) for li in listings if li.error]
    incomplete += [
        Incomplete("shard", str(li.shard), f"{what}: {why}")
        for li in listings
        for what, why in (*li.unread.items(), *li.gaps.items())
    ]
    return Looked(
        organization=organization,
        directory=directory,
        roles=roles,
        left_roles=left_roles,
        services=services,
        share_services={li.shard: li.shares for li in listings if li.service is not None and li.shares is not None},
        sharing=sharing,
        seen=seen,
        contradicted=contradicted,
        states=states,
        readings=readings,
        unselected=unselected,
        passed_over=passed_over,
        findings=(
            *(_selection_findings(policy, listings) if everything and not incomplete else ()),
            *_left_regions(listings),
        ),
        incomplete=tuple(incomplete),
        copying={li.shard: li.copying for li in listings if li.copying is not None},
        absent=frozenset[str]().union(*(li.absent for li in listings)),
        present=frozenset(image.id for li in listings for image in li.images),
        whole=whole,
        followed=followed,
        begun=frozenset(shards) if focus.begins else frozenset(),
        everything=everything,
    )


def _role_states(runtime: Runtime) -> tuple[Mapping[str, RoleState], Mapping[str, int]]:
    """What the state knows of the sharing roles of owners: of those that need one, and those in which we let anybody
    in. Of owners that the policy does not name, how many these are."""
    known, owners = runtime.state.roles(), {owner.account for owner in runtime.policy.owners}
    wanted = sorted(owner for owner in owners if authorizes(runtime.policy, owner) or owner in known)
    others = {owner: len(runtime.state.read_role(owner).ledger.principals) for owner in known - owners}
    return {o: runtime.state.read_role(o) for o in wanted}, {o: number for o, number in others.items() if number}


def _roles_asked_for(
    policy: Policy,
    services: Mapping[Shard, ImageService],
    readings: Iterable[ImageReading],
    states: Mapping[str, RoleState],
    *,
    sweep: bool,
) -> Collection[str]:
    """The owners whose sharing roles matter to a run: of encrypted images, of a sweep that may take principals of ours
    out, and of owners without regions, of whom nothing else is looked at."""
    alone = {owner.account for owner in policy.owners if owner.regions == ()}
    encrypted = {reading.image.shard.owner for reading in readings if reading.image.keyed}
    swept = {shard.owner for shard in services if sweep and shard.service == "ecs"}
    emptied = {owner for owner in swept & states.keys() if states[owner].ledger.principals}
    return (alone | encrypted | emptied) & states.keys()


def authorizes(policy: Policy, owner: str) -> bool:
    """Whether a rule lets encrypted images of an owner be shared."""
    rules = (rule for rule in policy.rules if rule.encrypted == "authorize" and "ecs" in rule.images.services)
    return any(not rule.images.owners or owner in rule.images.owners for rule in rules)


def _role(runtime: Runtime, owner: str, state: RoleState, now: datetime) -> LookedRole:
    """An owner's sharing role as it is. One that cannot be read stops nothing but what needs it."""
    try:
        document = runtime.cloud.role(owner).trust_policy()
        trust = None if document is None else read_trust(document)
    except UNREAD as error:
        return LookedRole(state, RoleFacts(ledger=state.ledger, unread=str(error)))
    except ValueError as error:
        why = f"the trust policy of {SHARING_ROLE} cannot be understood: {error}"
        return LookedRole(state, RoleFacts(ledger=state.ledger, unread=why))
    ledger = state.ledger if state.holder else settled(state.ledger, trust, now)
    return LookedRole(state, RoleFacts(trust, ledger))


def find_encryption(
    runtime: Runtime,
    services: Mapping[Shard, ImageService],
    readings: tuple[ImageReading, ...],
    wanted: Callable[[Image], bool],
) -> tuple[ImageReading, ...]:
    """The readings, of which those that are ``wanted`` say whether the image is encrypted, or why nobody can tell."""
    paged = {shard: service for shard, service in services.items() if isinstance(service, PagedImages)}
    asking: dict[Shard, list[Image]] = defaultdict(list)
    for reading in readings:
        image = reading.image
        if image.encrypted is None and not reading.unsure and image.shard in paged and wanted(image):
            asking[image.shard].append(image)
    if not asking:
        return readings
    answers = runtime.executor.map(lambda shard: with_encryption(paged[shard], asking[shard]), sorted(asking))
    known: dict[str, Image] = {}
    unsure: dict[str, str] = {}
    for images, why in answers:
        known.update((image.id, image) for image in images)
        unsure.update(why)
    return tuple(
        replace(r, image=known[r.image.id], unsure=unsure.get(r.image.id, "")) if r.image.id in known else r
        for r in readings
    )


def _what_changed(
    runtime: Runtime,
    focus: Focus,
    followed: frozenset[Shard],
    organization: Organization,
    states: Mapping[Shard, ShardState],
) -> Focus:
    """The focus with the accounts that changed since each shard last saw the organization, in the place of the word.

    Where nobody can tell, because a shard was never looked at whole, or by another policy, it is looked at whole.
    """
    if not followed:
        return focus
    now = view_of(organization, runtime.policy)
    views: dict[str, View | None] = {}
    selections = [selection for selection in focus.selections if not selection.changed]
    for shard in sorted(followed):
        saw = states[shard].ledger.saw
        if saw.organization not in views:
            with asking_the_state():
                views[saw.organization] = runtime.state.view(saw.organization)
        before = views[saw.organization]
        whole = all_of(shard)
        if before is None or saw.policy != runtime.policy.digest or shard.owner in now.changed(before):
            selections.append(whole)
        elif changed := now.changed(before):
            selections.append(replace(whole, accounts=changed))
    return replace(focus, selections=tuple(selections))


def _organization(runtime: Runtime, targets: frozenset[str]) -> tuple[Directory, Organization, str]:
    """The organization, with the folders that the policy names and those that are ``targets`` of ours already, and how
    its listing was found to be wrong."""
    policy = runtime.policy
    named = {
        folder
        for rule in policy.rules
        for folders in (rule.audience.folders, rule.audience.excluded.folders)
        for folder in folders
    } | policy.never.folders
    with asking_the_directory():
        directory = runtime.cloud.directory()
        organization = read_organization(directory, named | targets, trees_needed(policy), runtime.executor)
        # Whether an owner may use the directory hangs on one row of a listing, so it is asked for alone.
        missing = {owner.account for owner in policy.owners} - organization.members.keys() - {organization.management}
        asked = {account: directory.member(account) for account in sorted(missing)}
        found = {account: member for account, member in asked.items() if member is not None}
        return directory, organization.replace_members(found), why_contradicted(found)


@contextmanager
def asking_the_directory() -> Iterator[None]:
    """Without an organization there is no run: ``StopRun``."""
    try:
        yield
    except NoAnswer as error:
        if not error.code:
            raise NobodyAnswers(f"{error}; check the network, the region, and ORGSHARE_LOCAL_CLOUD") from error
        raise StopRun(f"the organization cannot be read: {error}") from error
    except (VendorError, IncompleteRead) as error:
        hint = (
            "; only the management account may read it: check directory.account and directory.role"
            if isinstance(error, Refused | NotPermitted)
            else ""
        )
        raise StopRun(f"the organization cannot be read: {error}{hint}") from error


def _check_accounts(runtime: Runtime, organization: Organization) -> None:
    """Raise ``ConfigurationError`` where an account of the policy is not the one that the credentials reach.

    Without this, the images of one account would be listed, and shared, as another's.
    """
    policy = runtime.policy
    if organization.management != policy.directory.account:
        raise ConfigurationError(
            f"directory.account is {policy.directory.account}, but the organization that is read has the management "
            f"account {organization.management}; correct directory.account, or directory.role"
        )
    without_role = [owner.account for owner in policy.owners if owner.role is None]
    if not without_role:
        return
    try:
        account = runtime.cloud.account()
    except VendorError as error:
        raise StopRun(f"whose the credentials are cannot be read: {error}") from error
    if without_role != [account]:
        raise ConfigurationError(
            f"owner {without_role[0]} has no role, but the credentials are of account {account}; "
            "give that owner a role that these credentials may assume"
        )


def named_shards(runtime: Runtime, remembered: Collection[Shard]) -> tuple[list[Shard], list[Incomplete]]:
    """The shards that the policy names, and the owners whose regions could not be read.

    An owner has a shard for Elastic Desktop Service if a rule speaks of such images of it, or if one did and the shard
    is ``remembered``: what rules do not name any more has to be revoked there.
    """
    shards, incomplete = [], []
    for owner in runtime.policy.owners:
        desktops = desktops_of(owner.account)
        if runtime.policy.desktops(owner.account) or (owner.only is None and desktops in remembered):
            shards.append(desktops)
        if owner.only == "eds":
            continue
        try:
            regions = owner.regions if owner.regions is not None else runtime.cloud.regions(owner.account)
        except UNREAD as error:
            why = f"owner {owner.account}: its regions cannot be read: {error}"
            incomplete.append(Incomplete("shard", f"ecs/{owner.account}/*", why))
            continue
        shards += [Shard("ecs", owner.account, region) for region in regions]
    return sorted(shards), incomplete


def _list(runtime: Runtime, focus: Focus, shard: Shard, ledger: Ledger) -> _Listing:
    try:
        if shard.service == "eds":
            return _list_desktops(focus, shard, runtime.cloud.desktop_images(shard.owner), ledger)
        service = runtime.cloud.ecs_images(shard)
        shares = runtime.cloud.shares(shard)
        ours = {share: {e: entry.shared_time for e, entry in rows.items()} for share, rows in ledger.shares.items()}
        sharing = read_sharing(shares, shard, ledger.shares.keys() | ledger.made, ours)
        selections = focus.of_shard(shard)
        ids = frozenset[str]().union(*(selection.images for selection in selections))
        copies = ledger.copies or runtime.policy.copying_to(shard.owner, shard.region)
        if all(selection.images for selection in selections) and len(ids) <= ASKED_BY_ID and not copies:
            found, _, unread = ask_by_id(service, ids)
            return _Listing(shard, service, shares, sharing, found, unread=unread)
        images = list_images(service, shard)
        known = ledger.grants.keys() if focus.takes_whole(shard) else frozenset()
        made = {copy.id for copy in ledger.copies.values() if copy.state == "made"}
        found, absent, unread = ask_by_id(service, (known | made) - {image.id for image in images})
        return _Listing(shard, service, shares, sharing, (*images, *found), absent & known, unread, complete=True)
    except UNREAD as error:
        return _Listing(shard, None, error=str(error))


def _with_sources(
    runtime: Runtime,
    focus: Focus,
    listings: tuple[_Listing, ...],
    states: Mapping[Shard, ShardState],
    select: Selector,
    named: Iterable[Shard],
) -> tuple[_Listing, ...]:
    """The listings, with what copies in them were made from, and what is to be copied there."""
    listed = {listing.shard: listing.images for listing in listings if listing.complete}
    regions: dict[str, set[str]] = defaultdict(set)
    for shard in named:
        if shard.service == "ecs":
            regions[shard.owner].add(shard.region)

    def read(listing: _Listing) -> _Listing:
        shard = listing.shard
        if not listing.complete:
            return listing
        found = read_sources(
            runtime, focus, shard, listing.images, states[shard].ledger, select,
            regions=regions[shard.owner], listed=listed, unread=listing.unread.keys(),
        )  # fmt: skip
        return replace(
            listing,
            images=found.images,
            copying=found.copying,
            gaps={**listing.gaps, **found.gaps},
            without_origin=found.unread,
        )

    return tuple(runtime.executor.map(read, listings))


def _list_desktops(focus: Focus, shard: Shard, service: RegionalImages, ledger: Ledger) -> _Listing:
    """All images of an owner's Elastic Desktop Service, whatever is looked at: they have one quota together.

    No resource share takes any of them. An image in a region that the policy does not name any more is as a shard that
    it does not name: it stays ours, and a person is told.
    """
    images, gaps = list_regions(service, shard)
    # What is not listed may be in a region that could not be read: then it is not asked for, either.
    known = ledger.grants.keys() if focus.takes_whole(shard) and not gaps else frozenset()
    found, absent, unread = ask_by_id(service, known - {image.id for image in images})
    inside = tuple(image for image in found if image.region in service.regions())
    left = frozenset(image.region for image in found) - {*service.regions()}
    return _Listing(shard, service, None, Sharing(), (*images, *inside), absent, unread, gaps, left)


def _readings(
    runtime: Runtime,
    focus: Focus,
    listings: tuple[_Listing, ...],
    states: Mapping[Shard, ShardState],
    audiences: tuple[Resolved, ...],
    select: Selector,
    covered: Mapping[Shard, Mapping[str, Coverage]],
    retired: Retirements,
) -> tuple[tuple[ImageReading, ...], tuple[Image, ...], tuple[Image, ...]]:
    """What was read of the images that the focus takes, those that it leaves out, and those of no rule and ledger."""
    to_read: list[tuple[ImageService, Image, bool]] = []
    without_call: list[ImageReading] = []
    passed_over: list[Image] = []
    unselected: list[Image] = []
    for listing in listings:
        if listing.service is None:
            continue
        ledger = states[listing.shard].ledger
        shared = {entity for entries in ledger.shares.values() for entity in entries}
        selections = focus.of_shard(listing.shard)
        for image in listing.images:
            rules = select(image)
            known = image.id in ledger.grants
            chosen = [audiences[index] for index in rules]
            coverage = covered.get(listing.shard, {}).get(image.id, NO_COVERAGE)
            if image.id in listing.without_origin:
                without_call.append(ImageReading(image, None, listing.without_origin[image.id]))
            elif not (rules or known or image.id in shared or why_retired(runtime.policy, retired, image)):
                unselected.append(image)
            elif not any(_takes(selection, image, chosen, ledger, coverage) for selection in selections):
                passed_over.append(image)
            elif image.self_shared is False and not known and image.shard.service == "ecs":
                without_call.append(ImageReading(image, (), asked=False))
            else:
                to_read.append((listing.service, image, known))

    def read(item: tuple[ImageService, Image, bool]) -> ImageReading:
        service, image, known = item
        try:
            return ImageReading(image, read_grants(service, image.id))
        except UNREAD as error:
            if isinstance(error, Refused) and image.shard.service == "eds" and not known:
                # Only its owner may ask who has an image, and no row says whose it is.
                return ImageReading(replace(image, alias="others"), ())
            return ImageReading(image, None, str(error))

    return (*without_call, *runtime.executor.map(read, to_read)), tuple(passed_over), tuple(unselected)


def _without_received(
    readings: tuple[ImageReading, ...], states: Mapping[Shard, ShardState]
) -> tuple[ImageReading, ...]:
    """The readings without those of images that an owner received from another one, who is known to share them.

    Elastic Desktop Service lists such an image with both, and an id is one image: the reading of who only received it
    has no grants, and must not be taken for the other one's.
    """
    shared = {reading.image.id: reading.image.shard for reading in readings if reading.image.alias == "self"}
    for shard, state in states.items():
        shared |= dict.fromkeys((*state.ledger.grants, *state.ledger.strangers), shard)
    return tuple(
        r for r in readings if r.image.alias == "self" or shared.get(r.image.id, r.image.shard) == r.image.shard
    )


def _takes(selection: Selection, image: Image, chosen: list[Resolved], ledger: Ledger, coverage: Coverage) -> bool:
    if not selection.takes_region(image.region):
        return False
    ids = {image.id} if image.origin is None else {image.id, image.origin.id}
    if selection.images and selection.images.isdisjoint(ids):
        return False
    if selection.part is not None and crc32(image.id.encode()) % selection.part[1] != selection.part[0]:
        return False
    names = {audience.rule.name for audience in chosen}
    entries = ledger.entries(image.id)
    if selection.rules:
        names |= {name for entry in entries.values() for name in entry.rules}
        if names.isdisjoint(selection.rules):
            return False
    if selection.accounts:
        owner = image.shard.owner
        wanted = frozenset[str]().union(*(audience.wanted for audience in chosen)) - {owner}
        return any(
            _out_of_step(account in wanted, entries.get(account), account in coverage.possible)
            for account in selection.accounts
        )
    return True


def _out_of_step(wanted: bool, entry: Entry | None, covered: bool) -> bool:
    """Whether an account's access may differ from what is wanted; a grant that was never seen counts as absent."""
    if not wanted or covered:
        return entry is not None or (covered and not wanted)
    return entry is None or entry.state != "made"


def _selection_findings(policy: Policy, listings: tuple[_Listing, ...]) -> tuple[Finding, ...]:
    """Images that a rule names by id and that no owner has, rules that select no image at all, and owners whose images
    are not copied because the policy does not name the region among theirs.

    Only a sweep that listed everything can tell.
    """
    own = {image.id for listing in listings for image in listing.images}.union(*(li.unread for li in listings))
    findings = []
    for rule in policy.rules:
        for image in sorted(rule.images.ids - own):
            where = [
                listing
                for listing in listings
                if (not rule.images.owners or listing.shard.owner in rule.images.owners)
                and listing.shard.service in rule.images.services
                and (not rule.images.regions or listing.shard.region in (EVERY_REGION, *rule.images.regions))
            ]
            findings.append(Finding("unknown-id", image, "", _whose(rule.name, image, where)))
    select = selector(replace(policy, retire=()))  # a rule whose images are all retired selects something
    used = {(index, image.shard.owner) for listing in listings for image in listing.images for index in select(image)}
    regions = {(listing.shard.owner, listing.shard.region) for listing in listings}
    for index, rule in enumerate(policy.rules):
        owners = sorted(owner for of, owner in used if of == index)
        for owner, region in ((owner, region) for owner in owners for region in rule.copy_to):
            if (owner, region) not in regions:
                why = f"rule {rule.name} copies images to {region}, which is no region of owner {owner}"
                remedy = "correct copy_to, or name the region among the owner's"
                findings.append(Finding("not-copied", "", "", f"{why}, so none of its are copied there; {remedy}"))
        if not owners and not rule.images.ids:
            why = f"rule {rule.name} selects no image; if it should, correct its images"
            findings.append(Finding("selects-nothing", "", "", why))
    return tuple(findings)


def _left_regions(listings: Iterable[_Listing]) -> Iterator[Finding]:
    """Regions of a shard with something of ours that the policy does not name any more."""
    for listing in listings:
        for region in sorted(listing.left):
            why = f"the state knows what was shared in {listing.shard} in {region}, which the policy does not name"
            yield Finding("orphaned", "", "", f"{why}; nothing is done there; to end it, name the region again")


def _whose(rule: str, image: str, where: list[_Listing]) -> str:
    for listing in where:
        try:
            row = listing.service.visible_image(image) if listing.service else None
        except UNREAD:
            row = None
        if row is not None:
            return (
                f"rule {rule} names it, but it is not an image of {listing.shard.owner} ({row.alias}): "
                "only its owner can share it, or a copy of it in the owner's account"
            )
    return f"rule {rule} names it, but no owner of the policy has it; correct the id or remove it"
