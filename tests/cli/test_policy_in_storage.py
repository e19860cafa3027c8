"""A policy in object storage: read like a file, for the command line and for functions, and every error names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from orgshare.cli.invoking import functions_folder
from orgshare.policy.yaml_places import MAX_BYTES
from tests.cli.conftest import Shell
from tests.support.trial import MANAGEMENT, OTHER_REGION, OWNER, REGION, A, B, policy, world

Make = Callable[..., Shell]
PLACE = "oss://acme-policy/team/policy.yaml"
WANTED = {image: {A, B} for image in ("m-bronze", "m-gold", "m-silver")}


@pytest.fixture
def stored(shell: Make) -> Callable[..., Shell]:
    """Make deployments whose policy lies in a bucket of another region, and whose state in one of ours."""

    def make(text: str | None = None, **changes: Any) -> Shell:
        buckets = {
            "acme-policy": {"owner": OWNER, "region": OTHER_REGION},
            "acme-state": {"owner": OWNER, "region": REGION},
            "others": {"owner": MANAGEMENT, "region": REGION},
        }
        run = shell(begun=False, world=world(buckets=buckets))
        run.environment["ORGSHARE_POLICY"] = PLACE
        document = policy(state="oss://acme-state/orgshare", **changes)
        put(run, yaml.safe_dump(document, sort_keys=False) if text is None else text)
        return run

    return make


def put(run: Shell, text: str) -> None:
    """Put a policy into the bucket, as a person would."""
    run.trial.cloud._gateway.models.storage.put_thing(
        "acme-policy", "team/policy.yaml", text.encode(), "text/yaml", new=False, now=run.trial.cloud.clock.now()
    )


def test_commands_and_functions_read_the_policy_in_a_bucket(
    stored: Callable[..., Shell], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From validate to a handler, and what is changed there holds from the next run on."""
    run = stored()
    assert run("validate").lines == [f"{PLACE}: in order: deployment trial, mode enforce, 1 rule, 1 owner"]
    assert run("init").status == 0
    assert run("doctor").status == 0
    assert run("pause").status == run("resume").status == 0
    assert run("apply", "--yes").status == 0
    assert run.trial.access() == WANTED
    put(run, yaml.safe_dump(policy(state="oss://acme-state/orgshare", mode="observe")))
    event = run.trial.folder / "event.json"
    event.write_text('{"triggerTime": "2026-11-21T12:00:00Z", "triggerName": "sweep", "payload": ""}')
    assert functions_folder().is_dir()
    assert run("invoke", "reconcile", str(event), "--json").json["mode"] == "observe"


@pytest.mark.parametrize("command", [["validate"], ["doctor"], ["plan"], ["pause"], ["init"]])
def test_mistakes_name_the_place_in_the_object(stored: Callable[..., Shell], command: list[str]) -> None:
    """As they do in a file, a line for each."""
    run = stored(yaml.safe_dump(policy(state="file:state", mode="maybe"), sort_keys=False))
    ran = run(*command)
    assert (ran.status, ran.out) == (2, "")
    assert [line.partition(" got")[0] for line in ran.errors] == [
        f"{PLACE}:3: mode:",
        f'{PLACE}:4: state: "file:state" is relative to a folder, and this policy lies in none; expected '
        "oss://bucket/prefix",
    ]


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("oss://acme-policy/none.yaml", "there is no such object; expected a policy file"),
        ("oss://nobodys/policy.yaml", "oss:GetObject: NoSuchBucket: "),
        ("oss://others/policy.yaml", "oss:GetObject: AccessDenied: "),
        ("oss://acme-policy", "no policy can be there; expected oss://bucket/key or a file"),
        ("oss:///policy.yaml", "no policy can be there; expected oss://bucket/key or a file"),
    ],
)
def test_a_policy_that_cannot_be_read(stored: Callable[..., Shell], place: str, why: str) -> None:
    """One line that names it, status 2; what may be a permission says which."""
    run = stored()
    ran = run("plan", "--policy", place)
    assert (ran.status, ran.out) == (2, "")
    (line,) = ran.errors
    assert line.startswith(f"{place}: {why}")
    if "oss:GetObject" in why:
        assert line.endswith(f"oss:GetObject allowed on acs:oss:*:*:{place.removeprefix('oss://')}")


def test_a_policy_that_is_too_large_is_not_read(stored: Callable[..., Shell]) -> None:
    """The bound is that of a file."""
    ran = stored("#" * (MAX_BYTES + 1))("validate")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith(f"{PLACE}: larger than {MAX_BYTES:,} bytes; expected a policy file")


@pytest.mark.parametrize(("kind", "status"), [("no-answer", 2), ("error", 1)])
def test_storage_that_does_not_answer(stored: Callable[..., Shell], kind: str, status: int) -> None:
    """No answer at all means that nobody is there; a fault of the service is a failure."""
    run = stored()
    run.trial.patch(faults=[{"operation": "oss:GetObject", "kind": kind, "every": 1}])
    ran = run("validate")
    assert (ran.status, ran.out) == (status, "")
    assert ran.err.startswith(f"{PLACE}: cannot be read: oss:GetObject: ")


def test_a_policy_in_a_bucket_takes_credentials(stored: Callable[..., Shell]) -> None:
    """Even to validate it."""
    run = stored()
    del run.environment["ALIBABA_CLOUD_ACCESS_KEY_ID"]
    ran = run("validate")
    assert (ran.status, ran.out) == (2, "")
    assert "no credentials" in ran.err
