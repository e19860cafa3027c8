"""The story's organization with the functions of the template deployed in it: for the demonstration and for tests.

Nothing here stands for a function: the local cloud runs what the template says, in the roles that it gives. What can go
wrong is a world that is kinder than a deployment. So the role that reads the organization has the actions of
``orgshare.permissions`` and no others, and policy and state lie in the bucket that the template makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import yaml

from orgshare.cli.invoking import functions_folder
from orgshare.permissions import policy_document
from orgshare.record.state import State
from orgshare.settings import Settings
from orgshare.wiring import begin_state, check_store, load_policy, make_calls, make_cloud, make_store, new_run

STORY = files("localcloud") / "samples" / "story"
MANAGEMENT, OWNER, REGION = "1000000000000001", "1000000000000002", "cn-hangzhou"
BUCKET, POLICY = "acme-orgshare", "policy.yaml"
READER = f"acs:ram::{MANAGEMENT}:role/orgshare-directory-reader"
PREFIX = "orgshare"
"""How the names of the functions begin."""

WATCH, SWEEP = 300.0, 900.0
"""Seconds from one watch to the next, and from one sweep to the next."""


def deployed_world(template: str = "template.yml", **parameters: Any) -> dict[str, Any]:
    """The story's world with the functions of a template in the account that owns the images, as plain data.

    The resource directory's calls reach the management account's bus, and are forwarded from there. The accounts
    outside that may be invited have keys, ``LOCAL`` and their id.
    """
    document: dict[str, Any] = yaml.safe_load((STORY / "world.yaml").read_text())
    document["access_keys"] |= {
        f"LOCAL{one}": {"secret": "local", "account": one} for one in document["outsiders"] if one.startswith("1")
    }
    document["roles"] |= {READER: {"trusts": [OWNER], "policies": [policy_document("directory", account=MANAGEMENT)]}}
    functions = functions_folder()
    document["functions"] = {
        "template": str(functions.parent / template),
        "account": OWNER,
        "region": REGION,
        "code": str(functions),
        "packages": "interpreter",
        "parameters": {
            "Prefix": PREFIX,
            "Mode": "enforce",
            "StateBucket": BUCKET,
            "CodeBucket": "acme-packages",
            "CodeFolder": "orgshare/1",
            "DirectoryReaderRole": READER,
            "WatchMinutes": int(WATCH / 60),
            "SweepSchedule": f"@every {SWEEP / 60:.0f}m",
            **parameters,
        },
        "environment": {"ORGSHARE_LOCAL_CLOUD": "{url}"},
    }
    document["events"] = {"membership": True, "forward": {MANAGEMENT: OWNER}}
    return document


def policy_text() -> str:
    """The story's policy; its state lies in the template's bucket."""
    return (STORY / "policy.yaml").read_text()


def settings_of(url: str) -> Mapping[str, str]:
    """The environment in which every command speaks to the story's deployment."""
    return {
        "ORGSHARE_POLICY": f"oss://{BUCKET}/{POLICY}",
        "ORGSHARE_LOCAL_CLOUD": url,
        "ALIBABA_CLOUD_ACCESS_KEY_ID": "LOCALIMAGES",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "local",
    }


def begin(settings: Settings) -> State:
    """Begin the state, once the policy is in its bucket, as ``orgshare init`` does."""
    policy, run, calls = load_policy(settings.policy, lambda: settings), new_run(), make_calls()
    directory = make_cloud(policy, settings, run, calls).directory().identity()
    store = make_store(policy, settings, run, calls)
    check_store(store)
    return begin_state(policy, store, directory.id)
