"""Whether the functions of a template are those of the project, and would run: code, size, settings, and failures.

The service takes a function with another's code, a handler that does not exist, or a timeout of three seconds without
a word; the first event would tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from deploy.project import Project, load_function
from deploy.reading import Finding, Keys, Template, function_of, within
from deploy.resolving import text_of
from deploy.structure import nearest

FUNCTION, FUNCTION_2 = "ALIYUN::FC3::Function", "ALIYUN::FC::Function"
ASYNC, TOPIC = "ALIYUN::FC3::AsyncInvokeConfig", "ALIYUN::MNS::Topic"

RUNTIMES = ("python3.10", "python3.12")
"""https://www.alibabacloud.com/help/en/functioncompute/fc/python/"""


class Deployed(Struct, frozen=True):
    """A function as a template has it. ``name`` is that of the project's function, empty if it is none of them.

    In Function Compute 2.0 a function is in a service, and has a package with everything, for want of layers.
    """

    resource: str
    place: Keys
    properties: dict[str, Any]
    name: str

    @property
    def in_service(self) -> bool:
        """Whether this is a function of version 2.0."""
        return "ServiceName" in self.properties

    def named_by(self, value: Any) -> bool:
        """Whether a value is this function's name, taken from its resource so that it exists first."""
        return function_of(value) in (
            ("Ref", self.resource),
            ("Fn::GetAtt", f"{self.resource}.FunctionName"),
            ("Fn::GetAtt", [self.resource, "FunctionName"]),
        )


def deployed(template: Template, project: Project) -> tuple[Deployed, ...]:
    """The functions of a template. Their names end with that of the project's function."""
    found = []
    for place, properties in template.resources(FUNCTION, FUNCTION_2):
        full = text_of(template, properties.get("FunctionName"))
        names = [name for name in project.functions if full == name or full.endswith(f"-{name}")]
        found.append(Deployed(str(place[1]), place, dict(properties), names[0] if names else ""))
    return tuple(found)


def check(template: Template, project: Project, expected: frozenset[str]) -> Iterator[Finding]:
    """Everything about the functions of a template; ``expected`` are those that it should deploy."""
    functions = deployed(template, project)
    yield from _present(template, project, functions, expected)
    for function in functions:
        if function.name:
            yield from _code(template, project, function)
        yield from _size(template, function)
        yield from _environment(template, project, function)
        yield from _failures(template, function)


def _present(
    template: Template, project: Project, functions: Iterable[Deployed], expected: frozenset[str]
) -> Iterator[Finding]:
    have = [function.name for function in functions]
    for function in functions:
        if not function.name:
            what = f"{text_of(template, function.properties.get('FunctionName'))} is no function of this project"
            mend = f"let its name end with -NAME; {nearest('', project.functions)}"
            yield template.at((*function.place, "FunctionName"), what, mend)
    for name in sorted(expected - set(have)):
        yield template.at(("Resources",), f"function {name} is not deployed", f"add a resource for functions/{name}")
    for name in sorted({name for name in have if name and have.count(name) > 1}):
        yield template.at(("Resources",), f"function {name} is deployed twice", "take one of them out")


def _code(template: Template, project: Project, function: Deployed) -> Iterator[Finding]:
    """Runtime, handler and initializer exist, in the package that the function gets."""
    properties, place = function.properties, function.place
    runtime = text_of(template, properties.get("Runtime"))
    if runtime not in RUNTIMES:
        mend = f"one of {', '.join(RUNTIMES)}"
        yield template.at((*place, "Runtime"), f"{runtime} is no runtime for this code", mend)
    module = function.name if function.in_service else "index"
    package = f"fc2-{runtime}.zip" if function.in_service else f"{function.name}.zip"
    given = text_of(template, within(properties, "Code", "OssObjectName"))
    if given.rpartition("/")[2] != package:
        what = f"{given} is not the package of {function.name}"
        yield template.at((*place, "Code", "OssObjectName"), what, f"let it end with /{package}")
    try:
        code: Any = load_function(project.functions[function.name])
    except Exception as error:  # noqa: BLE001 - whatever keeps it from being imported keeps it from running
        yield template.at(place, f"functions/{function.name} cannot be imported: {error}", "mend the function")
        return
    if function.in_service:
        initializer: tuple[Keys, Any] = ((*place, "Initializer"), properties.get("Initializer"))
    else:
        where = "InstanceLifecycleConfig"
        initializer = ((*place, where), within(properties, where, "Initializer", "Handler"))
    for here, entry, attribute in (
        ((*place, "Handler"), properties.get("Handler"), "handler"),
        (*initializer, "initialize"),
    ):
        if entry != f"{module}.{attribute}" or not callable(getattr(code, attribute, None)):
            what = f"functions/{function.name} has no {entry}"
            yield template.at(here, what, f"write {module}.{attribute}, which is in its package")


def _size(template: Template, function: Deployed) -> Iterator[Finding]:
    """https://alibabacloud.com/help/en/functioncompute/fc-3-0/product-overview/limits-of-usage"""
    properties, place = function.properties, function.place
    memory, cpu = properties.get("MemorySize"), properties.get("Cpu")
    if not isinstance(memory, int) or not 128 <= memory <= 32_768 or memory % 64:
        yield template.at((*place, "MemorySize"), f"{memory} MB cannot be had", "128 to 32768, in steps of 64")
    elif not isinstance(cpu, (int, float)) or not memory / 4096 <= cpu <= memory / 1024:
        mend = f"for {memory} MB from {memory / 4096:g} to {memory / 1024:g}"
        yield template.at((*place, "Cpu"), f"{cpu} vCPU do not go with {memory} MB", mend)
    timeout = properties.get("Timeout")
    if not isinstance(timeout, int) or not 60 <= timeout <= 86_400:
        what = f"{timeout} s: the default of 3 s ends every run, and a run keeps 40 s to write down what it did"
        yield template.at((*place, "Timeout"), what, "60 to 86400")
    disk = properties.get("DiskSize", 512)
    if disk not in (512, 10_240):
        yield template.at((*place, "DiskSize"), f"{disk} MB cannot be had", "512 or 10240")
    where: tuple[str, ...] = ("InstanceLifecycleConfig", "Initializer", "Timeout")
    if function.in_service:
        where = ("InitializationTimeout",)
    start = within(properties, *where)
    if not isinstance(start, int) or not 1 <= start <= 300:
        yield template.at((*place, *where), f"{start} s to get ready cannot be had", "1 to 300")


def _environment(template: Template, project: Project, function: Deployed) -> Iterator[Finding]:
    place = (*function.place, "EnvironmentVariables")
    given = function.properties.get("EnvironmentVariables")
    given = given if isinstance(given, dict) else {}
    for name, value in given.items():
        if name not in project.settings:
            yield template.at((*place, name), f"no setting is named {name}", nearest(name, project.settings))
        elif name == "ORGSHARE_LOCAL_CLOUD":
            yield template.at((*place, name), "a deployed function would speak to no real cloud", "take it out")
        elif function_of(value) is None and not isinstance(value, str):
            yield template.at((*place, name), "the environment has text only", "put it in quotes")
    for name in ("ORGSHARE_POLICY", "ORGSHARE_MODE"):
        if name not in given:
            yield template.at(place, f"{name} is not set", "without it the function does not know what to do")
    policy = text_of(template, given.get("ORGSHARE_POLICY", "oss://"))
    if not policy.startswith("oss://"):
        yield template.at((*place, "ORGSHARE_POLICY"), f"{policy} is not in object storage", "write oss://BUCKET/KEY")
    worker = given.get("ORGSHARE_WORKER")
    names = [text_of(template, other.get("FunctionName")) for _, other in template.resources(FUNCTION, FUNCTION_2)]
    if worker is not None and text_of(template, worker).rpartition("/")[2] not in names:
        what = f"{text_of(template, worker)} is no function of this template"
        yield template.at((*place, "ORGSHARE_WORKER"), what, f"known are {', '.join(sorted(names))}")


def _failures(template: Template, function: Deployed) -> Iterator[Finding]:
    """What fails for good is delivered to where a person sees it.

    https://www.alibabacloud.com/help/en/fc/user-guide/result-callback
    """
    if function.in_service:
        place: Keys = (*function.place, "AsyncConfiguration")
        config: Any = function.properties.get("AsyncConfiguration")
        target = within(config, "Destination", "OnFailure")
    else:
        configs = [found for found in template.resources(ASYNC) if function.named_by(found[1].get("FunctionName"))]
        if not configs:
            what = f"nothing is said about asynchronous calls of {function.resource}: a failure would be forgotten"
            yield template.at(function.place, what, f"add an {ASYNC} with DestinationConfig.OnFailure")
            return
        place, config = configs[0]
        target = within(config, "DestinationConfig", "OnFailure", "Destination")
    topics = [text_of(template, of.get("TopicName")) for _, of in template.resources(TOPIC)]
    told = re.fullmatch(r"acs:mns:[^:]+:[^:]+:/topics/([^/]+)/messages", text_of(template, target))
    if told is None or told[1] not in topics:
        goes = "nowhere" if target is None else f"to {text_of(template, target)}, which is no topic of this template"
        mend = "write acs:mns:REGION:ACCOUNT:/topics/NAME/messages"
        yield template.at(place, f"failures of {function.resource} go {goes}", mend)
    attempts = within(config, "MaxAsyncRetryAttempts")
    if not isinstance(attempts, int) or not 0 <= attempts <= 8:
        where = (*place, "MaxAsyncRetryAttempts")
        yield template.at(where, f"{attempts} cannot be had", "0 to 8; say it, though 3 is the default")
