"""Templates: what is made of one, and that nothing in one is passed over in silence."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcloud.policies import trusted
from localcloud.ros.stack import Stack, read_stack
from localcloud.world import WorldError, load_world, parse_world, read_yaml, world_document
from tests.support.cloud import MANAGEMENT, OWNER, REGION, SHOP, world
from tests.support.functions import FOLDER, ONE, TWO, functions

Document = dict[str, Any]
DOCUMENT: Any = read_yaml((FOLDER / "template.yml").read_text(encoding="utf-8"), source="template.yml")


def stack(**more: Any) -> Stack:
    """What the template of the tests makes; `more` are keys of the world's functions."""
    return read_stack(parse_world(world(functions={**functions(), **more})))


def test_a_template_is_read_as_it_is_deployed() -> None:
    """Names are joined, references followed, conditions decided, and what belongs to a function is with it."""
    made = stack()
    assert sorted(made.functions) == [ONE, TWO]
    one = made.functions[ONE]
    assert (one.account, one.region, one.runtime, one.timeout, one.memory) == (OWNER, REGION, "python3.10", 1, 128)
    assert (one.handler, one.initializer, one.initializer_timeout) == ("index.handler", "index.initialize", 20)
    assert one.environment == (("GREETING", "hello"), ("REGION", REGION))
    assert (one.code, one.layers) == (FOLDER / "one", (FOLDER / "layer",))
    assert one.role == f"acs:ram::{OWNER}:role/acme-functions"
    assert (one.retries, one.max_age, one.reserved) == (3, 86_400, None)
    assert one.on_failure == f"acs:mns:{REGION}:{OWNER}:/topics/acme-failed"
    assert one.on_success == f"acs:mns:{REGION}:{OWNER}:/queues/acme-failed/messages"
    assert made.functions[TWO].timeout == 600
    assert [(one.name, one.function) for one in made.timers] == [("nightly", ONE), ("often", TWO)]
    assert [(one.name, one.prefix, one.suffix) for one in made.objects] == [("files", "audit/", ".gz")]
    assert [(one.name, one.function) for one in made.buses] == [("images", TWO), ("calls", ONE)]
    assert sorted(made.mailboxes) == ["queues/acme-failed", "topics/acme-failed"]
    assert made.buckets["acme-trail"].owner == OWNER


def test_roles_have_their_trust_and_their_policies() -> None:
    """The trust policy says who may assume a role; its policies say what it may do."""
    made = stack()
    role = f"acs:ram::{OWNER}:role/acme-functions"
    trust, policies = made.roles[role].trust_policy, made.roles[role].policies
    assert trust is not None
    assert trusted(trust, ["fc.aliyuncs.com"], {}) == "Allow"
    assert trusted(trust, ["oss.aliyuncs.com"], {}) == "ImplicitDeny"
    assert policies is not None
    assert [one.statement[0].action[0] for one in policies] == ["fc:InvokeFunction", "mns:PublishMessage"]
    (invoke,) = made.roles[f"acs:ram::{OWNER}:role/acme-objects"].policies or ()
    assert invoke.statement[0].resource == (f"acs:fc:*:{OWNER}:functions/{TWO}",)


def test_a_role_without_policies_may_do_nothing(changed: Callable[..., Stack]) -> None:
    """None is not the same as unknown, which would let everything pass."""
    made = changed(of("ObjectRole", "Policies"))
    assert made.roles[f"acs:ram::{OWNER}:role/acme-objects"].policies == ()


def test_parameters_change_what_is_made() -> None:
    """Given values replace defaults, and decide conditions."""
    made = stack(parameters={"Prefix": "other", "Reserved": "5", "FailureTo": "function", "Retries": 0})
    one = made.functions["other-one"]
    assert (one.reserved, one.retries) == (5, 0)
    assert one.on_failure == f"acs:fc:{REGION}:{OWNER}:functions/other-two"


def test_functions_of_2_0_have_their_service_s_settings() -> None:
    """Service and function make the name that 3.0 knows it by."""
    made = stack(template=str(FOLDER / "template-fc2.yml"), parameters={})
    (one,) = made.functions.values()
    assert (one.name, one.service, one.short_name) == ("acme$one", "acme", "one")
    assert (one.log_project, one.retries, one.initializer_timeout) == ("logs", 1, 20)
    assert one.arn == f"acs:fc:{REGION}:{OWNER}:services/acme.LATEST/functions/one"


def test_short_forms_and_long_ones_are_the_same(tmp_path: Path) -> None:
    """`!Ref` and its like are what `Ref` and `Fn::...` are."""
    text = (FOLDER / "template.yml").read_text(encoding="utf-8")
    long = ["{'Fn::Sub': '${Prefix}-trail'}", "{'Fn::GetAtt': [Role, Arn]}", "{Ref: Runtime}"]
    for form, short in zip(long, ["!Sub '${Prefix}-trail'", "!GetAtt Role.Arn", "!Ref Runtime"], strict=True):
        assert form in text
        text = text.replace(form, short)
    path = tmp_path / "template.yml"
    path.write_text(text, encoding="utf-8")
    made, usual = stack(template=str(path)), stack()
    assert (made.functions, made.roles, made.buckets) == (usual.functions, usual.roles, usual.buckets)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {"Fn::Sub": "${ALIYUN::StackName} in ${ALIYUN::Region} of ${ALIYUN::TenantId}"},
            f"tests in {REGION} of {OWNER}",
        ),
        ({"Fn::Sub": ["${a}-${Role.RoleName}-${!b}", {"a": {"Ref": "Prefix"}}]}, "acme-acme-functions-${b}"),
        ({"Fn::Join": [",", ["a", {"Ref": "Prefix"}]]}, "a,acme"),
        ({"Fn::Select": [1, {"Fn::Split": ["-", "a-b-c"]}]}, "b"),
        ({"Fn::If": ["ToQueue", "yes", {"Ref": "ALIYUN::NoValue"}]}, None),
        ({"Fn::If": [{"Fn::Or": [{"Fn::Equals": ["a", "b"]}, {"Fn::Not": ["ToQueue"]}]}, "yes", "no"]}, "yes"),
        ({"Fn::If": [{"Fn::And": ["ToQueue", "ToFunction"]}, "yes", "no"]}, "no"),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "ALIYUN::Region"}, "small"]}, "1"),
    ],
)
def test_the_functions_of_the_language(changed: Callable[..., Stack], value: Any, expected: str | None) -> None:
    """Each gives what the vendor's page says."""

    def change(document: Document) -> None:
        document["Mappings"] = {"Sizes": {REGION: {"small": "1"}}}
        document["Resources"]["One"]["Properties"]["EnvironmentVariables"] = {"VALUE": value}

    made = changed(change)
    found = dict(made.functions[ONE].environment)
    assert found == ({} if expected is None else {"VALUE": expected})


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Stack]:
    """The stack of the template after a change to its document."""

    def read(change: Callable[[Document], None]) -> Stack:
        document = copy.deepcopy(DOCUMENT)
        change(document)
        path = tmp_path / "template.yml"
        path.write_text(json.dumps(document), encoding="utf-8")
        return stack(template=str(path), stack="tests")

    return read


def at(*keys: str, value: Any = None) -> Callable[[Document], None]:
    """A change: this value at that place, nothing there for None."""

    def change(document: Document) -> None:
        for key in keys[:-1]:
            document = document[key]
        if value is None:
            del document[keys[-1]]
        else:
            document[keys[-1]] = value

    return change


def of(resource: str, *keys: str, value: Any = None) -> Callable[[Document], None]:
    """A change to a property of a resource."""
    return at("Resources", resource, "Properties", *keys, value=value)


RULE = "eventRuleFilterPattern"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (at("Parameters", "Retries", "MaxValue", value=2), "Parameters.Retries: 3 is beyond its MaxValue 2"),
        (at("Parameters", "Retries", "MinValue", value=4), "Parameters.Retries: 3 is beyond its MinValue 4"),
        (at("ROSTemplateFormatVersion", value="2010-01-01"), 'ROSTemplateFormatVersion: expected "2015-09-01"'),
        (at("Transform", value="Aliyun::Serverless-2018-04-03"), "Transform: not served"),
        (at("Parameters", "Prefix", "Default"), "Parameters.Prefix: has no default"),
        (at("Resources", "One", "Typ", value="x"), "Resources.One.Typ: unknown key"),
        (at("Resources", "One", "Condition", value="Nope"), 'Resources.One.Condition: no condition "Nope"'),
        (at("Resources", "One", "Type", value="ALIYUN::ECS::Instance"), "Resources.One.Type: ALIYUN::ECS::Instance is"),
        (at("Conditions", "ToQueue", value={"Fn::Any": []}), "Conditions.ToQueue: expected a condition"),
        (of("One", "Runtme", value="python3.10"), "Resources.One.Properties.Runtme: is not served"),
        (of("One", "VpcConfig", value={}), "Resources.One.Properties.VpcConfig: is not served"),
        (of("One", "Runtime", value="python2.7"), "Runtime: expected one of python3.9, python3.10, python3.12"),
        (of("One", "Handler"), "Resources.One.Properties.Handler: is missing"),
        (of("One", "Handler", value="handler"), "Handler: expected MODULE.FUNCTION, found 'handler'"),
        (of("One", "Timeout", value=90_000), "Timeout: expected a whole number from 1 to 86400, found 90000"),
        (of("One", "Code", value={"ZipFile": "UEsDBA=="}), "Code.ZipFile: is not served"),
        (of("One", "Code", value={"OssObjectName": "nope.zip"}), "has neither nope.zip nor a folder of that name"),
        (of("One", "Layers", value=["acs:fc:::layers/other/versions/1"]), "Layers: no layer acs:fc:::layers/other"),
        (of("One", "Role", value=f"acs:ram::{OWNER}:role/other"), f"Role: no role acs:ram::{OWNER}:role/other"),
        (of("One", "Role", value={"Fn::GetAtt": ["ObjectRole", "Arn"]}), "does not trust fc.aliyuncs.com"),
        (
            of("One", "EnvironmentVariables", value={"FC_X": "1"}),
            "EnvironmentVariables.FC_X: names that begin with FC_",
        ),
        (of("One", "FunctionName", value={"Ref": "Nope"}), 'FunctionName.Ref: nothing is named "Nope"'),
        (of("One", "FunctionName", value={"Ref": "ALIYUN::Index"}), "ALIYUN::Index is not served"),
        (of("One", "FunctionName", value={"Fn::Jq": ["x"]}), "FunctionName.Fn::Jq: this function is not served"),
        (of("One", "FunctionName", value={"Fn::GetAtt": ["Role", "Color"]}), "attribute Color of ALIYUN::RAM::Role"),
        (of("One", "Role", value={"Fn::GetAtt": ["OneReserved", "Arn"]}), '"OneReserved" is not made'),
        (of("Two", "FunctionName", value={"Ref": "Two"}), "FunctionName.Ref: goes in a circle: Two -> Two"),
        (of("OneAsync", "MaxAsyncRetryAttempts", value=9), "expected a whole number from 0 to 8, found 9"),
        (
            of("OneAsync", "DestinationConfig", value={"OnFailure": {"Destination": "acs:mq:a:b:c"}}),
            "expected acs:fc:REGION:ACCOUNT:functions/NAME",
        ),
        (
            of("OneAsync", "DestinationConfig", value={"OnFailure": {"Destination": "acs:mns:::/topics/other"}}),
            "no such function, topic or queue is made here",
        ),
        (
            of("OneAsync", "DestinationConfig", value={"OnFailure": {"Destination": f"acs:mns::{SHOP}:/topics/other"}}),
            "is of another region or account",
        ),
        (of("OneAsync", "FunctionName", value="other"), 'FunctionName: no function "other" is made here'),
        (of("Role", "AssumeRolePolicyDocument", value={"Version": "1"}), "AssumeRolePolicyDocument: "),
        (of("Role", "Policies", value=[{"PolicyDocument": {"Version": "1", "Statement": []}}]), "Policies.0.Policy"),
        (of("Role", "PolicyAttachments", value={"System": ["Full"]}), 'PolicyAttachments.System: no policy "Full"'),
        (
            of("Role", "AssumeRolePolicyDocument", "Statement", value=[{"Principal": {"Federated": ["x"]}}]),
            "AssumeRolePolicyDocument: ",
        ),
        (of("Bucket", "AccessControl", value="public-read"), "the local cloud has private buckets only"),
        (of("Bucket", "VersioningConfiguration", value={"Status": "On"}), "expected Enabled or Suspended"),
        (of("Nightly", "TriggerType", value="log"), "TriggerType: log is not served by the local cloud"),
        (of("Nightly", "TriggerConfig", "cron", value="x"), "TriggerConfig.cron: unknown key"),
        (of("Nightly", "TriggerConfig", "cronExpression", value="0 4 * *"), "expected six fields"),
        (of("Nightly", "TriggerConfig", "enable", value="maybe"), "enable: expected true or false"),
        (of("Files", "InvocationRole"), "InvocationRole: is missing"),
        (of("Files", "InvocationRole", value={"Fn::GetAtt": ["Role", "Arn"]}), "does not trust oss.aliyuncs.com"),
        (of("Files", "SourceArn", value="acs:oss:r:a:other"), 'SourceArn: no bucket "other"'),
        (
            of("Files", "TriggerConfig", "events", value=["oss:ObjectTagging:Put"]),
            "oss:ObjectTagging:Put is not served",
        ),
        (of("Images", "TriggerConfig", RULE, value="{"), "eventRuleFilterPattern: expected the JSON text of a pattern"),
        (of("Images", "TriggerConfig", RULE, value='{"type": "x"}'), "type: expected a list of 1 to 5 alternatives"),
        (
            of("Images", "TriggerConfig", "eventSourceConfig", value={"eventSourceType": "MNS"}),
            "only Default is served",
        ),
        (of("Images", "TriggerConfig", "runOptions", value={"mode": "event-streaming"}), "event-driven only"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(
    changed: Callable[..., Stack], change: Callable[[Document], None], message: str
) -> None:
    """An unknown type, property, key, function or value is an error of one line that names file and place."""
    with pytest.raises(WorldError) as caught:
        changed(change)
    assert str(caught.value).startswith("template.yml: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_template_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file and bad YAML are errors of one line."""
    with pytest.raises(WorldError, match=r"^nope.yml: cannot be read: No such file or directory$"):
        stack(template=str(tmp_path / "nope.yml"))
    (tmp_path / "bad.yml").write_text("a: [", encoding="utf-8")
    with pytest.raises(WorldError, match=r"^bad.yml: not YAML: "):
        stack(template=str(tmp_path / "bad.yml"))
    with pytest.raises(WorldError, match=r"^functions.parameters.Nope: template.yml has no such parameter$"):
        stack(parameters={"Nope": 1})


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"functions": {**functions(), "account": "9000000000000009"}},
            'functions.account: no account "9000000000000009"',
        ),
        ({"functions": {"template": "x"}}, 'functions: the key "account" is missing'),
        ({"functions": {**functions(), "region": "nowhere"}}, "functions.region: expected one of"),
        ({"functions": {**functions(), "packages": "all"}}, "functions.packages: expected one of layers, interpreter"),
        ({"functions": {**functions(), "instances": 0}}, "functions.instances: expected a whole number of 1 or more"),
        ({"events": {"lose": 2}}, "events.lose: expected a number of 0 or more and at most 1"),
        ({"events": {"loose": 1}}, "events.loose: unknown key"),
        ({"events": {"forward": {MANAGEMENT: "9000000000000009"}}}, "events.forward"),
        (
            {"events": {"trails": {"a": {"account": OWNER, "bucket": "b-1", "organization": True}}}},
            "events.trails.a: only the management account has such a trail",
        ),
    ],
)
def test_a_world_is_checked_where_it_is_about_functions(parts: Document, message: str) -> None:
    """Unknown accounts, values and keys are errors that name the place."""
    with pytest.raises(WorldError) as caught:
        parse_world(world(**parts))
    assert message in str(caught.value)


def test_a_world_s_paths_are_beside_its_file(tmp_path: Path) -> None:
    """Template and code are looked for where the world's file is, and the world can be written down again."""
    wish = {"template": "deploy/t.yml", "account": OWNER, "region": REGION, "code": "functions"}
    path = tmp_path / "world.yaml"
    path.write_text(yaml.safe_dump(world(functions=wish)), encoding="utf-8")
    found = load_world(path)
    assert found.functions is not None
    assert (found.functions.template, found.functions.code) == (
        str(tmp_path / "deploy/t.yml"),
        str(tmp_path / "functions"),
    )
    assert parse_world(world_document(found)) == found


def test_what_the_world_has_already_is_not_made_twice() -> None:
    """A bucket or a role of the world under the name of one of the template's is refused, as deploying it would be."""
    bucket = {"acme-trail": {"owner": OWNER, "region": REGION}}
    with pytest.raises(WorldError, match="the bucket acme-trail is in the world's buckets already"):
        read_stack(parse_world(world(functions=functions(), buckets=bucket)))
    roles = {f"acs:ram::{OWNER}:role/acme-functions": {"trusts": [OWNER]}}
    with pytest.raises(WorldError, match="is in the world's roles already"):
        read_stack(parse_world(world(functions=functions(), roles=roles)))
