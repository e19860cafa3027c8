"""What a template makes: functions with their triggers and asynchronous configuration, roles, buckets, topics, queues.

Each resource type has the properties that are acted on and those that change nothing here (a description, a log
project); any other property, and any type that is in neither list, is an error that names the place. What functions
and triggers refer to has to be there: a role that trusts Function Compute, the code's folder or zip, a bucket.

Types and properties: https://www.alibabacloud.com/help/en/ros/developer-reference/aliyun-fc3-function and the pages
beside it; of Function Compute 2.0 https://www.alibabacloud.com/help/en/ros/developer-reference/aliyun-fc-function.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from localcloud.events.patterns import Pattern, read_pattern
from localcloud.fc.schedule import Schedule, read_schedule
from localcloud.policies import Policy, PolicyError, TrustPolicy, read_policy, read_trust_policy, trusted
from localcloud.ros.template import Lookup, Place, Pseudo, Resource, Template, load_template
from localcloud.sts.models import role_number
from localcloud.world import Bucket, Functions, Role, World

FC_SERVICE, OSS_SERVICE = "fc.aliyuncs.com", "oss.aliyuncs.com"
RUNTIMES = ("python3.9", "python3.10", "python3.12")
"""https://www.alibabacloud.com/help/en/functioncompute/fc/python/"""

ASYNC_RETRIES, ASYNC_RETRIES_MOST = 3, 8
EVENT_AGE, EVENT_AGE_MOST = 86_400.0, 604_800
"""https://www.alibabacloud.com/help/en/functioncompute/fc/error-handling-1-2 and the API's AsyncConfig."""
TIMEOUT, TIMEOUT_MOST, INITIALIZER_TIMEOUT_MOST = 3, 86_400, 300
"""https://alibabacloud.com/help/en/functioncompute/fc-3-0/product-overview/limits-of-usage"""


@dataclass(frozen=True, slots=True)
class Function:
    """A function as it is deployed. One of Function Compute 2.0 has a service, and `service$name` as its name."""

    name: str
    account: str
    region: str
    handler: str
    runtime: str
    code: Path
    service: str = ""
    layers: tuple[Path, ...] = ()
    initializer: str = ""
    initializer_timeout: int = TIMEOUT
    timeout: int = TIMEOUT
    memory: int = 512
    role: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    log_project: str = ""
    log_store: str = ""
    retries: int = ASYNC_RETRIES
    max_age: float = EVENT_AGE
    on_success: str = ""
    on_failure: str = ""
    reserved: int | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is found by: account, region, name."""
        return (self.account, self.region, self.name)

    @property
    def short_name(self) -> str:
        """The name without its service."""
        return self.name.rpartition("$")[2]

    @property
    def resource(self) -> str:
        """Its name in policies: https://www.alibabacloud.com/help/en/functioncompute/fc/developer-reference/policies"""
        return self.arn.replace(".LATEST/", "/")

    @property
    def arn(self) -> str:
        """Its name in destinations and elsewhere."""
        place = f"services/{self.service}.LATEST/functions" if self.service else "functions"
        return f"acs:fc:{self.region}:{self.account}:{place}/{self.short_name}"


@dataclass(frozen=True, slots=True)
class TimerTrigger:
    """Fires by the clock: https://www.alibabacloud.com/help/en/functioncompute/fc/user-guide/time-triggers."""

    name: str
    function: str
    schedule: Schedule
    payload: str


@dataclass(frozen=True, slots=True)
class ObjectTrigger:
    """Fires when an object of a bucket is made or removed: Object Storage Service invokes the function as ``role``."""

    name: str
    function: str
    role: str
    bucket: str
    events: tuple[str, ...]
    prefix: str
    suffix: str

    def wants(self, event: str, bucket: str, key: str) -> bool:
        """Whether an event such as `ObjectCreated:PutObject` of an object fires it."""
        named = any(one in (event, f"{event.partition(':')[0]}:*") for one in self.events)
        return named and bucket == self.bucket and key.startswith(self.prefix) and key.endswith(self.suffix)


@dataclass(frozen=True, slots=True)
class BusTrigger:
    """Fires for the events of the default bus that its pattern matches."""

    name: str
    function: str
    pattern: Pattern
    asynchronous: bool
    """Whether Function Compute's own queue has the event, else EventBridge itself tries again."""
    retry: str


@dataclass(frozen=True, slots=True)
class Stack:
    """All that a template makes."""

    account: str = ""
    region: str = ""
    functions: Mapping[str, Function] = field(default_factory=dict)
    timers: tuple[TimerTrigger, ...] = ()
    objects: tuple[ObjectTrigger, ...] = ()
    buses: tuple[BusTrigger, ...] = ()
    roles: Mapping[str, Role] = field(default_factory=dict)
    buckets: Mapping[str, Bucket] = field(default_factory=dict)
    mailboxes: frozenset[str] = frozenset()
    """`topics/NAME` and `queues/NAME`."""
    packages: str = "layers"
    python: str = ""
    patience: float = 1.0
    environment: tuple[tuple[str, str], ...] = ()


NO_STACK = Stack()

_COMMON = ("Description", "Tags")
_FUNCTION_3 = (
    ("FunctionName", "Handler", "Runtime", "Code", "EnvironmentVariables", "Role", "Timeout", "MemorySize"),
    ("Layers", "InstanceLifecycleConfig", "LogConfig"),
    ("Cpu", "DiskSize", "InternetAccess", "TracingConfig", "InstanceConcurrency"),
)
_FUNCTION_2 = (
    ("ServiceName", "FunctionName", "Handler", "Runtime", "Code", "EnvironmentVariables", "Timeout", "MemorySize"),
    ("Initializer", "InitializationTimeout", "AsyncConfiguration"),
    ("Cpu", "DiskSize", "InstanceConcurrency", "InstanceType"),
)
_TRIGGER = ("FunctionName", "TriggerName", "TriggerType", "TriggerConfig", "SourceArn", "InvocationRole")
_KNOWN: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "ALIYUN::FC3::Function": _FUNCTION_3,
    "ALIYUN::FC::Function": _FUNCTION_2,
    "ALIYUN::FC::Service": (("ServiceName", "Role", "LogConfig"), ("InternetAccess", "DeletionForce", "TracingConfig")),
    "ALIYUN::FC3::Trigger": (_TRIGGER,),
    "ALIYUN::FC::Trigger": ((*_TRIGGER, "ServiceName"),),
    "ALIYUN::EventBridge::Rule": (("EventBusName", "RuleName", "FilterPattern", "Targets", "Status"),),
    "ALIYUN::FC3::AsyncInvokeConfig": (
        ("FunctionName", "MaxAsyncRetryAttempts", "MaxAsyncEventAgeInSeconds", "DestinationConfig"),
        ("AsyncTask",),
    ),
    "ALIYUN::FC3::ConcurrencyConfig": (("FunctionName", "ReservedConcurrency"),),
    "ALIYUN::FC3::LayerVersion": (("LayerName", "Code"), ("CompatibleRuntime", "Acl", "License")),
    "ALIYUN::RAM::Role": (
        ("RoleName", "AssumeRolePolicyDocument", "MaxSessionDuration", "Policies", "PolicyAttachments"),
        ("DeletionForce", "IgnoreExisting"),
    ),
    "ALIYUN::RAM::ManagedPolicy": (("PolicyName", "PolicyDocument", "PolicyDocumentUnchecked", "Roles"), _COMMON),
    "ALIYUN::RAM::AttachPolicyToRole": (("PolicyName", "PolicyType", "RoleName"),),
    "ALIYUN::OSS::Bucket": (
        ("BucketName", "VersioningConfiguration", "AccessControl"),
        (
            "BlockPublicAccess",
            "DeletionForce",
            "LifecycleConfiguration",
            "RedundancyType",
            "ServerSideEncryptionConfiguration",
            "StorageClass",
        ),
    ),
    "ALIYUN::MNS::Topic": (("TopicName",), ("LoggingEnabled", "MaximumMessageSize")),
    "ALIYUN::MNS::Queue": (
        ("QueueName",),
        ("DelaySeconds", "LoggingEnabled", "MaximumMessageSize", "MessageRetentionPeriod", "PollingWaitSeconds"),
        ("VisibilityTimeout",),
    ),
}
"""Type -> properties that are acted on, and those that change nothing here."""

_WITHOUT_EFFECT = (
    "ALIYUN::SLS::Project",
    "ALIYUN::SLS::Logstore",
    "ALIYUN::SLS::Index",
    "ALIYUN::MNS::Subscription",
    "ALIYUN::MNS::TopicSubscription",
)
"""Types that are understood and change nothing here: logs are kept by the local cloud, nobody subscribes."""

_NAMES: Mapping[str, str] = {
    "ALIYUN::FC3::Function": "FunctionName",
    "ALIYUN::FC::Function": "FunctionName",
    "ALIYUN::FC::Service": "ServiceName",
    "ALIYUN::FC3::Trigger": "TriggerName",
    "ALIYUN::FC::Trigger": "TriggerName",
    "ALIYUN::FC3::LayerVersion": "LayerName",
    "ALIYUN::RAM::Role": "RoleName",
    "ALIYUN::RAM::ManagedPolicy": "PolicyName",
    "ALIYUN::OSS::Bucket": "BucketName",
    "ALIYUN::MNS::Topic": "TopicName",
    "ALIYUN::MNS::Queue": "QueueName",
    "ALIYUN::EventBridge::Rule": "RuleName",
    "ALIYUN::SLS::Project": "Name",
    "ALIYUN::SLS::Logstore": "LogstoreName",
}
"""Type -> the property that Ref gives."""


def read_stack(world: World) -> Stack:
    """What the world's template makes; an empty stack without one; WorldError names what cannot be made."""
    wish = world.functions
    if wish is None:
        return NO_STACK
    pseudo = Pseudo(wish.account, wish.region, wish.stack)

    def lookup(template: Template) -> Lookup:
        return lambda resource, attribute: _attribute(template, resource, attribute)

    template = load_template(Path(wish.template), given=wish.parameters, pseudo=pseudo, lookup=lookup)
    return _Reader(template, wish, world).stack()


def _attribute(template: Template, resource: Resource, attribute: str) -> Any:
    """What Ref and Fn::GetAtt give; KeyError if that is not known."""
    key = _NAMES[resource.type]
    name = template.resolve(resource.properties.get(key), resource.place.below("Properties").below(key))
    region, account = template.pseudo.region, template.pseudo.account
    if attribute in ("", key, "Name"):
        return name
    if resource.type.endswith("::Function") and attribute == "ARN":
        service = template.properties(resource).get("ServiceName", "")
        return f"acs:fc:{region}:{account}:{f'services/{service}/' if service else ''}functions/{name}"
    kind = resource.type.rpartition("::")[2]
    return {
        ("Role", "Arn"): f"acs:ram::{account}:role/{name}",
        ("Role", "RoleId"): role_number(f"acs:ram::{account}:role/{name}"),
        ("LayerVersion", "LayerVersionArn"): f"acs:fc:{region}:{account}:layers/{name}/versions/1",
        ("Bucket", "DomainName"): f"{name}.oss-{region}.aliyuncs.com",
        ("Bucket", "InternalDomainName"): f"{name}.oss-{region}-internal.aliyuncs.com",
        ("Bucket", "Arn"): f"acs:oss:{region}:{account}:{name}",
        ("Topic", "ARN.WithSlash"): f"acs:mns:{region}:{account}:/topics/{name}",
        ("Queue", "ARN.WithSlash"): f"acs:mns:{region}:{account}:/queues/{name}",
    }[kind, attribute]


class _Reader:
    """Reads one template after the order in which its resources need each other."""

    def __init__(self, template: Template, wish: Functions, world: World) -> None:
        self._template = template
        self._wish = wish
        self._world = world
        self._resources = template.resources()
        for one in self._resources.values():
            self._check_type(one)
        self._resolved = {name: template.properties(one) for name, one in self._resources.items()}

    def stack(self) -> Stack:
        roles = self._roles(self._policies())
        buckets = self._buckets()
        mailboxes = self._mailboxes()
        stack = Stack(
            account=self._wish.account,
            region=self._wish.region,
            roles=roles,
            buckets=buckets,
            mailboxes=mailboxes,
            packages=self._wish.packages,
            python=self._wish.python,
            patience=self._wish.patience,
            environment=tuple(self._wish.environment.items()),
        )
        stack = replace(stack, functions=self._functions(stack))
        for name, one in stack.functions.items():
            for destination in (one.on_success, one.on_failure):
                self._check_destination(destination, name, stack)
        timers, objects, buses = self._triggers(stack)
        return replace(stack, timers=tuple(timers), objects=tuple(objects), buses=tuple(buses))

    # --- reading properties

    def _all(self, kind: str) -> list[Resource]:
        return [one for one in self._resources.values() if one.type == kind]

    def _check_type(self, resource: Resource) -> None:
        if resource.type in _WITHOUT_EFFECT:
            return
        if resource.type not in _KNOWN:
            resource.place.below("Type").fail(f"{resource.type} is not served by the local cloud")
        known = {name for group in _KNOWN[resource.type] for name in group} | set(_COMMON)
        for key in resource.properties:
            if key not in known:
                resource.place.below("Properties").below(key).fail("is not served by the local cloud")

    def _at(self, resource: Resource, *keys: str) -> Place:
        place = resource.place.below("Properties")
        for key in keys:
            place = place.below(key)
        return place

    def _value(self, resource: Resource, key: str) -> Any:
        return self._resolved[resource.name].get(key)

    def _text(self, resource: Resource, key: str, default: str | None = None) -> str:
        value = self._value(resource, key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not value:
            self._at(resource, key).fail("expected text" if value is not None else "is missing")
        return value

    def _whole(self, resource: Resource, key: str, default: int, low: int, high: int) -> int:
        return _whole(self._value(resource, key), default, low, high, self._at(resource, key))

    def _map(self, resource: Resource, key: str) -> Mapping[str, Any]:
        return _map(self._value(resource, key) or {}, self._at(resource, key))

    # --- roles, policies, buckets

    def _roles(self, policies: Mapping[str, tuple[Policy, ...]]) -> dict[str, Role]:
        """The roles; one without policies may do nothing."""
        found: dict[str, Role] = {}
        for one in self._all("ALIYUN::RAM::Role"):
            arn = self._role_arn(self._text(one, "RoleName"))
            if arn in self._world.roles:
                one.place.fail(f"the role {arn} is in the world's roles already")
            found[arn] = Role(
                trust_policy=self._trust(one),
                policies=policies.get(arn, ()),
                max_session=self._whole(one, "MaxSessionDuration", 3600, 3600, 43_200),
            )
        return found

    def _role_arn(self, name: str) -> str:
        return f"acs:ram::{self._wish.account}:role/{name}"

    def _trust(self, role: Resource) -> TrustPolicy:
        try:
            return read_trust_policy(self._value(role, "AssumeRolePolicyDocument"))
        except PolicyError as problem:
            self._at(role, "AssumeRolePolicyDocument").fail(str(problem))

    def _policies(self) -> dict[str, tuple[Policy, ...]]:
        """Role -> its policies."""
        found: dict[str, list[Policy]] = {}
        own: dict[str, Policy] = {}
        for one in self._all("ALIYUN::RAM::ManagedPolicy"):
            key = "PolicyDocument" if "PolicyDocument" in self._resolved[one.name] else "PolicyDocumentUnchecked"
            policy = own[self._text(one, "PolicyName")] = _policy(self._value(one, key), self._at(one, key))
            for role in self._value(one, "Roles") or []:
                found.setdefault(self._role_arn(str(role)), []).append(policy)

        def attach(role: str, kind: str, name: str, place: Place) -> None:
            if kind != "Custom" or name not in own:
                place.fail(f'no policy "{name}" is made here; those of the vendor are not served by the local cloud')
            found.setdefault(self._role_arn(role), []).append(own[name])

        for one in self._all("ALIYUN::RAM::Role"):
            name = self._text(one, "RoleName")
            place = self._at(one, "Policies")
            for index, each in enumerate(self._value(one, "Policies") or []):
                here = place.below(index)
                policy = _policy(_map(each, here).get("PolicyDocument"), here.below("PolicyDocument"))
                found.setdefault(self._role_arn(name), []).append(policy)
            for kind, names in self._map(one, "PolicyAttachments").items():
                for each in names:
                    attach(name, kind, str(each), self._at(one, "PolicyAttachments", kind))
        for one in self._all("ALIYUN::RAM::AttachPolicyToRole"):
            what = (self._text(one, "RoleName"), self._text(one, "PolicyType"), self._text(one, "PolicyName"))
            attach(*what, one.place)
        return {role: tuple(policies) for role, policies in found.items()}

    def _buckets(self) -> dict[str, Bucket]:
        found: dict[str, Bucket] = {}
        for one in self._all("ALIYUN::OSS::Bucket"):
            name = self._text(one, "BucketName")
            if name in self._world.buckets:
                one.place.fail(f"the bucket {name} is in the world's buckets already")
            if self._text(one, "AccessControl", "private") != "private":
                self._at(one, "AccessControl").fail("the local cloud has private buckets only")
            status = self._map(one, "VersioningConfiguration").get("Status", "none")
            known = {"Enabled": "enabled", "Suspended": "suspended", "none": "none"}
            if status not in known:
                self._at(one, "VersioningConfiguration", "Status").fail("expected Enabled or Suspended")
            found[name] = Bucket(
                owner=self._wish.account,
                region=self._wish.region,
                versioning=known[status],  # type: ignore[arg-type]
            )
        return found

    def _mailboxes(self) -> frozenset[str]:
        found: set[str] = set()
        for kind, folder, key in (("Topic", "topics", "TopicName"), ("Queue", "queues", "QueueName")):
            for one in self._all(f"ALIYUN::MNS::{kind}"):
                name = f"{folder}/{self._text(one, key)}"
                if name in self._world.mailboxes:
                    one.place.fail(f"{name} is in the world's mailboxes already")
                found.add(name)
        return frozenset(found)

    # --- functions

    def _functions(self, stack: Stack) -> dict[str, Function]:
        layers = {
            _attribute(self._template, one, "LayerVersionArn"): self._layer(one)
            for one in self._all("ALIYUN::FC3::LayerVersion")
        }
        services = {self._text(one, "ServiceName"): one for one in self._all("ALIYUN::FC::Service")}
        found: dict[str, Function] = {}
        for one in self._all("ALIYUN::FC3::Function"):
            arns = [str(arn) for arn in self._value(one, "Layers") or []]
            for arn in arns:
                if arn not in layers:
                    self._at(one, "Layers").fail(f"no layer {arn} is made here")
            lifecycle = self._map(one, "InstanceLifecycleConfig")
            place = self._at(one, "InstanceLifecycleConfig")
            for key in lifecycle:
                if key != "Initializer":
                    place.below(key).fail("is not served by the local cloud")
            initializer = _map(lifecycle.get("Initializer") or {}, place.below("Initializer"))
            made = self._function(one, one, stack)
            made = replace(
                made,
                layers=tuple(layer for arn in arns if (layer := layers[arn]) is not None),
                initializer=str(initializer.get("Handler") or ""),
                initializer_timeout=_whole(
                    initializer.get("Timeout"), TIMEOUT, 1, INITIALIZER_TIMEOUT_MOST, place.below("Initializer")
                ),
            )
            found[made.name] = made
        for one in self._all("ALIYUN::FC::Function"):
            service = services.get(self._text(one, "ServiceName"))
            if service is None:
                self._at(one, "ServiceName").fail("no such service is made here")
            made = self._function(one, service, stack)
            made = replace(
                made,
                initializer=self._text(one, "Initializer", ""),
                initializer_timeout=self._whole(one, "InitializationTimeout", TIMEOUT, 1, INITIALIZER_TIMEOUT_MOST),
            )
            asynchronous = self._map(one, "AsyncConfiguration")
            made = self._asynchronous(made, asynchronous, "Destination", self._at(one, "AsyncConfiguration"))
            found[made.name] = made
        for one in self._all("ALIYUN::FC3::AsyncInvokeConfig"):
            made = self._named(one, found)
            found[made.name] = self._asynchronous(made, self._resolved[one.name], "DestinationConfig", self._at(one))
        for one in self._all("ALIYUN::FC3::ConcurrencyConfig"):
            made = self._named(one, found)
            found[made.name] = replace(made, reserved=self._whole(one, "ReservedConcurrency", 0, 0, 1_000_000))
        return found

    def _function(self, one: Resource, holder: Resource, stack: Stack) -> Function:
        """A function; role and log project are those of `holder`, its service or itself."""
        service = self._text(holder, "ServiceName") if holder is not one else ""
        name = self._text(one, "FunctionName")
        runtime = self._text(one, "Runtime")
        if runtime not in RUNTIMES:
            self._at(one, "Runtime").fail(f"expected one of {', '.join(RUNTIMES)}, found {runtime!r}")
        role = self._text(holder, "Role", "")
        if role:
            self._check_role(role, FC_SERVICE, self._at(holder, "Role"), stack)
        environment = self._map(one, "EnvironmentVariables")
        for key in environment:
            if key.startswith("FC_"):
                self._at(one, "EnvironmentVariables", key).fail("names that begin with FC_ are the vendor's own")
        log = self._map(holder, "LogConfig")
        return Function(
            name=f"{service}${name}" if service else name,
            service=service,
            account=self._wish.account,
            region=self._wish.region,
            handler=_entry(self._text(one, "Handler"), self._at(one, "Handler")),
            runtime=runtime,
            code=self._code(one),
            timeout=self._whole(one, "Timeout", TIMEOUT, 1, TIMEOUT_MOST),
            memory=self._whole(one, "MemorySize", 512, 128, 32_768),
            role=role,
            environment=tuple((key, str(value)) for key, value in environment.items()),
            log_project=str(log.get("Project") or ""),
            log_store=str(log.get("Logstore") or ""),
        )

    def _asynchronous(self, function: Function, config: Mapping[str, Any], key: str, place: Place) -> Function:
        destinations = _map(config.get(key) or {}, place.below(key))

        def destination(kind: str) -> str:
            value = destinations.get(kind)
            return str((value.get("Destination") if isinstance(value, Mapping) else value) or "")

        return replace(
            function,
            retries=_whole(config.get("MaxAsyncRetryAttempts"), ASYNC_RETRIES, 0, ASYNC_RETRIES_MOST, place),
            max_age=float(_whole(config.get("MaxAsyncEventAgeInSeconds"), int(EVENT_AGE), 1, EVENT_AGE_MOST, place)),
            on_success=destination("OnSuccess"),
            on_failure=destination("OnFailure"),
        )

    def _named(self, one: Resource, functions: Mapping[str, Function]) -> Function:
        name = self._text(one, "FunctionName")
        service = self._text(one, "ServiceName", "")
        found = functions.get(f"{service}${name}" if service else name)
        if found is None:
            self._at(one, "FunctionName").fail(f'no function "{name}" is made here')
        return found

    def _check_role(self, arn: str, service: str, place: Place, stack: Stack) -> None:
        role = stack.roles.get(arn) or self._world.roles.get(arn)
        if role is None:
            place.fail(f"no role {arn}")
        if arn.split(":")[3] != self._wish.account:
            place.fail(f"the role {arn} is not of the account {self._wish.account}")
        by_policy = role.trust_policy is not None and trusted(role.trust_policy, (service,), {}) == "Allow"
        if service not in role.trusts_services and not by_policy:
            place.fail(f"the role {arn} does not trust {service}")

    def _layer(self, one: Resource) -> Path | None:
        """A layer's folder or zip; None where the interpreter's packages stand in for one that is not built."""
        return self._found(one)[0] if self._wish.packages == "interpreter" else self._code(one)

    def _code(self, one: Resource) -> Path:
        """The folder or zip in `functions.code` that has the name of the object which the template deploys."""
        found, name = self._found(one)
        if found is None:
            self._at(one, "Code", "OssObjectName").fail(
                f"{self._wish.code} has neither {name} nor a folder of that name"
            )
        return found

    def _found(self, one: Resource) -> tuple[Path | None, str]:
        """(what there is of the code, its name)."""
        code = self._map(one, "Code")
        place = self._at(one, "Code")
        for key in code:
            if key not in ("OssBucketName", "OssObjectName", "Checksum"):
                place.below(key).fail("is not served by the local cloud; code is taken from functions.code")
        name = str(code.get("OssObjectName") or "").rpartition("/")[2]
        if not name:
            place.below("OssObjectName").fail("is missing")
        folder = Path(self._wish.code)
        candidates = (folder / name, folder / name.removesuffix(".zip"))
        return next((each for each in candidates if each.exists()), None), name

    def _check_destination(self, arn: str, function: str, stack: Stack) -> None:
        if not arn:
            return
        place = self._template.place.below(f"the destination {arn} of {function}")
        parts = arn.split(":", 4)
        if len(parts) != 5 or parts[0] != "acs" or parts[1] not in ("fc", "mns"):
            place.fail("expected acs:fc:REGION:ACCOUNT:functions/NAME or acs:mns:REGION:ACCOUNT:/topics/NAME")
        if parts[2] not in ("", stack.region) or parts[3] not in ("", stack.account):
            place.fail("is of another region or account")
        known = (
            {name_of_function(arn)} & set(stack.functions) if parts[1] == "fc" else {mailbox_of(arn)} & stack.mailboxes
        )
        if not known:
            place.fail("no such function, topic or queue is made here")

    # --- triggers

    def _triggers(self, stack: Stack) -> tuple[list[TimerTrigger], list[ObjectTrigger], list[BusTrigger]]:
        timers: list[TimerTrigger] = []
        objects: list[ObjectTrigger] = []
        buses: list[BusTrigger] = []
        for one in (*self._all("ALIYUN::FC3::Trigger"), *self._all("ALIYUN::FC::Trigger")):
            function = self._named(one, stack.functions).name
            kind = self._text(one, "TriggerType")
            config, place = self._map(one, "TriggerConfig"), self._at(one, "TriggerConfig")
            name = self._text(one, "TriggerName")
            if kind == "timer":
                if (timer := _timer(name, function, config, place)) is not None:
                    timers.append(timer)
            elif kind == "oss":
                self._check_role(self._text(one, "InvocationRole"), OSS_SERVICE, self._at(one, "InvocationRole"), stack)
                objects.append(self._object(name, function, one, config, stack))
            elif kind == "eventbridge":
                if (bus := self._bus(name, function, config, place)) is not None:
                    buses.append(bus)
            else:
                self._at(one, "TriggerType").fail(
                    f"{kind} is not served by the local cloud; timer, oss and eventbridge are"
                )
        for one in self._all("ALIYUN::EventBridge::Rule"):
            buses += self._rule(one, stack)
        return timers, objects, buses

    def _bus(self, name: str, function: str, config: Mapping[str, Any], place: Place) -> BusTrigger | None:
        """Names: alibabacloud_fc20230330's EventBridgeTriggerConfig."""
        known = (
            "triggerEnable",
            "asyncInvocationType",
            "eventRuleFilterPattern",
            "eventSourceConfig",
            "eventSinkConfig",
        )
        _only(config, place, *known, "runOptions")
        source = _map(config.get("eventSourceConfig") or {}, place.below("eventSourceConfig"))
        if source.get("eventSourceType", "Default") != "Default":
            place.below("eventSourceConfig").below("eventSourceType").fail("only Default is served by the local cloud")
        sink = config.get("eventSinkConfig") or {}
        schema = _map(sink.get("deliveryOption") or {}, place.below("eventSinkConfig")).get(
            "eventSchema", "CloudEvents"
        )
        if schema != "CloudEvents":
            place.below("eventSinkConfig").fail("only the schema CloudEvents is served by the local cloud")
        options = _map(config.get("runOptions") or {}, place.below("runOptions"))
        if options.get("mode", "event-driven") != "event-driven":
            place.below("runOptions").below("mode").fail("the default bus is event-driven only")
        strategy = _map(options.get("retryStrategy") or {}, place.below("runOptions").below("retryStrategy"))
        retry = _retry(strategy.get("PushRetryStrategy"), place.below("runOptions").below("retryStrategy"))
        here = place.below("eventRuleFilterPattern")
        try:
            pattern = read_pattern(json.loads(config.get("eventRuleFilterPattern") or ""))
        except (ValueError, TypeError) as problem:
            here.fail(f"expected the JSON text of a pattern: {problem}")
        if not _flag(config.get("triggerEnable", True), place.below("triggerEnable")):
            return None
        flag = _flag(config.get("asyncInvocationType", False), place.below("asyncInvocationType"))
        return BusTrigger(name, function, pattern, flag != self._wish.true_is_sync, retry)

    def _rule(self, one: Resource, stack: Stack) -> list[BusTrigger]:
        """A rule of the default bus, a trigger for each of its functions.

        The parameters of a target are those that public rules have; no page lists them.
        """
        if self._text(one, "EventBusName") != "default":
            self._at(one, "EventBusName").fail("only the default bus is served by the local cloud")
        try:
            pattern = read_pattern(self._value(one, "FilterPattern"))
        except ValueError as problem:
            self._at(one, "FilterPattern").fail(str(problem))
        found: list[BusTrigger] = []
        for index, each in enumerate(self._value(one, "Targets") or []):
            place = self._at(one, "Targets").below(index)
            target = _map(each, place)
            if target.get("Type") != "acs.fc.function":
                place.below("Type").fail(f"{target.get('Type')} is not served by the local cloud; acs.fc.function is")
            constant = {
                parameter.get("ResourceKey"): str(parameter.get("Value"))
                for parameter in target.get("ParamList") or []
                if parameter.get("Form") == "CONSTANT"
            }
            service, name = constant.get("serviceName", ""), constant.get("functionName", "")
            function = stack.functions.get(f"{service}${name}" if service else name)
            if function is None:
                place.below("ParamList").fail(f'no function "{name}" of service "{service}" is made here')
            retry = _retry(target.get("PushRetryStrategy"), place.below("PushRetryStrategy"))
            asynchronous = constant.get("InvocationType", "Sync") == "Async"
            found.append(BusTrigger(self._text(one, "RuleName"), function.name, pattern, asynchronous, retry))
        return found if self._text(one, "Status", "ENABLE") == "ENABLE" else []

    def _object(
        self, name: str, function: str, one: Resource, config: Mapping[str, Any], stack: Stack
    ) -> ObjectTrigger:
        place = self._at(one, "TriggerConfig")
        _only(config, place, "events", "filter")
        bucket = self._text(one, "SourceArn").rpartition(":")[2]
        known = stack.buckets.get(bucket) or self._world.buckets.get(bucket)
        if known is None or (known.owner, known.region) != (stack.account, stack.region):
            self._at(one, "SourceArn").fail(f'no bucket "{bucket}" of {stack.account} in {stack.region}')
        events = config.get("events") or []
        if not isinstance(events, list) or not events:
            place.below("events").fail("expected a list of events")
        for event in events:
            if not str(event).startswith(("oss:ObjectCreated:", "oss:ObjectRemoved:")):
                place.below("events").fail(f"{event} is not served by the local cloud")
        filters = _map(config.get("filter") or {}, place.below("filter"))
        _only(filters, place.below("filter"), "key")
        key = _map(filters.get("key") or {}, place.below("filter").below("key"))
        _only(key, place.below("filter").below("key"), "prefix", "suffix")
        return ObjectTrigger(
            name=name,
            function=function,
            role=self._text(one, "InvocationRole"),
            bucket=bucket,
            events=tuple(str(event).removeprefix("oss:") for event in events),
            prefix=str(key.get("prefix") or ""),
            suffix=str(key.get("suffix") or ""),
        )


def name_of_function(arn: str) -> str:
    """The name, `service$name` of 2.0, that `acs:fc:...` names, without its qualifier."""
    path = arn.split(":", 4)[4].strip("/").split("/")
    fields = dict(zip(path[::2], path[1::2], strict=False))
    service = fields.get("services", "").partition(".")[0]
    name = fields.get("functions", "")
    return f"{service}${name}" if service else name


def mailbox_of(arn: str) -> str:
    """`topics/NAME` or `queues/NAME` of `acs:mns:REGION:ACCOUNT:/topics/NAME/messages`, which may lack its end."""
    return arn.split(":", 4)[4].strip("/").removesuffix("/messages")


def _policy(document: Any, place: Place) -> Policy:
    try:
        return read_policy(document)
    except PolicyError as problem:
        place.fail(str(problem))


def _timer(name: str, function: str, config: Mapping[str, Any], place: Place) -> TimerTrigger | None:
    _only(config, place, "cronExpression", "enable", "payload")
    try:
        schedule = read_schedule(str(config.get("cronExpression") or ""))
    except ValueError as problem:
        place.below("cronExpression").fail(str(problem))
    if not _flag(config.get("enable", True), place.below("enable")):
        return None
    return TimerTrigger(name, function, schedule, str(config.get("payload") or ""))


def _retry(value: Any, place: Place) -> str:
    retry = str(value or "BACKOFF_RETRY")
    if retry not in ("BACKOFF_RETRY", "EXPONENTIAL_DECAY_RETRY"):
        place.fail("expected BACKOFF_RETRY or EXPONENTIAL_DECAY_RETRY")
    return retry


def _entry(handler: str, place: Place) -> str:
    module, _, name = handler.partition(".")
    if not (module and name.isidentifier()):
        place.fail(f"expected MODULE.FUNCTION, found {handler!r}")
    return handler


def _only(config: Mapping[str, Any], place: Place, *known: str) -> None:
    for key in config:
        if key not in known:
            place.below(key).fail(f"unknown key; known: {', '.join(known)}")


def _map(value: Any, place: Place) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        place.fail("expected a mapping" if value is not None else "is missing")
    return value


def _whole(value: Any, default: int, low: int, high: int, place: Place) -> int:
    if value is None:
        return default
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        place.fail(f"expected a whole number from {low} to {high}, found {value!r}")
    return value


def _flag(value: Any, place: Place) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        place.fail(f"expected true or false, found {value!r}")
    return value
