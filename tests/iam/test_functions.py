"""The functions' roles allow every call that the functions make, and no call that they must not.

The calls are recorded on the local cloud, which itself permits everything.
"""

import json

import pytest

from djambda_common.names import (
    DJANGO_SUFFIX,
    EGRESS_SUFFIX,
    PROXY_SUFFIX,
    RELEASE_SUFFIX,
    SECRETS_SUFFIX,
)
from tests.cloud.local import MISSING_BUCKET, Cloud
from tests.cloud.schedules import NAME as SCHEDULE
from tests.iam.calls import (
    ANY,
    SENDER,
    Call,
    Recording,
    arn,
    function_arn,
    load_recording,
    parameter_arn,
    stack_arn,
)
from tests.iam.roles import principal
from tests.iam.simulator import ALLOWED, DENIED, REFUSED, Policy, Request, decide, refused

STACK = "local-djambda"
SECURE = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
USE_OF_SERVICES = """
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

name = default_storage.save("permissions.txt", ContentFile(b"text"))
assert default_storage.exists(name)
assert default_storage.open(name).read() == b"text"
default_storage.delete(name)

from django.core.mail import send_mail

send_mail("Hello", "Text", None, ["ann@example.org"])

from contextlib import suppress
from urllib.request import urlopen

with suppress(OSError):
    urlopen("http://127.0.0.2:9/")
"""
USES = {
    DJANGO_SUFFIX: {
        *("s3:DeleteObject", "s3:GetObject", "s3:ListBucket", "s3:PutObject"),
        *("lambda:InvokeFunction", "ses:SendRawEmail", "ssm:GetParameters"),
    },
    PROXY_SUFFIX: {"lambda:InvokeFunction"},
    RELEASE_SUFFIX: {"lambda:GetAlias", "lambda:InvokeFunction"},
    SECRETS_SUFFIX: {"ssm:PutParameter"},
}
"""The functions of every stack, and the actions that each one uses."""


@pytest.fixture(scope="module")
def recording(cloud: Cloud) -> Recording:
    """The calls of a first deploy, a page, a management command, and the use of its services."""
    with cloud.browser() as visitor:
        assert visitor.get("").status_code == 200
    assert "errorMessage" not in cloud.manage(["shell", "-c", USE_OF_SERVICES])
    assert cloud.shell("djambda manage check").returncode == 0
    return load_recording(cloud.folder)


@pytest.fixture(scope="module")
def bucket(cloud: Cloud) -> str:
    """The ARN of the deployed bucket."""
    name = output(cloud, "BucketName")
    return f"arn:aws:s3:::{name}"


@pytest.fixture(scope="module")
def bucket_policy(cloud: Cloud) -> Policy:
    """The policy of the deployed bucket."""
    name = output(cloud, "BucketName")
    policy: Policy = json.loads(cloud.call("s3", "get_bucket_policy", Bucket=name)["Policy"])
    return policy


def output(cloud: Cloud, key: str) -> str:
    """Return an output of the stack."""
    [stack] = cloud.call("cloudformation", "describe_stacks", StackName=STACK)["Stacks"]
    return {each["OutputKey"]: str(each["OutputValue"]) for each in stack["Outputs"]}[key]


def calls_of_function(recording: Recording, suffix: str) -> list[Call]:
    """Return the calls of a function of the session's deployment, in a stable order.

    Except for those of a test that gives the function another bucket than its own.
    """
    calls = {
        call
        for call in recording.calls
        if call.session == STACK + suffix and MISSING_BUCKET not in call.resource
    }
    return sorted(calls, key=lambda call: (call.action, call.resource))


@pytest.mark.parametrize("suffix", USES)
def test_role_allows_the_functions_calls(
    recording: Recording, suffix: str, bucket: str, bucket_policy: Policy
) -> None:
    calls = calls_of_function(recording, suffix)
    assert {call.action for call in calls} >= USES[suffix]

    decisions = decide(
        [
            Request(
                call.principal,
                call.action,
                call.resource,
                policies=recording.policies[call.role],
                resource_policy=bucket_policy if call.resource.startswith(bucket) else None,
                context=SECURE
                | {"lambda:SourceFunctionArn": function_arn(STACK + suffix)}
                | ({"ses:FromAddress": SENDER} if call.action.startswith("ses:") else {}),
            )
            for call in calls
        ]
    )

    assert set(decisions) == {ALLOWED}, list(zip(calls, decisions, strict=True))


def role_of(recording: Recording, suffix: str) -> str:
    """Return the name of a function's role."""
    return calls_of_function(recording, suffix)[0].role


@pytest.mark.parametrize("action", ["ses:SendEmail", "ses:SendRawEmail"])
def test_django_may_send_mail_from_its_sender_only(recording: Recording, action: str) -> None:
    role = role_of(recording, DJANGO_SUFFIX)
    own, recipients = (arn("ses", f"identity/{name}") for name in (SENDER, "ann@example.org"))
    requests = [
        Request(principal(role), action, identity, recording.policies[role], context=context)
        for identity in (own, recipients)  # In the sandbox, SES checks both.
        for context in (
            {"ses:FromAddress": SENDER},
            {"ses:FromAddress": "ceo@example.com"},
            {"ses:FromAddress": "ann@example.org"},
            {},
        )
    ]

    assert decide(requests) == [ALLOWED, DENIED, DENIED, DENIED] * 2


OTHER = "prod-djambda"
"""Another environment of the same application and account."""
SIMILAR = f"{STACK}-2"
OTHER_BUCKET = f"arn:aws:s3:::{OTHER}-storageassets12345678-abcdefghijkl"
CFN_ROLE = "arn:aws:iam::000000000000:role/cdk-hnb659fds-cfn-exec-role-000000000000-us-east-1"
FORBIDDEN: dict[str, list[tuple[str, str]]] = {
    DJANGO_SUFFIX: [
        ("ssm:GetParametersByPath", parameter_arn("/djambda/prod/djambda")),
        ("ssm:GetParametersByPath", parameter_arn("/djambda/local/djambda-2")),
        ("ssm:GetParametersByPath", parameter_arn("/djambda/local")),
        ("ssm:GetParametersByPath", parameter_arn("/djambda")),
        ("ssm:GetParameters", parameter_arn("/djambda/prod/djambda/secret-key")),
        ("ssm:GetParameters", parameter_arn("/djambda/prod/djambda/versions/a/1")),
        ("ssm:PutParameter", parameter_arn("/djambda/local/djambda/secret-key")),
        ("ssm:PutParameter", parameter_arn("/djambda/local/djambda/env/NAME")),
        ("ssm:PutParameter", parameter_arn("/djambda/local/djambda/versions/a/1")),
        ("s3:GetObject", f"{OTHER_BUCKET}/media/a"),
        ("s3:PutObject", f"{OTHER_BUCKET}/media/a"),
        ("s3:ListBucket", OTHER_BUCKET),
        ("s3:GetObject", "BUCKET/runs/a/result.json"),
        ("s3:DeleteObject", "BUCKET/runs/a/result.json"),
        ("s3:PutObject", "BUCKET/elsewhere"),
        ("scheduler:UpdateSchedule", arn("scheduler", f"schedule/{STACK}/{SCHEDULE}")),
        ("s3:PutBucketPolicy", "BUCKET"),
        ("lambda:InvokeFunction", function_arn(STACK + DJANGO_SUFFIX, "live")),
        ("lambda:InvokeFunction", function_arn(OTHER + DJANGO_SUFFIX, "live")),
        ("lambda:InvokeFunction", function_arn(OTHER + EGRESS_SUFFIX)),
        ("lambda:InvokeFunction", function_arn(SIMILAR + EGRESS_SUFFIX)),
        ("lambda:InvokeFunction", function_arn(STACK + PROXY_SUFFIX)),
        ("lambda:UpdateFunctionConfiguration", function_arn(STACK + EGRESS_SUFFIX)),
        ("lambda:UpdateAlias", function_arn(STACK + DJANGO_SUFFIX)),
        ("ses:SendEmail", arn("ses", "identity/shop@example.com")),  # Without a sender.
        ("ses:DeleteEmailIdentity", arn("ses", "identity/shop@example.com")),
        ("ses:CreateEmailIdentity", ANY),
        ("iam:PassRole", CFN_ROLE),
        ("sts:AssumeRole", CFN_ROLE),
        ("cloudformation:UpdateStack", stack_arn(STACK)),
    ],
    PROXY_SUFFIX: [
        ("lambda:InvokeFunction", function_arn(STACK + DJANGO_SUFFIX)),
        ("lambda:InvokeFunction", function_arn(STACK + DJANGO_SUFFIX, "1")),
        ("lambda:InvokeFunction", function_arn(OTHER + DJANGO_SUFFIX, "live")),
        ("lambda:InvokeFunction", function_arn(SIMILAR + DJANGO_SUFFIX, "live")),
        ("lambda:InvokeFunction", function_arn(STACK + EGRESS_SUFFIX)),
        ("s3:GetObject", "BUCKET/media/a"),
        ("s3:ListBucket", "BUCKET"),
        ("ssm:GetParametersByPath", parameter_arn("/djambda/local/djambda")),
        ("iam:PassRole", CFN_ROLE),
    ],
    RELEASE_SUFFIX: [
        ("lambda:InvokeFunction", function_arn(OTHER + DJANGO_SUFFIX, "1")),
        ("lambda:InvokeFunction", function_arn(SIMILAR + DJANGO_SUFFIX, "1")),
        ("lambda:InvokeFunction", function_arn(STACK + DJANGO_SUFFIX)),
        ("lambda:UpdateAlias", function_arn(STACK + DJANGO_SUFFIX)),
        ("ssm:GetParametersByPath", parameter_arn("/djambda/local/djambda")),
        ("s3:ListBucket", "BUCKET"),
    ],
    SECRETS_SUFFIX: [
        ("ssm:GetParameter", parameter_arn("/djambda/prod/djambda/secret-key")),
        ("ssm:DeleteParameters", parameter_arn("/djambda/local/djambda-2/secret-key")),
        ("ssm:GetParameter", parameter_arn("/djambda/local/djambda/another")),
        ("ssm:GetParametersByPath", parameter_arn("/djambda/prod/djambda/env")),
        ("ssm:PutParameter", parameter_arn("/djambda/local/djambda/env/NAME")),
        ("ssm:PutParameter", parameter_arn("/djambda/prod/djambda/versions/a/1")),
        ("lambda:ListVersionsByFunction", function_arn(OTHER + DJANGO_SUFFIX)),
        ("s3:ListBucket", "BUCKET"),
        ("lambda:InvokeFunction", function_arn(STACK + DJANGO_SUFFIX, "live")),
    ],
}


NEEDED: dict[str, list[tuple[str, str]]] = {
    # A deployment with variables.
    SECRETS_SUFFIX: [
        ("lambda:ListVersionsByFunction", function_arn(STACK + DJANGO_SUFFIX)),
        ("ssm:DeleteParameters", parameter_arn("/djambda/local/djambda/versions/a/1")),
        ("ssm:GetParametersByPath", parameter_arn("/djambda/local/djambda/env")),
        ("ssm:GetParametersByPath", parameter_arn("/djambda/local/djambda/secret")),
        ("ssm:GetParametersByPath", parameter_arn("/djambda/local/djambda/versions")),
        ("ssm:GetParametersByPath", parameter_arn("/djambda/local/djambda/versions/a")),
        ("ssm:PutParameter", parameter_arn("/djambda/local/djambda/versions/a/1")),
    ],
    DJANGO_SUFFIX: [
        ("ssm:GetParameters", parameter_arn("/djambda/local/djambda/superuser-password")),
        ("ssm:GetParameters", parameter_arn("/djambda/local/djambda/versions/a/1")),
        # Deployed by `cdk deploy`.
        ("ssm:GetParametersByPath", parameter_arn("/djambda/local/djambda/env")),
        ("ssm:GetParametersByPath", parameter_arn("/djambda/local/djambda/secret")),
    ],
}
"""Calls that the session's deployment does not make."""


@pytest.mark.parametrize("suffix", NEEDED)
def test_role_allows_variables(recording: Recording, suffix: str) -> None:
    role = role_of(recording, suffix)
    calls = [Call(principal(role), action, resource) for action, resource in NEEDED[suffix]]

    assert refused(calls, *recording.policies[role]) == {}


@pytest.mark.parametrize("suffix", FORBIDDEN)
def test_role_forbids_everything_else(recording: Recording, suffix: str, bucket: str) -> None:
    role = role_of(recording, suffix)
    calls = [
        Call(principal(role), action, resource.replace("BUCKET", bucket))
        for action, resource in FORBIDDEN[suffix]
    ]

    assert refused(calls, *recording.policies[role]) == dict.fromkeys(calls, DENIED)


@pytest.mark.parametrize(
    ("action", "key", "decision"),
    [
        ("s3:GetObject", "/static/shop.css", ALLOWED),
        ("s3:GetObject", "/public/logo.png", ALLOWED),
        ("s3:GetObject", "/media/picture.png", DENIED),
        ("s3:GetObject", "/runs/a/result.json", DENIED),
        ("s3:PutObject", "/static/shop.css", DENIED),
        ("s3:ListBucket", "", DENIED),
    ],
)
def test_everybody_may_read_public_files_only(
    bucket: str, bucket_policy: Policy, action: str, key: str, decision: str
) -> None:
    request = Request("", action, bucket + key, resource_policy=bucket_policy, context=SECURE)

    assert decide([request]) == [decision]


@pytest.mark.parametrize(
    "insecure", [{"aws:SecureTransport": "false"}, {"s3:TlsVersion": "1.1"}], ids=str
)
def test_bucket_refuses_insecure_connections(
    recording: Recording, bucket: str, bucket_policy: Policy, insecure: dict[str, str]
) -> None:
    role = role_of(recording, DJANGO_SUFFIX)
    requests = [
        Request(
            principal(role),
            "s3:GetObject",
            f"{bucket}/media/a",
            policies=recording.policies[role],
            resource_policy=bucket_policy,
            context=SECURE | context,
        )
        for context in ({}, insecure)
    ]

    assert decide(requests) == [ALLOWED, REFUSED]


def test_only_the_sites_api_may_invoke_the_proxy(cloud: Cloud) -> None:
    proxy = STACK + PROXY_SUFFIX
    policy = json.loads(cloud.call("lambda", "get_policy", FunctionName=proxy)["Policy"])
    api = output(cloud, "SiteUrl").partition("://")[2].partition(".")[0]
    requests = [
        Request(
            service,
            "lambda:InvokeFunction",
            function_arn(proxy),
            resource_policy=policy,
            context={"aws:SourceArn": arn("execute-api", f"{source}/prod/GET/a")},
        )
        for service, source in (
            ("apigateway.amazonaws.com", api),
            ("apigateway.amazonaws.com", "another1"),
            ("events.amazonaws.com", api),
        )
    ]

    assert decide(requests) == [ALLOWED, DENIED, DENIED]


def test_no_other_principal_may_invoke_the_egress_function(cloud: Cloud) -> None:
    policy = cloud.call("lambda", "get_policy", FunctionName=STACK + EGRESS_SUFFIX)["Policy"]

    assert json.loads(policy)["Statement"] == []
