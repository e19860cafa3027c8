"""Whether anything that the program says has a secret in it: looked for in all that the whole suite logs and reports.

A local cloud knows every secret that it issues and every signature that it is shown. What is said is caught where it
leaves the program: the lines of its logs, what commands and handlers answer, what handlers raise, the reports in the
state, and what is told to topics. Both are long words of letters and digits, so each text costs one look at its words.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from click.testing import CliRunner

import localcloud.gateway
import localcloud.mns.exchange
import localcloud.oss.exchange
from localcloud.mns.models import MessageModel
from localcloud.sts.models import IdentityModel
from orgshare import handling
from orgshare.record import reports

BEGINNING = 20
"""Letters of a secret that are looked for: one that was cut off is found, too."""

LEVELS = ("msg", "log", "debug", "info", "warn", "warning", "error", "critical", "fatal", "failure", "exception")
"""Every way in which a logger prints a line."""

_WORD = re.compile(rf"[A-Za-z0-9+/]{{{BEGINNING},}}|[A-Za-z0-9]{{{BEGINNING},}}")
_LONG = re.compile(rf"[A-Za-z0-9]{{{BEGINNING},}}")


class Secrets:
    """The secrets and signatures that local clouds know, and what was said meanwhile."""

    def __init__(self) -> None:
        self._issued: dict[str, str] = {}
        self._shown: dict[str, str] = {}
        self._said: list[tuple[str, str]] = []

    def issued(self, kind: str, secret: str) -> None:
        """A key, secret or token that lasts longer than one test may."""
        self._issued[secret[:BEGINNING]] = kind

    def shown(self, signature: str) -> None:
        """The signature of a request."""
        self._shown[signature[:BEGINNING]] = "signature"

    def said(self, where: str, text: str) -> None:
        """Something left the program."""
        self._said.append((where, text))

    def leaks(self) -> list[str]:
        """What was said with a secret in it since this was asked last, without the secret."""
        found = []
        for where, text in self._said:
            words = {word[:BEGINNING] for word in (*_WORD.findall(text), *_LONG.findall(text))}
            for word in words & (self._issued.keys() | self._shown.keys()):
                kind = self._issued.get(word) or self._shown[word]
                found.append(f"{where}: a {kind} in: {text.replace(word, '…')[:200]}")
        self._said.clear()
        self._shown.clear()
        return sorted(found)


def watch(secrets: Secrets, patch: pytest.MonkeyPatch) -> None:
    """Learn every secret and hear everything that is said, as long as the patches last."""
    _learn(secrets, patch)
    for name in (
        "msg",
        "log",
        "debug",
        "info",
        "warn",
        "warning",
        "error",
        "critical",
        "fatal",
        "failure",
        "exception",
    ):
        usual = getattr(structlog.PrintLogger, name)
        patch.setattr(structlog.PrintLogger, name, _hearing(secrets, "log", usual))
    invoke = CliRunner.invoke

    def invoked(self: CliRunner, *arguments: Any, **options: Any) -> Any:
        result = invoke(self, *arguments, **options)
        secrets.said("command", result.output)
        return result

    patch.setattr(CliRunner, "invoke", invoked)
    respond = handling.respond

    def responded(*arguments: Any, **options: Any) -> str:
        try:
            answer = respond(*arguments, **options)
        except Exception as error:
            secrets.said("handler", f"{type(error).__name__}: {error}")
            raise
        secrets.said("handler", answer)
        return answer

    patch.setattr(handling, "respond", responded)
    patch.setattr("orgshare.report.runs.write_report", _writing(secrets, reports.write_report))
    deliver = MessageModel.deliver

    def delivered(self: MessageModel, account: str, region: str, name: str, body: str, **options: Any) -> Any:
        secrets.said("message", body)
        return deliver(self, account, region, name, body, **options)

    patch.setattr(MessageModel, "deliver", delivered)


def _learn(secrets: Secrets, patch: pytest.MonkeyPatch) -> None:
    opened = IdentityModel._open

    def assumed(self: IdentityModel, *arguments: Any, **options: Any) -> Any:
        session = opened(self, *arguments, **options)
        secrets.issued("secret", session.secret)
        secrets.issued("token", session.token)
        secrets.issued("key", session.access_key.removeprefix("STS."))
        return session

    patch.setattr(IdentityModel, "_open", assumed)
    for module, name in (
        (localcloud.gateway, "read_signature"),
        (localcloud.oss.exchange, "read_object_signature"),
        (localcloud.mns.exchange, "_signature"),
    ):
        patch.setattr(module, name, _reading(secrets, getattr(module, name)))


def _reading(secrets: Secrets, usual: Callable[..., Any]) -> Callable[..., Any]:
    def read(*arguments: Any) -> Any:
        signed = usual(*arguments)
        secrets.shown(signed if isinstance(signed, str) else signed.signature)
        return signed

    return read


def _hearing(secrets: Secrets, where: str, usual: Callable[..., Any]) -> Callable[..., Any]:
    def say(self: Any, message: str, *arguments: Any) -> Any:
        secrets.said(where, str(message))
        return usual(self, message, *arguments)

    return say


def _writing(secrets: Secrets, usual: Callable[..., None]) -> Callable[..., None]:
    def write(store: Any, document: bytes, **options: Any) -> None:
        secrets.said("report in the state", document.decode())
        usual(store, document, **options)

    return write


class Hearing(logging.Handler):
    """Hears what is logged the way of the standard library, as a runtime's own handler would."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__(logging.INFO)
        self._secrets = secrets

    def emit(self, record: logging.LogRecord) -> None:
        """Hear a line, and the error that came with it."""
        self._secrets.said("logging", f"{record.getMessage()} {record.exc_info[1] if record.exc_info else ''}")


def listening(secrets: Secrets) -> Iterator[None]:
    """Hear the standard library's log meanwhile."""
    root, handler = logging.getLogger(), Hearing(secrets)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
