"""Invoking a worker through the official SDKs of Function Compute 3.0 and 2.0, whatever they are answered."""

from __future__ import annotations

import logging
from random import Random
from typing import Any

import pytest
import requests
from requests.structures import CaseInsensitiveDict

from orgshare.alibaba.calls import ATTEMPTS, Calls
from orgshare.alibaba.cloud import Credentials
from orgshare.alibaba.functions import MOST_BYTES, worker_function
from orgshare.errors import ConfigurationError, CredentialsRefused, NoAnswer, Refused, TryAgain

THREE, TWO = "orgshare-worker", "orgshare/worker"
ACCOUNT, REGION = "1000000000000002", "cn-hangzhou"
JSON = "application/json"
SECRET, TOKEN = "hush-secret", "hush-token"

Answer = tuple[int, str, dict[str, str]] | Exception


class Recorder:
    """Answers every request in the place of the network, and keeps it."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests: list[requests.PreparedRequest] = []

    def send(self, request: requests.PreparedRequest) -> requests.Response:
        self.requests.append(request)
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        status, body, headers = answer
        response = requests.Response()
        response.status_code, response.request, response.url = status, request, request.url or ""
        response.headers = CaseInsensitiveDict({"X-Fc-Request-Id": "req-1", **headers})
        response._content = body.encode()
        return response


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    made = Recorder()
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", lambda _, request, **__: made.send(request))
    return made


def invoke(name: str, body: str = '{"orgshare":{}}', **options: Any) -> Calls:
    calls = Calls(sleep=lambda _: None, random=Random(1), clock=lambda: 0.0)
    given: dict[str, Any] = {"account": ACCOUNT, "region": REGION, "agent": "orgshare/test", **options}
    worker_function(name, Credentials("LOCALKEY", SECRET, TOKEN), calls=calls, **given).invoke(body)
    return calls


@pytest.mark.parametrize(
    ("name", "url"),
    [
        (THREE, f"https://fcv3.{REGION}.aliyuncs.com/2023-03-30/functions/orgshare-worker/invocations"),
        (TWO, f"https://{ACCOUNT}.{REGION}.fc.aliyuncs.com/2016-08-15/services/orgshare/functions/worker/invocations"),
    ],
)
def test_a_request_is_placed_asynchronously(network: Recorder, name: str, url: str) -> None:
    """One signed request to the right address, with the body as it is."""
    network.answers = [(202, "", {})]
    calls = invoke(name)
    (request,) = network.requests
    sent: Any = request.body
    body = sent.read() if hasattr(sent, "read") else sent
    headers = {key.lower(): value for key, value in request.headers.items()}
    assert (request.method, request.url, body) == ("POST", url, b'{"orgshare":{}}')
    assert headers["x-fc-invocation-type"] == "Async"
    assert headers["authorization"].startswith(("ACS3-HMAC-SHA256", "FC LOCALKEY:"))
    assert TOKEN in {headers.get("x-acs-security-token"), headers.get("x-fc-security-token")}
    assert calls.counts() == {"fc:InvokeFunction": 1}


def missing(name: str) -> Answer:
    """The documented form of an error, in both spellings of its keys."""
    key = "ErrorCode" if name == TWO else "Code"
    text = "ErrorMessage" if name == TWO else "Message"
    return (
        404,
        f'{{"{key}":"FunctionNotFound","{text}":"no such function","RequestId":"req-1"}}',
        {"content-type": JSON},
    )


@pytest.mark.parametrize("name", [THREE, TWO])
def test_a_refusal_is_not_tried_again(network: Recorder, name: str) -> None:
    """It keeps the vendor's code and request id."""
    network.answers = [missing(name)]
    with pytest.raises(Refused, match="FunctionNotFound") as refused:
        invoke(name)
    assert (refused.value.code, refused.value.request_id, len(network.requests)) == ("FunctionNotFound", "req-1", 1)


@pytest.mark.parametrize("name", [THREE, TWO])
@pytest.mark.parametrize(
    "answer",
    [
        (
            429,
            '{"ErrorCode":"ResourceExhausted","Code":"ResourceExhausted","Message":"too many"}',
            {"content-type": JSON},
        ),
        (500, '{"ErrorCode":"InternalServerError","Code":"InternalServerError"}', {"content-type": JSON}),
        (503, '{"ErrorCode":"ServiceUnavailable","Code":"ServiceUnavailable"}', {"content-type": JSON}),
        (502, "<html>Bad Gateway</html>", {"content-type": "text/html"}),
        (504, "", {}),
        (200, '{"errorMessage":"boom","errorType":"ValueError"}', {"x-fc-error-type": "UnhandledInvocationError"}),
        requests.exceptions.ConnectionError("connection reset"),
        requests.exceptions.ReadTimeout("read timed out"),
    ],
    ids=["throttled", "error", "unavailable", "no JSON", "empty", "ran and failed", "no connection", "timeout"],
)
def test_what_may_pass_is_tried_again(network: Recorder, name: str, answer: Answer) -> None:
    """One invocation too many does no harm: after it passed, nobody need know."""
    network.answers = [answer, answer, (202, "", {})]
    invoke(name)
    assert len(network.requests) == 3
    network.requests.clear()
    network.answers = [(202, "", {}), answer]
    invoke(name)
    network.requests.clear()
    network.answers = [answer]
    with pytest.raises(TryAgain, match="fc:InvokeFunction") as given_up:
        invoke(name)
    assert 1 < len(network.requests) <= ATTEMPTS
    assert isinstance(given_up.value, NoAnswer) is isinstance(answer, Exception)


def test_credentials_that_are_not_taken_stop_at_once(network: Recorder) -> None:
    """A person has to mend them."""
    network.answers = [(403, '{"Code":"InvalidAccessKeyId","Message":"unknown"}', {"content-type": JSON})]
    with pytest.raises(CredentialsRefused):
        invoke(THREE)


@pytest.mark.parametrize("name", [THREE, TWO])
def test_no_signature_reaches_a_log_or_an_error(
    network: Recorder, name: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The SDK of 2.0 logs what it sent before it raises."""
    network.answers = [missing(name)]
    with caplog.at_level(logging.DEBUG), pytest.raises(Refused) as refused:
        invoke(name)
    signature = {key.lower(): value for key, value in network.requests[0].headers.items()}["authorization"]
    captured = capfd.readouterr()
    said = captured.out + captured.err + str(refused.value) + caplog.text
    for secret in (SECRET, TOKEN, signature.split()[-1]):
        assert secret not in said


@pytest.mark.parametrize("name", [THREE, TWO])
def test_a_request_that_is_too_large_is_not_sent(network: Recorder, name: str) -> None:
    """The limit of asynchronous invocations, to the byte."""
    network.answers = [(202, "", {})]
    invoke(name, "x" * MOST_BYTES)
    with pytest.raises(Refused, match="131073 bytes"):
        invoke(name, "x" * (MOST_BYTES + 1))
    assert len(network.requests) == 1


@pytest.mark.parametrize(("name", "options"), [(THREE, {"region": ""}), (TWO, {"region": ""}), (TWO, {"account": ""})])
def test_nobody_is_invoked_where_nothing_tells_where(name: str, options: dict[str, str]) -> None:
    """Outside of Function Compute the work is done in the process."""
    with pytest.raises(ConfigurationError, match="unset ORGSHARE_WORKER"):
        invoke(name, **options)


@pytest.mark.parametrize("name", [THREE, TWO])
def test_a_local_cloud_is_reached_in_plain_http(network: Recorder, name: str) -> None:
    """As a proxy by the SDK of 3.0; that of 2.0 knows none, so it is sent there with the vendor's host."""
    network.answers = [(202, "", {})]
    invoke(name, local_cloud="http://127.0.0.1:9")
    (request,) = network.requests
    host = {key.lower(): value for key, value in request.headers.items()}["host"]
    assert (request.url or "").startswith("http://")
    assert host in {f"fcv3.{REGION}.aliyuncs.com", f"{ACCOUNT}.{REGION}.fc.aliyuncs.com"}
