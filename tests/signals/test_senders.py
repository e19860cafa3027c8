"""Whose events are worth a look: the management account's for membership, the owners' for images."""

from __future__ import annotations

from typing import Any

import pytest

from orgshare.policy.model import Audience, DirectoryReader, ImageSelector, Owner, Policy, Rule
from orgshare.signals import ImageAt, Parsed, Senders, Signal, parse, senders_of, with_copies, worker_request
from tests.signals.events import MANAGEMENT, OWNER, envelope, payload, record, state_change, timer

OURS = Senders(MANAGEMENT, frozenset({OWNER, "1000000000000004"}))
STRANGER = "9000000000000009"


def _trail(one: dict[str, Any], **more: object) -> dict[str, Any]:
    service = "ecs" if one["serviceName"] == "Ecs" else "resourcemanager"
    return envelope(f"{service}:ActionTrail:ApiCall", one, **more)


def _moved(**more: Any) -> dict[str, Any]:
    return record("MoveAccount", "ResourceManager", requestParameters={"AccountId": "3"}, **more)


def _deleted(**more: Any) -> dict[str, Any]:
    return record("DeleteImage", requestParameters={"ImageId": "m-1"}, **more)


def _change(**more: Any) -> dict[str, Any]:
    return envelope("ecs:Image:StateChange", {"imageId": "m-1", "currentState": "Available"}, **more)


@pytest.mark.parametrize(
    "event",
    [
        _moved(),
        _moved(recipientAccountId=None, userIdentity={"accountId": MANAGEMENT}),
        _trail(_moved(), aliyunaccountid=MANAGEMENT),
        _trail(_moved(), aliyunaccountid=OWNER, aliyunoriginalaccountid=MANAGEMENT),
        _trail(_moved(recipientAccountId=None), aliyunaccountid=MANAGEMENT),
        _deleted(),
        _trail(_deleted(), aliyunaccountid=OWNER, aliyunoriginalaccountid=OWNER),
        _trail(_deleted(recipientAccountId="1000000000000004"), aliyunaccountid=OWNER),
        _change(aliyunaccountid=OWNER),
        _change(aliyunaccountid=STRANGER, aliyunoriginalaccountid=OWNER),
        _change(aliyunaccountid=MANAGEMENT, subject=f"acs:ecs:cn-hangzhou:{OWNER}:image/m-1"),
        state_change({"imageId": "m-1"}, userId=OWNER),
    ],
)
def test_that_ours_are_looked_at(event: object) -> None:
    """The expected account, wherever the event says it and whoever forwarded it: the look is the same as anybody's."""
    parsed = parse(payload(event), OURS)
    assert not parsed.ignored
    assert parsed == parse(payload(event))
    assert not parsed.signal.empty


@pytest.mark.parametrize(
    "event",
    [
        _moved(recipientAccountId=None),
        _moved(recipientAccountId=None, userIdentity={"type": "system"}),
        _deleted(recipientAccountId=None),
        _change(),
        state_change({"imageId": "m-1"}),
        record("AcceptHandshake", "ResourceManager", recipientAccountId=None),
    ],
)
def test_that_what_does_not_say_whose_it_is_passes(event: object) -> None:
    """A look at nothing costs little, and one that was missed costs a delay."""
    assert not parse(payload(event), OURS).signal.empty


MOVED = "foreign: ResourceManager MoveAccount (event e-1): {} is not the management account 1000000000000001"
DELETED = "foreign: Ecs DeleteImage (event e-1): {} is no owner of the policy"
CHANGED = "foreign: Image:StateChange of m-1 to Available (event e-1): {} is no owner of the policy"


@pytest.mark.parametrize(
    ("event", "because"),
    [
        (_moved(recipientAccountId=STRANGER), MOVED.format(STRANGER)),
        (_moved(recipientAccountId=OWNER), MOVED.format(OWNER)),
        (_moved(recipientAccountId=None, userIdentity={"accountId": STRANGER}), MOVED.format(STRANGER)),
        (_trail(_moved(), aliyunaccountid=MANAGEMENT, aliyunoriginalaccountid=STRANGER), MOVED.format(STRANGER)),
        (_trail(_moved(recipientAccountId=None), aliyunaccountid=STRANGER), MOVED.format(STRANGER)),
        (_deleted(recipientAccountId=MANAGEMENT), DELETED.format(MANAGEMENT)),
        (_trail(_deleted(), aliyunoriginalaccountid=STRANGER), DELETED.format(STRANGER)),
        (_change(aliyunaccountid=STRANGER), CHANGED.format(STRANGER)),
        (
            _change(aliyunoriginalaccountid=STRANGER, subject=f"acs:ecs:cn-hangzhou:{OWNER}:image/m-1"),
            CHANGED.format(STRANGER),
        ),
        (
            _change(aliyunoriginalaccountid=OWNER, subject=f"acs:ecs:cn-hangzhou:{STRANGER}:image/m-1"),
            CHANGED.format(STRANGER),
        ),
        (
            state_change({"imageId": "m-1", "currentState": "Available"}, userId=STRANGER),
            CHANGED.format(STRANGER),
        ),
        (
            record("AssociateResourceShare", "ResourceSharing", recipientAccountId=STRANGER),
            f"foreign: ResourceSharing AssociateResourceShare (event e-1): {STRANGER} is no owner of the policy",
        ),
    ],
)
def test_that_a_foreign_event_is_dropped_with_a_reason(event: object, because: str) -> None:
    """Whoever the bus says it is from counts as well as whose it says it is; a line names who."""
    assert parse(payload(event), OURS) == Parsed(ignored=(because,))


def _accepted(**handshake: str) -> dict[str, Any]:
    answer = {"Handshake": {"TargetType": "Account", "TargetEntity": STRANGER, **handshake}}
    return record("AcceptHandshake", "ResourceManager", recipientAccountId=STRANGER, responseElements=answer)


def test_that_whoever_accepted_our_invitation_is_looked_at() -> None:
    """The record belongs to an account that was a stranger until that moment."""
    for event in (
        _accepted(MasterAccountId=MANAGEMENT),
        _accepted(),
        _trail(_accepted(MasterAccountId=MANAGEMENT), aliyunaccountid=OWNER, aliyunoriginalaccountid=STRANGER),
    ):
        assert parse(payload(event), OURS).signal.accounts == {STRANGER}


def test_that_whoever_accepted_anothers_invitation_is_not() -> None:
    """The handshake names the management account that invited."""
    assert parse(payload(_accepted(MasterAccountId="8")), OURS) == Parsed(
        ignored=(
            "foreign: ResourceManager AcceptHandshake (event e-1): 8 is not the management account 1000000000000001",
        )
    )


@pytest.mark.parametrize("event", [timer(""), {"orgshare": {"accounts": [STRANGER]}}])
def test_that_timers_and_our_own_requests_are_nobodys(event: object) -> None:
    """Who may call a function is decided by the platform."""
    assert parse(payload(event), OURS) == parse(payload(event))


def test_that_a_policy_says_whose_events_count() -> None:
    """The management account that it names, and all its owners."""
    policy = Policy(
        deployment="d",
        mode="observe",
        state="/state",
        directory=DirectoryReader(MANAGEMENT),
        owners=(Owner(OWNER, ("cn-hangzhou",)), Owner("1000000000000004", None)),
        rules=(),
    )
    assert senders_of(policy) == OURS


AGENT = "AlibabaCloud (Linux; x86_64) Python/3.10.14 Core/0.4.6 TeaDSL/2 orgshare/0.1.0 run/4f1d2c3b5a69"


@pytest.mark.parametrize(
    "agent",
    [AGENT, "orgshare/0.1.0 run/4f1d2c3b5a69", f"{AGENT} more", "sdk/2 (Linux)/orgshare/0.1.0 run/4f1d2c3b5a69"],
)
def test_that_our_own_call_is_one_line_and_no_look(agent: str) -> None:
    """What this program changed comes back as an event, and it knows of it already."""
    parsed = parse(payload(_deleted(userAgent=agent)))
    assert parsed == Parsed(ignored=("our own: Ecs DeleteImage of run 4f1d2c3b5a69",))


def test_that_the_calls_of_one_run_share_a_line() -> None:
    """A run that grants two hundred images is told of once."""
    calls = [_trail(_deleted(userAgent=AGENT, eventId=f"e-{number}")) for number in range(200)]
    assert parse(payload(calls)) == Parsed(ignored=("our own: Ecs DeleteImage of run 4f1d2c3b5a69",))


def test_that_an_agent_that_lost_its_end_is_ours_as_well() -> None:
    """Records may cut long texts off."""
    assert parse(payload(_deleted(userAgent="orgshare/0.1.0"))).ignored == ("our own: Ecs DeleteImage of run ?",)


@pytest.mark.parametrize("agent", [None, "", 5, "Terraform/1.9", "forgshare/1 run/2", "not-orgshare/1", "orgshare", {}])
def test_that_another_agent_is_a_reason_to_look(agent: object) -> None:
    """Only the program's own name, as a word, is its own."""
    assert parse(payload(_deleted(userAgent=agent))).signal.images


def test_that_a_failed_call_of_ours_is_a_failed_call() -> None:
    """Nothing was changed, whoever made it."""
    parsed = parse(payload(_deleted(userAgent=AGENT, errorCode="Throttling")))
    assert parsed.ignored == ("failed with Throttling: Ecs DeleteImage (event e-1)",)


@pytest.mark.parametrize(
    "name",
    [
        "AssociateResourceShare",
        "CreateResourceShare",
        "DeleteResourceShare",
        "DisassociateResourceShare",
        "UpdateResourceShare",
    ],
)
@pytest.mark.parametrize("service", ["ResourceSharing", "ResourceManager"])
def test_that_a_share_that_a_person_changed_means_its_shard(name: str, service: str) -> None:
    """What is in a share only the cloud can say, so everything of that owner in that region is looked at."""
    one = record(name, service, recipientAccountId=OWNER, requestParameters={"RegionId": "cn-beijing"})
    signal = parse(payload(one), OURS).signal
    assert [str(shard) for shard in signal.shards] == [f"ecs/{OWNER}/cn-beijing"]
    assert parse(worker_request(signal)).signal == signal


def test_that_a_share_of_nobody_is_nothing_to_look_at() -> None:
    """Without owner or region there is no shard."""
    one = record("DeleteResourceShare", "ResourceSharing", recipientAccountId=None)
    assert parse(payload(one), OURS).ignored == ("of no interest: DeleteResourceShare nowhere (event e-1)",)


def test_that_a_copy_is_looked_for_where_it_went_whoever_sees_the_call() -> None:
    """The record of CopyImage is the source region's; the image is the owner's in the other one."""
    asked = {"RegionId": "cn-hangzhou", "ImageId": "m-1", "DestinationRegionId": "ap-southeast-1"}
    one = record("CopyImage", requestParameters=asked, responseElements={"ImageId": "m-2"})
    event = _trail(one, aliyunregionid="cn-hangzhou", aliyunoriginalaccountid=OWNER)
    assert parse(payload(event), OURS).signal == Signal(
        images=frozenset({ImageAt("m-2", "ap-southeast-1", OWNER)}), why=("CopyImage of m-2 (event e-1)",)
    )


def test_what_is_said_of_an_image_concerns_the_regions_that_rules_copy_to() -> None:
    """Of its region and of those; an image of which nobody says where it is, is looked for everywhere anyway."""
    rules = (Rule("a", ImageSelector(), Audience(), copy_to=("r-2", "r-3")), Rule("b", ImageSelector(), Audience()))
    of = Policy("d", "enforce", "s", DirectoryReader(MANAGEMENT), (Owner(OWNER, None),), rules)
    there, nowhere = ImageAt("m-1", "r-1", OWNER), ImageAt("m-2")
    signal = Signal(images=frozenset({there, nowhere}), why=("event",))
    elsewhere = {ImageAt("m-1", "r-2", OWNER), ImageAt("m-1", "r-3", OWNER)}
    assert with_copies(signal, of) == Signal(images=signal.images | elsewhere, why=("event",))
    assert with_copies(Signal(accounts=frozenset({"1"})), of) == Signal(accounts=frozenset({"1"}))
