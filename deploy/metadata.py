"""What the vendor's resource types take, from the metadata that comes with the ``ros-cdk-*`` packages.

Each package holds an archive with a file ``.jsii``: the properties of every resource type, their types, whether they
are required, nested structures, and attributes. It names them in camel case; how a template spells them, which values
are allowed and between which limits, is said only in the generated code beside it (``EventBridge::Rule``'s target has
``identity`` in the one and ``Id`` in the other), so both are read. Nothing of the packages is run.

What can go wrong: the service is newer than the package. Then a property of today is unknown here, and the package in
``pyproject.toml`` has to be raised.
"""

from __future__ import annotations

import importlib.util
import json
import re
import tarfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from msgspec import Struct

TEXT, NUMBER, FLAG, ANYTHING, MAP = "text", "a number", "true or false", "anything", "a mapping"


class Form(Struct, frozen=True):
    """What a value has to be: one of ``TEXT`` ... ``MAP``, a structure, or a list of a form."""

    kind: str
    structure: str = ""
    items: Form | None = None


class Property(Struct, frozen=True):
    """A property as a template spells it: its form, whether it is required, and its limits (of texts: of lengths)."""

    name: str
    form: Form
    required: bool = False
    allowed: tuple[Any, ...] = ()
    least: float | None = None
    most: float | None = None


class ResourceType(Struct, frozen=True):
    """A resource type's properties and attributes."""

    name: str
    properties: Mapping[str, Property]
    attributes: frozenset[str]


class Metadata:
    """The resource types of all packages that are installed. A package is read when one of its types is asked for."""

    def __init__(self) -> None:
        self._packages: dict[str, _Package | None] = {}

    def resource(self, name: str) -> ResourceType | None:
        """A resource type such as ``ALIYUN::FC3::Function``; ``None`` if no installed package has it."""
        parts = name.split("::")
        if len(parts) != 3 or parts[0] != "ALIYUN":
            return None
        package = self._package(parts[1].lower())
        return None if package is None else package.resources.get(name)

    def structure(self, name: str) -> Mapping[str, Property]:
        """The properties of a structure that a form names."""
        package = self._package(name.split(".", 1)[0].rpartition("ros-cdk-")[2])
        return {} if package is None else package.properties(name)

    def _package(self, service: str) -> _Package | None:
        if service not in self._packages:
            self._packages[service] = _open(service)
        return self._packages[service]


def _open(service: str) -> _Package | None:
    found = importlib.util.find_spec(f"ros_cdk_{service}")
    if found is None or found.origin is None:
        return None
    (archive,) = (Path(found.origin).parent / "_jsii").glob("*.tgz")
    with tarfile.open(archive) as tar:
        described = json.load(_file(tar, "package/.jsii"))
        code = _file(tar, f"package/lib/{service}.generated.js").read().decode()
    return _Package(described["types"], code)


def _file(tar: tarfile.TarFile, name: str) -> Any:
    found = tar.extractfile(name)
    if found is None:
        raise ValueError(f"{tar.name!r} has no {name}")
    return found


class _Package:
    def __init__(self, types: Mapping[str, Any], code: str) -> None:
        self._types = types
        self._code = code

    @cached_property
    def resources(self) -> Mapping[str, ResourceType]:
        """Of each type the class says its name in words and has its attributes, the structure has its properties."""
        found = {}
        for name, of in self._types.items():
            said = re.search(r"ROS resource type `(ALIYUN::[^`]+)`", of.get("docs", {}).get("summary", ""))
            if said and name.rpartition(".")[2].startswith("Ros") and f"{name}Props" in self._types:
                notes = [p["docs"].get("custom", {}).get("Attribute") for p in of.get("properties", []) if "docs" in p]
                attributes = frozenset(note.split(":")[0] for note in notes if note)
                found[said[1]] = ResourceType(said[1], self.properties(f"{name}Props"), attributes)
        return found

    def properties(self, name: str) -> Mapping[str, Property]:
        path = name.split(".", 1)[1]
        names, rules = self._names(path), self._rules(path)
        found = {}
        for one in self._types[name].get("properties", []):
            spelled = names[one["name"]]
            found[spelled] = Property(
                spelled,
                _form(one["type"], self._types),
                required=not one.get("optional", False),
                **rules.get(one["name"], {}),
            )
        return found

    def _names(self, path: str) -> Mapping[str, str]:
        body = self._function(f"ros{path.replace('.', '').removeprefix('Ros')}ToRosTemplate")
        return {camel: spelled for spelled, camel in re.findall(r"'([^']+)': .*\(properties\.(\w+)\)", body)}

    def _rules(self, path: str) -> Mapping[str, dict[str, Any]]:
        """Allowed values and limits by property, as the generated validators state them."""
        body = self._function(f"{path.replace('.', '_')}Validator")
        found: dict[str, dict[str, Any]] = {}
        for name, rule, arguments in re.findall(
            r"propertyValidator\('(\w+)', ros\.(validate\w+)\)\(\{(.*?)\}\)", body, re.DOTALL
        ):
            if allowed := re.search(r"allowedValues: (\[.*\])", arguments):
                found.setdefault(name, {})["allowed"] = tuple(json.loads(allowed[1]))
            for key, limit in re.findall(r"(min|max): ([0-9.]+)", arguments):
                if rule in {"validateRange", "validateLength"}:
                    found.setdefault(name, {})["least" if key == "min" else "most"] = float(limit)
        return found

    def _function(self, name: str) -> str:
        start = self._code.index(f"function {name}(")
        return self._code[start : self._code.index("\n}\n", start)]


_SIMPLE = {"string": TEXT, "number": NUMBER, "boolean": FLAG, "any": ANYTHING, "json": ANYTHING}


def _form(of: Mapping[str, Any], types: Mapping[str, Any]) -> Form:
    """The form of a type; that anything may also come from a function of the template language goes without saying."""
    if "union" in of:
        (own,) = (one for one in of["union"]["types"] if not one.get("fqn", "").endswith(".IResolvable"))
        return _form(own, types)
    if "primitive" in of:
        return Form(_SIMPLE[of["primitive"]])
    if "collection" in of:
        if of["collection"]["kind"] == "map":
            return Form(MAP)
        return Form("a list", items=_form(of["collection"]["elementtype"], types))
    if of.get("fqn") in types:
        return Form("a structure", structure=of["fqn"])
    return Form(ANYTHING)
