"""What stands before every product: from a request to an answer.

Route, check the signature, admit (flow control), fail on purpose if the world says so, check the permission, perform,
answer. Only one request is on its way at a time; `LocalCloud` holds the lock. Object storage, Simple Message Queue and
Function Compute speak other protocols, so their requests go the same way in `localcloud.oss.exchange`,
`localcloud.mns.exchange` and `localcloud.fc.exchange`.
"""

from __future__ import annotations

import random as random_module
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from localcloud.call import Call, Models, Operation, Settings
from localcloud.catalog import PRODUCTS, Product, host_parts, product_of_version
from localcloud.clock import Clock, iso_millis
from localcloud.ecs.models import EcsModel
from localcloud.ecs.responses import OPERATIONS as ECS_OPERATIONS
from localcloud.errors import GATEWAY, ApiError, missing
from localcloud.events.models import EventModel
from localcloud.events.records import Written
from localcloud.faults import FaultRule, first_strike
from localcloud.fc.exchange import FunctionExchange, Invoke, asks_for_functions
from localcloud.fc.models import FunctionModel
from localcloud.flow import FlowControl
from localcloud.http import JSON_TYPE, XML_TYPE, HttpRequest, HttpResponse
from localcloud.mns.exchange import MessageExchange, asks_for_messages
from localcloud.mns.models import MessageModel
from localcloud.oss.exchange import ObjectExchange, asks_for_objects
from localcloud.oss.models import StorageModel
from localcloud.params import Params
from localcloud.permissions import check_permission
from localcloud.ram.models import RamModel
from localcloud.ram.responses import OPERATIONS as RAM_OPERATIONS
from localcloud.render import as_json, as_xml, error_document
from localcloud.resourcemanager.models import DirectoryModel
from localcloud.resourcemanager.responses import OPERATIONS as RESOURCE_MANAGER_OPERATIONS
from localcloud.resourcesharing.models import SharingModel
from localcloud.resourcesharing.responses import OPERATIONS as RESOURCE_SHARING_OPERATIONS
from localcloud.ros.stack import Stack, read_stack
from localcloud.signing import VALID_SECONDS, Nonces, read_signature
from localcloud.sts.models import IdentityModel, Principal
from localcloud.sts.responses import OPERATIONS as STS_OPERATIONS
from localcloud.world import ANSWER_LOST, Role, World, WorldError

OPERATIONS: Mapping[tuple[str, str], Operation] = {
    (operation.product, operation.name): operation
    for operation in (
        *ECS_OPERATIONS,
        *RESOURCE_MANAGER_OPERATIONS,
        *RESOURCE_SHARING_OPERATIONS,
        *RAM_OPERATIONS,
        *STS_OPERATIONS,
    )
}
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One call as the request log shows it; `code` is empty on success, `status` 0 where no answer was sent."""

    time: str
    account: str
    principal: str
    agent: str
    product: str
    action: str
    region: str
    status: int
    code: str
    request_id: str


class Gateway:
    """The state of a cloud and the way that requests take through it."""

    def __init__(
        self,
        world: World,
        *,
        clock: Clock,
        random: random_module.Random,
        real_time: Callable[[], float] = time.time,
    ) -> None:
        self.clock = clock
        self.real_time = real_time
        self.world = world
        self.calls: Counter[str] = Counter()
        self.write_hooks: list[Callable[[], None]] = []
        self.request_hooks: list[Callable[[LogEntry], None]] = []
        self.nonces = Nonces()
        self.flow = FlowControl()
        self.rules = [FaultRule(fault) for fault in world.faults]
        now = clock.now()
        settings = Settings(world.quotas, world.delays, world.switches, world.regions, dict(world.sites))
        ecs = EcsModel(world.images, world.grants, now=now)
        directory = DirectoryModel(world.directory, world.outsiders, now=now)
        stack = read_stack(world)
        _check_trails(world, stack)
        identity = IdentityModel(world.access_keys, {**world.roles, **stack.roles}, world.policies)
        ram = RamModel(identity, settings=settings, now=now)
        sharing = SharingModel(
            world.resource_shares, ecs=ecs, directory=directory, identity=identity, settings=settings, now=now
        )
        storage = StorageModel({**world.buckets, **stack.buckets}, now=now)
        messages = MessageModel()
        functions = FunctionModel(identity=identity, messages=messages, random=random)
        events = EventModel(ecs=ecs, directory=directory, storage=storage, functions=functions, random=random)
        self.models = Models(
            ecs, directory, sharing, identity, ram, storage, messages, functions, events, settings, random
        )
        events.begin(now)
        self._deploy(world, stack)

    def answer(self, request: HttpRequest) -> HttpResponse | Invoke:
        """The answer to a request to a vendor API, or the invocation that has to be run for it, without the lock."""
        if asks_for_objects(request):
            return ObjectExchange(self, request).respond()
        if asks_for_functions(request):
            return FunctionExchange(self, request).respond()
        if asks_for_messages(request):
            return MessageExchange(self, request).respond()
        return _Exchange(self, request).answer()

    def admits(self, operation: str, account: str, region: str) -> bool:
        """Whether flow control lets this call pass; it is counted."""
        return self.flow.admit(self.world.flow_control, operation, account, region, now=self.clock.now())

    def strike(self, operation: str, caller: Principal, region: str) -> FaultRule | None:
        """The fault that hits this call, if one does."""
        return first_strike(self.rules, operation, caller, region, self.models.random)

    def dropped(self, kind: str, caller: Principal | None) -> HttpResponse:
        """No answer, for the reason that the log calls `kind`; who is killed on the way is named."""
        kills = caller.origin if caller is not None and kind == "killed" else ""
        return HttpResponse(status=0, body=b"", dropped=True, kills=kills, wait=self.world.latency.seconds)

    def log(
        self,
        principal: Principal | None,
        request: HttpRequest,
        *,
        time: float,
        product: str,
        action: str,
        region: str,
        status: int,
        code: str,
        request_id: str,
    ) -> None:
        """Tell whoever asked what became of a request."""
        if not self.request_hooks:
            return
        entry = LogEntry(
            time=iso_millis(time),
            account=principal.account if principal is not None else "",
            principal=principal.arn if principal is not None else "",
            agent=request.headers.get("user-agent", ""),
            product=product,
            action=action,
            region=region,
            status=status,
            code=code,
            request_id=request_id,
        )
        for callback in self.request_hooks:
            callback(entry)

    def written(self) -> None:
        """Tell whoever asked that something may have changed."""
        for callback in self.write_hooks:
            callback()

    def take(self, world: World, *, new_faults: bool) -> None:
        """Become another world; what stays the same keeps its times and counts. WorldError changes nothing."""
        before = self.world
        same = (world.functions, world.roles, world.buckets) == (before.functions, before.roles, before.buckets)
        stack = self.models.functions.stack if same else read_stack(world)
        _check_trails(world, stack)
        now = self.clock.now()
        models, delays = self.models, world.delays
        models.directory.replace(world.directory, world.outsiders, now=now, delays=delays)
        models.ecs.replace(world.images, world.grants, now=now, delay=delays.share)
        models.sharing.adopt(world.resource_shares, now=now)
        models.storage.adopt_buckets({**world.buckets, **stack.buckets}, now=now)
        models.identity.keys = dict(world.access_keys)
        models.identity.roles = {**world.roles, **self._stack_roles(stack)}
        models.identity.policies = dict(world.policies)
        settings = models.settings
        settings.quotas, settings.delays, settings.switches = world.quotas, delays, world.switches
        settings.regions, settings.sites = world.regions, dict(world.sites)
        if new_faults:
            self.rules = [FaultRule(fault) for fault in world.faults]
        self.world = world
        self._deploy(world, stack)
        models.events.tell_of_images(now)

    def tick(self) -> None:
        """Let happen what is due by now: events arrive, timers fire."""
        now = self.clock.now()
        self.models.events.deliver(now)
        self.models.functions.fire_timers(now)

    def next_due(self) -> float | None:
        """When something happens by itself next; a moment in the past if it is due."""
        moments = (self.models.events.next_due(), self.models.functions.next_due())
        return min((one for one in moments if one is not None), default=None)

    def _stack_roles(self, stack: Stack) -> dict[str, Role]:
        """The roles of a template; what a call changed of them stays so while the template says the same."""
        before, now = self.models.functions.stack.roles, self.models.identity.roles
        return {arn: now[arn] if before.get(arn) == role and arn in now else role for arn, role in stack.roles.items()}

    def _deploy(self, world: World, stack: Stack) -> None:
        functions = self.models.functions
        self.models.events.settings = world.events
        if world.functions is not None:
            functions.most_instances = world.functions.instances
        functions.adopt_stack(stack, now=self.clock.now())
        self.models.messages.adopt_mailboxes(
            [
                *((one.owner, one.region, name) for name, one in world.mailboxes.items()),
                *((stack.account, stack.region, name) for name in stack.mailboxes),
            ]
        )


class _Exchange:
    """One request on its way through the gateway."""

    def __init__(self, gateway: Gateway, request: HttpRequest) -> None:
        self._gateway = gateway
        self._request = request
        self._now = gateway.clock.now()
        self._request_id = _request_id(gateway.models.random)
        self._query = dict(parse_qsl(request.query, keep_blank_values=True))
        self._form: dict[str, str] = {}
        if request.body and request.headers.get("content-type", "").startswith(_FORM):
            self._form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        self._params = {**self._query, **self._form}
        self._product: Product | None = None
        self._action = ""
        self._region = ""
        self._principal: Principal | None = None
        self._xml = "authorization" not in request.headers and self._params.get("Format", "").upper() == "XML"

    def answer(self) -> HttpResponse:
        try:
            operation = self._route()
            self._principal = self._authenticate()
            self._region = self._find_region(operation)
        except ApiError as refusal:
            return self._refused(refusal)
        self._gateway.calls[operation.full_name] += 1
        return self._perform(operation, self._principal)

    def _route(self) -> Operation:
        request = self._request
        if request.method not in ("GET", "POST"):
            raise GATEWAY.error("UnsupportedHTTPMethod")
        action = request.headers.get("x-acs-action", "") or self._params.get("Action", "")
        version = request.headers.get("x-acs-version", "") or self._params.get("Version", "")
        named, self._region = host_parts(request.host)
        if named and named not in PRODUCTS:
            raise GATEWAY.error("InvalidProduct.NotFound")
        self._product = PRODUCTS.get(named)
        if not action:
            raise missing("Action")
        self._action = action
        if not version:
            raise missing("Version")
        product = product_of_version(version)
        if product is None or (named and product.name != named):
            raise GATEWAY.error("InvalidVersion")
        self._product = product
        operation = OPERATIONS.get((product.name, action))
        if operation is None:
            raise GATEWAY.error("InvalidAction.NotFound")
        return operation

    def _authenticate(self) -> Principal:
        gateway = self._gateway
        signed = read_signature(self._request, self._query, self._form)
        real = gateway.real_time()
        if abs(real - signed.stamp) > VALID_SECONDS:
            raise GATEWAY.error("InvalidTimeStamp.Expired")
        secret, principal = gateway.models.identity.authenticate(signed.access_key, signed.token, now=self._now)
        if not signed.matches(secret):
            raise GATEWAY.error("SignatureDoesNotMatch", string=signed.string)
        if not gateway.nonces.use(signed.access_key, signed.nonce, stamp=signed.stamp, now=real):
            raise GATEWAY.error("SignatureNonceUsed")
        return principal

    def _find_region(self, operation: Operation) -> str:
        """The region that a call is about: its parameter, else its host; central products have none."""
        if not operation.regional:
            return self._region
        region = self._params.get("RegionId", "") or self._region
        if not region:
            raise operation.missing_region or missing("RegionId")
        if region not in self._gateway.models.settings.regions:
            raise GATEWAY.error("InvalidRegionId.NotFound")
        return region

    def _perform(self, operation: Operation, principal: Principal) -> HttpResponse:
        gateway = self._gateway
        name, account = operation.full_name, principal.account
        if not gateway.admits(name, account, self._region):
            return self._turned_away(operation, principal, GATEWAY.error("Throttling.User"))
        rule = gateway.strike(name, principal, self._region)
        kind = rule.fault.kind if rule is not None else ""
        if rule is not None and kind in ("throttle", "error"):
            return self._turned_away(operation, principal, _ordered_error(rule))
        if kind == "no-answer":
            return self._dropped(kind)
        answer, refusal = self._call(operation, principal, kind)
        if operation.writes:
            self._tell(operation, principal, answer, refusal)
            gateway.written()
        if kind in ANSWER_LOST:
            return self._dropped(kind)
        if refusal is not None:
            return self._refused(refusal, broken=kind == "malformed")
        if rule is not None:
            answer = rule.spoil(answer, operation.rows)
        return self._send(200, "", answer, root=f"{self._action}Response", broken=kind == "malformed")

    def _call(self, operation: Operation, principal: Principal, fault: str) -> tuple[dict[str, Any], ApiError | None]:
        call = Call(
            params=Params(self._params),
            principal=principal,
            region=self._region,
            now=self._now,
            models=self._gateway.models,
            fault=fault,
        )
        try:
            check_permission(call, operation.full_name)
            return {"RequestId": self._request_id, **operation.handler(call)}, None
        except ApiError as refusal:
            return {}, refusal

    def _turned_away(self, operation: Operation, principal: Principal, error: ApiError) -> HttpResponse:
        if operation.writes:
            self._tell(operation, principal, {}, error)
        return self._refused(error)

    def _tell(
        self, operation: Operation, principal: Principal, answer: Mapping[str, Any], refusal: ApiError | None
    ) -> None:
        """A call that was to change something is recorded, and told of."""
        events = self._gateway.models.events
        events.tell_of_call(
            Written(
                product=PRODUCTS[operation.product],
                action=operation.name,
                parameters=self._params,
                answer=answer,
                refusal=refusal,
                principal=principal,
                request=self._request,
                region=self._region,
                now=self._now,
                request_id=self._request_id,
            )
        )
        events.tell_of_images(self._now)

    def _refused(self, error: ApiError, *, broken: bool = False) -> HttpResponse:
        title = self._product.title if self._product is not None else ""
        host = self._request.host
        document = error_document(error, request_id=self._request_id, host=host, title=title)
        return self._send(error.status, error.code, document, root="Error", broken=broken)

    def _send(
        self, status: int, code: str, document: Mapping[str, Any], *, root: str, broken: bool = False
    ) -> HttpResponse:
        body = as_xml(document, root=root) if self._xml else as_json(document)
        self._log(status, code)
        return HttpResponse(
            status=status,
            body=body[: len(body) // 2] if broken else body,
            content_type=XML_TYPE if self._xml else JSON_TYPE,
            request_id=self._request_id,
            wait=self._gateway.world.latency.seconds,
        )

    def _dropped(self, kind: str) -> HttpResponse:
        self._log(0, kind)
        return self._gateway.dropped(kind, self._principal)

    def _log(self, status: int, code: str) -> None:
        self._gateway.log(
            self._principal,
            self._request,
            time=self._now,
            product=self._product.name if self._product is not None else "",
            action=self._action,
            region=self._region,
            status=status,
            code=code,
            request_id=self._request_id,
        )


def _check_trails(world: World, stack: Stack) -> None:
    """A trail needs its bucket, in the world or in the template."""
    for name, trail in world.events.trails.items():
        if trail.bucket not in world.buckets and trail.bucket not in stack.buckets:
            raise WorldError(f'events.trails.{name}.bucket: no bucket "{trail.bucket}"')


def _ordered_error(rule: FaultRule) -> ApiError:
    """The refusal that a fault of kind throttle or error makes."""
    return rule.refusal(GATEWAY.error("Throttling.User" if rule.fault.kind == "throttle" else "InternalError"))


def _request_id(random: random_module.Random) -> str:
    """A UUID in upper case, as the vendor writes them."""
    digits = f"{random.getrandbits(128):032X}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
