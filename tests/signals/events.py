"""The smallest payload of each kind, for tests that then take something away or put something in."""

import json
from typing import Any

OWNER = "1000000000000002"
MANAGEMENT = "1000000000000001"


def envelope(type_: str, data: object, **more: object) -> dict[str, Any]:
    """An event of EventBridge."""
    return {"id": "e-1", "source": "acs.test", "type": type_, "data": data, **more}


def record(name: str, service: str = "Ecs", **more: Any) -> dict[str, Any]:
    """A record of ActionTrail."""
    return {
        "eventId": "e-1",
        "eventName": name,
        "serviceName": service,
        "acsRegion": "cn-hangzhou",
        "recipientAccountId": OWNER if service == "Ecs" else MANAGEMENT,
        **more,
    }


def timer(payload: object, **more: object) -> dict[str, Any]:
    """A tick of a timer trigger."""
    return {"triggerTime": "2026-11-21T10:00:00Z", "triggerName": "sweep", "payload": payload, **more}


def state_change(content: object, **more: object) -> dict[str, Any]:
    """A system event of CloudMonitor."""
    return {"id": "e-1", "product": "ECS", "name": "Image:StateChange", "content": content, **more}


def payload(event: object) -> bytes:
    """The event as the platform hands it over."""
    return json.dumps(event).encode()


def put(key: str, **more: Any) -> dict[str, Any]:
    """What object storage says of a file that was put."""
    return {
        "eventName": "ObjectCreated:PutObject",
        "eventSource": "acs:oss",
        "region": "cn-hangzhou",
        "oss": {"bucket": {"name": "acme-trail"}, "object": {"key": key, "size": 1}},
        **more,
    }


def notice(*events: object) -> dict[str, Any]:
    """A notice of a trigger of object storage."""
    return {"events": list(events)}


def association(**more: object) -> dict[str, Any]:
    """A change of an image's place in a resource share."""
    data = {
        "resourceShareId": "rs-1",
        "resourceOwnerAccountId": OWNER,
        "targetAccountId": "3",
        "resourceType": "Image",
        "resourceId": "m-1",
        "associationStatus": "Associated",
        **more,
    }
    subject = f"acs:resourcesharing:cn-beijing:{OWNER}:resourceshare/rs-1"
    kind = "resourcemanager:ResourceSharing:AssociationStatusChange"
    return envelope(kind, data, subject=subject, aliyunaccountid="3", aliyunregionid="cn-hangzhou")
