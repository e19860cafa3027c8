"""Invoking the function ``worker`` asynchronously, in Function Compute 3.0 and in 2.0.

Each has an API and an SDK of its own, and a function of 3.0 has no service, so the SDK of 2.0 cannot name it. Both take
the request, answer 202, and run the function later; a request body may have 128 KB then
(https://alibabacloud.com/help/en/functioncompute/fc-3-0/product-overview/limits-of-usage). One invocation too many does
no harm, so everything that may pass is tried again, a lost answer too.

What can go wrong is an error that looks like an answer, or the other way round. The SDK of 3.0 hands back the error of
a function as an answer with a header; that of 2.0 raises for it, and where an error's body is no JSON, which a
gateway's need not be, it raises the error of the parser instead. It also logs what it sent, with the signature, before
it raises.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import PurePath
from typing import Any

from orgshare.alibaba.calls import Calls, one_line
from orgshare.alibaba.cloud import CONNECT_TIMEOUT, READ_TIMEOUT, Credentials, silence_sdks
from orgshare.errors import ConfigurationError, NoAnswer, Refused, TryAgain, VendorError

INVOKE = "fc:InvokeFunction"
MOST_BYTES = 128 * 1024
FUNCTION_ERROR = "x-fc-error-type"

Placing = Callable[[bytes], Mapping[str, str]]


class FunctionCompute:
    """``ports.Workers`` in Function Compute: ``place`` makes one call and answers with its headers."""

    def __init__(self, name: str, place: Placing, *, account: str, region: str, calls: Calls) -> None:
        self._name = name
        self._place = place
        self._lane = calls.lane(account, region)

    def invoke(self, request: str) -> None:
        """Ask for a run of the function. Raises ``VendorError`` if nobody took the request."""
        body = request.encode()
        if len(body) > MOST_BYTES:
            raise Refused(f"{INVOKE}: {self._name}: a request of {len(body)} bytes, more than {MOST_BYTES}")

        def call() -> None:
            headers = {name.lower(): value for name, value in self._place(body).items()}
            if FUNCTION_ERROR in headers:
                request_id = headers.get("x-fc-request-id", "")
                why = f"{INVOKE}: {self._name}: it ran at once and failed with {headers[FUNCTION_ERROR]}"
                raise TryAgain(why, code=headers[FUNCTION_ERROR], request_id=request_id)

        self._lane.read(INVOKE, call)


def worker_function(
    name: str,
    credentials: Credentials,
    *,
    account: str,
    region: str,
    calls: Calls,
    agent: str,
    local_cloud: str | None = None,
) -> FunctionCompute:
    """The function by its name: of 3.0, or as ``service/name`` of 2.0. Raises ``ConfigurationError``.

    ``account`` and ``region`` are where this program runs itself, as the runtime tells it.
    """
    silence_sdks()
    service, _, function = name.rpartition("/")
    if not region or (service and not account):
        raise ConfigurationError(
            f"ORGSHARE_WORKER={name}: a worker is invoked in the region of this function, which nothing tells; "
            "unset ORGSHARE_WORKER to do the work in this process"
        )
    if service:
        place = _place_2(service, function, credentials, account=account, region=region, local_cloud=local_cloud)
    else:
        place = _place_3(function, credentials, region=region, agent=agent, local_cloud=local_cloud)
    return FunctionCompute(name, place, account=account, region=region, calls=calls)


def _place_3(name: str, credentials: Credentials, *, region: str, agent: str, local_cloud: str | None) -> Placing:
    def place(body: bytes) -> Mapping[str, str]:
        from alibabacloud_fc20230330 import models
        from alibabacloud_fc20230330.client import Client
        from alibabacloud_tea_openapi.utils_models import Config
        from darabonba.runtime import RuntimeOptions

        config = Config(
            access_key_id=credentials.key,
            access_key_secret=credentials.secret,
            security_token=credentials.token,
            region_id=region,
            user_agent=agent,
            protocol="http" if local_cloud else "https",
            http_proxy=local_cloud,
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
        )
        request = models.InvokeFunctionRequest(body=body)
        headers = models.InvokeFunctionHeaders(x_fc_invocation_type="Async")
        try:
            answer = Client(config).invoke_function_with_options(name, request, headers, RuntimeOptions())
        except Exception as error:
            if getattr(error, "status_code", None) == 429:
                raise _throttled(name, str(getattr(error, "code", ""))) from error
            raise
        found: Mapping[str, str] = answer.headers or {}
        return found

    return place


def _place_2(
    service: str, name: str, credentials: Credentials, *, account: str, region: str, local_cloud: str | None
) -> Placing:
    """https://www.alibabacloud.com/help/en/functioncompute/fc-2-0/developer-reference/api-invokefunction"""
    host = f"{account}.{region}.fc.aliyuncs.com"

    def place(body: bytes) -> Mapping[str, str]:
        import fc2
        import requests

        _silence_fc2()
        client = fc2.Client(
            endpoint=f"https://{host}",
            accessKeyID=credentials.key,
            accessKeySecret=credentials.secret,
            securityToken=credentials.token or "",
            Timeout=READ_TIMEOUT / 1000,
        )
        if local_cloud:
            client.endpoint = local_cloud  # the host, which is signed, stays that of the vendor
        try:
            answer = client.invoke_function(service, name, payload=body, headers={"x-fc-invocation-type": "Async"})
        except fc2.fc_exceptions.FcError as error:
            raise _sorted(f"{service}/{name}", error) from error
        except requests.exceptions.JSONDecodeError as error:
            raise TryAgain(f"{INVOKE}: {service}/{name}: an error whose body is no JSON") from error
        except requests.exceptions.RequestException as error:
            raise NoAnswer(f"{INVOKE}: {service}/{name}: no answer: {one_line(str(error))}") from error
        found: Mapping[str, str] = answer.headers
        return found

    return place


def _sorted(name: str, error: Any) -> VendorError:
    """This program's error for one of the SDK of 2.0."""
    status = int(error.status_code or 0)
    said: dict[str, Any] = {}
    with suppress(ValueError):
        said = json.loads(error.message)
    code = next((str(said[key]) for key in ("ErrorCode", "errorCode", "Code") if said.get(key)), str(status))
    message = next((str(said[key]) for key in ("ErrorMessage", "errorMessage", "Message") if said.get(key)), "")
    if status == 429:
        return _throttled(name, code)
    text = f"{INVOKE}: {name}: {code}: {one_line(message)}"
    kind = TryAgain if status < 400 or status >= 500 else Refused
    return kind(text, code=code, request_id=str(error.request_id or ""))


def _throttled(name: str, code: str) -> TryAgain:
    """Too many at once: https://www.alibabacloud.com/help/en/function-compute/latest/error-codes"""
    return TryAgain(f"{INVOKE}: {name}: {code or 'ResourceExhausted'}: too many requests", code=code)


def _silence_fc2() -> None:
    root = logging.getLogger()
    if _not_of_fc2 not in root.filters:
        root.addFilter(_not_of_fc2)


def _not_of_fc2(record: logging.LogRecord) -> bool:
    """The SDK logs to the root logger, what it sent and with which signature."""
    return PurePath(record.pathname).parent.name != "fc2"
