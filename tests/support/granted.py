"""A deployment as a template makes it: roles in three accounts, a session of the functions, a bucket for the state.

Each role has exactly the permissions that the project grants, or fewer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from orgshare.alibaba.cloud import Credentials
from orgshare.alibaba.messages import Topic
from orgshare.alibaba.storage import ObjectStorage
from orgshare.permissions import policy_document
from orgshare.ports import ObjectStore
from orgshare.record.state import State
from orgshare.settings import Settings
from orgshare.way.runtime import Runtime
from tests.support.functions import functions
from tests.support.trial import MANAGEMENT, OWNER, REGION, URL, Trial, policy, world

RUNNER = "1000000000000020"
READER_ROLE = f"acs:ram::{MANAGEMENT}:role/reader"
OWNER_ROLE = f"acs:ram::{OWNER}:role/orgshare"
RUNNER_ROLE = f"acs:ram::{RUNNER}:role/orgshare-function"
BUCKET, PREFIX = "acme-orgshare", "state"
FUNCTION_COMPUTE = "fc.aliyuncs.com"
WORKER, TOPIC = "acme-worker", f"acs:mns:{REGION}:{RUNNER}:/topics/acme-notices"
"""Of the small template that stands for what is deployed."""

Policies = Mapping[str, Mapping[str, Any]]
"""The policy document of each bearer, or of each role."""


def granted() -> Policies:
    """The policies that the project grants, for the accounts of this trial."""
    return {
        "owner": policy_document("owner", account=OWNER),
        "directory": policy_document("directory", account=MANAGEMENT),
        "runner": policy_document("runner", roles=(READER_ROLE, OWNER_ROLE), bucket=BUCKET, prefix=PREFIX),
        "functions": policy_document("functions", worker=f"acs:fc:{REGION}:{RUNNER}:functions/{WORKER}", topic=TOPIC),
    }


class Right(NamedTuple):
    """One action on one thing, of one bearer."""

    bearer: str
    action: str
    on: str


def rights(policies: Policies) -> list[Right]:
    """Everything that these policies allow, one by one."""
    return [
        Right(bearer, action, resource)
        for bearer, document in policies.items()
        for statement in document["Statement"]
        for action in statement["Action"]
        for resource in statement["Resource"]
    ]


def without(policies: Policies, gone: Right) -> Policies:
    """The policies with one right less."""
    kept: dict[str, list[Right]] = {bearer: [] for bearer in policies}
    for right in rights(policies):
        if right != gone:
            kept[right.bearer].append(right)
    return {
        bearer: {
            "Version": "1",
            "Statement": [{"Effect": "Allow", "Action": [r.action], "Resource": [r.on]} for r in each],
        }
        for bearer, each in kept.items()
    }


class Deployment(Trial):
    """A trial that runs as a function does: a session of its role, other roles for the rest, the state in a bucket."""

    def __init__(self, folder: Path, policies: Policies) -> None:
        base = world()
        base["directory"]["members"][RUNNER] = {"name": "functions", "folder": "root"}
        base["directory"]["folders"]["fd-empty"] = {"name": "empty", "parent": "root"}
        super().__init__(
            folder,
            world={
                **base,
                "roles": {
                    READER_ROLE: {"trusts": [RUNNER], "policies": documents(policies["directory"])},
                    OWNER_ROLE: {"trusts": [RUNNER], "policies": documents(policies["owner"])},
                    RUNNER_ROLE: {
                        "trusts_services": [FUNCTION_COMPUTE],
                        "policies": [*documents(policies["runner"]), *documents(policies["functions"])],
                    },
                },
                "functions": {**functions("worker.yml"), "account": RUNNER},
                "buckets": {BUCKET: {"owner": RUNNER, "region": REGION}},
            },
        )

    def write_policy(self, document: Mapping[str, Any]) -> None:
        """Put another policy in place, which reaches the owner through its role."""
        owners = [{"role": OWNER_ROLE, **owner} for owner in document["owners"]]
        super().write_policy({**document, "owners": owners, "state": f"oss://{BUCKET}/{PREFIX}"})

    def want(self, *rules: Mapping[str, Any], **more: Any) -> None:
        """Let the policy have these rules."""
        self.write_policy(policy(rules=[dict(one) for one in rules], **more))

    def store(self) -> ObjectStore:  # type: ignore[override]  # the other implementation of what a state needs
        """The state's bucket, as the function reaches it."""
        return ObjectStorage(
            BUCKET,
            PREFIX,
            credentials=self._credentials(),
            calls=self.calls(),
            run=f"r{self.runs}",
            local_cloud=URL,
        )

    def settings(self) -> Settings:
        """What a function's environment says here."""
        return Settings(
            policy="",
            local_cloud=URL,
            credentials=self._credentials(),
            notices=Topic.parse(TOPIC),
            worker=WORKER,
            account=RUNNER,
            region=REGION,
        )

    def runtime(self, *, key: str = "", secret: str = "", state: State | None = None) -> Runtime:
        """What a run needs, with the keys that Function Compute hands to it."""
        del key, secret
        self.runs += 1
        return self.runtime_of(self.read_policy(), self._credentials(), state or self.state())

    def _credentials(self) -> Credentials:
        keys = self.cloud.keys_for_service(FUNCTION_COMPUTE, RUNNER_ROLE, name="function", seconds=36 * 3600)
        return Credentials(keys.access_key, keys.secret, keys.token)


def documents(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A list of one policy; of none, if it allows nothing."""
    return [document] if document["Statement"] else []
