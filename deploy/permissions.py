"""Whether the roles of the templates let the code do what it does, and nothing else.

What is too much here is as wrong as what is too little: a role that may do more than its code does is what somebody
who gets into the code would use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deploy.functions import TOPIC, Deployed, deployed
from deploy.project import Project
from deploy.reading import Finding, Keys, Template, function_of, within
from deploy.resolving import resolve, text_of
from deploy.structure import nearest
from orgshare.permissions import BY_HAND

ROLE, POLICY, SERVICE = "ALIYUN::RAM::Role", "ALIYUN::RAM::ManagedPolicy", "ALIYUN::FC::Service"
NAMED = ("oss:", "sts:", "fc:", "mns:", "log:", "eventbridge:")
"""Services whose resources a policy can name, and whose actions here concern one that is known."""

PUBLISH = "mns:PublishMessage"
WRITING = frozenset({"oss:PutObject", "oss:DeleteObject"})


def check(template: Template, project: Project) -> Iterator[Finding]:
    """Everything about the roles of a template."""
    yield from _roles(template, project)
    for place, statement in _statements(template):
        yield from _actions(template, project, place, statement)
        yield from _resources(template, place, statement)


def check_together(templates: Mapping[str, Template], project: Project) -> Iterator[Finding]:
    """Whether the templates together let the code make every call that it makes."""
    owner = {call for call in project.calls if call.startswith(("ecd:", "ecs:", "ram:", "resourcesharing:"))}
    reader = {call for call in project.calls if call.startswith("resourcemanager:")}
    whole = project.calls - reader - BY_HAND
    for name, wanted in (
        ("template.yml", whole),
        ("template-fc2.yml", whole),
        ("template-owner.yml", owner),
        ("template-management.yml", reader),
    ):
        if name in templates:
            template = templates[name]
            granted = {action for _, statement in _statements(template) for action in _texts(statement.get("Action"))}
            for action in sorted(wanted - granted):
                what = f"no role may {action}, and the code does"
                yield template.at(("Resources",), what, "add it to the role that needs it")


def trusted(role: Mapping[str, Any]) -> list[str]:
    """Who may take a role: services, accounts and others."""
    statements = within(role, "AssumeRolePolicyDocument", "Statement")
    found = []
    for statement in statements if isinstance(statements, list) else []:
        principal = within(statement, "Principal")
        for many in principal.values() if isinstance(principal, dict) else [principal]:
            found += _texts(many)
    return found


def _roles(template: Template, project: Project) -> Iterator[Finding]:
    """Each function has a role of its own, which Function Compute alone may take."""
    own = {str(place[1]): (place, of) for place, of in template.resources(ROLE)}
    taken: dict[str, str] = {}
    for function in deployed(template, project):
        holder = _holder(template, function)
        if holder is None:
            yield template.at((*function.place, "ServiceName"), "no service of this template", "add a service")
            continue
        place, resource, role = holder
        named = function_of(role)
        if named is not None and named[0] == "Ref" and named[1] in template.section("Parameters"):
            continue
        name = str(named[1]).split(".")[0] if named is not None else ""
        if role is None:
            yield template.at(place, f"{resource} has no role", "give it one of its own")
        elif name not in own:
            mend = "take the Arn of one of this template, or a parameter that is one"
            yield template.at((*place, "Role"), f"the role of {resource} is none that is known", mend)
        elif name in taken:
            what = f"{taken[name]} has the role {name} too"
            yield template.at((*place, "Role"), what, "a role for each, with what its code does and no more")
        else:
            taken[name] = resource
            where, of = own[name]
            if trusted(of) != ["fc.aliyuncs.com"]:
                what = f"{', '.join(trusted(of)) or 'nobody'} may take the role of {resource}"
                mend = "Service: [fc.aliyuncs.com], and nobody else"
                yield template.at((*where, "AssumeRolePolicyDocument"), what, mend)
            if not _may_tell(template, name):
                what = f"{resource} may not publish to the topic that its failures go to, so the service refuses it"
                mend = "allow mns:PublishMessage on acs:mns:*:ACCOUNT:/topics/NAME/messages"
                yield template.at((*where, "Policies"), what, mend)


def _may_tell(template: Template, role: str) -> bool:
    """Whether a role may publish to a topic of this template.

    https://www.alibabacloud.com/help/en/fc/user-guide/result-callback
    """
    topics = [text_of(template, of.get("TopicName")) for _, of in template.resources(TOPIC)]
    return any(
        str(resource).endswith(f"/topics/{topic}/messages")
        for place, statement in _statements(template)
        if place[1] == role and PUBLISH in _texts(statement.get("Action"))
        for resource in _texts(resolve(template, statement.get("Resource")))
        for topic in topics
    )


def _holder(template: Template, function: Deployed) -> tuple[Keys, str, Any] | None:
    """What has the role of a function: itself, or in Function Compute 2.0 its service."""
    if not function.in_service:
        return function.place, function.resource, function.properties.get("Role")
    name = text_of(template, function.properties["ServiceName"])
    for place, of in template.resources(SERVICE):
        if text_of(template, of.get("ServiceName")) == name:
            return place, str(place[1]), of.get("Role")
    return None


def _statements(template: Template) -> Iterator[tuple[Keys, Mapping[str, Any]]]:
    """Every statement of what a role may do."""
    for place, of in template.resources(ROLE, POLICY):
        policies: list[tuple[Keys, Any]] = [(place, of)]
        if "PolicyDocument" not in of:
            inline = of.get("Policies")
            inline = inline if isinstance(inline, list) else []
            policies = [((*place, "Policies", number), policy) for number, policy in enumerate(inline)]
        for where, policy in policies:
            statements = within(policy, "PolicyDocument", "Statement")
            for number, statement in enumerate(statements if isinstance(statements, list) else []):
                if isinstance(statement, dict):
                    yield (*where, "PolicyDocument", "Statement", number), statement


def _actions(template: Template, project: Project, place: Keys, statement: Mapping[str, Any]) -> Iterator[Finding]:
    """Only what the code calls, by name."""
    where = (*place, "Action")
    for action in _texts(statement.get("Action")):
        if "*" in action:
            yield template.at(where, f"{action} allows more than the code does", "name each action")
        elif action not in project.actions():
            what = f"{action} is no action of a call that the code makes"
            yield template.at(where, what, nearest(action, project.actions()))
    if statement.get("Effect") != "Allow":
        yield template.at((*place, "Effect"), f"{statement.get('Effect')} is not Allow", "write Allow")


def _resources(template: Template, place: Keys, statement: Mapping[str, Any]) -> Iterator[Finding]:
    """On named resources where the service knows them; and the state is written, never the policy."""
    where = (*place, "Resource")
    actions = _texts(statement.get("Action"))
    resources = _texts(resolve(template, statement.get("Resource")))
    if statement.get("Resource") is None or not resources:
        yield template.at(place, "a statement about no resource", "add Resource")
    wide = [resource for resource in resources if resource.rpartition(":")[2] == "*"]
    if wide and (named := [action for action in actions if action.startswith(NAMED)]):
        what = f"{', '.join(named)} on {', '.join(wide)}"
        yield template.at(where, what, "name the bucket, role, function, topic or log that it is")
    writes = sorted(WRITING & set(actions))
    if writes and "StateBucket" in template.section("Parameters"):
        if "oss:DeleteObject" not in writes:
            what = "oss:PutObject without oss:DeleteObject: what a function puts beside a shard it also takes away"
            yield template.at((*place, "Action"), what, "add oss:DeleteObject")
        for resource in resources:
            if not resource.endswith("/state/*"):
                mend = "only acs:oss:*:*:BUCKET/state/*: the policy is not the functions' to write"
                yield template.at(where, f"{', '.join(writes)} on {resource}, outside of the state", mend)


def _texts(value: Any) -> list[str]:
    return [str(one) for one in (value if isinstance(value, list) else [value])]
