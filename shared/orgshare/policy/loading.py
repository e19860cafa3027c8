"""From the policy file to what it means: the keys of the contract, their defaults, what has to fit together.

Nothing in a policy is ignored. A key or value whose part is not built yet is refused. What can go wrong is a slip that
widens or empties an audience without a word: so a list that would match nothing, or everything, is an error and not a
meaning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import msgspec

from orgshare.errors import ConfigurationError
from orgshare.policy import forms, yaml_places
from orgshare.policy.forms import Form
from orgshare.policy.model import (
    ACCOUNTS_PER_IMAGE,
    EDS_SHARES,
    MODES,
    QUOTA_SCOPES,
    SETTLE,
    TRUST_POLICY_LENGTH,
    Audience,
    Channel,
    DirectoryReader,
    Encrypted,
    Exclusion,
    ImageSelector,
    Limits,
    Mode,
    Owner,
    Partner,
    Partners,
    Policy,
    QuotaScope,
    Rule,
    Site,
    Unmanaged,
)
from orgshare.policy.yaml_places import MAX_BYTES, Value, either, shown
from orgshare.words import SERVICES, Service

T = TypeVar("T")
Fields = Mapping[str, Value]
Tags = tuple[tuple[str, frozenset[str]], ...]

_SELECTORS = ("ids", "name", "family", "tags")
_ECS_ONLY = ("family", "tags")
_AUDIENCES = ("folders", "account_tags", "accounts", "partners")
_MAY_BE_EMPTY = ("accounts", "partners")
_CHANNELS: tuple[Channel, ...] = ("auto", "directory", "direct")
_UNMANAGED: tuple[Unmanaged, ...] = ("keep", "adopt", "revoke")
_PARTNERS: tuple[Partners, ...] = ("run", "hold")
_SITES: tuple[Site, ...] = ("china", "international")
_ENCRYPTED: tuple[Encrypted, ...] = ("authorize", "refuse")
_QUOTAS: Mapping[str, int] = {
    "accounts_per_image": ACCOUNTS_PER_IMAGE,
    "eds_shares": EDS_SHARES,
    "trust_policy_length": TRUST_POLICY_LENGTH,
}
_STATE = "oss://bucket/prefix, file:///absolute/folder, or file:folder relative to the policy's own folder"
EXPECTED = "a policy file (named with --policy or ORGSHARE_POLICY)"
_NONE: Mapping[str, Any] = MappingProxyType({})
# Percentages as floats, so that a default and the same number written down have one digest.
_LIMITS = Limits(lost_percent=float(Limits().lost_percent), departed_percent=float(Limits().departed_percent))
_LONGEST_SETTLE = 30
"""Days: more would mean that no share is ever trusted, which is said better with ``channel: direct``."""


_LONGEST_WINDOW = 30
"""Days: the state keeps what was lost for so long, pair by pair."""


class _Safety(NamedTuple):
    """The part ``safety``; ``kept`` are the keys that keep direct grants longer than they are wanted, as written."""

    limits: Limits = _LIMITS
    partners: Partners = "run"
    grace: timedelta = timedelta()
    on_leave: timedelta | None = timedelta()
    unmanaged: Unmanaged = "keep"
    kept: str = ""


def load(path: str | Path) -> Policy:
    """Read a policy file; a ``ConfigurationError`` has one line for each thing to mend in it."""
    source = str(path)
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f"{source}: cannot be read: {reason}; expected {EXPECTED}") from error
    return parse(content, source=source, base=Path(path).parent)


def parse(text: str | bytes, *, source: str, base: Path | None) -> Policy:
    """Read the text of a policy. ``source`` names it in messages, ``base`` is what relative paths start from, if there
    is a folder that they can start from.

    A ``ConfigurationError`` has one line for each problem, in the order of the file:
    ``FILE:LINE: PLACE: what is wrong; expected what (how to mend it)``.
    """
    try:
        root = yaml_places.read(text, source)
        policy = _policy(root, base)
    except RecursionError:
        raise ConfigurationError(f"{source}: nested too deeply; expected a policy") from None
    root.document.raise_problems()
    return policy


def _policy(root: Value, base: Path | None) -> Policy:
    required = {
        "version": "version: 1",
        "deployment": "a name for this installation, such as golden-images",
        "mode": "observe, add or enforce (observe changes nothing)",
        "state": _STATE,
        "directory": "how the organization is read: {account: ..., role: ...}",
        "owners": "the accounts whose images are shared: [{account: ..., regions: ..., role: ...}]",
        "rules": "a list of rules ([] where nothing is to be shared)",
    }
    fields = _fields(root, required=required, optional=("never", "retire", "safety"))
    _read(fields, "version", _version, None)
    mode: Mode = _read(fields, "mode", forms.choice(MODES), "enforce")
    state = _read(fields, "state", lambda value: _state(value, relative=base is not None), "")
    owners: tuple[Owner, ...] = _read(fields, "owners", _owners, ())
    safety = _read(fields, "safety", _safety, _Safety())
    policy = Policy(
        deployment=_read(fields, "deployment", forms.deployment_name, ""),
        mode=mode,
        state=state if state.startswith("oss:") else str((base or Path("/")).absolute() / state),
        directory=_read(fields, "directory", _directory, DirectoryReader("")),
        owners=owners,
        rules=_read(fields, "rules", lambda value: _rules(value, mode, owners, safety.kept), ()),
        never=_read(fields, "never", _exclusion, Exclusion()),
        limits=safety.limits,
        partners=safety.partners,
        grace=safety.grace,
        on_leave=safety.on_leave,
        unmanaged=safety.unmanaged,
        retire=_read(fields, "retire", _retire, ()),
        source=root.document.source,
    )
    return msgspec.structs.replace(policy, digest="" if root.document.problems else _digest(policy, state))


def _version(value: Value) -> None:
    if value.kind != "int":
        value.problem(f"got {value.got}", "the number 1, without quotes")
    elif value.raw != "1":
        # Nothing else in a file of another version can be judged, so nothing else is named.
        what = f"{value.place}: got {value.got}; expected 1 (this version reads version 1)"
        raise value.document.error(value.line, what)


def _state(value: Value, *, relative: bool) -> str:
    text = forms.text(_STATE)(value)
    scheme, _, path = text.partition(":")
    if scheme == "oss":
        return forms.bucket_and_prefix(value, _STATE)
    if text and (scheme != "file" or not path.strip("/")):
        value.problem(f"got {value.got}", _STATE)
    elif path.startswith("//") and not path.startswith("///"):
        value.problem(f"{value.got} names another host", _STATE)
    elif path.startswith("~"):
        value.problem(f"~ in {value.got} stands for no home here", _STATE)
    elif not relative and not path.startswith("/"):
        value.problem(f"{value.got} is relative to a folder, and this policy lies in none", "oss://bucket/prefix")
    return str(PurePosixPath(path))


def _directory(value: Value) -> DirectoryReader:
    required = {"account": "the id of the management account, in quotes"}
    fields = _fields(value, required=required, optional=("role", "nested_folder_targets", "settle"))
    account = _read(fields, "account", forms.account_id, "")
    return DirectoryReader(
        account,
        role=_read(fields, "role", forms.role_in(account), None),
        nested_folder_targets=_read(fields, "nested_folder_targets", forms.unknown_yes_no, "unknown"),
        settle=_read(fields, "settle", forms.duration_up_to(_LONGEST_SETTLE), SETTLE),
    )


def _owners(value: Value) -> tuple[Owner, ...]:
    seen: dict[str, Value] = {}
    owners = []
    first_without_role: Value | None = None
    for item in _some(value, "a list of owners: [{account: ..., regions: ..., role: ...}]"):
        owner = _owner(item)
        _once(seen, owner.account, item, "owner")
        if owner.role is None and first_without_role is not None and item.kind == "map":
            wrong = f"no role, and {first_without_role.place} in line {first_without_role.line} has none either"
            item.problem(wrong, "a role for every owner but the account that runs the functions")
        elif owner.role is None:
            first_without_role = item
        owners.append(owner)
    return tuple(owners)


def _owner(value: Value) -> Owner:
    required = {"account": "the id of the owner, in quotes", "regions": "a list of region ids, or all"}
    fields = _fields(value, required=required, optional=("role", "quotas", "site", "kms_keys"))
    account = _read(fields, "account", forms.account_id, "")
    return Owner(
        account,
        regions=_read(fields, "regions", _regions, None),
        role=_read(fields, "role", forms.role_in(account), None),
        **_read(fields, "quotas", _quotas, dict[str, Any]()),
        site=_read(fields, "site", forms.choice(_SITES), None),
        kms_keys=_read(fields, "kms_keys", _keys, ()),
    )


def _keys(value: Value) -> tuple[tuple[str, str], ...]:
    """The keys of an owner by region."""
    keys = []
    for _, key, item in value.entries("a key for each region, such as {cn-beijing: key-bjj66c2a893vmhawtq5fd}"):
        keys.append((forms.region_id(key), forms.key_id(item)))
    return tuple(sorted(keys))


def _regions(value: Value) -> tuple[str, ...] | None:
    if value.kind == "str" and value.raw == "all":
        return None
    return _sorted(_some(value, "a list of region ids, such as [cn-hangzhou], or all"), forms.region_id)


def _quotas(value: Value) -> dict[str, Any]:
    fields = _fields(value, optional=("accounts_per_image", "eds_shares", "eds_shares_per", "trust_policy_length"))
    scope: QuotaScope = _read(fields, "eds_shares_per", forms.choice(QUOTA_SCOPES), "account")
    counts = {key: _read(fields, key, forms.whole(least=1), default) for key, default in _QUOTAS.items()}
    return {**counts, "eds_shares_per": scope}


def _rules(value: Value, mode: Mode, owners: Sequence[Owner], kept: str) -> tuple[Rule, ...]:
    seen: dict[str, Value] = {}
    sites: dict[str, tuple[Site, Value]] = {}
    rules = []
    for item in value.items("a list of rules ([] where nothing is to be shared)"):
        rule = _rule(item, mode, owners, kept)
        _once(seen, rule.name, item, "name")
        for partner in rule.audience.partners:
            _one_site(sites, partner, item)
        rules.append(rule)
    return tuple(rules)


def _rule(value: Value, mode: Mode, owners: Sequence[Owner], kept: str) -> Rule:
    required = {
        "name": "a name of its own for the rule",
        "images": "a choice of images, such as {tags: {share: org}}",
        "audience": "those who get them, such as {folders: [root]}",
    }
    fields = _fields(value, required=required, optional=("channel", "mode", "encrypted", "copy_to"))
    images = _read(fields, "images", lambda images: _images(images, owners), ImageSelector())
    return Rule(
        name=_read(fields, "name", forms.text(required["name"]), ""),
        images=images,
        audience=_read(fields, "audience", _audience, Audience()),
        channel=_read(fields, "channel", lambda channel: _channel(channel, kept, images), "auto"),
        mode=_read(fields, "mode", lambda own: _rule_mode(own, mode), mode),
        encrypted=_read(fields, "encrypted", forms.choice(_ENCRYPTED), "refuse"),
        copy_to=_read(fields, "copy_to", lambda regions: _copy_to(regions, images, owners), ()),
        place=f"{value.document.source}:{value.line}",
    )


def _copy_to(value: Value, images: ImageSelector, owners: Sequence[Owner]) -> tuple[str, ...]:
    """Where images are copied to: regions that are looked after, and not the only one that they are chosen from."""
    items = _some(value, "a list of region ids, such as [cn-beijing]")
    regions = _sorted(items, forms.region_id)
    if images.services == {"eds"}:
        value.problem("images of eds are not copied", "no such key for images of eds (leave it out)")
    _check_regions(items, frozenset(regions), images, owners, so="so nothing could be shared there")
    for item in items:
        if images.regions == {item.raw}:
            wrong = f"{item.raw} is the only region that the rule chooses images from, so nothing would be copied"
            item.problem(wrong, "another region")
    return regions


def _one_site(sites: dict[str, tuple[Site, Value]], partner: Partner, rule: Value) -> None:
    """Note a partner that two rules put on two sites."""
    if partner.site is None:
        return
    site, first = sites.setdefault(partner.account, (partner.site, rule))
    if site != partner.site and partner.account:
        wrong = (
            f"partner {partner.account} has site {partner.site} here, and {site} in {first.place} (line {first.line})"
        )
        rule.problem(wrong, "one site for each account")


def _channel(value: Value, kept: str, images: ImageSelector) -> Channel:
    channel = forms.choice(_CHANNELS)(value)
    if "eds" in images.services and value.kind == "str" and value.raw == "directory":
        wrong = "directory cannot serve images of eds, which no resource share takes"
        value.problem(wrong, "auto or direct (for eds both share directly)")
        return channel
    if kept and value.kind == "str" and value.raw == "directory":
        wrong = f"directory cannot keep anything longer than it is wanted, and {kept} does"
        value.problem(wrong, "auto or direct (only direct grants can be kept)")
    return channel


def _rule_mode(value: Value, whole: Mode) -> Mode:
    mode = forms.choice(MODES)(value)
    as_careful = MODES[: MODES.index(whole) + 1]
    if value.raw == mode and mode not in as_careful:
        wrong = f"{mode} is less careful than {whole}, the mode of the whole policy"
        value.problem(wrong, f"{either(as_careful)} (a rule may be more careful than the whole, never less)")
    return mode


def _images(value: Value, owners: Sequence[Owner]) -> ImageSelector:
    before = len(value.document.problems)
    fields = _fields(value, optional=("service", "owner", "region", *_SELECTORS))
    if len(value.document.problems) == before and not any(key in fields for key in _SELECTORS):
        value.problem("selects no images", f"at least one of {either(_SELECTORS)}")
    named = _one_or_more(fields, "service")
    services: frozenset[Service] = frozenset(map(forms.choice(SERVICES), named))
    for key in _ECS_ONLY:
        if key in fields and any(service.raw == "eds" for service in named):
            fields[key].problem(f"images of eds have no {key}, so none would match", "ids or name")
    name = forms.text('the name of an image or a pattern, such as "golden-*"')
    owner, region = _one_or_more(fields, "owner"), _one_or_more(fields, "region")
    selector = ImageSelector(
        services=services or ImageSelector().services,
        owners=frozenset(map(forms.account_id, owner)),
        regions=frozenset(map(forms.region_id, region)),
        ids=frozenset(map(forms.image_id, _one_or_more(fields, "ids"))),
        names=_sorted(_one_or_more(fields, "name"), name),
        families=frozenset(map(forms.text("the name of an image family"), _one_or_more(fields, "family"))),
        tags=_read(fields, "tags", _tags, ()),
    )
    _check_listed(owner, region, selector, owners)
    return selector


def _check_listed(
    owner: Sequence[Value], region: Sequence[Value], selector: ImageSelector, owners: Sequence[Owner]
) -> None:
    """Owners and regions that the policy does not list would make a rule that never matches.

    Where an owner's id or region is wrong (an empty placeholder), that has to be mended first.
    """
    accounts = {one.account for one in owners}
    for item in owner:
        if item.raw in selector.owners - accounts and accounts and "" not in accounts:
            wrong = f"{item.raw} is not among the owners, so the rule would never match"
            item.problem(wrong, either(sorted(accounts)))
    _check_regions(region, selector.regions, selector, owners, so="so the rule would never match")


def _check_regions(
    items: Sequence[Value], named: frozenset[str], selector: ImageSelector, owners: Sequence[Owner], *, so: str
) -> None:
    chosen = [one for one in owners if not selector.owners or one.account in selector.owners]
    regions = {listed for one in chosen for listed in one.regions or ()}
    everywhere = any(one.regions is None for one in chosen)
    for item in items:
        if item.raw in named - regions and regions and "" not in regions and not everywhere:
            item.problem(f"{item.raw} is no region of its owners, {so}", either(sorted(regions)))


def _audience(value: Value) -> Audience:
    before = len(value.document.problems)
    fields = _fields(value, optional=(*_AUDIENCES, "except"))
    named = [key for key in _AUDIENCES if key in fields]
    nobody = all(key in _MAY_BE_EMPTY and fields[key].empty for key in named)
    if len(value.document.problems) == before and nobody:
        value.problem("names nobody", f"at least one of {either(_AUDIENCES)}")
    audience = Audience(
        folders=_read(fields, "folders", _folders, ()),
        account_tags=_read(fields, "account_tags", _tags, ()),
        accounts=_read(fields, "accounts", _accounts, frozenset()),
        partners=_read(fields, "partners", _partners, ()),
        excluded=_read(fields, "except", _exclusion, Exclusion()),
    )
    if "account_tags" in fields and "folders" not in fields:
        # Tags alone narrow the whole organization.
        return msgspec.structs.replace(audience, folders=("root",))
    return audience


def _folders(value: Value) -> tuple[str, ...]:
    return _sorted(_some(value, "a list of folder ids, such as [root, fd-abc123]"), forms.folder_id)


def _accounts(value: Value) -> frozenset[str]:
    return frozenset(map(forms.account_id, value.items("a list of account ids in quotes")))


def _partners(value: Value) -> tuple[Partner, ...]:
    seen: dict[str, Value] = {}
    partners = []
    for item in value.items("a list of account ids in quotes or of {account: ..., name: ..., until: ...}"):
        partner = _partner(item)
        _once(seen, partner.account, item, "partner")
        partners.append(partner)
    return tuple(sorted(partners, key=lambda partner: partner.account))


def _partner(value: Value) -> Partner:
    if value.kind != "map":
        return Partner(forms.account_id(value))
    required = {"account": "the id of the partner, in quotes"}
    fields = _fields(value, required=required, optional=("name", "until", "site"))
    return Partner(
        _read(fields, "account", forms.account_id, ""),
        name=_read(fields, "name", forms.text("the name of the partner"), ""),
        until=_read(fields, "until", forms.day, None),
        site=_read(fields, "site", forms.choice(_SITES), None),
    )


def _exclusion(value: Value) -> Exclusion:
    """``except`` and ``never``. An empty list is as clear here as none: it takes nobody away."""
    fields = _fields(value, optional=("accounts", "folders", "accept_moves"))
    folders = fields["folders"].items("a list of folder ids") if "folders" in fields else []
    return Exclusion(
        accounts=_read(fields, "accounts", _accounts, frozenset()),
        folders=frozenset(map(forms.folder_id, folders)),
        accept_moves=_read(fields, "accept_moves", forms.flag, default=False),
    )


def _retire(value: Value) -> Tags:
    """Which images are retired by their tags."""
    fields = _fields(value, required={"tags": "the tags of images that are retired, such as {lifecycle: retired}"})
    return _read(fields, "tags", _tags, ())


def _tags(value: Value) -> Tags:
    expected = "tags, such as {share: org}"
    # The vendor lets a tag have a key alone.
    tag_value = forms.text("the value of a tag", may_be_empty=True)
    tags: dict[str, frozenset[str]] = {}
    for name, key, item in value.entries(expected):
        forms.text("the key of a tag")(key)
        tags[name] = frozenset(map(tag_value, _one_or_more({name: item}, name)))
    if value.kind == "map" and not tags:
        value.problem("empty", expected)
    return tuple(sorted(tags.items()))


def _safety(value: Value) -> _Safety:
    fields = _fields(value, optional=("hold_when", "partners", "grace", "on_leave", "unmanaged"))
    grace = _read(fields, "grace", forms.duration, timedelta())
    on_leave = _read(fields, "on_leave", forms.revoke_keep_or_duration, _Safety().on_leave)
    keeping = [key for key, keeps in (("grace", grace != timedelta()), ("on_leave", on_leave != timedelta())) if keeps]
    return _Safety(
        limits=_read(fields, "hold_when", _hold_when, _LIMITS),
        partners=_read(fields, "partners", forms.choice(_PARTNERS), "run"),
        grace=grace,
        on_leave=on_leave,
        unmanaged=_read(fields, "unmanaged", forms.choice(_UNMANAGED), "keep"),
        kept=" and ".join(f"safety.{key}: {fields[key].raw}" for key in keeping),
    )


def _hold_when(value: Value) -> Limits:
    fields = _fields(value, optional=("lost_pairs", "lost_percent", "departed", "window"))
    departed: Fields = {}
    if "departed" in fields:
        departed = _fields(fields["departed"], optional=("accounts", "percent"))
    count = forms.whole(least=0)
    return Limits(
        lost_pairs=_read(fields, "lost_pairs", count, _LIMITS.lost_pairs),
        lost_percent=_read(fields, "lost_percent", forms.percent, _LIMITS.lost_percent),
        departed_accounts=_read(departed, "accounts", count, _LIMITS.departed_accounts),
        departed_percent=_read(departed, "percent", forms.percent, _LIMITS.departed_percent),
        window=_read(fields, "window", forms.duration_up_to(_LONGEST_WINDOW, some=True), _LIMITS.window),
    )


def _fields(
    value: Value,
    *,
    required: Mapping[str, str] = _NONE,
    optional: Sequence[str] = (),
) -> Fields:
    return value.fields(required=required, optional=optional)


def _read(fields: Fields, key: str, form: Form[T], default: T) -> T:
    return form(fields[key]) if key in fields else default


def _some(value: Value, expected: str) -> list[Value]:
    """The items of a list that must not be empty."""
    if value.empty:
        value.problem("empty", expected)
    return value.items(expected)


def _one_or_more(fields: Fields, key: str) -> list[Value]:
    """The value of a key, or the items of the list that it is; an empty list would match nothing."""
    if key not in fields:
        return []
    value = fields[key]
    return _some(value, "a value or a list of values") if value.kind == "list" else [value]


def _sorted(values: Sequence[Value], form: Form[str]) -> tuple[str, ...]:
    return tuple(sorted(set(map(form, values))))


def _once(seen: dict[str, Value], key: str, value: Value, what: str) -> None:
    """Note the second use of what has to be unique; ``key`` is empty where it is wrong anyway."""
    first = seen.setdefault(key, value)
    if key and first is not value:
        wrong = f"the {what} {shown(key)} stands in {first.place} (line {first.line}) already"
        value.problem(wrong, f"each {what} once")


def _digest(policy: Policy, state: str) -> str:
    """A hash of what the policy means: the same for any order, comment or spelling that means the same.

    The state counts as it is written, so that one policy has one digest wherever its folder lies.
    """
    rules = sorted(policy.rules, key=lambda rule: rule.name)
    meaning = msgspec.structs.replace(
        policy,
        state=state,
        owners=tuple(sorted(policy.owners, key=lambda owner: owner.account)),
        rules=tuple(msgspec.structs.replace(rule, place="") for rule in rules),
        source="",
    )
    return "sha256:" + hashlib.sha256(msgspec.json.encode(meaning, order="deterministic")).hexdigest()
