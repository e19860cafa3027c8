"""The functions of a template as they are deployed, with the very roles that the templates make, in this process.

The local cloud reads the template: its environment, its triggers, its roles. Only what runs a function is another: no
process, but the function's code here, with the keys that Function Compute takes in the function's role. So what a role
lacks is missed here as it would be there.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import msgspec

from deploy.reading import Template, read, write
from deploy.resolving import text_of
from localcloud import LocalCloud, ManualClock
from localcloud.fc.instances import UNHANDLED, Ask, Launch, Outcome, Workshop
from localcloud.fc.models import Invocation
from localcloud.inprocess import in_process
from localcloud.ros.stack import read_stack
from localcloud.world import parse_world
from orgshare.alibaba.cloud import Credentials
from orgshare.alibaba.functions import worker_function
from orgshare.alibaba.storage import ObjectStorage
from orgshare.handling import Site, respond
from orgshare.record.state import State, begin, open_state
from orgshare.settings import KEY, LOCAL_CLOUD, SECRET, TOKEN, Settings, read_settings
from orgshare.way.runtime import Runtime
from orgshare.wiring import load_policy, make_notices, make_workers
from tests.support.granted import BUCKET, FUNCTION_COMPUTE, PREFIX, RUNNER, Policies, documents
from tests.support.objects import Objects
from tests.support.trial import MANAGEMENT, OWNER, REGION, START, URL, Inline, Trial, policy, world

ROOT = Path(__file__).parents[2]
NAMES = ("membership", "image", "reconcile", "worker")
READER_ROLE = f"acs:ram::{MANAGEMENT}:role/orgshare-directory-reader"
OWNER_ROLE = f"acs:ram::{OWNER}:role/orgshare-owner"
WORKER_ROLE = f"acs:ram::{RUNNER}:role/orgshare-worker"
FURTHER_REGION = "template-region.yml"
ROOT_KEY = "LOCALFUNCTIONS"
TRAIL_BUCKET = "acme-audit-trail"
TOPIC = "topics/orgshare-notices"
OWN, THEIRS = ("m-own", "m-own-2", "m-own-3"), ("m-gold", "m-silver", "m-bronze")
"""Images of the functions' account, and those that it reaches by a role."""

_ROLES, _POLICIES = "ALIYUN::RAM::Role", "ALIYUN::RAM::ManagedPolicy"


def template_policies(name: str) -> Policies:
    """What each role may do that a template of the functions makes, with the roles of the other two accounts."""
    own = _roles(RUNNER, name, _parameters(name))
    others = {"directory": "template-management.yml", "owner": "template-owner.yml"}
    accounts = {"directory": MANAGEMENT, "owner": OWNER}
    for bearer, file in others.items():
        (role,) = _roles(accounts[bearer], file, {"FunctionsAccount": RUNNER}).values()
        own[bearer] = role
    return own


def _roles(account: str, name: str, parameters: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Each role of a template by the end of its name, with all that its policies allow as one document."""
    with tempfile.TemporaryDirectory() as code:
        wish = _wish(account, ROOT / name, Path(code), parameters)
        stack = read_stack(parse_world({**_base(), "functions": wish}))
    return {
        arn.rpartition("/")[2].removeprefix("orgshare-"): {
            "Version": "1",
            "Statement": [
                msgspec.to_builtins(statement) for each in role.policies or () for statement in each.statement
            ],
        }
        for arn, role in stack.roles.items()
    }


def _parameters(name: str) -> dict[str, Any]:
    common = {"Mode": "enforce", "StateBucket": BUCKET, "CodeBucket": "code", "CodeFolder": "orgshare/1"}
    if name == FURTHER_REGION:
        return {**common, "WorkerRoleArn": WORKER_ROLE}
    return {
        **common,
        "DirectoryReaderRole": READER_ROLE,
        "OwnerRoles": OWNER_ROLE,
        "EventSenders": f"{MANAGEMENT}@eventbridge.aliyuncs.com",
        "TrailBucket": TRAIL_BUCKET,
        "SweepSchedule": "@every 1440m",
        "WatchMinutes": 60,
    }


def _wish(account: str, template: Path, code: Path, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A template for the local cloud; ``code`` gets a folder for each package, as nothing is loaded from there."""
    for package in (*NAMES, "layer-python3.10", "fc2-python3.10"):
        (code / package).mkdir(exist_ok=True)
    return {
        "template": str(template),
        "account": account,
        "region": REGION,
        "code": str(code),
        "parameters": dict(parameters),
    }


def _base() -> dict[str, Any]:
    base = world(regions=[REGION])
    base["directory"]["members"][RUNNER] = {"name": "functions", "folder": "root"}
    base["directory"]["folders"]["fd-empty"] = {"name": "empty", "parent": "root"}
    base["access_keys"][ROOT_KEY] = {"secret": "local", "account": RUNNER}
    base["images"] |= {
        image: {"owner": RUNNER, "region": REGION, "name": image, "tags": {"share": "org"}} for image in OWN
    }
    base["buckets"] = {TRAIL_BUCKET: {"owner": RUNNER, "region": REGION}}
    return base


def _with_policies(template: Template, policies: Policies) -> Mapping[str, Any]:
    """A template whose roles may do exactly this, whatever it says itself."""
    resources = dict(template.section("Resources"))
    for place, properties in (*template.resources(_ROLES), *template.resources(_POLICIES)):
        own: dict[str, Any] = {"Roles": []}
        if "RoleName" in properties:
            role = text_of(template, properties["RoleName"]).removeprefix("orgshare-")
            named = documents(policies[role])
            own = {"Policies": [{"PolicyName": "own", "PolicyDocument": each} for each in named]}
        resources[str(place[1])] = {**resources[str(place[1])], "Properties": {**properties, **own}}
    return {**template.document, "Resources": resources}


class Deployed(Trial):
    """A trial of what a template deploys, where things happen by events and timers alone.

    ``said`` is what the functions logged and answered, ``ran`` which of them ran, in their order.
    """

    def __init__(self, folder: Path, name: str, policies: Policies) -> None:
        self.failing: set[str] = set()
        self.ever_failing: set[str] = set()
        self.said: list[str] = []
        self.ran: list[str] = []
        varied = folder / name
        varied.write_text(write(_with_policies(read(ROOT / name), policies)))
        code = folder / "code"
        code.mkdir()
        document = _base()
        document["roles"] = {
            READER_ROLE: {"trusts": [RUNNER], "policies": documents(policies["directory"])},
            OWNER_ROLE: {"trusts": [RUNNER], "policies": documents(policies["owner"])},
        }
        if name == FURTHER_REGION:  # the main stack, in another region, has made these
            worker = {"trusts_services": [FUNCTION_COMPUTE], "policies": documents(policies["worker"])}
            document["roles"][WORKER_ROLE] = worker
            document["buckets"][BUCKET] = {"owner": RUNNER, "region": REGION}
        document["functions"] = _wish(RUNNER, varied, code, _parameters(name))
        self.cloud = LocalCloud.from_world(
            document, clock=ManualClock(START), random=Random(1), start_instance=self._start
        )
        self.in_services = name == "template-fc2.yml"
        self.folder, self.seed, self.runs = folder, 1, 0

    def write_policy(self, document: Mapping[str, Any]) -> None:
        """Put another policy where the functions read it."""
        owners = [
            {"account": OWNER, "role": OWNER_ROLE, "regions": "all"},
            {"account": RUNNER, "regions": "all"},
        ]
        directory = {"account": MANAGEMENT, "role": READER_ROLE}
        state = f"oss://{BUCKET}/{PREFIX}"
        whole = {**document, "owners": owners, "directory": directory, "state": state}
        Objects(key=ROOT_KEY, region=REGION, bucket=BUCKET).put("policy.yaml", json.dumps(whole).encode())

    def want(self, *rules: Mapping[str, Any], **more: Any) -> None:
        """Let the policy have these rules."""
        self.write_policy(policy(rules=[dict(one) for one in rules], **more))

    def begin(self) -> State:
        """Begin the state, as the person does who sets an installation up."""
        return begin(self._store(self._root()), deployment="trial", directory="rd-trial", identity="x", now=self.now())

    def state(self) -> State:
        return open_state(self._store(self._root()), "trial")

    def invoke(self, function: str, event: Any) -> None:
        """Hand an event to a function, and let everything happen that comes of it."""
        name = f"orgshare-{function}/{function}" if self.in_services else f"orgshare-{function}"
        with_root = worker_function(
            name, self._root(), account=RUNNER, region=REGION, calls=self.calls(), agent="person", local_cloud=URL
        )
        with_root.invoke(json.dumps(event))
        self.cloud.drain()

    def sweep(self) -> None:
        """The timer of ``reconcile`` ticks."""
        self.invoke("reconcile", _tick("reconcile"))

    def watch(self) -> None:
        """The timer of ``membership`` ticks."""
        self.invoke("membership", _tick("watch"))

    def told(self, account: str) -> None:
        """An audit record of the directory comes, of an account that was moved."""
        parameters = {"AccountId": account}
        record = {"eventName": "MoveAccount", "serviceName": "ResourceManager", "eventId": "e"}
        self.invoke("membership", {**record, "requestParameters": parameters})

    def changed(self, image: str) -> None:
        """An image's state changed."""
        owner = self.cloud.world().images[image].owner
        content = {"imageId": image, "currentState": "Available"}
        resource = f"acs:ecs:{REGION}:{owner}:image/{image}"
        event = {"name": "Image:StateChange", "product": "ECS", "resourceId": resource, "content": content}
        self.invoke("image", event)

    def trail_file(self, key: str, content: bytes) -> None:
        """A trail delivers a file."""
        Objects(key=ROOT_KEY, region=REGION, bucket=TRAIL_BUCKET).put(key, content)
        self.cloud.drain()

    def fail(self, *functions: str) -> None:
        """Let these functions raise, whatever they are asked, and no others."""
        self.failing = set(functions)
        self.ever_failing |= self.failing

    def troubles(self) -> list[str]:
        """What the platform knows of invocations that failed, and not because they had to."""
        names = {one.function: one.function.rpartition("$")[2].removeprefix("orgshare-") for one in self._failed()}
        return [
            f"{one.function}: {one.outcome}: {one.answer}"
            for one in self._failed()
            if names[one.function] not in self.ever_failing or "DestinationFailed" in one.outcome
        ]

    def _failed(self) -> list[Invocation]:
        return [one for one in self.cloud.invocations() if one.outcome != "ok"]

    # --- how a function runs here

    def _start(self, launch: Launch, _: Workshop) -> _Instance:
        return _Instance(self, launch)

    def run(self, launch: Launch, ask: Ask) -> Outcome:
        """Run a function once, with the keys of its role."""
        function, session = launch.function, ask.session
        name = function.short_name.removeprefix("orgshare-")
        self.ran.append(name)
        if name in self.failing:
            return Outcome(b'{"errorMessage": "as asked"}', UNHANDLED)
        assert session is not None
        keys = {KEY: session.access_key, SECRET: session.secret, TOKEN: session.token}
        context = SimpleNamespace(request_id=ask.request_id, account_id=function.account, region=function.region)
        settings = read_settings({**dict(function.environment), **keys, LOCAL_CLOUD: URL}, context=context)

        def opened() -> AbstractContextManager[Runtime]:
            return nullcontext(self._runtime_of(settings))

        site = Site(opened, lambda of: make_workers(settings, of.run), executor=Inline())
        heard = io.StringIO()
        try:
            with contextlib.redirect_stderr(heard):
                answer = respond(name, ask.event, context, site=site)
        except Exception as error:  # noqa: BLE001 - the platform takes every error for a failure
            self.said += [heard.getvalue(), f"{name}: {error}"]
            return Outcome(json.dumps({"errorMessage": str(error)}).encode(), UNHANDLED)
        self.said += [heard.getvalue(), answer]
        return Outcome(answer.encode())

    def _runtime_of(self, settings: Settings) -> Runtime:
        """What ``wiring.runtime`` makes, in this thread and on the cloud's clock."""
        self.runs += 1
        of = load_policy(settings.policy, lambda: settings).at_most(settings.mode)
        state = open_state(self._store(settings.credentials), of.deployment)
        return self.runtime_of(of, settings.credentials, state, make_notices(settings, f"r{self.runs}"))

    def _store(self, credentials: Credentials) -> ObjectStorage:
        return ObjectStorage(
            BUCKET, PREFIX, credentials=credentials, calls=self.calls(), run=f"r{self.runs}", local_cloud=URL
        )

    @staticmethod
    def _root() -> Credentials:
        return Credentials(ROOT_KEY, "local")


class _Instance:
    def __init__(self, of: Deployed, launch: Launch) -> None:
        self._of, self._launch = of, launch

    def call(self, ask: Ask) -> Outcome:
        return self._of.run(self._launch, ask)

    def end(self) -> None:
        """Nothing is left of it."""


def _tick(task: str) -> dict[str, str]:
    return {"triggerName": task, "triggerTime": "2026-11-21T12:00:00Z", "payload": json.dumps({"task": task})}


@contextlib.contextmanager
def deployed(name: str, policies: Policies) -> Iterator[Deployed]:
    """What a template deploys, with these policies; its calls reach the local cloud."""
    with tempfile.TemporaryDirectory() as folder:
        made = Deployed(Path(folder), name, policies)
        with in_process(made.cloud, sleep=lambda _: None):
            yield made


def things(policies: Policies) -> dict[tuple[str, str, str], Policies]:
    """Every (role, action, thing), and the policies without it. A function's versions are the function."""
    found: dict[tuple[str, str, str], Policies] = {}
    for role, document in policies.items():
        parts = sorted({(a, thing_of(r)) for a, r in _pairs(document["Statement"])})
        for action, thing in parts:
            kept = [
                {"Effect": "Allow", "Action": [a], "Resource": [r]}
                for a, r in _pairs(document["Statement"])
                if (a, thing_of(r)) != (action, thing)
            ]
            found[role, action, thing] = {**policies, role: {"Version": "1", "Statement": kept}}
    return found


def _pairs(statements: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for statement in statements:
        for action in statement["Action"]:
            for resource in statement["Resource"]:
                yield action, resource


def thing_of(resource: str) -> str:
    """What a resource of a policy is: a function, whichever version of it."""
    return re.sub(r"services/([^/]+)\.\*/", r"services/\1/", re.sub(r"(:functions/[^/]+)/\*$", r"\1", resource))
