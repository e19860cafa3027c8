"""That the search for secrets in all that is said would find one: each way out of the program, leaking on purpose."""

from __future__ import annotations

import logging
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

import click
import pytest
from click.testing import CliRunner

from localcloud.inprocess import in_process
from localcloud.sts.models import IdentityModel, Session
from localcloud.world import Role
from orgshare import handling
from orgshare.logs import json_log
from orgshare.report import runs
from tests.support.cloud import OWNER, Clients, start
from tests.support.secrets import Secrets
from tests.support.trial import Trial

ROLE = f"acs:ram::{OWNER}:role/one"


class Ways(NamedTuple):
    """What a test has to say something with."""

    trial: Trial
    session: Session


def by_log(ways: Ways, secret: str) -> None:
    json_log(function="f").warning("failed", why=f"the answer was {{token: {secret}}}")


def by_standard_log(_: Ways, secret: str) -> None:
    logging.getLogger("some.sdk").info("sent %s", secret)


def by_command(_: Ways, secret: str) -> None:
    @click.command()
    def tell() -> None:
        click.echo(f"Security-Token={secret}&", err=True)

    CliRunner().invoke(tell)


def by_handler(_: Ways, secret: str) -> None:
    with pytest.raises(ValueError, match="refused"):
        handling.respond("worker", b"{}", None, site=handling.Site(_raising(ValueError(f"refused: {secret}"))))


def by_report(ways: Ways, secret: str) -> None:
    vars(runs)["write_report"](ways.trial.store(), f'{{"why": "{secret}"}}'.encode(), run="r", ended=ways.trial.now())


def by_message(ways: Ways, secret: str) -> None:
    messages = ways.trial.cloud._gateway.models.messages
    messages.adopt_mailboxes([(OWNER, "cn-hangzhou", "topics/t")])
    messages.deliver(OWNER, "cn-hangzhou", "topics/t", secret, sender="x", now=0.0, random=Random(1))


def _raising(error: Exception) -> Callable[[], Any]:
    def opened() -> Any:
        raise error

    return opened


WAYS = (by_log, by_standard_log, by_command, by_handler, by_report, by_message)


@pytest.fixture
def ways(tmp_path: Any) -> Ways:
    model = IdentityModel({}, {ROLE: Role(trusts_services=("fc.aliyuncs.com",))}, {})
    session = model.assume_for_service("fc.aliyuncs.com", ROLE, "tests", seconds=3600, now=0.0, random=Random(7))
    return Ways(Trial(tmp_path), session)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["secret", "token", "key"])
def test_a_secret_that_is_said_is_found(
    secrets: Secrets, ways: Ways, way: Callable[[Ways, str], None], kind: str
) -> None:
    """Whole, or cut off at the end; what is told of it does not say it again."""
    of = ways.session
    secret = {"secret": of.secret, "token": of.token, "key": of.access_key}[kind]
    for said in (secret, secret[:28]):
        way(ways, said)
        (leak,) = secrets.leaks()
        assert f"a {kind} in: " in leak
        assert secret[4:24] not in leak


def test_a_signature_that_is_said_is_found(secrets: Secrets, ways: Ways, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a request that was made in this test."""
    signatures: list[str] = []
    shown = Secrets.shown

    def noted(self: Secrets, signature: str) -> None:
        signatures.append(signature)
        shown(self, signature)

    monkeypatch.setattr(Secrets, "shown", noted)
    with in_process(start()):
        Clients().images()
    (signature,) = signatures
    by_log(ways, signature)
    (leak,) = secrets.leaks()
    assert "a signature in: " in leak


def test_what_is_no_secret_is_none(secrets: Secrets, ways: Ways) -> None:
    """Digests, request ids and the like are said all the time."""
    by_log(ways, f"sha256:{'0123456789abcdef' * 4} 0DDA2C9E-5B1C-5B4B-9E0A-1B0F2A6C3D4E {ROLE} {'x' * 300}")
    assert secrets.leaks() == []
