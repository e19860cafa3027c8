import pytest

from orgshare.signals import ImageAt, MalformedEvent, parse
from tests.signals.events import envelope, payload, state_change

EVENTBRIDGE = "ecs:Image:StateChange"


def _look(event: object) -> ImageAt:
    (image,) = parse(payload(event)).signal.images
    return image


@pytest.mark.parametrize(
    "state",
    ["Waiting", "Creating", "Available", "CreateFailed", "Deleted", "Deprecated", "SomethingNew", ""],
)
def test_that_every_state_is_a_reason_to_look(state: str) -> None:
    """The state in an event may be over when it arrives, so no state is a reason not to look."""
    content = {"imageId": "m-1", "currentState": state}
    for event in (envelope(EVENTBRIDGE, content), state_change(content)):
        parsed = parse(payload(event))
        assert parsed.signal.images == {ImageAt("m-1")}
        assert parsed.signal.why == (f"Image:StateChange of m-1 to {state or '?'} (event e-1)",)


def test_that_a_state_change_needs_only_its_image() -> None:
    """Without any word of the place the image is named alone."""
    assert _look(envelope(EVENTBRIDGE, {"imageId": "m-1"})) == ImageAt("m-1")
    assert _look({"name": "Image:StateChange", "content": {"imageId": "m-1"}}) == ImageAt("m-1")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"aliyunregionid": "cn-hangzhou", "aliyunaccountid": "2"}, ImageAt("m-1", "cn-hangzhou", "2")),
        ({"aliyunaccountid": 1000000000000002}, ImageAt("m-1", None, "1000000000000002")),
        ({"aliyunaccountid": "9", "aliyunoriginalaccountid": "2"}, ImageAt("m-1", None, "2")),
        (
            {
                "subject": "acs:ecs:cn-beijing:2:image/m-1",
                "aliyunregionid": "cn-hangzhou",
                "aliyunaccountid": "9",
            },
            ImageAt("m-1", "cn-beijing", "2"),
        ),
        ({"subject": "acs:ecs:::image/m-1", "aliyunaccountid": "2"}, ImageAt("m-1", None, "2")),
        ({"subject": "acs:ecs:cn-beijing:2:disk/d-1"}, ImageAt("m-1")),
        ({"subject": "acs:ecs:cn beijing:2:image/m-1"}, ImageAt("m-1")),
        ({"subject": "acs:ecs:..:2:image/m-1"}, ImageAt("m-1")),
        ({"subject": "acs:ecs:cn-beijing:..:image/m-1"}, ImageAt("m-1")),
        ({"subject": "", "aliyunregionid": "", "aliyunaccountid": None}, ImageAt("m-1")),
    ],
)
def test_where_an_eventbridge_event_says_the_image_is(more: dict[str, object], expected: ImageAt) -> None:
    """The resource name counts most, then the account that sent the event, then the bus that it came over."""
    assert _look(envelope(EVENTBRIDGE, {"imageId": "m-1"}, **more)) == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"regionId": "cn-hangzhou", "userId": 2}, ImageAt("m-1", "cn-hangzhou", "2")),
        ({"resourceId": "acs:ecs:cn-beijing:3:image/m-9", "userId": "2"}, ImageAt("m-1", "cn-beijing", "3")),
        ({"product": "ecs"}, ImageAt("m-1")),
    ],
)
def test_where_a_cloudmonitor_event_says_the_image_is(more: dict[str, object], expected: ImageAt) -> None:
    """The place is in the resource name, else in the fields; which image it is, the content says."""
    assert _look(state_change({"imageId": "m-1"}, **more)) == expected


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (envelope(EVENTBRIDGE, {"currentState": "Available"}), "missing required field `imageId`"),
        (
            envelope(EVENTBRIDGE, {"imageId": ""}),
            "Expected an id (no space, no slash, no dot in front) - at `$.imageId`",
        ),
        (envelope(EVENTBRIDGE, {"imageId": "m-1\nm-2"}), "Expected an id (no space, no slash, no dot in front)"),
        (envelope(EVENTBRIDGE, {"imageId": ".."}), "Expected an id (no space, no slash, no dot in front)"),
        (envelope(EVENTBRIDGE, {"imageId": None}), "got `null` - at `$.imageId`"),
        (envelope(EVENTBRIDGE, {"imageId": True}), "got `bool` - at `$.imageId`"),
        (envelope(EVENTBRIDGE, {"imageId": ["m-1"]}), "got `array` - at `$.imageId`"),
        (envelope(EVENTBRIDGE, "m-1"), "Expected `object`, got `str` - at `$.data`"),
        (envelope(EVENTBRIDGE, None), "Expected `object`, got `null` - at `$.data`"),
        ({"type": EVENTBRIDGE, "data": {"imageId": "m-1"}}, "missing required field `id`"),
        ({"type": EVENTBRIDGE, "id": "e-1", "source": "acs.ecs"}, "missing required field `data`"),
        (envelope(EVENTBRIDGE, {"imageId": "m-1"}, subject=5), "at `$.subject`"),
        (state_change({"currentState": "Available"}), "missing required field `imageId`"),
        (state_change("m-1"), "Expected `object`, got `str` - at `$.content`"),
        ({"name": "Image:StateChange", "product": "ECS"}, "missing required field `content`"),
    ],
)
def test_that_a_state_change_without_its_image_raises(event: object, says: str) -> None:
    """A state change that does not name its image raises an error that says where the name was expected."""
    with pytest.raises(MalformedEvent) as raised:
        parse(payload(event))
    assert str(raised.value).startswith("ecs:Image:StateChange: ")
    assert says in str(raised.value)
