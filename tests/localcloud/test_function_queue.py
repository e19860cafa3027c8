"""Asynchronous invocations on the cloud's clock: retries, destinations, concurrency; the instances are played."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest

from localcloud import LocalCloud, World, WorldError
from localcloud.clock import parse_iso
from localcloud.fc.instances import Ask, Outcome
from localcloud.fc.models import Policy
from tests.support.cloud import OWNER, REGION, SHOP, START
from tests.support.functions import FAILED, ONE, TWO, Played, functions, start_functions

DAY = 86_400.0


def begin(stage: Played, **parameters: Any) -> LocalCloud:
    """A cloud with functions and without events of the clock that would come between."""
    return start_functions(stage, functions=functions(**parameters))


def enqueue(cloud: LocalCloud, event: bytes = b"event", name: str = ONE) -> None:
    """An asynchronous invocation that passed the API."""
    model = cloud._gateway.models.functions
    function = model.stack.functions[name]
    model.enqueue(function, event, model.request_id(), source="invoke", now=cloud.clock.now())


def seconds(cloud: LocalCloud, name: str = ONE) -> list[float]:
    """When a function was tried by an invocation of ours, counted from the start."""
    return [parse_iso(one.time) - START for one in cloud.invocations(name) if one.source == "invoke"]


def told(cloud: LocalCloud, mailbox: str) -> list[dict[str, Any]]:
    """The messages of a topic or queue, parsed."""
    return [json.loads(one.body) for one in cloud.messages(mailbox)]


def test_a_function_error_is_tried_again_three_times_with_growing_pauses() -> None:
    """Four tries in all: at once, and after half a second, one and two more."""
    stage = Played(lambda _: FAILED)
    cloud = begin(stage)
    enqueue(cloud)
    cloud.advance(600)
    assert seconds(cloud) == [0.0, 0.5, 1.5, 3.5]
    assert [one.attempt for one in cloud.invocations(ONE)] == [1, 2, 3, 4]
    assert cloud.waiting() == []


@pytest.mark.parametrize("retries", [0, 1, 8])
def test_the_number_of_retries_is_the_template_s(retries: int) -> None:
    """maxAsyncRetryAttempts counts the tries after the first."""
    stage = Played(lambda _: FAILED)
    cloud = begin(stage, Retries=retries)
    enqueue(cloud)
    cloud.advance(600)
    assert len(seconds(cloud)) == retries + 1


def test_a_retry_that_succeeds_ends_it() -> None:
    """What failed twice and then worked is told as a success, with the count of its tries."""
    outcomes = [FAILED, FAILED, Outcome(b"done")]
    stage = Played(lambda _: outcomes.pop(0))
    cloud = begin(stage)
    enqueue(cloud)
    cloud.advance(600)
    assert told(cloud, "topics/acme-failed") == []
    (success,) = told(cloud, "queues/acme-failed")
    assert success["requestContext"]["approximateInvokeCount"] == 3
    assert success["requestContext"]["functionArn"] == f"acs:fc:{REGION}:{OWNER}:functions/{ONE}"
    assert (success["requestPayload"], success["responsePayload"]) == ("event", "done")
    assert success["responseContext"] == {"statusCode": 200, "functionError": ""}


@pytest.mark.parametrize(("where", "mailbox"), [("topic", "topics/acme-failed"), ("queue", "queues/acme-failed")])
def test_what_failed_for_good_reaches_its_destination(where: str, mailbox: str) -> None:
    """A topic or a queue gets the event, the error and the number of tries, once."""
    cloud = begin(Played(lambda _: FAILED), FailureTo=where)
    enqueue(cloud)
    cloud.advance(600)
    (failure,) = told(cloud, mailbox)
    assert failure["requestContext"]["condition"] == "UnhandledInvocationError"
    assert failure["requestContext"]["approximateInvokeCount"] == 4
    assert failure["requestPayload"] == "event"
    assert json.loads(failure["responsePayload"]) == {"errorMessage": "as asked"}
    (message,) = cloud.messages()
    assert (message.account, message.region, message.sender) == (OWNER, REGION, f"fc:{ONE}")


def test_a_function_can_be_the_destination() -> None:
    """It is invoked with the same document, asynchronously."""
    stage = Played(lambda ask: FAILED if ask.event == b"event" else Outcome(b""))
    cloud = begin(stage, FailureTo="function", Retries=0)
    enqueue(cloud)
    cloud.advance(1)
    (told_,) = stage.events(TWO)
    assert told_["requestPayload"] == "event"
    assert [one.source for one in cloud.invocations(TWO)] == [f"fc:{ONE}"]


def test_a_message_that_is_too_long_is_lost_and_noted() -> None:
    """A topic takes 64 KB; what is longer is not delivered, which the list of invocations shows."""
    cloud = begin(Played(lambda _: FAILED), Retries=0)
    enqueue(cloud, b"x" * 70_000)
    cloud.advance(1)
    assert cloud.messages() == []
    assert [one.outcome.partition(":")[0] for one in cloud.invocations(ONE)] == [
        "UnhandledInvocationError",
        "DestinationFailed",
    ]


def test_an_event_that_became_too_old_is_given_up() -> None:
    """After maxAsyncEventAgeInSeconds nothing is tried any more, and the failure is told."""
    cloud = begin(Played(lambda _: FAILED), Retries=8, Age=2)
    enqueue(cloud)
    cloud.advance(600)
    assert seconds(cloud) == [0.0, 0.5, 1.5, 3.5]
    assert [one.outcome for one in cloud.invocations(ONE)][-1] == "EventAgeExceeded"
    (failure,) = told(cloud, "topics/acme-failed")
    assert failure["requestContext"]["condition"] == "EventAgeExceeded"


def test_reserved_concurrency_keeps_synchronous_calls_out_and_queues_the_others() -> None:
    """While the one instance is busy another call is 429, and an asynchronous one waits with growing pauses."""
    cloud: LocalCloud
    seen: list[str] = []

    def answer(ask: Ask) -> Outcome:
        if ask.event == b"outer":
            enqueue(cloud, b"inner")
            cloud._gateway.models.functions.take_due(cloud.clock.now())
            seen.extend(one.outcome for one in cloud.invocations(ONE))
        return Outcome(b"")

    stage = Played(answer)
    cloud = begin(stage, Reserved=1)
    enqueue(cloud, b"outer")
    cloud.advance(60)
    assert seen == ["throttled"]
    assert [event for _, event in stage.asked if event != b'"'] == [b"outer", b"inner"]
    assert [one.outcome for one in cloud.invocations(ONE)] == ["throttled", "ok", "ok"]
    assert seconds(cloud) == [0.0, 0.0, 0.5]


def test_a_throttled_invocation_is_given_up_after_five_hours() -> None:
    """With no concurrency at all it is tried for five hours, from half a second on with doubled pauses."""
    stage = Played()
    cloud = begin(stage, Reserved=1)
    model = cloud._gateway.models.functions
    model._running[ONE] = 1
    enqueue(cloud)
    cloud.advance(12 * 3600)
    assert stage.events(ONE) == []
    tries = [one for one in cloud.invocations(ONE) if one.source == "invoke"]
    assert {one.outcome for one in tries} == {"throttled", "ResourceExhausted"}
    assert seconds(cloud)[:5] == [0.0, 0.5, 1.5, 3.5, 7.5]
    assert 2.5 * 3600 < seconds(cloud)[-1] < 5 * 3600
    (failure,) = told(cloud, "topics/acme-failed")
    assert failure["requestContext"]["condition"] == "ResourceExhausted"


def test_all_functions_of_an_account_share_its_instances() -> None:
    """At the limit of instances another function's invocation waits as well."""
    cloud = start_functions(Played(), functions={**functions(), "instances": 1})
    model = cloud._gateway.models.functions
    model._running[TWO] = 1
    enqueue(cloud)
    cloud.drain()
    assert [one.outcome for one in cloud.invocations(ONE)] == ["throttled"]


def test_what_is_reserved_for_one_function_is_taken_from_the_others() -> None:
    """Of three instances two are reserved: another function has one, however idle the first is, which has its two."""
    cloud = start_functions(Played(), functions={**functions(Reserved=2), "instances": 3})
    model = cloud._gateway.models.functions
    for name in (TWO, TWO, ONE, ONE, ONE):
        enqueue(cloud, name.encode(), name)
    while (run := model.take_due(cloud.clock.now())) is not None:
        assert run.task
    assert (model._running[ONE], model._running[TWO]) == (2, 1)
    assert [one.outcome for one in (*cloud.invocations(ONE), *cloud.invocations(TWO))] == ["throttled", "throttled"]


def test_invocations_run_in_the_order_of_their_time() -> None:
    """What is due first runs first, and of what is due at once what came first."""
    stage = Played(lambda ask: FAILED if ask.event == b"1" else Outcome(b""))
    cloud = begin(stage, Retries=1)
    for number in (b"1", b"2", b"3"):
        enqueue(cloud, number)
    cloud.advance(1)
    assert [event for _, event in stage.asked] == [b"1", b"2", b"3", b"1"]


def test_a_role_that_is_gone_stops_the_function() -> None:
    """An invocation whose role cannot be assumed is not tried again, and nothing runs or tells without one."""
    stage = Played()
    cloud = begin(stage)
    cloud._gateway.models.identity.roles.clear()
    enqueue(cloud)
    cloud.advance(1)
    assert stage.asked == []
    assert [one.outcome.partition(":")[0] for one in cloud.invocations(ONE)] == ["AccessDenied", "DestinationFailed"]


@pytest.mark.parametrize(("where", "action"), [("topic", "mns:PublishMessage"), ("queue", "mns:SendMessage")])
def test_a_destination_needs_a_permission_of_the_function_s_role(where: str, action: str) -> None:
    """Without it the failure is told to nobody, which the list of invocations shows."""
    cloud = begin(Played(lambda _: FAILED), FailureTo=where, Retries=0)
    roles = cloud._gateway.models.identity.roles
    role = roles[f"acs:ram::{OWNER}:role/acme-functions"]
    roles[f"acs:ram::{OWNER}:role/acme-functions"] = msgspec.structs.replace(role, policies=())
    enqueue(cloud)
    cloud.advance(1)
    assert cloud.messages() == []
    assert f"not authorized to perform '{action}'" in cloud.invocations(ONE)[-1].outcome


def test_the_pauses_of_eventbridge_are_its_own() -> None:
    """BACKOFF_RETRY waits 10 to 20 seconds, EXPONENTIAL_DECAY_RETRY 1, 2, 4 up to 512."""
    chance = random.Random(1)
    backoff = [Policy(3, DAY, pause="backoff").wait(failures, chance) for failures in (1, 2, 3)]
    assert all(10 <= one <= 20 for one in backoff)
    decay = [Policy(176, DAY, pause="decay").wait(failures, chance) for failures in (1, 2, 10, 176)]
    assert decay == [1.0, 2.0, 512.0, 512.0]


def test_two_who_move_the_clock_do_not_mix() -> None:
    """An advance begun inside another (by what a function does) moves the same clock on, and nothing is run twice."""
    cloud: LocalCloud
    stage = Played(lambda ask: Outcome(b"") if ask.event != b"event" or cloud.advance(5) else FAILED)
    cloud = begin(stage)
    enqueue(cloud)
    cloud.advance(10)
    assert cloud.clock.now() == START + 10
    assert stage.events(TWO) == []
    assert [event for _, event in stage.asked] == [b"event"]


def test_a_change_from_outside_keeps_what_waits() -> None:
    """A patch of the world neither loses an asynchronous invocation nor runs it."""
    stage = Played(lambda _: FAILED)
    cloud = begin(stage)
    enqueue(cloud)
    cloud.patch({"grants": {"m-one": [SHOP]}})
    assert [one["function"] for one in cloud.waiting()] == [ONE]
    cloud.patch({"functions": {"parameters": {"Retries": 0}}})
    cloud.advance(60)
    assert len(seconds(cloud)) == 4, "what waits keeps the policy that it came with"
    enqueue(cloud)
    cloud.advance(60)
    assert len(seconds(cloud)) == 5


def test_a_change_from_outside_that_cannot_be_deployed_changes_nothing() -> None:
    """The world stays as it was, functions included."""
    stage = Played()
    cloud = begin(stage)
    before: World = cloud.world()
    with pytest.raises(WorldError, match=r"template.yml: Parameters.Runtime: expected one of python3.10, python3.12"):
        cloud.patch({"functions": {"parameters": {"Runtime": "python2.7"}}, "grants": {"m-one": [SHOP]}})
    assert cloud.world() == before
    cloud.patch({"functions": None})
    assert cloud.world().functions is None
    with pytest.raises(KeyError):
        enqueue(cloud)
