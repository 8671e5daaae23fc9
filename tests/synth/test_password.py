"""The database password's way through the template: from its custom resource to the cluster.

CloudFormation masks it nowhere else: https://docs.aws.amazon.com/AWSCloudFormation/latest/
TemplateReference/crpg-ref-responses.html
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from awscdk.stack import DjambdaStack
from tests.synth.conftest import CONFIGURATIONS, PROJECT, Template, new_app

DOMAIN = {"domain_name": "www.example.com", "hosted_zone_id": "Z2FDTNDATAQYW2"}


def references(node: Any, resource: str, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the paths of the values that refer to a resource or resolve a secret."""
    match node:
        case {"Ref": str(name)} if name == resource:
            yield path
        case {"Fn::GetAtt": [str(name), _]} if name == resource:
            yield path
        case str() if f"${{{resource}" in node or f"{resource}." in node or "{{resolve:" in node:
            yield path
        case dict():
            for key, value in node.items():
                yield from references(value, resource, (*path, key))
        case list():
            for index, value in enumerate(node):
                yield from references(value, resource, (*path, str(index)))


def logical_id(template: Template, kind: str) -> str:
    """Return the logical id of the only resource of a type."""
    [name] = [name for name, resource in template["Resources"].items() if resource["Type"] == kind]
    return str(name)


@pytest.mark.parametrize(
    "value",
    [
        {"Ref": "Secrets"},
        {"Fn::GetAtt": ["Secrets", "DatabasePassword"]},
        {"Fn::GetAtt": "Secrets.DatabasePassword"},
        {"Fn::Sub": "postgres://me:${Secrets.DatabasePassword}@host"},
        {"Fn::Sub": ["${a}", {"a": {"Fn::GetAtt": ["Secrets", "DatabasePassword"]}}]},
        {"Fn::Join": ["", ["a", {"Fn::GetAtt": ["Secrets", "DatabasePassword"]}]]},
        "{{resolve:ssm-secure:/path/database-password}}",
    ],
)
def test_every_kind_of_reference_is_recognized(value: Any) -> None:
    template = {"Outputs": {"Leak": {"Value": value}}, "Parameters": {"Secret": "Secrets"}}

    [(section, name, *_)] = references(template, "Secrets")

    assert (section, name) == ("Outputs", "Leak")


@pytest.mark.parametrize(
    ("egress", "ephemeral", "domain"),
    list(product(["ipv6", "nat-instance", "nat-gateway"], [False, True], [{}, DOMAIN])),
)
def test_only_the_cluster_refers_to_the_password(
    egress: str, ephemeral: bool, domain: dict[str, str], layer: Path, tmp_path: Path
) -> None:
    config = replace(CONFIGURATIONS["default"], egress=egress, ephemeral=ephemeral, **domain)  # type: ignore[arg-type]  # All are strings.
    app = new_app(tmp_path)
    DjambdaStack(app, config, project=replace(PROJECT, layer=layer))
    app.synth()
    [file] = tmp_path.glob("*.template.json")
    template: Template = json.loads(file.read_text())

    found = list(references(template, logical_id(template, "Custom::GeneratedSecrets")))

    cluster = logical_id(template, "AWS::RDS::DBCluster")
    assert found == [("Resources", cluster, "Properties", "MasterUserPassword")]
