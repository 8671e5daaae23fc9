"""Every role of a template with all features: who may assume it, and what it permits.

AWS's services make calls with these roles as well, which an emulator does not: Lambda writes logs,
polls the queue and sends failed events on; EventBridge Scheduler invokes the function.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from awscdk.config import Config
from awscdk.project_file import ProjectFile
from awscdk.project_schedules import ProjectSchedule
from awscdk.readers import Mailbox
from awscdk.stack import DjambdaStack
from djambda_common.names import (
    ALIAS,
    BUCKET_CLEANUP_SUFFIX,
    DEAD_TASKS_SUFFIX,
    DJANGO_SUFFIX,
    EGRESS_SUFFIX,
    FAILED_TASKS_SUFFIX,
    PROXY_SUFFIX,
    RELEASE_SUFFIX,
    SECRETS_SUFFIX,
    TASKS_ALIAS,
    TASKS_ROLE_VARIABLE,
    TASKS_SUFFIX,
    TASKS_TARGET_VARIABLE,
)
from tests.iam.calls import (
    ACCOUNT,
    ANY,
    REGION,
    SENDER,
    arn,
    function_arn,
    parameter_arn,
    stack_arn,
)
from tests.iam.roles import principal
from tests.iam.simulator import ALLOWED, DENIED, REFUSED, Request, decide
from tests.iam.template import ResolvedTemplate, Role
from tests.synth.conftest import PROJECT, new_app

ENVIRONMENT, APP = "local", "djambda"
STACK = f"{ENVIRONMENT}-{APP}"
OTHER = "prod-djambda"
"""Another environment of the same application and account."""
SIMILAR = f"{STACK}-2"
FOREIGN_ACCOUNT = "111122223333"
INVOKE = "lambda:InvokeFunction"
SERVICES = ("lambda", "events", "ec2", "states", "sqs")

SCHEDULES, SENDER_OF_TASKS = "schedules", "sender of tasks"
"""The roles that are no function's."""
FUNCTIONS = (
    *(DJANGO_SUFFIX, PROXY_SUFFIX, RELEASE_SUFFIX, SECRETS_SUFFIX, EGRESS_SUFFIX),
    *(FAILED_TASKS_SUFFIX, BUCKET_CLEANUP_SUFFIX),
)

type Context = Mapping[str, str]


@dataclass(frozen=True)
class Action:
    """An action on a resource; BUCKET stands for the ARN of the stack's bucket."""

    name: str
    resource: str
    context: Context = field(default_factory=dict)


def actions(name: str, *resources: str, **context: str) -> list[Action]:
    """Return an action on each of the resources."""
    keys = {key.replace("_", ":"): value for key, value in context.items()}
    return [Action(name, resource, keys) for resource in resources]


@dataclass(frozen=True)
class Deployed:
    """The template with all features, and its roles by the function or feature that uses them."""

    template: ResolvedTemplate
    roles: Mapping[str, Role]

    @property
    def bucket(self) -> str:
        """The ARN of the bucket."""
        [name] = self.template.resources("AWS::S3::Bucket")
        return self.template.arn(name)

    @property
    def django_variables(self) -> Mapping[str, str]:
        """The Django function's environment variables."""
        variables: Mapping[str, str] = function_of(self.template, DJANGO_SUFFIX)["Environment"][
            "Variables"
        ]
        return variables

    def use(self, name: str, action: Action) -> Request:
        """Return the request of a session of a role."""
        role = self.roles[name]
        return Request(
            principal(role.arn.rpartition("/")[2]),
            action.name,
            action.resource.replace("BUCKET", self.bucket),
            role.policies,
            context=action.context,
        )

    def assume(self, name: str, service: str, context: Context | None = None) -> Request:
        """Return the request of a service for the credentials of a role."""
        role = self.roles[name]
        return Request(
            f"{service}.amazonaws.com",
            "sts:AssumeRole",
            role.arn,
            resource_policy=role.trust,
            context=context or {},
        )


def unexpected(expected: Iterable[tuple[str, Request]]) -> list[str]:
    """Return the requests on which IAM decides otherwise."""
    pairs = list(expected)
    assert pairs
    return [
        f"{request.principal} {request.action} {request.resource} {request.context}: {decision}"
        for (wanted, request), decision in zip(
            pairs, decide([request for _, request in pairs]), strict=True
        )
        if decision != wanted
    ]


def function_of(template: ResolvedTemplate, suffix: str) -> Any:
    """Return the properties of a function."""
    [found] = [
        properties
        for properties in template.resources("AWS::Lambda::Function").values()
        if properties["FunctionName"] == STACK + suffix
    ]
    return found


def users_of_roles(template: ResolvedTemplate) -> Iterator[tuple[str, str]]:
    """Yield each function's suffix or feature, and the ARN of its role."""
    for properties in template.resources("AWS::Lambda::Function").values():
        yield properties["FunctionName"].removeprefix(STACK), properties["Role"]
    [schedule] = template.resources("AWS::Scheduler::Schedule").values()
    yield SCHEDULES, schedule["Target"]["RoleArn"]
    django = function_of(template, DJANGO_SUFFIX)
    yield SENDER_OF_TASKS, django["Environment"]["Variables"][TASKS_ROLE_VARIABLE]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """A template with everything that a stack can contain."""
    folder = tmp_path_factory.mktemp("roles")
    layer = folder / "layer"
    (layer / "python").mkdir(parents=True)
    app = new_app(folder / "cdk.out")
    config = Config(
        *(APP, ENVIRONMENT, REGION), egress="proxy", mail_from=Mailbox(SENDER), ephemeral=True
    )
    file = ProjectFile(
        tasks="queue", schedules=(ProjectSchedule("clear", "rate(1 day)", run="clearsessions"),)
    )
    project = replace(PROJECT, layer=layer, file=file)
    DjambdaStack(app, config, project=project, variables="0a1b2c")
    app.synth()
    [path] = (folder / "cdk.out").glob("*.template.json")
    template = ResolvedTemplate(json.loads(path.read_text()), STACK)
    roles = template.roles()
    users = dict(users_of_roles(template))
    return Deployed(template, {name: roles[role] for name, role in users.items()})


def test_every_role_is_tested_here(deployed: Deployed) -> None:
    assert {*deployed.roles} == {*FUNCTIONS, *GROUPS}
    assert {role.arn for role in deployed.roles.values()} == deployed.template.roles().keys()


# Who may assume the roles

GROUPS = {SCHEDULES: STACK, SENDER_OF_TASKS: STACK + TASKS_SUFFIX}
"""The roles of EventBridge Scheduler, and the groups whose schedules run with them."""


def from_group(group: str, account: str = ACCOUNT) -> Context:
    """Return what Scheduler sends when it assumes the role of a schedule in a group.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
    """
    source = arn("scheduler", f"schedule-group/{group}").replace(ACCOUNT, account)
    return {"aws:SourceAccount": account, "aws:SourceArn": source}


def test_only_schedules_of_the_group_have_the_role(deployed: Deployed) -> None:
    expected = []
    for name, group in GROUPS.items():
        own = from_group(group)
        others = [each for each in GROUPS.values() if each != group]
        contexts = [
            *map(from_group, [*others, "default", OTHER, SIMILAR, SIMILAR + TASKS_SUFFIX]),
            from_group(group, FOREIGN_ACCOUNT),
            {**own, "aws:SourceAccount": FOREIGN_ACCOUNT},
            {"aws:SourceAccount": ACCOUNT},
            {},
        ]
        expected += [
            (ALLOWED, deployed.assume(name, "scheduler", own)),
            *((DENIED, deployed.assume(name, "scheduler", context)) for context in contexts),
            *((DENIED, deployed.assume(name, each, own)) for each in ("events", "lambda")),
        ]

    assert unexpected(expected) == []


def test_only_lambda_has_the_roles_of_functions(deployed: Deployed) -> None:
    others = ("scheduler", "sqs", "apigateway", "cloudformation", "ec2")
    expected = [
        (decision, deployed.assume(name, service))
        for name in FUNCTIONS
        for decision, service in [(ALLOWED, "lambda"), *((DENIED, each) for each in others)]
    ]

    assert unexpected(expected) == []


def test_no_person_and_no_other_role_may_assume_a_role(deployed: Deployed) -> None:
    everything = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    }
    expected = [
        (
            DENIED,
            Request(
                f"arn:aws:iam::{account}:role/admin",
                "sts:AssumeRole",
                role.arn,
                policies=[everything],
                resource_policy=role.trust,
            ),
        )
        for role in deployed.roles.values()
        for account in (ACCOUNT, FOREIGN_ACCOUNT)
    ]

    assert unexpected(expected) == []


# What Lambda and Scheduler do with them


def log_of(name: str) -> str:
    return arn("logs", f"log-group:/aws/lambda/{name}:log-stream:a")


def test_lambda_may_write_the_functions_own_log(deployed: Deployed) -> None:
    expected = [
        (decision, deployed.use(name, Action(f"logs:{action}", log_of(stack + name))))
        for name in FUNCTIONS
        for action in ("CreateLogStream", "PutLogEvents")
        for stack, decision in ((STACK, ALLOWED), (OTHER, DENIED), (SIMILAR, DENIED))
    ]

    assert unexpected(expected) == []


DJANGO = STACK + DJANGO_SUFFIX
INVOCABLE = {
    SCHEDULES: function_arn(DJANGO, ALIAS),
    SENDER_OF_TASKS: function_arn(DJANGO, TASKS_ALIAS),
}


def test_scheduler_may_invoke_the_targeted_alias_only(deployed: Deployed) -> None:
    expected = []
    for name, own in INVOCABLE.items():
        others = [
            *(each for each in INVOCABLE.values() if each != own),
            *(function_arn(DJANGO, qualifier) for qualifier in ("", "1", "$LATEST")),
            *(own.replace(STACK, other) for other in (OTHER, SIMILAR)),
            *(function_arn(STACK + suffix) for suffix in FUNCTIONS),
        ]
        expected += [
            (ALLOWED if each == own else DENIED, deployed.use(name, Action(INVOKE, each)))
            for each in [own, *others]
        ]

    assert unexpected(expected) == []


def test_these_aliases_are_the_targets(deployed: Deployed) -> None:
    [schedule] = deployed.template.resources("AWS::Scheduler::Schedule").values()
    [workers] = deployed.template.resources("AWS::Lambda::EventSourceMapping").values()

    assert schedule["Target"]["Arn"] == INVOCABLE[SCHEDULES]
    assert schedule["GroupName"] == GROUPS[SCHEDULES]
    assert deployed.django_variables[TASKS_TARGET_VARIABLE] == INVOCABLE[SENDER_OF_TASKS]
    assert workers["FunctionName"] == INVOCABLE[SENDER_OF_TASKS]


def test_lambda_may_poll_the_queue_and_send_failed_tasks_on(deployed: Deployed) -> None:
    [workers] = deployed.template.resources("AWS::Lambda::EventSourceMapping").values()
    [destination] = [
        each["DestinationConfig"]["OnFailure"]["Destination"]
        for each in deployed.template.resources("AWS::Lambda::EventInvokeConfig").values()
        if each["Qualifier"] == TASKS_ALIAS
    ]
    polling = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
    requested = [
        *(Action(f"sqs:{name}", workers["EventSourceArn"]) for name in polling),
        Action(INVOKE, destination),
    ]

    assert workers["EventSourceArn"] == QUEUE
    assert destination == function_arn(STACK + FAILED_TASKS_SUFFIX)
    assert unexpected((ALLOWED, deployed.use(DJANGO_SUFFIX, each)) for each in requested) == []


def test_lambda_may_attach_django_to_the_network_but_django_may_not(deployed: Deployed) -> None:
    code = {"lambda:SourceFunctionArn": function_arn(DJANGO)}
    expected = [
        (decision, deployed.use(DJANGO_SUFFIX, Action(f"ec2:{name}", ANY, context)))
        for decision, context in ((ALLOWED, {}), (REFUSED, code))
        for name in ("DescribeNetworkInterfaces", "DescribeSubnets")
    ]

    assert unexpected(expected) == []


# Tasks for later

TO_SCHEDULER = {"iam:PassedToService": "scheduler.amazonaws.com"}


def test_django_may_pass_the_senders_role_to_scheduler_only(deployed: Deployed) -> None:
    own = deployed.roles[SENDER_OF_TASKS].arn
    services = [{"iam:PassedToService": f"{name}.amazonaws.com"} for name in SERVICES]
    others = [role.arn for role in deployed.roles.values() if role.arn != own]
    forbidden = [
        *(Action("iam:PassRole", own, context) for context in [{}, *services]),
        *(Action("iam:PassRole", each, TO_SCHEDULER) for each in others),
        Action("iam:PassRole", own.replace(ACCOUNT, FOREIGN_ACCOUNT), TO_SCHEDULER),
    ]

    assert deployed.django_variables[TASKS_ROLE_VARIABLE] == own
    assert (
        unexpected(
            [
                (ALLOWED, deployed.use(DJANGO_SUFFIX, Action("iam:PassRole", own, TO_SCHEDULER))),
                *((DENIED, deployed.use(DJANGO_SUFFIX, each)) for each in forbidden),
            ]
        )
        == []
    )


def test_no_other_role_may_pass_or_assume_a_role(deployed: Deployed) -> None:
    expected = [
        (DENIED, deployed.use(name, Action(action, role.arn, TO_SCHEDULER)))
        for name in deployed.roles
        if name != DJANGO_SUFFIX
        for role in deployed.roles.values()
        for action in ("iam:PassRole", "sts:AssumeRole")
    ]

    assert unexpected(expected) == []


def schedule_arn(group: str) -> str:
    return arn("scheduler", f"schedule/{group}/zfkf4tZcrU93kCFjcSqb24gTKggRCup3")


QUEUE, DEAD = arn("sqs", STACK + TASKS_SUFFIX), arn("sqs", STACK + DEAD_TASKS_SUFFIX)
TASK_RECORDS = ("BUCKET/tasks/a.json", "BUCKET/tasks/failed/a")
RECORDS = (*TASK_RECORDS, "BUCKET/schedules/clear.json")

CALLS: dict[str, list[Action]] = {
    DJANGO_SUFFIX: [
        *actions("scheduler:CreateSchedule", schedule_arn(STACK + TASKS_SUFFIX)),
        *actions(INVOKE, function_arn(DJANGO, TASKS_ALIAS), function_arn(STACK + EGRESS_SUFFIX)),
        *actions("sqs:SendMessage", QUEUE),
        *actions("sqs:ChangeMessageVisibility", QUEUE),
        *actions("sqs:ReceiveMessage", DEAD),
        *actions("sqs:DeleteMessage", DEAD),
        *(
            each
            for name in ("PutObject", "GetObject", "DeleteObject")
            for each in actions(f"s3:{name}", *RECORDS)
        ),
        *actions("s3:ListBucket", "BUCKET"),
        *actions("ses:SendRawEmail", arn("ses", f"identity/{SENDER}"), ses_FromAddress=SENDER),
    ],
    FAILED_TASKS_SUFFIX: [
        *actions("s3:GetObject", *TASK_RECORDS),
        *actions("s3:PutObject", *TASK_RECORDS),
        *actions("s3:ListBucket", "BUCKET"),
    ],
    BUCKET_CLEANUP_SUFFIX: [
        *actions("s3:ListBucket", "BUCKET"),
        *actions("s3:DeleteObject", *RECORDS, "BUCKET/media/a"),
        *actions("cloudformation:DescribeStacks", stack_arn(STACK)),
    ],
    PROXY_SUFFIX: actions(INVOKE, function_arn(DJANGO, ALIAS)),
    RELEASE_SUFFIX: [
        *actions(INVOKE, function_arn(DJANGO, "1")),
        *actions("lambda:GetAlias", function_arn(DJANGO), function_arn(DJANGO, ALIAS)),
    ],
    SECRETS_SUFFIX: actions(
        "ssm:PutParameter", parameter_arn(f"/djambda/{ENVIRONMENT}/{APP}/secret-key")
    ),
}
"""The functions' own calls for these features; others are recorded (`test_functions.py`)."""

FORBIDDEN = [
    *actions(INVOKE, function_arn(DJANGO), function_arn(OTHER + DJANGO_SUFFIX, ALIAS)),
    *actions(INVOKE, function_arn(STACK + PROXY_SUFFIX)),
    *actions("lambda:UpdateFunctionCode", function_arn(DJANGO)),
    *actions("lambda:UpdateEventSourceMapping", arn("lambda", "event-source-mapping:a")),
    *actions("lambda:PutFunctionEventInvokeConfig", function_arn(DJANGO, TASKS_ALIAS)),
    *actions("logs:CreateLogGroup", arn("logs", "log-group:/aws/lambda/other")),
    *actions("scheduler:CreateSchedule", schedule_arn(STACK), schedule_arn("default")),
    *actions("scheduler:CreateSchedule", schedule_arn(OTHER + TASKS_SUFFIX)),
    *actions("scheduler:UpdateSchedule", schedule_arn(STACK), schedule_arn(STACK + TASKS_SUFFIX)),
    *actions("scheduler:DeleteSchedule", schedule_arn(STACK), schedule_arn(STACK + TASKS_SUFFIX)),
    *actions("scheduler:DeleteScheduleGroup", arn("scheduler", f"schedule-group/{STACK}")),
    *actions("sqs:SendMessage", DEAD, arn("sqs", OTHER + TASKS_SUFFIX)),
    *actions("sqs:ReceiveMessage", arn("sqs", OTHER + TASKS_SUFFIX)),
    *actions("sqs:PurgeQueue", QUEUE, DEAD),
    *actions("sqs:SetQueueAttributes", QUEUE, DEAD),
    *actions("ses:SendRawEmail", arn("ses", f"identity/{SENDER}"), ses_FromAddress="a@example.com"),
    *actions("ses:DeleteEmailIdentity", arn("ses", f"identity/{SENDER}")),
    *actions("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/{DJANGO}"),
    *actions("s3:PutBucketPolicy", "BUCKET"),
    *actions("s3:PutObject", "BUCKET/elsewhere"),
]
"""Actions that no role permits."""


def test_roles_permit_the_functions_calls(deployed: Deployed) -> None:
    expected = [(ALLOWED, deployed.use(name, action)) for name in CALLS for action in CALLS[name]]

    assert unexpected(expected) == []


def test_roles_permit_nothing_else(deployed: Deployed) -> None:
    expected = [
        (DENIED, deployed.use(name, action)) for name in deployed.roles for action in FORBIDDEN
    ]

    assert unexpected(expected) == []


def test_functions_outside_the_network_permit_nothing_of_django(deployed: Deployed) -> None:
    expected = [
        (DENIED, deployed.use(name, action))
        for name in (EGRESS_SUFFIX, FAILED_TASKS_SUFFIX, BUCKET_CLEANUP_SUFFIX)
        for action in CALLS[DJANGO_SUFFIX]
        if action not in CALLS.get(name, ())
    ]

    assert unexpected(expected) == []


def test_queues_refuse_connections_without_tls_and_other_accounts(deployed: Deployed) -> None:
    role = deployed.roles[DJANGO_SUFFIX]
    own = principal(role.arn.rpartition("/")[2])
    policies = {
        arn("sqs", url.rpartition("/")[2]): each["PolicyDocument"]
        for each in deployed.template.resources("AWS::SQS::QueuePolicy").values()
        for url in each["Queues"]
    }
    expected = [
        (
            decision,
            Request(
                caller,
                "sqs:ReceiveMessage",
                queue,
                role.policies,
                resource_policy=policies[queue],
                context={"aws:SecureTransport": secure},
            ),
        )
        for queue in (QUEUE, DEAD)
        for caller, secure, decision in (
            (own, "true", ALLOWED),
            (own, "false", REFUSED),
            (own.replace(ACCOUNT, FOREIGN_ACCOUNT), "true", DENIED),
            (own.replace(ACCOUNT, FOREIGN_ACCOUNT), "false", REFUSED),
        )
    ]

    assert unexpected(expected) == []
