import json

import pytest
from hypothesis import given, settings

from orgshare.signals import NOTHING, ImageAt, MalformedEvent, Parsed, Signal, parse, worker_request
from orgshare.words import Shard
from tests.signals.events import OWNER, payload
from tests.signals.strategies import signals


@settings(deadline=None)
@given(signals())
def test_that_a_request_reads_back_to_an_equal_signal(signal: Signal) -> None:
    """Whatever one function hands to another arrives whole."""
    assert parse(worker_request(signal)) == Parsed(signal)


@settings(deadline=None)
@given(signals())
def test_that_equal_signals_are_equal_requests(signal: Signal) -> None:
    """The order in which a signal was put together does not show in the request."""
    again = Signal(
        accounts=frozenset(sorted(signal.accounts, reverse=True)),
        images=frozenset(sorted(signal.images, key=repr, reverse=True)),
        shards=frozenset(sorted(signal.shards, reverse=True)),
        everything=signal.everything,
        why=signal.why,
    )
    assert worker_request(again) == worker_request(signal)


def test_how_a_request_is_written() -> None:
    """A request has sorted lists, an image without a place as its id alone, and nothing that says nothing."""
    signal = Signal(
        accounts=frozenset({"2", "1"}),
        images=frozenset({ImageAt("m-1"), ImageAt("m-1", "cn-hangzhou"), ImageAt("m-0", None, OWNER)}),
        shards=frozenset({Shard("ecs", OWNER, "cn-hangzhou")}),
        everything=True,
        why=("b", "a"),
    )
    assert json.loads(worker_request(signal)) == {
        "orgshare": {
            "accounts": ["1", "2"],
            "images": [{"id": "m-0", "owner": OWNER}, "m-1", {"id": "m-1", "region": "cn-hangzhou"}],
            "shards": [f"ecs/{OWNER}/cn-hangzhou"],
            "everything": True,
            "why": ["b", "a"],
        }
    }
    assert worker_request(NOTHING) == '{"orgshare":{}}'


@pytest.mark.parametrize(
    ("work", "says"),
    [
        ([], "Expected `object`, got `array` - at `$.orgshare`"),
        ({"image": ["m-1"]}, "unknown field `image`"),
        ({"images": "m-1"}, "at `$.orgshare.images`"),
        ({"images": [{"region": "cn-hangzhou"}]}, "missing required field `id`"),
        ({"images": [{"id": "m-1", "service": "eds"}]}, "unknown field `service`"),
        ({"accounts": [""]}, "an id (no space, no slash, no dot in front) - at `$.orgshare.accounts[0]`"),
        ({"shards": ["eds/1/cn-hangzhou"]}, "not a shard: 'eds/1/cn-hangzhou'; expected ecs/OWNER/REGION"),
        ({"shards": ["ecs/../cn-hangzhou"]}, "shards: Expected an id (no space"),
        ({"shards": ["ecs/1/.."]}, "shards: Expected an id (no space"),
        ({"everything": "yes"}, "at `$.orgshare.everything`"),
    ],
)
def test_that_a_request_that_is_not_understood_raises(work: object, says: str) -> None:
    """A request of another version raises instead of losing a part of the work."""
    with pytest.raises(MalformedEvent) as raised:
        parse(payload({"orgshare": work}))
    assert str(raised.value).startswith("a request to a worker: ")
    assert says in str(raised.value)


def test_that_a_request_has_nothing_beside_it() -> None:
    """A request with other keys beside it is no request of ours."""
    with pytest.raises(MalformedEvent, match="unknown field `type`"):
        parse(payload({"orgshare": {}, "type": "ecs:Image:StateChange"}))
