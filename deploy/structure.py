"""Whether a template is one that the service would take: sections, parameters, references, resource types, properties.

Functions of the template language stand for values that are known only when a stack is made. So where one stands, only
its references are checked; of ``Fn::If`` both values are.
https://www.alibabacloud.com/help/en/ros/user-guide/parameters and .../resources, .../conditions, .../pseudo-parameters
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from deploy.metadata import ANYTHING, FLAG, MAP, NUMBER, TEXT, Form, Metadata, Property
from deploy.reading import Finding, Keys, Template, function_of, within

VERSION = "2015-09-01"
SECTIONS = (
    "ROSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Mappings", "Conditions", "Resources",
    "Outputs", "Rules", "Locals", "Transform",
)  # fmt: skip
PARAMETER = (
    "Type", "Default", "AllowedValues", "AllowedPattern", "MinLength", "MaxLength", "MinValue", "MaxValue", "NoEcho",
    "Description", "ConstraintDescription", "Label", "AssociationProperty", "AssociationPropertyMetadata", "Confirm",
    "TextArea", "Required", "Placeholder",
)  # fmt: skip
PARAMETER_TYPES = ("String", "Number", "CommaDelimitedList", "Json", "Boolean")
RESOURCE = (
    "Type", "Properties", "DependsOn", "Condition", "DeletionPolicy", "UpdatePolicy", "CreationPolicy", "Metadata",
    "Count", "Description", "ReferencePropertyStateChange",
)  # fmt: skip
DELETION = ("Delete", "Retain")
PSEUDO = tuple(
    f"ALIYUN::{name}"
    for name in ("StackName", "StackId", "Region", "AccountId", "TenantId", "ResourceGroupId", "NoValue", "Index")
)
FUNCTIONS = (
    "Str", "Base64Encode", "Base64Decode", "FindInMap", "GetAtt", "Join", "Sub", "Select", "GetAZs", "Replace", "Split",
    "Equals", "And", "Or", "Not", "Index", "If", "Length", "ListMerge", "GetJsonValue", "MergeMapToList", "Avg",
    "SelectMapList", "Add", "Calculate", "Max", "Min", "GetStackOutput", "Jq", "FormatTime", "Any",
)  # fmt: skip
_VARIABLE = re.compile(r"\$\{(!?)([^${}]+)\}")
_SECRET = re.compile(r"(?i)secret|password|token|access_?key")


def check(template: Template, metadata: Metadata) -> Iterator[Finding]:
    """Everything about the form of a template."""
    yield from template.problems
    if template.document:
        yield from _sections(template)
        yield from _parameters(template)
        yield from _References(template, metadata).check()
        yield from _resources(template, metadata)


def nearest(name: str, known: Iterable[str]) -> str:
    """What somebody may have meant, else everything that there is."""
    names = {each.lower(): each for each in sorted(known)}
    close = difflib.get_close_matches(name.lower(), names, 1)
    return f"did you mean {names[close[0]]}?" if close else f"known are {', '.join(names.values())}"


def _sections(template: Template) -> Iterator[Finding]:
    for name in template.document:
        if name not in SECTIONS:
            yield template.at((name,), "no section of a template", nearest(name, SECTIONS))
    if template.document.get("ROSTemplateFormatVersion") != VERSION:
        yield template.at(("ROSTemplateFormatVersion",), "not the version of the format", f"write '{VERSION}' as text")
    if not template.section("Resources"):
        yield template.at(("Resources",), "no resources", "a template makes at least one")


def _parameters(template: Template) -> Iterator[Finding]:
    for name, of in template.section("Parameters").items():
        here: Keys = ("Parameters", name)
        if not re.fullmatch(r"[A-Za-z0-9]+", name):
            yield template.at(here, "not the name of a parameter", "letters and digits only")
        if not isinstance(of, dict):
            yield template.at(here, "no mapping", "give it Type and Description")
            continue
        for key in of:
            if key not in PARAMETER:
                yield template.at((*here, key), "no key of a parameter", nearest(key, PARAMETER))
        kind = of.get("Type")
        if str(kind) not in PARAMETER_TYPES:
            yield template.at((*here, "Type"), f"{kind} is no type", nearest(str(kind), PARAMETER_TYPES))
        if not str(of.get("Description") or "").strip():
            yield template.at(here, "no Description", "say what a person should give and why")
        yield from _limits(template, here, of)
        if _SECRET.search(name) and of.get("NoEcho") is not True:
            yield template.at(here, "a secret that everybody who sees the stack can read", "set NoEcho: true")


def _limits(template: Template, here: Keys, of: Mapping[str, Any]) -> Iterator[Finding]:
    """A parameter says what it takes, and its default is among that."""
    kind, allowed, pattern = of.get("Type"), of.get("AllowedValues"), of.get("AllowedPattern")
    for key, form in (("AllowedValues", list), ("AllowedPattern", str), ("MinValue", int), ("MaxValue", int)):
        if key in of and not isinstance(of[key], form):
            yield template.at((*here, key), f"{_shown(of[key])} cannot be one", f"write {_FORMS[form]}")
            return
    if kind == "Number" and allowed is None and not {"MinValue", "MaxValue"} <= of.keys():
        yield template.at(here, "any number is taken", "add MinValue and MaxValue, or AllowedValues")
    if kind == "String" and allowed is None and pattern is None:
        yield template.at(here, "any text is taken", "add AllowedPattern or AllowedValues")
    if pattern is not None:
        try:
            re.compile(pattern)
        except re.error as error:
            yield template.at((*here, "AllowedPattern"), f"no regular expression: {error}", "mend it")
            return
        if not of.get("ConstraintDescription"):
            yield template.at(here, "a pattern that nobody explains", "add ConstraintDescription")
    if "Default" in of and (wrong := _wrong_default(of)):
        yield template.at((*here, "Default"), *wrong)


_FORMS = {list: "a list", str: "a text", int: "a whole number"}


def _wrong_default(of: Mapping[str, Any]) -> tuple[str, str] | None:
    """What is wrong with a default, and how to mend it."""
    default, allowed, pattern = of["Default"], of.get("AllowedValues"), of.get("AllowedPattern")
    if of.get("Type") == "Number" and (isinstance(default, bool) or not isinstance(default, (int, float))):
        return f"{_shown(default)} is no number", "write a number"
    if of.get("Type") == "String" and not isinstance(default, str):
        return f"{_shown(default)} is no text", "put it in quotes"
    if allowed is not None and default not in allowed:
        return f"{default!r} is not allowed", f"one of {', '.join(map(str, allowed))}"
    if pattern is not None and not re.search(pattern, str(default)):
        return f"{default!r} does not match {pattern}", "mend the one or the other"
    least, most = of.get("MinValue", default), of.get("MaxValue", default)
    if isinstance(default, (int, float)) and not least <= default <= most:
        return f"{default} is out of range", f"from {least} to {most}"
    return None


class _References:
    """Whether everything that is referred to exists, and everything that exists is referred to."""

    def __init__(self, template: Template, metadata: Metadata) -> None:
        self.template = template
        self.metadata = metadata
        self.parameters = template.section("Parameters")
        self.conditions = template.section("Conditions")
        self.existing = template.section("Resources")
        self.used: set[str] = set()
        self.used_conditions: set[str] = set()

    def check(self) -> Iterator[Finding]:
        for name, condition in self.conditions.items():
            yield from self._value(condition, ("Conditions", name), frozenset(), in_condition=True)
        for name, resource in self.existing.items():
            if isinstance(resource, dict):
                yield from self._resource(name, resource)
        for name, output in self.template.section("Outputs").items():
            if isinstance(output, dict):
                yield from self._output(name, output)
        for name in self.parameters:
            if name not in self.used:
                yield self.template.at(("Parameters", name), "nothing uses this parameter", "use it or take it out")
        for name in self.conditions:
            if name not in self.used_conditions:
                yield self.template.at(("Conditions", name), "nothing uses this condition", "use it or take it out")

    def _resource(self, name: str, resource: Mapping[str, Any]) -> Iterator[Finding]:
        here: Keys = ("Resources", name)
        holding = frozenset[str]()
        if "Condition" in resource:
            yield from self._condition(resource["Condition"], (*here, "Condition"))
            holding = frozenset({str(resource["Condition"])})
        first = resource.get("DependsOn", [])
        for number, other in enumerate(first if isinstance(first, list) else [first]):
            place: Keys = (*here, "DependsOn", number) if isinstance(first, list) else (*here, "DependsOn")
            yield from self._existing(str(other), place, holding)
        yield from self._value(resource.get("Properties", {}), (*here, "Properties"), holding)

    def _output(self, name: str, output: Mapping[str, Any]) -> Iterator[Finding]:
        here: Keys = ("Outputs", name)
        holding = frozenset[str]()
        if "Condition" in output:
            yield from self._condition(output["Condition"], (*here, "Condition"))
            holding = frozenset({str(output["Condition"])})
        yield from self._value(output.get("Value", {}), (*here, "Value"), holding)

    def _value(
        self, value: Any, place: Keys, holding: frozenset[str], *, in_condition: bool = False
    ) -> Iterator[Finding]:
        function = function_of(value)
        if function is not None:
            yield from self._function(*function, place, holding, in_condition=in_condition)
        elif isinstance(value, dict):
            for key, item in value.items():
                yield from self._value(item, (*place, key), holding, in_condition=in_condition)
        elif isinstance(value, list):
            for number, item in enumerate(value):
                yield from self._value(item, (*place, number), holding, in_condition=in_condition)
        elif in_condition and isinstance(value, str) and value in self.conditions:
            self.used_conditions.add(value)

    def _function(
        self, name: str, argument: Any, place: Keys, holding: frozenset[str], *, in_condition: bool
    ) -> Iterator[Finding]:
        if name == "Ref":
            yield from self._reference(str(argument), place, holding)
        elif name == "Fn::GetAtt":
            yield from self._attribute(argument, place, holding)
        elif name == "Fn::Sub":
            yield from self._substituted(argument, place, holding)
        elif name == "Fn::If":
            yield from self._chosen(argument, place, holding)
        elif name.removeprefix("Fn::") not in FUNCTIONS:
            yield self.template.at(place, f"{name} is no function", nearest(name.removeprefix("Fn::"), FUNCTIONS))
        else:
            yield from self._value(argument, place, holding, in_condition=in_condition)

    def _reference(self, name: str, place: Keys, holding: frozenset[str]) -> Iterator[Finding]:
        if name in self.parameters:
            self.used.add(name)
        elif name.startswith("ALIYUN::"):
            if name not in PSEUDO:
                yield self.template.at(place, f"{name} is no pseudo parameter", nearest(name, PSEUDO))
        elif name in self.existing:
            yield from self._existing(name, place, holding)
        else:
            known = [*self.parameters, *self.existing]
            yield self.template.at(place, f"nothing is named {name}", nearest(name, known))

    def _existing(self, name: str, place: Keys, holding: frozenset[str]) -> Iterator[Finding]:
        if name not in self.existing:
            yield self.template.at(place, f"no resource is named {name}", nearest(name, self.existing))
            return
        only_if = within(self.existing[name], "Condition")
        if only_if is not None and str(only_if) not in holding:
            what = f"{name} is made only under the condition {only_if}, and what refers to it without"
            yield self.template.at(place, what, f"give it the condition {only_if}, or use Fn::If")

    def _attribute(self, argument: Any, place: Keys, holding: frozenset[str]) -> Iterator[Finding]:
        parts = argument.split(".", 1) if isinstance(argument, str) else argument
        if not isinstance(parts, list) or len(parts) != 2:
            yield self.template.at(place, "GetAtt takes a resource and an attribute", "write Resource.Attribute")
            return
        name, attribute = str(parts[0]), str(parts[1])
        yield from self._existing(name, place, holding)
        kind = self.metadata.resource(str(within(self.existing.get(name), "Type")))
        if kind is not None and attribute not in kind.attributes:
            what = f"{kind.name} has no attribute {attribute}"
            yield self.template.at(place, what, nearest(attribute, kind.attributes))

    def _substituted(self, argument: Any, place: Keys, holding: frozenset[str]) -> Iterator[Finding]:
        text, own = argument, {}
        if isinstance(argument, list) and len(argument) == 2 and isinstance(argument[1], dict):
            text, own = argument
            yield from self._value(own, (*place, 1), holding)
        if not isinstance(text, str):
            yield self.template.at(place, "Sub takes a text, or a list of a text and a mapping", "mend its form")
            return
        for literal, name in _VARIABLE.findall(text):
            if literal or name in own:
                continue
            if "." in name:
                yield from self._attribute(name, place, holding)
            else:
                yield from self._reference(name, place, holding)

    def _chosen(self, argument: Any, place: Keys, holding: frozenset[str]) -> Iterator[Finding]:
        if not isinstance(argument, list) or len(argument) != 3:
            yield self.template.at(place, "If takes a condition and two values", "mend its form")
            return
        yield from self._condition(argument[0], place)
        yield from self._value(argument[1], place, holding | {str(argument[0])})
        yield from self._value(argument[2], place, holding)

    def _condition(self, name: Any, place: Keys) -> Iterator[Finding]:
        self.used_conditions.add(str(name))
        if str(name) not in self.conditions:
            yield self.template.at(place, f"no condition is named {name}", nearest(str(name), self.conditions))


def _resources(template: Template, metadata: Metadata) -> Iterator[Finding]:
    for name, resource in template.section("Resources").items():
        here: Keys = ("Resources", name)
        if not isinstance(resource, dict):
            yield template.at(here, "no mapping", "give it Type and Properties")
            continue
        for key in resource:
            if key not in RESOURCE:
                yield template.at((*here, key), "no key of a resource", nearest(key, RESOURCE))
        kept = str(resource.get("DeletionPolicy", "Delete"))
        if kept not in DELETION:
            yield template.at((*here, "DeletionPolicy"), f"{kept} is no policy", nearest(kept, DELETION))
        kind = metadata.resource(str(resource.get("Type")))
        if kind is None:
            what = f"{resource.get('Type')} is no resource type of the installed ros-cdk packages"
            yield template.at((*here, "Type"), what, "correct it, or install the package that has it")
            continue
        properties = resource.get("Properties", {})
        if not isinstance(properties, dict):
            yield template.at((*here, "Properties"), "no mapping", f"{kind.name} takes a mapping of properties")
            continue
        yield from _mapping(properties, kind.properties, kind.name, template, (*here, "Properties"), metadata)


def _mapping(
    given: Mapping[str, Any],
    properties: Mapping[str, Property],
    of: str,
    template: Template,
    here: Keys,
    metadata: Metadata,
) -> Iterator[Finding]:
    for name, value in given.items():
        if name not in properties:
            yield template.at((*here, name), f"{of} has no property {name}", nearest(name, properties))
        else:
            yield from _value(value, properties[name], template, (*here, name), metadata)
    for name, known in properties.items():
        if known.required and name not in given:
            yield template.at(here, f"{of} lacks its required property {name}", f"add {name}: {known.form.kind}")


def _value(value: Any, of: Property, template: Template, here: Keys, metadata: Metadata) -> Iterator[Finding]:
    function = function_of(value)
    if function is not None:
        name, argument = function
        if name == "Fn::If" and isinstance(argument, list) and len(argument) == 3:
            for one in argument[1:]:
                yield from _value(one, of, template, here, metadata)
        return
    if not _fits(value, of.form):
        yield template.at(here, f"{_shown(value)} where {of.form.kind} is expected", f"write {of.form.kind}")
        return
    if of.form.structure:
        name = of.form.structure.rpartition(".")[2].removesuffix("Property")
        yield from _mapping(value, metadata.structure(of.form.structure), name, template, here, metadata)
    elif of.form.items is not None:
        for number, item in enumerate(value):
            yield from _value(item, Property(of.name, of.form.items), template, (*here, number), metadata)
    yield from _within(value, of, template, here)


def _within(value: Any, of: Property, template: Template, here: Keys) -> Iterator[Finding]:
    if of.allowed and value not in of.allowed:
        yield template.at(here, f"{_shown(value)} is not allowed", f"one of {', '.join(map(str, of.allowed))}")
    size = value if isinstance(value, (int, float)) else len(value) if isinstance(value, (str, list)) else None
    if size is not None and (size < (of.least or size) or size > (of.most or size)):
        what = "" if isinstance(value, (int, float)) else " long"
        limits = f"from {of.least:g}" if of.least is not None else "at least none"
        limits += f" to {of.most:g}" if of.most is not None else ""
        yield template.at(here, f"{_shown(value)} is out of range: {size}{what}", limits)


def _fits(value: Any, form: Form) -> bool:
    if form.kind == TEXT:
        return isinstance(value, str)
    if form.kind == NUMBER:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if form.kind == FLAG:
        return isinstance(value, bool)
    if form.items is not None:
        return isinstance(value, list)
    return form.kind == ANYTHING or ((form.kind == MAP or bool(form.structure)) and isinstance(value, dict))


def _shown(value: Any) -> str:
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)
