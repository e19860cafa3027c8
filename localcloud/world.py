"""What a local cloud starts from: a YAML file, checked strictly and turned into frozen data.

A world that is quietly misread makes tests prove the wrong thing, so nothing is guessed: unknown keys, wrong types,
numbers where text is meant (account ids without quotes), double keys and dangling names are errors that name the
file, the place in it and what was expected. Keys of parts that are not built yet are refused by name. The same checks
run on every change from outside (`LocalCloud.patch`), on the whole world, before anything is changed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar, cast, get_args

import msgspec
import yaml

from localcloud.catalog import FUNCTION_OPERATIONS, MESSAGE_OPERATIONS, OBJECT_OPERATIONS
from localcloud.catalog import OPERATIONS as NAMED_OPERATIONS
from localcloud.clock import parse_iso
from localcloud.policies import Policy, PolicyError, TrustPolicy, read_policy, read_trust_policy
from localcloud.regions import REGIONS

OPERATIONS = NAMED_OPERATIONS | OBJECT_OPERATIONS | FUNCTION_OPERATIONS | MESSAGE_OPERATIONS
"""Every operation that a fault or a limit of flow control can be about."""

ROOT = "root"
ROOT_ID = "r-local1"
FOLDER_LEVELS = 5
"""Levels of folders under Root: https://www.alibabacloud.com/help/en/resource-management/product-overview/limits"""

VENDOR_OWNERS = ("system", "marketplace")
"""Owners of images that belong to no account: public images and marketplace images."""

Encryption = Literal["none", "cmk", "service-key"]
ImageStatus = Literal["Creating", "Waiting", "Available", "UnAvailable", "CreateFailed", "Deprecated"]
MemberStatus = Literal[
    "CreateSuccess",
    "InviteSuccess",
    "PromoteVerifying",
    "PromoteFailed",
    "PromoteExpired",
    "PromoteCancelled",
    "PromoteSuccess",
]
FaultKind = Literal[
    "throttle",
    "error",
    "no-answer",
    "lost-answer",
    "killed",
    "malformed",
    "missing-field",
    "truncated-page",
    "wrong-total",
    "empty-list",
    "fail-association",
    "stuck-association",
]
ASSOCIATION_FAULTS = ("fail-association", "stuck-association")
"""Faults of what AssociateResourceShare begins, not of its answer."""
ANSWER_LOST = ("lost-answer", "killed")
"""Faults of a call that is carried out and never answered."""
_ASSOCIATE = "resourcesharing:AssociateResourceShare"


class WorldError(Exception):
    """A world, or a change to one, that is refused; the text is one line: file, place, what is wrong."""


class _Frozen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all parts of a world."""


class Folder(_Frozen, frozen=True, kw_only=True):
    """A folder; its parent is another folder's id or `root`."""

    name: str
    parent: str


class Member(_Frozen, frozen=True, kw_only=True):
    """A member account of the directory."""

    name: str
    folder: str = ROOT
    tags: dict[str, str] = {}
    joined: Literal["invited", "created"] = "invited"
    status: MemberStatus | None = None


class Directory(_Frozen, frozen=True, kw_only=True):
    """A resource directory; the management account is no member of it."""

    id: str
    management: str
    sharing_enabled: bool = False
    folders: dict[str, Folder] = {}
    members: dict[str, Member] = {}


class AccessKey(_Frozen, frozen=True, kw_only=True):
    """A permanent key of an account's root, or of a user in it, who without policies may do everything there.

    A key with policies is a user's; one that is not named is called like its key.
    """

    secret: str
    account: str
    user: str = ""
    policies: tuple[Policy, ...] | None = None


class Role(_Frozen, frozen=True, kw_only=True):
    """A RAM role: which accounts and services may assume it, by short lists, by a trust policy, or both.

    Without policies it may do everything in its account; with an empty list of them, nothing but what the policies
    allow that are attached to it, by their ARNs.
    """

    trusts: tuple[str, ...] = ()
    trusts_services: tuple[str, ...] = ()
    trust_policy: TrustPolicy | None = None
    policies: tuple[Policy, ...] | None = None
    attached: tuple[str, ...] = ()
    max_session: int = 3600
    description: str = ""
    console_login: bool = False


class Image(_Frozen, frozen=True, kw_only=True):
    """A custom image as its owner made it."""

    service: Literal["ecs"] = "ecs"
    owner: str
    region: str
    name: str
    family: str = ""
    description: str = ""
    version: str = ""
    status: ImageStatus = "Available"
    tags: dict[str, str] = {}
    encryption: Encryption = "none"
    product_code: str = ""
    public: bool = False
    os_type: Literal["linux", "windows"] = "linux"
    architecture: Literal["i386", "x86_64", "arm64"] = "x86_64"
    size: int = 40
    resource_group: str = ""
    created: str = ""


class ResourceShare(_Frozen, frozen=True, kw_only=True):
    """A resource share of one owner in one region; all that it names is associated."""

    owner: str
    region: str
    name: str
    images: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    tags: dict[str, str] = {}
    allow_external: bool = False
    resource_group: str = ""
    created: str = ""


Versioning = Literal["none", "enabled", "suspended"]


class Bucket(_Frozen, frozen=True, kw_only=True):
    """A bucket of object storage. Its objects are no part of a world."""

    owner: str
    region: str
    versioning: Versioning = "none"


class Functions(_Frozen, frozen=True, kw_only=True):
    """A template whose functions run here, in an account and a region.

    `code` is a folder with what the template deploys from object storage, as folders or zips under the same names.
    `environment` is set beside the template's variables; `{url}` in it stands for the cloud's own URL. `packages` says
    what a function can import beside its layers and the standard library: nothing, or what the interpreter has.
    """

    template: str
    account: str
    region: str
    code: str
    stack: str = "stack"
    parameters: dict[str, Any] = {}
    environment: dict[str, str] = {}
    packages: Literal["layers", "interpreter"] = "layers"
    python: str = ""
    instances: int = 100
    patience: float = 1.0
    true_is_sync: bool = True


class Trail(_Frozen, frozen=True, kw_only=True):
    """A trail of audit records into a bucket: those of its account, or of its whole organization."""

    account: str
    bucket: str
    prefix: str = ""
    organization: bool = False
    delay: float = 60.0


class Events(_Frozen, frozen=True, kw_only=True):
    """What becomes of events on their way: EventBridge's, and object storage's notices to functions.

    `lose` and `duplicate` are probabilities, `delay` seconds. `membership` says whether calls of the resource directory
    reach EventBridge at all, `membership_region` the region that they are told of in; `answers` whether audit records
    hold what the call answered. `forward` hands an account's events on to the default bus of another.
    """

    lose: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0
    membership: bool = False
    membership_region: str = "cn-hangzhou"
    answers: bool = True
    forward: dict[str, str] = {}
    trails: dict[str, Trail] = {}


class Mailbox(_Frozen, frozen=True, kw_only=True):
    """A topic or a queue of Simple Message Queue. Its messages are no part of a world."""

    owner: str
    region: str


class Limit(_Frozen, frozen=True, kw_only=True):
    """Flow control: `limit` calls in each window of `window` seconds, windows aligned to the clock."""

    limit: int
    window: float


class Quotas(_Frozen, frozen=True, kw_only=True):
    """Quotas; None is no quota. What has a number has it from the vendor, the rest is free unless given.

    Resource shares and shared resources are counted for each account; an older page has 10 of each:
    https://www.alibabacloud.com/help/en/resource-management/product-overview/limits. A trust policy has a length that
    is not documented, in characters.
    """

    accounts_per_image: int = 50
    shared_images: int | None = None
    members: int | None = None
    folders: int | None = None
    resource_shares: int = 1000
    shared_resources: int = 1000
    roles: int = 1000
    trust_policy_length: int = 2048


class Latency(_Frozen, frozen=True, kw_only=True):
    """How long each answer takes."""

    seconds: float = 0.0


class Delays(_Frozen, frozen=True, kw_only=True):
    """Seconds until an asynchronous change is visible.

    `membership` is about the lists of the organization, `coverage` about what resource shares reach of it.
    """

    association: float = 0.0
    coverage: float = 0.0
    membership: float = 0.0
    image: float = 0.0
    share: float = 0.0


class Switches(_Frozen, frozen=True, kw_only=True):
    """What the vendor's documents leave open, one switch a question; every client should be right in all positions."""

    covered_in_permission_list: bool = False
    covered_count_to_quota: bool = False
    covered_block_delete: bool = False
    covered_self_shared: bool = True
    management_covered: bool = False
    nested_folder_targets: bool = True
    root_folder_target: Literal["refused", "accepted"] = "refused"
    repeated_association: Literal["ok", "error"] = "ok"
    partial_association: Literal["none", "some"] = "none"
    remove_unshared: Literal["ok", "error"] = "ok"
    is_self_shared: Literal["bool", "string", "absent"] = "bool"
    management_in_lists: bool = False
    repeated_add: Literal["ok", "error", "refresh"] = "ok"
    over_ten: Literal["first", "ignored"] = "first"
    add_and_remove: Literal["add", "remove"] = "add"
    partial_apply: Literal["none", "some"] = "none"
    deprecated_removal: Literal["ok", "error"] = "ok"
    disk_encryption_shown: bool = False
    encrypted_snapshots_listed: bool = True
    share_role_permission: Literal["checked", "unchecked"] = "checked"
    aliyun_id: Literal["string", "number"] = "string"
    bucket_elsewhere: Literal["AccessDenied", "PermanentRedirect"] = "AccessDenied"
    root_assumes_roles: Literal["accepted", "refused"] = "accepted"
    access_denied_detail: bool = True


class Fault(_Frozen, frozen=True, kw_only=True):
    """Something that goes wrong: which calls, how, and when (exactly one of every, times and probability)."""

    operation: str
    kind: FaultKind
    account: str | None = None
    region: str | None = None
    every: int | None = None
    times: int | None = None
    probability: float | None = None
    code: str | None = None
    status: int | None = None


class World(_Frozen, frozen=True, kw_only=True):
    """All that a local cloud starts from."""

    directory: Directory | None = None
    outsiders: tuple[str, ...] = ()
    access_keys: dict[str, AccessKey] = {}
    roles: dict[str, Role] = {}
    policies: dict[str, Policy] = {}
    images: dict[str, Image] = {}
    grants: dict[str, tuple[str, ...]] = {}
    resource_shares: dict[str, ResourceShare] = {}
    buckets: dict[str, Bucket] = {}
    functions: Functions | None = None
    events: Events = Events()
    mailboxes: dict[str, Mailbox] = {}
    quotas: Quotas = Quotas()
    flow_control: dict[str, Limit] = {}
    latency: Latency = Latency()
    delays: Delays = Delays()
    switches: Switches = Switches()
    faults: tuple[Fault, ...] = ()
    regions: tuple[str, ...] = tuple(REGIONS)
    sites: dict[str, Literal["china", "international"]] = {}

    def accounts(self) -> set[str]:
        """Every account that exists: management, members, outsiders."""
        known = set(self.outsiders)
        if self.directory is not None:
            known.add(self.directory.management)
            known.update(self.directory.members)
        return known


def load_world(path: str | Path) -> World:
    """The world of a YAML file; WorldError with the file's name in front if it is none."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise WorldError(f"{path.name}: cannot be read: {problem.strerror}") from problem
    except UnicodeDecodeError as problem:
        raise WorldError(f"{path.name}: is not UTF-8 text (byte {problem.start})") from problem
    return parse_world(read_yaml(text, source=path.name), source=path.name, base=path.parent)


def read_yaml(text: str, *, source: str) -> object:
    """Plain data of a YAML text; a double key or a syntax error is a WorldError of one line."""
    try:
        _check_depth(text, source=source)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a subclass of the safe loader
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        raise WorldError(f"{source}: {place}{problem.problem or 'not YAML'}") from problem
    except yaml.YAMLError as problem:
        raise WorldError(f"{source}: not YAML: {' '.join(str(problem).split())}") from problem


def _check_depth(text: str, *, source: str) -> None:
    """Refuse what is nested beyond any world: the fast loader recurses in C, without a limit."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
            if depth > _DEPTH:
                raise WorldError(f"{source}: nested too deeply (more than {_DEPTH} levels)")
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1


def parse_world(document: object, *, source: str = "world", base: Path | None = None) -> World:
    """The world that plain data describes (a parsed YAML or JSON document).

    Paths of files are taken from `base`, without one from where this process is.
    """
    try:
        return _Reader(document, base or Path()).world()
    except WorldError as problem:
        raise WorldError(f"{source}: {' '.join(str(problem).split())}") from None


def world_document(world: World) -> dict[str, Any]:
    """Plain data from which `parse_world` makes the same world."""
    return cast("dict[str, Any]", msgspec.to_builtins(world))


def merged(document: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """JSON merge patch: mappings are merged, null removes, everything else (lists too) replaces."""
    result = dict(document)
    for key, value in part.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            below = result.get(key)
            result[key] = merged(below if isinstance(below, Mapping) else {}, value)
        else:
            result[key] = value
    return result


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The safe loader, refusing double keys, which YAML would resolve silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, (str, int)) and key in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f'the key "{key}" is there twice', problem_mark=key_node.start_mark
                )
            if isinstance(key, (str, int)):
                seen.add(key)
        return cast("dict[Any, Any]", super().construct_mapping(node, deep))


_ACCOUNT = re.compile(r"[1-9][0-9]{4,17}")
_FOLDER = re.compile(r"fd-[A-Za-z0-9-]+")
_DIRECTORY = re.compile(r"rd-[A-Za-z0-9]+")
_IMAGE = re.compile(r"m-[A-Za-z0-9-]+")
_ROLE = re.compile(r"acs:ram::([0-9]+):role/([A-Za-z0-9.@_-]{1,64})")
_POLICY = re.compile(r"acs:ram::([0-9]+|system):policy/[A-Za-z0-9.@_-]{1,128}")
_USER = re.compile(r"[A-Za-z0-9.@_-]{1,64}")
_SHARE = re.compile(r"rs-[A-Za-z0-9-]+")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_STACK = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}")
_MAILBOX = re.compile(r"(topics|queues)/[A-Za-z0-9][A-Za-z0-9-]{0,255}")
_SHARE_NAME = re.compile(r"[\w.\-]{1,50}")
_TARGET = re.compile(r"(rd|r|fd)-[A-Za-z0-9-]+|root|[1-9][0-9]{4,17}")
_NAME = re.compile(r"\S(.*\S)?", re.DOTALL)
_SERVICE = re.compile(r"([0-9]+@)?[a-z0-9-]+\.aliyuncs\.com")

_DEPTH = 20

_T = TypeVar("_T")


class _Place:
    """A value and where it stands, so that an error can name both."""

    __slots__ = ("path", "value")

    def __init__(self, value: object, path: str) -> None:
        self.value = value
        self.path = path

    def fail(self, why: str) -> NoReturn:
        raise WorldError(f"{self.path}: {why}" if self.path else why)

    def below(self, key: object, value: object) -> _Place:
        shown = f'"{key}"' if not re.fullmatch(r"[A-Za-z_][\w-]*", str(key)) else str(key)
        return _Place(value, f"{self.path}.{shown}" if self.path else shown)

    def entries(self, pattern: re.Pattern[str] | None = None, expected: str = "") -> dict[str, _Place]:
        """The entries of a mapping whose keys are ids or names."""
        if not isinstance(self.value, Mapping):
            self.fail(f"expected a mapping, found {_kind(self.value)}")
        found: dict[str, _Place] = {}
        for key, value in self.value.items():
            place = self.below(key, value)
            if not isinstance(key, str):
                place.fail("put the account id in quotes" if isinstance(key, int) else "expected a text key")
            if pattern is not None and not pattern.fullmatch(key):
                place.fail(f"expected {expected}")
            found[key] = place
        return found

    def keys(self, *known: str, required: Iterable[str] = ()) -> dict[str, _Place]:
        """The entries of a mapping with fixed keys."""
        found = self.entries()
        for key, place in found.items():
            if key not in known:
                place.fail(f"unknown key; known: {', '.join(known)}")
        for key in required:
            if key not in found:
                self.fail(f'the key "{key}" is missing')
        return found

    def items(self) -> list[_Place]:
        if not isinstance(self.value, (list, tuple)):
            self.fail(f"expected a list, found {_kind(self.value)}")
        return [_Place(value, f"{self.path}[{index}]") for index, value in enumerate(self.value)]

    def text(self, pattern: re.Pattern[str] | None = None, expected: str = "text") -> str:
        if not isinstance(self.value, str):
            quotes = "" if self.value is None or isinstance(self.value, (list, dict)) else "; put it in quotes"
            self.fail(f"expected {expected}, found {_kind(self.value)}{quotes}")
        if pattern is not None and not pattern.fullmatch(self.value):
            self.fail(f"expected {expected}, found {self.value!r}")
        return self.value

    def account(self) -> str:
        if isinstance(self.value, int) and not isinstance(self.value, bool):
            self.fail(f'put the account id in quotes: "{self.value}"')
        return self.text(_ACCOUNT, "an account id of digits in quotes")

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            self.fail(f"expected true or false, found {_kind(self.value)}")
        return self.value

    def whole(self, low: int = 0) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            self.fail(f"expected a whole number, found {_kind(self.value)}")
        if self.value < low:
            self.fail(f"expected a whole number of {low} or more, found {self.value}")
        return self.value

    def number(self, low: float = 0.0, high: float = float("inf"), *, above: bool = False) -> float:
        if not isinstance(self.value, (int, float)) or isinstance(self.value, bool):
            self.fail(f"expected a number, found {_kind(self.value)}")
        if not low <= self.value <= high or not math.isfinite(self.value) or (above and self.value == low):
            span = f"above {low:g}" if above else f"of {low:g} or more"
            self.fail(f"expected a number {span}{f' and at most {high:g}' if high < float('inf') else ''}")
        return float(self.value)

    def one_of(self, choices: Iterable[str]) -> str:
        options = list(choices)
        if self.value not in options:
            self.fail(f"expected one of {', '.join(options)}, found {_shown(self.value)}")
        return str(self.value)


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "text", list: "a list", dict: "a mapping"}
    return names.get(type(value), f"a {type(value).__name__}")


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, str) else str(value).lower()


class _Reader:
    """Turns one document into a World; what refers to something else is checked once everything is read."""

    def __init__(self, document: object, base: Path) -> None:
        self._top = _Place(document, "")
        self._base = base
        self._places: dict[str, _Place] = {}

    def world(self) -> World:
        if not isinstance(self._top.value, Mapping):
            self._top.fail(f"expected a mapping, found {_kind(self._top.value)}")
        parts = self._top.keys(*World.__struct_fields__)
        self._places = parts
        known_regions = self._part("regions", _regions, tuple(REGIONS))
        world = World(
            directory=self._part("directory", _directory, None),
            outsiders=self._part("outsiders", _accounts, ()),
            access_keys=self._part("access_keys", _access_keys, {}),
            roles=self._part("roles", _roles, {}),
            policies=self._part("policies", _named_policies, {}),
            images=self._part("images", lambda place: _images(place, known_regions), {}),
            grants=self._part("grants", _grants, {}),
            resource_shares=self._part("resource_shares", lambda place: _resource_shares(place, known_regions), {}),
            buckets=self._part("buckets", lambda place: _buckets(place, known_regions), {}),
            functions=self._part("functions", lambda place: _functions(place, known_regions, self._base), None),
            events=self._part("events", lambda place: _events(place, known_regions), Events()),
            mailboxes=self._part("mailboxes", lambda place: _mailboxes(place, known_regions), {}),
            quotas=self._part("quotas", _quotas, Quotas()),
            flow_control=self._part("flow_control", _flow_control, {}),
            latency=self._part("latency", _latency, Latency()),
            delays=self._part("delays", _delays, Delays()),
            switches=self._part("switches", _switches, Switches()),
            faults=self._part("faults", lambda place: _faults(place, known_regions), ()),
            regions=known_regions,
            sites=self._part("sites", _sites, {}),
        )
        self._check(world)
        return world

    def _part(self, key: str, read: Callable[[_Place], _T], default: _T) -> _T:
        place = self._places.get(key)
        return default if place is None else read(place)

    def _check(self, world: World) -> None:
        """What refers to something else must find it."""
        known = world.accounts()
        self._check_directory(world)
        keys = ((key, "account", one.account) for key, one in world.access_keys.items())
        self._check_accounts("access_keys", keys, known)
        self._check_accounts("sites", ((account, "", account) for account in world.sites), known)
        owners = ((key, "owner", one.owner) for key, one in world.images.items() if one.owner not in VENDOR_OWNERS)
        self._check_accounts("images", owners, known)
        self._check_accounts("buckets", ((name, "owner", one.owner) for name, one in world.buckets.items()), known)
        self._check_accounts("mailboxes", ((name, "owner", one.owner) for name, one in world.mailboxes.items()), known)
        self._check_accounts("roles", ((arn, "", arn.split(":")[3]) for arn in world.roles), known)
        self._check_policies(world, known)
        if world.functions is not None:
            self._check_accounts("functions", [("account", "", world.functions.account)], known)
        self._check_events(world, known)
        for image_id, accounts in world.grants.items():
            self._check_grants(self._at("grants", image_id), world.images.get(image_id), accounts, known)
        for share_id, share in world.resource_shares.items():
            self._check_share(self._at("resource_shares", share_id), share, world, known)
        for index, fault in enumerate(world.faults):
            if fault.account is not None and fault.account not in known:
                self._at("faults", index).below("account", "").fail(_unknown_account(fault.account))
            if fault.kind == "killed" and world.functions is None:
                self._at("faults", index).below("kind", "").fail(
                    "only in a world with functions, as an instance of one dies"
                )

    def _check_policies(self, world: World, known: set[str]) -> None:
        owners = ((arn, arn.split(":")[3]) for arn in world.policies)
        self._check_accounts("policies", ((arn, "", owner) for arn, owner in owners if owner != "system"), known)
        for arn, role in world.roles.items():
            for index, policy in enumerate(role.attached):
                here = _Place(policy, f"{self._at('roles', arn).path}.attached[{index}]")
                if policy not in world.policies:
                    here.fail("no such policy in policies")
                if policy.split(":")[3] not in ("system", arn.split(":")[3]):
                    here.fail("a policy of another account")

    def _check_events(self, world: World, known: set[str]) -> None:
        for sender, receiver in world.events.forward.items():
            self._check_accounts("events", [("forward", sender, sender), ("forward", sender, receiver)], known)
        for name, trail in world.events.trails.items():
            self._check_accounts("events", [("trails", name, trail.account)], known)
            if trail.organization and (world.directory is None or world.directory.management != trail.account):
                self._at("events", "trails").below(name, None).fail("only the management account has such a trail")

    def _check_directory(self, world: World) -> None:
        directory = world.directory
        if directory is None:
            return
        if directory.management in directory.members:
            self._at("directory", "management").fail("no member of its own directory; take it out of members")
        for index, account in enumerate(world.outsiders):
            if account == directory.management or account in directory.members:
                self._at("outsiders", index).fail(f'account "{account}" belongs to the directory')

    def _check_grants(self, place: _Place, image: Image | None, accounts: Iterable[str], known: set[str]) -> None:
        if image is None:
            place.fail("no such image in images")
        if image.owner in VENDOR_OWNERS:
            place.fail(f"an image of {image.owner} cannot be granted")
        for index, account in enumerate(accounts):
            here = _Place(account, f"{place.path}[{index}]")
            if account not in known:
                here.fail(_unknown_account(account))
            if account == image.owner:
                here.fail("the owner needs no grant")

    def _check_share(self, place: _Place, share: ResourceShare, world: World, known: set[str]) -> None:
        if share.owner not in known:
            place.below("owner", None).fail(_unknown_account(share.owner))
        for index, image_id in enumerate(share.images):
            here = _Place(image_id, f"{place.path}.images[{index}]")
            image = world.images.get(image_id)
            if image is None:
                here.fail("no such image in images")
            if (image.owner, image.region) != (share.owner, share.region):
                here.fail("not an image of the share's owner in its region")
        for index, target in enumerate(share.targets):
            self._check_target(_Place(target, f"{place.path}.targets[{index}]"), target, share, world, known)

    def _check_target(self, here: _Place, target: str, share: ResourceShare, world: World, known: set[str]) -> None:
        """A folder need not exist: one that was deleted stays as a target that reaches nobody."""
        if target == share.owner:
            here.fail("the owner needs no share")
        if target.isdigit() and target not in known:
            here.fail(_unknown_account(target))
        if target.startswith("rd-") and (world.directory is None or world.directory.id != target):
            here.fail("not the id of the directory")
        if target.startswith("r-"):
            if target != ROOT_ID:
                here.fail(f"the Root folder's id is {ROOT_ID}")
            if world.switches.root_folder_target == "refused":
                here.fail("the Root folder is no target while the switch root_folder_target is refused")

    def _at(self, part: str, key: str | int) -> _Place:
        place = self._places[part]
        return _Place(None, f"{place.path}[{key}]") if isinstance(key, int) else place.below(key, None)

    def _check_accounts(self, part: str, rows: Iterable[tuple[str, str, str]], known: set[str]) -> None:
        for key, field, account in rows:
            if account not in known:
                place = self._at(part, key)
                (place.below(field, None) if field else place).fail(_unknown_account(account))


def _regions(place: _Place) -> tuple[str, ...]:
    found = tuple(one.one_of(REGIONS) for one in place.items())
    if not found:
        place.fail("expected at least one region")
    return tuple(dict.fromkeys(found))


def _directory(place: _Place) -> Directory:
    fields = place.keys("id", "management", "sharing_enabled", "folders", "members", required=("id", "management"))
    folders = _directory_folders(fields["folders"]) if "folders" in fields else {}
    members: dict[str, Member] = {}
    if "members" in fields:
        entries = fields["members"].entries(_ACCOUNT, "an account id of digits in quotes")
        members = {account: _member(one, folders) for account, one in entries.items()}
    return Directory(
        id=fields["id"].text(_DIRECTORY, 'an id such as "rd-local1"'),
        management=fields["management"].account(),
        sharing_enabled=fields["sharing_enabled"].flag() if "sharing_enabled" in fields else False,
        folders=folders,
        members=members,
    )


def _access_keys(place: _Place) -> dict[str, AccessKey]:
    found: dict[str, AccessKey] = {}
    for key, one in place.entries(_NAME, "an access key id").items():
        if key.startswith("STS."):
            one.fail('"STS." is kept for temporary keys')
        fields = one.keys(*AccessKey.__struct_fields__, required=("secret", "account"))
        user = fields.get("user", _Place(key, one.path) if "policies" in fields else None)
        found[key] = AccessKey(
            secret=fields["secret"].text(_NAME, "a secret"),
            account=fields["account"].account(),
            user=user.text(_USER, "a user's name") if user is not None else "",
            policies=_policies(fields["policies"]) if "policies" in fields else None,
        )
    return found


def _policies(place: _Place) -> tuple[Policy, ...]:
    return tuple(_document(one, read_policy) for one in place.items())


def _named_policies(place: _Place) -> dict[str, Policy]:
    expected = 'a name such as "acs:ram::1000000000000002:policy/share-keys", or one of acs:ram::system'
    return {arn: _document(one, read_policy) for arn, one in place.entries(_POLICY, expected).items()}


def _document(place: _Place, read: Callable[[object], _T]) -> _T:
    """A policy document, which has a reader of its own."""
    try:
        return read(place.value)
    except PolicyError as problem:
        place.fail(str(problem))


def _roles(place: _Place) -> dict[str, Role]:
    found: dict[str, Role] = {}
    for arn, one in place.entries(_ROLE, 'a name such as "acs:ram::1000000000000001:role/reader"').items():
        fields = one.keys(*Role.__struct_fields__)
        found[arn] = Role(
            trusts=tuple(each.account() for each in fields["trusts"].items()) if "trusts" in fields else (),
            trusts_services=tuple(
                each.text(_SERVICE, 'a service such as "fc.aliyuncs.com" or "ACCOUNT@ecs.aliyuncs.com"')
                for each in fields["trusts_services"].items()
            )
            if "trusts_services" in fields
            else (),
            trust_policy=_document(fields["trust_policy"], read_trust_policy) if "trust_policy" in fields else None,
            policies=_policies(fields["policies"]) if "policies" in fields else None,
            attached=tuple(dict.fromkeys(each.text(_POLICY, "a policy's ARN") for each in fields["attached"].items()))
            if "attached" in fields
            else (),
            max_session=fields["max_session"].whole(low=3600) if "max_session" in fields else 3600,
            description=fields["description"].text() if "description" in fields else "",
            console_login=fields["console_login"].flag() if "console_login" in fields else False,
        )
    return found


def _images(place: _Place, regions: tuple[str, ...]) -> dict[str, Image]:
    return {
        image_id: _image(one, regions)
        for image_id, one in place.entries(_IMAGE, 'an image id such as "m-gold1"').items()
    }


def _grants(place: _Place) -> dict[str, tuple[str, ...]]:
    return {
        image_id: tuple(dict.fromkeys(each.account() for each in one.items()))
        for image_id, one in place.entries(_IMAGE, "an image id").items()
    }


def _resource_shares(place: _Place, regions: tuple[str, ...]) -> dict[str, ResourceShare]:
    return {
        share_id: _resource_share(one, regions)
        for share_id, one in place.entries(_SHARE, 'an id such as "rs-hand1"').items()
    }


def _resource_share(place: _Place, regions: tuple[str, ...]) -> ResourceShare:
    fields = place.keys(*ResourceShare.__struct_fields__, required=("owner", "region", "name"))
    targets = [
        one.text(_TARGET, "the id of the directory, a folder or an account")
        for one in (fields["targets"].items() if "targets" in fields else ())
    ]
    images = [one.text(_IMAGE, "an image id") for one in (fields["images"].items() if "images" in fields else ())]
    return ResourceShare(
        owner=fields["owner"].account(),
        region=fields["region"].one_of(regions),
        name=fields["name"].text(_SHARE_NAME, "a name of at most 50 letters, digits, dots, hyphens and underscores"),
        images=tuple(dict.fromkeys(images)),
        targets=tuple(dict.fromkeys(ROOT_ID if one == ROOT else one for one in targets)),
        tags=_tags(fields["tags"]) if "tags" in fields else {},
        allow_external=fields["allow_external"].flag() if "allow_external" in fields else False,
        resource_group=fields["resource_group"].text() if "resource_group" in fields else "",
        created=_moment(fields["created"]) if "created" in fields else "",
    )


def _buckets(place: _Place, regions: tuple[str, ...]) -> dict[str, Bucket]:
    """Names as at https://www.alibabacloud.com/help/en/oss/user-guide/bucket-naming-conventions."""
    expected = "a bucket name of 3 to 63 lower-case letters, digits and hyphens"
    return {name: _bucket(one, regions) for name, one in place.entries(_BUCKET, expected).items()}


def _bucket(place: _Place, regions: tuple[str, ...]) -> Bucket:
    fields = place.keys(*Bucket.__struct_fields__, required=("owner", "region"))
    versioning = fields["versioning"].one_of(get_args(Versioning)) if "versioning" in fields else "none"
    return Bucket(
        owner=fields["owner"].account(),
        region=fields["region"].one_of(regions),
        versioning=cast("Versioning", versioning),
    )


def _functions(place: _Place, regions: tuple[str, ...], base: Path) -> Functions:
    fields = place.keys(*Functions.__struct_fields__, required=("template", "account", "region", "code"))

    def path(key: str) -> str:
        return str((base / fields[key].text(_NAME, "a path")).absolute())

    packages = fields["packages"].one_of(("layers", "interpreter")) if "packages" in fields else "layers"
    return Functions(
        template=path("template"),
        account=fields["account"].account(),
        region=fields["region"].one_of(regions),
        code=path("code"),
        stack=fields["stack"].text(_STACK, "a name of letters, digits and hyphens") if "stack" in fields else "stack",
        parameters={key: one.value for key, one in fields["parameters"].entries().items()}
        if "parameters" in fields
        else {},
        environment=_tags(fields["environment"]) if "environment" in fields else {},
        packages=cast("Literal['layers', 'interpreter']", packages),
        python=fields["python"].text() if "python" in fields else "",
        instances=fields["instances"].whole(low=1) if "instances" in fields else 100,
        patience=fields["patience"].number(low=1.0) if "patience" in fields else 1.0,
        true_is_sync=fields["true_is_sync"].flag() if "true_is_sync" in fields else True,
    )


def _events(place: _Place, regions: tuple[str, ...]) -> Events:
    fields = place.keys(*Events.__struct_fields__)
    trails = fields["trails"].entries(_STACK, "a name") if "trails" in fields else {}
    forward = fields["forward"].entries(_ACCOUNT, "an account id of digits in quotes") if "forward" in fields else {}
    return Events(
        lose=fields["lose"].number(high=1.0) if "lose" in fields else 0.0,
        duplicate=fields["duplicate"].number(high=1.0) if "duplicate" in fields else 0.0,
        delay=fields["delay"].number() if "delay" in fields else 0.0,
        membership=fields["membership"].flag() if "membership" in fields else False,
        membership_region=fields["membership_region"].one_of(regions)
        if "membership_region" in fields
        else Events().membership_region,
        answers=fields["answers"].flag() if "answers" in fields else True,
        forward={sender: one.account() for sender, one in forward.items()},
        trails={name: _trail(one) for name, one in trails.items()},
    )


def _trail(place: _Place) -> Trail:
    fields = place.keys(*Trail.__struct_fields__, required=("account", "bucket"))
    return Trail(
        account=fields["account"].account(),
        bucket=fields["bucket"].text(_BUCKET, "the name of a bucket"),
        prefix=fields["prefix"].text() if "prefix" in fields else "",
        organization=fields["organization"].flag() if "organization" in fields else False,
        delay=fields["delay"].number() if "delay" in fields else Trail.__struct_defaults__[-1],
    )


def _mailboxes(place: _Place, regions: tuple[str, ...]) -> dict[str, Mailbox]:
    """Names as at https://help.aliyun.com/en/mns/product-overview/limits."""
    expected = "topics/NAME or queues/NAME, a name of at most 256 letters, digits and hyphens"
    entries = place.entries(_MAILBOX, expected)
    fields = {name: one.keys("owner", "region", required=("owner", "region")) for name, one in entries.items()}
    return {
        name: Mailbox(owner=one["owner"].account(), region=one["region"].one_of(regions))
        for name, one in fields.items()
    }


def _moment(place: _Place) -> str:
    expected = 'a time such as "2026-11-01T00:00:00Z"'
    text = place.text(None, f"{expected} in quotes")
    try:
        parse_iso(text)
    except ValueError:
        place.fail(f"expected {expected}")
    return text


def _faults(place: _Place, regions: tuple[str, ...]) -> tuple[Fault, ...]:
    return tuple(_fault(one, regions) for one in place.items())


def _accounts(place: _Place) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.account() for one in place.items()))


def _unknown_account(account: str) -> str:
    return f'no account "{account}": it is neither management, nor in members, nor in outsiders'


def _directory_folders(place: _Place) -> dict[str, Folder]:
    entries = place.entries(_FOLDER, 'a folder id such as "fd-prod"')
    folders: dict[str, Folder] = {}
    for folder_id, one in entries.items():
        fields = one.keys("name", "parent", required=("name", "parent"))
        parent = fields["parent"].text(None, "a folder id or root")
        folders[folder_id] = Folder(
            name=fields["name"].text(_NAME, "a name"), parent=ROOT if parent == ROOT_ID else parent
        )
    for folder_id, one in entries.items():
        seen = [folder_id]
        parent = folders[folder_id].parent
        while parent != ROOT:
            if parent in seen:
                one.below("parent", "").fail(f"the folders go in a circle: {' -> '.join([*seen, parent])}")
            if parent not in folders:
                entries[seen[-1]].below("parent", "").fail(_unknown_folder(parent, folders))
            seen.append(parent)
            parent = folders[parent].parent
        if len(seen) > FOLDER_LEVELS:
            one.fail(f"{len(seen)} levels under root, at most {FOLDER_LEVELS}")
    return folders


def _unknown_folder(folder: str, folders: Mapping[str, Folder]) -> str:
    return f'no folder "{folder}"; known: {", ".join([ROOT, *sorted(folders)])}'


def _member(place: _Place, folders: Mapping[str, Folder]) -> Member:
    fields = place.keys("name", "folder", "tags", "joined", "status", required=("name",))
    folder = fields["folder"].text(None, "a folder id or root") if "folder" in fields else ROOT
    folder = ROOT if folder == ROOT_ID else folder
    if folder != ROOT and folder not in folders:
        fields["folder"].fail(_unknown_folder(folder, folders))
    joined = fields["joined"].one_of(("invited", "created")) if "joined" in fields else "invited"
    status = fields["status"].one_of(get_args(MemberStatus)) if "status" in fields else None
    return Member(
        name=fields["name"].text(_NAME, "a name"),
        folder=folder,
        tags=_tags(fields["tags"]) if "tags" in fields else {},
        joined=cast("Literal['invited', 'created']", joined),
        status=cast("MemberStatus | None", status),
    )


def _tags(place: _Place) -> dict[str, str]:
    return {key: one.text() for key, one in place.entries().items()}


def _image(place: _Place, regions: tuple[str, ...]) -> Image:
    fields = place.keys(*Image.__struct_fields__, required=("owner", "region", "name"))

    def text(key: str, default: str = "") -> str:
        return fields[key].text() if key in fields else default

    def choice(key: str, options: tuple[str, ...], default: str) -> Any:
        return fields[key].one_of(options) if key in fields else default

    if "service" in fields and fields["service"].value == "eds":
        fields["service"].fail("eds: not in this version")
    owner = fields["owner"]
    return Image(
        service=choice("service", ("ecs",), "ecs"),
        owner=str(owner.value) if owner.value in VENDOR_OWNERS else owner.account(),
        region=fields["region"].one_of(regions),
        name=fields["name"].text(_NAME, "a name"),
        family=text("family"),
        description=text("description"),
        version=text("version"),
        status=choice("status", get_args(ImageStatus), "Available"),
        tags=_tags(fields["tags"]) if "tags" in fields else {},
        encryption=choice("encryption", get_args(Encryption), "none"),
        product_code=text("product_code"),
        public=fields["public"].flag() if "public" in fields else False,
        os_type=choice("os_type", ("linux", "windows"), "linux"),
        architecture=choice("architecture", ("i386", "x86_64", "arm64"), "x86_64"),
        size=fields["size"].whole(low=1) if "size" in fields else 40,
        resource_group=text("resource_group"),
        created=_moment(fields["created"]) if "created" in fields else "",
    )


def _quotas(place: _Place) -> Quotas:
    return Quotas(**{key: one.whole() for key, one in place.keys(*Quotas.__struct_fields__).items()})


def _flow_control(place: _Place) -> dict[str, Limit]:
    found: dict[str, Limit] = {}
    for operation, one in place.entries().items():
        if operation not in OPERATIONS:
            one.fail(_unknown_operation(operation))
        fields = one.keys("limit", "window", required=("limit", "window"))
        found[operation] = Limit(limit=fields["limit"].whole(), window=fields["window"].number(above=True))
    return found


def _latency(place: _Place) -> Latency:
    return Latency(**{key: one.number() for key, one in place.keys("seconds").items()})


def _delays(place: _Place) -> Delays:
    return Delays(**{key: one.number() for key, one in place.keys(*Delays.__struct_fields__).items()})


def _switches(place: _Place) -> Switches:
    values: dict[str, Any] = {}
    options = {field.name: field.type for field in msgspec.inspect.type_info(Switches).fields}  # type: ignore[attr-defined]
    for key, one in place.keys(*Switches.__struct_fields__).items():
        kind = options[key]
        values[key] = (
            one.one_of(str(value) for value in kind.values)
            if isinstance(kind, msgspec.inspect.LiteralType)
            else one.flag()
        )
    return Switches(**values)


def _sites(place: _Place) -> dict[str, Literal["china", "international"]]:
    entries = place.entries(_ACCOUNT, "an account id of digits in quotes")
    return cast(
        "dict[str, Literal['china', 'international']]",
        {account: one.one_of(("china", "international")) for account, one in entries.items()},
    )


def _unknown_operation(operation: str) -> str:
    product = operation.partition(":")[0]
    near = sorted(name for name in OPERATIONS if name.startswith(f"{product}:")) or sorted(OPERATIONS)
    return f'no operation "{operation}"; known: {", ".join(near)}'


def _fault(place: _Place, regions: tuple[str, ...]) -> Fault:
    fields = place.keys(*Fault.__struct_fields__, required=("operation", "kind"))
    operation = fields["operation"].text(None, 'an operation such as "ecs:DescribeImages"')
    products = {name.partition(":")[0] for name in OPERATIONS}
    if operation not in OPERATIONS and operation != "*" and operation not in {f"{name}:*" for name in products}:
        fields["operation"].fail(_unknown_operation(operation))
    kind = cast("FaultKind", fields["kind"].one_of(get_args(FaultKind)))
    if kind in ASSOCIATION_FAULTS and operation != _ASSOCIATE:
        fields["kind"].fail(f"only for the operation {_ASSOCIATE}")
    when = [key for key in ("every", "times", "probability") if key in fields]
    if len(when) != 1:
        place.fail("expected exactly one of every, times and probability")
    for key in ("code", "status"):
        if key in fields and kind not in ("error", "throttle"):
            fields[key].fail("only for the kinds error and throttle")
    status = fields["status"].whole(low=400) if "status" in fields else None
    if status is not None and status > 599:
        fields["status"].fail(f"expected an HTTP error status, found {status}")
    return Fault(
        operation=operation,
        kind=kind,
        account=fields["account"].account() if "account" in fields else None,
        region=fields["region"].one_of(regions) if "region" in fields else None,
        every=fields["every"].whole(low=1) if "every" in fields else None,
        times=fields["times"].whole() if "times" in fields else None,
        probability=fields["probability"].number(high=1.0) if "probability" in fields else None,
        code=fields["code"].text(_NAME, "an error code") if "code" in fields else None,
        status=status,
    )
