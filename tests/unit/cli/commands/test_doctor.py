"""`djambda doctor`: the selection of checks, and the report."""

from djambda_cli.commands.doctor import check_aws
from djambda_cli.operations.findings import Level, ok, problem, warning
from djambda_cli.operations.report import render_report, report_as_json
from tests.unit.cli.aws_fakes import FakeClient, deployment, refusal


def refused_call(operation: str) -> str:
    """Return the message of an error."""
    return (
        f"An error occurred (AccessDeniedException) when calling the {operation} operation: not "
        "authorized to do that"
    )


ME = {"Account": "123456789012", "Arn": "arn:aws:sts::123456789012:assumed-role/dev/ann"}


def test_rejected_credentials() -> None:
    sts = FakeClient(get_caller_identity=refusal("ExpiredToken"))

    [finding] = check_aws(deployment(sts=sts))["Account"]

    assert (finding.level, finding.message) == (Level.PROBLEM, "AWS rejected these credentials")
    assert "aws sso login" in finding.action


def test_new_account_is_checked_for_the_first_deploy() -> None:
    missing = refusal("ValidationError", "Stack with id dev-shop does not exist")
    refused = refusal("AccessDeniedException", "not authorized to do that")
    limits = {"ConcurrentExecutions": 10, "UnreservedConcurrentExecutions": 10}

    report = check_aws(
        deployment(
            sts=FakeClient(get_caller_identity=ME),
            cloudformation=FakeClient(describe_stacks=missing),
            ssm=FakeClient(get_parameter=refusal("ParameterNotFound")),
            ec2=FakeClient(describe_vpcs={"Vpcs": [{}]}, describe_availability_zones=refused),
            iam=FakeClient(get_role=refusal("NoSuchEntity")),
            s3control=FakeClient(get_public_access_block=refused),
            rds=FakeClient(describe_account_attributes=refused),
            freetier=FakeClient(get_account_plan_state={"accountPlanType": "FREE"}),
            **{
                "lambda": FakeClient(
                    get_account_settings={"AccountLimit": limits},
                    get_function_concurrency=refusal("ResourceNotFoundException"),
                ),
                "service-quotas": FakeClient(get_service_quota=refused),
            },
        )
    )

    assert [(finding.level, finding.message) for finding in report["Account"]] == [
        (Level.OK, "account 123456789012, as assumed-role/dev/ann"),
        (Level.WARNING, "AWS_ACCOUNT_ID is not set"),
        (Level.WARNING, "the CDK is not bootstrapped in eu-west-1 yet"),
        (Level.WARNING, "10 concurrent executions, enough for 5 requests at a time"),
        (Level.OK, "1 of 5 VPCs"),
        (
            Level.WARNING,
            "could not check the number of database clusters: "
            + refused_call("describe_account_attributes"),
        ),
        (
            Level.PROBLEM,
            "the account is on AWS's Free plan, which does not include this kind of Aurora",
        ),
        (
            Level.WARNING,
            "could not check S3's Block Public Access: " + refused_call("get_public_access_block"),
        ),
        (
            Level.WARNING,
            (
                "the account has no AWSServiceRoleForRDS: RDS creates this role with the first "
                "cluster, which may fail because the role is not ready"
            ),
        ),
        (
            Level.WARNING,
            "could not check the availability zones: "
            + refused_call("describe_availability_zones"),
        ),
    ]
    assert report["Stack"] == [warning("nothing is deployed", "djambda deploy")]


def test_report_as_json() -> None:
    report = {"Machine": [ok("Python")], "Stack": [problem("broken", "fix it")]}

    assert report_as_json(report) == {
        "ok": False,
        "findings": [
            {"section": "Machine", "level": "ok", "message": "Python", "action": ""},
            {"section": "Stack", "level": "problem", "message": "broken", "action": "fix it"},
        ],
    }


def test_summary_counts_problems_and_warnings() -> None:
    report = {"Machine": [ok("Python"), warning("disk"), warning("layer")]}

    assert render_report(report).plain.endswith("\n0 problems, 2 warnings")
    report["Stack"] = [problem("broken", "fix it")]
    assert render_report(report).plain.endswith("\n1 problem, 2 warnings")
