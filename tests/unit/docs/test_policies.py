"""The documented IAM policies allow every call of the CLI and of the restore script to AWS.

The CLI's source has the calls' names; botocore knows to which service and action each belongs. The
pipeline's tests check the calls that jobs really make.
"""

import ast
import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

from tests.unit.docs.policies import documented_actions

ROOT = Path(__file__).resolve().parents[3]
CLI = ROOT / "cli" / "djambda_cli"

PREFIXES = {"service-quotas": "servicequotas", "sesv2": "ses"}
"""IAM's prefixes where they differ from the services' names."""
ACTIONS = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3control:GetPublicAccessBlock": "s3:GetAccountPublicAccessBlock",
}
"""Actions whose names differ from those of the calls that need them."""
NO_PERMISSION = {"sts:GetCallerIdentity"}
"""https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html"""


def names_and_texts() -> tuple[set[str], set[str]]:
    """Return all names of attributes, and all strings, in the source of what calls AWS."""
    files = [file for file in CLI.rglob("*.py") if not file.name.startswith("emulator")]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    return (
        {
            node.attr
            for node in nodes
            if isinstance(node, ast.Attribute)
            # Such as socket.create_connection, which is not a call of EventBridge.
            and not (isinstance(node.value, ast.Name) and node.value.id in sys.stdlib_module_names)
        },
        {
            node.value
            for node in nodes
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        },
    )


def actions_of_calls() -> Iterator[tuple[str, set[str]]]:
    """Yield the name of each call with the actions that it can be; a name may fit two services."""
    attributes, texts = names_and_texts()
    session = botocore.session.get_session()
    calls: dict[str, set[str]] = {}
    for service in sorted(texts & set(session.get_available_services())):
        prefix = PREFIXES.get(service, service)
        for operation in session.get_service_model(service).operation_names:
            name = xform_name(operation)
            if name in attributes | texts:  # Paginators have their calls' names as strings.
                action = f"{prefix}:{operation}"
                calls.setdefault(name, set()).add(ACTIONS.get(action, action))
    yield from calls.items()


def test_documented_policies_allow_the_clis_calls() -> None:
    calls = dict(actions_of_calls())
    allowed = [
        *NO_PERMISSION,
        *(action for each in documented_actions().values() for action in each),
    ]

    assert len(calls) > 30
    assert {
        call: actions
        for call, actions in calls.items()
        if not any(fnmatchcase(action, pattern) for action in actions for pattern in allowed)
    } == {}


def test_documented_policies_allow_the_restore_scripts_calls() -> None:
    script = (ROOT / "scripts" / "restore-database").read_text()
    commands = {
        command.replace("$1", kind)
        for command in re.findall(
            r"\b(?:create|delete|describe|modify|restore)-db-[a-z$1-]+", script
        )
        for kind in ("cluster", "instance")
    }
    service_model = botocore.session.get_session().get_service_model("rds")
    operations = {xform_name(name, "-"): name for name in service_model.operation_names}

    assert len(commands) >= 9
    assert {f"rds:{operations[command]}" for command in commands} <= set(
        documented_actions()["Restore"]
    )


@pytest.mark.parametrize("policy", documented_actions())
def test_documented_actions_exist(policy: str) -> None:
    session = botocore.session.get_session()
    services = {prefix: service for service, prefix in PREFIXES.items()}
    renamed = {action.partition(":")[2] for action in ACTIONS.values()}

    for action in documented_actions()[policy]:
        prefix, _, name = action.partition(":")
        operations = session.get_service_model(services.get(prefix, prefix)).operation_names
        assert any(fnmatchcase(operation, name) for operation in (*operations, *renamed)), action
