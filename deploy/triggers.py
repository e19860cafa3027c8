"""Whether every trigger of a template would call its function, and with what the function understands.

A trigger whose schedule, payload or pattern is wrong is taken and then calls nothing, or calls for nothing. So each has
to have a sample event among those that the project is tested with.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from deploy.functions import Deployed, deployed
from deploy.permissions import ROLE, trusted
from deploy.project import Project
from deploy.reading import Finding, Keys, Template, function_of, within
from deploy.resolving import text_of
from deploy.structure import nearest
from localcloud.events.patterns import read_pattern
from localcloud.fc.schedule import read_schedule

TRIGGER, TRIGGER_2, RULE = "ALIYUN::FC3::Trigger", "ALIYUN::FC::Trigger", "ALIYUN::EventBridge::Rule"
ADD_ONE = "correct it, or add one to localcloud/samples/events"


def check(template: Template, project: Project) -> Iterator[Finding]:
    """Everything about the triggers of a template, and rules that call or forward."""
    functions = deployed(template, project)
    checks = {"timer": _timer, "oss": _files, "eventbridge": _bus}
    for place, of in template.resources(TRIGGER, TRIGGER_2):
        yield from _called(template, place, of, functions)
        kind = str(of.get("TriggerType"))
        if kind not in checks:
            yield template.at((*place, "TriggerType"), f"{kind} has no sample event", nearest(kind, checks))
            continue
        yield from checks[kind](template, project, (*place, "TriggerConfig"), of.get("TriggerConfig"))
        if kind == "oss":
            yield from _caller(template, place, of)
    for place, of in template.resources(RULE):
        yield from _pattern(template, project, (*place, "FilterPattern"), of.get("FilterPattern"))


def _called(
    template: Template, place: Keys, trigger: Mapping[str, Any], functions: tuple[Deployed, ...]
) -> Iterator[Finding]:
    if not any(function.named_by(trigger.get("FunctionName")) for function in functions):
        what = f"{text_of(template, trigger.get('FunctionName'))} is not taken from a function of this template"
        yield template.at((*place, "FunctionName"), what, "write !GetAtt FUNCTION.FunctionName")


def _timer(template: Template, project: Project, place: Keys, config: Any) -> Iterator[Finding]:
    schedule = text_of(template, within(config, "cronExpression"))
    if wrong := _wrong_in_schedule(schedule):
        yield template.at((*place, "cronExpression"), wrong, "see the page on time triggers")
    if within(config, "enable") is not True:
        yield template.at(place, "the timer is not enabled", "write enable: true")
    payload = _json(within(config, "payload"))
    if not isinstance(payload, dict):
        what = f"no JSON object: {within(config, 'payload')}"
        yield template.at((*place, "payload"), what, 'write one in a text, such as {"task": "reconcile"}')
    elif payload not in [_json(event.get("payload")) for event in project.events.values() if "triggerTime" in event]:
        what = f"no sample event is a tick with the payload {json.dumps(payload)}"
        yield template.at((*place, "payload"), what, ADD_ONE)


def _wrong_in_schedule(text: str) -> str:
    """What is wrong with a schedule; empty if nothing is."""
    try:
        comes = read_schedule(text).after(0.0, 0.0)
    except ValueError as error:
        return str(error)
    return "" if comes is not None else f"{text} never comes"


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None


def _files(template: Template, project: Project, place: Keys, config: Any) -> Iterator[Finding]:
    events = within(config, "events")
    events = [str(event) for event in events] if isinstance(events, list) else []
    prefix, suffix = (
        re.sub(r"<[^>]*>", "", text_of(template, within(config, "filter", "key", end))) for end in ("prefix", "suffix")
    )
    if not events or not all(event.startswith("oss:ObjectCreated:") for event in events):
        what = f"{', '.join(events) or 'no events'}: a trail makes files"
        yield template.at((*place, "events"), what, "oss:ObjectCreated:PutObject and the like")
        return
    notices = [one for event in project.events.values() for one in event.get("events", [])]
    keys = [str(within(one, "oss", "object", "key")) for one in notices if f"oss:{within(one, 'eventName')}" in events]
    if not any(prefix in key and key.endswith(suffix) for key in keys):
        what = f"no sample event is a notice of a new file like {prefix}…{suffix}"
        yield template.at(place, what, ADD_ONE)


def _caller(template: Template, place: Keys, trigger: Mapping[str, Any]) -> Iterator[Finding]:
    """Object storage calls a function with a role that it may take."""
    if not text_of(template, trigger.get("SourceArn")).startswith("acs:oss:"):
        yield template.at((*place, "SourceArn"), "no bucket", "write acs:oss:REGION:ACCOUNT:BUCKET")
    named = function_of(trigger.get("InvocationRole"))
    name = str(named[1]).split(".")[0] if named else ""
    roles = {str(where[1]): of for where, of in template.resources(ROLE)}
    if name not in roles or trusted(roles[name]) != ["oss.aliyuncs.com"]:
        what = "object storage may not take the role that it calls the function with"
        yield template.at((*place, "InvocationRole"), what, "name a role of this template that trusts oss.aliyuncs.com")


def _bus(template: Template, project: Project, place: Keys, config: Any) -> Iterator[Finding]:
    where = (*place, "eventRuleFilterPattern")
    pattern = _json(within(config, "eventRuleFilterPattern"))
    if pattern is None:
        yield template.at(where, "no JSON", "write a pattern as one JSON object in a text")
        return
    yield from _pattern(template, project, where, pattern)
    if within(config, "triggerEnable") is not True:
        yield template.at(place, "the trigger is not enabled", "write triggerEnable: true")
    if within(config, "asyncInvocationType") is not False:
        what = "a synchronous call: a failure would be EventBridge's, and nobody would see it"
        yield template.at((*place, "asyncInvocationType"), what, "write asyncInvocationType: false")


def _pattern(template: Template, project: Project, place: Keys, pattern: Any) -> Iterator[Finding]:
    try:
        read = read_pattern(pattern)
    except ValueError as error:
        yield template.at(place, str(error), "see the page on event patterns")
        return
    if not any(map(read.matches, project.events.values())):
        yield template.at(place, "no sample event matches this pattern", ADD_ONE)
