"""The documented policies allow the calls of the commands they are for, and nothing elsewhere.

Each command runs with the session of a role, as on AWS. The local cloud permits everything and
records the calls, and the simulator decides about them.
"""

import shlex
from collections.abc import Iterator, Sequence

import pytest

from djambda_common.names import (
    DJANGO_SUFFIX,
    EGRESS_SUFFIX,
    FAILED_TASKS_SUFFIX,
    PROXY_SUFFIX,
    RELEASE_SUFFIX,
)
from tests.cloud.local import Cloud
from tests.iam.calls import (
    ACCOUNT,
    ANY,
    REGION,
    Call,
    arn,
    function_arn,
    load_recording,
    log_arn,
    parameter_arn,
    stack_arn,
)
from tests.iam.roles import environment_policies, principal, review_policies
from tests.iam.simulator import DENIED, refused
from tests.unit.docs.policies import documented_actions

type Pairs = Sequence[tuple[str, str]]
"""Actions and resources."""

STACK = "local-djambda"
POLICIES = environment_policies("local", "djambda")
REVIEW = review_policies("djambda")
COMMANDS = {
    "Diagnose": ("status", "logs --since 1h", "doctor", "schedules list"),
    "Operate": (
        "manage check",
        "schedules run check",
        "rollback --yes",
        "maintenance on",
        "maintenance off",
    ),
    "Deploy": ("diff",),
}
TASK_ACTIONS = ("lambda:GetAlias", "lambda:InvokeFunction")
CLUSTER = "databasecluster5b53a178-abcdefghijkl"
BOOTSTRAP = f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds"
RDS_ROLE = "rds.amazonaws.com/AWSServiceRoleForRDS"
VERSION = parameter_arn("/cdk-bootstrap/hnb659fds/version")

NOT_RECORDED: dict[str, Pairs] = {
    # `doctor` has more checks on AWS.
    "Diagnose": [
        ("ec2:DescribeAvailabilityZones", ANY),
        ("ec2:DescribeInstanceTypeOfferings", ANY),
        ("ec2:DescribeSubnets", ANY),
        ("ec2:DescribeVpcEndpointServices", ANY),
        ("ec2:DescribeVpcs", ANY),
        ("freetier:GetAccountPlanState", ANY),
        # A deployment with tasks.
        ("logs:FilterLogEvents", log_arn(f"/aws/lambda/{STACK}{FAILED_TASKS_SUFFIX}")),
        ("iam:GetRole", f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/{RDS_ROLE}"),
        ("rds:DescribeAccountAttributes", ANY),
        ("route53:GetHostedZone", "arn:aws:route53:::hostedzone/Z0123456789ABCDEFGHIJ"),
        # Without it, S3 reports a missing object (a schedule that has not run) as forbidden.
        ("s3:ListBucket", f"arn:aws:s3:::{STACK}-storageassets320d2163-abcdefghijkl"),
        ("s3:GetAccountPublicAccessBlock", ANY),
        ("servicequotas:GetServiceQuota", arn("servicequotas", "vpc/L-F678F1CE")),
    ],
    # A command that ends without a result, and a deployment with tasks.
    "Operate": [
        ("logs:FilterLogEvents", log_arn(f"/aws/lambda/{STACK}{DJANGO_SUFFIX}")),
        *((action, function_arn(STACK + DJANGO_SUFFIX, "tasks")) for action in TASK_ACTIONS),
        ("s3:GetObject", f"arn:aws:s3:::{STACK}-storageassets320d2163-abcdefghijkl/tasks/a.json"),
    ],
    # The tests of the pipeline record a deploy. One that fails makes some more calls.
    "Deploy": [
        ("cloudformation:DeleteChangeSet", stack_arn(STACK)),
        ("cloudformation:DescribeChangeSet", stack_arn(STACK)),
        ("cloudformation:DescribeStacks", stack_arn(STACK)),
        ("cloudformation:DescribeStackEvents", stack_arn(STACK)),
        ("cloudformation:UpdateTerminationProtection", stack_arn(STACK)),
        ("lambda:GetAlias", function_arn(STACK + DJANGO_SUFFIX)),
        ("lambda:GetAlias", function_arn(STACK + DJANGO_SUFFIX, "live")),
        ("lambda:GetFunctionConfiguration", function_arn(STACK + PROXY_SUFFIX)),
        ("lambda:GetFunctionConfiguration", function_arn(STACK + DJANGO_SUFFIX)),
        ("lambda:ListTags", function_arn(STACK + DJANGO_SUFFIX)),
        ("lambda:ListVersionsByFunction", function_arn(STACK + DJANGO_SUFFIX)),
        ("lambda:TagResource", function_arn(STACK + DJANGO_SUFFIX)),
        ("lambda:UntagResource", function_arn(STACK + DJANGO_SUFFIX)),
        ("logs:FilterLogEvents", log_arn(f"/aws/lambda/{STACK}{RELEASE_SUFFIX}")),
        ("ssm:DescribeParameters", ANY),
        ("ssm:GetParameter", VERSION),
        ("sts:AssumeRole", f"{BOOTSTRAP}-deploy-role-{ACCOUNT}-{REGION}"),
        ("sts:AssumeRole", f"{BOOTSTRAP}-file-publishing-role-{ACCOUNT}-{REGION}"),
    ],
    "Superuser": [("ssm:GetParameter", parameter_arn("/djambda/local/djambda/superuser-password"))],
    "Variables": [
        (action, parameter_arn(f"/djambda/local/djambda/{name}"))
        for kind in ("env", "secret")
        for action, name in (
            ("ssm:DeleteParameters", f"{kind}/NAME"),
            ("ssm:GetParametersByPath", kind),
            ("ssm:PutParameter", f"{kind}/NAME"),
        )
    ],
    # The tests of the pipeline record these.
    "Destroy": [
        ("cloudformation:DeleteStack", stack_arn(STACK)),
        ("cloudformation:DescribeStackEvents", stack_arn(STACK)),
        ("cloudformation:DescribeStacks", stack_arn(STACK)),
        ("cloudformation:GetTemplate", stack_arn(STACK)),
        ("cloudformation:ListStackResources", stack_arn(STACK)),
        ("cloudformation:UpdateTerminationProtection", stack_arn(STACK)),
        ("ec2:DescribeNetworkInterfaces", ANY),
        ("logs:FilterLogEvents", log_arn(f"/aws/lambda/{STACK}{RELEASE_SUFFIX}")),
        ("rds:DescribeDBClusterSnapshots", arn("rds", f"cluster:{STACK}-{CLUSTER}")),
        ("rds:ModifyDBCluster", arn("rds", f"cluster:{STACK}-{CLUSTER}")),
        ("ssm:GetParametersByPath", parameter_arn("/djambda/local/djambda")),
    ],
    # The script runs against a stand-in for RDS only.
    "Restore": [
        ("rds:AddTagsToResource", arn("rds", "cluster:restored-1")),
        ("rds:AddTagsToResource", arn("rds", "db:restored-1-writer")),
        ("rds:CreateDBClusterSnapshot", arn("rds", "cluster-snapshot:replaced-1-final")),
        ("rds:CreateDBInstance", arn("rds", "db:restored-1-writer")),
        ("rds:DeleteDBCluster", arn("rds", "cluster:replaced-1")),
        ("rds:DeleteDBInstance", arn("rds", "db:replaced-1-writer")),
        ("rds:DescribeDBClusterSnapshots", arn("rds", f"cluster:{STACK}-{CLUSTER}")),
        ("rds:DescribeDBClusters", arn("rds", f"cluster:{STACK}-{CLUSTER}")),
        ("rds:DescribeDBInstances", arn("rds", f"db:{STACK}-databaseclusterwriter1234")),
        ("rds:ModifyDBCluster", arn("rds", f"cluster:{STACK}-{CLUSTER}")),
        ("rds:ModifyDBInstance", arn("rds", f"db:{STACK}-databaseclusterwriter1234")),
        ("rds:RestoreDBClusterFromSnapshot", arn("rds", f"cluster-snapshot:{STACK}-snapshot-a")),
        ("rds:RestoreDBClusterFromSnapshot", arn("rds", "cluster:restored-1")),
        ("rds:RestoreDBClusterToPointInTime", arn("rds", f"cluster:{STACK}-{CLUSTER}")),
        ("ssm:GetParameter", parameter_arn("/djambda/local/djambda/database-password")),
    ],
}
"""Calls that the commands here do not make on a local cloud."""


@pytest.fixture
def newer_version(cloud: Cloud) -> Iterator[None]:
    """A live version with another one before it, to roll back to."""
    before = cloud.live_version()
    cloud.call(
        "lambda", "update_function_configuration", FunctionName=cloud.function, MemorySize=768
    )
    newer = cloud.call("lambda", "publish_version", FunctionName=cloud.function)["Version"]
    alias = {"FunctionName": cloud.function, "Name": "live"}
    cloud.call("lambda", "update_alias", FunctionVersion=newer, **alias)
    yield
    cloud.call("lambda", "update_alias", FunctionVersion=before, **alias)
    cloud.call(
        "lambda", "update_function_configuration", FunctionName=cloud.function, MemorySize=1024
    )
    cloud.call("lambda", "delete_function", FunctionName=cloud.function, Qualifier=newer)


def run_as(cloud: Cloud, role: str, command: str) -> None:
    """Run `djambda COMMAND` with temporary credentials of a role."""
    credentials = cloud.call(
        "sts",
        "assume_role",
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{role}",
        RoleSessionName="person",
    )["Credentials"]
    variables = {
        "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
        "AWS_SESSION_TOKEN": credentials["SessionToken"],
    }
    exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
    done = cloud.shell(f"export {exports}\ndjambda {command}")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("policy", COMMANDS)
def test_policy_allows_its_commands(
    cloud: Cloud, policy: str, request: pytest.FixtureRequest
) -> None:
    if policy == "Operate":
        request.getfixturevalue("newer_version")
    for command in COMMANDS[policy]:
        run_as(cloud, policy, command)

    calls = {call for call in load_recording(cloud.folder).calls if call.role == policy}

    assert refused(calls, POLICIES[policy]) == {}
    used = {call.action for call in calls} | {action for action, _ in NOT_RECORDED[policy]}
    assert used == set(documented_actions()[policy])


@pytest.mark.parametrize("policy", NOT_RECORDED)
def test_policy_allows_other_calls(policy: str) -> None:
    assert refused(by_person(NOT_RECORDED[policy]), POLICIES[policy]) == {}
    if policy not in COMMANDS:
        used = {action for action, _ in NOT_RECORDED[policy]}
        assert used == set(documented_actions()[policy])


def by_person(calls: Pairs) -> list[Call]:
    """Return these actions on resources as calls of a person with a role."""
    return [Call(principal("person"), action, resource) for action, resource in calls]


def bucket_of(stack: str) -> str:
    """Return the ARN of a stack's bucket as CloudFormation names it."""
    return f"arn:aws:s3:::{stack}-storageassets320d2163-abcdefghijkl"


def calls_in(environment: str, app: str) -> list[Call]:
    """Return calls that only the policies for this environment may allow."""
    stack, path = f"{environment}-{app}", f"/djambda/{environment}/{app}"
    return by_person(
        [
            ("cloudformation:DeleteStack", stack_arn(stack)),
            ("cloudformation:DescribeStacks", stack_arn(stack)),
            ("cloudformation:GetTemplate", stack_arn(stack)),
            ("cloudformation:UpdateTerminationProtection", stack_arn(stack)),
            ("lambda:GetFunctionConfiguration", function_arn(stack + DJANGO_SUFFIX)),
            ("lambda:InvokeFunction", function_arn(stack + DJANGO_SUFFIX, "live")),
            ("lambda:UpdateAlias", function_arn(stack + DJANGO_SUFFIX, "live")),
            ("lambda:UpdateFunctionConfiguration", function_arn(stack + PROXY_SUFFIX)),
            ("logs:FilterLogEvents", log_arn(f"/aws/lambda/{stack}{DJANGO_SUFFIX}")),
            ("rds:ModifyDBCluster", arn("rds", f"cluster:{stack}-{CLUSTER}")),
            ("rds:DeleteDBCluster", arn("rds", f"cluster:{stack}-{CLUSTER}")),
            (
                "rds:RestoreDBClusterFromSnapshot",
                arn("rds", f"cluster-snapshot:{stack}-snapshot-a"),
            ),
            ("s3:GetObject", f"{bucket_of(stack)}/runs/a/result.json"),
            ("s3:GetObject", f"{bucket_of(stack)}/schedules/clear.json"),
            ("s3:GetObject", f"{bucket_of(stack)}/tasks/a.json"),
            ("scheduler:GetSchedule", arn("scheduler", f"schedule/{stack}/clear")),
            ("s3:ListBucket", bucket_of(stack)),
            ("ssm:GetParameter", parameter_arn(f"{path}/database-password")),
            ("ssm:GetParameter", parameter_arn(f"{path}/superuser-password")),
            ("ssm:GetParametersByPath", parameter_arn(path)),
        ]
    )


OTHERS = [("prod", "djambda"), ("local", "djambda-2"), ("local-2", "djambda"), ("local", "other")]
REVIEWED = [("review-a-se-k3v9x1", "djambda"), ("review-b-0a1b2c", "djambda")]


def test_all_policies_together_allow_the_calls_in_their_environment() -> None:
    """Otherwise the next tests would prove nothing."""
    assert refused(calls_in("local", "djambda"), *POLICIES.values()) == {}


@pytest.mark.parametrize(("environment", "app"), REVIEWED)
def test_review_policies_allow_the_calls_in_review_environments(environment: str, app: str) -> None:
    assert refused(calls_in(environment, app), *REVIEW.values()) == {}


@pytest.mark.parametrize(("environment", "app"), [*OTHERS, *REVIEWED])
def test_policies_reach_no_other_environment(environment: str, app: str) -> None:
    calls = calls_in(environment, app)

    assert refused(calls, *POLICIES.values()) == dict.fromkeys(calls, DENIED)


@pytest.mark.parametrize(
    ("environment", "app"), [*OTHERS, ("prod", "review-djambda"), ("preview-a", "djambda")]
)
def test_review_policies_reach_no_permanent_environment(environment: str, app: str) -> None:
    calls = calls_in(environment, app)

    assert refused(calls, *REVIEW.values()) == dict.fromkeys(calls, DENIED)


DEPLOYING = [
    ("sts:AssumeRole", f"{BOOTSTRAP}-deploy-role-{ACCOUNT}-{REGION}"),
    ("cloudformation:CreateChangeSet", stack_arn(STACK)),
    ("cloudformation:UpdateStack", stack_arn(STACK)),
    ("lambda:UpdateFunctionCode", function_arn(STACK + DJANGO_SUFFIX)),
    ("iam:PassRole", f"{BOOTSTRAP}-cfn-exec-role-{ACCOUNT}-{REGION}"),
]
OPERATING = [
    ("lambda:InvokeFunction", function_arn(STACK + DJANGO_SUFFIX, "live")),
    ("lambda:UpdateAlias", function_arn(STACK + DJANGO_SUFFIX)),
    ("lambda:UpdateFunctionConfiguration", function_arn(STACK + PROXY_SUFFIX)),
    ("s3:GetObject", f"{bucket_of(STACK)}/runs/a/result.json"),
]
READING = [
    ("s3:GetObject", f"{bucket_of(STACK)}/media/picture.png"),
    ("ssm:GetParameter", parameter_arn("/djambda/local/djambda/database-password")),
    ("ssm:GetParametersByPath", parameter_arn("/djambda/local/djambda")),
]
DESTROYING = [
    ("cloudformation:DeleteStack", stack_arn(STACK)),
    ("rds:ModifyDBCluster", arn("rds", f"cluster:{STACK}-{CLUSTER}")),
    ("s3:DeleteObject", f"{bucket_of(STACK)}/media/picture.png"),
]
TAKING_OVER = [
    ("sts:AssumeRole", f"{BOOTSTRAP}-cfn-exec-role-{ACCOUNT}-{REGION}"),
    ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/{STACK}-DjangoRole0378DAAB-ABCDEFGHIJKL"),
    ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/{STACK}-DjangoRole0378DAAB-ABCDEFGHIJKL"),
    ("lambda:InvokeFunction", function_arn(STACK + PROXY_SUFFIX)),
    ("lambda:InvokeFunction", function_arn(STACK + EGRESS_SUFFIX)),
    ("lambda:UpdateFunctionConfiguration", function_arn(STACK + DJANGO_SUFFIX)),
]


@pytest.mark.parametrize(
    ("names", "others"),
    [
        (("Diagnose",), DEPLOYING + OPERATING + READING + DESTROYING + TAKING_OVER),
        (("Diagnose", "Operate"), DEPLOYING + READING + DESTROYING + TAKING_OVER),
        (("Deploy",), DEPLOYING[1:] + OPERATING + READING + DESTROYING + TAKING_OVER),
        (
            ("Diagnose", "Operate", "Deploy", "Superuser"),
            DEPLOYING[1:] + READING + DESTROYING + TAKING_OVER,
        ),
        (("Deploy", "Operate", "Destroy"), DEPLOYING[1:] + READING[:2] + TAKING_OVER),
        (tuple(POLICIES), DEPLOYING[1:] + DESTROYING[2:] + TAKING_OVER),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else "",
)
def test_policies_allow_only_their_tasks(names: tuple[str, ...], others: Pairs) -> None:
    calls = by_person(others)

    denied = refused(calls, *(POLICIES[name] for name in names))

    assert denied == dict.fromkeys(calls, DENIED)


def test_roles_of_the_bootstrap_reach_every_environment(cloud: Cloud) -> None:
    """What the documentation says about the limits of these policies."""
    role = f"cdk-hnb659fds-deploy-role-{ACCOUNT}-{REGION}"
    policy = cloud.call("iam", "get_role_policy", RoleName=role, PolicyName="default")
    calls = [
        ("cloudformation:UpdateStack", stack_arn("prod-djambda")),
        ("iam:PassRole", f"{BOOTSTRAP}-cfn-exec-role-{ACCOUNT}-{REGION}"),
    ]

    assert refused(by_person(calls), policy["PolicyDocument"]) == {}
