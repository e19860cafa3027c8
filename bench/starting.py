"""What a cold start loads and costs: importing a handler, getting it ready, and its first event.

Each is a process of its own, as an instance is. Seconds are of processor time, so that other processes of this machine
count for little; what matters is their ratio to importing every SDK that the project uses.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bench.tables import markdown
from localcloud import LocalCloud, ManualClock
from localcloud.server import serving
from orgshare_demo.deployment import OWNER, REGION, deployed_world

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "localcloud" / "samples"

EVENTS = {
    "membership": "account-moved",
    "image": "image-available",
    "reconcile": "timer",
    "worker": "worker",
}
"""A sample event of each function."""

SDKS = (
    "alibabacloud_ecd20200930.client",
    "alibabacloud_ecs20140526.client",
    "alibabacloud_fc20230330.client",
    "alibabacloud_oss_v2",
    "alibabacloud_ram20150501.client",
    "alibabacloud_resourcemanager20200331.client",
    "alibabacloud_resourcesharing20200110.client",
    "alibabacloud_sts20150401.client",
    "fc2",
)
"""Every SDK that the project uses."""

RUNS = 3
"""Of each, the quickest counts: whatever else runs on a machine only adds."""

_STEPS = """
import importlib.util, json, sys, time
from types import SimpleNamespace

def step(work):
    began, before = time.process_time(), set(sys.modules)
    work()
    loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
    steps.append({"seconds": time.process_time() - began, "modules": sorted(loaded - set(sys.stdlib_module_names))})

def load():
    spec = importlib.util.spec_from_file_location("index", sys.argv[1])
    spec.loader.exec_module(sys.modules.setdefault("index", importlib.util.module_from_spec(spec)))

steps, out = [], sys.stdout
sys.stdout = sys.stderr
function = SimpleNamespace(name="f", timeout=600)
context = SimpleNamespace(request_id="1-65", function=function, region=sys.argv[3], account_id=sys.argv[4])
event = open(sys.argv[2], "rb").read()
step(load)
index = sys.modules["index"]
step(lambda: index.initialize(context))
step(lambda: index.handler(event, context))
json.dump(dict(zip(("import", "initialize", "first event"), steps)), out)
"""

_ALL = "import time; began = time.process_time(); import {}; print(time.process_time() - began)"


def steps_of(function: str, environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Start a handler in a process of its own: for each step its seconds, and the top-level modules that it loaded."""
    event = SAMPLES / "events" / f"{EVENTS[function]}.json"
    index = ROOT / "functions" / function / "index.py"
    done = subprocess.run(
        [sys.executable, "-c", _STEPS, str(index), str(event), REGION, OWNER],
        check=True, capture_output=True, text=True, env={**_clean(), **environment}, timeout=300,
    )  # fmt: skip
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


def environment_of(folder: Path, url: str) -> dict[str, str]:
    """The settings of functions in the sample organization, with a policy and a begun state in a folder."""
    policy = yaml.safe_load((SAMPLES / "story" / "policy.yaml").read_text())
    (folder / "policy.yaml").write_text(yaml.safe_dump({**policy, "state": "file:state"}))
    keys = yaml.safe_load((SAMPLES / "story" / "world.yaml").read_text())["access_keys"]
    key = next(name for name, one in keys.items() if one["account"] != policy["directory"]["account"])
    environment = {
        "ORGSHARE_POLICY": str(folder / "policy.yaml"),
        "ORGSHARE_LOCAL_CLOUD": url,
        "ALIBABA_CLOUD_ACCESS_KEY_ID": key,
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": keys[key]["secret"],
        "ORGSHARE_WORKER": "orgshare-worker",
    }
    init = [sys.executable, "-c", "from orgshare.cli.main import main; main()", "init"]
    subprocess.run(init, check=True, capture_output=True, env={**_clean(), **environment}, timeout=300)
    return environment


def cloud_of_story() -> LocalCloud:
    """The sample organization with the functions of the template. Its clock stands still, so no worker comes."""
    return LocalCloud.from_world(deployed_world(), clock=ManualClock(time.time()))


def table() -> str:
    """Seconds and ratios of each handler."""
    whole = min(_seconds_of_all() for _ in range(RUNS))
    rows = [["importing every SDK", f"{whole:.2f} s", "1.00", "", "", "", ""]]
    with tempfile.TemporaryDirectory() as name, serving(cloud_of_story()) as url:
        environment = environment_of(Path(name), url)
        for function in EVENTS:
            runs = [steps_of(function, environment) for _ in range(RUNS)]
            best = {step: min(run[step]["seconds"] for run in runs) for step in runs[0]}
            cells = [(f"{seconds:.2f} s", f"{seconds / whole:.2f}") for seconds in best.values()]
            rows.append([function, *(cell for pair in cells for cell in pair)])
    head = ["", "import", "ratio", "initialize", "ratio", "first event", "ratio"]
    return markdown("Cold start, in seconds of processor time", head, rows)


def _seconds_of_all() -> float:
    code = _ALL.format(", ".join(SDKS))
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=_clean())
    return float(done.stdout)


def _clean() -> dict[str, str]:
    """This process's environment without what would steer a function."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("ORGSHARE_", "ALIBABA_CLOUD_", "FC_"))}


if __name__ == "__main__":
    print(table())
