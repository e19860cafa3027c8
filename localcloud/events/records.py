"""Audit records of calls that change something, and events in their envelope.

The fields of a record: https://www.alibabacloud.com/help/doc-detail/28819.html; of the envelope:
https://www.alibabacloud.com/help/en/eventbridge/user-guide/event-overview. No page shows a whole record of these
calls, so they are built from both. A failed call is recorded like any other, and one of AcceptHandshake is the invited
account's, as it is the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.catalog import Product
from localcloud.clock import iso_millis, iso_seconds
from localcloud.errors import ApiError
from localcloud.http import HttpRequest
from localcloud.sts.models import Principal

_OF_THE_PROTOCOL = frozenset(
    {
        "AccessKeyId",
        "Action",
        "Format",
        "SecurityToken",
        "Signature",
        "SignatureMethod",
        "SignatureNonce",
        "SignatureType",
        "SignatureVersion",
        "Timestamp",
        "Version",
    }
)

_IDENTITIES = {"Account": "root-account", "AssumedRoleUser": "assumed-role", "RAMUser": "ram-user"}


@dataclass(frozen=True, slots=True)
class Written:
    """A call that was to change something, and what it answered."""

    product: Product
    action: str
    parameters: Mapping[str, str]
    answer: Mapping[str, Any]
    refusal: ApiError | None
    principal: Principal
    request: HttpRequest
    region: str
    now: float
    request_id: str


def audit_record(call: Written, *, event_id: str, with_answer: bool) -> dict[str, Any]:
    """The audit record of a call."""
    caller = call.principal
    regional = bool(call.answer.get("RegionId") or call.parameters.get("RegionId"))
    record: dict[str, Any] = {
        "eventId": event_id,
        "eventVersion": 1,
        "eventCategory": "Management",
        "eventSource": call.request.host,
        "eventType": "ApiCall",
        "eventRW": "Write",
        "eventName": call.action,
        "serviceName": call.product.title,
        "apiVersion": call.product.version,
        "requestId": call.request_id,
        "eventTime": iso_seconds(call.now),
        "isGlobal": not regional,
        "acsRegion": call.region,
        "sourceIpAddress": "127.0.0.1",
        "userAgent": call.request.headers.get("user-agent", ""),
        "userIdentity": {
            "type": _IDENTITIES[caller.kind],
            "accountId": caller.account,
            "principalId": caller.user_id,
            "userName": caller.arn.partition("/")[2].replace("/", ":") or "root",
        },
        "recipientAccountId": caller.account,
        "requestParameters": {key: one for key, one in call.parameters.items() if key not in _OF_THE_PROTOCOL},
        "additionalEventData": {"Scheme": "http"},
    }
    images = _images(call)
    if images:
        record["referencedResources"] = {"ACS::ECS::Image": images}
    if call.refusal is not None:
        return {**record, "errorCode": call.refusal.code, "errorMessage": call.refusal.message}
    return {**record, "responseElements": dict(call.answer)} if with_answer else record


def _images(call: Written) -> list[str]:
    if call.product.name != "ecs":
        return []
    named = [one for key, one in call.parameters.items() if key == "ImageId" or key.startswith("ResourceId.")]
    made = call.answer.get("ImageId")
    return list(dict.fromkeys([*named, *([str(made)] if made else [])]))


def call_event(call: Written, record: Mapping[str, Any], *, event_id: str) -> dict[str, Any]:
    """The event of a call, in its envelope."""
    product = call.product.name
    subject = f"acs:{product}:{call.region}:{call.principal.account}"
    kind = f"{product}:ActionTrail:ApiCall"
    return envelope(event_id, kind, record, subject, call.principal.account, call.region, call.now)


def image_event(image: str, state: str, owner: str, region: str, *, event_id: str, now: float) -> dict[str, Any]:
    """The event of an image in another state; type and place are inferred from naming rules, not documented.

    https://help.aliyun.com/zh/ecs/user-guide/image-event-notification
    """
    subject = f"acs:ecs:{region}:{owner}:image/{image}"
    content = {"imageId": image, "currentState": state}
    return envelope(event_id, "ecs:Image:StateChange", content, subject, owner, region, now)


def envelope(
    event_id: str, kind: str, data: Mapping[str, Any], subject: str, account: str, region: str, now: float
) -> dict[str, Any]:
    """An event of the vendor's own services on the default bus of an account and region."""
    return {
        "id": event_id,
        "source": f"acs.{kind.partition(':')[0]}",
        "specversion": "1.0",
        "type": kind,
        "datacontenttype": "application/json;charset=utf-8",
        "time": iso_seconds(now),
        "subject": subject,
        "aliyunaccountid": account,
        "aliyunoriginalaccountid": account,
        "aliyunpublishtime": iso_millis(now),
        "aliyuneventbusname": "default",
        "aliyunregionid": region,
        "data": dict(data),
    }


def object_event(
    name: str,
    *,
    bucket: str,
    owner: str,
    region: str,
    key: str,
    etag: str,
    size: int,
    principal: str,
    request_id: str,
    rule: str,
    now: float,
) -> dict[str, Any]:
    """What object storage hands to a function.

    https://www.alibabacloud.com/help/en/functioncompute/fc/formats-of-event-for-different-triggers-1
    """
    return {
        "events": [
            {
                "eventName": name,
                "eventSource": "acs:oss",
                "eventTime": iso_millis(now),
                "eventVersion": "1.0",
                "oss": {
                    "bucket": {
                        "arn": f"acs:oss:{region}:{owner}:{bucket}",
                        "name": bucket,
                        "ownerIdentity": owner,
                    },
                    "object": {"deltaSize": size, "eTag": etag.strip('"'), "key": key, "size": size},
                    "ossSchemaVersion": "1.0",
                    "ruleId": rule,
                },
                "region": region,
                "requestParameters": {"sourceIPAddress": "127.0.0.1"},
                "responseElements": {"requestId": request_id},
                "userIdentity": {"principalId": principal},
            }
        ]
    }
