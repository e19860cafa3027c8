"""What the templates are held to: the functions, settings, calls and sample events that the project has today.

All of it is read from the project itself, so that a template cannot stay behind: a new setting, a new call and a new
function are each something that a template has to know.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from msgspec import Struct

from orgshare.permissions import FREE, OPTIONAL, action_of

ROOT = Path(__file__).parents[1]

TEMPLATES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "template.yml": frozenset({"membership", "image", "reconcile", "worker"}),
        "template-fc2.yml": frozenset({"membership", "image", "reconcile", "worker"}),
        "template-region.yml": frozenset({"image"}),
        "template-trail.yml": frozenset(),
        "template-management.yml": frozenset(),
        "template-owner.yml": frozenset(),
    }
)
"""Every template, and the functions that it deploys."""

PLATFORM: Mapping[str, str] = MappingProxyType(
    {
        "log:PostLogStoreLogs": "Function Compute writes a function's log with the function's role",
        "eventbridge:PutEvents": "EventBridge of another account puts events on the bus",
        "oss:GetBucketLocation": "ActionTrail looks where the bucket of a trail is before it writes",
        "oss:PutObject": "ActionTrail writes the files of a trail",
    }
)
"""Actions that are needed though no code of this project names them, and why."""


class Project(Struct, frozen=True):
    """``functions`` by name, ``settings`` that the library knows, ``calls`` that it makes, ``events`` by file name."""

    functions: Mapping[str, Path]
    settings: frozenset[str]
    calls: frozenset[str]
    events: Mapping[str, Mapping[str, Any]]

    def actions(self) -> frozenset[str]:
        """Every action that a policy may name."""
        return self.calls | PLATFORM.keys()


def this_project() -> Project:
    """What the tree around this file is."""
    library = ROOT / "shared" / "orgshare"
    adapters = "".join(path.read_text(encoding="utf-8") for path in sorted((library / "alibaba").glob("*.py")))
    calls = set(re.findall(r'"((?:ecd|ecs|resourcemanager|resourcesharing|sts|oss|fc|mns|ram):[A-Z]\w+)"', adapters))
    samples = sorted((ROOT / "localcloud" / "samples" / "events").glob("*.json"))
    return Project(
        functions={path.parent.name: path for path in sorted((ROOT / "functions").glob("*/index.py"))},
        settings=frozenset(re.findall(r'"(ORGSHARE_[A-Z_]+)"', (library / "settings.py").read_text(encoding="utf-8"))),
        calls=frozenset(map(action_of, calls - FREE - OPTIONAL)),
        events={path.name: json.loads(path.read_text(encoding="utf-8")) for path in samples},
    )


def load_function(path: Path) -> ModuleType:
    """A function's module, as Function Compute would load it, under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"deployed_{path.parent.name}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
