"""A template and its resolved resources: parameters, conditions, and the functions of the template language.

https://www.alibabacloud.com/help/en/ros/user-guide/functions has the functions. Those that are not here, unknown
parameters, conditions and resources are errors that name the place, since a template that is half understood would
run as something else than what is deployed.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

from localcloud.world import WorldError

VERSION = "2015-09-01"
_SECTIONS = (
    "ROSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Conditions",
    "Mappings",
    "Resources",
    "Outputs",
    "Rules",
)
_RESOURCE = ("Type", "Properties", "Condition", "DependsOn", "DeletionPolicy", "Metadata")
_NOTHING = object()
"""What `Ref: ALIYUN::NoValue` resolves to: the property is not there."""
_VARIABLE = re.compile(r"\$\{(!?)([^${}]+)\}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in a template, for errors."""

    source: str
    path: str = ""

    def below(self, key: object) -> Place:
        """A place in it."""
        return Place(self.source, f"{self.path}.{key}" if self.path else str(key))

    def fail(self, why: str) -> NoReturn:
        """WorldError with the place."""
        raise WorldError(f"{self.source}: {self.path}: {why}" if self.path else f"{self.source}: {why}")


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource whose condition holds, as it is written."""

    name: str
    type: str
    properties: Mapping[str, Any]
    place: Place


@dataclass(frozen=True, slots=True)
class Pseudo:
    """What the pseudo parameters say: https://www.alibabacloud.com/help/en/ros/user-guide/pseudo-parameters."""

    account: str
    region: str
    stack: str

    def value(self, name: str) -> Any:
        """The value of `ALIYUN::...`; None if there is none of this name."""
        return {
            "ALIYUN::Region": self.region,
            "ALIYUN::TenantId": self.account,
            "ALIYUN::AccountId": self.account,
            "ALIYUN::StackName": self.stack,
            "ALIYUN::StackId": f"local-{self.stack}",
            "ALIYUN::NoValue": _NOTHING,
        }.get(name)


Lookup = Callable[[Resource, str], Any]
"""(resource, attribute) -> its value; the empty attribute is what Ref gives; KeyError if there is none."""


@dataclass
class Template:
    """A template with the values of its parameters."""

    document: Mapping[str, Any]
    place: Place
    parameters: Mapping[str, Any]
    pseudo: Pseudo
    lookup: Lookup
    _conditions: dict[str, bool] = field(default_factory=dict)
    _under_way: list[str] = field(default_factory=list)

    def resources(self) -> dict[str, Resource]:
        """Every resource whose condition holds."""
        found: dict[str, Resource] = {}
        top = self.place.below("Resources")
        for name, body in _mapping(self.document.get("Resources", {}), top).items():
            here = top.below(name)
            for key in _mapping(body, here):
                if key not in _RESOURCE:
                    here.below(key).fail(f"unknown key; known: {', '.join(_RESOURCE)}")
            kind = body.get("Type")
            if not isinstance(kind, str):
                here.below("Type").fail("expected the type of a resource")
            condition = body.get("Condition")
            if condition is None or self.condition(condition, here.below("Condition")):
                properties = _mapping(body.get("Properties") or {}, here.below("Properties"))
                found[name] = Resource(name, kind, properties, here)
        return found

    def properties(self, resource: Resource) -> dict[str, Any]:
        """The properties of a resource, resolved."""
        place = resource.place.below("Properties")
        return {
            key: value
            for key, raw in resource.properties.items()
            if (value := self.resolve(raw, place.below(key))) is not _NOTHING
        }

    def condition(self, name: object, place: Place) -> bool:
        """Whether a condition of the template holds."""
        if not isinstance(name, str):
            return self._truth(name, place)
        known = self._conditions.get(name)
        if known is None:
            conditions = _mapping(self.document.get("Conditions", {}), self.place.below("Conditions"))
            if name not in conditions:
                place.fail(f'no condition "{name}"; known: {", ".join(sorted(conditions)) or "none"}')
            known = self._conditions[name] = self._truth(conditions[name], self.place.below("Conditions").below(name))
        return known

    def resolve(self, value: Any, place: Place) -> Any:
        """A value with every function in it replaced by what it gives."""
        if isinstance(value, Mapping):
            if len(value) == 1:
                ((key, argument),) = value.items()
                if key == "Ref" or (isinstance(key, str) and key.startswith("Fn::")):
                    return self._function(key, argument, place.below(key))
            resolved = {key: self.resolve(one, place.below(key)) for key, one in value.items()}
            return {key: one for key, one in resolved.items() if one is not _NOTHING}
        if isinstance(value, list):
            items = (self.resolve(one, place.below(index)) for index, one in enumerate(value))
            return [one for one in items if one is not _NOTHING]
        return value

    def _function(self, name: str, argument: Any, place: Place) -> Any:
        functions: Mapping[str, Callable[[Any, Place], Any]] = {
            "Ref": self._reference,
            "Fn::And": lambda value, where: self._truth({"Fn::And": value}, where),
            "Fn::Equals": lambda value, where: self._truth({"Fn::Equals": value}, where),
            "Fn::FindInMap": self._mapped,
            "Fn::GetAtt": self._attribute,
            "Fn::If": self._chosen,
            "Fn::Join": self._joined,
            "Fn::Not": lambda value, where: self._truth({"Fn::Not": value}, where),
            "Fn::Or": lambda value, where: self._truth({"Fn::Or": value}, where),
            "Fn::Select": self._selected,
            "Fn::Split": self._split,
            "Fn::Sub": self._substituted,
        }
        if name not in functions:
            place.fail("this function is not served by the local cloud")
        return functions[name](argument, place)

    def _chosen(self, argument: Any, place: Place) -> Any:
        which, then, otherwise = _items(argument, 3, place)
        return self.resolve(then if self.condition(which, place) else otherwise, place)

    def _joined(self, argument: Any, place: Place) -> str:
        separator, parts = _items(argument, 2, place)
        return str(separator).join(str(one) for one in self._list(parts, place))

    def _selected(self, argument: Any, place: Place) -> Any:
        index, parts = _items(argument, 2, place)
        found = self._list(parts, place)
        if not str(index).isdigit() or int(index) >= len(found):
            place.fail(f"nothing at {index}")
        return found[int(index)]

    def _split(self, argument: Any, place: Place) -> list[str]:
        separator, text = _items(argument, 2, place)
        return str(self.resolve(text, place)).split(str(separator))

    def _list(self, value: Any, place: Place) -> list[Any]:
        found = self.resolve(value, place)
        if not isinstance(found, list):
            place.fail("expected a list")
        return found

    def _reference(self, name: Any, place: Place) -> Any:
        if not isinstance(name, str):
            place.fail("expected a name")
        if name.startswith("ALIYUN::"):
            value = self.pseudo.value(name)
            if value is None:
                place.fail(f"the pseudo parameter {name} is not served by the local cloud")
            return value
        if name in self.parameters:
            return self.parameters[name]
        return self._of_resource(name, "", place)

    def _attribute(self, argument: Any, place: Place) -> Any:
        parts = argument.split(".", 1) if isinstance(argument, str) else argument
        name, attribute = _items(parts, 2, place)
        return self._of_resource(str(name), str(self.resolve(attribute, place)), place)

    def _of_resource(self, name: str, attribute: str, place: Place) -> Any:
        resources = self.resources()
        resource = resources.get(name)
        if resource is None:
            exists = name in self.document.get("Resources", {})
            place.fail(f'"{name}" is not made: its condition does not hold' if exists else f'nothing is named "{name}"')
        if name in self._under_way:
            place.fail(f"goes in a circle: {' -> '.join([*self._under_way, name])}")
        self._under_way.append(name)
        try:
            return self.lookup(resource, attribute)
        except KeyError:
            what = f"attribute {attribute}" if attribute else "Ref"
            place.fail(f"{what} of {resource.type} is not served by the local cloud")
        finally:
            self._under_way.pop()

    def _substituted(self, argument: Any, place: Place) -> str:
        text, own = argument, {}
        if isinstance(argument, list):
            text, own = _items(argument, 2, place)
        if not isinstance(text, str):
            place.fail("expected text")
        values = {key: self.resolve(one, place.below(key)) for key, one in _mapping(own, place).items()}

        def value(match: re.Match[str]) -> str:
            name = match[2].strip()
            if match[1]:
                return f"${{{name}}}"
            if name in values:
                return str(values[name])
            resource, _, attribute = name.partition(".")
            known = name.startswith("ALIYUN::") or name in self.parameters or not attribute
            return str(self._reference(name, place) if known else self._of_resource(resource, attribute, place))

        return _VARIABLE.sub(value, text)

    def _mapped(self, argument: Any, place: Place) -> Any:
        name, first, second = (self.resolve(one, place) for one in _items(argument, 3, place))
        try:
            return self.document["Mappings"][name][first][second]
        except (KeyError, TypeError):
            place.fail(f"nothing at {name}, {first}, {second} in Mappings")

    def _truth(self, value: Any, place: Place) -> bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self.condition(value, place)
        name, argument = next(iter(value.items())) if isinstance(value, Mapping) and len(value) == 1 else ("", None)
        if name == "Fn::Equals":
            left, right = (self.resolve(one, place) for one in _items(argument, 2, place))
            return _plain(left) == _plain(right)
        if name == "Fn::Not":
            return not self._truth(_items(argument, 1, place)[0], place)
        if name in ("Fn::And", "Fn::Or"):
            parts = [self._truth(one, place) for one in _items(argument, None, place)]
            return all(parts) if name == "Fn::And" else any(parts)
        if name not in ("Condition", "Fn::Condition"):
            place.fail("expected a condition: Fn::Equals, Fn::Not, Fn::And, Fn::Or or the name of one")
        return self.condition(argument, place)


def load_template(
    path: Path, *, given: Mapping[str, Any], pseudo: Pseudo, lookup: Callable[[Template], Lookup]
) -> Template:
    """The template of a file with these parameters; WorldError if it is none."""
    source = path.name
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise WorldError(f"{source}: cannot be read: {problem.strerror}") from problem
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a subclass of the safe loader
    except yaml.YAMLError as problem:
        raise WorldError(f"{source}: not YAML: {' '.join(str(problem).split())}") from problem
    place = Place(source)
    for key in _mapping(document, place):
        if key not in _SECTIONS:
            place.below(key).fail(f"not served by the local cloud; known: {', '.join(_SECTIONS)}")
    if str(document.get("ROSTemplateFormatVersion")) != VERSION:
        place.below("ROSTemplateFormatVersion").fail(f'expected "{VERSION}"')

    def unbound(_resource: Resource, _attribute: str) -> Any:
        raise KeyError

    template = Template(document, place, _parameters(document, place, given), pseudo, unbound)
    template.lookup = lookup(template)
    return template


def _parameters(document: Mapping[str, Any], place: Place, given: Mapping[str, Any]) -> dict[str, Any]:
    """Values of all parameters: https://www.alibabacloud.com/help/en/ros/user-guide/parameters."""
    top = place.below("Parameters")
    declared = _mapping(document.get("Parameters", {}), top)
    for name in given:
        if name not in declared:
            raise WorldError(f"functions.parameters.{name}: {place.source} has no such parameter")
    found: dict[str, Any] = {}
    for name, body in declared.items():
        here = top.below(name)
        kind = _mapping(body, here).get("Type", "String")
        if name not in given and "Default" not in body:
            here.fail("has no default; give it in functions.parameters")
        found[name] = _converted(given.get(name, body.get("Default")), str(kind), here)
        allowed = body.get("AllowedValues")
        if allowed is not None and _plain(found[name]) not in [_plain(one) for one in allowed]:
            here.fail(f"expected one of {', '.join(map(str, allowed))}, found {found[name]}")
        for key, compare in (("MinValue", operator.ge), ("MaxValue", operator.le)):
            if key in body and not compare(found[name], body[key]):
                here.fail(f"{found[name]} is beyond its {key} {body[key]}")
        pattern = body.get("AllowedPattern")
        if pattern is not None and not re.fullmatch(pattern, str(found[name])):
            here.fail(f"{found[name]!r} does not match {pattern}")
    return found


def _converted(value: Any, kind: str, place: Place) -> Any:
    if kind == "Number" and isinstance(value, str):
        try:
            return int(value) if value.lstrip("-").isdigit() else float(value)
        except ValueError:
            place.fail(f"expected a number, found {value!r}")
    if kind == "Boolean" and isinstance(value, str):
        if value.lower() not in ("true", "false"):
            place.fail(f"expected true or false, found {value!r}")
        return value.lower() == "true"
    if kind == "CommaDelimitedList" and isinstance(value, str):
        return [one.strip() for one in value.split(",") if one.strip()]
    return value


def _plain(value: Any) -> str:
    """A value as conditions compare it: true and "true" are the same."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _mapping(value: Any, place: Place) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        place.fail("expected a mapping")
    return value


def _items(value: Any, count: int | None, place: Place) -> list[Any]:
    if not isinstance(value, list) or (count is not None and len(value) != count):
        place.fail("expected a list" if count is None else f"expected a list of {count}")
    return value


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The safe loader with the short forms (`!Ref`, `!Sub`, ...); times stay text, as ROS has none."""


def _short(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short)
_Loader.yaml_implicit_resolvers = {
    key: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for key, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
