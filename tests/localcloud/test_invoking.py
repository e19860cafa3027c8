"""Both APIs that invoke functions, through their SDKs; the instances are played."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import fc2
import pytest
import requests
from alibabacloud_fc20230330 import models as fc_models
from alibabacloud_sts20150401 import models as sts_models

from localcloud import LocalCloud, LogEntry
from localcloud.fc.instances import Ask, Outcome
from localcloud.inprocess import in_process
from localcloud.server import serving
from tests.support.cloud import BANK, FAR, OWNER, REGION, SHOP, Clients, acs3, refused, start, world
from tests.support.functions import (
    FAILED,
    ONE,
    TWO,
    Newer,
    Played,
    fc2_refuses,
    fc_refuses,
    older,
    start_functions,
)

Begin = Callable[..., LocalCloud]
HALF_MEGABYTE = b"x" * 512 * 1024


@pytest.fixture
def stage() -> Played:
    return Played()


@pytest.fixture
def begin(stage: Played) -> Iterator[Begin]:
    with ExitStack() as stack:

        def started(**parts: Any) -> LocalCloud:
            cloud = stack.enter_context(in_process(start_functions(stage, **parts)))
            stack.callback(cloud.close)
            return cloud

        yield started


@pytest.fixture
def cloud(begin: Begin) -> LocalCloud:
    return begin()


@pytest.fixture
def cloud2(begin: Begin) -> LocalCloud:
    return begin(template="template-fc2.yml")


# --- 3.0


def test_a_function_answers_what_its_handler_returns(cloud: LocalCloud, stage: Played) -> None:
    """A synchronous invocation hands the event over byte by byte and answers 200 with the handler's own content."""
    stage.answer = lambda ask: Outcome(ask.event[::-1])
    answer, content = Newer().invoke(b"\x00event\xff")
    assert (answer.status_code, content) == (200, b"\xfftneve\x00")
    assert "x-fc-error-type" not in answer.headers
    assert answer.headers["x-fc-request-id"]
    assert cloud.calls["fc:InvokeFunction"] == 1


def test_an_error_of_the_handler_is_no_error_of_the_call(cloud: LocalCloud, stage: Played) -> None:
    """The handler's exception is the content of an answer with status 200, told only by a header."""
    stage.answer = lambda _: FAILED
    answer, content = Newer().invoke()
    assert (answer.status_code, answer.headers["x-fc-error-type"]) == (200, "UnhandledInvocationError")
    assert content == b'{"errorMessage": "as asked"}'


def test_the_end_of_the_log_comes_along_if_it_is_asked_for(cloud: LocalCloud, stage: Played) -> None:
    """With the log type Tail the last four kilobytes of the log are in a header, else nothing is."""
    stage.answer = lambda _: Outcome(b"", log="y" * 5000 + "end")
    told = Newer().invoke(x_fc_log_type="Tail")[0].headers["x-fc-log-result"]
    assert base64.b64decode(told) == b"y" * 4093 + b"end"
    assert "x-fc-log-result" not in Newer().invoke()[0].headers


def test_an_asynchronous_invocation_is_accepted_and_run_later(cloud: LocalCloud, stage: Played) -> None:
    """It is answered 202 with an id before anything runs, and runs when the cloud is driven."""
    answer = Newer().later({"a": 1})
    assert answer.status_code == 202
    assert answer.headers["x-fc-async-task-id"] == answer.headers["x-fc-request-id"]
    assert stage.asked == []
    cloud.drain()
    assert stage.asked == [(ONE, b'{"a": 1}')]


def test_an_asynchronous_invocation_may_bring_its_own_id(cloud: LocalCloud) -> None:
    """An id of letters, digits, underscores and hyphens is kept; another form is refused."""
    assert Newer().later(x_fc_async_task_id="run-1_a").headers["x-fc-async-task-id"] == "run-1_a"
    for wrong in ("1run", "a b", "a" * 129):
        with fc_refuses("InvalidArgument", 400):
            Newer().later(x_fc_async_task_id=wrong)


def test_a_payload_has_a_limit_for_each_kind_of_invocation(cloud: LocalCloud, stage: Played) -> None:
    """128 KB asynchronously, 32 MB synchronously, and not one byte more."""
    Newer().later(b"x" * 128 * 1024)
    with fc_refuses("EntityTooLarge", 400):
        Newer().later(b"x" * (128 * 1024 + 1))
    Newer().invoke(HALF_MEGABYTE * 64)
    with fc_refuses("EntityTooLarge", 400):
        Newer().invoke(HALF_MEGABYTE * 64 + b"x")
    assert len(stage.asked) == 1


def test_what_is_not_there_is_not_found(cloud: LocalCloud) -> None:
    """Unknown functions, versions and aliases have codes of their own; LATEST is always there."""
    with fc_refuses("FunctionNotFound", 404):
        Newer().invoke(name="acme-three")
    with fc_refuses("FunctionNotFound", 404):
        Newer().invoke(name="acme$one")
    with fc_refuses("VersionNotFound", 404):
        Newer().invoke(qualifier="7")
    with fc_refuses("AliasNotFound", 404):
        Newer().invoke(qualifier="prod")
    assert Newer().invoke(qualifier="LATEST")[0].status_code == 200


def test_functions_belong_to_an_account_and_a_region(cloud: LocalCloud) -> None:
    """Neither another account nor another region knows the function."""
    for stranger in (Newer(SHOP), Newer(BANK), Newer(region_id=FAR)):
        with fc_refuses("FunctionNotFound", 404):
            stranger.invoke()


def test_a_signature_has_to_be_right(cloud: LocalCloud, stage: Played) -> None:
    """A wrong secret, a key that nobody has and a wrong token are refused before anything runs."""
    with fc_refuses("SignatureNotMatch", 403):
        Newer(secret="other").invoke()
    with fc_refuses("InvalidAccessKeyID", 403):
        Newer(key="LTAInobody").invoke()
    with fc_refuses("InvalidSecurityToken", 403):
        Newer(security_token="made-up").invoke()
    assert stage.asked == []


def test_a_role_may_invoke_the_functions_of_its_account(begin: Begin) -> None:
    """Temporary keys work like permanent ones, where the role's policies allow the function."""
    role = f"acs:ram::{OWNER}:role/caller"
    allowed = f"acs:fc:*:{OWNER}:functions/{ONE}"
    statement = {"Effect": "Allow", "Action": "fc:InvokeFunction", "Resource": allowed}
    begin(roles={role: {"trusts": [OWNER], "policies": [{"Version": "1", "Statement": [statement]}]}})
    asked = sts_models.AssumeRoleRequest(role_arn=role, role_session_name="test")
    keys = Clients(OWNER).sts.assume_role(asked).body.credentials
    caller = Newer(key=keys.access_key_id, secret=keys.access_key_secret, security_token=keys.security_token)
    assert caller.invoke()[0].status_code == 200
    with fc_refuses("AccessDenied", 403):
        caller.invoke(name=TWO)


@pytest.mark.parametrize("itself", [True, False])
def test_a_fault_that_kills_knows_whose_call_it_was(begin: Begin, stage: Played, itself: bool) -> None:
    """Whether an instance calls as itself or in a role that it assumed, it is the one that dies; a person never is."""
    role = f"acs:ram::{OWNER}:role/caller"
    fault = {"operation": "sts:GetCallerIdentity", "kind": "killed", "every": 1}
    begin(roles={role: {"trusts": [OWNER]}}, faults=[fault])

    def calls(ask: Ask) -> Outcome:
        assert ask.session is not None
        given = ask.session
        sts = Clients(key=given.access_key, secret=given.secret, token=given.token)
        asked = sts_models.AssumeRoleRequest(role_arn=role, role_session_name="test")
        keys = sts.sts.assume_role(asked).body.credentials
        assumed = Clients(key=keys.access_key_id, secret=keys.access_key_secret, token=keys.security_token)
        before = stage.ended
        with pytest.raises(Exception, match="Connection"):
            (sts if itself else assumed).sts.get_caller_identity()
        assert (before, stage.ended) == (0, 1)
        return Outcome(b"never heard of")

    stage.answer = calls
    assert Clients().sts.get_caller_identity().body.account_id == OWNER
    Newer().invoke()
    assert len(stage.launched) == 1
    stage.answer = lambda _: Outcome(b"done")
    Newer().invoke()
    assert len(stage.launched) == 2


def test_other_paths_are_not_served(cloud: LocalCloud) -> None:
    """What is not an invocation is refused in the form of its version."""
    with fc_refuses("PathNotSupported", 400):
        Newer().client.get_function("acme-one", fc_models.GetFunctionRequest())
    with fc2_refuses("PathNotSupported", 400):
        older().get_service("acme")


def test_an_invocation_is_synchronous_or_asynchronous(cloud: LocalCloud) -> None:
    """Any other type is refused."""
    with fc_refuses("InvalidArgument", 400):
        Newer().invoke(x_fc_invocation_type="Later")


# --- 2.0


def test_a_function_of_2_0_is_invoked_through_its_service(cloud2: LocalCloud, stage: Played) -> None:
    """The SDK of 2.0 names service and function, and hands content and headers on."""
    stage.answer = lambda ask: Outcome(ask.event[::-1])
    answer = older().invoke_function("acme", "one", payload=b"event")
    assert answer.data == b"tneve"
    assert answer.headers["x-fc-request-id"]
    assert older().invoke_function("acme", "one", payload=b"ab", qualifier="LATEST").data == b"ba"


def test_an_error_of_the_handler_raises_in_the_sdk_of_2_0(cloud2: LocalCloud, stage: Played) -> None:
    """That SDK turns the header into an exception, although the status is 200."""
    stage.answer = lambda _: FAILED
    with pytest.raises(fc2.FcError) as caught:
        older().invoke_function("acme", "one")
    assert (caught.value.status_code, caught.value.err_code) == (200, "")
    assert "as asked" in caught.value.message


def test_an_asynchronous_invocation_of_2_0(cloud2: LocalCloud, stage: Played) -> None:
    """It is accepted with an id in a header of its own and runs when the cloud is driven."""
    answer = older().invoke_function("acme", "one", payload=b"later", headers={"x-fc-invocation-type": "Async"})
    assert answer.headers["x-fc-stateful-async-invocation-id"]
    assert stage.asked == []
    cloud2.drain()
    assert stage.asked == [("acme$one", b"later")]


def test_errors_of_2_0_have_a_form_of_their_own(cloud2: LocalCloud) -> None:
    """ErrorCode and ErrorMessage, with the same codes and one more for services."""
    with fc2_refuses("ServiceNotFound", 404):
        older().invoke_function("other", "one")
    with fc2_refuses("FunctionNotFound", 404):
        older().invoke_function("acme", "two")
    with fc2_refuses("VersionNotFound", 404):
        older().invoke_function("acme", "one", qualifier="3")
    with fc2_refuses("AliasNotFound", 404):
        older().invoke_function("acme", "one", qualifier="prod")
    with fc2_refuses("EntityTooLarge", 400):
        older().invoke_function(
            "acme", "one", payload=b"x" * (128 * 1024 + 1), headers={"x-fc-invocation-type": "Async"}
        )


def test_the_signature_of_2_0_is_checked(cloud2: LocalCloud, stage: Played) -> None:
    """A wrong secret, an unknown key, a header added on the way and an old date are refused."""
    with fc2_refuses("SignatureNotMatch", 403):
        older(accessKeySecret="other").invoke_function("acme", "one")
    with fc2_refuses("InvalidAccessKeyID", 403):
        older(accessKeyID="LTAInobody").invoke_function("acme", "one")
    client = older()
    path = "/2016-08-15/services/acme/functions/one/invocations"
    signed = client._build_common_headers("POST", path, {"x-fc-invocation-type": "Sync"})
    changed = {**signed, "x-fc-invocation-type": "Async"}
    assert (
        requests.post(f"{client.endpoint}{path}", headers=changed, timeout=9).json()["ErrorCode"] == "SignatureNotMatch"
    )
    old = client._build_common_headers("POST", path, {"date": "Sat, 01 Nov 2025 00:00:00 GMT"})
    assert requests.post(f"{client.endpoint}{path}", headers=old, timeout=9).json()["ErrorCode"] == "AccessDenied"
    bare = requests.post(f"{client.endpoint}{path}", timeout=9)
    assert (bare.status_code, bare.json()["ErrorCode"]) == (400, "MissingRequiredHeader")
    assert stage.asked == []


def test_the_host_of_2_0_names_the_account(cloud2: LocalCloud) -> None:
    """At the host of another account the caller is not let in; in another region there is no such service."""
    with fc2_refuses("AccessDenied", 403):
        older(endpoint=f"http://{SHOP}.{REGION}.fc.aliyuncs.com").invoke_function("acme", "one")
    with fc2_refuses("ServiceNotFound", 404):
        older(region=FAR).invoke_function("acme", "one")


def test_a_function_of_2_0_is_service_and_function_to_3_0(cloud2: LocalCloud, stage: Played) -> None:
    """The SDK of 3.0 reaches it as `service$function`."""
    stage.answer = lambda _: Outcome(b"same")
    assert Newer().invoke(name="acme$one")[1] == b"same"


def test_a_function_of_3_0_is_out_of_reach_for_2_0(cloud: LocalCloud) -> None:
    """It has no service, so that the SDK of 2.0 cannot name it."""
    with fc2_refuses("ServiceNotFound", 404):
        older().invoke_function("acme", "one")


# --- the gateway's own


def test_requests_are_logged(cloud: LocalCloud, cloud2: LocalCloud) -> None:
    """Every request to either API is in the request log with its caller, code and status."""
    entries: list[LogEntry] = []
    cloud2.on_request(entries.append)
    Newer().invoke(name="acme$one")
    Newer().later(name="acme$one")
    with fc2_refuses("FunctionNotFound", 404):
        older().invoke_function("acme", "two")
    with fc_refuses("SignatureNotMatch", 403):
        Newer(secret="other").invoke()
    assert [(one.product, one.action, one.account, one.region, one.status, one.code) for one in entries] == [
        ("fc", "InvokeFunction", OWNER, REGION, 200, ""),
        ("fc", "InvokeFunction", OWNER, REGION, 202, ""),
        ("fc", "InvokeFunction", OWNER, REGION, 404, "FunctionNotFound"),
        ("fc", "InvokeFunction", "", REGION, 403, "SignatureNotMatch"),
    ]


def test_flow_control_and_faults_meet_invocations_too(begin: Begin, stage: Played) -> None:
    """A throttled call is 429, an error 500; without an answer nothing ran, with a lost one it did."""
    begin(flow_control={"fc:InvokeFunction": {"limit": 1, "window": 60}})
    Newer().invoke()
    with fc_refuses("ResourceExhausted", 429):
        Newer().invoke()
    begin(faults=[{"operation": "fc:*", "kind": "throttle", "times": 1}])
    with fc_refuses("ResourceExhausted", 429):
        Newer().invoke()
    begin(faults=[{"operation": "fc:InvokeFunction", "kind": "error", "times": 1}])
    with fc_refuses("InternalServerError", 500):
        Newer().invoke()
    stage.asked.clear()
    begin(faults=[{"operation": "fc:InvokeFunction", "kind": "no-answer", "times": 1}])
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.Session().send(_signed_invocation(), timeout=9)
    assert stage.asked == []
    begin(faults=[{"operation": "fc:InvokeFunction", "kind": "lost-answer", "times": 1}])
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.Session().send(_signed_invocation(), timeout=9)
    assert [name for name, _ in stage.asked] == [TWO]


def _signed_invocation() -> requests.PreparedRequest:
    """One request to 3.0, which its SDK would send again after a dropped connection."""
    made = acs3(
        "InvokeFunction",
        version="2023-03-30",
        host=f"fcv3.{REGION}.aliyuncs.com",
        path=f"/2023-03-30/functions/{TWO}/invocations",
    )
    return requests.Request("POST", f"http://{made.host}{made.path}", headers=dict(made.headers)).prepare()


def test_without_functions_there_is_nothing_to_invoke() -> None:
    """In a world without a template every name is unknown."""
    with in_process(start(world())), fc_refuses("FunctionNotFound", 404):
        Newer().invoke()


def test_functions_answer_over_a_socket(stage: Played) -> None:
    """Through the server as a proxy and straight at its port, in both versions, it is the same."""
    stage.answer = lambda ask: Outcome(ask.event[::-1])
    cloud = start_functions(stage, template="template-fc2.yml")
    with serving(cloud) as url:
        assert Newer(http_proxy=url).invoke(b"abc", "acme$one")[1] == b"cba"
        assert Newer(endpoint=url.removeprefix("http://")).invoke(b"abc", "acme$one")[1] == b"cba"
        assert older(endpoint=url).invoke_function("acme", "one", payload=b"abc").data == b"cba"
        with fc2_refuses("ServiceNotFound", 404):
            older(endpoint=url).invoke_function("other", "one")
        with fc_refuses("FunctionNotFound", 404):
            Newer(http_proxy=url).invoke(name="other")


def test_an_image_call_at_the_host_of_functions_is_refused(cloud: LocalCloud) -> None:
    """The host decides who answers."""
    with refused("PathNotSupported", 400):
        Clients(endpoint=f"fcv3.{REGION}.aliyuncs.com").share("m-one", SHOP)
