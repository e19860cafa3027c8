"""The whole command line with a state in object storage."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from localcloud import LogEntry
from orgshare.alibaba.cloud import Credentials
from orgshare.policy.loading import load
from orgshare.record.state import open_state
from orgshare.settings import Settings
from orgshare.wiring import make_calls, make_store
from orgshare.words import Shard
from tests.cli.conftest import Shell
from tests.support.channels import LATER, by_shares
from tests.support.trial import MANAGEMENT, OTHER_REGION, OWNER, REGION, URL, A, B, C, D, E, policy, rule, world

Make = Callable[..., Shell]
HERE = f"ecs/{OWNER}/{REGION}"
IMAGES = ("m-bronze", "m-gold", "m-silver")
NEAR, FAR = "acme-state", "acme-far"
BUCKETS = {
    NEAR: {"owner": OWNER, "region": REGION},
    FAR: {"owner": OWNER, "region": OTHER_REGION},
    "acme-enabled": {"owner": OWNER, "region": REGION, "versioning": "enabled"},
    "acme-suspended": {"owner": OWNER, "region": REGION, "versioning": "suspended"},
    "others-state": {"owner": MANAGEMENT, "region": REGION},
}


def in_bucket(bucket: str = NEAR, prefix: str = "orgshare/state", **changes: Any) -> dict[str, Any]:
    return policy(state=f"oss://{bucket}/{prefix}", **changes)


@pytest.fixture
def begun(shell: Make) -> Callable[..., Shell]:
    """Make deployments whose state lies in a bucket; not begun yet."""

    def make(*, switches: dict[str, str] | None = None, **changes: Any) -> Shell:
        document = world(buckets=BUCKETS, switches=switches or {})
        return shell(begun=False, world=document, policy=in_bucket(**changes))

    return make


def everywhere(*accounts: str) -> dict[str, set[str]]:
    return {image: set(accounts) for image in IMAGES}


def objects(run: Shell, bucket: str = NEAR, prefix: str = "orgshare/state") -> list[str]:
    """The names directly in the state, and its folders."""
    of = load(run.policy)
    settings = Settings(run.policy, URL, Credentials("LOCALIMAGES", "local"))
    assert of.state == f"oss://{bucket}/{prefix}"
    store = make_store(of, settings, "look", make_calls())
    return sorted([each.name for each in store.listed("").objects] + store.folders(""))


@pytest.mark.parametrize(
    ("bucket", "switches"),
    [(NEAR, {}), (FAR, {"bucket_elsewhere": "AccessDenied"}), (FAR, {"bucket_elsewhere": "PermanentRedirect"})],
    ids=["the same region", "another region", "another region, redirected"],
)
def test_from_init_to_history(begun: Callable[..., Shell], bucket: str, switches: dict[str, str]) -> None:
    """Every command does its work, wherever the bucket is: nobody says in which region."""
    run = begun(bucket=bucket, switches=switches)
    run.environment["LOGNAME"] = "ann"
    where = f"state oss://{bucket}/orgshare/state"
    assert run("plan").errors == [
        f"Error: {where}: it is not begun; run «orgshare init» once, or «orgshare init --recover» if there was one "
        "that was lost, or correct the key state of the policy"
    ]
    assert run("init").lines == [f"{where}: begun: deployment trial, directory rd-trial"]
    assert run("init").lines == [f"{where}: was begun already, nothing was done: deployment trial, directory rd-trial"]
    assert run("plan").status == 3
    assert run("apply", "--yes").status == 0
    assert run("plan").status == 0
    assert run.trial.access() == everywhere(A, B)
    assert run("status").lines[-1] == "3 images, 6 of 6 pairs in step (6 directly)"
    assert run("explain", "m-gold", A).lines[0] == "YES"
    assert run("who", "m-gold").lines[1] == "2 accounts can use it"
    run.trial.write_policy(in_bucket(bucket, rules=[rule(folders=["fd-test"])]))
    assert run("apply", "--yes").status == 3
    (held,) = run("holds", "--json").json["held"]
    assert run("reject", held["id"]).status == 0
    assert run("holds").lines == ["nothing is held"]
    run.trial.write_policy(in_bucket(bucket))
    run("apply", "--yes")
    run.trial.write_policy(in_bucket(bucket, rules=[rule(folders=["fd-test"])]))
    run("apply", "--yes")
    (held,) = run("holds", "--json").json["held"]
    assert run("approve", held["id"], "--reason", "moved").status == 0
    assert run("pause").lines == ["everything is paused by ann since 2026-11-21 12:00 UTC"]
    assert run("apply", "--yes").status == 3
    assert run("resume").lines == ["nothing is paused"]
    assert run("apply", "--yes").status == 0
    assert run.trial.access() == everywhere(C, D)
    history = run("history", "--json").json["history"]
    assert {(row["account"], row["what"]) for row in history} >= {(A, "gained"), (A, "lost"), (D, "gained")}
    assert objects(run, bucket) == ["deployment.json", *(
        f"{name}" for name in ("guard", "history", "organization", "pause", "runs", "shards", "views")
    )]  # fmt: skip


def test_a_lost_state_is_recovered(begun: Callable[..., Shell]) -> None:
    """Another prefix is an empty state: recovered there, the rows of the resource share are ours again."""
    auto = [rule(channel="auto")]
    run = begun(rules=auto)
    run("init")
    for _ in range(3):
        run("apply", "--yes")
        run.trial.cloud.advance(LATER)
    run.trial.write_policy(in_bucket(prefix="second", rules=auto))
    assert run("init", "--recover", "--json").json["recovered"] == {"shares": 1, "rows": 5, "gone": 0, "copies": 0}
    run.trial.cloud.advance(LATER)
    assert (run("apply", "--yes").status, run("plan").status) == (0, 0)
    assert by_shares(run.trial) == everywhere(A, B)


def test_an_orphaned_shard_is_released(begun: Callable[..., Shell]) -> None:
    """Release works on the state alone, but that lies in the cloud: it needs credentials and asks nothing else."""
    run = begun()
    run("init")
    run("apply", "--yes")
    run.trial.write_policy(in_bucket(owners=[{"account": OWNER, "regions": [OTHER_REGION]}]))
    asked: list[LogEntry] = []
    run.trial.cloud.on_request(asked.append)
    assert run("release", HERE, "--yes", "--json").json == {"released": {"shard": HERE, "grant": 6}}
    assert {entry.product.lower() for entry in asked} == {"oss"}
    assert run.trial.access() == everywhere(A, B)


EVERY_COMMAND = (
    ["plan"], ["apply", "--yes"], ["status"], ["explain", "m-gold", A], ["who", "m-gold"], ["who", "--account", A],
    ["history"], ["holds"], ["approve", "h-1"], ["reject", "h-1"], ["pause"], ["resume"], ["release", HERE, "--yes"],
    ["retire", "--shard", f"ecs/{OWNER}/eu-central-1", "--yes"], ["init"], ["init", "--recover"],
)  # fmt: skip


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=" ".join)
@pytest.mark.parametrize(
    ("bucket", "why"),
    [
        ("acme-none", "NoSuchBucket: .*; create the bucket, without versioning, or mend its name in the policy"),
        (
            "others-state",
            "AccessDenied: .*; .* has to allow oss:.*; they need oss:PutObject, .* for acs:oss:.*:others-state",
        ),
    ],
    ids=["no such bucket", "no permission"],
)
def test_a_bucket_that_cannot_be_used(begun: Callable[..., Shell], bucket: str, why: str, command: list[str]) -> None:
    """Every command ends with 2 and one line that says what to mend, and nothing was done anywhere."""
    run = begun(bucket=bucket)
    ran = run(*command, "--json")
    assert (ran.status, ran.out) == (2, "")
    (line,) = [line for line in ran.errors if line.startswith("Error: ")]
    assert line.startswith(f"Error: state oss://{bucket}/orgshare/state: oss:")
    assert re.search(why, line)
    assert run.trial.access() == everywhere()


@pytest.mark.parametrize(("bucket", "status"), [("acme-enabled", "Enabled"), ("acme-suspended", "Suspended")])
@pytest.mark.parametrize("command", [["init"], ["init", "--recover"]], ids=" ".join)
def test_a_bucket_with_versioning_is_refused(
    begun: Callable[..., Shell], bucket: str, status: str, command: list[str]
) -> None:
    """A put would overwrite there, so no state is begun in it."""
    run = begun(bucket=bucket)
    ran = run(*command, "--json")
    assert (ran.status, ran.out) == (2, "")
    assert f"versioning of the bucket is {status}" in ran.err
    assert objects(run, bucket) == []


@pytest.mark.parametrize("command", [["holds"], ["history"], ["pause"], ["release", HERE, "--yes"]], ids=" ".join)
def test_without_credentials_the_state_cannot_be_reached(begun: Callable[..., Shell], command: list[str]) -> None:
    """What needs no credentials for a folder needs them for a bucket, and says which."""
    run = begun()
    run("init")
    del run.environment["ALIBABA_CLOUD_ACCESS_KEY_SECRET"]
    ran = run(*command)
    assert (ran.status, ran.out) == (2, "")
    assert ran.errors[0].startswith("Error: no credentials: set ALIBABA_CLOUD_ACCESS_KEY_ID")


@pytest.mark.parametrize("fault", ["throttle", "error", "no-answer", "lost-answer"])
def test_a_state_that_stutters_loses_nothing(begun: Callable[..., Shell], fault: str) -> None:
    """With every fifth call to the bucket going wrong, everything is carried out and known for ours."""
    run = begun()
    run("init")
    run.trial.patch(faults=[{"operation": "oss:*", "kind": fault, "every": 5}])
    assert run("apply", "--yes").status == 0
    run.trial.patch(faults=[])
    assert run.trial.access() == everywhere(A, B)
    settings = Settings(run.policy, URL, Credentials("LOCALIMAGES", "local"))
    state = open_state(make_store(load(run.policy), settings, "look", make_calls()), "trial")
    ledger = state.read(Shard.parse(HERE)).ledger
    assert {image: set(entries) for image, entries in ledger.grants.items()} == everywhere(A, B)


@pytest.mark.parametrize("operation", ["oss:PutObject", "oss:GetObject", "oss:ListObjectsV2"])
def test_a_state_that_stops_answering_stops_the_run(begun: Callable[..., Shell], operation: str) -> None:
    """A run whose state does not answer writes nothing to the cloud from then on; the next one finishes."""
    run = begun()
    run("init")
    run.trial.patch(faults=[{"operation": operation, "kind": "error", "every": 1}])
    ran = run("apply", "--yes", "--json")
    assert ran.status == 1
    assert run.trial.access() == everywhere()
    run.trial.patch(faults=[])
    run.trial.move(E, "fd-prod")
    assert run("apply", "--yes").status == 0
    assert run.trial.access() == everywhere(A, B, E)
