"""A function for tests: answers what its event asks for."""

import base64
import hashlib
import hmac
import importlib
import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

from layered import WHERE  # type: ignore[import-not-found]

STARTED: list[str] = []


def initialize(context: Any) -> None:
    """Counts how often it is called."""
    STARTED.append(context.request_id)


def handler(event: bytes, context: Any) -> Any:
    """Do what the event says, or answer the event."""
    asked = json.loads(event) if event.startswith(b'{"do"') else {}
    what = asked.get("do")
    if what == "raise":
        raise ValueError("as asked")
    if what == "sleep":
        return subprocess.run(["sleep", str(asked["seconds"])], check=True).returncode
    if what == "exit":
        os._exit(3)
    if what == "say":
        print(asked["text"])
    if what == "hold":
        time.sleep(600)
    if what == "fetch":
        with urllib.request.urlopen(os.environ["CLOUD"] + asked["path"]) as answer:
            return answer.read()
    if what == "publish":
        return publish(asked, context.credentials)
    if what == "import":
        try:
            return json.dumps(importlib.import_module(asked["module"]).__name__)
        except ImportError as problem:
            return json.dumps(str(problem))
    answers: dict[str, Callable[[], Any]] = {
        "context": lambda: shape(context),
        "environment": lambda: dict(os.environ),
        "state": lambda: {"pid": os.getpid(), "started": STARTED, "layer": WHERE},
        "bytes": lambda: b"\x00\x01",
    }
    return answers[what]() if what in answers else event


def publish(asked: dict[str, Any], keys: Any) -> Any:
    """PublishMessage with the keys of this invocation: https://help.aliyun.com/document_detail/27487.html"""
    path, date = f"/topics/{asked['topic']}/messages", formatdate(usegmt=True)
    signed = f"POST\n\ntext/xml\n{date}\nx-mns-version:2015-06-06\n{path}".encode()
    signature = base64.b64encode(hmac.new(keys.access_key_secret.encode(), signed, hashlib.sha1).digest()).decode()
    headers = {
        "Authorization": f"MNS {keys.access_key_id}:{signature}",
        "security-token": keys.security_token,
        "Date": date,
        "Content-Type": "text/xml",
        "x-mns-version": "2015-06-06",
    }
    space = "http://mns.aliyuncs.com/doc/v1/"
    body = f'<Message xmlns="{space}"><MessageBody>{asked["text"]}</MessageBody></Message>'.encode()
    request = urllib.request.Request(os.environ["CLOUD"] + path, body, headers, method="POST")
    with urllib.request.urlopen(request) as answer:
        return str(answer.status)


def shape(thing: Any) -> Any:
    """The attributes of a context, and of those in it."""
    if not hasattr(thing, "__dict__"):
        return thing
    return {key: shape(value) for key, value in vars(thing).items()}
