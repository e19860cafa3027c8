"""What a cold start loads: at import no SDK, while it gets ready those that it uses, at its first event none more."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from bench.starting import EVENTS, SDKS, cloud_of_story, environment_of, steps_of
from localcloud.server import serving

IMPORT = {"msgspec", "orgshare", "structlog", "tenacity", "yaml"}
"""What every handler needs to read an event, a policy and its settings, and to write a log."""

BY_STRUCTLOG = {"attr", "pygments", "rich", "typing_extensions"}
"""What structlog and msgspec load by themselves where they find it; the functions use none of it."""

COMMON = {
    "Tea", "aiofiles", "aiohappyeyeballs", "aiohttp", "aiosignal", "alibabacloud_credentials",
    "alibabacloud_credentials_api", "alibabacloud_gateway_spi", "alibabacloud_tea_openapi", "apscheduler", "certifi",
    "charset_normalizer", "cryptography", "darabonba", "frozenlist", "idna", "multidict", "propcache", "requests",
    "tzlocal", "urllib3", "websocket", "yarl",
}  # fmt: skip
"""What every SDK of the vendor's newer kind loads."""

LOOK = {"alibabacloud_resourcemanager20200331", "alibabacloud_sts20150401"}
READY = {
    "image": {"alibabacloud_fc20230330"},
    "membership": {"alibabacloud_fc20230330", *LOOK},
    "reconcile": {"alibabacloud_fc20230330", *LOOK},
    "worker": {"alibabacloud_ecs20140526", "alibabacloud_resourcesharing20200110", *LOOK},
}
"""The SDKs of the products that each function uses, where workers are a function of their own."""

RARE = {"worker": {"alibabacloud_ecd20200930"}}
"""What only some policies ask for, this one among them: while a function gets ready, nobody has read the policy."""

OLDER = {"_cffi_backend", "async_timeout", "exceptiongroup"}
"""What some of them load on an older Python, or with another build of the same."""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, set[str]]]:
    """Function -> step -> the top-level modules of installed packages that it loaded, each in a process of its own."""
    folder: Path = tmp_path_factory.mktemp("cold")
    known = packages_distributions()
    with serving(cloud_of_story()) as url, ThreadPoolExecutor(2) as threads:
        environment = environment_of(folder, url)
        found = threads.map(lambda function: steps_of(function, environment), EVENTS)
        return {
            function: {step: {one for one in each["modules"] if one in known} for step, each in steps.items()}
            for function, steps in zip(EVENTS, found, strict=True)
        }


@pytest.mark.parametrize("function", EVENTS)
def test_importing_a_handler_loads_no_sdk(loaded: dict[str, dict[str, set[str]]], function: str) -> None:
    """Exactly this, and a module that creeps in is named here."""
    assert loaded[function]["import"] - BY_STRUCTLOG == IMPORT


@pytest.mark.parametrize("function", EVENTS)
def test_initialize_loads_what_the_first_event_uses(loaded: dict[str, dict[str, set[str]]], function: str) -> None:
    """Exactly the SDKs that this function uses whatever the policy says; then its first event waits for no other."""
    assert loaded[function]["initialize"] - OLDER == COMMON | READY[function]
    assert loaded[function]["first event"] == RARE.get(function, set())


def test_the_list_of_all_sdks_is_whole() -> None:
    """The measure that imports are compared with has every SDK that the project depends on."""
    pyproject = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    named = pyproject.partition("dependencies = [")[2].partition("]")[0]
    needed = {
        line.split(">")[0].strip(' "') for line in named.splitlines() if "alibabacloud-" in line or "aliyun-" in line
    }
    have = {"aliyun-fc2" if one == "fc2" else one.split(".")[0].replace("_", "-") for one in SDKS}
    assert needed - {"alibabacloud-tea-openapi"} == have
