"""`EGRESS=proxy`: the egress function, which only Django may invoke, and nothing else."""

import json
from collections.abc import Callable
from typing import Any

from tests.synth.conftest import Template, resources
from tests.synth.test_stack import FREE_WHILE_IDLE, as_list, functions

type Templates = Callable[[str], Template]

NAME = "dev-mysite-egress"


def egress_function(template: Template) -> tuple[str, dict[str, Any]]:
    """Return the logical id and the properties of the egress function."""
    [found] = [
        (name, resource["Properties"])
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Lambda::Function"
        and resource["Properties"].get("FunctionName") == NAME
    ]
    return found


def test_other_configurations_have_nothing_of_it(template: Templates) -> None:
    for name in ("default", "everything", "ephemeral"):
        text = json.dumps(template(name))
        assert "EGRESS_FUNCTION" not in text
        assert "-egress" not in text.replace("egress-only", "")


def test_it_is_free_while_idle(template: Templates) -> None:
    with_proxy, without = template("proxy")["Resources"], template("default")["Resources"]

    assert {resource["Type"] for resource in with_proxy.values()} <= FREE_WHILE_IDLE.keys()
    added = sorted(with_proxy[name]["Type"] for name in with_proxy.keys() - without.keys())
    assert [kind for kind in added if kind != "AWS::Lambda::Version"] == [
        "AWS::IAM::Policy",
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::Function",
        "AWS::Logs::LogGroup",
    ]


def test_it_is_outside_the_vpc_and_has_no_reserved_concurrency(template: Templates) -> None:
    _, function = egress_function(template("proxy"))

    assert "VpcConfig" not in function
    assert "ReservedConcurrentExecutions" not in function
    assert "Environment" not in function
    assert function["Timeout"] == 900


def test_only_django_may_invoke_it(template: Templates) -> None:
    name, _ = egress_function(template("proxy"))
    [(roles, statement)] = [
        (policy["Roles"], statement)
        for policy in resources(template("proxy"), "AWS::IAM::Policy")
        for statement in policy["PolicyDocument"]["Statement"]
        if name in json.dumps(statement["Resource"])
    ]
    [role, _] = functions(template("proxy"))["djambda-lambda"]["Role"]["Fn::GetAtt"]

    assert roles == [{"Ref": role}]
    assert statement["Action"] == "lambda:InvokeFunction"
    assert statement["Resource"] == {"Fn::GetAtt": [name, "Arn"]}
    permissions = resources(template("proxy"), "AWS::Lambda::Permission")
    assert name not in json.dumps([each["FunctionName"] for each in permissions])


def test_its_role_may_only_write_its_log(template: Templates) -> None:
    _, function = egress_function(template("proxy"))
    [role, _] = function["Role"]["Fn::GetAtt"]
    [statement] = [
        statement
        for policy in resources(template("proxy"), "AWS::IAM::Policy")
        if {"Ref": role} in policy["Roles"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]

    assert set(as_list(statement["Action"])) == {"logs:CreateLogStream", "logs:PutLogEvents"}
    assert statement["Resource"] == {
        "Fn::GetAtt": [function["LoggingConfig"]["LogGroup"]["Ref"], "Arn"]
    }


def test_django_knows_it(template: Templates) -> None:
    name, _ = egress_function(template("proxy"))
    django = functions(template("proxy"))["djambda-lambda"]

    assert django["Environment"]["Variables"]["EGRESS_FUNCTION"] == {"Ref": name}


def test_template_cannot_allow_loopback(template: Templates) -> None:
    assert "LOOPBACK" not in json.dumps(template("proxy"))
