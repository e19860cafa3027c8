import json

import pytest

from orgshare.signals import MalformedEvent, Signal, parse
from orgshare.words import Shard
from tests.signals.events import OWNER, payload, timer


@pytest.mark.parametrize(
    "text",
    ["", "  ", None, "awesome-fc", "null", "[1]", "{}", '{"task": "reconcile"}', ' {"task": "reconcile"} '],
)
def test_that_a_tick_is_a_sweep(text: str | None) -> None:
    """A timer without payload, or with one that narrows nothing, asks for everything."""
    assert parse(payload(timer(text))).signal == Signal(everything=True, why=("timer sweep at 2026-11-21T10:00:00Z",))


@pytest.mark.parametrize("event", [{"triggerName": "t"}, {"triggerTime": "now"}])
def test_that_a_tick_needs_only_to_be_one(event: dict[str, str]) -> None:
    """Either of a timer's own fields is enough to know one."""
    signal = parse(payload(event)).signal
    assert signal.everything
    assert signal.why == (f"timer {event.get('triggerName', '?')} at {event.get('triggerTime', '?')}",)


@pytest.mark.parametrize("task", [{}, {"task": "reconcile"}])
@pytest.mark.parametrize("owner", [OWNER, int(OWNER)])
def test_that_a_tick_can_be_narrowed_to_a_shard(task: dict[str, str], owner: str | int) -> None:
    """An owner and a region in the payload make it a look at that shard alone."""
    text = json.dumps({**task, "owner": owner, "region": "cn-hangzhou"})
    signal = parse(payload(timer(f" {text}\n"))).signal
    assert signal.shards == {Shard("ecs", OWNER, "cn-hangzhou")}
    assert not signal.everything


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{task: reconcile}", "payload of the timer sweep: "),
        ('{"task": "reconcil"}', "payload of the timer sweep: Invalid enum value 'reconcil' - at `$.task`"),
        ('{"ownr": "1"}', "unknown field `ownr`"),
        ('{"owner": "1"}', "expected owner and region together, or neither"),
        ('{"region": "cn-hangzhou"}', "expected owner and region together, or neither"),
        ('{"owner": "a/b", "region": "c"}', "Expected an id (no space, no slash, no dot in front) - at `$.owner`"),
        ({"task": "reconcile"}, "a timer's event: Expected `str | null`, got `object` - at `$.payload`"),
    ],
)
def test_that_a_mistyped_payload_raises(text: object, says: str) -> None:
    """A payload that was meant for us but is wrong raises, naming the timer and what was expected."""
    with pytest.raises(MalformedEvent) as raised:
        parse(payload(timer(text)))
    assert says in str(raised.value)
