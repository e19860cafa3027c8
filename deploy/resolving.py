"""What a value of a template will be: with the defaults of its parameters, as far as that can be told beforehand.

What is known only when a stack is made is written as ``<Name>``, so that a text around it can still be compared.
"""

from __future__ import annotations

import re
from typing import Any

from deploy.reading import Template, function_of

_NAMING = ("FunctionName", "RoleName", "TopicName", "ServiceName", "Name", "LayerName", "ProjectName", "LogstoreName")
"""Attributes whose value is that of the property of the same name."""


def resolve(template: Template, value: Any) -> Any:
    """The value with everything in it that can be told."""
    function = function_of(value)
    if function is None:
        if isinstance(value, dict):
            return {key: resolve(template, item) for key, item in value.items()}
        return [resolve(template, item) for item in value] if isinstance(value, list) else value
    name, argument = function
    found: Any = f"<{name}>"
    if name == "Ref":
        found = _named(template, str(argument))
    elif name == "Fn::GetAtt":
        parts = argument if isinstance(argument, list) else str(argument).split(".", 1)
        found = _attribute(template, str(parts[0]), str(parts[-1]))
    elif name == "Fn::Sub":
        found = _substituted(template, argument)
    elif name == "Fn::If" and isinstance(argument, list) and len(argument) == 3:
        found = resolve(template, argument[1])
    elif name == "Fn::Split" and isinstance(argument, list) and len(argument) == 2:
        found = str(resolve(template, argument[1])).split(str(argument[0]))
    return found


def text_of(template: Template, value: Any) -> str:
    """The value as text."""
    return str(resolve(template, value))


def _named(template: Template, name: str) -> Any:
    parameter = template.section("Parameters").get(name)
    if isinstance(parameter, dict) and parameter.get("Default", "") != "":
        return parameter["Default"]
    return f"<{name.removeprefix('ALIYUN::')}>"


def _attribute(template: Template, name: str, attribute: str) -> Any:
    resource = template.section("Resources").get(name)
    if isinstance(resource, dict) and attribute in _NAMING:
        properties = resource.get("Properties", {})
        own = "BucketName" if resource.get("Type") == "ALIYUN::OSS::Bucket" and attribute == "Name" else attribute
        if own in properties:
            return resolve(template, properties[own])
    return f"<{name}.{attribute}>"


def _substituted(template: Template, argument: Any) -> str:
    text, own = (argument[0], argument[1]) if isinstance(argument, list) and len(argument) == 2 else (argument, {})

    def value(match: re.Match[str]) -> str:
        name = match[2]
        if match[1]:
            return f"${{{name}}}"
        if name in own:
            return text_of(template, own[name])
        if "." in name:
            resource, attribute = name.split(".", 1)
            return str(_attribute(template, resource, attribute))
        return str(_named(template, name))

    return re.sub(r"\$\{(!?)([^${}]+)\}", value, str(text))
