"""Running a function's handler as Function Compute would: load it, initialize it, hand it the event and a context.

A function is loaded from its file under a name of its own, because all of them are called ``index``. The context has
the fields of the Python 3.10 runtime (https://help.aliyun.com/en/functioncompute/fc/context-1).

What can go wrong is a handler that works here and not there. So it gets bytes and a context of that shape, and nothing
is put into its path: what it imports has to be installed, as it is in the layer.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from msgspec import Struct

import orgshare
from orgshare.errors import ConfigurationError, CredentialsRefused, NobodyAnswers, OrgshareError
from orgshare.settings import KEY, SECRET, TOKEN


class Credentials(Struct, frozen=True):
    """The credentials of the function's role. The text form shows nothing of them."""

    access_key_id: str | None
    access_key_secret: str | None
    security_token: str | None

    def __repr__(self) -> str:
        return "Credentials(…)"


class Function(Struct, frozen=True):
    """What the runtime says of the function."""

    name: str
    handler: str = "index.handler"
    memory: int = 512
    timeout: int = 600


class Service(Struct, frozen=True):
    """What the runtime says of the service that the function belongs to; version 3.0 has none, and empty fields."""

    name: str = ""
    log_project: str = ""
    log_store: str = ""
    qualifier: str = "LATEST"
    version_id: str = ""


class Context(Struct, frozen=True):
    """The second argument of a handler."""

    request_id: str
    credentials: Credentials
    function: Function
    service: Service
    region: str
    account_id: str


class HandlerFailed(OrgshareError):
    """The handler raised, or could not be loaded. Function Compute would report the same as a function error."""

    def __init__(self, function: str, error: BaseException) -> None:
        super().__init__(f"function {function} raised {type(error).__name__}: {error}")
        self.error = error

    def document(self) -> dict[str, Any]:
        """What Function Compute answers in this case."""
        return {"errorMessage": str(self.error), "errorType": type(self.error).__name__}


def functions_folder() -> Path:
    """Where the functions are: beside ``shared`` in a checkout, inside the package where it is installed."""
    package = Path(orgshare.__file__).parent
    checkout = package.parents[1] / "functions"
    return checkout if checkout.is_dir() else package / "_functions"


def invoke_function(functions: Path, name: str, event: Path) -> str:
    """Run one handler once; what it returned, as text.

    Raises ``ConfigurationError`` if there is no such function or event, ``HandlerFailed`` if it raised.
    """
    file = _file(functions, name)
    try:
        payload = event.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{event}: cannot be read: {error.strerror}; expected a file with an event") from error
    context = _context(name)
    try:
        module = _load(file, name)
        initialize: Callable[[Context], object] | None = getattr(module, "initialize", None)
        if initialize is not None:
            initialize(context)
        returned: object = module.handler(payload, context)
    except (ConfigurationError, NobodyAnswers, CredentialsRefused):
        raise
    except Exception as error:
        raise HandlerFailed(name, error) from error
    return returned.decode() if isinstance(returned, bytes) else str(returned)


def _file(functions: Path, name: str) -> Path:
    file = functions / name / "index.py"
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name) and file.is_file():
        return file
    known = sorted(path.parent.name for path in functions.glob("*/index.py")) if functions.is_dir() else []
    raise ConfigurationError(f"function {name}: {functions} has no such function; it has {', '.join(known) or 'none'}")


def _load(file: Path, name: str) -> ModuleType:
    module_name = f"orgshare_function_{name.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(module_name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    return module


def _context(name: str) -> Context:
    environment = os.environ
    return Context(
        request_id=str(uuid.uuid4()),
        credentials=Credentials(environment.get(KEY), environment.get(SECRET), environment.get(TOKEN)),
        function=Function(name),
        service=Service(),
        region=environment.get("FC_REGION", "cn-hangzhou"),
        account_id=environment.get("FC_ACCOUNT_ID", ""),
    )
