"""Who a request is from, and what makes the gateway turn it away."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from localcloud import LocalCloud, ManualClock
from localcloud.http import HttpRequest
from tests.support.cloud import (
    MANAGEMENT,
    ONE,
    OWNER,
    REGION,
    SHOP,
    START,
    Clients,
    acs3,
    answered,
    outcome,
    refused,
    start,
    version_1,
    world,
)

ASK = {"RegionId": REGION, "ImageId": ONE}
ACTION = "DescribeImageSharePermission"
ROLE = f"acs:ram::{MANAGEMENT}:role/reader"
Sign = Callable[..., HttpRequest]

both = pytest.mark.parametrize("sign", [acs3, version_1])


def with_header(request: HttpRequest, name: str, value: str | None) -> HttpRequest:
    headers = {key: text for key, text in request.headers.items() if key != name}
    return replace(request, headers=headers if value is None else {**headers, name: value})


@both
def test_a_good_signature_is_accepted(sign: Sign) -> None:
    """Both signatures, as the official SDK makes them, let a request pass."""
    assert outcome(start().handle(sign(ACTION, ASK))) == (200, "")


def test_the_older_signature_may_travel_in_a_form() -> None:
    """All parameters of the older signature may be in the body of a POST."""
    request = version_1(ACTION, ASK, method="POST", in_form=True)
    assert outcome(start().handle(request)) == (200, "")


def test_an_empty_signature_type_is_none() -> None:
    """SignatureType may be there and empty, as the older SDK sends it."""
    assert outcome(start().handle(version_1(ACTION, {**ASK, "SignatureType": ""}))) == (200, "")


def test_what_needs_quoting_is_signed_as_the_sdk_quotes_it() -> None:
    """Spaces, stars, tildes and letters beyond ASCII are quoted the same on both sides."""
    for sign in (acs3, version_1):
        request = sign("DescribeImages", {"RegionId": REGION, "ImageName": "a b*c~d+é/画"})
        assert outcome(start().handle(request)) == (200, "")


@both
def test_a_wrong_secret_does_not_match(sign: Sign) -> None:
    """A signature made with another secret is refused."""
    assert outcome(start().handle(sign(ACTION, ASK, secret="other"))) == (400, "SignatureDoesNotMatch")


def test_the_refusal_of_a_signature_carries_the_servers_string() -> None:
    """After the only colon comes exactly the string that was to be signed, which is how SDKs tell a wrong secret."""
    request = version_1("DescribeImages", {"RegionId": REGION}, secret="other", nonce="n1", stamp=time.time())
    message = answered(start().handle(request))["Message"]
    before, string = message.split(":")
    assert before == "Specified signature is not matched with our calculation. server string to sign is"
    assert string.startswith("GET&%2F&AccessKeyId%3DKEY")


@both
def test_an_unknown_key_is_not_found(sign: Sign) -> None:
    """A key that no account has is 404."""
    assert outcome(start().handle(sign(ACTION, ASK, account=SHOP + "0"))) == (404, "InvalidAccessKeyId.NotFound")


@both
def test_a_changed_parameter_does_not_match(sign: Sign) -> None:
    """A query that is changed after signing is refused."""
    request = sign(ACTION, ASK)
    changed = replace(request, query=request.query.replace(ONE, "m-two"))
    assert outcome(start().handle(changed)) == (400, "SignatureDoesNotMatch")


def test_a_changed_form_does_not_match() -> None:
    """A form that is changed after signing is refused."""
    request = version_1(ACTION, ASK, method="POST", in_form=True)
    changed = replace(request, body=request.body.replace(b"m-one", b"m-two"))
    assert outcome(start().handle(changed)) == (400, "SignatureDoesNotMatch")


def test_a_changed_body_does_not_match() -> None:
    """The hash of the body is checked, so a form parameter cannot be slipped in."""
    request = acs3(ACTION, {"RegionId": REGION}, body=b"ImageId=m-one")
    assert outcome(start().handle(request)) == (200, "")
    request = acs3(ACTION, {"RegionId": REGION}, body=b"ImageId=m-one")
    changed = replace(request, body=b"ImageId=m-two")
    assert outcome(start().handle(changed)) == (400, "SignatureDoesNotMatch")


def test_a_changed_header_does_not_match() -> None:
    """A signed header that is changed on the way is refused."""
    request = with_header(acs3(ACTION, ASK), "x-acs-action", "DescribeImages")
    assert outcome(start().handle(request)) == (400, "SignatureDoesNotMatch")


def test_every_common_header_must_be_signed() -> None:
    """A common header that is there and not signed makes the signature incomplete."""
    request = with_header(acs3(ACTION, ASK), "x-acs-security-token", "token")
    assert outcome(start().handle(request)) == (400, "IncompleteSignature")


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("ACS3-HMAC-SHA256 Credential=KEY", "IncompleteSignature"),
        ("ACS3-HMAC-SHA256 nonsense", "IncompleteSignature"),
        ("Bearer something", "InvalidSignatureMethod"),
    ],
)
def test_a_header_that_is_no_signature_is_refused(header: str, code: str) -> None:
    """An Authorization header of another kind or without its parts gets its own code."""
    assert outcome(start().handle(with_header(acs3(ACTION, ASK), "authorization", header))) == (400, code)


def test_a_request_without_any_signature_misses_its_key() -> None:
    """A request with no signature at all lacks AccessKeyId."""
    request = with_header(acs3(ACTION, ASK), "authorization", None)
    response = start().handle(request)
    assert outcome(response) == (400, "MissingParameter")
    assert '"AccessKeyId"' in answered(response)["Message"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"SignatureMethod": "HMAC-MD5"}, "InvalidSignatureMethod"),
        ({"SignatureType": "BEARERTOKEN"}, "InvalidSignatureMethod"),
        ({"SignatureVersion": "2.0"}, "IncompleteSignature"),
        ({"Timestamp": None}, "IllegalTimestamp"),
        ({"Timestamp": "yesterday"}, "InvalidTimeStamp.Format"),
        ({"SignatureNonce": None}, "MissingParameter"),
    ],
)
def test_each_part_of_the_older_signature_is_checked(change: dict[str, str], code: str) -> None:
    """A missing or odd part of the older signature gets its documented code."""
    assert outcome(start().handle(version_1(ACTION, {**ASK, **change}))) == (400, code)


@both
def test_a_nonce_is_good_once(sign: Sign) -> None:
    """The same nonce is refused the second time, another account's own nonce of that text is not."""
    cloud = start()
    assert outcome(cloud.handle(sign(ACTION, ASK, nonce="n1"))) == (200, "")
    assert outcome(cloud.handle(sign(ACTION, ASK, nonce="n1"))) == (400, "SignatureNonceUsed")
    assert outcome(cloud.handle(sign(ACTION, ASK, nonce="n1", account=SHOP)))[1] != "SignatureNonceUsed"


def test_a_bad_signature_uses_no_nonce() -> None:
    """Whoever guesses a nonce without the secret cannot use it up."""
    cloud = start()
    assert outcome(cloud.handle(acs3(ACTION, ASK, nonce="n1", secret="other")))[0] == 400
    assert outcome(cloud.handle(acs3(ACTION, ASK, nonce="n1"))) == (200, "")


@both
@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_stamp_more_than_a_quarter_of_an_hour_off_is_expired(sign: Sign, minutes: int) -> None:
    """Stamps may be 15 minutes off and no more, in either direction."""
    cloud = start()
    assert outcome(cloud.handle(sign(ACTION, ASK, stamp=time.time() + minutes * 60))) == (
        400,
        "InvalidTimeStamp.Expired",
    )
    nearly = time.time() + (minutes - 2 * minutes // abs(minutes)) * 60
    assert outcome(cloud.handle(sign(ACTION, ASK, stamp=nearly))) == (200, "")


@both
def test_the_quarter_of_an_hour_is_exact(sign: Sign) -> None:
    """A stamp of exactly 15 minutes ago is good, one second more is not, and the same ahead."""
    cloud = LocalCloud.from_world(world(), clock=ManualClock(0.0), real_time=lambda: START)
    codes = [outcome(cloud.handle(sign(ACTION, ASK, stamp=START + off)))[1] for off in (-901, -900, 900, 901)]
    assert codes == ["InvalidTimeStamp.Expired", "", "", "InvalidTimeStamp.Expired"]


def test_stamps_are_compared_with_real_time_whatever_the_clock_says() -> None:
    """A manual clock that is years off changes nothing for signatures."""
    clock = ManualClock(0.0)
    cloud = LocalCloud.from_world(world(), clock=clock, random=random.Random(1))
    assert outcome(cloud.handle(acs3(ACTION, ASK))) == (200, "")
    clock.advance(10**9)
    assert outcome(cloud.handle(acs3(ACTION, ASK))) == (200, "")


def test_nonces_are_forgotten_when_their_stamps_have_expired() -> None:
    """Nonces take room only for as long as a replay would be accepted."""
    now = [START]
    cloud = LocalCloud.from_world(world(), clock=ManualClock(START), real_time=lambda: now[0])
    nonces = cloud._gateway.nonces
    for _ in range(3):
        assert outcome(cloud.handle(acs3(ACTION, ASK, stamp=now[0]))) == (200, "")
    assert len(nonces) == 3
    now[0] += 16 * 60
    assert outcome(cloud.handle(acs3(ACTION, ASK, stamp=now[0], nonce="n"))) == (200, "")
    assert len(nonces) == 1
    assert outcome(cloud.handle(acs3(ACTION, ASK, stamp=now[0], nonce="n"))) == (400, "SignatureNonceUsed")


def test_temporary_keys_need_their_own_token(begin: Callable[..., LocalCloud]) -> None:
    """Without a token, with a garbled one, or with another session's, a temporary key is refused."""
    begin(roles={ROLE: {"trusts": [OWNER]}})
    session, other = Clients().assume(ROLE, "one"), Clients().assume(ROLE, "two")
    assert session.accounts()
    key, secret = session._config["access_key_id"], session._config["access_key_secret"]
    with refused("MissingSecurityToken", 400):
        Clients(key=key, secret=secret).accounts()
    with refused("InvalidSecurityToken.Malformed", 400):
        Clients(key=key, secret=secret, token="garbled").accounts()
    with refused("InvalidSecurityToken.MismatchWithAccessKey", 400):
        Clients(key=key, secret=secret, token=other._config["security_token"]).accounts()
    with refused("SignatureDoesNotMatch", 400):
        Clients(key=key, secret="other", token=session._config["security_token"]).accounts()
    with refused("InvalidSecurityToken.MismatchWithAccessKey", 400):
        Clients(token=other._config["security_token"]).images()


def test_temporary_keys_expire_by_the_clouds_clock(begin: Callable[..., LocalCloud]) -> None:
    """A session works until its last second and is expired then, a renewed one works again."""
    cloud = begin(roles={ROLE: {"trusts": [OWNER]}})
    session = Clients().assume(ROLE, duration_seconds=900)
    cloud.advance(899)
    assert session.accounts()
    cloud.advance(1)
    with refused("InvalidSecurityToken.Expired", 400):
        session.accounts()
    assert Clients().assume(ROLE).accounts()


def test_the_old_signature_takes_tokens_too(begin: Callable[..., LocalCloud]) -> None:
    """A session signs with the older signature as well."""
    begin(roles={ROLE: {"trusts": [OWNER]}})
    session = Clients().assume(ROLE)
    old = Clients(
        key=session._config["access_key_id"],
        secret=session._config["access_key_secret"],
        token=session._config["security_token"],
        signature_algorithm="v2",
    )
    assert old.accounts()
